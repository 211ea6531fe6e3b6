"""The rules of a scorer: every point that the challenge's text leaves open, decided and recorded.

Three numbers rank HECKTOR 2025 Task 1: the mean GTVp Dice over patients, the aggregated GTVn Dice and the aggregated
GTVn lesion F1 (hecktor25.grand-challenge.org, "Tasks and evaluation"). The official scorer is not public; where the
text leaves a point open, :class:`Rules` names it, with a default that is argued there. Of HECKTOR 2022 the scorer is
public (github.com/voreille/hecktor): :data:`HECKTOR_2022` repeats what it does.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from hnseg.errors import HnsegError
from hnseg.images.components import Connectivity, Matching

Score = float | None  # None: 0/0, never a silent 0 or 1
EmptyTruth = Literal["score", "skip", "zero"]
ZeroDivision = Literal["undefined", "one", "zero"]
Challenge = Literal["2025", "2022"]


CHOICES: dict[str, tuple[object, ...]] = {
    "challenge": get_args(Challenge),
    "connectivity": get_args(Connectivity),
    "matching": get_args(Matching),
    "strict": (True, False),
    "empty_truth": get_args(EmptyTruth),
    "aggregate": ("ml", "voxels"),
    "zero_division": get_args(ZeroDivision),
}
RANGES: dict[str, tuple[str, Callable[[float], bool]]] = {
    "iou_threshold": ("in [0, 1)", lambda value: 0 <= value < 1),
    "min_lesion_ml": ("≥ 0 and finite", lambda value: 0 <= value < math.inf),
    "tolerance_mm": ("> 0 and finite", lambda value: 0 < value < math.inf),
}


@dataclass(frozen=True)
class Rules:
    """Every point on which two scorers of the same challenge could differ.

    Attributes:
        challenge ({"2025", "2022"}): Which scores stand at the top (:func:`hnseg.evaluation.score_specs.headline`), and
            where a prediction has to lie. 2025: on the truth's own grid, "will not be resampled if this is not the
            case". 2022: the prediction must have the truth's spacing (numpy's ``allclose`` with ``atol=1e-6``) and is
            brought onto its grid by nearest neighbor, so that a cropped mask with a right origin is legal; outside of
            it is background.
        connectivity ({6, 18, 26}): What a lesion is. Default 26: a node drawn on thick slices may be joined by a corner
            only.
        matching ({"greedy", "hungarian", "grouped"}): See :func:`hnseg.images.components.match_lesions`. Default
            greedy: one lesion, one detection.
        iou_threshold, strict (float, bool): "Detection is for IoU>30%": 0.3, strictly above.
        empty_truth ({"score", "skip", "zero"}): GTVp Dice of a case whose truth has no GTVp. ``score`` (default, as
            HERMES): 1 when the prediction is empty too, else 0, because a patient without a primary tumor is a patient
            like any other, and a false alarm has to cost something. It also gives an empty mask 1.0 on those cases.
            ``skip``: the case has no GTVp Dice (as MONAI's DiceMetric). ``zero``: 0 whatever was predicted (as
            SimpleITK's overlap filter).
        aggregate ({"ml", "voxels"}): What the aggregated Dice sums. Default ml, as the 2022 scorer: patients count by
            volume, not by voxel size.
        zero_division ({"undefined", "one", "zero"}): An aggregated score over a cohort in which neither truth nor
            prediction has the class (0/0). Default undefined: there was nothing to measure. ``one``: as the
            ``DiceAggScore`` of the 2025 baseline and AIV.
        min_lesion_ml (float ≥ 0): GTVn components smaller than this are no lesions, on both sides, when lesions are
            counted (Dice keeps them). Default 0, since the text names no least size.
        tolerance_mm (float > 0): Surface Dice: how far apart two surfaces may be and still agree. Default 3 mm, the
            usual slice thickness of the challenge's CT: an outline that is off by a slice is as good as the scan. The
            challenge does not score it.
    """

    challenge: Challenge = "2025"
    connectivity: Connectivity = 26
    matching: Matching = "greedy"
    iou_threshold: float = 0.3
    strict: bool = True
    empty_truth: EmptyTruth = "score"
    aggregate: Literal["ml", "voxels"] = "ml"
    zero_division: ZeroDivision = "undefined"
    min_lesion_ml: float = 0.0
    tolerance_mm: float = 3.0

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} {getattr(self, name)!r}: choose one of {', '.join(map(str, choices))}")
        for name, (text, is_allowed) in RANGES.items():
            if not is_allowed(getattr(self, name)):
                raise ValueError(f"{name} {getattr(self, name)}: must be {text}")

    @property
    def empty_value(self) -> Score:
        """The value of an aggregated score without anything to measure."""
        values: dict[ZeroDivision, Score] = {"undefined": None, "one": 1.0, "zero": 0.0}
        return values[self.zero_division]

    def as_dict(self) -> dict[str, object]:
        """JSON-ready form; ``Rules(**d)`` gives the rules back."""
        return asdict(self)

    def replace(self, changes: Mapping[str, Any]) -> Rules:
        """These rules with some points decided otherwise, validated."""
        return dataclasses.replace(self, **changes)


def parse_rules(preset: Rules, settings: Iterable[str]) -> Rules:
    """A preset with some points decided otherwise, as a command line gives them.

    Args:
        preset: The rules to change.
        settings: ``key=value``; keys are the attributes of :class:`Rules` but ``challenge``, which is the preset's.

    Raises:
        HnsegError: No ``=``, a key that is unknown or given twice, or a value that is not allowed.

    >>> parse_rules(HECKTOR_2025, ["connectivity=6", "strict=false"]).connectivity
    6
    """
    changes: dict[str, object] = {}
    for setting in settings:
        key, sign, text = setting.partition("=")
        if not sign:
            raise HnsegError(f"rule {setting!r}: expected key=value; keys are {', '.join(RULE_KEYS)}")
        if key not in RULE_KEYS:
            near = [name for name in RULE_KEYS if key and name.startswith(key)]
            near = near or difflib.get_close_matches(key, RULE_KEYS, n=1, cutoff=0.5)
            hint = f"is {near[0]!r} meant? " if near else ""
            raise HnsegError(f"there is no rule {key!r}; {hint}Rules are {', '.join(RULE_KEYS)}")
        if key in changes:
            raise HnsegError(f"rule {key!r} is given twice")
        changes[key] = _parse_value(key, text)
    return preset.replace(changes)


def _parse_value(key: str, text: str) -> object:
    """The value of a rule from its text; its range is checked as well."""
    if key in CHOICES:
        known = {str(choice).lower(): choice for choice in CHOICES[key]}
        if text.lower() not in known:
            raise HnsegError(f"rule {key}={text}: allowed are {', '.join(known)}")
        return known[text.lower()]
    allowed, is_allowed = RANGES[key]
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not is_allowed(value):
        raise HnsegError(f"rule {key}={text}: allowed is a number {allowed}")
    return value


HECKTOR_2025 = Rules()
HECKTOR_2022 = Rules(challenge="2022")
PRESETS: dict[str, Rules] = {"2025": HECKTOR_2025, "2022": HECKTOR_2022}
RULE_KEYS = tuple(key for key in HECKTOR_2025.as_dict() if key != "challenge")
