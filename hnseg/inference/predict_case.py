"""One case through the ensemble: from the network's input to a mask on the CT grid."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from hnseg.config import Config, PredictConfig
from hnseg.errors import HnsegError, OptionError
from hnseg.images.geometry import Grid
from hnseg.images.resample import resample
from hnseg.inference.ensemble import find_models, run_ensemble, verify_models
from hnseg.inference.postprocess import postprocess_label
from hnseg.inference.restore import restore_probabilities
from hnseg.inference.sliding_window import MEMORY_SHARE
from hnseg.inference.tiling import Tiling
from hnseg.models.device import open_device
from hnseg.models.memory import free_memory_bytes
from hnseg.parallel import GB, ParallelConfig
from hnseg.provenance import sha256
from hnseg.workdir import load_config

Mask = NDArray[np.uint8]


@dataclass(frozen=True)
class InferenceOptions:
    """What one call may ask for beside the run's settings.

    Attributes:
        device: See :func:`hnseg.models.device.open_device`.
        window, flips: As :class:`hnseg.config.PredictConfig`; None: what the run says.
        disagreement: Also say where the models contradict each other, see
            :func:`hnseg.inference.ensemble.run_ensemble`.
        memory_gb: Bounds the windows of ``window="auto"``, of all processes together; None: 70 % of what is free
            when the work begins.
    """

    device: str = "auto"
    window: Literal["patch", "auto"] | None = None
    flips: str | None = None
    disagreement: bool = False
    memory_gb: float | None = None

    def applied_to(self, settings: PredictConfig) -> PredictConfig:
        """The run's settings with these in their place.

        Raises:
            HnsegError: One has no such value.
        """
        changes = {name: getattr(self, name) for name in ("window", "flips") if getattr(self, name) is not None}
        try:
            return PredictConfig(**{**settings.model_dump(), **changes})
        except ValueError as error:
            raise HnsegError(
                f"{changes}: window is 'patch' or 'auto', flips names axes in their order: '', 'x', 'xy', … 'xyz'"
            ) from error


@dataclass(frozen=True)
class Segmentation:
    """Result of one case.

    Attributes:
        mask (ndarray (z, y, x) uint8): On the CT grid: 1 GTVp, 2 GTVn.
        removed: What post-processing took away and why.
        disagreement_bits (ndarray (z, y, x) float32 or None): On the CT grid; 0 outside the crop.
        models: How many took part.
        tiling: The windows.
    """

    mask: Mask
    removed: list[dict[str, Any]]
    mutual_information_bits: NDArray[np.float32] | None
    models: int
    tiling: Tiling


@dataclass(frozen=True)
class Segmenter:
    """The trained models of a run with settings; small enough to be sent to a worker process.

    Attributes:
        config: The run's, with the options applied.
        options: How it is predicted.
        models: Tuple of Path.
        weights: SHA-256 of each model's file.
        memory_bytes: For the window of ``window="auto"``; None: what is free where the work is done.
    """

    config: Config
    options: InferenceOptions
    models: tuple[Path, ...]
    weights: tuple[str, ...]
    memory_bytes: float | None

    @property
    def digest(self) -> str:
        """Content hash of everything but the case that a result depends on."""
        settings = self.config.predict.model_dump(mode="json")
        asked = {"predict": settings, "weights": self.weights, "disagreement": self.options.disagreement}
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]

    def segment(
        self,
        image: NDArray[Any],
        crop_grid: Grid,
        ct_grid: Grid,
        *,
        after_model: Callable[[int, Callable[[], Mask]], bool] | None = None,
    ) -> Segmentation:
        """Segment one case.

        Args:
            image (ndarray (2, z, y, x)): CT and PET on the crop grid, normalized.
            crop_grid, ct_grid: Grid.
            after_model: Called with the number of models done and a function that gives the mask of these, unless it
                was the last; True stops there.
        """

        def on_model_done(done: int, logits: torch.Tensor) -> bool:
            return after_model is not None and after_model(done, lambda: self._mask(logits, crop_grid, ct_grid)[0])

        predicted = run_ensemble(
            self.models,
            torch.from_numpy(np.asarray(image)),
            self.config,
            open_device(self.options.device, self.config.train.precision),
            disagreement=self.options.disagreement,
            memory_bytes=self.memory_bytes,
            after_model=None if after_model is None else on_model_done,
        )
        mask, removed = self._mask(predicted.logits, crop_grid, ct_grid)
        bits = predicted.mutual_information_bits
        restored = None if bits is None else resample(bits.numpy(), crop_grid, ct_grid, outside=0.0)
        return Segmentation(mask, removed, restored, predicted.models, predicted.tiling)

    def _mask(self, logits: torch.Tensor, crop_grid: Grid, ct_grid: Grid) -> tuple[Mask, list[dict[str, Any]]]:
        raw = restore_probabilities(logits.softmax(dim=0).numpy(), crop_grid, ct_grid)
        return postprocess_label(raw, ct_grid.spacing_zyx_mm, self.config.predict)


def open_segmenter(work: Path, options: InferenceOptions, parallel: ParallelConfig | None = None) -> Segmenter:
    """The models of a work directory, each looked through once.

    ``parallel`` says how many processes will share the memory.

    Raises:
        WorkDirError: A fold is untrained, or a model is damaged or belongs to another network.
        HnsegError: An option has no such value.
        OptionError: A memory budget where the windows are those of the patch.
    """
    config = load_config(work)
    config = config.model_copy(update={"predict": options.applied_to(config.predict)})
    if options.memory_gb is not None and config.predict.window == "patch":
        raise OptionError(
            f"memory_gb {options.memory_gb:g} bounds the windows of `--window auto`; here they are those of the patch"
        )
    models = find_models(work)
    verify_models(models, config.train)
    parallel = parallel or ParallelConfig()
    memory = None if options.memory_gb is None else options.memory_gb * GB
    if memory is None and parallel.dask is None:
        memory = free_memory_bytes(open_device(options.device, config.train.precision).device) * MEMORY_SHARE
    weights = tuple(sha256(path) for path in models)
    return Segmenter(config, options, tuple(models), weights, None if memory is None else memory / parallel.jobs)
