"""Model of a person: posture, build and uptake, drawn from a random generator.

Anatomy is defined in *canonical* coordinates, (x, y, z) mm in LPS axes: x = 0 the midline, y = 0 near the
upper cervical spine, z = 0 the top of the first thoracic vertebra (vertex about +272, chin +48, carina −95). A
:class:`Posture` maps canonical points to the scanner.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from hnseg.phantom.render import Material
from hnseg.phantom.shapes import F64

PIVOT_MM = np.array([0.0, 8.0, 18.0])  # canonical: the head turns and nods about the lower cervical spine


def rotation(degrees: ArrayLike) -> F64:
    """Rotation matrix for turns about x, then y, then z, in degrees."""
    x, y, z = (math.radians(d) for d in np.asarray(degrees, dtype=np.float64).tolist())
    cx, sx, cy, sy, cz, sz = math.cos(x), math.sin(x), math.cos(y), math.sin(y), math.cos(z), math.sin(z)
    return np.array(
        [
            [cz * cy, cz * sy * sx - sz * cx, cz * sy * cx + sz * sx],
            [sz * cy, sz * sy * sx + cz * cx, sz * sy * cx - cz * sx],
            [-sy, cy * sx, cy * cx],
        ]
    )


def _ramp(value: float, low: float, high: float) -> float:
    return min(max((value - low) / (high - low), 0.0), 1.0)


@dataclass(frozen=True, eq=False)
class Posture:
    """Position of canonical anatomy in the scanner.

    Attributes:
        head_scale, neck_scale, trunk_scale: Sizes relative to the canonical adult; ``neck_scale`` acts on the length of
            the neck.
        head_turn_deg (array (3,)): Nod (about x), tilt (about y) and turn (about z) of the head against the trunk.
        trunk_turn_deg (array (3,)): Turn of the whole person on the table.
        shift_mm (array (3,)): Position of the canonical origin in the scanner.
    """

    head_scale: float
    neck_scale: float
    trunk_scale: float
    head_turn_deg: F64
    trunk_turn_deg: F64
    shift_mm: F64

    def place(self, canonical_mm: F64) -> F64:
        """Scanner position of one canonical point (3,)."""
        z = float(canonical_mm[2])
        wide = self.trunk_scale + (1.0 - self.trunk_scale) * _ramp(z, -40.0, 20.0)
        wide += (self.head_scale - 1.0) * _ramp(z, 80.0, 130.0)
        high = self.trunk_scale * min(z, 0.0) + self.neck_scale * min(max(z, 0.0), 100.0)
        high += self.head_scale * max(z - 100.0, 0.0)
        point = np.array([wide * canonical_mm[0], wide * canonical_mm[1], high])
        t = _ramp(z, 5.0, 115.0)
        if t > 0:
            share = t * t * (3 - 2 * t)
            point = PIVOT_MM + rotation(share * self.head_turn_deg) @ (point - PIVOT_MM)
        return np.asarray(self._trunk_turn @ point + self.shift_mm)

    @cached_property
    def _trunk_turn(self) -> F64:
        return rotation(self.trunk_turn_deg)

    def jacobian(self, canonical_mm: F64) -> F64:
        """Local linear map (3, 3) from canonical to scanner offsets."""
        step = 4.0
        columns = []
        for axis in np.eye(3) * step:
            columns.append((self.place(canonical_mm + axis) - self.place(canonical_mm - axis)) / (2 * step))
        return np.stack(columns, axis=1)


@dataclass(frozen=True)
class Uptake:
    """True physiologic uptake of one person, SUV; measured values of thin organs are lower, due to blur."""

    blood: float
    muscle: float
    gray_matter: float
    white_matter: float
    cerebellum: float
    tonsil_left: float
    tonsil_right: float
    lingual_tonsil: float
    adenoid: float
    parotid: float
    submandibular: float
    floor_of_mouth: float
    soft_palate: float
    larynx: float
    thyroid: float
    marrow: float
    myocardium: float
    liver: float
    esophagus: float
    brown_fat: float


@dataclass(frozen=True)
class Habitus:
    """Build of one person, and dental metal, contrast agent and brown fat.

    ``fat_mm`` is the thickness of subcutaneous fat on the trunk; ``arms`` is ``"down"`` or ``"up"``.
    """

    sex: str
    fat_mm: float
    trunk_width: float
    arms: str
    dental_metal: int
    teeth_missing: float
    contrast: bool
    brown_fat: bool


@dataclass(frozen=True, eq=False)
class Subject:
    """A person: posture, habitus and uptake."""

    posture: Posture
    habitus: Habitus
    uptake: Uptake


def sample_subject(
    rng: np.random.Generator, *, arms_up_probability: float = 0.0, contrast_probability: float = 0.5
) -> Subject:
    """Draw a person.

    Args:
        rng: Random generator.
        arms_up_probability, contrast_probability: Of arms beside the head, and of intravenous contrast.
    """
    male = rng.random() < 0.8  # as in published head-and-neck cohorts
    size = (1.0 if male else 0.93) * rng.normal(1.0, 0.025)
    posture = Posture(
        head_scale=float(np.clip(size * rng.normal(1, 0.012), 0.88, 1.08)),
        neck_scale=float(np.clip(size * rng.normal(1, 0.06), 0.82, 1.16)),
        trunk_scale=float(np.clip(size * rng.normal(1, 0.02), 0.88, 1.08)),
        head_turn_deg=np.clip(rng.normal([-2, 0, 0], [6.0, 2.0, 4.0]), [-14, -4, -9], [12, 4, 9]),
        trunk_turn_deg=np.clip(rng.normal(0, [1.0, 1.0, 1.2]), -2.5, 2.5),
        # The position of z = 0 depends on the scanner's landmark.
        shift_mm=np.append(np.clip(rng.normal(0, [7.0, 8.0]), -18, 18), rng.uniform(-900, 200)),
    )
    habitus = Habitus(
        sex="M" if male else "F",
        fat_mm=float(np.clip(rng.lognormal(np.log(13), 0.45), 5, 34)),
        trunk_width=float(rng.normal(1.0, 0.05)),
        arms="up" if rng.random() < arms_up_probability else "down",
        dental_metal=int(rng.choice([0, 1, 2, 4], p=[0.6, 0.15, 0.15, 0.1])),
        teeth_missing=float(rng.choice([0.05, 0.25, 1.0], p=[0.6, 0.25, 0.15])),
        contrast=bool(rng.random() < contrast_probability),
        brown_fat=bool(rng.random() < 0.08),
    )
    return Subject(posture, habitus, _sample_uptake(rng))


def _sample_uptake(rng: np.random.Generator) -> Uptake:
    tonsil = float(np.clip(rng.lognormal(np.log(4.5), 0.26), 2.9, 7.5))
    # One in five has clearly asymmetric tonsils without disease.
    asymmetry = rng.choice([1.0, 1.3], p=[0.8, 0.2]) ** rng.choice([-1, 1])
    gray = float(np.clip(rng.normal(9.8, 1.5), 7.0, 13.0))
    return Uptake(
        blood=float(np.clip(rng.normal(1.7, 0.2), 1.2, 2.2)),
        muscle=float(np.clip(rng.normal(0.75, 0.1), 0.5, 1.0)),
        gray_matter=gray,
        white_matter=gray * float(rng.uniform(0.38, 0.47)),
        cerebellum=gray * float(rng.uniform(0.7, 0.85)),
        tonsil_left=tonsil * float(asymmetry),
        tonsil_right=tonsil / float(asymmetry),
        lingual_tonsil=float(np.clip(rng.lognormal(np.log(4.2), 0.26), 2.4, 7.0)),
        adenoid=float(rng.uniform(1.8, 6.0)),
        parotid=float(rng.uniform(1.3, 2.4)),
        submandibular=float(rng.uniform(1.8, 3.2)),
        floor_of_mouth=float(rng.uniform(1.8, 5.5)),
        soft_palate=float(rng.uniform(2.2, 5.0)),
        larynx=float(rng.choice([1.7, 4.2], p=[0.75, 0.25]) * rng.uniform(0.8, 1.25)),
        thyroid=float(rng.choice([1.4, 4.5], p=[0.93, 0.07]) * rng.uniform(0.8, 1.2)),
        marrow=float(rng.uniform(0.9, 1.8)),
        myocardium=float(rng.choice([2.2, 7.0], p=[0.4, 0.6]) * rng.uniform(0.75, 1.2)),
        liver=float(np.clip(rng.normal(2.4, 0.3), 1.8, 3.2)),
        esophagus=float(rng.uniform(1.3, 2.4)),
        brown_fat=float(rng.uniform(3.0, 9.0)),
    )


@dataclass(frozen=True)
class Tissues:
    """The materials of one person."""

    air: Material
    lung: Material
    skin: Material
    fat: Material
    loose: Material
    muscle: Material
    active_muscle: Material
    mucosa: Material
    cortex: Material
    diploe: Material
    spongiosa: Material
    vertebral: Material
    tooth: Material
    metal: Material
    cartilage: Material
    disc: Material
    fluid: Material
    gray_matter: Material
    white_matter: Material
    cerebellum: Material
    cord: Material
    artery: Material
    vein: Material
    parotid: Material
    submandibular: Material
    thyroid: Material
    node: Material
    eye: Material
    liver: Material
    myocardium: Material


def tissues_of(subject: Subject) -> Tissues:
    """CT numbers (HU, at 120 kVp) and uptake (SUV) of a person's tissues."""
    uptake, enhanced = subject.uptake, subject.habitus.contrast
    thyroid_hu, vessel_hu = (165.0, 155.0) if enhanced else (108.0, 42.0)
    return Tissues(
        air=Material(-1000, 0.02),
        lung=Material(-830, 0.45, 25, 0.1),
        skin=Material(15, 0.5, 10),
        fat=Material(-104, 0.25, 7, 0.15),
        loose=Material(-60, 0.45, 28, 0.2),
        muscle=Material(57, uptake.muscle, 6, 0.12),
        active_muscle=Material(58, uptake.muscle * 1.7, 5, 0.15),
        mucosa=Material(50, 1.5, 5, 0.15),
        cortex=Material(1250, 0.45, 80),
        diploe=Material(620, 0.8, 120),
        spongiosa=Material(330, uptake.marrow * 0.8, 70, 0.1),
        vertebral=Material(215, uptake.marrow, 35, 0.1),
        tooth=Material(2100, 0.4, 250),
        metal=Material(9000, 0.3),
        cartilage=Material(190, 0.6, 90),
        disc=Material(80, 0.7, 8),
        fluid=Material(8, 0.9, 2),
        gray_matter=Material(39, uptake.gray_matter, 2, 0.10),
        white_matter=Material(29, uptake.white_matter, 1.5, 0.08),
        cerebellum=Material(37, uptake.cerebellum, 3, 0.08),
        cord=Material(36, uptake.blood * 1.15, 2),
        artery=Material(vessel_hu + (25 if enhanced else 0), uptake.blood),
        vein=Material(vessel_hu, uptake.blood),
        parotid=Material(2, uptake.parotid, 16, 0.12),
        submandibular=Material(62 if enhanced else 42, uptake.submandibular, 8, 0.1),
        thyroid=Material(thyroid_hu, uptake.thyroid, 8, 0.1),
        node=Material(72 if enhanced else 48, 1.9, 4, 0.1),
        eye=Material(14, 1.1),
        liver=Material(95 if enhanced else 58, uptake.liver, 4, 0.06),
        myocardium=Material(90 if enhanced else 48, uptake.myocardium, 4, 0.12),
    )
