"""A case as the text that a viewer page loads: scans within a limit of size, masks, lesions, and where they lie."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from ssimh.images.simpleitk import load_sitk
from ssimh.viewer.encode import compress
from ssimh.viewer.fit_size import FittedScan, ViewerError, fit_scans
from ssimh.viewer.frame import AxisGrid, Frame, Placed, find_frame, place
from ssimh.viewer.records import LesionMark, MaskLayer, ScanLayer, ViewerCase

LARGEST_CASE_BYTES = 5_000_000
SCANS_SHARE = 0.92  # of it for all scans; the rest is for masks, lesions and words


@dataclass(frozen=True)
class PackedCase:
    """A case for :func:`ssimh.viewer.page.format_case_file`.

    Attributes:
        name: Of the case.
        content: JSON, safe within a script element.
    """

    name: str
    content: str


def pack_case(case: ViewerCase, *, limit_bytes: int = LARGEST_CASE_BYTES) -> PackedCase:
    """Pack a case.

    Args:
        case: Its layers.
        limit_bytes: Of the JSON; scans get larger voxels until it holds.

    Raises:
        ViewerError: A scan or mask shares no place with the first scan, a mask holds other values than whole numbers
            from 0 to 255, or the case does not fit into the limit.
    """
    frame = find_frame(case.scans[0].image)
    content: dict[str, object] = {
        "name": case.name,
        "frame": _describe_frame(case.scans[0], frame),
        "masks": [_pack_mask(layer, frame, case.scans[0].name) for layer in case.masks],
        "modes": [asdict(mode) for mode in case.modes],
        "projected": case.projected,
        "projectedWindow": case.projected_window and list(case.projected_window),
        "presets": [asdict(preset) for preset in case.presets],
        "lesionColumns": list(case.lesion_columns),
        "lesions": [_pack_lesion(lesion, frame) for lesion in case.lesions],
        "notes": list(case.notes),
    }
    limit = int(limit_bytes * SCANS_SHARE) - len(escape_json(content))
    content["scans"] = _pack_scans(case.scans, frame, limit)
    text = escape_json(content)
    if len(text) > limit_bytes:
        raise ViewerError(f"{case.name}: takes {len(text)} bytes; a case of the viewer has at most {limit_bytes}")
    return PackedCase(case.name, text)


def escape_json(content: object) -> str:
    r"""JSON that is safe within a script element: no ``<``, no line that JavaScript ends.

    >>> escape_json("</script>")
    '"\\u003c/script>"'
    """
    text = json.dumps(content, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def _describe_frame(first: ScanLayer, frame: Frame) -> dict[str, object]:
    """The frame, and the affine map from it to voxels of the first scan's file."""
    image = first.image
    matrix = np.asarray(image.GetDirection(), np.float64).reshape(3, 3) * np.asarray(image.GetSpacing())
    to_index = np.linalg.inv(matrix)
    shift = to_index @ (frame.origin_mm - np.asarray(image.GetOrigin()))
    return {
        "origin": frame.origin_mm.tolist(),
        "axes": frame.axes.tolist(),
        "extent": asdict(frame.extent),
        "toIndex": (to_index @ frame.axes).tolist(),
        "indexShift": shift.tolist(),
        "isOblique": bool(np.abs(frame.axes - np.eye(3)).max() > 1e-3),
    }


def _pack_mask(layer: MaskLayer, frame: Frame, first: str) -> dict[str, object]:
    placed = place(layer.image, frame, is_mask=True)
    _check_overlap(layer.name, placed.grid, frame.extent, first)
    if not _is_mask(placed):
        raise ViewerError(f"{layer.name}: a mask holds whole numbers from 0 to 255")
    content = {"key": layer.key, "name": layer.name, "styles": [asdict(style) for style in layer.styles]}
    where = [np.flatnonzero(placed.values.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    if not where[0].size:
        if load_sitk().GetArrayViewFromImage(layer.image).any():
            raise ViewerError(f"{layer.name}: nothing of it lies within the first scan")
        return {**content, "grid": None, "data": "", "isSampled": placed.is_sampled}
    low = [int(axis[0]) for axis in where]
    high = [int(axis[-1]) + 1 for axis in where]
    part = placed.values[low[0] : high[0], low[1] : high[1], low[2] : high[2]].astype(np.uint8)
    start = [s + k * step for s, k, step in zip(placed.grid.start_mm, low[::-1], placed.grid.spacing_mm, strict=True)]
    box = AxisGrid(
        (part.shape[2], part.shape[1], part.shape[0]), placed.grid.spacing_mm, (start[0], start[1], start[2])
    )
    return {**content, "grid": asdict(box), "data": compress(part.tobytes()), "isSampled": placed.is_sampled}


def _is_mask(placed: Placed) -> bool:
    values = placed.values
    if not values.size or values.dtype == np.uint8:
        return True
    return bool(values.min() >= 0 and values.max() <= 255 and (values.dtype.kind in "ui" or (values % 1 == 0).all()))


def _pack_scans(layers: Sequence[ScanLayer], frame: Frame, limit_bytes: int) -> list[dict[str, object]]:
    placed = {layer.key: place(layer.image, frame, outside=layer.window[0]) for layer in layers}
    for layer in layers[1:]:
        _check_overlap(layer.name, placed[layer.key].grid, frame.extent, layers[0].name)
    fitted = fit_scans(layers, placed, limit_bytes)
    return [_describe_scan(layer, fitted[layer.key]) for layer in layers]


def _check_overlap(name: str, grid: AxisGrid, extent: AxisGrid, first: str) -> None:
    for axis in range(3):
        ends = [(g.start_mm[axis], g.start_mm[axis] + (g.size[axis] - 1) * g.spacing_mm[axis]) for g in (grid, extent)]
        margin = (grid.spacing_mm[axis] + extent.spacing_mm[axis]) / 2
        if ends[0][0] >= ends[1][1] + margin or ends[0][1] <= ends[1][0] - margin:
            raise ViewerError(f"{name}: shares no place with {first}; they must show the same patient")


def _describe_scan(layer: ScanLayer, scan: FittedScan) -> dict[str, object]:
    return {
        "key": layer.key,
        "name": layer.name,
        "quantity": layer.quantity,
        "window": list(layer.window),
        "colormap": layer.colormap,
        "digits": layer.digits,
        "grid": asdict(scan.placed.grid),
        "isAveraged": scan.is_averaged,
        "isSampled": scan.placed.is_sampled,
        "rough": list(layer.rough_below) if scan.is_rough and layer.rough_below else None,
        "offset": scan.encoded.offset,
        "step": scan.encoded.step,
        "data": scan.encoded.text,
    }


def _pack_lesion(lesion: LesionMark, frame: Frame) -> dict[str, object]:
    corners = frame.to_frame(lesion.corners_mm)
    return {
        "label": lesion.label,
        "status": lesion.status,
        "cells": list(lesion.cells),
        "center": frame.to_frame(lesion.center_mm).tolist(),
        "low": corners.min(axis=0).tolist(),
        "high": corners.max(axis=0).tolist(),
    }
