"""The fields of a run's JSON files that the report shows, typed.

A file that is missing or has another shape costs the report what it would have shown, never the page; each model
therefore has a value for every field.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from hnseg.cohort.checked_cohort import Finding


class Part(BaseModel):
    """A part of a file; fields that are not shown are left alone."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Provenance(Part):
    """What a run was made with."""

    versions: dict[str, str] = {}
    machine: str | None = None
    started_utc: str | None = None


class Tuned(Part):
    """Settings that tune chose."""

    predict: dict[str, Any] = {}


class RunRecord(Part):
    """``run.json``."""

    data_root: str | None = None
    provenance: Provenance = Provenance()
    tuned: Tuned = Tuned()


class SplitRecord(Part):
    """``splits.json``."""

    seed: int | None = None
    test: tuple[str, ...] = ()
    folds: tuple[tuple[str, ...], ...] = ()
    reference: str | None = None


class CaseFiles(Part):
    """The files of a case, from ``check.json``."""

    id: str
    ct: str
    pet: str | None = None
    label: str | None = None
    suv_factor: float | None = None


class CheckRecord(Part):
    """``check.json``."""

    cases: tuple[CaseFiles, ...] = ()
    findings: tuple[Finding, ...] = ()


class CropRecord(Part):
    """Where the crop box of a case came from."""

    method: str = "unknown"
    confidence: float | None = None
    reason: str = ""
    fallback: bool = False


class PetResolutionRecord(Part):
    """What was done to the resolution of a PET; ``fallback``: why it could not be done as set."""

    source: str | None = None
    target: str | None = None
    source_fwhm_mm: tuple[float, float] | None = None
    blur_fwhm_mm: tuple[float, float] | None = None
    noise_gain: float | None = None
    fallback: str | None = None


class HarmonizationRecord(Part):
    """What harmonization did to a case; ``fallback``: why it could not be done as set."""

    method: str = "unknown"
    reference: str | None = None
    fallback: str | None = None
    soft_tissue_mean_abs_hu: float | None = None
    soft_tissue_p95_abs_hu: float | None = None
    pet: PetResolutionRecord | None = None


class GridRecord(Part):
    """A grid, see :class:`hnseg.images.geometry.Grid`."""

    size: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float]
    direction: tuple[float, float, float, float, float, float, float, float, float]


class PreparedRecord(Part):
    """``prepared/<ID>/case.json``."""

    center: str = ""
    crop: CropRecord = CropRecord()
    crop_grid: GridRecord | None = None
    harmonization: HarmonizationRecord = HarmonizationRecord()
    label_outside_box_ml: float | None = None


class RemovedComponent(Part):
    """What post-processing took away."""

    voxels: int = 0
    volume_ml: float = 0.0
    reason: str = ""


class PredictionRecord(Part):
    """``predictions/<ID>.json``."""

    removed: tuple[RemovedComponent, ...] = ()


class NestedChoice(Part):
    """How the choice of settings held up on folds it was not made on."""

    gain: float | None = None


class TunedThresholds(Part):
    """One setting of the post-processing."""

    min_gtvp_ml: float
    min_gtvn_ml: float
    max_node_distance_mm: float


class TunedScores(Part):
    """Objective and scores of three settings."""

    defaults: dict[str, float | None]
    chosen: dict[str, float | None]
    best: dict[str, float | None]


class TuningRecord(Part):
    """``tuning.json``."""

    why: str = Field(min_length=1)
    changed: bool = False
    n_cases: int
    chosen: TunedThresholds
    defaults: TunedThresholds
    best: TunedThresholds
    scores: TunedScores
    nested: NestedChoice = NestedChoice()
    rows: tuple[Any, ...] = ()  # every setting that was tried
