"""Anatomy of FDG uptake in a real head-and-neck CT: body, brain, airway and glands, from CT and drawn structures.

Everything lies on one grid of 2 mm, array order (z, y, x); x grows to the patient's left, y to the back, z to the head.
Structures that were not drawn (brain, tonsils, palate, submandibular and sublingual glands) are found from the air
of the pharynx and from the cord, at the heights given by anatomy; each is cut to the soft tissue at its place.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hnseg.images.geometry import Grid
from hnseg.images.resample import resample, upright_grid

STEP_MM = 2.0
OUTSIDE_HU = -1024
PTV56, PTV63, PTV70, BRAINSTEM, CORD, PAROTID_RIGHT, PAROTID_LEFT, ESOPHAGUS, LARYNX, MANDIBLE = range(1, 11)
ORGANS = (BRAINSTEM, CORD, PAROTID_RIGHT, PAROTID_LEFT, ESOPHAGUS, LARYNX, MANDIBLE)  # organs, not targets
LEAST_AREA_MM2 = 2000.0  # of the body in a slice that belongs to the scan; below, only the cord was kept

Mask = NDArray[np.bool_]
Volume = NDArray[np.float32]

# Height under the lowest slice of the brainstem, distance behind (+) or before (-) the middle of the pharynx, half-axes
# (x, y, z); all mm. Adults: foramen magnum, then C1/C2 with the palate, C2/C3 with the tonsils, C4 with the hyoid.
_MIDLINE = {
    "soft_palate": (22.0, -8.0, (13.0, 10.0, 4.0)),
    "lingual_tonsil": (50.0, -11.0, (13.0, 6.0, 9.0)),
    "floor_of_mouth": (58.0, -38.0, (14.0, 13.0, 6.0)),
}
# The same for structures on both sides, and the distance from the middle of the pharynx.
_PAIRED = {
    "tonsil": (36.0, -3.0, 17.0, (6.0, 8.0, 12.0)),
    "submandibular": (58.0, -12.0, 31.0, (8.0, 13.0, 11.0)),
}


@dataclass(frozen=True, eq=False)
class Anatomy:
    """A subject on the fine grid.

    Attributes:
        grid: Upright grid of 2 mm.
        hu: CT in HU, (z, y, x); −1024 outside the scan.
        structures: Labels as drawn, same shape: 1 PTV56, 2 PTV63, 3 PTV70, 4 brainstem, 5 cord, 6 and 7 parotids
            (right, left), 8 esophagus, 9 larynx, 10 mandible.
    """

    grid: Grid
    hu: Volume
    structures: NDArray[np.uint8]

    @classmethod
    def of(cls, hu: NDArray[np.int16], structures: NDArray[np.uint8], grid: Grid) -> Anatomy:
        """The part of a scan that shows the body, on the fine grid."""
        where = np.argwhere(ndimage.binary_opening(hu > -500))[:, ::-1]
        margin = np.array([10.0, 10.0, 0.0])
        low = grid.to_physical(where.min(axis=0) - 0.5) - margin
        high = grid.to_physical(where.max(axis=0) + 0.5) + margin
        x, y, z = (int(n) for n in np.ceil((high - low) / STEP_MM - 1e-6))
        fine = upright_grid(low, (x, y, z), STEP_MM)
        drawn = resample(structures, grid, fine, outside=0, interpolation="nearest")
        return cls(fine, resample(hu, grid, fine, outside=OUTSIDE_HU), drawn)

    def drawn(self, *numbers: int) -> Mask:
        """Voxels of these structures."""
        return np.isin(self.structures, numbers)

    @cached_property
    def smooth_hu(self) -> Volume:
        """CT over 3 mm, without its noise."""
        return ndimage.gaussian_filter(self.hu, 1.5 / STEP_MM)

    @cached_property
    def body(self) -> Mask:
        """The body with its air."""
        solid = ndimage.binary_opening(self.hu > -400)
        pieces, _ = ndimage.label(solid)
        main = pieces == np.bincount(pieces.ravel())[1:].argmax() + 1
        disc = _ball((0, 3, 3))
        padded = np.pad(main, ((0, 0), (3, 3), (3, 3)))
        closed = ndimage.binary_closing(padded, disc)[:, 3:-3, 3:-3]
        return np.stack([ndimage.binary_fill_holes(axial) for axial in closed])

    @cached_property
    def soft(self) -> Mask:
        """Soft tissue without fat."""
        return self.body & (self.smooth_hu > -30) & (self.smooth_hu < 160)

    @cached_property
    def axis(self) -> NDArray[np.float64]:
        """Middle of the cord in each slice, (slices, 2): y and x in voxels, straight on where no cord was drawn."""
        cord = self.drawn(CORD, BRAINSTEM)
        slices = np.flatnonzero(cord.any(axis=(1, 2)))
        middle = np.array([np.argwhere(cord[z]).mean(axis=0) for z in slices])
        every = np.arange(cord.shape[0])
        return np.stack([np.interp(every, slices, middle[:, k]) for k in (0, 1)], axis=1)

    @cached_property
    def foramen(self) -> int:
        """Slice at the lower end of the brainstem, near the foramen magnum."""
        return int(np.flatnonzero(self.drawn(BRAINSTEM).any(axis=(1, 2)))[0])

    @cached_property
    def airway(self) -> Mask:
        """Air of pharynx and larynx: inside the body, 8 to 65 mm before the cord and within 25 mm of the midline."""
        _, y, x = np.ogrid[tuple(slice(0, n) for n in self.hu.shape)]
        before = (self.axis[:, 0, None, None] - y) * STEP_MM
        beside = np.abs(x - self.axis[:, 1, None, None]) * STEP_MM
        air = self.body & (self.hu < -300) & (before > 8) & (before < 65) & (beside < 25)
        air[self.foramen + round(10 / STEP_MM) :] = False  # above lie the nose and the sinuses
        return air

    def pharynx(self, z: int) -> tuple[float, float]:
        """Middle (y, x) in voxels of the pharynx in a slice: of its air, or 30 mm before the cord where it is shut."""
        y, x = self.axis[z]
        near = np.argwhere(self.airway[z])
        if len(near) * STEP_MM**2 < 40:
            return float(y - 30 / STEP_MM), float(x)
        return float(np.quantile(near[:, 0], 0.6)), float(near[:, 1].mean())

    @cached_property
    def brain(self) -> Mask:
        """Soft tissue above the foramen magnum that is connected to the brainstem by more than 8 mm."""
        tissue = self.body & (self.smooth_hu > -15) & (self.smooth_hu < 130)
        tissue[: self.foramen] = False
        core = ndimage.binary_erosion(tissue, _ball((2, 2, 2)), border_value=1)
        pieces, _ = ndimage.label(core | self.drawn(BRAINSTEM))
        connected = pieces == pieces[self.drawn(BRAINSTEM)][0]
        return ndimage.binary_dilation(connected, _ball((2, 2, 2))) & tissue | self.drawn(BRAINSTEM)

    @cached_property
    def parts(self) -> dict[str, Mask]:
        """Structures of the throat that were not drawn, each cut to soft tissue; empty outside the scan."""
        found = {}
        taken = self.drawn(CORD, BRAINSTEM, MANDIBLE, PAROTID_RIGHT, PAROTID_LEFT) | self.brain
        for name, (below, behind, half) in _MIDLINE.items():
            found[name] = self._ellipsoid(below, behind, 0.0, half) & ~taken
        for name, (below, behind, aside, half) in _PAIRED.items():
            for side, sign in (("left", 1), ("right", -1)):
                found[f"{name}_{side}"] = self._ellipsoid(below, behind, sign * aside, half) & ~taken
        return found

    def _ellipsoid(self, below_mm: float, behind_mm: float, left_mm: float, half_mm: tuple[float, ...]) -> Mask:
        z = self.foramen - round(below_mm / STEP_MM)
        mask = np.zeros_like(self.body)
        if z < 0:
            return mask
        y, x = self.pharynx(z)
        center = (z, y + behind_mm / STEP_MM, x + left_mm / STEP_MM)
        grid = np.ogrid[tuple(slice(0, n) for n in mask.shape)]
        axes = zip(grid, center, half_mm[::-1], strict=True)
        return self.soft & (sum(((axis - c) * STEP_MM / h) ** 2 for axis, c, h in axes) <= 1)


def scanned_slices(hu: NDArray[np.int16], grid: Grid) -> slice:
    """The slices that show more of the body than its cord."""
    area = (hu > -500).sum(axis=(1, 2)) * grid.spacing_mm[0] * grid.spacing_mm[1]
    shown = np.flatnonzero(area >= LEAST_AREA_MM2)
    return slice(int(shown[0]), int(shown[-1]) + 1)


def _ball(radii: tuple[int, ...]) -> Mask:
    grid = np.ogrid[tuple(slice(-r, r + 1) for r in radii)]
    return np.asarray(sum((axis / max(r, 1)) ** 2 for axis, r in zip(grid, radii, strict=True)) <= 1.0)
