"""From a list of parts to voxel values: paint solids over each other, slab by slab, on any grid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hnseg.geometry import Grid
from hnseg.phantom.shapes import F32, Points, Shape

Quantity = Literal["hu", "suv"]
SLAB_VOXELS = 1_000_000  # a slab and its temporaries stay within a few MB: close to the cache, and little memory


@dataclass(frozen=True)
class Material:
    """What a tissue is made of, as both scanners see it.

    Attributes
    ----------
    hu, hu_sd : float
        Mean CT number, and the standard deviation of its slow texture, HU.
    suv, suv_cv : float
        Mean uptake in SUV, and the relative standard deviation of its texture.
    """

    hu: float
    suv: float
    hu_sd: float = 0.0
    suv_cv: float = 0.0


@dataclass(frozen=True)
class Layer:
    """A material that begins ``depth_mm`` below a surface, which may depend on z; texture may roughen that border."""

    material: Material
    depth_mm: float | Callable[[F32], F32] = 0.0
    roughness_mm: float = 0.0


@dataclass(frozen=True, eq=False)
class Part:
    """A named solid with its layers, painted over all parts before it.

    ``solid`` marks what no soft-tissue lesion may enter: bone, teeth, cartilage and the lumen of the airway.
    """

    name: str
    shape: Shape
    layers: tuple[Layer, ...]
    solid: bool = False


@dataclass(frozen=True, eq=False)
class Texture:
    """A smooth random field of zero mean and unit variance: a sum of plane-wave products.

    ``waves`` has rows (kx, ky, kz in rad/mm, then three phases).
    """

    waves: NDArray[np.float64]

    @classmethod
    def sample(cls, rng: np.random.Generator, wavelength_mm: tuple[float, float], count: int) -> Texture:
        """Draw ``count`` waves with wavelengths in a range."""
        number = 2 * np.pi / rng.uniform(*wavelength_mm, size=(count, 3))
        return cls(np.concatenate([number, rng.uniform(0, 2 * np.pi, size=(count, 3))], axis=1))

    def values(self, points: Points) -> F32:
        """The field at the points."""
        total = np.zeros(points.shape, dtype=np.float32)
        for kx, ky, kz, px, py, pz in self.waves.astype(np.float32):
            total += np.cos(kx * points.x + px) * (np.cos(ky * points.y + py) * np.cos(kz * points.z + pz))
        # A product of three cosines has variance 1/8.
        total *= np.float32(np.sqrt(8.0 / len(self.waves)))
        return total


def render(
    grid: Grid, parts: Sequence[Part], texture: Texture, quantity: Quantity, background: float
) -> NDArray[np.float32]:
    """Paint the parts in order on a grid.

    Returns
    -------
    ndarray of float32, (z, y, x)
        HU or SUV before any scanner effect; borders are softened over one in-plane voxel.
    """
    image = np.full(grid.shape, background, dtype=np.float32)
    width_mm = float(np.mean(grid.spacing_mm[:2]))
    depth = max(1, SLAB_VOXELS // (grid.size[0] * grid.size[1]))
    for first in range(0, grid.size[2], depth):
        slab = image[first : first + depth]
        points = Points.of_slices(grid, first, first + slab.shape[0])
        field = texture.values(points)
        for part in parts:
            _paint(slab, field, points, part, quantity, width_mm)
    return image


def _paint(slab: F32, field: F32, points: Points, part: Part, quantity: Quantity, width_mm: float) -> None:
    lower, upper = part.shape.box_mm
    window = points.window((lower - width_mm, upper + width_mm))
    if window is None:
        return
    here, target, wave = points.part(window), slab[window], field[window]
    depth = part.shape.depth_mm(here)
    for layer in part.layers:
        border = layer.depth_mm(here.z) if callable(layer.depth_mm) else np.float32(layer.depth_mm)
        weight = depth - border
        if layer.roughness_mm:
            weight = weight + np.float32(layer.roughness_mm) * wave
        weight = weight * np.float32(1 / width_mm) + np.float32(0.5)
        np.clip(weight, 0, 1, out=weight)
        weight *= _values(layer.material, wave, quantity) - target
        target += weight


def _values(material: Material, wave: F32, quantity: Quantity) -> F32 | np.float32:
    if quantity == "hu":
        mean, spread = material.hu, material.hu_sd
    else:
        mean, spread = material.suv, material.suv * material.suv_cv
    return np.float32(mean) + np.float32(spread) * wave if spread else np.float32(mean)


def inside(grid: Grid, shape: Shape) -> NDArray[np.bool_]:
    """Voxels of a grid whose centre lies in a shape, (z, y, x)."""
    mask = np.zeros(grid.shape, dtype=bool)
    depth = max(1, SLAB_VOXELS // (grid.size[0] * grid.size[1]))
    for first in range(0, grid.size[2], depth):
        slab = mask[first : first + depth]
        points = Points.of_slices(grid, first, first + slab.shape[0])
        window = points.window(shape.box_mm)
        if window is not None:
            slab[window] = shape.depth_mm(points.part(window)) > 0
    return mask
