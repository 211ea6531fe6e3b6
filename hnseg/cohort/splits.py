"""Held-out test cases and cross-validation folds: dealt evenly, one per center, or taken from a published list."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import ConfigDict

from hnseg.cohort.checked_cohort import CheckedCase, load_check
from hnseg.cohort.published_splits import PublishedFold
from hnseg.cohort.reference import BEST_CASE, ReferenceChoice
from hnseg.errors import CohortError, WorkDirError, listed
from hnseg.settings.config_file import CONFIG_FILE
from hnseg.settings.split import SplitConfig
from hnseg.workdir import read_config, read_record, write_json

Kind = Literal["stratified", "centers", "published"]


@dataclass(frozen=True)
class Splits:
    """Which cases train, validate and test.

    Attributes:
        seed: Seed of everything random.
        test: Held out from every fold.
        folds: The validation part of each fold; its training part is everything else that is not test.
        reference: The case whose spectrum harmonizes all others. It is in the training part of every fold and in no
            validation part, so that nothing of a validation or test case enters the harmonization. With one fold per
            center the same holds for its whole center. None where the run's harmonization needs none, or takes a file.
        always_train: Further cases that are in the training part of every fold.
        kind: {"stratified", "centers", "published"}.
        held_out: With one fold per center: which one each fold holds out.
        notes: What the split could not do as requested.
        settings: With which it was dealt; None for published folds.
    """

    seed: int
    test: tuple[str, ...]
    folds: tuple[tuple[str, ...], ...]
    reference: str | None
    always_train: tuple[str, ...] = ()
    kind: Kind = "stratified"
    held_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    settings: SplitConfig | None = None

    __pydantic_config__ = ConfigDict(extra="forbid")  # an unknown part might be cases that train

    @property
    def digest(self) -> str:
        """Content hash of who trains, validates and tests; the order within a part does not matter."""
        parts = {
            "test": sorted(self.test),
            "folds": [sorted(fold) for fold in self.folds],
            "reference": self.reference,
            "always_train": sorted(self.always_train),
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def all_ids(self) -> list[str]:
        """Every case of every part, as often as it is named."""
        reference = [self.reference] if self.reference else []
        return [*self.test, *self.always_train, *(i for fold in self.folds for i in fold), *reference]

    def all_train_ids(self) -> list[str]:
        """Everything that is not test, sorted."""
        return sorted(set(self.all_ids()) - set(self.test))

    def train_ids(self, fold: int) -> list[str]:
        """Training cases of a fold, sorted."""
        others = {case_id for k, ids in enumerate(self.folds) if k != fold for case_id in ids}
        return sorted(others | set(self.always_train) | ({self.reference} if self.reference else set()))


def make_splits(
    cases: Sequence[CheckedCase],
    config: SplitConfig,
    seed: int,
    *,
    reference: ReferenceChoice = BEST_CASE,
    test: Iterable[str] | None = None,
) -> Splits:
    """Deal the cases, stratified by center and lesion presence.

    Cases are shuffled within their stratum, strata are laid one after the other, and the test cases are taken at even
    steps along that line, the folds dealt round from the rest: every stratum is spread as evenly as its size allows.
    Cases without a label are test cases (they can be predicted only).

    The reference, unless a case is named, is the training case with the head found and most of its box in view; ties go
    to the smaller ID.

    Args:
        cases: Usable cases of the cohort.
        config: Number of folds and share of test cases.
        seed: Seed of everything random, ≥ 0.
        reference: Which case is set aside for harmonization, see :func:`hnseg.cohort.reference.choose_reference`.
        test: IDs of the test cases, in place of a share of the line.

    Raises:
        CohortError: Fewer labeled cases than the folds need, a test case that is none of the cohort, or a reference
            that is a test case.
    """
    held_out, rest = _hold_out(cases, config, seed, test, reference)
    least = config.folds + int(reference.needed)
    if len(rest) < least:
        needs = f"{config.folds} folds{' and a reference' if reference.needed else ''} need at least {least}"
        raise CohortError(f"{len(rest)} labeled cases are left for training; {needs}: use fewer folds or more cases")
    aside = _find_reference(rest, reference)
    dealt = [case for case in rest if case is not aside]
    folds = tuple(_ids(dealt[k :: config.folds]) for k in range(config.folds))
    return Splits(seed, held_out, folds, aside.id if aside else None, settings=config)


def leave_one_center_out(
    cases: Sequence[CheckedCase],
    config: SplitConfig,
    seed: int,
    *,
    reference: ReferenceChoice = BEST_CASE,
    test: Iterable[str] | None = None,
) -> Splits:
    """One fold per center, which validates on all its cases and trains on those of the others.

    Where the harmonization moves every case to one reference subject, a fold that held out this subject's center would
    still show that center to the network, through every harmonized training case. So that center, the largest unless a
    case is named, is in the training part of every fold, and no fold holds it out; a note says so. Harmonizations
    without a reference subject, and reference files, get a fold for every center, and no reference.

    Args:
        cases: Usable cases of the cohort.
        config: Share of test cases; the number of folds is that of the centers.
        seed: Seed of everything random, ≥ 0.
        reference: Which case is set aside for harmonization, see :func:`hnseg.cohort.reference.choose_reference`.
        test: IDs of the test cases, in place of a share.

    Raises:
        CohortError: Fewer than two centers to hold out, a test case that is none of the cohort, or a reference that is
            a test case.
    """
    held_out, rest = _hold_out(cases, config, seed, test, reference)
    sizes = Counter(case.center for case in rest)
    least = 3 if reference.needed else 2
    if len(sizes) < least:
        raise CohortError(
            f"the labeled cases left for training come from {len(sizes)} center(s), {', '.join(sorted(sizes))}; "
            f"a fold per center needs {least} with this harmonization (the center is the ID up to its last hyphen, "
            "or a column of the cohort's table)"
        )
    aside = _find_reference(rest, reference)
    if aside is None:
        centers = sorted(sizes)
        folds = tuple(_ids(case for case in rest if case.center == center) for center in centers)
        return Splits(seed, held_out, folds, None, kind="centers", held_out=tuple(centers), settings=config)
    home = aside.center
    if reference.case_id is None:
        home = min(sizes, key=lambda center: (-sizes[center], center))
        aside = best_in_view([case for case in rest if case.center == home])
    always = _ids(case for case in rest if case.center == home and case is not aside)
    centers = sorted(set(sizes) - {home})
    folds = tuple(_ids(case for case in rest if case.center == center) for center in centers)
    note = (
        f"{home} is the center of the reference {aside.id} and trains in every fold: no fold holds it out. "
        "With spectrum-align, no harmonization or a reference file every center gets a fold"
    )
    return Splits(seed, held_out, folds, aside.id, always, "centers", tuple(centers), (note,), config)


def published_splits(
    cases: Sequence[CheckedCase],
    published: Sequence[PublishedFold],
    seed: int,
    *,
    reference: ReferenceChoice = BEST_CASE,
    test: Iterable[str] | None = None,
) -> Splits:
    """Folds of a published list, such as the challenge's ``splits_final.json``.

    IDs that are no case of the cohort are left out, and labeled cases that no fold names become test cases; both
    are noted. Where the harmonization needs a reference subject, it is taken out of its validation part and trains in
    every fold.

    Args:
        cases: Usable cases of the cohort.
        published: See :func:`hnseg.cohort.published_splits.read_folds`.
        seed: Kept in the split; nothing is drawn.
        reference: Which case is set aside for harmonization, see :func:`hnseg.cohort.reference.choose_reference`.
        test: IDs of the test cases, which are taken out of the folds.

    Raises:
        CohortError: The reference is a test case or in no fold; the list holds too few cases of the cohort for one of
            its folds, or its training parts are not everything that its validation parts leave.
    """
    known = {case.id: case for case in cases if case.label is not None}
    named = {case_id for fold in published for case_id in (*fold.train, *fold.val)}
    chosen = _check_ids(cases, test, reference) if test is not None else set()
    usable = (named & known.keys()) - chosen
    validated = {case_id for fold in published for case_id in fold.val} & usable
    always = usable - validated
    for k, fold in enumerate(published):
        expected, found = usable - set(fold.val), usable & set(fold.train)
        if expected != found:
            raise CohortError(
                f"fold {k} of the list does not train on what it does not validate: "
                f"{listed(sorted(expected ^ found))}; a case must be in the training or the validation part of every "
                "fold, and in one validation part at most"
            )
    notes = []
    unknown = named - {case.id for case in cases}
    if unknown:
        names = listed(sorted(unknown))
        notes.append(f"{len(unknown)} IDs of the list are no usable case of the cohort and left out: {names}")
    unnamed = known.keys() - named - chosen
    if unnamed:
        names = listed(sorted(unnamed))
        notes.append(f"{len(unnamed)} labeled cases are in no fold of the list; they are test cases: {names}")
    if reference.case_id in unnamed:
        raise CohortError(f"the reference {reference.case_id} is in no fold of the list, so it does not train")
    aside = None
    if usable:
        some = usable if reference.case_id is not None else always or usable
        aside = _find_reference([known[case_id] for case_id in sorted(some)], reference)
    if aside is not None and aside.id in validated:
        notes.append(f"{aside.id} is the reference and trains in every fold; the list validates on it")
    taken = {aside.id} if aside else set()
    folds = tuple(tuple(sorted((set(fold.val) & usable) - taken)) for fold in published)
    empty = [str(k) for k, ids in enumerate(folds) if not ids]
    if empty:
        raise CohortError(
            f"fold {', '.join(empty)} of the list has no labeled case of the cohort in its validation part; "
            f"{len(usable)} of the list's {len(named)} cases are in the cohort"
        )
    unlabeled = {case.id for case in cases if case.label is None}
    held_out = tuple(sorted(chosen | unnamed | unlabeled))
    identity = aside.id if aside else None
    return Splits(seed, held_out, folds, identity, tuple(sorted(always - taken)), "published", (), tuple(notes))


def _hold_out(
    cases: Sequence[CheckedCase],
    config: SplitConfig,
    seed: int,
    test: Iterable[str] | None,
    reference: ReferenceChoice,
) -> tuple[tuple[str, ...], list[CheckedCase]]:
    """The test cases, and the labeled others in the order in which they are dealt."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, 0]))
    strata: dict[tuple[str, bool, bool], list[CheckedCase]] = defaultdict(list)
    for case in sorted(cases, key=lambda c: c.id):
        if case.label is not None:
            strata[case.center, bool(case.gtvp_ml), bool(case.gtvn_ml)].append(case)
    line = [members[i] for _, members in sorted(strata.items()) for i in rng.permutation(len(members))]
    if test is None:
        count = round(config.test_fraction * len(line))
        drawn = [case.id for case in line if case.id != reference.case_id]
        chosen = {drawn[int((i + 0.5) * len(drawn) / count)] for i in range(count)}
    else:
        chosen = _check_ids(cases, test, reference)
    unlabeled = {case.id for case in cases if case.label is None}
    return tuple(sorted(chosen | unlabeled)), [case for case in line if case.id not in chosen]


def _check_ids(cases: Sequence[CheckedCase], test: Iterable[str], reference: ReferenceChoice) -> set[str]:
    chosen = set(test)
    unknown = chosen - {case.id for case in cases}
    if unknown:
        raise CohortError(
            f"{listed(sorted(unknown))} of the test list: no such usable case of the cohort; a typo would leak "
            "that case into training"
        )
    if reference.case_id in chosen:
        raise CohortError(f"the reference {reference.case_id} is in the test list; a reference trains in every fold")
    return chosen


def _find_reference(cases: Sequence[CheckedCase], reference: ReferenceChoice) -> CheckedCase | None:
    """The case that is set aside, of those that train; None where there is to be none."""
    if not reference.needed:
        return None
    if reference.case_id is None:
        return best_in_view(cases)
    found = next((case for case in cases if case.id == reference.case_id), None)
    if found is None:
        raise CohortError(f"the reference {reference.case_id} is no labeled case that can train")
    return found


def best_in_view(cases: Sequence[CheckedCase]) -> CheckedCase:
    """The case with the head found and most of its box in view; ties go to the smaller ID."""
    return min(cases, key=lambda c: (not c.head_found, -c.in_view, c.id))


def _ids(cases: Iterable[CheckedCase]) -> tuple[str, ...]:
    return tuple(sorted(case.id for case in cases))


def save_splits(splits: Splits, work: Path) -> None:
    """Write ``splits.json``."""
    settings = None if splits.settings is None else splits.settings.model_dump(mode="json")
    write_json(work / "splits.json", {**asdict(splits), "settings": settings})


def load_splits(work: Path) -> Splits:
    """Read ``splits.json``.

    Raises:
        WorkDirError: It is missing, damaged, of another shape, or puts a case in two places.
    """
    path = work / "splits.json"
    splits = read_record(path, Splits, "split")
    twice = [case_id for case_id, count in Counter(splits.all_ids()).items() if count > 1]
    if twice:
        raise WorkDirError(
            f"{path} puts {listed(sorted(twice))} in two places: training would leak into validation or test"
        )
    return splits


@dataclass(frozen=True)
class SplitCohort:
    """The usable cases of a run and their split, which name the same cases.

    Attributes:
        cases: By ID, in the order of ``check.json``.
        splits: Which of them train, validate and test.
    """

    cases: Mapping[str, CheckedCase]
    splits: Splits


def load_split_cohort(work: Path) -> SplitCohort:
    """Read ``check.json`` and ``splits.json``, and refuse a split of other cases or settings than those of the run.

    ``seed`` may differ: a run may train with another one on the same folds.

    Raises:
        WorkDirError: One is missing, damaged or of another shape; cases have vanished or were added since the split, or
            ``split.*`` was changed.
    """
    cases = {case.id: case for case in load_check(work).cases}
    splits = load_splits(work)
    split = set(splits.all_ids())
    vanished, added = sorted(split - cases.keys()), sorted(cases.keys() - split)
    if vanished or added:
        parts = [f"{listed(vanished)} can no longer be used"] if vanished else []
        parts += [f"{listed(added)} {'is' if len(added) == 1 else 'are'} in no part of the split"] if added else []
        raise WorkDirError(
            f"{work / 'splits.json'} does not fit {work / 'check.json'}: {'; '.join(parts)}. Restore the cohort, or "
            "remove splits.json and run `hnseg split` again; models of the old split then have to be trained again"
        )
    _refuse_other_settings(splits, work)
    return SplitCohort(cases, splits)


def _refuse_other_settings(splits: Splits, work: Path) -> None:
    """Refuse ``split.*`` in ``config.yaml`` that the folds were not dealt with: nothing would follow from them."""
    if splits.settings is None:
        return
    known, now = splits.settings.model_dump(), read_config(work).split.model_dump()
    if splits.kind == "centers":  # as many as there are
        del known["folds"]
    changed = [f"split.{name} is {now[name]}, was {known[name]}" for name in known if now[name] != known[name]]
    if changed:
        raise WorkDirError(
            f"{work / CONFIG_FILE}: {'; '.join(changed)} when {work / 'splits.json'} was dealt: put it back, or remove "
            "splits.json and the models and run `hnseg split` again"
        )
