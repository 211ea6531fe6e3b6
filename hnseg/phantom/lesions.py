"""Primary tumors and lymph-node metastases: number, place, size and uptake."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hnseg.cohort.labels import GTVN, GTVP
from hnseg.images.geometry import Grid
from hnseg.phantom.builder import Builder
from hnseg.phantom.neck import JUGULAR_MM, along_mm
from hnseg.phantom.render import Layer, Material, Part, inside
from hnseg.phantom.shapes import F64, Difference, Ellipsoid, Intersection, Lobulated, Shape
from hnseg.phantom.subject import rotation

NO_GTVP_PROBABILITY, NO_GTVN_PROBABILITY = 0.11, 0.14
GTVP_RANGE_ML, GTVN_RANGE_ML = (2.0, 40.0), (0.4, 15.0)
CONTOUR_MARGIN_MM = 0.8  # clinical contours run a little outside the visible edge
GAP_MM = 5.0  # between contours, so that separate lesions stay separate voxels
ATTEMPTS = 6  # at finding a place for a lesion that its surroundings do not cut to pieces
SKIN_MM = 4.0  # no lesion comes nearer to the surface of the body
LEVELS_MM = {"II": (60.0, 98.0), "III": (22.0, 60.0), "IV": (-12.0, 22.0)}  # canonical heights


@dataclass(frozen=True, eq=False)
class Lesion:
    """One lesion.

    Attributes:
        label: 1 for the primary tumor (GTVp), 2 for a node (GTVn).
        site: For example ``"tonsil-left"`` or ``"level-II-right"``.
        shape, contour: The visible solid, and the contour that a reader draws.
        suv: True uptake of its viable part; measured maxima of small lesions are lower.
        volume_ml: Volume inside the contour.
        parts: Parts to paint.
    """

    label: int
    site: str
    shape: Shape
    contour: Shape
    suv: float
    volume_ml: float
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class _Plan:
    label: int
    site: str
    center: F64  # canonical mm
    volume_ml: float
    aspect: tuple[float, float, float]
    suv: float
    necrosis: float  # relative size of a necrotic core, 0 for none
    ripple: float


# Canonical center (x on the patient's left), mean half-axis ratios, frequency and largest volume in ml of each site.
_PRIMARY_SITES = {
    "tonsil": ((19.0, -32.0, 86.0), (0.85, 1.0, 1.2), 0.45, 40.0),
    "tongue-base": ((9.0, -45.0, 74.0), (1.1, 1.0, 0.95), 0.33, 40.0),
    "larynx": ((7.0, -38.0, 38.0), (0.75, 1.0, 1.15), 0.11, 6.0),
    "hypopharynx": ((13.0, -25.0, 46.0), (1.0, 0.75, 1.3), 0.11, 14.0),
}


def sample_lesions(b: Builder, rng: np.random.Generator) -> list[Lesion]:
    """Draw the lesions of a case, primary first; at least one."""
    coin = rng.random()
    side = float(rng.choice([-1.0, 1.0]))
    planners = [] if coin < NO_GTVP_PROBABILITY else [_plan_primary]
    if not NO_GTVP_PROBABILITY <= coin < NO_GTVP_PROBABILITY + NO_GTVN_PROBABILITY:
        planners += [_plan_node] * int(rng.choice([1, 2, 3, 4], p=[0.4, 0.3, 0.18, 0.12]))
    obstacles = [part.shape for part in b.parts if part.solid]
    body = Difference(next(part.shape for part in b.parts if part.name == "body"), [], grow_mm=-SKIN_MM)
    lesions: list[Lesion] = []
    for planner in planners:
        for stream in rng.spawn(ATTEMPTS):
            taken = [lesion.contour for lesion in lesions]
            lesion = _grow(b, planner(stream, side), body, obstacles, taken, stream)
            if lesion is not None:
                lesions.append(lesion)
                break
    if not lesions:
        raise RuntimeError(f"no lesion found room in {ATTEMPTS} attempts: the anatomy leaves no soft tissue")
    return lesions


def _plan_primary(rng: np.random.Generator, side: float) -> _Plan:
    names = list(_PRIMARY_SITES)
    name = names[int(rng.choice(len(names), p=[_PRIMARY_SITES[n][2] for n in names]))]
    center, aspect, _, largest_ml = _PRIMARY_SITES[name]
    volume = float(np.clip(rng.lognormal(np.log(10.0), 0.75), GTVP_RANGE_ML[0] * 1.15, largest_ml))
    # Large tumors grow away from the lumen, into the wall.
    outward = 0.35 * ((volume * 1000 * 3 / 4 / np.pi) ** (1 / 3) - 10)
    point = np.array(center) * (side, 1, 1) + np.array([side * max(outward, 0), 0, 0]) + rng.normal(0, 2.0, 3)
    ratio = np.asarray(aspect) * rng.uniform(0.88, 1.14, 3)
    suv = float(np.clip(rng.lognormal(np.log(10.5), 0.33), 5.5, 16.5))
    necrosis = float(rng.uniform(0.4, 0.6)) if volume > 9 and rng.random() < 0.3 else 0.0
    site = f"{name}-{'left' if side > 0 else 'right'}"
    return _Plan(GTVP, site, point, volume, (ratio[0], ratio[1], ratio[2]), suv, necrosis, ripple=0.09)


def _plan_node(rng: np.random.Generator, side: float) -> _Plan:
    side = side if rng.random() < 0.75 else -side  # most lie on the tumor's side
    level = str(rng.choice(list(LEVELS_MM), p=[0.6, 0.27, 0.13]))
    volume = float(np.clip(rng.lognormal(np.log(2.6), 0.9), GTVN_RANGE_ML[0] * 1.3, 0.9 * GTVN_RANGE_ML[1]))
    radius = (volume * 1000 * 3 / 4 / np.pi) ** (1 / 3)
    z = float(rng.uniform(*LEVELS_MM[level]))
    # Beside the vein, under the sternomastoid: lateral and a little behind.
    offset = np.array([0.55 * radius + 2.5, 0.5 * radius + 2.0, 0.0])
    point = along_mm(JUGULAR_MM, z) * (side, 1, 1) + offset * (side, 1, 1) + rng.normal(0, 1.5, 3)
    aspect = (float(rng.uniform(0.75, 0.95)), float(rng.uniform(0.9, 1.1)), float(rng.uniform(1.1, 1.5)))
    suv = float(np.clip(rng.lognormal(np.log(8.5), 0.33), 4.5, 13.5))
    if volume < 1.2:
        suv = max(suv, 9.0)  # a smaller node must be hotter to be seen at all
    necrosis = float(rng.uniform(0.45, 0.65)) if volume > 4 and rng.random() < 0.3 else 0.0
    site = f"level-{level}-{'left' if side > 0 else 'right'}"
    return _Plan(GTVN, site, point, volume, aspect, suv, necrosis, ripple=0.05)


def _mass(b: Builder, plan: _Plan, rng: np.random.Generator) -> Lobulated:
    """Shape of a lesion before its surroundings cut into it."""
    where = b.subject.posture.place(plan.center)
    axes = rotation(rng.uniform(-25, 25, 3)).T
    unit = np.diag(1 / np.asarray(plan.aspect)) @ axes
    directions = rng.normal(size=(6, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    columns = [directions, rng.uniform(1.5, 4.5, (6, 1)), rng.uniform(0, 6.28, (6, 1))]
    ripples = np.concatenate([*columns, rng.normal(0, plan.ripple, (6, 1)).clip(-0.2, 0.2)], axis=1)
    return Lobulated(where, unit, ripples)


def _scaled(mass: Lobulated, volume_ml: float) -> Lobulated:
    return replace(mass, to_unit=mass.to_unit * (mass.volume_ml() / volume_ml) ** (1 / 3))


def _volume_ml(shape: Shape, step_mm: float = 1.5) -> float:
    lower, upper = shape.box_mm
    size = np.ceil((upper - lower) / step_mm).astype(int) + 1
    grid = Grid((size[0], size[1], size[2]), (step_mm,) * 3, (lower[0], lower[1], lower[2]))
    return float(inside(grid, shape).sum()) * step_mm**3 / 1000


def _grow(
    b: Builder,
    plan: _Plan,
    body: Shape,
    obstacles: Sequence[Shape],
    taken: Sequence[Shape],
    rng: np.random.Generator,
) -> Lesion | None:
    """Scale a mass until its part outside bone, air and other lesions has the planned volume."""
    low, high = GTVP_RANGE_ML if plan.label == GTVP else GTVN_RANGE_ML
    free = _mass(b, plan, rng)
    reach = _scaled(free, 2.5 * plan.volume_ml)
    near = [shape for shape in obstacles if _overlap(shape, reach)]
    target, volume = plan.volume_ml, 0.0
    for _ in range(4):
        mass = _scaled(free, target)
        contour = _cut(mass, body, near, taken, CONTOUR_MARGIN_MM)
        volume = _volume_ml(contour)
        if abs(volume / plan.volume_ml - 1) < 0.08:
            break
        # A mass that its surroundings cut away is not inflated without bound.
        target = float(np.clip(target * plan.volume_ml / max(volume, 0.05), 0.4 * plan.volume_ml, 2.2 * plan.volume_ml))
    if not max(low, 0.6 * plan.volume_ml) <= volume <= high:
        return None
    shape = _cut(mass, body, near, taken, 0.0)
    return Lesion(plan.label, plan.site, shape, contour, plan.suv, volume, _parts(b, plan, mass, shape, rng))


def _cut(mass: Shape, body: Shape, near: Sequence[Shape], taken: Sequence[Shape], grow_mm: float) -> Shape:
    cut: Shape = Intersection(Difference(mass, near, margin_mm=1.0, grow_mm=grow_mm), [body])
    return Difference(cut, taken, margin_mm=GAP_MM) if taken else cut


def _overlap(one: Shape, other: Shape) -> bool:
    (low_a, high_a), (low_b, high_b) = one.box_mm, other.box_mm
    return bool(np.all(low_a <= high_b) and np.all(low_b <= high_a))


def _parts(b: Builder, plan: _Plan, mass: Lobulated, shape: Shape, rng: np.random.Generator) -> tuple[Part, ...]:
    """Viable tumor with a hot spot, and where planned a necrotic core."""
    name = f"lesion-{plan.site}"
    enhancement = 14.0 if b.subject.habitus.contrast else 0.0
    hu = float(np.clip(rng.normal(54, 5), 42, 66)) + enhancement
    rim = Material(hu - 3, 0.6 * plan.suv, 4, 0.1)
    tumor = Material(hu, plan.suv, 5, 0.13)
    parts = [Part(name, shape, (Layer(rim), Layer(tumor, 1.5)))]
    inverse = np.linalg.inv(mass.to_unit)
    shift = inverse @ rng.uniform(-0.3, 0.3, 3)
    if plan.necrosis:
        core = Ellipsoid(mass.center_mm + shift * 0.5, mass.to_unit / plan.necrosis)
        dead = Material(float(rng.uniform(18, 30)), float(rng.uniform(1.5, 3.0)), 4)
        parts.append(Part(f"{name}-necrosis", core, (Layer(dead, 0.0, 1.0),)))
    else:
        spot = Ellipsoid(mass.center_mm + shift, mass.to_unit / 0.45)
        parts.append(Part(f"{name}-hot-spot", spot, (Layer(Material(hu, plan.suv * 1.15, 5, 0.1), 0.0, 1.0),)))
    return tuple(parts)
