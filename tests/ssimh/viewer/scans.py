"""Small scans at any position, as SimpleITK images, and pages that show them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ssimh.viewer.pack_case import pack_case
from ssimh.viewer.page import format_page
from ssimh.viewer.records import LesionMark, MaskLayer, MaskStyle, Mode, ScanLayer, ViewerCase

SIZE, SPACING, ORIGIN = (17, 14, 11), (2.0, 2.5, 3.0), (-31.0, 12.0, 140.0)
ANGLE = np.radians(20)
TILT = np.array([[np.cos(ANGLE), -np.sin(ANGLE), 0], [np.sin(ANGLE), np.cos(ANGLE), 0], [0, 0, 1]])
DIRECTIONS = {
    "straight": np.eye(3),
    "flipped": np.diag([-1.0, -1.0, 1.0]),
    "from the head": np.diag([1.0, 1.0, -1.0]),
    "sagittal": np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]),
    "oblique": TILT,
    "oblique and flipped": TILT @ np.array([[0.0, -1.0, 0.0], [0.0, 0.0, 1.0], [-1.0, 0.0, 0.0]]),
}


def image_of(values, direction=DIRECTIONS["straight"], spacing=SPACING, origin=ORIGIN):
    """An image of (z, y, x) values."""
    made = sitk.GetImageFromArray(values)
    made.SetSpacing(spacing)
    made.SetOrigin(origin)
    made.SetDirection(np.asarray(direction, float).ravel().tolist())
    return made


def marks_at(image, voxels):
    """A lesion in each of these voxels (i, j, k)."""
    places = [image.TransformIndexToPhysicalPoint(voxel) for voxel in voxels]
    return tuple(LesionMark(f"N{n}", "", (), place, (place,)) for n, place in enumerate(places, 1))


def case_of(ct, name="one", *, pet=None, mask=None, lesions=(), notes=()):
    """A case of a CT, a PET and a mask, in which 1 is solid and 2 is dashed."""
    scans = [ScanLayer("ct", "CT", "HU", ct, (-160.0, 240.0))]
    modes = [Mode("CT", "ct")]
    if pet is not None:
        scans.append(ScanLayer("pet", "PET", "SUV", pet, (0.0, 10.0), "inferno", 0.01, 2))
        modes += [Mode("Fused", "ct", "pet"), Mode("PET", "pet", None, "gray_r")]
    styles = (MaskStyle(1, "one", "#00ff00"), MaskStyle(2, "two", "#ff00ff", (6.0, 3.0)))
    return ViewerCase(
        name,
        tuple(scans),
        tuple(modes),
        () if mask is None else (MaskLayer("mask", "Mask", mask, styles),),
        projected="ct" if pet is None else "pet",
        lesion_columns=("Result",),
        lesions=lesions,
        notes=notes,
    )


def write_page(folder: Path, case: ViewerCase, name="view.html") -> Path:
    """The page of one case."""
    path = folder / name
    path.write_text(format_page(case.name, case=pack_case(case)), encoding="utf-8")
    return path
