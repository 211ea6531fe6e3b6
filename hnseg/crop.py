"""Where the head and neck are: one fixed box per case, found in PET, confirmed in CT.

The published crop thresholds the PET coarsely, takes the top of what is hot as the superior boundary of the head and
the mean of the hot voxels as its axial centre, and cuts 200 × 200 × 310 mm below that boundary. It assumes that the
brain *is* in view; a hot bladder or sarcoma would be taken for it. Here the hot region must also be enclosed by bone:
rays from its centre, in the axial plane, must meet skull in almost every direction. Where no such region exists the box
falls back to the top of the scan, and says so.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hnseg.geometry import Grid
from hnseg.resample import overlap_mm, resample, upright_grid

COARSE_MM = 4.0
SEARCH_MM = 250.0  # the brain lies in the upper part of any scan that shows it (head 200–230 mm, plus some air)
BRAIN_SUV = 3.0  # grey matter is at SUV 6–12, most other tissue in the head below 3
BRAIN_MIN_ML = 150.0  # an adult brain has 1,100–1,500 ml; a scan may begin in the middle of it
BONE_HU = 200.0  # skull, also where a 4 mm voxel only half covers it
RAY_MM = 120.0  # half of the longest diameter of a large adult head
ENCLOSED = 0.8  # share of directions with bone: skull vault ≈ 1.0, pelvis and thigh well below
BODY_HU = -300.0


@dataclass(frozen=True)
class Crop:
    """A crop box and the reasons for it.

    Attributes
    ----------
    grid : Grid
        The box as an upright grid; it may reach beyond the images.
    method : str
        How the box was found.
    confidence : float
        0 to 1: the share of directions in which the brain was seen enclosed by skull; 0 for a fallback.
    reason : str
        One sentence for the report.
    fallback : bool
        The head was asked for and not found.
    in_view : float
        Share of the box's height that CT and PET both cover, 0 to 1.
    brain_ml : float
        Volume of the hot region taken for the brain; 0 where there is none.
    """

    grid: Grid
    method: str
    confidence: float
    reason: str
    fallback: bool
    in_view: float
    brain_ml: float

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {**asdict(self), "grid": self.grid.as_dict()}


def find_crop(
    ct_hu: NDArray[Any],
    ct_grid: Grid,
    pet_suv: NDArray[Any],
    pet_grid: Grid,
    *,
    box_vox: tuple[int, int, int],
    spacing_mm: float,
    method: Literal["head", "centre"] = "head",
) -> Crop:
    """Place the box.

    Parameters
    ----------
    ct_hu, pet_suv : ndarray (z, y, x)
        CT in HU and PET in SUV, each on its own grid, any direction.
    ct_grid, pet_grid : Grid
    box_vox : tuple of int
        Size of the box in voxels (x, y, z).
    spacing_mm : float
        Edge of a voxel of the box.
    method : {"head", "centre"}
        ``head``: as described above. ``centre``: always the body's centre at the top of the scan.

    Raises
    ------
    ValueError
        CT and PET do not overlap.
    """
    common = overlap_mm(ct_grid, pet_grid)
    if common is None:
        raise ValueError(f"CT {ct_grid.bounds_mm()} mm and PET {pet_grid.bounds_mm()} mm do not overlap")
    low, high = common
    height = np.asarray([high[0] - low[0], high[1] - low[1], min(high[2] - low[2], SEARCH_MM)])
    size = tuple(int(n) for n in np.maximum(np.floor(height / COARSE_MM), 1))
    coarse = upright_grid(np.array([low[0], low[1], high[2] - height[2]]), (size[0], size[1], size[2]), COARSE_MM)
    ct = resample(ct_hu, ct_grid, coarse, outside=-1024.0)

    centre_xy, top, confidence, reason, brain_ml = (
        _body_top(ct, coarse, high[2]),
        float(high[2]),
        0.0,
        "as asked",
        0.0,
    )
    fallback = False
    if method == "head":
        pet = resample(pet_suv, pet_grid, coarse, outside=0.0)
        found = _find_brain(pet, ct, coarse)
        confidence, reason, brain_ml = found.enclosed, found.reason, found.volume_ml
        fallback = not found.accepted
        if found.accepted:
            centre_xy, top = found.centre_xy, found.top_mm
        else:
            confidence, brain_ml = 0.0, 0.0
            reason += "; the box stands at the top of the scan, centred on the body"
    lengths = np.asarray(box_vox) * spacing_mm
    lower = np.array([centre_xy[0] - lengths[0] / 2, centre_xy[1] - lengths[1] / 2, top - lengths[2]])
    seen = max(0.0, min(top, high[2]) - max(lower[2], low[2])) / lengths[2]
    grid = upright_grid(lower, box_vox, spacing_mm)
    return Crop(grid, method, round(confidence, 3), reason, fallback, round(float(seen), 3), round(brain_ml, 1))


@dataclass(frozen=True)
class _Brain:
    accepted: bool
    enclosed: float
    reason: str
    centre_xy: tuple[float, float] = (0.0, 0.0)
    top_mm: float = 0.0
    volume_ml: float = 0.0


def _find_brain(pet: NDArray[Any], ct: NDArray[Any], grid: Grid) -> _Brain:
    """The largest hot region, if it is large enough and enclosed by bone."""
    hot = pet > BRAIN_SUV
    components, _ = ndimage.label(hot, structure=np.ones((3, 3, 3)))
    volumes = np.bincount(components.ravel())[1:] * grid.voxel_ml
    candidates = [int(i) + 1 for i in np.argsort(volumes)[::-1] if volumes[i] >= BRAIN_MIN_ML]
    if not candidates:
        largest = f"{volumes.max():.0f} ml" if volumes.size else "nothing"
        return _Brain(False, 0.0, f"no brain in view: largest region above SUV {BRAIN_SUV:g} is {largest}")
    enclosed = [_enclosed_by_bone(components == index, ct, grid) for index in candidates]
    best = int(np.argmax(enclosed))
    volume = float(volumes[candidates[best] - 1])
    told = f"hot region of {volume:.0f} ml with bone in {enclosed[best]:.0%} of the directions around it"
    if enclosed[best] < ENCLOSED:
        return _Brain(False, enclosed[best], f"no brain in view: {told}")
    where = np.argwhere(components == candidates[best])
    centre = grid.to_physical(where.mean(axis=0)[::-1])
    top = grid.to_physical([0, 0, where[:, 0].max() + 0.5])[2]
    return _Brain(True, enclosed[best], f"brain: {told}", (float(centre[0]), float(centre[1])), float(top), volume)


def _enclosed_by_bone(region: NDArray[np.bool_], ct: NDArray[Any], grid: Grid) -> float:
    """Share of 72 axial directions, from the region's centre, that meet bone within :data:`RAY_MM`.

    Taken in the axial slices at a half and three quarters of the region's height; the better of the two counts, since
    the skull base is open towards the face.
    """
    where = np.argwhere(region)
    angles = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    radii = np.arange(0, RAY_MM, COARSE_MM / 2) / grid.spacing_mm[0]
    shares = []
    for quantile in (0.5, 0.75):
        z = int(np.quantile(where[:, 0], quantile))
        y, x = where[where[:, 0] == z][:, 1:].mean(axis=0)
        ys, xs = y + np.outer(np.sin(angles), radii), x + np.outer(np.cos(angles), radii)
        # A 4 mm voxel may miss a thin table of the skull: take the maximum over neighbouring slices.
        plate = ct[max(z - 1, 0) : z + 2].max(axis=0)
        samples = ndimage.map_coordinates(plate, [ys, xs], order=1, cval=-1024.0)
        shares.append(float((samples.max(axis=1) > BONE_HU).mean()))
    return max(shares)


def _body_top(ct: NDArray[Any], grid: Grid, top_mm: float) -> tuple[float, float]:
    """Axial centre of the body (mean of its voxels) over the searched part of the scan."""
    components, count = ndimage.label(ct > BODY_HU)
    if count == 0:
        centre = grid.to_physical((np.asarray(grid.size) - 1) / 2)
        return float(centre[0]), float(centre[1])
    body = components == (1 + int(np.argmax(np.bincount(components.ravel())[1:])))
    centre = grid.to_physical(np.argwhere(body).mean(axis=0)[::-1])
    return float(centre[0]), float(centre[1])


def brain_in_box(pet_suv: NDArray[Any]) -> NDArray[np.bool_]:
    """The brain in a box that ``find_crop`` placed by it: the hot component that reaches the top tenth of the box.

    Parameters
    ----------
    pet_suv : ndarray (z, y, x)
        PET on the crop grid, in SUV.

    Returns
    -------
    ndarray of bool, same shape
    """
    components, _ = ndimage.label(pet_suv > BRAIN_SUV, structure=np.ones((3, 3, 3)))
    top = components[-max(1, components.shape[0] // 10) :]
    counts = np.bincount(top.ravel(), minlength=1)
    counts[0] = 0
    if not counts.any():
        return np.zeros(components.shape, bool)
    brain: NDArray[np.bool_] = components == int(counts.argmax())
    return brain
