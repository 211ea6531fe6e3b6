"""Prediction of one case by the ensemble: from the network's input to a mask on the CT grid."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from hnseg.errors import HnsegError, OptionError
from hnseg.images.geometry import Grid
from hnseg.images.resample import resample
from hnseg.inference.ensemble import check_models, find_models, hash_models, run_ensemble, verify_models
from hnseg.inference.postprocess import Removal, postprocess_label
from hnseg.inference.restore import decide_label
from hnseg.inference.sliding_window import MEMORY_SHARE
from hnseg.inference.tiling import Tiling
from hnseg.inference.tuned_origin import check_tuned
from hnseg.models.device import open_device
from hnseg.models.memory import free_memory_bytes
from hnseg.parallel import GB, ParallelConfig
from hnseg.preprocessing.prepared_cohort import open_cohort
from hnseg.settings.config import Config
from hnseg.settings.predict import PredictConfig
from hnseg.workdir import load_config

Mask = NDArray[np.uint8]


@dataclass(frozen=True)
class InferenceOptions:
    """Options of one call, beside the run's settings.

    Attributes:
        device: See :func:`hnseg.models.device.open_device`.
        window: ``patch`` or ``auto``, as :class:`hnseg.settings.predict.PredictConfig`; None: the run's setting.
        flips: Axes to average over, as :class:`hnseg.settings.predict.PredictConfig`; None: the run's setting.
        disagreement: Also map where the models contradict each other, see
            :func:`hnseg.inference.ensemble.run_ensemble`.
        memory_gb: Bounds the windows of ``window="auto"``, of all processes together; None: 70 % of what is free
            when the work begins.
        sites: Files of centers that did not train, see :mod:`hnseg.preprocessing.new_center`; for new scans.
    """

    device: str = "auto"
    window: Literal["patch", "auto"] | None = None
    flips: str | None = None
    disagreement: bool = False
    memory_gb: float | None = None
    sites: tuple[Path, ...] = ()

    def apply_to(self, settings: PredictConfig) -> PredictConfig:
        """The run's settings with these options in their place.

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
        mask: (z, y, x) on the CT grid: 0 background, 1 GTVp, 2 GTVn.
        removed: What post-processing removed and why.
        mutual_information_bits: (z, y, x) on the CT grid, 0 to log2(3), 0 outside the crop; None where it was not asked
            for.
        models: How many took part.
        tiling: The windows.
    """

    mask: Mask
    removed: list[Removal]
    mutual_information_bits: NDArray[np.float32] | None
    models: int
    tiling: Tiling


@dataclass(frozen=True)
class Segmenter:
    """The trained models of a run with settings; small enough to be sent to a worker process.

    Attributes:
        config: The run's, with the options applied.
        options: Device and what to measure.
        models: Checkpoints, one for each fold.
        model_hashes: SHA-256 of each model's file, by its path in the work directory.
        preparation: What the images that it segments are made with, see
            :func:`hnseg.preprocessing.prepare_case.preparation_key`.
        memory_bytes: For the window of ``window="auto"``; None: what is free where the work is done.
    """

    config: Config
    options: InferenceOptions
    models: tuple[Path, ...]
    model_hashes: Mapping[str, str]
    preparation: Mapping[str, object]
    memory_bytes: float | None

    @property
    def key(self) -> Mapping[str, object]:
        """Everything but the case and its preparation that a result depends on."""
        settings = self.config.predict.model_dump(mode="json")
        return {"models": dict(self.model_hashes), "predict": settings, "disagreement": self.options.disagreement}

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
            image: (2, z, y, x) CT and PET on the crop grid, normalized.
            crop_grid: Of the image.
            ct_grid: Of the mask.
            after_model: Called with the number of models done and a function that gives the mask of these, unless it
                was the last; True stops there.
        """

        def on_model_done(done: int, logits: torch.Tensor) -> bool:
            return after_model is not None and after_model(done, lambda: self.make_mask(logits, crop_grid, ct_grid)[0])

        predicted = run_ensemble(
            self.models,
            torch.from_numpy(np.asarray(image)),
            self.config,
            open_device(self.options.device, self.config.train.precision),
            disagreement=self.options.disagreement,
            memory_bytes=self.memory_bytes,
            after_model=None if after_model is None else on_model_done,
        )
        mask, removed = self.make_mask(predicted.logits, crop_grid, ct_grid)
        bits = predicted.mutual_information_bits
        restored = None if bits is None else resample(bits.numpy(), crop_grid, ct_grid, outside=0.0)
        return Segmentation(mask, removed, restored, predicted.models, predicted.tiling)

    def make_mask(self, logits: torch.Tensor, crop_grid: Grid, ct_grid: Grid) -> tuple[Mask, list[Removal]]:
        """The mask on the CT grid, and what post-processing removed, of logits (3, z, y, x) on the crop grid."""
        raw = decide_label(logits, crop_grid, ct_grid, decide_on=self.config.predict.decide_on)
        return postprocess_label(raw, ct_grid.spacing_zyx_mm, self.config.predict)


def open_segmenter(work: Path, options: InferenceOptions, parallel: ParallelConfig | None = None) -> Segmenter:
    """The models of a work directory, each read through once and compared with the run.

    Args:
        work: With trained models.
        options: Device, windows and flips.
        parallel: How many processes will share the memory.

    Raises:
        WorkDirError: A fold is untrained; a model is damaged, belongs to another network, or was trained on another
            split or on cases prepared in another way; or the tuned settings were chosen with other models.
        HnsegError: An option has no such value.
        OptionError: A memory budget where the windows are those of the patch.
    """
    config = load_config(work)
    config = config.model_copy(update={"predict": options.apply_to(config.predict)})
    if options.memory_gb is not None and config.predict.window == "patch":
        raise OptionError(
            f"memory_gb {options.memory_gb:g} bounds the windows of `--window auto`; here they are those of the patch"
        )
    cohort = open_cohort(work)
    models = find_models(work)
    verify_models(models, config.train)
    check_models(models, config, cohort.splits, cohort.preparation)
    hashes = hash_models(work, models)
    check_tuned(work, cohort.splits, hashes)
    parallel = parallel or ParallelConfig()
    memory = None if options.memory_gb is None else options.memory_gb * GB
    if memory is None and parallel.dask is None:
        memory = free_memory_bytes(open_device(options.device, config.train.precision).device) * MEMORY_SHARE
    memory_each = None if memory is None else memory / parallel.jobs
    return Segmenter(config, options, tuple(models), hashes, cohort.preparation, memory_each)
