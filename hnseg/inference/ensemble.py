"""The ensemble: the mean of the folds' logits, taken before the softmax."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from hnseg.cohort.labels import NUM_CLASSES
from hnseg.cohort.splits import Splits, load_splits
from hnseg.errors import WorkDirError
from hnseg.inference.sliding_window import SlidingWindowAccumulator, choose_tiling
from hnseg.inference.tiling import Tiling, Triple
from hnseg.models.checkpoint import load_checkpoint, verify_checkpoint
from hnseg.models.model_origin import check_origin, read_origin
from hnseg.models.network import make_network
from hnseg.settings.config import Config
from hnseg.settings.train import TrainConfig
from ssimh.files.artifact_cache import hash_file

if TYPE_CHECKING:
    from lightning_fabric import Fabric

AfterModel = Callable[[int, torch.Tensor], bool]


def find_models(work: Path) -> list[Path]:
    """The best checkpoint of every fold that the run was split into.

    Raises:
        WorkDirError: A fold has not been trained.
    """
    models = [work / "models" / f"fold_{fold}" / "best.pt" for fold in range(len(load_splits(work).folds))]
    missing = [path for path in models if not path.is_file()]
    if missing:
        raise WorkDirError(f"{missing[0]} is missing: run `hnseg train` for every fold first")
    return models


def verify_models(models: Sequence[Path], config: TrainConfig) -> None:
    """Refuse an ensemble that cannot predict, before any case is worked on.

    Raises:
        WorkDirError: No model at all; or one is damaged, was trained with another network, or holds NaN.
    """
    if not models:
        raise WorkDirError("an ensemble needs at least one model")
    for path in models:
        verify_checkpoint(path)
        network = _load(path, config)
        bad = [name for name, value in network.state_dict().items() if not torch.isfinite(value).all()]
        if bad:
            raise WorkDirError(f"{path} holds NaN or infinite weights ({bad[0]}): train the fold again")


def hash_models(work: Path, models: Sequence[Path]) -> dict[str, str]:
    """SHA-256 of every model's file, by its path in the work directory."""
    return {path.relative_to(work).as_posix(): hash_file(path) for path in models}


def check_models(models: Sequence[Path], config: Config, splits: Splits, preparation: Mapping[str, object]) -> None:
    """Refuse an ensemble that the run would not have trained, for instance on cases that are test cases now.

    Args:
        models: One for each fold, in their order.
        config: Settings of the run.
        splits: Split of the run.
        preparation: What the run's prepared cases depend on, see
            :func:`hnseg.preprocessing.prepare_case.preparation_key`.

    Raises:
        WorkDirError: See :func:`hnseg.models.model_origin.check_origin`.
    """
    for fold, path in enumerate(models):
        origin = read_origin(load_checkpoint(path, mapped=True), path)
        check_origin(origin, path, fold=fold, config=config, splits=splits, preparation=preparation)


def load_network(path: Path, config: TrainConfig, fabric: Fabric) -> torch.nn.Module:
    """A trained network in evaluation mode, on the fabric's device.

    Raises:
        WorkDirError: The checkpoint was trained with another network.
    """
    return _load(path, config).to(fabric.device).eval()


def _load(path: Path, config: TrainConfig) -> torch.nn.Module:
    """The network with the file itself as memory of its weights: they are neither drawn at random nor copied."""
    weights = load_checkpoint(path, mapped=True).get("network")
    if not isinstance(weights, dict):
        raise WorkDirError(f"{path}: network: it holds none; copy it again or train the fold")
    with torch.device("meta"):
        network = make_network(config)
    try:
        network.load_state_dict(weights, assign=True)
    except RuntimeError as error:
        asked = f"filters {config.filters}, blocks {config.blocks_down}, {config.heads} heads"
        raise WorkDirError(
            f"{path} belongs to a network with other settings than this run's ({asked}): {_first_difference(error)}"
        ) from error
    return network


def _first_difference(error: RuntimeError) -> str:
    """The first of what may be hundreds of lines."""
    lines = [line.strip() for line in str(error).splitlines()[1:]]
    return lines[0][:200] if lines else str(error)


@dataclass(frozen=True)
class Predicted:
    """Ensemble output for one crop.

    Attributes:
        logits: (3, z, y, x) float32 Mean over the models.
        mutual_information_bits: (z, y, x) float32, see ``disagreement`` of :func:`run_ensemble`; None where it was not
            measured.
        models: How many took part.
        tiling: The windows.
    """

    logits: torch.Tensor
    mutual_information_bits: torch.Tensor | None
    models: int
    tiling: Tiling


def run_ensemble(
    models: Sequence[Path],
    image: torch.Tensor,
    config: Config,
    fabric: Fabric,
    *,
    disagreement: bool = False,
    memory_bytes: float | None = None,
    after_model: AfterModel | None = None,
) -> Predicted:
    """Mean logits of several models, with one model's weights in memory at a time.

    All models add to the same sum, so memory does not depend on how many there are.

    Args:
        models: Checkpoints, at least one.
        image: (2, z, y, x) CT and PET, normalized.
        config: Settings of the run.
        fabric: Device and processes.
        disagreement: Measure how much the models contradict each other: the entropy of their mean probabilities less
            the mean of their entropies (the mutual information of label and model, or Jensen-Shannon divergence), in
            bits. 0 where all agree, however uncertain; 1 where one half is certain of one class and the other
            half of another; at most log2(3). Keeps the sums of one model apart, which takes as much again as the
            logits.
        memory_bytes: Bounds the windows of ``window="auto"``; by default what is free.
        after_model: Called with the number of models done and the mean logits so far, unless it was the last; True
            stops there.

    Raises:
        WorkDirError: No model; or one cannot be read or has another network.
    """
    if not models or (disagreement and len(models) < 2):
        raise WorkDirError(f"{len(models)} model(s) given; an ensemble needs one, its disagreement two")
    z, y, x = image.shape[1:]
    tiling = choose_tiling((z, y, x), config.train, config.predict, fabric, memory_bytes=memory_bytes)
    blend = SlidingWindowAccumulator(tiling, fabric.device)
    opinions = _EnsembleSums(tiling.crop, fabric.device) if disagreement else None
    done = 0
    for done, path in enumerate(models, start=1):
        blend.add(load_network(path, config.train, fabric), image, fabric, flips=config.predict.flips)
        if opinions is not None:
            opinions.add(blend.mean())
            blend.clear()
        if after_model is not None and done < len(models):
            mean = blend.mean() if opinions is None else opinions.mean()
            if after_model(done, mean.cpu()):
                break
    if opinions is None:
        return Predicted(blend.mean().cpu(), None, done, tiling)
    mutual_information_bits = opinions.mutual_information_bits().cpu() if done > 1 else None
    return Predicted(opinions.mean().cpu(), mutual_information_bits, done, tiling)


def ensemble_logits(models: Sequence[Path], image: torch.Tensor, config: Config, fabric: Fabric) -> torch.Tensor:
    """The logits (3, z, y, x) of :func:`run_ensemble` alone."""
    return run_ensemble(models, image, config, fabric).logits


class _EnsembleSums:
    """Sums over models, each added once: of logits, of probabilities and of entropies."""

    def __init__(self, shape: Triple, device: torch.device) -> None:
        self._models = 0
        self._logits = torch.zeros((NUM_CLASSES, *shape), device=device)
        self._probabilities = torch.zeros((NUM_CLASSES, *shape), device=device)
        self._entropy_bits = torch.zeros(shape, device=device)

    def add(self, logits: torch.Tensor) -> None:
        probabilities = logits.softmax(dim=0)
        self._logits += logits
        self._probabilities += probabilities
        self._entropy_bits += _entropy_bits(probabilities)
        self._models += 1

    def mean(self) -> torch.Tensor:
        return self._logits / self._models

    def mutual_information_bits(self) -> torch.Tensor:
        together = _entropy_bits(self._probabilities / self._models)
        return (together - self._entropy_bits / self._models).clamp(min=0)


def _entropy_bits(probabilities: torch.Tensor) -> torch.Tensor:
    return torch.special.entr(probabilities).sum(dim=0) / math.log(2)
