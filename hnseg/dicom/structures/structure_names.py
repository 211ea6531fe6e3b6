"""Names of structures and the labels that they are: patterns, in an order, the first that matches counts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from hnseg.cohort.labels import GTVN, GTVP, LESION_CLASSES
from hnseg.errors import OptionError

_SEPARATORS = re.compile("[ -]")
_OUTSIDE_BRACKETS = re.compile(r"(\[[^\]]*\])|[ -]")


@dataclass(frozen=True)
class NamePattern:
    """A pattern of names and the label of the structures that have such a name.

    Attributes:
        pattern: Shell pattern (``*``, ``?``, ``[…]``). Case does not count, and space, ``-`` and ``_`` are the same.
        label: 1 (GTVp) or 2 (GTVn).
    """

    pattern: str
    label: int

    def is_match(self, name: str) -> bool:
        """Whether a structure's name has this pattern.

        >>> NamePattern("GTVp*", 1).is_match("gtvp_left"), NamePattern("GTV_Mass", 1).is_match("GTV mass 2")
        (True, False)
        """
        return fnmatchcase(_normalize(name), _normalize_pattern(self.pattern))


# TG-263 (AAPM 2018) calls them GTVp and GTVn, with a number or a place behind. The others are names of public
# collections of head-and-neck and soft-tissue cases. No pattern takes every GTV: GTV_Edema is no tumor.
NAME_PATTERNS = (
    NamePattern("GTVp*", GTVP),
    NamePattern("GTVn*", GTVN),
    NamePattern("GTV_Primary*", GTVP),
    NamePattern("GTV_T", GTVP),
    NamePattern("GTV_Mass*", GTVP),
    NamePattern("GTV_Node*", GTVN),
    NamePattern("GTV_LN*", GTVN),
    NamePattern("GTV_N", GTVN),
)


@dataclass(frozen=True)
class NameMatch:
    """A structure's name and its label.

    Attributes:
        name: As the file has it.
        label: 1 (GTVp), 2 (GTVn), or None for a structure that is left out.
        pattern: The first pattern that matches; None where none does.
        other_patterns: Later patterns that match too and mean another label.
    """

    name: str
    label: int | None
    pattern: str | None
    other_patterns: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.label is None:
            return f"{self.name}: left out, no pattern matches"
        lesion = next(lesion.name for lesion in LESION_CLASSES if lesion.value == self.label)
        others = f"; {', '.join(self.other_patterns)} would match too" if self.other_patterns else ""
        return f"{self.name}: {lesion} (pattern {self.pattern}{others})"


def match_structure_names(
    names: Iterable[str], patterns: Sequence[NamePattern] = NAME_PATTERNS
) -> tuple[NameMatch, ...]:
    """The label of each structure, in the order of ``names``.

    Of several patterns that match, the first counts.

    >>> for match in match_structure_names(["GTVp1", "gtv-n", "Brainstem"]):
    ...     print(match)
    GTVp1: GTVp (pattern GTVp*)
    gtv-n: GTVn (pattern GTV_N)
    Brainstem: left out, no pattern matches
    """
    return tuple(_match_name(name, patterns) for name in names)


def parse_name_patterns(texts: Sequence[str]) -> tuple[NamePattern, ...]:
    """Patterns from ``PATTERN=LABEL`` texts; LABEL is a value (1, 2) or a name (GTVp, GTVn).

    Raises:
        OptionError: There is no ``=``, no pattern, or no such label.

    >>> parse_name_patterns(["Tumor*=GTVp"])
    (NamePattern(pattern='Tumor*', label=1),)
    """
    labels = {key: lesion.value for lesion in LESION_CLASSES for key in (lesion.key, str(lesion.value))}
    found = []
    for text in texts:
        pattern, _, label = text.rpartition("=")
        if not pattern.strip() or label.strip().lower() not in labels:
            allowed = " or ".join(f"{lesion.name} ({lesion.value})" for lesion in LESION_CLASSES)
            raise OptionError(f"{text!r} is no pattern of structure names; allowed is PATTERN=LABEL, LABEL {allowed}")
        found.append(NamePattern(pattern.strip(), labels[label.strip().lower()]))
    return tuple(found)


def _match_name(name: str, patterns: Sequence[NamePattern]) -> NameMatch:
    matching = [pattern for pattern in patterns if pattern.is_match(name)]
    if not matching:
        return NameMatch(name, None, None)
    first = matching[0]
    others = tuple(pattern.pattern for pattern in matching[1:] if pattern.label != first.label)
    return NameMatch(name, first.label, first.pattern, others)


def _normalize(text: str) -> str:
    return _SEPARATORS.sub("_", text.strip().lower())


def _normalize_pattern(text: str) -> str:
    # What stands in brackets is a set of characters, in which "-" means a range.
    return _OUTSIDE_BRACKETS.sub(lambda found: found[1] or "_", text.strip().lower())
