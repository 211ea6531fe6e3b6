"""Prepare a cohort: every case that is missing or out of date, each whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import joblib

import ssimh
from hnseg.cases import Case
from hnseg.cohort import load_check
from hnseg.config import PrepareConfig
from hnseg.errors import CaseError
from hnseg.preprocess import AXIAL, case_files, crop_case, prepare_case, settings_digest
from hnseg.progress import Report, silent
from hnseg.provenance import sha256
from hnseg.splits import load_splits
from hnseg.workdir import load_config


def is_current(case: Case, folder: Path, settings: str) -> bool:
    """Whether ``folder`` holds this case, from these files, with these settings."""
    record_path = folder / "case.json"
    if not record_path.is_file():
        return False
    record = json.loads(record_path.read_text(encoding="utf-8"))
    if record["settings"] != settings or set(record["files"]) != {path.name for path in case_files(case)}:
        return False
    for path in case_files(case):
        if not path.is_file():
            return False
        known, status = record["files"][path.name], path.stat()
        same = (known["bytes"], known["modified_ns"]) == (status.st_size, status.st_mtime_ns)
        if not same and sha256(path) != known["sha256"]:
            return False
    return True


def prepare_cohort(work: Path, *, jobs: int = 1, progress: Report = silent) -> list[CaseError]:
    """Prepare every checked case of a work directory that is missing or out of date.

    Parameters
    ----------
    work : Path
        Holds ``run.json``, ``check.json`` and ``splits.json``.
    jobs : int
        Processes.
    progress : Report
        Called after each case.

    Returns
    -------
    list of CaseError
        The cases that could not be prepared; the others are.
    """
    config = load_config(work).prepare
    cases = [checked.as_case() for checked in load_check(work).cases]
    reference_id = load_splits(work).reference
    reference = None
    if config.harmonization == "spectrum-swap":
        reference = _fit_reference(next(case for case in cases if case.id == reference_id), config, work)
    settings = settings_digest(config, reference)

    def work_on(case: Case) -> CaseError | None:
        folder = work / "prepared" / case.id
        if is_current(case, folder, settings):
            return None
        try:
            prepare_case(case, config, folder, reference=reference, reference_id=reference_id)
        except CaseError as error:
            return error
        return None

    failures = []
    results = joblib.Parallel(n_jobs=jobs, return_as="generator")(joblib.delayed(work_on)(case) for case in cases)
    for done, (case, failure) in enumerate(zip(cases, results, strict=True), start=1):
        if failure is not None:
            failures.append(failure)
        progress(done, len(cases), case.id)
    return failures


def _fit_reference(case: Case, config: PrepareConfig, work: Path) -> ssimh.ReferenceSpectrum:
    """Take the reference subject's spectrum, or read it back if this run has taken it before."""
    path = work / "reference.npz"
    if path.is_file():
        return ssimh.ReferenceSpectrum.load(path)
    cropped = crop_case(case, config)
    reference = ssimh.ReferenceSpectrum.from_image(
        cropped.ct_hu, config.threshold, axes=AXIAL, spacing_mm=cropped.crop.grid.spacing_zyx_mm, unit="HU"
    )
    reference.save(path)
    return reference
