"""Reversible change of HU along a smooth field; no voxel crosses into air or metal.

A value y flows by dy/dt = w(y)·v(y)·s for one unit of time, with v = y + 1000 (``"log"``: a factor on the attenuation)
or v = 1000 (``"linear"``: an offset), s the field at the voxel and w a gate: 0 in air and in metal, 1 in tissue and
bone. A flow with -s is the exact inverse of a flow with s, whatever the gate is; multiplying by a factor that depends
on the value would not be. Where w = 1 the flow is y' = (y + 1000)·exp(s) - 1000, or y' = y + 1000·s.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Up to 10 HU above the body threshold nothing moves, so that rounding to half precision cannot carry a voxel across;
# 110 HU above it everything does. Metal begins where bone and 12-bit scanners end.
_STILL_HU, _RAMP_HU = 10.0, 100.0
_BONE_HU, _METAL_HU = 2000.0, 3000.0
_NODES = 600
_CLOSEST = 1e-5


def apply_flow(
    values: NDArray[np.float64], shift: NDArray[np.float64], space: str, threshold_hu: float
) -> NDArray[np.float64]:
    """Values after the flow.

    Args:
        values: (n,) HU.
        shift: (n,) field s: logarithm of the factor, or units of 1000 HU.
        space: ``"log"`` or ``"linear"``.
        threshold_hu: the body threshold; values up to 10 HU above it, and from 3000 HU, stay.

    >>> y = np.array([-900.0, -450.0, 0.0, 40.0, 28000.0])
    >>> there = apply_flow(y, np.full(5, 0.05), "log", -500.0)
    >>> there.round(1).tolist()
    [-900.0, -437.2, 51.3, 93.3, 28000.0]
    >>> np.allclose(apply_flow(there, np.full(5, -0.05), "log", -500.0), y, rtol=0, atol=1e-9)
    True
    """
    low, high = open_window(threshold_hu)
    out = (values + 1000) * np.exp(shift) - 1000 if space == "log" else values + 1000 * shift
    direct = (values >= low) & (values <= high) & (out >= low) & (out <= high)
    rest = np.flatnonzero(~direct)
    if rest.size:
        out[rest] = _by_table(values[rest], shift[rest], space, threshold_hu)
    return out


def _by_table(
    values: NDArray[np.float64], shift: NDArray[np.float64], space: str, threshold_hu: float
) -> NDArray[np.float64]:
    """Values after the flow, where part of the way may lead through a ramp of the gate.

    A value is turned into the time at which the flow under s = 1 passes it, shifted, and turned back: exact where the
    gate is open, interpolated in the ramps.
    """
    hu, time = table(space, threshold_hu)
    low, high = open_window(threshold_hu)
    inside = (values > hu[0]) & (values < hu[-1])
    before = values[inside]
    is_open = (before >= low) & (before <= high)
    at = np.where(is_open, open_time(before, space), np.interp(before, hu, time)) + shift[inside]
    ends = open_time(np.array([low, high]), space)
    inner = np.clip(at, *ends)
    straight = np.exp(inner) * 1000 - 1000 if space == "log" else inner * 1000
    result = values.copy()
    result[inside] = np.where((at >= ends[0]) & (at <= ends[1]), straight, np.interp(at, time, hu))
    return result


def open_window(threshold_hu: float) -> tuple[float, float]:
    """HU between which the gate is open.

    >>> open_window(-500.0)
    (-390.0, 2000.0)
    """
    return threshold_hu + _STILL_HU + _RAMP_HU, _BONE_HU


def open_time(values: Any, space: str) -> Any:
    """Time at which the flow under s = 1 passes each value, where the gate is open."""
    if space == "linear":
        return np.asarray(values) / 1000
    return np.asarray(np.log(np.maximum(np.asarray(values) + 1000, 1.0) / 1000))


@lru_cache(maxsize=8)
def table(space: str, threshold_hu: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """HU nodes of both ramps and the time at each; between the ramps the closed form takes over."""
    low, high = open_window(threshold_hu)
    share = np.geomspace(_CLOSEST, 1.0, _NODES)
    lower = threshold_hu + _STILL_HU + _RAMP_HU * share
    upper = (_METAL_HU - (_METAL_HU - _BONE_HU) * share)[::-1]
    parts = []
    for hu, gate in ((lower, share), (upper, share[::-1])):
        speed = gate * (hu + 1000 if space == "log" else 1000.0)
        steps = np.diff(hu) * (1 / speed[1:] + 1 / speed[:-1]) / 2
        parts.append(np.concatenate([[0.0], np.cumsum(steps)]))
    ends = open_time(np.array([low, high]), space)
    parts[0] += ends[0] - parts[0][-1]
    parts[1] += ends[1]
    hu_nodes, times = np.concatenate([lower, upper]), np.concatenate(parts)
    hu_nodes.flags.writeable = times.flags.writeable = False
    return hu_nodes, times
