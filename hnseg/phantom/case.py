"""Generation of one case in memory: a person, lesions, two scanners."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hnseg.images.geometry import Grid
from hnseg.phantom import traps
from hnseg.phantom.anatomy import build_anatomy
from hnseg.phantom.builder import Builder
from hnseg.phantom.lesions import Lesion, sample_lesions
from hnseg.phantom.render import Part, Texture, inside, render
from hnseg.phantom.scanners import DEFAULT_CENTERS, Center, Grids, acquire_ct, acquire_pet, sample_grids
from hnseg.phantom.subject import Subject, sample_subject

DEMO_PIXEL_MM = 1.95  # half the usual in-plane resolution: a quarter of the voxels
_STREAMS = ("subject", "anatomy", "lesions", "grids", "texture", "ct", "pet", "clinical")


@dataclass(frozen=True, eq=False)
class Case:
    """A generated case.

    Attributes:
        case_id: ``<CENTER>-<NNN>``.
        ct (ndarray of int16, (z, y, x)): HU, −1024 to 3071, on ``ct_grid``.
        pet (ndarray of float32, (z, y, x)): SUV ≥ 0 (Bq/ml under the trap ``pet-bqml``), on ``pet_grid``.
        label (ndarray of uint8, (z, y, x)): 0 background, 1 GTVp, 2 GTVn, on ``ct_grid``.
        lesions: The lesions behind the label.
        parts: The anatomy; each part has a name.
        clinical: The case's row of the cohort's CSV.
        suv_per_bqml: Factor to SUV where the PET is stored in Bq/ml.
    """

    case_id: str
    ct: NDArray[np.int16]
    ct_grid: Grid
    pet: NDArray[np.float32]
    pet_grid: Grid
    label: NDArray[np.uint8]
    lesions: tuple[Lesion, ...]
    parts: tuple[Part, ...]
    clinical: dict[str, str | int | float]
    suv_per_bqml: float | None = None

    def landmark_mm(self, name: str) -> NDArray[np.float64]:
        """Middle (x, y, z) of the bounding box of a part, in scanner coordinates, mm."""
        for part in self.parts:
            if part.name == name:
                lower, upper = part.shape.box_mm
                return (lower + upper) / 2
        raise KeyError(f"no part {name!r} in case {self.case_id}")


def case_id_of(center: Center, index: int) -> str:
    """Identifier of the ``index``-th case of a center, counted from 1."""
    return f"{center.name}-{index:03d}"


def _streams(seed: int, center: Center, index: int) -> dict[str, np.random.Generator]:
    """Independent generators of one case, from its seed, its center's name and its index alone."""
    if seed < 0 or index < 1:
        raise ValueError(f"seed must be ≥ 0 and index ≥ 1; got {seed} and {index}")
    root = np.random.SeedSequence(seed, spawn_key=(zlib.crc32(center.name.encode()), index))
    children = root.spawn(len(_STREAMS))
    return {name: np.random.default_rng(s) for name, s in zip(_STREAMS, children, strict=True)}


def generate_case(
    center: Center = DEFAULT_CENTERS[0],
    index: int = 1,
    *,
    seed: int = 0,
    pixel_mm: float | None = DEMO_PIXEL_MM,
    trap: str | None = None,
) -> Case:
    """Generate a case.

    Args:
        center: Its scanner and protocol.
        index: Number of the case within its center, from 1.
        seed: The same seed, center and index give the same person at any ``pixel_mm``, and the same voxels at the same
            ``pixel_mm``.
        pixel_mm: In-plane CT pixel; None keeps the center's native grids (512 × 512), 4.0 suits unit tests.
        trap: A defect, by its name in :data:`hnseg.phantom.TRAPS`.

    Raises:
        ValueError: ``pixel_mm``, ``seed``, ``index`` or ``trap`` is out of range.
    """
    traps.check_trap(trap)
    if pixel_mm is not None and not 0.3 <= pixel_mm <= 8:
        raise ValueError(f"pixel_mm must lie between 0.3 and 8 mm, or be None for native grids; got {pixel_mm}")
    rng = _streams(seed, center, index)
    subject = _subject(center, rng["subject"])
    builder = build_anatomy(subject, rng["anatomy"])
    lesions = sample_lesions(builder, rng["lesions"])
    grids = _lay_grids(center, subject, rng["grids"], pixel_mm, trap)
    ct, pet = _acquire(builder, lesions, grids, center, rng)
    label = np.zeros(grids.ct.shape, dtype=np.uint8)
    for lesion in lesions:
        label[_largest(inside(grids.ct, lesion.contour))] = lesion.label
    clinical, factor = describe_case(center, index, seed=seed, trap=trap)
    return Case(
        case_id=case_id_of(center, index),
        ct=ct,
        ct_grid=grids.ct,
        pet=pet if factor is None else pet / np.float32(factor),
        pet_grid=traps.on_pet_grid(trap, grids.pet),
        label=traps.on_label(trap, label),
        lesions=tuple(lesions),
        parts=tuple(builder.parts),
        clinical=clinical,
        suv_per_bqml=factor,
    )


def describe_case(
    center: Center, index: int, *, seed: int, trap: str | None
) -> tuple[dict[str, str | int | float], float | None]:
    """Clinical row of a case and its factor from Bq/ml to SUV, without its images."""
    rng = _streams(seed, center, index)
    subject = _subject(center, rng["subject"])
    factor = traps.suv_per_bqml(trap, rng["clinical"])
    return _clinical(case_id_of(center, index), subject, rng["clinical"]), factor


def _subject(center: Center, rng: np.random.Generator) -> Subject:
    return sample_subject(
        rng,
        arms_up_probability=center.arms_up_probability,
        contrast_probability=center.contrast_probability,
    )


def _lay_grids(
    center: Center, subject: Subject, rng: np.random.Generator, pixel_mm: float | None, trap: str | None
) -> Grids:
    top = float(subject.posture.place(np.array([0.0, 0.0, center.top_mm]))[2] + rng.uniform(-6, 6))
    bottom = float(subject.posture.place(np.array([0.0, 0.0, center.bottom_mm]))[2] + rng.uniform(-12, 12))
    if trap == "whole-body-ct":
        bottom = top - traps.WHOLE_BODY_MM
    return traps.on_grids(trap, sample_grids(center, rng, z_range_mm=(bottom, top), pixel_mm=pixel_mm))


def _acquire(
    builder: Builder, lesions: list[Lesion], grids: Grids, center: Center, rng: dict[str, np.random.Generator]
) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
    parts = [*builder.parts, *(part for lesion in lesions for part in lesion.parts)]
    texture = Texture.sample(rng["texture"], (10.0, 45.0), 9)
    heights = np.array([-620.0, -400.0, -120.0, -45.0, 0.0, 60.0, 150.0])
    placed = [builder.subject.posture.place(np.array([0.0, 0.0, z]))[2] for z in heights]
    slices_mm = grids.ct.to_physical([(0, 0, k) for k in range(grids.ct.size[2])])[:, 2]
    wide = np.interp(slices_mm, placed, [1.5, 1.6, 1.5, 2.0, 1.2, 1.0, 1.1]).astype(np.float32)
    truth = render(grids.ct, parts, texture, "hu", -1000.0)
    ct = acquire_ct(truth, grids, center, rng["ct"], wide)
    del truth
    moved = np.asarray(grids.pet.origin_mm) + rng["pet"].normal(0, center.misregistration_mm, 3)
    seen = replace(grids.pet, origin_mm=tuple(moved))
    pet = acquire_pet(render(seen, parts, texture, "suv", 0.005), grids.pet, center, rng["pet"])
    return ct, pet


def _largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest component: bone may cut slivers off a lesion, and readers draw one outline."""
    slices = np.flatnonzero(mask.any(axis=(1, 2)))
    if slices.size:
        slab = mask[slices[0] : slices[-1] + 1]
        pieces, count = ndimage.label(slab, np.ones((3, 3, 3)))
        if count > 1:
            slab[...] = pieces == np.bincount(pieces.ravel())[1:].argmax() + 1
    return mask


def _clinical(case_id: str, subject: Subject, rng: np.random.Generator) -> dict[str, str | int | float]:
    """Synthetic clinical data; 0 and 1 stand for no and yes, an empty field for unknown."""

    def maybe(value: int, unknown: float) -> str | int:
        return "" if rng.random() < unknown else value

    return {
        "PatientID": case_id,
        "Age": int(np.clip(rng.normal(61, 9), 34, 88)),
        "Gender": 1 if subject.habitus.sex == "M" else 0,
        "Tobacco Consumption": maybe(int(rng.random() < 0.55), 0.4),
        "Alcohol Consumption": maybe(int(rng.random() < 0.5), 0.5),
        "Performance Status": maybe(int(rng.choice([0, 1, 2, 3], p=[0.45, 0.4, 0.12, 0.03])), 0.4),
        "Treatment": int(rng.random() < 0.85),
        "M-stage": maybe(int(rng.random() < 0.03), 0.05),
    }
