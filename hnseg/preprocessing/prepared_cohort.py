"""The prepared cases of a run, opened only if they were made from the run's files and settings as they are now.

Training, tuning, planning and prediction read prepared cases through this module, so that none of them works on cases
of an earlier split, of other settings, or of files that have changed.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hnseg.cohort.cases import Case
from hnseg.cohort.checked_cohort import CheckedCase
from hnseg.cohort.splits import Splits, load_split_cohort
from hnseg.errors import CaseError
from hnseg.preprocessing.case_key import case_key
from hnseg.preprocessing.harmonizer_store import load_harmonizer
from hnseg.preprocessing.image_versions import FINAL
from hnseg.preprocessing.prepare_case import case_cache, failure_cache, preparation_key
from hnseg.preprocessing.prepared_case import FAILURE, FailureRecord, PreparedCase, open_case
from hnseg.workdir import load_config, read_record
from ssimh.files.artifact_cache import RECORD

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class PreparedCohort:
    """The prepared cases of a run; small enough to be sent to a worker process.

    Attributes:
        work: Work directory of the run.
        cases: Usable cases by ID.
        splits: Who trains, validates and tests.
        preparation: What all prepared cases depend on, see
            :func:`hnseg.preprocessing.prepare_case.preparation_key`.
    """

    work: Path
    cases: Mapping[str, CheckedCase]
    splits: Splits
    preparation: Mapping[str, object]

    def open_case(self, case_id: str, version: str = FINAL) -> PreparedCase:
        """Open a case that is up to date.

        Raises:
            CaseError: It is not prepared, could not be, or was prepared from something else.
        """
        return open_current_case(self.work, self.cases[case_id].as_case(), self.preparation, version)

    def open_cases(self, case_ids: Sequence[str], version: str = FINAL) -> list[PreparedCase]:
        """Open those of the cases that can be prepared; the others are left out with a warning.

        Raises:
            CaseError: A case is not prepared yet, or was prepared from something else.
        """
        opened = []
        for case_id in case_ids:
            reason = self.failure(case_id)
            if reason is None:
                opened.append(self.open_case(case_id, version))
            else:
                _LOG.warning("left out, since it cannot be prepared: %s", reason)
        return opened

    def failure(self, case_id: str) -> str | None:
        """Why the case cannot be prepared as its files and the settings are now; None where that is not known."""
        key = case_key(self.cases[case_id].as_case(), self.preparation, may_be_absent=True)
        return find_failure(self.work / "prepared" / case_id, key)


def open_cohort(work: Path) -> PreparedCohort:
    """The prepared cases of a work directory.

    Raises:
        WorkDirError: The run is not checked or split, the split does not fit the check, or the harmonizer is missing or
            was fitted on something else.
    """
    cohort = load_split_cohort(work)
    preparation = preparation_key(load_config(work).prepare, load_harmonizer(work))
    return PreparedCohort(work, cohort.cases, cohort.splits, preparation)


def open_current_case(work: Path, case: Case, preparation: Mapping[str, object], version: str = FINAL) -> PreparedCase:
    """Open a prepared case if it is the one that would be prepared now.

    Args:
        work: Work directory of the run.
        case: Its files; those that are not on this machine count as unchanged.
        preparation: See :func:`hnseg.preprocessing.prepare_case.preparation_key`.
        version: Of the image.

    Raises:
        CaseError: It is not prepared, could not be, or was prepared from something else.
        WorkDirError: It is damaged.
    """
    folder = work / "prepared" / case.id
    key = case_key(case, preparation, may_be_absent=True)
    reason = find_failure(folder, key)
    if reason is not None:
        raise CaseError(case.id, f"the case cannot be prepared: {reason}; then run `hnseg prepare`", folder)
    differences = case_cache(folder, key).find_differences()
    if differences == (RECORD,):
        raise CaseError(case.id, "the case is not prepared: run `hnseg prepare`", folder)
    if differences:
        raise CaseError(case.id, f"out of date ({', '.join(differences)} differ): run `hnseg prepare`", folder)
    return open_case(folder, version)


def find_failure(folder: Path, key: Mapping[str, object]) -> str | None:
    """Why a case could not be prepared from the files and settings of a key; None where that is not known."""
    if not failure_cache(folder, key).is_current():
        return None
    return read_record(folder / FAILURE, FailureRecord, "prepare").reason
