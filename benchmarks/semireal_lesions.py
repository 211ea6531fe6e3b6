"""Primary tumors and nodes for a real anatomy: grown inside the target volumes that were drawn for its patient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from semireal_anatomy import ORGANS, PTV56, PTV63, PTV70, STEP_MM, Anatomy, Mask, Volume

from hnseg.cohort.labels import GTVN, GTVP

GTVP_RANGE_ML, GTVN_RANGE_ML = (2.0, 40.0), (0.5, 15.0)
NODE_COUNT_P = (0.15, 0.30, 0.27, 0.18, 0.10)  # none to four
SUV_RANGE = (4.0, 18.0)
VOXEL_ML = STEP_MM**3 / 1000
GAP_MM = 5.0  # between lesions
LUMEN_MM, DEEPEST_MM = 10.0, 100.0  # primaries arise in the mucosa, above the trachea
LATERAL_MM = 18.0  # nodes lie beside the great vessels, not in the midline
TARGET_ML = 15.0  # a smaller PTV56 and PTV63 together are the margin of something else
ATTEMPTS = 30


@dataclass(frozen=True, eq=False)
class Lesion:
    """A lesion on the fine grid.

    Attributes:
        label: 1 GTVp, 2 GTVn.
        mask: Its voxels, (z, y, x).
        suv: SUV of its viable part, before the scanner's blur.
        necrotic: Whether it has a cold core.
    """

    label: int
    mask: Mask
    suv: float
    necrotic: bool

    @property
    def volume_ml(self) -> float:
        """Volume on the fine grid."""
        return float(self.mask.sum()) * VOXEL_ML


def sample_lesions(anatomy: Anatomy, rng: np.random.Generator) -> list[Lesion]:
    """Draw a primary and up to four nodes; a node without room is left out.

    Raises:
        RuntimeError: There is no room for the primary.
    """
    lesions = [_try(_primary, anatomy, [], rng)]
    if lesions[0] is None:
        raise RuntimeError(f"no room for a primary tumor in PTV70 in {ATTEMPTS} attempts")
    for _ in range(int(rng.choice(len(NODE_COUNT_P), p=NODE_COUNT_P))):
        lesions.append(_try(_node, anatomy, [lesion for lesion in lesions if lesion], rng))
    return [lesion for lesion in lesions if lesion is not None]


Planner = Callable[[Anatomy, list[Lesion], np.random.Generator], Lesion | None]


def _try(planner: Planner, anatomy: Anatomy, others: list[Lesion], rng: np.random.Generator) -> Lesion | None:
    for stream in rng.spawn(ATTEMPTS):
        lesion = planner(anatomy, others, stream)
        if lesion is not None:
            return lesion
    return None


def _primary(anatomy: Anatomy, others: list[Lesion], rng: np.random.Generator) -> Lesion | None:
    allowed = anatomy.drawn(PTV70) & _free(anatomy, others, (-40, 180))
    near = ndimage.distance_transform_edt(~anatomy.airway, sampling=STEP_MM) < LUMEN_MM
    near[: max(anatomy.foramen - round(DEEPEST_MM / STEP_MM), 0)] = False
    volume = float(np.clip(rng.lognormal(np.log(10.0), 0.75), GTVP_RANGE_ML[0] * 1.15, 38.0))
    volume = min(volume, 0.5 * float(allowed.sum()) * VOXEL_ML)
    mask = _grow(allowed, allowed & near if (allowed & near).any() else allowed, volume, rng)
    if mask is None or mask.sum() * VOXEL_ML < GTVP_RANGE_ML[0]:
        return None
    suv = float(np.clip(rng.lognormal(np.log(9.5), 0.4), SUV_RANGE[0] * 1.25, SUV_RANGE[1]))
    return Lesion(GTVP, mask, suv, necrotic=volume > 8 and rng.random() < 0.3)


def _node(anatomy: Anatomy, others: list[Lesion], rng: np.random.Generator) -> Lesion | None:
    elective = anatomy.drawn(PTV56, PTV63)
    target = elective if elective.sum() * VOXEL_ML >= TARGET_ML else anatomy.drawn(PTV70)
    allowed = target & _free(anatomy, others, (-70, 150))
    x = np.arange(allowed.shape[2])
    aside = np.abs(x - anatomy.axis[:, 1, None]) * STEP_MM > LATERAL_MM
    seeds = allowed & aside[:, None, :]
    seeds[anatomy.foramen :] = False
    volume = float(np.clip(rng.lognormal(np.log(2.6), 0.9), GTVN_RANGE_ML[0] * 1.2, 14.0))
    mask = _grow(allowed, seeds, volume, rng)
    if mask is None or mask.sum() * VOXEL_ML < GTVN_RANGE_ML[0]:
        return None
    suv = float(np.clip(rng.lognormal(np.log(7.5), 0.4), SUV_RANGE[0], 14.0))
    return Lesion(GTVN, mask, suv, necrotic=volume > 4 and rng.random() < 0.3)


def _free(anatomy: Anatomy, others: list[Lesion], hu: tuple[float, float]) -> Mask:
    """Tissue of this density in the body, of no organ and apart from other lesions."""
    free = anatomy.body & (anatomy.smooth_hu > hu[0]) & (anatomy.smooth_hu < hu[1])
    free &= ~(anatomy.drawn(*ORGANS) | anatomy.brain | anatomy.airway)
    for lesion in others:
        free &= ndimage.distance_transform_edt(~lesion.mask, sampling=STEP_MM) >= GAP_MM
    return free


def _grow(allowed: Mask, seeds: Mask, volume_ml: float, rng: np.random.Generator) -> Mask | None:
    """A lobulated ellipsoid around one of the seeds, grown within what is allowed to a volume; None without room."""
    points = np.argwhere(seeds)
    if not len(points):
        return None
    center = points[rng.integers(len(points))]
    radius_mm = (volume_ml * 1000 * 3 / (4 * np.pi)) ** (1 / 3)
    reach = int(np.ceil(1.9 * radius_mm / STEP_MM))
    box = tuple(slice(max(c - reach, 0), c + reach + 1) for c in center)
    room = allowed[box]
    corner = np.array([part.start for part in box])
    offset = np.argwhere(np.ones(room.shape, bool)).reshape(*room.shape, 3) + corner - center
    shape = np.array([rng.uniform(1.0, 1.4), rng.uniform(0.8, 1.1), rng.uniform(0.75, 1.05)])  # longer head to foot
    ripple = ndimage.gaussian_filter(rng.standard_normal(room.shape), 0.35 * radius_mm / STEP_MM)
    distance = np.linalg.norm(offset * STEP_MM / shape, axis=-1) * (1 + 0.13 * ripple / max(ripple.std(), 1e-9))
    low, high = 0.0, 1.9 * radius_mm
    for _ in range(12):
        middle = (low + high) / 2
        mask = _piece(room & (distance < middle), center - corner)
        low, high = (middle, high) if mask.sum() * VOXEL_ML < volume_ml else (low, middle)
    mask = _piece(room & (distance < high), center - corner)
    if not 0.7 * volume_ml <= mask.sum() * VOXEL_ML <= 1.3 * volume_ml:
        return None
    whole = np.zeros_like(allowed)
    whole[box] = ndimage.binary_fill_holes(mask) & room
    return whole


def _piece(mask: Mask, seed: NDArray[np.int64]) -> Mask:
    """The part of a mask around the seed, without threads thinner than two voxels; empty where the seed is not in."""
    pieces, _ = ndimage.label(ndimage.binary_opening(mask, np.ones((2, 2, 2))))
    number = pieces[tuple(seed)]
    return pieces == number if number else np.zeros_like(mask)


def paint(suv: Volume, lesion: Lesion, texture: Volume, rng: np.random.Generator) -> None:
    """Put a lesion's uptake into a map of true SUV: a fainter rim of 2 mm, patches inside, a cold core where necrotic.

    ``texture`` has mean 0 and standard deviation 1.
    """
    depth = ndimage.distance_transform_edt(lesion.mask, sampling=STEP_MM)
    inside = lesion.suv * (1 + 0.18 * np.clip(texture[lesion.mask], -2, 2))
    inside *= np.where(depth[lesion.mask] <= STEP_MM, 0.65, 1.0)
    if lesion.necrotic:
        core = depth[lesion.mask] > 0.45 * depth.max()
        inside[core] = rng.uniform(1.5, 3.0)
    suv[lesion.mask] = inside
