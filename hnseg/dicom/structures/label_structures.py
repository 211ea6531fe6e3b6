"""The structures of an RTSTRUCT or a SEG as one label image: 1 GTVp, 2 GTVn.

All structures of one label together are that label. A voxel of both labels is GTVp, and a note says how much that is.
Notes name a structure by its number: its name may hold an identifier.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hnseg.cohort.labels import BACKGROUND, GTVP, LESION_CLASSES, Label
from hnseg.dicom.structures.rasterize import rasterize_with_notes
from hnseg.dicom.structures.read_rtstruct import RTSTRUCT, Structure
from hnseg.dicom.structures.structure_names import NAME_PATTERNS, NameMatch, NamePattern, match_structure_names
from hnseg.errors import DicomError
from hnseg.images.geometry import Grid


@dataclass(frozen=True)
class NamedMask:
    """A mask with the number and the name that its file gives it.

    Attributes:
        number: Of the structure or segment.
        name: Of the structure or segment.
        mask: bool (z, y, x).
        notes: About this mask.
    """

    number: int
    name: str
    mask: NDArray[np.bool_]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class LabeledStructures:
    """A label image and how it came about.

    Attributes:
        label: uint8 (z, y, x): 0 background, 1 GTVp, 2 GTVn.
        matches: Of every structure of the file, in its order; a name may hold an identifier.
        notes: Without identifiers.
    """

    label: Label
    matches: tuple[NameMatch, ...]
    notes: tuple[str, ...]


def label_structures(
    structures: Sequence[Structure],
    grid: Grid,
    patterns: Sequence[NamePattern] = NAME_PATTERNS,
    name: str = RTSTRUCT,
) -> LabeledStructures:
    """Draw the structures whose names match a pattern; the others are not drawn.

    Args:
        structures: Of an RTSTRUCT.
        grid: Of the series that they were drawn on.
        patterns: Of names.
        name: The series, for errors.

    Raises:
        DicomError: No name matches, or a structure that is drawn cannot be; see
            :func:`hnseg.dicom.structures.rasterize.rasterize_with_notes`.
    """
    matches = match_structure_names([structure.name for structure in structures], patterns)
    masks = []
    for structure, match in zip(structures, matches, strict=True):
        if match.label is not None:
            drawn = rasterize_with_notes(structure, grid, name)
            masks.append(NamedMask(structure.number, structure.name, drawn.mask, drawn.notes))
    if not masks:
        _refuse_unmatched(len(matches), patterns, name)
    label, notes = _combine(masks, grid, patterns)
    return LabeledStructures(label, matches, notes)


def label_masks(
    masks: Sequence[NamedMask], grid: Grid, patterns: Sequence[NamePattern] = NAME_PATTERNS, name: str = "SEG"
) -> LabeledStructures:
    """As :func:`label_structures` for masks that are there already, as the segments of a SEG.

    Raises:
        DicomError: No name matches.
    """
    matches = match_structure_names([mask.name for mask in masks], patterns)
    matching = [mask for mask, match in zip(masks, matches, strict=True) if match.label is not None]
    if not matching:
        _refuse_unmatched(len(matches), patterns, name)
    label, notes = _combine(matching, grid, patterns)
    return LabeledStructures(label, matches, notes)


def _refuse_unmatched(count: int, patterns: Sequence[NamePattern], name: str) -> None:
    allowed = ", ".join(pattern.pattern for pattern in patterns)
    raise DicomError(name, f"none of the names of its {count} structures matches {allowed}", "ROIName")


def _combine(masks: Sequence[NamedMask], grid: Grid, patterns: Sequence[NamePattern]) -> tuple[Label, tuple[str, ...]]:
    label = np.zeros(grid.shape, dtype=np.uint8)
    notes: list[str] = []
    overlap_vox = 0
    for mask, match in zip(masks, match_structure_names([mask.name for mask in masks], patterns), strict=True):
        value = match.label or BACKGROUND
        lesion = next(lesion.name for lesion in LESION_CLASSES if lesion.value == value)
        what = f"structure {mask.number} ({lesion}, pattern {match.pattern})"
        notes += [f"{what}: {note}" for note in mask.notes]
        if match.other_patterns:
            notes.append(f"{what}: {', '.join(match.other_patterns)} would match too; the first pattern counts")
        if not mask.mask.any():
            notes.append(f"{what}: holds the center of no voxel")
        overlap_vox += int((mask.mask & (label != BACKGROUND) & (label != value)).sum())
        label[mask.mask & (label != GTVP)] = value
    if overlap_vox:
        notes.append(f"{overlap_vox * grid.voxel_ml:.3g} ml are in structures of both labels: GTVp counts")
    return label, tuple(notes)
