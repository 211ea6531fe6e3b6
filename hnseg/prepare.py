"""Prepare a cohort: every case that is missing or out of date, each whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import joblib

from hnseg.cases import Case
from hnseg.cohort import load_check
from hnseg.errors import CaseError
from hnseg.harmonizer_store import fit_harmonizer
from hnseg.preprocess import is_same, prepare_case, settings_digest
from hnseg.progress import Report, silent
from hnseg.workdir import load_config


def is_current(case: Case, folder: Path, settings: str) -> bool:
    """Whether ``folder`` holds this case, from these files, with these settings."""
    record = folder / "case.json"
    return record.is_file() and is_same(json.loads(record.read_text(encoding="utf-8")), case, settings)


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
    harmonizer = fit_harmonizer(work, jobs=jobs, progress=progress)
    settings = settings_digest(config, harmonizer)

    def work_on(case: Case) -> CaseError | None:
        folder = work / "prepared" / case.id
        if is_current(case, folder, settings):
            return None
        try:
            prepare_case(case, config, folder, harmonizer)
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
