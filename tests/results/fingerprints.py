"""Fingerprints of results: a few numbers that change whenever a result changes by more than rounding.

An array becomes its mean, its root mean square and two sums with random signs over √n. Adding 1e-3 everywhere moves the
mean by 1e-3; a change with a mean of 0 moves the signed sums by about its own size. Few numbers are kept as they are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np

from tests.results.inputs import random_bits

SIGNED_SUMS = 2
DIGITS = 10
# How far two machines may be apart, relative to the root mean square of an array, or to a number. In HU (about 700)
# these are 7e-6 and 2e-4: float32 has steps of 6e-5 there.
TOLERANCE = {"float64": 1e-8, "float32": 3e-7, "float16": 1e-3, "numbers": 1e-8}
SUMS = 1e-9  # integers are exact, and the sums that describe them are rounded
Fingerprint = list[Any]  # what it is ("float64 (5, 8, 9)", "numbers", "text"), then its numbers


@dataclass(frozen=True)
class Difference:
    """How a result differs from the lock.

    Attributes:
        number: of the input.
        output: which of the function's outputs.
        text: what is locked and what is found.
        size: largest difference of a number, in the unit of the result; None where it is of another kind or shape.
        allowed: difference that would be accepted.
    """

    number: int
    output: str
    text: str
    size: float | None
    allowed: float


def describe(value: Any) -> Fingerprint:
    """The fingerprint of an array, a tensor, numbers, a text, or None."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    if value is None or isinstance(value, str):
        return ["text", str(value)]
    array = np.asarray(value, np.float64 if isinstance(value, list | tuple) else None)  # None in a list is NaN
    if isinstance(value, np.ndarray) and array.size > 6:
        numbers = _summary(array.astype(np.float64).ravel())
        return [f"{array.dtype} {array.shape}", *map(_rounded, numbers)]
    kind = f"numbers {array.dtype}" if array.dtype in (np.float32, np.float16) else "numbers"
    return [kind, *(_rounded(float(number)) for number in array.ravel())]


def flatten(result: Any, name: str = "result") -> dict[str, Any]:
    """Outputs by name: dataclasses and mappings by their fields, everything else as it is."""
    if is_dataclass(result) and not isinstance(result, type):
        result = {field.name: getattr(result, field.name) for field in fields(result)}
    if hasattr(result, "model_dump"):
        result = result.model_dump()
    if isinstance(result, Mapping):
        return {inner: value for key, part in result.items() for inner, value in flatten(part, str(key)).items()}
    return {name: result}


def compare(number: int, output: str, locked: Fingerprint, found: Fingerprint) -> Difference | None:
    """The difference of two fingerprints, None within the tolerance."""
    kind = str(locked[0])
    if kind != found[0] or len(locked) != len(found) or kind == "text":
        return None if locked == found else Difference(number, output, f"{locked} is now {found}", None, 0.0)
    before, after = ([math.nan if value is None else value for value in side[1:]] for side in (locked, found))
    relative = TOLERANCE.get(kind.removeprefix("numbers ").split()[0], SUMS)
    is_array = not kind.startswith("numbers")
    scales = [max(1.0, before[1])] * len(before) if is_array else [max(1e-3, abs(value)) for value in before]
    worst: Difference | None = None
    for old, new, scale in zip(before, after, scales, strict=True):
        if old == new or (math.isnan(old) and math.isnan(new)):
            continue
        size, allowed = abs(new - old), relative * scale
        # "not <=", so that a number that has become NaN counts
        if not size <= allowed and (worst is None or worst.size is None or not size <= worst.size):
            worst = Difference(number, output, f"{old:.10g} is now {new:.10g}", size, allowed)
    return worst


def _summary(values: Any) -> list[float]:
    """Mean, root mean square and signed sums of a vector."""
    bits = random_bits(77, values.size)
    sums = []
    for number in range(SIGNED_SUMS):
        signs = 1.0 - 2.0 * ((bits >> np.uint64(number)) & np.uint64(1)).astype(np.float64)
        sums.append(float(np.dot(signs, values)) / math.sqrt(values.size))
    return [float(values.mean()), math.sqrt(float(np.dot(values, values)) / values.size), *sums]


def _rounded(number: float) -> float | str | None:
    """A number as the lock keeps it: ten digits; null for NaN, and a text for an infinite one."""
    if math.isnan(number):
        return None
    return float(f"{number:.{DIGITS}g}") + 0.0
