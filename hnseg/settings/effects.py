"""What a setting concerns: the stages that read it, the commands that may change it, the results that it outdates.

A setting concerns what its section concerns (:data:`READ_BY_SECTION`), but for the exceptions of :data:`READ_BY`. A
result is out of date (stale) if it would be made differently now: because its own stage reads the changed setting, or
because it is made from a result that is stale.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, get_args

from hnseg.errors import OptionError
from hnseg.settings.building import flatten
from hnseg.settings.config import Config

Stage = Literal["check", "split", "prepare", "train", "tune", "predict", "evaluate"]
STAGES: tuple[Stage, ...] = get_args(Stage)  # in their order

READ_BY_SECTION: Mapping[str, tuple[Stage, ...]] = {
    "split": ("split",),
    "prepare": ("prepare",),
    "train": ("train",),
    "predict": ("tune", "predict"),
}
READ_BY: Mapping[str, tuple[Stage, ...]] = {
    "preset": (),  # a name: init lays its values down as settings
    "seed": ("split", "train"),
    # The check shows the crop, and judges by it what of a head is in view.
    **dict.fromkeys(("prepare.spacing_mm", "prepare.box_mm", "prepare.crop"), ("check", "prepare")),
    "prepare.registration": ("check", "prepare"),
    # The check states the resolution of the centers where it is aligned.
    "prepare.pet_resolution": ("check", "prepare"),
    # The reference subject of the harmonization is kept out of the validation parts.
    **dict.fromkeys(("prepare.harmonization", "prepare.reference"), ("split", "prepare")),
}
SPEED_ONLY = frozenset({"train.workers", "train.tensorboard"})  # read by training, and no result depends on them

RESULTS: Mapping[Stage, str] = {
    "check": "check.json, check.html",
    "split": "splits.json",
    "prepare": "the prepared cases",
    "train": "the models",
    "tune": "the out-of-fold masks and the tuned post-processing",
    "predict": "the predictions",
    "evaluate": "the scores, the report and the figures",
}


def find_changes(before: Config, now: Config) -> tuple[str, ...]:
    """Dotted names of the settings that differ, in the order of the fields.

    >>> find_changes(Config.from_preset("demo"), Config.from_preset("demo", seed=1, folds=3))
    ('seed', 'split.folds')
    """
    known = flatten(before)
    return tuple(name for name, value in flatten(now).items() if known[name] != value)


def stages_reading(name: str) -> tuple[Stage, ...]:
    """The stages that read a setting themselves, in their order.

    Args:
        name: Dotted name of a setting.

    Raises:
        OptionError: There is no such section.

    >>> stages_reading("prepare.crop"), stages_reading("train.augment.flip_p")
    (('check', 'prepare'), ('train',))
    """
    if name in READ_BY:
        return READ_BY[name]
    section = name.partition(".")[0]
    if section not in READ_BY_SECTION:
        allowed = ", ".join([*READ_BY_SECTION, "preset", "seed"])
        raise OptionError(f"{name}: there is no such section of settings; there are {allowed}")
    return READ_BY_SECTION[section]


def check_settable(names: Iterable[str], command: Stage) -> None:
    """Refuse settings that neither a command nor any later stage reads.

    Args:
        names: Dotted names of settings.
        command: That is asked to change them.

    Raises:
        OptionError: Names the setting, and the last command that takes it.
    """
    for name in names:
        reading = stages_reading(name)
        if not reading:
            raise OptionError(f"--set {name}: hnseg {command} does not take it; only `hnseg init` does")
        if STAGES.index(reading[-1]) < STAGES.index(command):
            takes = " and ".join(f"`hnseg {stage}`" for stage in ("init", *reading))
            raise OptionError(f"--set {name}: nothing that hnseg {command} or a later stage does reads it; {takes} do")


def stale_stages(before: Config, now: Config) -> tuple[Stage, ...]:
    """The stages whose kept results are out of date after a change of settings, in their order.

    A new crop does not outdate the split: who is in which fold stays. Neither does a harmonization that needs no
    reference subject any more: the subject goes on to train in every fold.

    >>> paper = Config.from_preset("paper")
    >>> longer = paper.model_copy(update={"train": paper.train.model_copy(update={"epochs": 500})})
    >>> stale_stages(paper, longer)
    ('train', 'tune', 'predict', 'evaluate')
    """
    found: set[Stage] = set()
    for name in find_changes(before, now):
        if name not in SPEED_ONLY:
            found.update(stages_reading(name))
        if name == "preset":
            found.add("train")  # models know the whole of what they were begun with
    if not needs_new_split(before, now):
        found.discard("split")
    made_from = [stage for stage in found if stage != "check"]  # the check is looked at, and not computed with
    if made_from:
        found.update(STAGES[min(STAGES.index(stage) for stage in made_from) :])
    return tuple(stage for stage in STAGES if stage in found)


def needs_new_split(before: Config, now: Config) -> bool:
    """Whether a split that was dealt with some settings does not serve others."""
    if (before.seed, before.split) != (now.seed, now.split):
        return True
    same_subject = before.prepare.needs_reference and before.prepare.reference == now.prepare.reference
    return now.prepare.needs_reference and not same_subject


def describe_stale(stages: Iterable[Stage]) -> str:
    """The results of stages, for a message: ``the prepared cases; the models``."""
    return "; ".join(RESULTS[stage] for stage in stages)
