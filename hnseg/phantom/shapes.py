"""Implicit solids in physical space: each shape gives the depth of any point below its surface, in mm.

A depth is positive inside, negative outside and exact at the surface; away from it, it is a first-order estimate
that keeps its sign. Shapes are evaluated at :class:`Points`, on any grid, and only where their bounding box reaches.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import PchipInterpolator

from hnseg.images.geometry import Grid

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Box = tuple[F64, F64]
Window = tuple[slice, slice, slice]
OUTSIDE_MM = np.float32(-1000.0)
_TINY = np.float32(1e-9)


@dataclass(frozen=True)
class Points:
    """Physical coordinates in mm of the voxels of a block, broadcastable to (z, y, x).

    On an axis-aligned grid ``x`` has shape (1, 1, nx), ``y`` (1, ny, 1), ``z`` (nz, 1, 1); on an oblique one all
    three have the full shape.
    """

    x: F32
    y: F32
    z: F32

    @classmethod
    def of_slices(cls, grid: Grid, first: int, last: int) -> Points:
        """Coordinates of the voxels of slices ``first`` to ``last - 1`` of ``grid``."""
        index = [np.arange(grid.size[0]), np.arange(grid.size[1]), np.arange(first, last)]
        steps = grid.matrix * np.asarray(grid.spacing_mm)
        shaped = (index[0].reshape(1, 1, -1), index[1].reshape(1, -1, 1), index[2].reshape(-1, 1, 1))
        if np.count_nonzero(steps) == 3 and np.all(np.diag(steps) != 0):
            xyz = [grid.origin_mm[a] + steps[a, a] * shaped[a] for a in range(3)]
        else:
            xyz = [grid.origin_mm[a] + sum(steps[a, b] * shaped[b] for b in range(3)) for a in range(3)]
        return cls(*(np.asarray(c, dtype=np.float32) for c in xyz))

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Shape of the block, (z, y, x)."""
        return np.broadcast_shapes(self.x.shape, self.y.shape, self.z.shape)

    @cached_property
    def separable(self) -> bool:
        """Whether each coordinate varies along its own axis only."""
        return self.x.size + self.y.size + self.z.size == sum(self.shape)

    def window(self, box_mm: Box) -> Window | None:
        """Index ranges (z, y, x) of the voxels inside an axis-aligned box; None where there are none."""
        lower, upper = box_mm
        slices = []
        coordinates = (self.z, self.y, self.x)
        inside = [(c >= lower[2 - a]) & (c <= upper[2 - a]) for a, c in enumerate(coordinates)]
        if not self.separable:
            both = inside[0] & inside[1] & inside[2]
            inside = [both.any(axis=tuple(b for b in range(3) if b != a)) for a in range(3)]
        for mask in inside:
            hits = np.flatnonzero(mask)
            if hits.size == 0:
                return None
            slices.append(slice(int(hits[0]), int(hits[-1]) + 1))
        return slices[0], slices[1], slices[2]

    def part(self, window: Window) -> Points:
        """The points of a window."""
        if not self.separable:
            return Points(self.x[window], self.y[window], self.z[window])
        return Points(self.x[:, :, window[2]], self.y[:, window[1]], self.z[window[0]])

    def mapped(self, matrix: F64, origin_mm: F64) -> tuple[F32, F32, F32]:
        """``matrix @ (p - origin)``: the three components, each broadcastable to the block."""
        x, y, z = (c - np.float32(o) for c, o in zip((self.x, self.y, self.z), origin_mm, strict=True))
        rows = []
        for m in matrix.astype(np.float32):
            # Small coordinate arrays are added first, so that only one sum has the full size.
            rows.append(m[0] * x + (m[1] * y + m[2] * z))
        return rows[0], rows[1], rows[2]


class Shape(ABC):
    """A solid with a bounding box and a depth."""

    @property
    @abstractmethod
    def box_mm(self) -> Box:
        """Axis-aligned bounding box, lower and upper corner (x, y, z)."""

    @abstractmethod
    def depth_mm(self, points: Points) -> F32:
        """Depth below the surface at each point, positive inside."""


def _grown(box: Box, margin_mm: float) -> Box:
    return box[0] - margin_mm, box[1] + margin_mm


@dataclass(frozen=True, eq=False)
class Ellipsoid(Shape):
    """Ellipsoid; with ``boxy``, a superellipsoid of fourth powers.

    Attributes:
        center_mm: (3,) Center.
        to_unit: (3, 3) Maps an offset from the center in mm into the unit ball.
        boxy: Fourth powers instead of squares: near-flat ends, as vertebral bodies have.
        taper: Relative growth of the x half-axis along the local y and z axes.
    """

    center_mm: F64
    to_unit: F64
    boxy: bool = False
    taper: tuple[float, float] = (0.0, 0.0)

    @cached_property
    def box_mm(self) -> Box:
        inverse = np.linalg.inv(self.to_unit)
        reach = np.sqrt((inverse**2).sum(axis=1)) * (1 + abs(self.taper[0]) + abs(self.taper[1]))
        if self.boxy:
            reach = reach * 3**0.25
        return self.center_mm - reach, self.center_mm + reach

    def depth_mm(self, points: Points) -> F32:
        u, v, w = points.mapped(self.to_unit, self.center_mm)
        if self.taper != (0.0, 0.0):
            growth = np.float32(self.taper[0]) * np.clip(v, -1, 1) + np.float32(self.taper[1]) * np.clip(w, -1, 1)
            u = np.asarray(u / (1 + growth), dtype=np.float32)
        slope = (self.to_unit**2).sum(axis=1).astype(np.float32)
        u, v, w = u * u, v * v, w * w
        steep = slope[0] * u + slope[1] * v + slope[2] * w + _TINY
        q = np.sqrt(np.sqrt(u * u + v * v + w * w) if self.boxy else u + v + w)
        return np.asarray((1 - q) * q / np.sqrt(steep), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Capsule(Shape):
    """A capsule, possibly conical, from ``a_mm`` to ``b_mm``; ``metric`` < 1 along an axis stretches it."""

    a_mm: F64
    b_mm: F64
    radius_a_mm: float
    radius_b_mm: float
    metric: F64 = field(default_factory=lambda: np.eye(3))

    @cached_property
    def box_mm(self) -> Box:
        inverse = np.linalg.inv(self.metric)
        reach = np.sqrt((inverse**2).sum(axis=1)) * max(self.radius_a_mm, self.radius_b_mm)
        return np.minimum(self.a_mm, self.b_mm) - reach, np.maximum(self.a_mm, self.b_mm) + reach

    def depth_mm(self, points: Points) -> F32:
        u, v, w = points.mapped(self.metric, self.a_mm)
        axis = (self.metric @ (self.b_mm - self.a_mm)).astype(np.float32)
        length2 = np.float32(max(float(axis @ axis), 1e-6))
        t = np.clip((u * axis[0] + v * axis[1] + w * axis[2]) / length2, 0, 1)
        distance = (u - t * axis[0]) ** 2 + (v - t * axis[1]) ** 2 + (w - t * axis[2]) ** 2
        radius = np.float32(self.radius_a_mm) + np.float32(self.radius_b_mm - self.radius_a_mm) * t
        return np.asarray(radius - np.sqrt(distance), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Stack(Shape):
    """A solid of elliptic axial sections that change smoothly along z: neck and trunk.

    Attributes:
        z_mm, x_mm, y_mm (array (n,)): Centers of the sections, z increasing.
        half_x_mm, half_y_mm (array (n,)): Half-axes of the sections.
        squareness (array (n,)): 0 an ellipse, towards 1 a rounded rectangle.
        yaw_rad: In-plane turn of all sections.
    """

    z_mm: F64
    x_mm: F64
    y_mm: F64
    half_x_mm: F64
    half_y_mm: F64
    squareness: F64
    yaw_rad: float = 0.0
    _table: tuple[F64, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        z = np.arange(self.z_mm[0], self.z_mm[-1] + 1.0)
        curves = (self.x_mm, self.y_mm, self.half_x_mm, self.half_y_mm, self.squareness)
        columns = [np.asarray(PchipInterpolator(self.z_mm, c)(np.clip(z, *self.z_mm[[0, -1]]))) for c in curves]
        # A section that widens quickly has a flat roof there: its true depth is the in-plane one times a cosine.
        roof = 1 / np.sqrt(1 + 0.5 * np.gradient(columns[2], z) ** 2)
        object.__setattr__(self, "_table", (z, *columns, roof))

    @cached_property
    def box_mm(self) -> Box:
        reach_x = float((self.half_x_mm + abs(self.yaw_rad) * self.half_y_mm).max())
        reach_y = float((self.half_y_mm + abs(self.yaw_rad) * self.half_x_mm).max())
        lower = np.array([self.x_mm.min() - reach_x, self.y_mm.min() - reach_y, self.z_mm[0]])
        return lower, np.array([self.x_mm.max() + reach_x, self.y_mm.max() + reach_y, self.z_mm[-1]])

    def depth_mm(self, points: Points) -> F32:
        z = points.z
        x0, y0, a, b, square, roof = (np.interp(z, self._table[0], c).astype(np.float32) for c in self._table[1:])
        x, y = points.x - x0, points.y - y0
        if self.yaw_rad:
            c, s = np.float32(np.cos(self.yaw_rad)), np.float32(np.sin(self.yaw_rad))
            x, y = c * x + s * y, c * y - s * x
        u = (x / a) ** 2
        v = (y / b) ** 2
        q = u + v
        steep = u / (a * a) + v / (b * b) + _TINY
        u = u * v
        u *= square
        q -= u
        np.maximum(q, 0, out=q)
        np.sqrt(q, out=q)
        depth = (1 - q) * q
        depth /= np.sqrt(steep, out=steep)
        depth *= roof
        ends = np.minimum(z - np.float32(self.z_mm[0]), np.float32(self.z_mm[-1]) - z)
        return np.asarray(np.minimum(depth, ends, out=depth) if depth.shape == points.shape else depth, np.float32)


@dataclass(frozen=True, eq=False)
class HalfSpace(Shape):
    """Everything on the side of a plane to which ``normal`` points; ``steepness`` multiplies its depth."""

    point_mm: F64
    normal: F64
    steepness: float = 1.0

    @cached_property
    def box_mm(self) -> Box:
        return np.full(3, -np.inf), np.full(3, np.inf)

    def depth_mm(self, points: Points) -> F32:
        unit = self.steepness * self.normal / np.linalg.norm(self.normal)
        nx, ny, nz = unit.astype(np.float32)
        return nx * points.x + (ny * points.y + (nz * points.z - np.float32(unit @ self.point_mm)))


@dataclass(frozen=True, eq=False)
class Union(Shape):
    """All members together; ``blend_mm`` rounds the seams between them."""

    members: Sequence[Shape]
    blend_mm: float = 0.0

    @cached_property
    def box_mm(self) -> Box:
        boxes = [member.box_mm for member in self.members]
        joint = np.min([b[0] for b in boxes], axis=0), np.max([b[1] for b in boxes], axis=0)
        return _grown(joint, self.blend_mm / 4)

    def depth_mm(self, points: Points) -> F32:
        depth = np.full(points.shape, OUTSIDE_MM, dtype=np.float32)
        for member in self.members:
            window = points.window(_grown(member.box_mm, max(8.0, 2 * self.blend_mm)))
            if window is None:
                continue
            here, new = depth[window], member.depth_mm(points.part(window))
            if self.blend_mm:
                mix = np.clip(0.5 + (new - here) * np.float32(0.5 / self.blend_mm), 0, 1)
                here += (new - here) * mix
                here += np.float32(self.blend_mm) * mix * (1 - mix)
            else:
                np.maximum(here, new, out=here)
        return depth


@dataclass(frozen=True, eq=False)
class Intersection(Shape):
    """The part of ``base`` that lies in every one of ``others``."""

    base: Shape
    others: Sequence[Shape]

    @cached_property
    def box_mm(self) -> Box:
        return self.base.box_mm

    def depth_mm(self, points: Points) -> F32:
        depth = self.base.depth_mm(points)
        for other in self.others:
            depth = np.minimum(depth, other.depth_mm(points))
        return depth


@dataclass(frozen=True, eq=False)
class Difference(Shape):
    """``base``, grown by ``grow_mm``, without ``removed`` and a margin of ``margin_mm`` around it."""

    base: Shape
    removed: Sequence[Shape]
    margin_mm: float = 0.0
    grow_mm: float = 0.0

    @cached_property
    def box_mm(self) -> Box:
        return _grown(self.base.box_mm, self.grow_mm)

    def depth_mm(self, points: Points) -> F32:
        depth = np.broadcast_to(self.base.depth_mm(points) + np.float32(self.grow_mm), points.shape).copy()
        for shape in self.removed:
            window = points.window(_grown(shape.box_mm, self.margin_mm + 8.0))
            if window is not None:
                outside = -shape.depth_mm(points.part(window)) - np.float32(self.margin_mm)
                depth[window] = np.minimum(depth[window], outside)
        return depth


@dataclass(frozen=True, eq=False)
class Lobulated(Shape):
    """An ellipsoid whose radius ripples with direction: an irregular mass.

    Attributes:
        center_mm, to_unit: As for :class:`Ellipsoid`.
        ripples (array (k, 6)): Rows (vx, vy, vz, frequency, phase, amplitude): the unit direction n has the relative
            radius ``1 + Σ amplitude · cos(frequency · n·v + phase)``.
    """

    center_mm: F64
    to_unit: F64
    ripples: F64

    def radius(self, directions: ArrayLike) -> F64:
        """Relative radius in unit directions (n, 3)."""
        n = np.asarray(directions, dtype=np.float64)
        r = self.ripples
        return 1 + (r[:, 5] * np.cos(r[:, 3] * (n @ r[:, :3].T) + r[:, 4])).sum(axis=1)

    def volume_ml(self) -> float:
        """Volume, from 2,000 evenly spread directions."""
        k = np.arange(2000) + 0.5
        z, angle = 1 - k / 1000, np.pi * (1 + 5**0.5) * k
        ring = np.sqrt(1 - z * z)
        directions = np.stack([ring * np.cos(angle), ring * np.sin(angle), z], axis=1)
        return float(4 / 3 * np.pi * (self.radius(directions) ** 3).mean() / np.linalg.det(self.to_unit) / 1000)

    @cached_property
    def box_mm(self) -> Box:
        inverse = np.linalg.inv(self.to_unit)
        reach = np.sqrt((inverse**2).sum(axis=1)) * (1 + np.abs(self.ripples[:, 5]).sum())
        return self.center_mm - reach, self.center_mm + reach

    def depth_mm(self, points: Points) -> F32:
        u, v, w = np.broadcast_arrays(*points.mapped(self.to_unit, self.center_mm))
        r = np.sqrt(u * u + v * v + w * w) + _TINY
        relative = np.ones_like(r)
        for row in self.ripples.astype(np.float32):
            along = (u * row[0] + v * row[1] + w * row[2]) / r
            relative += row[5] * np.cos(row[3] * along + row[4])
        slope = (self.to_unit**2).sum(axis=1).astype(np.float32)
        steep = np.sqrt(slope[0] * u * u + slope[1] * v * v + slope[2] * w * w) + _TINY
        return np.asarray((relative - r) * r / steep, dtype=np.float32)
