"""Out-of-fold masks: every training case, predicted by the one network that has not seen it.

    hnseg tune WORK          # makes them, then chooses the post-processing by them

They are what validation can be scored by on the CT grid, as the test cases are, and what post-processing may be chosen
by. Two copies are kept: ``out_of_fold/raw/<ID>.nii.gz`` as predicted, and ``out_of_fold/<ID>.nii.gz`` after
post-processing with the run's settings. The reference subject of the harmonization is in no validation part and has
none. The network's epoch was picked on these same cases, so scores of them are a little too good.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from hnseg.cohort.labels import read_label
from hnseg.errors import CaseError, WorkDirError
from hnseg.images.image_io import write_image
from hnseg.inference.ensemble import check_models, find_models, hash_models, run_ensemble, verify_models
from hnseg.inference.mask_files import MaskFiles
from hnseg.inference.mask_outputs import MASK_SUFFIX
from hnseg.inference.postprocess import SETTINGS, postprocess_label
from hnseg.inference.predict_cohort import image_content
from hnseg.inference.restore import decide_label
from hnseg.inference.sliding_window import MEMORY_SHARE
from hnseg.models.device import open_device
from hnseg.models.memory import free_memory_bytes
from hnseg.parallel import map_processes
from hnseg.preprocessing.image_versions import fold_version
from hnseg.preprocessing.prepared_case import PreparedCase
from hnseg.preprocessing.prepared_cohort import PreparedCohort, open_cohort
from hnseg.progress import ProgressCallback, no_progress
from hnseg.provenance import versions
from hnseg.settings.config import Config
from hnseg.settings.predict import PredictConfig
from hnseg.workdir import load_config, write_json
from ssimh.files.artifact_cache import ArtifactCache, hash_file

FOLDER = "out_of_fold"


@dataclass(frozen=True)
class OutOfFold:
    """The out-of-fold masks of a run before post-processing: which there are, and what each is made from.

    Attributes:
        config: Settings of the run.
        cohort: Its prepared cases.
        models: One for each fold.
        model_hashes: SHA-256 of each, by its path in the work directory.
    """

    config: Config
    cohort: PreparedCohort
    models: tuple[Path, ...]
    model_hashes: Mapping[str, str]

    @property
    def cases(self) -> list[tuple[int, str]]:
        """Fold and ID of every validation case that can be prepared."""
        folds = [(fold, case_id) for fold, ids in enumerate(self.cohort.splits.folds) for case_id in ids]
        return [(fold, case_id) for fold, case_id in folds if self.cohort.failure(case_id) is None]

    def open_case(self, fold: int, case_id: str) -> tuple[PreparedCase, ArtifactCache]:
        """The prepared case in the fold's version, and its mask.

        Raises:
            CaseError: It is not prepared, or is out of date.
        """
        case = self.cohort.open_case(case_id, fold_version(fold))
        model = self.models[fold].relative_to(self.cohort.work).as_posix()
        key = {
            "fold": fold,
            "models": {model: self.model_hashes[model]},
            "prepared": image_content(case.record),
            "predict": self.config.predict.model_dump(mode="json", exclude=set(SETTINGS)),
        }
        return case, MaskFiles(self.cohort.work / FOLDER / "raw" / f"{case_id}{MASK_SUFFIX}").cache(key)


def open_out_of_fold(work: Path) -> OutOfFold:
    """The out-of-fold masks of a work directory.

    Raises:
        WorkDirError: A fold is untrained, or its model is not one that this run would have trained.
    """
    config, cohort = load_config(work), open_cohort(work)
    models = find_models(work)
    check_models(models, config, cohort.splits, cohort.preparation)
    return OutOfFold(config, cohort, tuple(models), hash_models(work, models))


@dataclass(frozen=True)
class _MaskMaker:
    """Makes the mask of one validation case where it is missing or out of date; travels to worker processes.

    Attributes:
        runs: The masks of the run.
        device: See :func:`hnseg.models.device.open_device`.
        memory_bytes: Bounds the windows of ``window="auto"``; None: what is free.
    """

    runs: OutOfFold
    device: str
    memory_bytes: float | None

    def __call__(self, place: tuple[int, str]) -> tuple[int, str]:
        fold, case_id = place
        config, home = self.runs.config, self.runs.cohort.work / FOLDER
        case, cache = self.runs.open_case(fold, case_id)
        if not cache.is_current():
            (home / "cases.json").unlink(missing_ok=True)  # what lies there is no longer whole
            cache.begin()
            fabric, image = open_device(self.device, config.train.precision), torch.from_numpy(case.image[:])
            made = run_ensemble([self.runs.models[fold]], image, config, fabric, memory_bytes=self.memory_bytes)
            record = case.record
            decide_on = config.predict.decide_on
            mask = decide_label(made.logits, record.crop_grid, record.ct_grid, decide_on=decide_on)
            write_image(cache.outputs["mask"], mask, record.ct_grid)
            cache.save({"versions": versions()})
        return place


def predict_out_of_fold(
    work: Path, *, device: str = "auto", jobs: int = 1, progress: ProgressCallback = no_progress
) -> list[str]:
    """Predict every fold's validation cases with that fold's network, before post-processing.

    A mask made by the same network from the same prepared case with the same windows and the same way to decide is left
    alone; any other is made again, also one that was edited or whose record is damaged.

    Args:
        work: With prepared cases and trained models.
        device: See :func:`hnseg.models.device.open_device`.
        jobs: Processes; on a GPU they share it.
        progress: Called after each case, in any order.

    Returns:
        The cases, sorted. A case that cannot be prepared is not among them.

    Raises:
        CaseError: A case is not prepared, or is out of date.
        WorkDirError: A fold is untrained, a model is damaged or not one of this run, or no validation case is prepared.
    """
    runs = open_out_of_fold(work)
    verify_models(runs.models, runs.config.train)
    fabric = open_device(device, runs.config.train.precision)
    todo = runs.cases
    if not todo:
        raise WorkDirError(f"no validation case is prepared in {work}: run `hnseg prepare` first")
    memory = None if jobs == 1 else free_memory_bytes(fabric.device) * MEMORY_SHARE / jobs
    made = map_processes(_MaskMaker(runs, device, memory), todo, jobs, ordered=False)
    for done, (fold, case_id) in enumerate(made, start=1):
        progress(done, len(todo), f"fold {fold}, {case_id}")
    return sorted(case_id for _, case_id in todo)


def current_masks(work: Path) -> list[tuple[str, int, Path]]:
    """Case ID, fold and mask before post-processing of every validation case that can be prepared.

    Raises:
        WorkDirError: A fold is untrained, or its model is not one of this run.
        CaseError: A mask is missing or out of date.
    """
    runs = open_out_of_fold(work)
    found = []
    for fold, case_id in runs.cases:
        _, cache = runs.open_case(fold, case_id)
        differences = cache.find_differences()
        if differences:
            path = cache.outputs["mask"]
            reason = f"no current out-of-fold mask ({', '.join(differences)}): run `hnseg tune` to make it"
            raise CaseError(case_id, reason, path)
        found.append((case_id, fold, cache.outputs["mask"]))
    return found


def postprocess_out_of_fold(work: Path, cases: Sequence[str], *, jobs: int = 1) -> None:
    """Write the masks that are scored: post-processed with the run's settings, tuned ones included.

    Args:
        work: With the masks of :func:`predict_out_of_fold`.
        cases: What it returned.
        jobs: Processes.
    """
    settings = load_config(work).predict
    listing = work / FOLDER / "cases.json"
    listing.unlink(missing_ok=True)
    hashes = map_processes(functools.partial(_postprocess_case, work / FOLDER, settings), cases, jobs)
    masks = dict(zip(cases, hashes, strict=True))
    made_from: dict[str, Any] = {
        "models": hash_models(work, find_models(work)),
        "predict": settings.model_dump(mode="json"),
    }
    write_json(listing, {"cases": list(cases), "made_from": made_from, "outputs": masks})


def _postprocess_case(home: Path, settings: PredictConfig, case_id: str) -> str:
    """Write the post-processed mask of a case, and what was removed; returns the SHA-256 of the mask."""
    raw, grid = read_label(home / "raw" / f"{case_id}{MASK_SUFFIX}", case_id)
    mask, removed = postprocess_label(raw, grid.spacing_zyx_mm, settings)
    files = MaskFiles(home / f"{case_id}{MASK_SUFFIX}")
    write_image(files.mask, mask, grid)
    write_json(files.record, {"removed": [part.model_dump(mode="json", exclude_unset=True) for part in removed]})
    return hash_file(files.mask)
