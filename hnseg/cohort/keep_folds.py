"""The split of one run for another one that shares its folds, so that the two can be compared case by case."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hnseg.cohort.checked_cohort import CheckedCase
from hnseg.cohort.reference import ReferenceChoice
from hnseg.cohort.splits import Splits, best_in_view
from hnseg.errors import CohortError


def keep_folds(splits: Splits, cases: Sequence[CheckedCase], reference: ReferenceChoice) -> Splits:
    """The same test cases and folds; only the reference subject is moved, where the harmonization asks for another.

    The new reference subject leaves its validation part, and one that was set aside before goes on to train in every
    fold. So every case is validated by the same fold as before, but for the new reference subject, which only the other
    run may validate. Where no case is needed, the split stays as it is.

    Args:
        splits: Of the other run.
        cases: Its usable cases.
        reference: See :func:`hnseg.cohort.reference.choose_reference`; where it names no case, one that was set aside
            already is taken.

    Raises:
        CohortError: The reference subject is a test case; it is alone in its validation part; or the folds are centers,
            one of which holds it.
    """
    case_id = _find_case(splits, cases, reference)
    if case_id is None or case_id == splits.reference:
        return splits
    if case_id in splits.test:
        raise CohortError(f"prepare.reference {case_id} is a test case of the split: choose a training case")
    held_out = [k for k, fold in enumerate(splits.folds) if case_id in fold]
    if held_out and splits.kind == "centers":
        raise CohortError(
            f"prepare.reference {case_id} belongs to {splits.held_out[held_out[0]]}, which a fold holds out as a "
            "center: begin a run of its own, and split it with `hnseg split --leave-one-center-out`"
        )
    folds = tuple(tuple(other for other in fold if other != case_id) for fold in splits.folds)
    if not all(folds):
        raise CohortError(f"prepare.reference {case_id} is the only validation case of fold {held_out[0]}")
    aside = {*splits.always_train, *([splits.reference] if splits.reference else [])} - {case_id}
    return replace(splits, folds=folds, reference=case_id, always_train=tuple(sorted(aside)))


def _find_case(splits: Splits, cases: Sequence[CheckedCase], reference: ReferenceChoice) -> str | None:
    """ID of the reference subject; None where there is to be none."""
    if not reference.needed or reference.case_id is not None:
        return reference.case_id
    if splits.reference is not None:
        return splits.reference
    training = set(splits.all_train_ids())
    return best_in_view([case for case in cases if case.id in training]).id
