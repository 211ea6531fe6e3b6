"""Rendering of parts to voxel values: solids painted over each other, slab by slab, on any grid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hnseg.images.geometry import Grid
from hnseg.phantom.shapes import F32, Box, Points, Shape

Quantity = Literal["hu", "suv"]
SLAB_VOXELS = 2_000_000  # a slab and its temporaries stay within a few MB: close to the cache, and little memory


@dataclass(frozen=True)
class Material:
    """CT number and uptake of a tissue.

    Attributes:
        hu, hu_sd: Mean CT number, and the standard deviation of its slow texture, HU.
        suv, suv_cv: Mean uptake in SUV, and the relative standard deviation of its texture.
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

    ``solid`` marks parts that soft-tissue lesions cannot enter: bone, teeth, cartilage, lung, the lumen of the airway.
    """

    name: str
    shape: Shape
    layers: tuple[Layer, ...]
    solid: bool = False


@dataclass(frozen=True, eq=False)
class Texture:
    """A smooth random field of zero mean and unit variance: a sum of plane waves in all directions.

    ``waves`` has rows (kx, ky, kz in rad/mm, phase).
    """

    waves: NDArray[np.float64]

    @classmethod
    def sample(cls, rng: np.random.Generator, wavelength_mm: tuple[float, float], count: int) -> Texture:
        """Draw ``count`` waves with wavelengths in a range."""
        direction = rng.normal(size=(count, 3))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        number = 2 * np.pi / rng.uniform(*wavelength_mm, size=(count, 1))
        return cls(np.concatenate([number * direction, rng.uniform(0, 2 * np.pi, size=(count, 1))], axis=1))

    def values(self, points: Points) -> F32:
        """The field at the points."""
        total = np.zeros(points.shape, dtype=np.float32)
        for kx, ky, kz, phase in self.waves.astype(np.float32):
            across = ky * points.y + (kz * points.z + phase)
            # cos(a + b) by its addition theorem: on separable points no cosine of a whole block is needed.
            total += np.cos(kx * points.x) * np.cos(across)
            total -= np.sin(kx * points.x) * np.sin(across)
        total *= np.float32(np.sqrt(2.0 / len(self.waves)))
        return total


def render(
    grid: Grid, parts: Sequence[Part], texture: Texture, quantity: Quantity, background: float
) -> NDArray[np.float32]:
    """Paint parts in order on a grid.

    Returns:
        ndarray of float32, (z, y, x): HU or SUV before any scanner effect; borders are softened over one in-plane
        voxel.
    """
    image = np.full(grid.shape, background, dtype=np.float32)
    width_mm = float(np.mean(grid.spacing_mm[:2]))
    reach = [(part, _grown(part.shape.box_mm, width_mm)) for part in parts]
    lower, upper = grid.bounds_mm()
    seen = [(part, box) for part, box in reach if np.all(box[0] <= upper) and np.all(box[1] >= lower)]
    depth = max(1, SLAB_VOXELS // (grid.size[0] * grid.size[1]))
    for first in range(0, grid.size[2], depth):
        slab = image[first : first + depth]
        points = Points.of_slices(grid, first, first + slab.shape[0])
        field = texture.values(points)
        for part, box in seen:
            window = points.window(box)
            if window is not None:
                _paint(slab[window], field[window], points.part(window), part, quantity, width_mm)
    return image


def _grown(box: Box, margin_mm: float) -> Box:
    return box[0] - margin_mm, box[1] + margin_mm


def _paint(target: F32, wave: F32, points: Points, part: Part, quantity: Quantity, width_mm: float) -> None:
    depth = part.shape.depth_mm(points)
    for layer in part.layers:
        border = layer.depth_mm(points.z) if callable(layer.depth_mm) else np.float32(layer.depth_mm)
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
    """Voxels of a grid whose center lies in a shape, (z, y, x)."""
    mask = np.zeros(grid.shape, dtype=bool)
    depth = max(1, SLAB_VOXELS // (grid.size[0] * grid.size[1]))
    for first in range(0, grid.size[2], depth):
        slab = mask[first : first + depth]
        points = Points.of_slices(grid, first, first + slab.shape[0])
        window = points.window(shape.box_mm)
        if window is not None:
            slab[window] = shape.depth_mm(points.part(window)) > 0
    return mask
