"""The harmonizer of a run: fitted once on its training cases, kept in the work directory, read back by predict."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import ssimh
from hnseg.cohort.cases import Case
from hnseg.cohort.checked_cohort import load_check
from hnseg.cohort.splits import Splits, load_splits
from hnseg.config import PrepareConfig
from hnseg.errors import CaseError, WorkDirError
from hnseg.parallel import map_processes
from hnseg.preprocessing.crop_case import crop_case
from hnseg.preprocessing.harmonization import (
    AXIAL,
    ORIENTATION,
    AlignSites,
    Harmonizer,
    MatchToReference,
    NoHarmonization,
    SwapToReference,
    fit_subject,
)
from hnseg.preprocessing.prepare_case import fingerprints, is_up_to_date
from hnseg.progress import ProgressCallback, no_progress
from hnseg.workdir import load_config, read_json, write_json
from ssimh.files.atomic import atomic_write

REFERENCE_SPECTRUM = "reference.npz"
REFERENCE_CT = "reference_ct.npy"
SITES = "sites"


def fit_harmonizer(work: Path, *, jobs: int = 1, progress: ProgressCallback = no_progress) -> Harmonizer:
    """Fit what the run's harmonization needs, as far as it is missing or out of date.

    Only training cases are read. ``spectrum-align`` crops each of them once more than ``prepare`` does.

    Raises:
        CaseError: The reference case cannot be used.
        WorkDirError: The run has not been checked or split.
    """
    config, splits = load_config(work).prepare, load_splits(work)
    cases = {checked.id: checked.as_case() for checked in load_check(work).cases}
    if config.harmonization == "spectrum-swap" and not (work / REFERENCE_SPECTRUM).is_file():
        cropped = crop_case(cases[_reference(splits)], config)
        spacing = cropped.crop.grid.spacing_zyx_mm
        ssimh.ReferenceSpectrum.from_image(
            cropped.ct_hu, threshold=config.swap_threshold, axes=AXIAL, spacing_mm=spacing, unit="HU"
        ).save(work / REFERENCE_SPECTRUM)
    if config.harmonization == "histogram-match" and not (work / REFERENCE_CT).is_file():
        values = np.rint(crop_case(cases[_reference(splits)], config).ct_hu).astype(np.int16)
        with atomic_write(work / REFERENCE_CT) as temporary:
            np.save(temporary, values, allow_pickle=False)
    if config.harmonization == "spectrum-align":
        _fit_subjects(work, [cases[i] for i in training_ids(splits) if i in cases], config, jobs, progress)
    return load_harmonizer(work)


def load_harmonizer(work: Path) -> Harmonizer:
    """Read the run's harmonizer.

    Raises:
        WorkDirError: ``prepare`` has not fitted it.
    """
    config, splits = load_config(work).prepare, load_splits(work)
    if config.harmonization == "none":
        return NoHarmonization()
    if config.harmonization == "spectrum-align":
        return _load_sites(work, config, splits)
    path = work / (REFERENCE_SPECTRUM if config.harmonization == "spectrum-swap" else REFERENCE_CT)
    if not path.is_file():
        raise WorkDirError(f"{path} is missing: run `hnseg prepare` first")
    if config.harmonization == "spectrum-swap":
        return SwapToReference(config, ssimh.ReferenceSpectrum.load(path), _reference(splits))
    return MatchToReference(config, np.load(path, allow_pickle=False), _reference(splits))


@functools.lru_cache(maxsize=1)
def cached_harmonizer(work: Path, settings: str) -> Harmonizer:
    """The run's harmonizer, read once a process; ``settings`` tells one fit from the next."""
    return load_harmonizer(work)


def _reference(splits: Splits) -> str:
    if splits.reference is None:
        raise WorkDirError("the split has no reference case, which this harmonization needs: split the cases again")
    return splits.reference


def training_ids(splits: Splits) -> list[str]:
    """Everything that is not test, sorted."""
    return sorted({case_id for fold in range(len(splits.folds)) for case_id in splits.train_ids(fold)})


def _fit_subjects(
    work: Path, cases: Sequence[Case], config: PrepareConfig, jobs: int, progress: ProgressCallback
) -> None:
    results = map_processes(functools.partial(_fit_one, config=config, folder=work / SITES), cases, jobs)
    for done, (case, _) in enumerate(zip(cases, results, strict=True), start=1):
        progress(done, len(cases), f"site of {case.center}: {case.id}")


def _fit_one(case: Case, config: PrepareConfig, folder: Path) -> None:
    """Write the subject of a case, or why it has none; a case that cannot be read is left to ``prepare`` to report."""
    path = folder / f"{case.id}.json"
    if path.is_file() and is_up_to_date(read_json(path, "prepare"), case, config.digest()):
        return
    try:
        cropped = crop_case(case, config)
    except CaseError:
        path.unlink(missing_ok=True)
        return
    subject: dict[str, Any] | None = None
    reason = None
    try:
        (subject,) = fit_subject(cropped.ct_hu, cropped.crop.grid.spacing_zyx_mm).to_dicts()
    except ValueError as error:
        reason = str(error)
    write_json(path, {"settings": config.digest(), "files": fingerprints(case), "subject": subject, "reason": reason})


def _load_sites(work: Path, config: PrepareConfig, splits: Splits) -> AlignSites:
    if not (work / SITES).is_dir():
        raise WorkDirError(f"{work / SITES} is missing: run `hnseg prepare` first")
    subjects: dict[str, ssimh.SiteSpectrum] = {}
    for case_id in training_ids(splits):
        path = work / SITES / f"{case_id}.json"
        subject = read_json(path, "prepare")["subject"] if path.is_file() else None
        if subject is not None:
            subjects[case_id] = ssimh.SiteSpectrum.from_dicts([subject], orientation=ORIENTATION)
    centers = {checked.id: checked.center for checked in load_check(work).cases}
    return AlignSites(config, splits, centers, subjects)
