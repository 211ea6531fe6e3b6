"""Figure of a harmonized scan: reference, before, after, difference, as in Fig. 2 of Huang et al. (HECKTOR 2025)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimh.files.atomic import atomic_write

try:
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure
except ModuleNotFoundError as error:
    if error.name != "matplotlib":
        raise
    raise ImportError('QC figures need Matplotlib, which is not installed: pip install "ssimh[cli]"') from error

# Level 40, width 400: the usual soft-tissue window of the neck.
WINDOW_HU = (-160.0, 240.0)


def draw_qc_figure(
    before: NDArray[Any],
    after: NDArray[Any],
    reference: NDArray[Any],
    *,
    spacing_mm: Sequence[float] = (1.0, 1.0, 1.0),
    orientation: str | None = None,
    reference_name: str = "reference",
    title: str = "",
    unit: str = "HU",
    window: tuple[float, float] = WINDOW_HU,
) -> Figure:
    """Reference, before, after and difference in two planes through the middle of the body.

    Args:
        before, after: (z, y, x) or (y, x) arrays of one grid.
        reference: array that is shown beside them; its grid may differ.
        spacing_mm: voxel size along each axis of ``before``.
        orientation: letters of the axes, so that the figure is drawn head up, face forward; None draws as stored.
        reference_name: what ``reference`` is.
        title: first line of the figure.
        unit: of the values.
        window: gray-value range of the three images.

    Returns:
        A Matplotlib figure that belongs to no window system; save it with :func:`save_figure`.
    """
    volumes = [_upright(np.asarray(volume, np.float32), orientation) for volume in (reference, before, after)]
    steps = _upright_spacing(spacing_mm, before.ndim, orientation)
    difference = volumes[2] - volumes[1]
    limit = max(float(np.percentile(np.abs(difference), 99.5)), 1.0)
    planes = [("axial", 0), ("coronal", 1)] if before.ndim == 3 and before.shape[0] > 1 else [("axial", 0)]
    extent_mm = [step * size for step, size in zip(steps, volumes[1].shape, strict=True)]
    heights = [extent_mm[1 - axis] / extent_mm[2] for _, axis in planes]
    figure = Figure(figsize=(14.0, 1.9 + 3.3 * sum(heights)), layout="constrained")
    grid = figure.subplots(len(planes), 4, squeeze=False, height_ratios=heights)
    shown = _reference_window(volumes[0], window)
    names = (_with_range(reference_name, shown, window, unit), "before", "after", "after − before")
    handles: list[Any] = [None, None]
    for row, (plane, axis) in enumerate(planes):
        share = _center(volumes[1])[axis] / volumes[1].shape[axis]
        pixel = steps[1 - axis] / steps[2]
        for column, volume in enumerate((*volumes, difference)):
            axes = grid[row, column]
            number = min(int(share * volume.shape[axis]), volume.shape[axis] - 1)
            cmap, norm = _color_scale(column == 3, shown if column == 0 else window, limit)
            aspect = pixel * _same_extent(volume, volumes[1], axis)
            handle = axes.imshow(
                volume.take(number, axis=axis), aspect=aspect, interpolation="nearest", cmap=cmap, norm=norm
            )
            if column > 0:
                handles[int(column == 3)] = handle
            axes.set(xticks=[], yticks=[], title=names[column] if row == 0 else "", ylabel=plane if column == 0 else "")
            if orientation is not None and column < 3:
                axes.text(0.02, 0.5, "R", transform=axes.transAxes, color="white", va="center")
    for handle, columns, label in zip(handles, (slice(0, 3), slice(3, 4)), (unit, f"change in {unit}"), strict=True):
        cells = grid[:, columns].ravel().tolist()
        figure.colorbar(handle, ax=cells, label=label, location="bottom", aspect=30, pad=0.02, fraction=0.06)
    if title:
        figure.suptitle(title, fontsize=12)
    return figure


def save_figure(figure: Figure, path: str | os.PathLike[str], dpi: int = 100) -> None:
    """Write the figure; the file appears whole or not at all."""
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=dpi)


def _reference_window(reference: NDArray[Any], window: tuple[float, float]) -> tuple[float, float]:
    """The common window, unless it would leave the reference black or white, as a field of low frequencies may be."""
    low, high = np.percentile(reference, [1, 99])
    inside = (reference > window[0]) & (reference < window[1])
    return window if inside.mean() > 0.01 or high <= low else (float(low), float(high))


def _with_range(name: str, shown: tuple[float, float], window: tuple[float, float], unit: str) -> str:
    return name if shown == window else f"{name}\n(gray: {shown[0]:.0f} … {shown[1]:.0f} {unit})"


def _color_scale(is_difference: bool, window: tuple[float, float], limit: float) -> tuple[str, Normalize]:
    if is_difference:
        return "RdBu_r", Normalize(-limit, limit)
    return "gray", Normalize(*window)


def _upright(volume: NDArray[Any], orientation: str | None) -> NDArray[Any]:
    """(z, y, x) with the head first, the face first and the patient's right first, as radiologists look at it."""
    if volume.ndim == 2:
        return volume[None]
    if orientation is None:
        return volume
    order = _order(orientation)
    turned = volume.transpose(order)
    letters = [orientation[axis] for axis in order]
    flips = tuple(axis for axis, wanted in enumerate("IPL") if letters[axis] != wanted)
    return np.flip(turned, flips)


def _upright_spacing(spacing_mm: Sequence[float], ndim: int, orientation: str | None) -> list[float]:
    steps = [float(step) for step in spacing_mm]
    if ndim == 2:
        return [1.0, *steps]
    return steps if orientation is None else [steps[axis] for axis in _order(orientation)]


def _order(orientation: str) -> list[int]:
    return [next(n for n, letter in enumerate(orientation) if letter in pair) for pair in ("SI", "AP", "RL")]


def _center(volume: NDArray[Any]) -> list[float]:
    """Center of everything denser than the window's lower end, else of the grid."""
    body = np.argwhere(volume[:, ::4, ::4] > WINDOW_HU[0])
    if len(body) == 0:
        return [size / 2 for size in volume.shape]
    return [float(np.median(body[:, axis])) * (1, 4, 4)[axis] for axis in range(3)]


def _same_extent(volume: NDArray[Any], like: NDArray[Any], axis: int) -> float:
    """Pixel aspect of another grid over the same field of view, relative to that of ``like``."""
    rows, columns = [number for number in range(3) if number != axis]
    return float(like.shape[rows] / volume.shape[rows]) / float(like.shape[columns] / volume.shape[columns])
