"""A PET/CT case as the layers of a viewer, in the colors, windows and line styles of hnseg."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hnseg.cohort.labels import LESION_CLASSES
from hnseg.images.image_io import to_sitk
from hnseg.pictures.palette import DASHES, LESION_COLORS, Color
from hnseg.pictures.planes import CT, PET
from hnseg.viewer.lesions import COMPARED_COLUMNS, SINGLE_COLUMNS, Volume
from ssimh.viewer.records import (
    LesionMark,
    MaskLayer,
    MaskStyle,
    Mode,
    ScanLayer,
    ViewerCase,
    WindowPreset,
)

BONE = (-500.0, 1500.0)
PRESETS = (  # of CT, in HU
    WindowPreset("Soft tissue", *CT.window),
    WindowPreset("Bone", *BONE),
    WindowPreset("Lung", -1350.0, 150.0),
    WindowPreset("Brain", 0.0, 80.0),
)
ROUGH_AIR = (-900.0, 50.0)  # below −900 HU in steps of 50 HU, where a case has to get smaller
SUV_STEP = 0.01
BITS_STEP = 0.005  # of the map of disagreement
MOST_DISAGREEMENT_BITS = 1.0  # upper end of its window; three classes have log2 3 = 1.58 at most


@dataclass(frozen=True)
class CaseVolumes:
    """What is shown of a case, each volume on its own grid.

    Attributes:
        name: Of the case.
        ct: In HU.
        pet: In SUV; None for a CT alone.
        truth: Label; 1 GTVp, 2 GTVn.
        prediction: Likewise.
        disagreement: Between the models of an ensemble, in bits.
        box: Crop box, as a mask of ones.
        lesions: Of the table; see :func:`hnseg.viewer.lesions.mark_lesions`.
        notes: Sentences for the page.
    """

    name: str
    ct: Volume
    pet: Volume | None = None
    truth: Volume | None = None
    prediction: Volume | None = None
    disagreement: Volume | None = None
    box: Volume | None = None
    lesions: tuple[LesionMark, ...] = ()
    notes: tuple[str, ...] = field(default=())


def build_case(volumes: CaseVolumes) -> ViewerCase:
    """The layers of a case: fused, CT and PET, then disagreement; outlines of the masks that are there."""
    scans = [ScanLayer("ct", CT.name, CT.unit, _image(volumes.ct), CT.window, rough_below=ROUGH_AIR)]
    modes = [Mode("CT", "ct")]
    if volumes.pet is not None:
        pet = _image(volumes.pet)
        scans.append(ScanLayer("pet", PET.name, PET.unit, pet, PET.window, "inferno", SUV_STEP, 2))
        modes = [Mode("Fused", "ct", "pet"), *modes, Mode("PET", "pet", None, "gray_r")]
    if volumes.disagreement is not None:
        scans.append(
            ScanLayer(
                "disagreement",
                "Disagreement",
                "bits",
                _image(volumes.disagreement),
                (0.0, MOST_DISAGREEMENT_BITS),
                "purple",
                BITS_STEP,
                2,
            )
        )
        modes.append(Mode("Disagreement", "ct", "disagreement"))
    both = volumes.truth is not None and volumes.prediction is not None
    return ViewerCase(
        name=volumes.name,
        scans=tuple(scans),
        modes=tuple(modes),
        masks=_masks(volumes),
        projected="pet" if volumes.pet is not None else "ct",
        projected_window=None if volumes.pet is not None else BONE,
        presets=PRESETS,
        lesion_columns=(COMPARED_COLUMNS if both else SINGLE_COLUMNS) if volumes.truth or volumes.prediction else (),
        lesions=volumes.lesions,
        notes=volumes.notes,
    )


def _masks(volumes: CaseVolumes) -> tuple[MaskLayer, ...]:
    """Outlines: of one mask in the colors of the classes, of two in those of truth and prediction."""
    there = {"truth": volumes.truth, "prediction": volumes.prediction}
    masks = {key: mask for key, mask in there.items() if mask is not None}
    layers = []
    if volumes.box is not None:
        style = MaskStyle(1, "inside", Color.CROP_BOX, (14.0, 6.0))
        layers.append(MaskLayer("box", "Crop box", _image(volumes.box), (style,)))
    for key, mask in masks.items():
        styles = []
        for lesion in LESION_CLASSES:
            dash = DASHES["truth" if len(masks) == 1 else key][lesion.key]
            color = LESION_COLORS[lesion.key] if len(masks) == 1 else Color[key.upper()]
            styles.append(MaskStyle(lesion.value, lesion.name, color, dash))
        name = key.capitalize() if len(masks) == 2 else "Mask"
        layers.append(MaskLayer(key, name, _image(mask), tuple(styles)))
    return tuple(layers)


def _image(volume: Volume) -> object:
    values = np.asarray(volume.values)
    return to_sitk(values.astype(np.uint8) if values.dtype == np.bool_ else values, volume.grid)
