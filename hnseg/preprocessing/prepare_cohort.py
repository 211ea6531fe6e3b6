"""Preparation of a cohort: every case that is missing or out of date, each whole or not at all."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hnseg.cohort.cases import Case
from hnseg.cohort.checked_cohort import load_check
from hnseg.errors import CaseError, WorkDirError
from hnseg.locks import hold, share_name
from hnseg.parallel import ParallelConfig, run_cases
from hnseg.preprocessing.case_key import case_key
from hnseg.preprocessing.crop_case import memory_need
from hnseg.preprocessing.harmonizer_store import cached_harmonizer, fit_harmonizer
from hnseg.preprocessing.prepare_case import case_cache, preparation_key, prepare_case
from hnseg.preprocessing.prepared_case import open_case
from hnseg.progress import ProgressCallback, no_progress
from hnseg.settings.prepare import PrepareConfig
from hnseg.workdir import load_config


def is_current(case: Case, folder: Path, preparation: Mapping[str, object]) -> bool:
    """Whether ``folder`` holds this case, prepared from these files as ``preparation`` says, and can be read."""
    if not case_cache(folder, case_key(case, preparation)).is_current():
        return False
    try:
        open_case(folder)
    except WorkDirError:  # damaged, or of another shape
        return False
    return True


@dataclass(frozen=True)
class _Preparer:
    """What travels to a worker: a path and settings, no images."""

    work: Path
    config: PrepareConfig
    harmonizer: str
    preparation: Mapping[str, object]

    def __call__(self, case: Case) -> None:
        folder = self.work / "prepared" / case.id
        if not is_current(case, folder, self.preparation):
            prepare_case(case, self.config, folder, cached_harmonizer(self.work, self.harmonizer))


def prepare_cohort(
    work: Path, *, jobs: int = 1, parallel: ParallelConfig | None = None, progress: ProgressCallback = no_progress
) -> list[CaseError]:
    """Prepare every checked case of a work directory that is missing or out of date.

    Args:
        work: Holds ``run.json``, ``check.json`` and ``splits.json``.
        jobs: Processes, where ``parallel`` is not given.
        parallel: Processes and their memory, a share of the cases, or a Dask cluster.
        progress: Called after each case.

    Returns:
        The cases that could not be prepared; the others are.

    Raises:
        CaseError: The reference case cannot be used.
        WorkDirError: The run has not been checked or split, or the split does not fit the check.
        InUseError: Another process prepares the same share of the cases.
    """
    parallel = parallel or ParallelConfig(jobs=jobs)
    work = work.resolve()  # workers may stand elsewhere
    config = load_config(work).prepare
    cases = [checked.as_case() for checked in load_check(work).cases]
    with hold(work, share_name("prepare", parallel.shard), "hnseg prepare"):
        with hold(work, "harmonizer", "hnseg prepare, fitting the harmonization", wait=True):  # shares begin together
            harmonizer = fit_harmonizer(work, jobs=parallel.jobs, progress=progress)
        preparer = _Preparer(work, config, harmonizer.digest, preparation_key(config, harmonizer))
        need: Callable[[Case], int] = functools.partial(_need, config)
        return run_cases(
            preparer, cases, case_id=lambda case: case.id, parallel=parallel, need_bytes=need, progress=progress
        )


def _need(config: PrepareConfig, case: Case) -> int:
    """Memory to prepare a case; a file that cannot be read needs none, and is reported when its turn comes."""
    try:
        return memory_need(case, config)
    except CaseError:
        return 0
