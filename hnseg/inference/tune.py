"""Choose the post-processing by out-of-fold masks and the challenge's own metrics.

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

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hnseg.cohort.checked_cohort import CheckedCase, load_check
from hnseg.cohort.labels import read_label
from hnseg.cohort.splits import load_splits
from hnseg.config import PredictConfig
from hnseg.errors import CaseError, WorkDirError, listed
from hnseg.evaluation.cohort_scores import (
    BOOTSTRAP_SEED,
    ScoreSums,
    bootstrap_indices,
    interval,
    scores_from_sums,
    sufficient_statistics,
)
from hnseg.evaluation.rules import HECKTOR_2025, Rules
from hnseg.evaluation.score_specs import RANKING_WEIGHTS
from hnseg.inference.component_table import ComponentTable, component_table
from hnseg.progress import ProgressCallback, no_progress
from hnseg.provenance import versions
from hnseg.workdir import load_config, read_json, write_json

GRID: dict[str, tuple[float, ...]] = {
    "min_gtvp_ml": (0.0, 0.1, 0.2, 0.5, 1.0, 2.0),
    "min_gtvn_ml": (0.0, 0.1, 0.2, 0.5, 1.0, 2.0),
    "max_node_distance_mm": (40.0, 60.0, 80.0, 100.0, 130.0, 170.0, 1000.0),  # 1000: farther than any crop box is long
}
MIN_CASES = 20
RESAMPLES = 1000
Chosen = dict[str, float]


@dataclass(frozen=True)
class Search:
    """Every setting of the grid, scored on every case.

    Attributes:
        settings: List of dict, (g,).
        default: Which of them are the settings as the run was begun.
        sums (of shape (g, n)): See :func:`hnseg.evaluation.cohort_scores.sufficient_statistics`.
        rules: Rules of the metrics.
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


def tune_workdir(work: Path, *, seed: int = BOOTSTRAP_SEED, progress: ProgressCallback = no_progress) -> dict[str, Any]:
    """Choose the settings, write ``tuning.json`` and the choice into ``run.json``.

    Returns:
        dict, JSON-ready: What ``tuning.json`` holds: ``chosen``, ``defaults``, ``changed``, ``why``, ``scores`` (of
        both), ``nested``, ``objective``, ``seed``, ``n_cases``, ``grid``, ``rows`` (every setting with its scores),
        ``versions``.

    Raises:
        WorkDirError: No out-of-fold masks.
        CaseError: A mask that is missing or not on its label's grid.
    """
    config = load_config(work, tuned=False)
    tables, folds = _tables(work, HECKTOR_2025, progress)
    search = make_search(tables, config.predict, HECKTOR_2025)
    result = choose(search, folds, seed=seed)
    result = {**result, "cases": [table.case_id for table in tables], "versions": versions()}
    write_json(work / "tuning.json", result)
    run = read_json(work / "run.json", "check")
    evidence = {key: result[key] for key in ("why", "scores", "nested", "objective", "seed", "n_cases", "resamples")}
    write_json(work / "run.json", {**run, "tuned": {"predict": result["chosen"], "evidence": evidence}})
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


def choose(search: Search, folds: Sequence[int], *, seed: int, resamples: int = RESAMPLES) -> dict[str, Any]:
    """Choose among the settings of a search, with the guards of this module.

    Args:
        search: On n cases.
        folds (sequence of int, (n,)): The fold of each case.
        seed, resamples: Of the bootstrap.
    """
    n = search.sums.shape[1]
    objectives = search.objective(search.sums.sum(axis=1))
    picked, best, se = _one_standard_error(search, seed, resamples)
    nested = _nested(search, np.asarray(folds), seed, resamples)
    default = search.default
    if n < MIN_CASES:
        picked, why = default, f"{n} cases are too few to choose by: {MIN_CASES} are asked for; the defaults stay"
    elif picked == default and best == default:
        why = "no setting scores above the defaults"
    elif picked == default:
        why = "the defaults lie within one standard error of the best setting: they stay"
    elif nested["gain"] is None or nested["gain"] <= 0:
        picked = default
        why = "a setting that scores higher did not hold up on the folds it was not chosen on: the defaults stay"
    else:
        why = "nearest to the defaults among what leads them, and lies within one standard error of the best"
    gains = _resampled_objectives(search, [default, picked], seed, resamples)
    bounds = interval(gains[1] - gains[0])
    return {
        "chosen": search.settings[picked],
        "defaults": search.settings[default],
        "best": search.settings[best],
        "changed": picked != default,
        "why": why,
        "scores": {name: _scored(search, k) for name, k in (("defaults", default), ("chosen", picked), ("best", best))},
        "gain": {
            "value": float(objectives[picked] - objectives[default]),
            "interval": list(bounds) if bounds else None,
        },
        "best_to_defaults_se": float(se[default]),
        "nested": nested,
        "objective": RANKING_WEIGHTS,
        "seed": seed,
        "resamples": resamples,
        "n_cases": n,
        "grid": {name: sorted({setting[name] for setting in search.settings}) for name in GRID},
        "rows": [{**setting, **_scored(search, k)} for k, setting in enumerate(search.settings)],
    }


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
    n = search.sums.shape[1]
    counts = np.zeros((resamples, n))
    np.add.at(counts, (np.arange(resamples)[:, None], bootstrap_indices(n, seed, resamples)), 1)
    return np.stack([search.objective(counts @ search.sums[k]) for k in which])


def _one_standard_error(search: Search, seed: int, resamples: int) -> tuple[int, int, NDArray[np.float64]]:
    """The setting that the rule takes, the best one, and the standard errors (g,) of the best's lead."""
    objectives = search.objective(search.sums.sum(axis=1))
    ranked = np.where(np.isnan(objectives), -np.inf, objectives)
    order = sorted(range(len(ranked)), key=lambda k: (-ranked[k], _moved(search, k)))
    best = order[0]
    samples = _resampled_objectives(search, range(len(ranked)), seed, resamples)
    behind_best, ahead_of_default = (_standard_errors(samples[k] - samples) for k in (best, search.default))
    near = [k for k in range(len(ranked)) if ranked[best] - ranked[k] <= behind_best[k] + 1e-12]
    if search.default in near:
        return search.default, best, behind_best
    sure = [k for k in near if ranked[k] - ranked[search.default] > ahead_of_default[k]]
    return min(sure, key=lambda k: (_moved(search, k), -ranked[k])), best, behind_best


def _standard_errors(differences: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard deviation of each row over what is defined in it; 0 where nothing is."""
    known = ~np.isnan(differences).all(axis=1)
    found = np.zeros(len(differences))
    found[known] = np.nanstd(differences[known], axis=1)
    return found


def _moved(search: Search, k: int) -> tuple[int, int]:
    """How far a setting is from the defaults: how many of its values differ, and by how many steps of the grid."""
    own, other = search.settings[search.default], search.settings[k]
    steps = []
    for name in GRID:
        values = sorted({setting[name] for setting in search.settings})
        steps.append(abs(values.index(own[name]) - values.index(other[name])))
    return sum(step > 0 for step in steps), sum(steps)


def _nested(search: Search, folds: NDArray[np.int64], seed: int, resamples: int) -> dict[str, Any]:
    """The choice made without each fold, scored on it; pooled over the folds."""
    total, picks = ScoreSums.zero(), {}
    for fold in np.unique(folds):
        inside = folds == fold
        if inside.all():
            return {"objective": None, "defaults": None, "gain": None, "chosen": {}}
        picked, _, _ = _one_standard_error(search.subset(~inside), seed, resamples)
        picks[str(fold)] = search.settings[picked]
        total = total + search.sums[picked, inside].sum(axis=0)
    value, default = (
        float(v) for v in search.objective(ScoreSums.stack([total, search.sums[search.default].sum(axis=0)]))
    )
    known = not np.isnan(value) and not np.isnan(default)
    return {
        "objective": value if known else None,
        "defaults": default if known else None,
        "gain": value - default if known else None,
        "chosen": picks,
    }


def _tables(work: Path, rules: Rules, progress: ProgressCallback) -> tuple[list[ComponentTable], list[int]]:
    """Components of every out-of-fold mask, and the fold of each."""
    checked = {case.id: case for case in load_check(work).cases}
    folds = [(case_id, fold) for fold, ids in enumerate(load_splits(work).folds) for case_id in ids]
    raw = work / "out_of_fold" / "raw"
    there = [(case_id, fold) for case_id, fold in folds if (raw / f"{case_id}.nii.gz").is_file()]
    if not there:
        raise WorkDirError(f"{raw} holds no out-of-fold mask: run `hnseg tune` with a device to make them")
    unknown = [case_id for case_id, _ in there if case_id not in checked]
    if unknown:
        raise WorkDirError(f"cases of splits.json that check.json does not know: {listed(unknown)}")
    tables = []
    for done, (case_id, _) in enumerate(there, start=1):
        tables.append(_read_table(raw / f"{case_id}.nii.gz", checked[case_id], rules))
        progress(done, len(there), case_id)
    return tables, [fold for _, fold in there]


def _read_table(mask: Path, case: CheckedCase, rules: Rules) -> ComponentTable:
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
