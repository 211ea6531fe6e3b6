"""The reference subject of a run: which case a split has to keep in training, or which file stands in its place."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from hnseg.cohort.checked_cohort import CohortCheck
from hnseg.errors import CohortError, listed
from hnseg.settings.config import Config
from hnseg.settings.prepare import PrepareConfig


@dataclass(frozen=True)
class ReferenceChoice:
    """Which case a split keeps in the training part of every fold, as the reference of all others.

    Attributes:
        needed: Whether there has to be one.
        case_id: Which one; None: the training case with the head found and most of its box in view.
    """

    needed: bool = True
    case_id: str | None = None


BEST_CASE = ReferenceChoice()
NO_CASE = ReferenceChoice(needed=False)


def choose_reference(config: PrepareConfig, check: CohortCheck, work: Path) -> ReferenceChoice:
    """What ``prepare.harmonization`` and ``prepare.reference`` ask of a split.

    No case is set aside for a harmonization without a reference, nor for a reference file.

    Args:
        config: Settings.
        check: The cohort.
        work: Work directory; a relative path of a file is relative to it.

    Raises:
        CohortError: The reference is a case without a label or one that cannot be used, or neither a case nor a file.
    """
    name = config.reference
    if not config.needs_reference:
        return NO_CASE
    if not name:
        return BEST_CASE
    cases = {case.id: case for case in check.cases}
    if name in cases:
        if cases[name].label is None:
            raise CohortError(f"prepare.reference: {name} has no label, so it does not train; name a training case")
        return ReferenceChoice(case_id=name)
    if name in check.unusable:
        raise CohortError(f"prepare.reference: check left {name} out, since it cannot be used; name another case")
    if not reference_path(work, config).is_file():
        raise _unknown(name, reference_path(work, config), cases)
    return NO_CASE


def reference_path(work: Path, config: PrepareConfig) -> Path:
    """The file that ``prepare.reference`` names; a relative path is relative to the work directory."""
    return work.resolve() / config.reference


def resolve_reference(config: Config, cases: Collection[str]) -> Config:
    """Make the path of a reference file absolute, so that it means the same in every folder.

    Args:
        config: As a user has written it; a relative path is relative to the current folder.
        cases: IDs of the cohort; an ID wins over a file of the same name.

    Raises:
        CohortError: The reference is neither a case nor a file.
    """
    name = config.prepare.reference
    if not name or name in cases:
        return config
    path = Path(name).resolve()
    if not path.is_file():
        raise _unknown(name, path, cases)
    return config.model_copy(update={"prepare": config.prepare.model_copy(update={"reference": str(path)})})


def _unknown(name: str, path: Path, cases: Collection[str]) -> CohortError:
    near = difflib.get_close_matches(name, cases, n=3)
    hint = f"; near is {listed(near)}" if near else ""
    return CohortError(f"prepare.reference: {name!r} is neither a case of the cohort nor a file ({path}){hint}")


def drop_reference_folder(config: Config) -> Config:
    """The same settings with the bare name of a reference file, for an export; an ID stays."""
    name = Path(config.prepare.reference).name
    return config.model_copy(update={"prepare": config.prepare.model_copy(update={"reference": name})})
