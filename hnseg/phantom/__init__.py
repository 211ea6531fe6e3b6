"""A generated multi-center FDG-PET/CT cohort of the head and neck, deterministic from a seed.

>>> from hnseg.phantom import generate_case
>>> case = generate_case(index=1, seed=0, pixel_mm=6.0)
>>> case.ct.shape == case.label.shape == case.ct_grid.shape
True
"""

from hnseg.phantom.case import DEMO_PIXEL_MM, Case, generate_case
from hnseg.phantom.cohort import generate_cohort
from hnseg.phantom.lesions import Lesion
from hnseg.phantom.scanners import DEFAULT_CENTERS, Center
from hnseg.phantom.traps import TRAPS

__all__ = [
    "DEFAULT_CENTERS",
    "DEMO_PIXEL_MM",
    "TRAPS",
    "Case",
    "Center",
    "Lesion",
    "generate_case",
    "generate_cohort",
]
