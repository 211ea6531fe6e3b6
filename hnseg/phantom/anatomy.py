"""Anatomy of a whole person as a list of parts, in painting order."""

from __future__ import annotations

import numpy as np

from hnseg.phantom import head, neck, trunk
from hnseg.phantom.builder import Builder
from hnseg.phantom.subject import Subject


def build_anatomy(subject: Subject, rng: np.random.Generator) -> Builder:
    """Draw everything but lesions.

    Args:
        subject: Subject.
        rng: Source of the small individual differences between organs.

    Returns:
        With all parts; lesions are added to it later.
    """
    b = Builder(subject, rng)
    trunk.add_body(b)
    head.add_face_muscles(b)
    neck.add_neck_muscles(b)
    trunk.add_chest_organs(b)
    trunk.add_abdomen(b)
    trunk.add_shoulders(b)
    trunk.add_thoracic_cage(b)
    neck.add_glands(b)
    head.add_brain_case(b)
    head.add_orbits_and_sinuses(b)
    head.add_skull_base(b)
    neck.add_pharynx(b)
    neck.add_larynx(b)
    neck.add_cervical_spine(b)
    head.add_jaws(b)
    neck.add_vessels(b)
    neck.add_brown_fat(b)
    table = Builder(subject, rng)
    trunk.add_table(table, trunk.back_mm(b))
    b.parts[:0] = table.parts  # the table is painted first
    return b
