"""Scans within a number of bytes: first as they are, then with coarser values, then with larger voxels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimh.viewer.encode import EncodedVolume, encode_values
from ssimh.viewer.frame import AxisGrid, Placed, average
from ssimh.viewer.records import ScanLayer

MOST_VOXELS = 12_000_000  # of a scan, for the browser's memory
COARSEST_MM = 6.0
GROWTH = 1.01  # of the spacing beyond what the size says, so that one more try is seldom needed
LARGER_STEP = 2  # times the step of values
SLICES_LOOKED_AT = 12  # to estimate a size
EXACT, ROUGH_AIR, ROUGH = range(3)  # as they are; rough where nobody looks; and with larger steps


class ViewerError(ValueError):
    """Scans or masks that cannot be shown together; the message names the layer."""


@dataclass(frozen=True)
class FittedScan:
    """A scan that fits.

    Attributes:
        placed: Its values and grid.
        encoded: Its text.
        is_averaged: Whether its voxels are larger than those of the file.
        is_rough: Whether values below :attr:`ssimh.viewer.records.ScanLayer.rough_below` are rounded.
    """

    placed: Placed
    encoded: EncodedVolume
    is_averaged: bool
    is_rough: bool


def fit_scans(layers: Sequence[ScanLayer], placed: Mapping[str, Placed], limit_bytes: int) -> dict[str, FittedScan]:
    """Fit the scans of a case into a number of bytes.

    Scans on the grid of the first one get the same voxels, so that nothing but values changes from one to another.

    Args:
        layers: The scans.
        placed: Their values by key.
        limit_bytes: Of all texts together.

    Raises:
        ViewerError: A scan does not fit, even with voxels of :data:`COARSEST_MM`.
    """
    first = placed[layers[0].key].grid
    together = [layer for layer in layers if placed[layer.key].grid == first]
    others = [layer for layer in layers if layer not in together]
    fitted: dict[str, FittedScan] = {}
    for layer in sorted(others, key=lambda layer: placed[layer.key].values.size):
        fitted |= _fit([layer], placed, limit_bytes // len(layers))
    left = limit_bytes - sum(len(scan.encoded.text) for scan in fitted.values())
    return fitted | _fit(together, placed, left)


def _fit(layers: Sequence[ScanLayer], placed: Mapping[str, Placed], limit_bytes: int) -> dict[str, FittedScan]:
    """Scans on one grid, with the smallest voxels and steps that the limit allows."""
    whole = {layer.key: placed[layer.key] for layer in layers}
    shown, level, grid = whole, EXACT, whole[layers[0].key].grid
    count = float(np.prod(grid.size))
    if count > MOST_VOXELS:
        shown, level = _average(whole, _next_spacing(grid, count / MOST_VOXELS)), ROUGH_AIR
    while True:
        excess = sum(_estimate_bytes(layer, shown[layer.key].values, level) for layer in layers) / limit_bytes
        if excess < 1.04:
            found = {layer.key: _encode(layer, shown[layer.key], level, shown is not whole) for layer in layers}
            total = sum(len(scan.encoded.text) for scan in found.values())
            if total <= limit_bytes:
                return found
            excess = total / limit_bytes
        if level < ROUGH:
            level += 1
            continue
        spacing_mm = _next_spacing(shown[layers[0].key].grid, max(excess, 1.0))
        if spacing_mm > COARSEST_MM:
            names = ", ".join(layer.name for layer in layers)
            raise ViewerError(f"{names}: does not fit into {limit_bytes} bytes with voxels of {COARSEST_MM:g} mm")
        shown = _average(whole, spacing_mm)


def _average(whole: Mapping[str, Placed], spacing_mm: float) -> dict[str, Placed]:
    return {key: average(placed, spacing_mm) for key, placed in whole.items()}


def _encode(layer: ScanLayer, placed: Placed, level: int, is_averaged: bool) -> FittedScan:
    is_rough = level >= ROUGH_AIR and layer.rough_below is not None
    return FittedScan(placed, _encode_at(layer, placed.values, level), is_averaged, is_rough)


def _encode_at(layer: ScanLayer, values: NDArray[Any], level: int) -> EncodedVolume:
    if level >= ROUGH_AIR and layer.rough_below is not None:
        below, step = layer.rough_below
        values = np.where(values < below, np.rint(values / step) * step, values)
    return encode_values(values, layer.step * (LARGER_STEP if level == ROUGH else 1))


def _estimate_bytes(layer: ScanLayer, values: NDArray[Any], level: int) -> float:
    """Bytes of the text, from some of the slices; each slice is encoded by itself."""
    some = values[:: max(1, len(values) // SLICES_LOOKED_AT)]
    return len(_encode_at(layer, some, level).text) * len(values) / len(some)


def _next_spacing(grid: AxisGrid, factor: float) -> float:
    """The spacing at which a grid has ``factor`` times fewer voxels, where axes with a larger spacing keep theirs."""
    spacing_mm = min(grid.spacing_mm)
    while np.prod([max(1.0, spacing_mm / step) for step in grid.spacing_mm]) < factor:
        spacing_mm *= 1.02
    return spacing_mm * GROWTH
