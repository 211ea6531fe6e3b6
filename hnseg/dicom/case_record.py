"""What is recorded of a case beside its images: every tag that was used, the formula, the factor; no identifier."""

from __future__ import annotations

import importlib.metadata
from collections import Counter
from collections.abc import Mapping

import numpy as np

from hnseg.cohort.labels import LESION_CLASSES, Label
from hnseg.cohort.suv import MADE_BY
from hnseg.dicom.label_case import CaseLabel
from hnseg.dicom.lesion_suv import measure_suv_max
from hnseg.dicom.load_case import CaseVolumes
from hnseg.dicom.pair_studies import StudyPlan
from hnseg.dicom.series.volume import SeriesVolume
from hnseg.dicom.series_facts import SeriesFacts, overlap_share
from hnseg.images.geometry import Grid
from hnseg.provenance import versions
from hnseg.suv.conversion import SuvConversion
from ssimh.files.json_object import JsonObject

COVERED = 0.95  # share of the CT; below it, a note says what a PET covers


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
            **_coverage(plan),
            **_suv(volumes.conversion),
            "suv_max": round(float(volumes.pet.values.max()), 4),
        }
    content |= _mask(volumes, plan, image.grid)
    if keep_uids:
        content["series_uids"] = [s.uid for s in plan.used_series]
    content["versions"] = software()
    return content


def list_notes(record: JsonObject) -> list[str]:
    """What was unusual about a case, from its record."""
    parts = [(name, record[name]) for name in ("ct", "pet", "label") if record.get(name)]
    notes = [f"{name}: {note}" for name, part in parts for note in (*part.get("notes", ()), *part.get("suv_notes", ()))]
    share = record.get("pet", {}).get("share_of_ct", 1.0)
    if share < COVERED:
        notes.append(f"pet: it covers {share:.0%} of the CT (share of its box); elsewhere there is no SUV")
    return notes


def software() -> dict[str, str]:
    """Versions of the packages that make a case."""
    return {**versions(), "pydicom": importlib.metadata.version("pydicom")}


def _image(facts: SeriesFacts, plan: StudyPlan, volume: SeriesVolume, dtype: str, unit: str) -> JsonObject:
    return {
        "chosen_as": plan.reasons[facts.number],
        "unit": unit,
        "dtype": dtype,
        "grid": volume.grid.as_dict(),
        "notes": list(dict.fromkeys((*facts.notes, *volume.warnings))),
    }


def _coverage(plan: StudyPlan) -> JsonObject:
    """How much of the CT the PET covers."""
    if plan.ct is None or plan.pet is None:
        return {}
    return {"share_of_ct": round(overlap_share(plan.ct, plan.pet), 4)}


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


def _mask(volumes: CaseVolumes, plan: StudyPlan, grid: Grid) -> JsonObject:
    """What is recorded of the mask, or of its absence."""
    label = volumes.label.label
    if label is None:
        count = len(volumes.label.structures)
        return {"label": None, **({"unmatched_structures": count} if count else {})}
    return {"label": _label(volumes.label, label, plan, grid) | measure_suv_max(label, grid, volumes.pet)}


def _label(case: CaseLabel, label: Label, plan: StudyPlan, grid: Grid) -> JsonObject:
    """Volumes of the classes, and which pattern made a structure what it is; names of structures are not recorded.

    Files of structures are numbered in the order in which they are tried: numbers of series change when a tree grows.
    """
    file_of = {s.number: number for number, s in enumerate(plan.structures, start=1)}
    used = [s for s in case.structures if s.match.label is not None]
    values = Counter(dict(zip(*(a.tolist() for a in np.unique(label, return_counts=True)), strict=True)))
    content: JsonObject = {
        "files": [file_of[number] for number in case.series],
        "unmatched_files": sorted(file_of[number] for number in {s.series for s in case.structures} - set(case.series)),
        "structures": [
            {"file": file_of[s.series], "structure": s.number, "pattern": s.match.pattern, "label": s.match.label}
            for s in used
        ],
        "left_out": len(case.structures) - len(used),
        "notes": list(case.notes),
    }
    for lesion in LESION_CLASSES:
        content[f"{lesion.key}_ml"] = round(values[lesion.value] * grid.voxel_ml, 4)
    return content
