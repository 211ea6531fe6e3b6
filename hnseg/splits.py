"""Held-out test cases and cross-validation folds, stratified, from a seed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from hnseg.cohort import CheckedCase
from hnseg.config import SplitConfig
from hnseg.errors import CohortError
from hnseg.workdir import read_json, write_json


@dataclass(frozen=True)
class Splits:
    """Which cases train, validate and test.

    Attributes
    ----------
    seed : int
    test : tuple of str
        Held out from every fold.
    folds : tuple of tuple of str
        The validation part of each fold; its training part is everything else that is not test.
    reference : str
        The case whose spectrum harmonizes all others. It is in the training part of every fold and in no validation
        part, so that nothing of a validation or test case enters the harmonization.
    """

    seed: int
    test: tuple[str, ...]
    folds: tuple[tuple[str, ...], ...]
    reference: str

    def train_ids(self, fold: int) -> list[str]:
        """Training cases of a fold, sorted."""
        others = {case_id for k, ids in enumerate(self.folds) if k != fold for case_id in ids}
        return sorted(others | {self.reference})


def make_splits(cases: Sequence[CheckedCase], config: SplitConfig, seed: int) -> Splits:
    """Deal the cases, stratified by centre and lesion presence.

    Cases are shuffled within their stratum, strata are laid one after the other, and the test cases are taken at even
    steps along that line, the folds dealt round from the rest: every stratum is spread as evenly as its size allows.
    Cases without a label are test cases (they can be predicted only).

    The reference is the training case with the head found and most of its box in view; ties go to the smaller ID.

    Raises
    ------
    CohortError
        Fewer labelled cases than the folds need.
    """
    rng = np.random.default_rng(np.random.SeedSequence([seed, 0]))
    strata: dict[tuple[str, bool, bool], list[CheckedCase]] = defaultdict(list)
    for case in sorted(cases, key=lambda c: c.id):
        if case.label is not None:
            strata[case.centre, bool(case.gtvp_ml), bool(case.gtvn_ml)].append(case)
    line = [members[i] for _, members in sorted(strata.items()) for i in rng.permutation(len(members))]
    tests = round(config.test_fraction * len(line))
    picked = {int((i + 0.5) * len(line) / tests) for i in range(tests)}
    rest = [case for i, case in enumerate(line) if i not in picked]
    if len(rest) < config.folds + 1:
        raise CohortError(
            f"{len(rest)} labelled cases are left for training; {config.folds} folds and a reference need at least "
            f"{config.folds + 1}: use fewer folds or more cases"
        )
    reference = min(rest, key=lambda c: (not c.head_found, -c.in_view, c.id))
    dealt = [case for case in rest if case is not reference]
    folds = tuple(tuple(sorted(case.id for case in dealt[k :: config.folds])) for k in range(config.folds))
    unlabelled = [case.id for case in cases if case.label is None]
    test = tuple(sorted([line[i].id for i in picked] + unlabelled))
    return Splits(seed, test, folds, reference.id)


def save_splits(splits: Splits, work: Path) -> None:
    """Write ``splits.json``."""
    write_json(work / "splits.json", asdict(splits))


def load_splits(work: Path) -> Splits:
    """Read ``splits.json``."""
    content = read_json(work / "splits.json", "split")
    return Splits(
        content["seed"],
        tuple(content["test"]),
        tuple(tuple(fold) for fold in content["folds"]),
        content["reference"],
    )
