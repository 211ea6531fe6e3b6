"""The content of ``metrics.json``, typed: written by evaluate, read by compare and the report.

The JSON form is that of the fields below (``docs/hnseg/workdir.md``). ``record["gtvp_dice_mean"]`` looks a field up by
its key, as tables of scores need it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError, model_validator

from hnseg.cohort.labels import LESION_CLASSES
from hnseg.errors import WorkDirError
from hnseg.evaluation.case_scores import CaseScores, Lesion, Overlap
from hnseg.evaluation.rules import Rules, Score
from hnseg.evaluation.score_specs import DEFINITION_TITLES, SUM_SCORES, SURFACE_SCORES
from hnseg.workdir import describe_invalid, read_json

Interval = tuple[Score, Score]  # an open bound (None) is infinite


def _require_intervals(intervals: dict[str, Interval | None]) -> dict[str, Interval | None]:
    absent = [spec.key for spec in (*SUM_SCORES, *SURFACE_SCORES) if spec.key not in intervals]
    if absent:
        raise ValueError(f"no interval of {', '.join(absent)}")
    return intervals


def _require_definitions(definitions: dict[str, str]) -> dict[str, str]:
    absent = [key for key in DEFINITION_TITLES if key not in definitions]
    if absent:
        raise ValueError(f"no definition of {', '.join(absent)}")
    return definitions


Definitions = Annotated[dict[str, str], AfterValidator(_require_definitions)]


class Record(BaseModel):
    """A part of ``metrics.json``; fields that a later version adds are left alone."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    def __getitem__(self, key: str) -> Any:
        if key not in type(self).model_fields:
            raise KeyError(key)
        return getattr(self, key)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return self.model_dump(mode="json")


class CaseRow(Record):
    """One case, with what can be derived from its counts.

    ``mask_sha256`` names the mask that was scored; None for one that was missing.
    """

    case_id: str
    center: str
    voxel_ml: float
    gtvp: Overlap
    gtvn: Overlap
    gtvp_dice: Score
    tp: int
    fp: int
    fn: int
    lesions: tuple[Lesion, ...]
    missing: bool = False
    mask_sha256: str | None = None
    gtvn_dice: Score = None
    gtvn_f1: Score = None
    mean_score: Score = None
    gtvp_pred_ml: float
    gtvp_truth_ml: float
    gtvp_volume_error_ml: float
    gtvp_volume_error_percent: Score = None
    gtvn_pred_ml: float
    gtvn_truth_ml: float
    gtvn_volume_error_ml: float
    gtvn_volume_error_percent: Score = None

    @classmethod
    def from_scores(cls, case: CaseScores, mask_sha256: str | None = None) -> CaseRow:
        """The row of a scored case."""
        fields: dict[str, Any] = dict(vars(case))
        for lesion in LESION_CLASSES:
            overlap = case.overlap(lesion.key)
            relative = 100 * (overlap.pred_vox / overlap.truth_vox - 1) if overlap.truth_vox else None
            fields |= {
                f"{lesion.key}_pred_ml": round(overlap.pred_vox * case.voxel_ml, 4),
                f"{lesion.key}_truth_ml": round(overlap.truth_vox * case.voxel_ml, 4),
                f"{lesion.key}_volume_error_ml": round(case.volume_error_ml(lesion.key), 4),
                f"{lesion.key}_volume_error_percent": None if relative is None else round(relative, 2),
            }
        return cls(
            **fields,
            gtvn_dice=case.gtvn_dice,
            gtvn_f1=case.gtvn_f1,
            mean_score=case.mean_score,
            mask_sha256=mask_sha256,
        )

    def scores(self) -> CaseScores:
        """The case as it was scored."""
        return CaseScores(**{field.name: getattr(self, field.name) for field in dataclasses.fields(CaseScores)})


class CohortScores(Record):
    """The scores of :data:`hnseg.evaluation.score_specs.SCORE_SPECS`, each None where it is undefined.

    ``undefined`` holds the reasons; ``tp``, ``fp`` and ``fn`` are summed over the cohort; ``n_gtvp_dice`` counts the
    cases in the mean GTVp Dice.
    """

    gtvp_dice_mean: Score
    gtvn_dice_agg: Score
    gtvn_f1_agg: Score
    gtvp_dice_agg: Score
    dice_agg_mean: Score
    tp: int
    fp: int
    fn: int
    n_cases: int
    n_gtvp_dice: int
    gtvp_surface_dice_mean: Score
    gtvn_surface_dice_mean: Score
    gtvp_hd95_median_mm: Score
    gtvn_hd95_median_mm: Score
    gtvp_volume_bias_ml: Score
    gtvp_volume_error_mean_ml: Score
    gtvp_volume_error_median_percent: Score
    gtvn_volume_bias_ml: Score
    gtvn_volume_error_mean_ml: Score
    gtvn_volume_error_median_percent: Score
    undefined: dict[str, str]


class Bootstrap(Record):
    """Intervals of the cohort scores; ``undefined_resamples`` counts the resamples in which a score has no value."""

    seed: int
    resamples: int
    level: float
    method: str
    intervals: Annotated[dict[str, Interval | None], AfterValidator(_require_intervals)]
    undefined_resamples: dict[str, int]


class SizeBin(Record):
    """True GTVn lesions of a range of volumes, how many were found, and false ones; ``below_ml`` None: no bound."""

    from_ml: float
    below_ml: float | None
    lesions: int
    found: int
    false: int


class EvaluatedCohort(CohortScores):
    """Masks of one method, scored."""

    bootstrap: Bootstrap
    by_center: dict[str, CohortScores]
    by_size: tuple[SizeBin, ...]
    missing: tuple[str, ...]
    cases: tuple[CaseRow, ...]


class SkippedCase(Record):
    """A case that was not scored, and why."""

    case_id: str
    reason: str


class FolderEvaluation(EvaluatedCohort):
    """``metrics.json`` of a folder of masks.

    ``models`` holds the SHA-256 of the models that made the masks, as the records beside them say; empty for masks of
    another tool. ``data_root`` is what the masks were scored against.
    """

    models: dict[str, str] = {}
    data_root: str | None = None
    skipped: tuple[SkippedCase, ...]
    rules: Rules
    definitions: Definitions
    versions: dict[str, str]


class FoldScores(CohortScores):
    """Scores of the validation cases of one fold, predicted by the network that did not train on them."""

    fold: int


class FoldEvaluation(Record):
    """Scores by fold, and over the folds their mean and sample standard deviation.

    The mean is the criterion that the recipe's publication selects models by (Huang et al., HECKTOR 2025, § 3.2). Both
    are taken over the folds in which a score is defined; None where it is defined in none, or for ``sd`` in one only.
    """

    folds: tuple[FoldScores, ...]
    mean: dict[str, Score]
    sd: dict[str, Score]


class WorkdirEvaluation(Record):
    """``metrics.json`` of a work directory.

    ``ensemble`` and the baselines are None in a run without test cases, ``validation`` and ``folds`` where there are no
    out-of-fold masks; ``made_from`` holds the SHA-256 of the run's ``settings`` and ``split`` when it was scored.
    """

    ensemble: EvaluatedCohort | None
    threshold_baseline: EvaluatedCohort | None
    empty_baseline: EvaluatedCohort | None
    validation: EvaluatedCohort | None = None
    folds: FoldEvaluation | None = None
    skipped: tuple[SkippedCase, ...]
    rules: Rules
    definitions: Definitions
    versions: dict[str, str]
    made_from: dict[str, str] = {}

    @model_validator(mode="after")
    def _require_same_sizes(self) -> Self:
        """All parts count lesions by the same volumes, so that they can be shown side by side."""
        parts = [part for part in (self.ensemble, self.threshold_baseline, self.empty_baseline) if part is not None]
        if len(parts) != 3 and (parts or self.validation is None):
            raise ValueError("expected scores of the ensemble and both baselines, or of the validation alone")
        if len({tuple((row.from_ml, row.below_ml) for row in part.by_size) for part in parts}) > 1:
            raise ValueError("by_size differs between the methods")
        return self

    @property
    def main_method(self) -> Literal["ensemble", "validation"]:
        """The part that the run is judged by: the ensemble on test cases or, without any, the out-of-fold masks."""
        return "validation" if self.ensemble is None else "ensemble"

    @property
    def main(self) -> EvaluatedCohort:
        """Scores of :attr:`main_method`."""
        part: EvaluatedCohort = self[self.main_method]
        return part


RESULT_PARTS = ("ensemble", "threshold_baseline", "empty_baseline", "validation")  # parts of a WorkdirEvaluation
R = TypeVar("R", bound=Record)


def parse_record(model: type[R], content: Mapping[str, Any], where: str) -> R:
    """A part of ``metrics.json`` from its JSON form.

    Raises:
        WorkDirError: It has another shape; names the field.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise WorkDirError(
            f"{where} is not what `hnseg evaluate` of this version writes ({describe_invalid(error)}): evaluate again"
        ) from error


def read_metrics(path: Path) -> WorkdirEvaluation | FolderEvaluation:
    """Read a ``metrics.json`` of either form; a folder stands for the file in it.

    Raises:
        WorkDirError: It is missing, damaged, or not what evaluate writes.
    """
    path = path / "metrics.json" if path.is_dir() else path
    content = read_json(path, "evaluate")
    if "cases" in content:
        return parse_record(FolderEvaluation, content, str(path))
    return parse_record(WorkdirEvaluation, content, str(path))
