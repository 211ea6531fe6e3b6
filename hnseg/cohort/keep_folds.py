"""The split of one run for another one that shares its folds, so that the two can be compared case by case."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hnseg.cohort.checked_cohort import CheckedCase
from hnseg.cohort.splits import Splits
from hnseg.errors import CohortError
from hnseg.settings.prepare import PrepareConfig


def keep_folds(splits: Splits, cases: Sequence[CheckedCase], prepare: PrepareConfig) -> Splits:
    """The same test cases and folds; only the reference subject is moved, where the harmonization asks for another.

    The new reference subject leaves its validation part, and one that was set aside before goes on to train in every
    fold. So every case is validated by the same fold as before, but for the new reference subject, which neither run
    can be compared on. A harmonization without a reference subject keeps the split as it is.

    Args:
        splits: Of the other run.
        cases: Its usable cases.
        prepare: Settings of preparation of this run.

    Raises:
        CohortError: The reference subject is a test case; it is alone in its validation part; or the folds are centers,
            one of which holds it.
    """
    if not prepare.needs_reference:
        return splits
    reference = _find_reference(splits, cases, prepare.reference)
    if reference == splits.reference:
        return splits
    if reference in splits.test:
        raise CohortError(f"prepare.reference {reference} is a test case of the split: choose a training case")
    held_out = [k for k, fold in enumerate(splits.folds) if reference in fold]
    if held_out and splits.kind == "centers":
        raise CohortError(
            f"prepare.reference {reference} belongs to {splits.held_out[held_out[0]]}, which a fold holds out as a "
            "center: split anew with `hnseg split --leave-one-center-out`"
        )
    folds = tuple(tuple(case_id for case_id in fold if case_id != reference) for fold in splits.folds)
    if not all(folds):
        raise CohortError(f"prepare.reference {reference} is the only validation case of fold {held_out[0]}")
    aside = {*splits.always_train, *([splits.reference] if splits.reference else [])} - {reference}
    return replace(splits, folds=folds, reference=reference, always_train=tuple(sorted(aside)))


def _find_reference(splits: Splits, cases: Sequence[CheckedCase], wanted: str) -> str | None:
    """ID of the reference subject; None where it is a file."""
    if wanted:
        return wanted if wanted in splits.all_ids() else None
    if splits.reference is not None:
        return splits.reference
    training = set(splits.all_train_ids())
    best = min(
        (case for case in cases if case.id in training),
        key=lambda case: (not case.head_found, -case.in_view, case.id),
        default=None,
    )
    return None if best is None else best.id
