"""Choice of the post-processing by out-of-fold masks and the challenge's own metrics.

    hnseg tune WORK

Searched are the least volumes of GTVp and GTVn and the largest distance of a node from the GTVp, every combination. The
objective is GTVp mean Dice / 2 + GTVn aggregated Dice / 4 + GTVn lesion F1 / 4, the weights that the three scores have
in the challenge's ranking. Three guards stand against choosing noise:

* **one standard error**: of all settings whose objective lies within one standard error of the best (of the difference,
  by a paired bootstrap over cases), the one nearest to the defaults is taken. The defaults stay when they are among
  them; when not, only settings that lead the defaults by more than one standard error are considered;
* **nested**: the same choice is repeated with each fold left out and scored on that fold. Where the pooled result is
  not above that of the defaults, the defaults stay;
* **enough cases**: with fewer than :data:`MIN_CASES` the defaults stay.

What was chosen goes into ``run.json`` under ``tuned``, beside the settings as the run was begun; the whole grid with
its scores is the evidence, in ``tuning.json``. Predictions made before have to be made again.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hnseg.cohort.checked_cohort import CheckedCase, load_check
from hnseg.cohort.labels import read_label
from hnseg.cohort.splits import load_split_cohort
from hnseg.errors import CaseError, WorkDirError
from hnseg.evaluation.cohort_scores import (
    BOOTSTRAP_SEED,
    ScoreSums,
    bootstrap_indices,
    count_draws,
    interval,
    scores_from_sums,
    sufficient_statistics,
)
from hnseg.evaluation.rules import HECKTOR_2025, Rules
from hnseg.evaluation.score_specs import RANKING_WEIGHTS
from hnseg.inference.component_table import ComponentTable, component_table
from hnseg.inference.ensemble import find_models, hash_models
from hnseg.inference.out_of_fold import FOLDER, current_masks
from hnseg.inference.tuned_origin import tuned_key
from hnseg.parallel import map_processes
from hnseg.progress import ProgressCallback, no_progress
from hnseg.provenance import versions
from hnseg.settings.predict import PredictConfig
from hnseg.workdir import TunedRecord, load_config, load_run_record, save_run_record, write_json

GRID: dict[str, tuple[float, ...]] = {
    "min_gtvp_ml": (0.0, 0.1, 0.2, 0.5, 1.0, 2.0),
    "min_gtvn_ml": (0.0, 0.1, 0.2, 0.5, 1.0, 2.0),
    "max_node_distance_mm": (40.0, 60.0, 80.0, 100.0, 130.0, 170.0, 1000.0),  # 1000: farther than any crop box is long
}
MIN_CASES = 20
RESAMPLES = 1000
Chosen = dict[str, float]
Verdict = Literal["too-few-cases", "defaults-are-best", "within-one-standard-error", "not-held-up", "changed"]
WHY: dict[Verdict, str] = {
    "too-few-cases": "{n} cases are too few to choose by: {least} are needed; the defaults stay",
    "defaults-are-best": "no setting scores above the defaults",
    "within-one-standard-error": "the defaults lie within one standard error of the best setting: they stay",
    "not-held-up": "a setting that scores higher did not hold up on the folds it was not chosen on: the defaults stay",
    "changed": "nearest to the defaults among what leads them, and lies within one standard error of the best",
}


@dataclass(frozen=True)
class Gain:
    """Objective of the chosen settings less that of the defaults, with its 95 % bootstrap interval."""

    value: float
    interval: list[float | None] | None


@dataclass(frozen=True)
class NestedChoice:
    """The choice made without each fold, scored on it, pooled over the folds.

    Attributes:
        objective, defaults, gain: Of the choices, of the defaults, and their difference; None where undefined, or with
            one fold.
        chosen: Settings by the fold that was left out.
    """

    objective: float | None = None
    defaults: float | None = None
    gain: float | None = None
    chosen: dict[str, Chosen] = field(default_factory=dict)


@dataclass(frozen=True)
class TuningResult:
    """What was chosen, and why.

    Attributes:
        chosen, defaults, best: Settings; ``best`` has the highest objective.
        verdict: Why ``chosen`` was chosen.
        why: The same in words.
        scores: Objective and scores of ``chosen``, ``defaults`` and ``best``; None where undefined.
        gain: Of ``chosen`` over ``defaults``.
        best_to_defaults_se: Standard error of the lead of ``best`` over ``defaults``.
        nested: The choice repeated with each fold left out.
        objective: Weights of the scores.
        seed, resamples: Of the bootstrap.
        n_cases: Number of cases.
        grid: Values tried, by setting.
        rows: Every setting with its scores.
        cases: IDs.
        versions: Of the packages that change numbers.
    """

    chosen: Chosen
    defaults: Chosen
    best: Chosen
    verdict: Verdict
    why: str
    scores: dict[str, dict[str, float | None]]
    gain: Gain
    best_to_defaults_se: float
    nested: NestedChoice
    objective: dict[str, float]
    seed: int
    resamples: int
    n_cases: int
    grid: dict[str, list[float]]
    rows: list[dict[str, float | None]]
    cases: tuple[str, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def changed(self) -> bool:
        """Whether other settings than the defaults were chosen."""
        return self.verdict == "changed"

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready form, the content of ``tuning.json``."""
        return {**asdict(self), "changed": self.changed, "cases": list(self.cases)}

    def evidence(self) -> dict[str, object]:
        """What ``run.json`` keeps of it."""
        names = ("why", "scores", "nested", "objective", "seed", "n_cases", "resamples")
        return {name: value for name, value in self.as_dict().items() if name in names}


@dataclass(frozen=True)
class Search:
    """Every setting of the grid, scored on every case.

    Attributes:
        settings: (g,) Settings of the grid.
        default: Which of them are the settings as the run was begun.
        sums: Of shape (g, n), see :func:`hnseg.evaluation.cohort_scores.sufficient_statistics`.
        rules: Of the metrics.
    """

    settings: list[Chosen]
    default: int
    sums: ScoreSums
    rules: Rules

    def objective(self, sums: ScoreSums) -> NDArray[np.float64]:
        """Weighted mean of the scores that are defined, from sums over cohorts (…); NaN without any."""
        scores = scores_from_sums(sums, self.rules)
        stacked = np.stack([scores[name] for name in RANKING_WEIGHTS])
        weights = np.asarray(list(RANKING_WEIGHTS.values())).reshape(-1, *[1] * (stacked.ndim - 1)) * ~np.isnan(stacked)
        total = weights.sum(axis=0)
        value = np.where(np.isnan(stacked), 0.0, stacked * weights).sum(axis=0)
        return np.divide(value, total, out=np.full(total.shape, np.nan), where=total > 0)

    def subset(self, cases: NDArray[np.bool_]) -> Search:
        """The same search on some of the cases."""
        return Search(self.settings, self.default, self.sums[:, cases], self.rules)


def tune_workdir(
    work: Path, *, seed: int = BOOTSTRAP_SEED, jobs: int = 1, progress: ProgressCallback = no_progress
) -> TuningResult:
    """Choose the settings, write ``tuning.json`` and the choice into ``run.json``.

    Args:
        work: With the masks of :func:`hnseg.inference.out_of_fold.predict_out_of_fold`.
        seed: Of the bootstrap.
        jobs: Processes.
        progress: Called after each case.

    Returns:
        The choice and its evidence: the content of ``tuning.json``.

    Raises:
        WorkDirError: No validation case is prepared, or a model is not one of this run.
        CaseError: A mask is missing, out of date, or not on its label's grid.
    """
    config = load_config(work, tuned=False)
    splits = load_split_cohort(work).splits
    tables, folds = _tables(work, HECKTOR_2025, jobs, progress)
    result = choose(make_search(tables, config.predict, HECKTOR_2025), folds, seed=seed)
    result = replace(result, cases=tuple(table.case_id for table in tables), versions=versions())
    write_json(work / "tuning.json", result.as_dict())
    made_from = tuned_key(splits, hash_models(work, find_models(work)), config.predict)
    tuned = TunedRecord(predict=result.chosen, made_from=made_from, evidence=result.evidence())
    save_run_record(load_run_record(work).model_copy(update={"tuned": tuned}), work)
    return result


def make_search(tables: Sequence[ComponentTable], defaults: PredictConfig, rules: Rules) -> Search:
    """Score every setting of :data:`GRID`, with the defaults among them, on every case."""
    axes = {name: sorted({*values, float(getattr(defaults, name))}) for name, values in GRID.items()}
    settings = [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    own = {name: float(getattr(defaults, name)) for name in axes}
    sums = []
    for setting in settings:
        tried = defaults.model_copy(update=setting)
        sums.append(sufficient_statistics([table.scored(tried, rules) for table in tables], rules))
    return Search(settings, settings.index(own), ScoreSums.stack(sums), rules)


def choose(search: Search, folds: Sequence[int], *, seed: int, resamples: int = RESAMPLES) -> TuningResult:
    """Choose among the settings of a search, with the guards of this module.

    Args:
        search: On n cases.
        folds: (n,) The fold of each case.
        seed: Of the bootstrap.
        resamples: Of the bootstrap.
    """
    n = search.sums.shape[1]
    objectives = search.objective(search.sums.sum(axis=1))
    picked, best, se = _one_standard_error(search, seed, resamples)
    nested = _nested(search, np.asarray(folds), seed, resamples)
    default = search.default
    verdict: Verdict = "changed"
    if n < MIN_CASES:
        verdict = "too-few-cases"
    elif picked == default:
        verdict = "defaults-are-best" if best == default else "within-one-standard-error"
    elif nested.gain is None or nested.gain <= 0:
        verdict = "not-held-up"
    picked = picked if verdict == "changed" else default
    gains = _resampled_objectives(search, [default, picked], seed, resamples)
    bounds = interval(gains[1] - gains[0])
    return TuningResult(
        chosen=search.settings[picked],
        defaults=search.settings[default],
        best=search.settings[best],
        verdict=verdict,
        why=WHY[verdict].format(n=n, least=MIN_CASES),
        scores={name: _scored(search, k) for name, k in (("defaults", default), ("chosen", picked), ("best", best))},
        gain=Gain(float(objectives[picked] - objectives[default]), list(bounds) if bounds else None),
        best_to_defaults_se=float(se[default]),
        nested=nested,
        objective=RANKING_WEIGHTS,
        seed=seed,
        resamples=resamples,
        n_cases=n,
        grid={name: sorted({setting[name] for setting in search.settings}) for name in GRID},
        rows=[{**setting, **_scored(search, k)} for k, setting in enumerate(search.settings)],
    )


def _scored(search: Search, k: int) -> dict[str, float | None]:
    """Objective and scores of one setting."""
    total = search.sums[k].sum(axis=0)
    scores = {
        name: float(value) for name, value in scores_from_sums(total, search.rules).items() if name in RANKING_WEIGHTS
    }
    found = {"objective": float(search.objective(total)), **scores}
    return {name: None if np.isnan(value) else value for name, value in found.items()}


def _resampled_objectives(search: Search, which: Sequence[int], seed: int, resamples: int) -> NDArray[np.float64]:
    """Objective (len(which), resamples) of some settings on the same bootstrap cohorts."""
    counts = count_draws(bootstrap_indices(search.sums.shape[1], seed, resamples))
    return np.stack([search.objective(counts @ search.sums[k]) for k in which])


def _one_standard_error(search: Search, seed: int, resamples: int) -> tuple[int, int, NDArray[np.float64]]:
    """The setting that the rule takes, the best one, and the standard errors (g,) of the best's lead."""
    objectives = search.objective(search.sums.sum(axis=1))
    ranked = np.where(np.isnan(objectives), -np.inf, objectives)
    order = sorted(range(len(ranked)), key=lambda k: (-ranked[k], _distance_from_defaults(search, k)))
    best = order[0]
    samples = _resampled_objectives(search, range(len(ranked)), seed, resamples)
    behind_best, ahead_of_default = (_standard_errors(samples[k] - samples) for k in (best, search.default))
    near = [k for k in range(len(ranked)) if ranked[best] - ranked[k] <= behind_best[k] + 1e-12]
    if search.default in near:
        return search.default, best, behind_best
    sure = [k for k in near if ranked[k] - ranked[search.default] > ahead_of_default[k]]
    return min(sure, key=lambda k: (_distance_from_defaults(search, k), -ranked[k])), best, behind_best


def _standard_errors(differences: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard deviation of each row over what is defined in it; 0 where nothing is."""
    known = ~np.isnan(differences).all(axis=1)
    found = np.zeros(len(differences))
    found[known] = np.nanstd(differences[known], axis=1)
    return found


def _distance_from_defaults(search: Search, k: int) -> tuple[int, int]:
    """How far a setting is from the defaults: how many of its values differ, and by how many steps of the grid."""
    own, other = search.settings[search.default], search.settings[k]
    steps = []
    for name in GRID:
        values = sorted({setting[name] for setting in search.settings})
        steps.append(abs(values.index(own[name]) - values.index(other[name])))
    return sum(step > 0 for step in steps), sum(steps)


def _nested(search: Search, folds: NDArray[np.int64], seed: int, resamples: int) -> NestedChoice:
    """The choice made without each fold, scored on it; pooled over the folds."""
    total, picks = ScoreSums.zero(), {}
    for fold in np.unique(folds):
        inside = folds == fold
        if inside.all():
            return NestedChoice()
        picked, _, _ = _one_standard_error(search.subset(~inside), seed, resamples)
        picks[str(fold)] = search.settings[picked]
        total = total + search.sums[picked, inside].sum(axis=0)
    value, default = (
        float(v) for v in search.objective(ScoreSums.stack([total, search.sums[search.default].sum(axis=0)]))
    )
    if np.isnan(value) or np.isnan(default):
        return NestedChoice(chosen=picks)
    return NestedChoice(value, default, value - default, picks)


def _tables(work: Path, rules: Rules, jobs: int, progress: ProgressCallback) -> tuple[list[ComponentTable], list[int]]:
    """Components of every out-of-fold mask, and the fold of each."""
    checked = {case.id: case for case in load_check(work).cases}
    masks = current_masks(work)
    if not masks:
        raise WorkDirError(f"{work / FOLDER} can hold no mask: no validation case is prepared; run `hnseg prepare`")
    tables = []
    places = [(mask, checked[case_id]) for case_id, _, mask in masks]
    for table in map_processes(functools.partial(_read_table, rules=rules), places, jobs):
        tables.append(table)
        progress(len(tables), len(masks), table.case_id)
    return tables, [fold for _, fold, _ in masks]


def _read_table(place: tuple[Path, CheckedCase], rules: Rules) -> ComponentTable:
    mask, case = place
    if case.label is None:
        raise CaseError(case.id, "a validation case has no label", mask)
    pred, pred_grid = read_label(mask, case.id)
    truth, grid = read_label(Path(case.label), case.id)
    if not pred_grid.matches(grid):
        raise CaseError(case.id, "the out-of-fold mask is not on the grid of the label; remove it and tune again", mask)
    return component_table(pred, truth, grid.spacing_zyx_mm, case_id=case.id, center=case.center, rules=rules)


def format_settings(chosen: Mapping[str, float]) -> str:
    """Settings in one line."""
    return (
        f"GTVp ≥ {chosen['min_gtvp_ml']:g} ml, GTVn ≥ {chosen['min_gtvn_ml']:g} ml, "
        f"nodes within {chosen['max_node_distance_mm']:g} mm of the GTVp"
    )
