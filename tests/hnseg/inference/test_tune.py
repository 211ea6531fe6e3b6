"""Tuning: the table of components equals post-processing voxel by voxel, and the choice does not follow noise."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from hnseg.cohort.splits import load_splits
from hnseg.errors import CaseError
from hnseg.evaluation.case_scores import evaluate_case
from hnseg.evaluation.cohort_scores import ScoreSums, SumField, scores_from_sums, sufficient_statistics, summarize
from hnseg.evaluation.rules import Rules
from hnseg.evaluation.score_specs import RANKING_WEIGHTS
from hnseg.images.geometry import Grid
from hnseg.images.image_io import read_image, write_image
from hnseg.inference.component_table import component_table
from hnseg.inference.out_of_fold import postprocess_out_of_fold, predict_out_of_fold
from hnseg.inference.postprocess import postprocess_label
from hnseg.inference.tune import GRID, Search, choose, format_settings, make_search, tune_workdir
from hnseg.models.checkpoint import load_checkpoint, save_checkpoint
from hnseg.settings.predict import PredictConfig
from hnseg.workdir import load_config, read_config
from tests.facts import raises_naming

RULES = Rules()
DEFAULTS = PredictConfig()
SPACING = (3.0, 1.0, 1.5)  # mm; a voxel of 0.0045 ml
CASE = {"case_id": "C-1", "center": "C"}


def noisy_pair(seed, shape=(10, 14, 16)):
    """A truth of two balls and a prediction with specks of both classes, some of them far away."""
    rng = np.random.default_rng(seed)
    truth, index = np.zeros(shape, np.uint8), np.indices(shape)
    for value in (2, 1, 2):
        center = np.array([rng.integers(2, n - 2) for n in shape])
        truth[((index - center[:, None, None, None]) ** 2).sum(axis=0) <= rng.integers(2, 8)] = value
    if rng.random() < 0.2:
        truth[truth == 1] = 0
    pred = np.where(rng.random(shape) < 0.9, truth, 0).astype(np.uint8)
    specks = rng.random(shape) < 0.02
    pred[specks] = rng.integers(0, 3, int(specks.sum()))
    return pred, truth


def counts(case):
    overlaps = [(o.pred_vox, o.truth_vox, o.intersection_vox) for o in (case.gtvp, case.gtvn)]
    return overlaps, case.gtvp_dice, (case.tp, case.fp, case.fn)


@pytest.mark.parametrize("matching", ["greedy", "hungarian", "grouped"])
def test_the_table_equals_postprocessing_and_scoring_the_voxels(matching):
    rules = Rules(matching=matching, min_lesion_ml=0.009 if matching == "greedy" else 0.0)
    rng = np.random.default_rng(1)
    for seed in range(25):
        pred, truth = noisy_pair(seed)
        table = component_table(pred, truth, SPACING, **CASE, rules=rules)
        for _ in range(6):
            settings = PredictConfig(
                min_gtvp_ml=float(rng.choice([0.0, 0.009, 0.02, 0.2])),
                min_gtvn_ml=float(rng.choice([0.0, 0.009, 0.02, 0.2])),
                min_gtvp_vox=int(rng.choice([0, 3])),
                min_gtvn_vox=int(rng.choice([0, 3])),
                max_node_distance_mm=float(rng.choice([3.0, 8.0, 15.0, 1000.0])),
            )
            kept, _ = postprocess_label(pred, SPACING, settings)
            expected = evaluate_case(kept, truth, spacing_zyx_mm=SPACING, **CASE, rules=rules)
            assert counts(table.scored(settings, rules)) == counts(expected)


def test_masks_without_anything():
    empty = np.zeros((3, 4, 5), np.uint8)
    some = empty.copy()
    some[0, 0, 0], some[2, 3, 4] = 1, 2
    for pred, truth in ((empty, empty), (some, empty), (empty, some)):
        case = component_table(pred, truth, SPACING, **CASE, rules=RULES).scored(PredictConfig(min_gtvp_ml=0), RULES)
        assert case.gtvp.truth_vox == int((truth == 1).sum())


def test_other_connectivities_cannot_be_tuned_for():
    mask = np.zeros((2, 2, 2), np.uint8)
    with raises_naming(ValueError, "connectivity 6", "26-connected"):
        component_table(mask, mask, SPACING, **CASE, rules=Rules(connectivity=6))
    with raises_naming(ValueError, (2, 2, 2), (1, 2, 2)):
        component_table(mask, mask[:1], SPACING, **CASE, rules=RULES)


# --- choosing ---------------------------------------------------------------------------------------------------------
def cohort_with_specks(n, speck_vox, seed=0):
    """Good predictions, and in every case two false nodes of ``speck_vox`` voxels of 1 mm."""
    rng, tables = np.random.default_rng(seed), []
    for k in range(n):
        truth = np.zeros((30, 30, 30), np.uint8)
        truth[4:14, 4:14, 4:14], truth[18:26, 18:26, 18:26] = 1, 2
        pred = truth.copy()
        pred[4, 4:14, 4 : 4 + rng.integers(1, 10)] = 0
        for _ in range(2 if speck_vox else 0):
            z = 2 * rng.integers(0, 14)
            pred[z, 0:1, 0:speck_vox] = 2
        tables.append(component_table(pred, truth, (1.0, 1.0, 1.0), case_id=f"C-{k}", center="C", rules=RULES))
    return tables


def chosen(tables, defaults=DEFAULTS, folds=None, seed=1):
    search = make_search(tables, defaults, RULES)
    return choose(search, folds or [k % 4 for k in range(len(tables))], seed=seed, resamples=100)


def test_specks_that_cost_f1_are_tuned_away_and_the_gain_is_said():
    defaults = PredictConfig(min_gtvn_ml=0.0, min_gtvp_ml=0.0)
    result = chosen(cohort_with_specks(24, 25), defaults)
    assert result.changed
    assert result.chosen == {"min_gtvp_ml": 0.0, "min_gtvn_ml": 0.1, "max_node_distance_mm": 100.0}
    assert result.scores["chosen"]["gtvn_f1_agg"] == 1.0
    assert result.scores["defaults"]["gtvn_f1_agg"] < 0.7
    assert result.gain.interval[0] > 0
    assert result.nested.gain > 0
    assert len(result.rows) == 6 * 6 * 7
    assert format_settings(result.chosen) == "GTVp ≥ 0 ml, GTVn ≥ 0.1 ml, nodes within 100 mm of the GTVp"
    json.dumps(result.as_dict(), allow_nan=False)


def test_the_defaults_stay_when_nothing_is_better():
    result = chosen(cohort_with_specks(24, 0))
    assert not result.changed
    assert result.chosen == result.defaults
    assert result.verdict == "defaults-are-best"


def test_too_few_cases_change_nothing():
    result = chosen(cohort_with_specks(8, 25), PredictConfig(min_gtvn_ml=0.0, min_gtvp_ml=0.0))
    assert not result.changed
    assert result.verdict == "too-few-cases"
    assert result.best["min_gtvn_ml"] == 0.1  # seen, not taken


def made_search(values):
    """A search over settings (the defaults first, each a step further) whose GTVp Dice per case is given."""
    steps = (100.0, 60.0, 40.0)[: len(values)]
    settings = [{"min_gtvp_ml": 0.2, "min_gtvn_ml": 0.2, "max_node_distance_mm": d} for d in steps]
    sums = np.zeros((len(values), len(values[0]), len(SumField)))
    sums[:, :, SumField.GTVP_DICE], sums[:, :, SumField.GTVP_DICE_CASES] = values, 1.0
    return Search(settings, 0, ScoreSums(sums), RULES)


def test_a_lead_within_one_standard_error_is_not_taken():
    rng = np.random.default_rng(3)
    noise = rng.normal(0, 0.1, 40)
    noise += 0.5 * 0.1 / np.sqrt(40) - noise.mean()  # better on average by half of its standard error
    base = np.full(40, 0.6)
    result = choose(made_search([base, base + noise]), [k % 5 for k in range(40)], seed=0)
    assert result.verdict == "within-one-standard-error"
    assert not result.changed
    sure = choose(made_search([base, base + 0.02 + 0.1 * noise]), [k % 5 for k in range(40)], seed=0)
    assert sure.changed
    assert sure.nested.gain > 0


def test_a_nearer_setting_must_itself_lead_the_defaults():
    rng = np.random.default_rng(4)
    small, large = rng.normal(0, 0.02, 40), rng.normal(0, 0.13, 40)
    base = np.full(40, 0.5)
    steady = base + 0.03 + small - small.mean()
    shaky = base + 0.018 + large - large.mean()  # close to the best one, and not surely above the defaults
    result = choose(made_search([base, shaky, steady]), [k % 5 for k in range(40)], seed=0)
    lead = {row["max_node_distance_mm"]: row["objective"] for row in result.rows}
    assert lead[40.0] - lead[60.0] < large.std() / np.sqrt(40)  # the nearer one is within a standard error of the best
    assert result.chosen["max_node_distance_mm"] == 40.0


def test_a_choice_that_does_not_hold_up_on_other_folds_is_not_taken():
    # Ten cases of fold 0 gain much by the second setting, thirty of the other folds lose a little.
    folds = [0] * 10 + [1 + k % 3 for k in range(30)]
    gain = np.array([0.30] * 10 + [-0.02] * 30)
    base = np.full(40, 0.6)
    result = choose(made_search([base, base + gain]), folds, seed=0)
    assert result.best["max_node_distance_mm"] == 60.0
    assert result.nested.gain < 0
    assert not result.changed
    assert result.verdict == "not-held-up"


def test_the_objective_weighs_what_is_defined():
    masks = [noisy_pair(k) for k in range(3)]
    cases = [evaluate_case(*pair, spacing_zyx_mm=SPACING) for pair in masks]
    search = Search([{}], 0, sufficient_statistics(cases, RULES)[None], RULES)
    summary = summarize(cases)
    expected = sum(weight * summary[name] for name, weight in RANKING_WEIGHTS.items())
    total = search.sums[0].sum(axis=0)
    assert float(search.objective(total)) == pytest.approx(expected, abs=1e-12)
    total.values[SumField.GTVN_INTERSECTION :] = 0  # no node anywhere: GTVp alone
    assert float(search.objective(total)) == pytest.approx(summary["gtvp_dice_mean"], abs=1e-12)
    assert np.isnan(scores_from_sums(total)["gtvn_f1_agg"])
    assert np.isnan(search.objective(ScoreSums.zero()))


def test_every_setting_of_the_grid_is_valid_and_holds_the_defaults():
    for name, values in GRID.items():
        assert getattr(DEFAULTS, name) in values
        for value in values:
            PredictConfig(**{name: value})


# --- the work directory -----------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def _out_of_fold_run(trained_run, tmp_path_factory):
    work = tmp_path_factory.mktemp("out_of_fold") / "work"
    shutil.copytree(trained_run, work)
    predict_out_of_fold(work, device="cpu")
    return work


@pytest.fixture
def tuned_run(_out_of_fold_run, tmp_path):
    """A run of one's own with out-of-fold masks."""
    shutil.copytree(_out_of_fold_run, tmp_path / "work")
    return tmp_path / "work"


def test_out_of_fold_masks_come_from_the_network_that_did_not_train_on_them(tuned_run):

    raw = tuned_run / "out_of_fold/raw"
    splits = load_splits(tuned_run)
    assert {path.stem for path in raw.glob("*.json")} == {case_id for fold in splits.folds for case_id in fold}
    for fold, ids in enumerate(splits.folds):
        for case_id in ids:
            record = json.loads((raw / f"{case_id}.json").read_text())
            assert record["made_from"]["fold"] == fold
            assert list(record["made_from"]["models"]) == [f"models/fold_{fold}/best.pt"]
            assert case_id not in splits.train_ids(fold)
    times = {path: path.stat().st_mtime_ns for path in raw.glob("*.nii.gz")}
    one = next(iter(times))
    one.unlink()
    cases = predict_out_of_fold(tuned_run, device="cpu")
    assert {path for path in times if path.stat().st_mtime_ns != times[path]} == {one}  # the others are not redone
    assert not (tuned_run / "out_of_fold/cases.json").exists()
    postprocess_out_of_fold(tuned_run, cases)
    for case_id in cases:
        before, grid = read_image(raw / f"{case_id}.nii.gz", case_id, np.uint8)
        after, _ = read_image(tuned_run / f"out_of_fold/{case_id}.nii.gz", case_id, np.uint8)
        np.testing.assert_array_equal(after, postprocess_label(before, grid.spacing_zyx_mm, DEFAULTS)[0])


def test_two_processes_make_the_same_masks_and_choose_the_same(tuned_run, forked_workers, monkeypatch):
    monkeypatch.setattr("hnseg.inference.tune.GRID", {name: values[:1] for name, values in GRID.items()})
    home = tuned_run / "out_of_fold"
    postprocess_out_of_fold(tuned_run, predict_out_of_fold(tuned_run, device="cpu"))
    before = {path.relative_to(home): path.read_bytes() for path in home.rglob("*.nii.gz")}
    listing, chosen = (home / "cases.json").read_bytes(), tune_workdir(tuned_run)
    shutil.rmtree(home)
    done = []
    cases = predict_out_of_fold(tuned_run, device="cpu", jobs=2, progress=lambda *args: done.append(args[0]))
    postprocess_out_of_fold(tuned_run, cases, jobs=2)
    assert {path.relative_to(home): path.read_bytes() for path in home.rglob("*.nii.gz")} == before
    assert (home / "cases.json").read_bytes() == listing
    assert done == list(range(1, len(cases) + 1))
    assert tune_workdir(tuned_run, jobs=2) == chosen


def test_another_model_makes_the_masks_again(tuned_run):
    path = tuned_run / "models/fold_0/best.pt"
    content = load_checkpoint(path)
    next(iter(content["network"].values())).mul_(1.01)
    save_checkpoint(path, content)
    before = {path: path.stat().st_mtime_ns for path in (tuned_run / "out_of_fold/raw").glob("*.nii.gz")}
    predict_out_of_fold(tuned_run, device="cpu")
    changed = {path.name.removesuffix(".nii.gz") for path in before if path.stat().st_mtime_ns != before[path]}

    assert changed == set(load_splits(tuned_run).folds[0])


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"made_from": 3, "outputs": {}}'])
def test_a_damaged_record_makes_the_mask_again(tuned_run, content):
    raw = tuned_run / "out_of_fold/raw"
    record = sorted(raw.glob("*.json"))[0]
    record.write_text(content)
    mask = record.with_suffix(".nii.gz")
    before = mask.read_bytes()
    assert record.stem in predict_out_of_fold(tuned_run, device="cpu")
    assert json.loads(record.read_text())["made_from"]
    assert mask.read_bytes() == before


def test_an_edited_mask_is_made_again(tuned_run):
    raw = tuned_run / "out_of_fold/raw"
    first, second = sorted(raw.glob("*.nii.gz"))[:2]
    before = first.read_bytes()
    first.write_bytes(second.read_bytes())
    with pytest.raises(CaseError) as caught:
        tune_workdir(tuned_run)
    assert caught.value.path == first
    predict_out_of_fold(tuned_run, device="cpu")
    assert first.read_bytes() == before


def test_a_run_is_tuned_and_its_settings_follow(tuned_run, monkeypatch):

    begun = load_config(tuned_run)
    result = tune_workdir(tuned_run)
    assert json.loads(json.dumps(result.as_dict())) == json.loads((tuned_run / "tuning.json").read_text())
    assert result.verdict == "too-few-cases"
    assert load_config(tuned_run) == begun
    monkeypatch.setattr("hnseg.inference.tune.choose", lambda *_, **__: replace(result, chosen={"min_gtvn_ml": 1.0}))
    tune_workdir(tuned_run)
    assert load_config(tuned_run).predict.min_gtvn_ml == 1.0
    assert load_config(tuned_run, tuned=False) == begun
    run = json.loads((tuned_run / "run.json").read_text())
    assert run["tuned"]["evidence"]["n_cases"] == result.n_cases
    assert read_config(tuned_run) == begun


def test_tuning_without_masks_or_with_foreign_ones_is_refused(tuned_run, trained_run):

    with pytest.raises(CaseError) as caught:
        tune_workdir(trained_run)
    assert caught.value.case_id in {case_id for fold in load_splits(trained_run).folds for case_id in fold}
    path = next((tuned_run / "out_of_fold/raw").glob("*.nii.gz"))
    write_image(path, np.zeros((2, 2, 2), np.uint8), Grid((2, 2, 2), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)))
    with pytest.raises(CaseError) as caught:
        tune_workdir(tuned_run)
    assert caught.value.path == path
    assert not (tuned_run / "tuning.json").exists()
