"""What is recorded of a case beside its images: every tag that was used, the formula, the factor; no identifier."""

from __future__ import annotations

import importlib.metadata
from collections import Counter
from collections.abc import Mapping

import numpy as np

from hnseg.cohort.labels import LESION_CLASSES
from hnseg.cohort.suv import MADE_BY
from hnseg.dicom.label_case import CaseLabel
from hnseg.dicom.load_case import CaseVolumes
from hnseg.dicom.pair_studies import StudyPlan
from hnseg.dicom.series.volume import SeriesVolume
from hnseg.dicom.series_facts import SeriesFacts
from hnseg.images.geometry import Grid
from hnseg.provenance import versions
from hnseg.suv.conversion import SuvConversion
from ssimh.files.json_object import JsonObject


def record_case(plan: StudyPlan, volumes: CaseVolumes, dtypes: Mapping[str, str], *, keep_uids: bool) -> JsonObject:
    """The record of a case, JSON-ready.

    Args:
        plan: Its series.
        volumes: Its images.
        dtypes: Type of the stored voxels by image.
        keep_uids: Record the UIDs of the series.
    """
    image = volumes.ct or volumes.pet
    content: JsonObject = {"made_by": MADE_BY}
    if plan.ct is not None and volumes.ct is not None:
        content["ct"] = _image(plan.ct, plan, volumes.ct, dtypes["ct"], "HU")
    if plan.pet is not None:
        content["pet"] = {
            **_image(plan.pet, plan, volumes.pet, dtypes["pet"], "SUV"),
            **_suv(volumes.conversion),
            "suv_max": round(float(volumes.pet.values.max()), 4),
        }
    content["label"] = _label(volumes.label, plan, image.grid)
    if keep_uids:
        content["series_uids"] = [s.uid for s in plan.used_series]
    content["versions"] = software()
    return content


def software() -> dict[str, str]:
    """Versions of the packages that make a case."""
    return {**versions(), "pydicom": importlib.metadata.version("pydicom")}


def _image(facts: SeriesFacts, plan: StudyPlan, volume: SeriesVolume, dtype: str, unit: str) -> JsonObject:
    return {
        "chosen_as": plan.reasons[facts.number],
        "unit": unit,
        "dtype": dtype,
        "grid": volume.grid.as_dict(),
        "notes": list(volume.warnings),
    }


def _suv(conversion: SuvConversion) -> JsonObject:
    """Factor and formula; the factor of each slice only where they differ."""
    content: JsonObject = {
        "suv_kind": conversion.kind,
        "suv_factor": conversion.factor,
        "is_converted": conversion.is_converted,
        "formula": conversion.formula,
        "tags": dict(conversion.inputs),
        "suv_notes": list(conversion.notes),
    }
    if conversion.factor is None:
        content["suv_factors"] = list(conversion.factors)
    return content


def _label(label: CaseLabel, plan: StudyPlan, grid: Grid) -> JsonObject | None:
    """Volumes of the classes, and which pattern made a structure what it is; names of structures are not recorded.

    Files of structures are numbered in the order in which they are tried: numbers of series change when a tree grows.
    """
    if label.label is None:
        return None
    file_of = {s.number: number for number, s in enumerate(plan.structures, start=1)}
    used = [s for s in label.structures if s.match.label is not None]
    values = Counter(dict(zip(*(a.tolist() for a in np.unique(label.label, return_counts=True)), strict=True)))
    content: JsonObject = {
        "files": [file_of[number] for number in label.series],
        "unmatched_files": sorted(
            file_of[number] for number in {s.series for s in label.structures} - set(label.series)
        ),
        "structures": [
            {"file": file_of[s.series], "structure": s.number, "pattern": s.match.pattern, "label": s.match.label}
            for s in used
        ],
        "left_out": len(label.structures) - len(used),
        "notes": list(label.notes),
    }
    for lesion in LESION_CLASSES:
        content[f"{lesion.key}_ml"] = round(values[lesion.value] * grid.voxel_ml, 4)
    return content
