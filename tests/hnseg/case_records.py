"""The record of a prepared case, for tests that need arrays and no preparation."""

from __future__ import annotations

from hnseg.images.geometry import Grid
from hnseg.preprocessing.crop.box import Crop
from hnseg.preprocessing.harmonization import HarmonizationRecord
from hnseg.preprocessing.prepared_case import CaseRecord, NormalizationRecord


def make_case_record(case_id: str, shape_zyx: tuple[int, int, int]) -> dict:
    """A valid ``case.json`` of a case whose crop is its CT's whole grid, 1 mm."""
    grid = Grid(shape_zyx[::-1], (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    return CaseRecord(
        id=case_id,
        center=case_id.split("-")[0],
        ct_grid=grid,
        pet_grid=grid,
        suv_factor=1.0,
        crop_grid=grid,
        crop=Crop(grid, "head", 1.0, "made for a test", False, 1.0, 0.0),
        alignment=None,
        harmonization=HarmonizationRecord(method="none", soft_tissue_mean_abs_hu=0.0, soft_tissue_p95_abs_hu=0.0),
        normalization=NormalizationRecord(pet_mean_suv=1.0, pet_sd_suv=1.0),
        label_outside_box_ml=0.0,
        versions={},
    ).as_dict()
