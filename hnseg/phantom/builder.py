"""Builder of the anatomy: shapes in canonical coordinates, placed in the scanner by the posture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from hnseg.phantom.render import Layer, Material, Part
from hnseg.phantom.shapes import F64, Capsule, Ellipsoid, HalfSpace, Shape, Union
from hnseg.phantom.subject import Subject, Tissues, rotation, tissues_of

Filling = Material | Sequence[Layer]
SIDES = ((1.0, "left"), (-1.0, "right"))  # +x is the patient's left


def shell(outer: Material, inner: Material, thickness_mm: float) -> tuple[Layer, Layer]:
    """Two layers: a shell and its content."""
    return Layer(outer), Layer(inner, thickness_mm)


def sheathed(muscle: Material, fat: Material) -> tuple[Layer, Layer]:
    """A muscle in a thin fatty sheath, which keeps neighbors apart."""
    return Layer(fat, -0.4), Layer(muscle, 0.7, 0.5)


class Builder:
    """Collector of parts; positions and sizes are in canonical mm, turns in degrees.

    Attributes:
        parts: In painting order.
    """

    def __init__(self, subject: Subject, rng: np.random.Generator) -> None:
        self.subject = subject
        self.tissues: Tissues = tissues_of(subject)
        self.rng = rng
        self.parts: list[Part] = []

    def add(self, name: str, shape: Shape, filling: Filling, *, solid: bool = False) -> Shape:
        """Append a shape to the parts."""
        layers = (Layer(filling),) if isinstance(filling, Material) else tuple(filling)
        self.parts.append(Part(name, shape, layers, solid))
        return shape

    def ellipsoid(
        self,
        center: ArrayLike,
        radii: ArrayLike,
        *,
        turn_deg: ArrayLike = (0.0, 0.0, 0.0),
        boxy: bool = False,
        taper: tuple[float, float] = (0.0, 0.0),
        jitter_mm: float = 0.0,
    ) -> Ellipsoid:
        """An ellipsoid with its half-axes, shifted at random with a standard deviation of ``jitter_mm``."""
        point = np.asarray(center, dtype=np.float64)
        if jitter_mm:
            point = point + self.jitter(jitter_mm)
        local = np.diag(1 / np.asarray(radii, dtype=np.float64)) @ rotation(turn_deg).T
        posture = self.subject.posture
        return Ellipsoid(posture.place(point), local @ np.linalg.inv(posture.jacobian(point)), boxy, taper)

    def tube(
        self, points: ArrayLike, radii: ArrayLike, *, stretch: tuple[float, float, float] = (1.0, 1.0, 1.0)
    ) -> Union:
        """A tube along a polyline, with one radius or one per point.

        ``stretch`` multiplies the radius along x, y and z: (1, 1, 3) is a strap standing upright.
        """
        posture = self.subject.posture
        path = np.asarray(points, dtype=np.float64)
        radius = np.broadcast_to(np.asarray(radii, dtype=np.float64), (len(path),))
        placed = [posture.place(p) for p in path]
        members = []
        for k in range(len(path) - 1):
            metric = np.eye(3)
            if stretch != (1.0, 1.0, 1.0):
                # It follows the posture's turn but not its scale: radii stay millimeters of the thin direction.
                u, _, vt = np.linalg.svd(posture.jacobian((path[k] + path[k + 1]) / 2))
                metric = np.diag(1 / np.asarray(stretch, dtype=np.float64)) @ (u @ vt).T
            members.append(Capsule(placed[k], placed[k + 1], float(radius[k]), float(radius[k + 1]), metric))
        return Union(members)

    def above(self, point: ArrayLike, normal: ArrayLike, steepness: float = 1.0) -> HalfSpace:
        """The half-space on the side of a plane to which its canonical normal points."""
        where = np.asarray(point, dtype=np.float64)
        posture = self.subject.posture
        turned = np.linalg.inv(posture.jacobian(where)).T @ np.asarray(normal, dtype=np.float64)
        return HalfSpace(posture.place(where), np.asarray(turned, dtype=np.float64), steepness)

    def jitter(self, sd_mm: float) -> F64:
        """A random offset (3,) of at most two standard deviations."""
        return np.clip(self.rng.normal(0, sd_mm, 3), -2 * sd_mm, 2 * sd_mm)
