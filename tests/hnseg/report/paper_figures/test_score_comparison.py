"""Figure 4: validation, test and external cohort with their intervals; by fold where there is validation alone."""

from __future__ import annotations

import json
import shutil

import pytest

from hnseg.cohort.splits import load_splits
from hnseg.errors import WorkDirError
from hnseg.evaluation.evaluate import evaluate_folder, evaluate_workdir, find_labels
from hnseg.evaluation.records import read_metrics
from hnseg.evaluation.rules import HECKTOR_2022
from hnseg.report.paper_figures.score_comparison import draw_score_comparison, read_comparison
from hnseg.report.paper_figures.style import paper_style
from hnseg.workdir import write_json
from tests.facts import raises_naming
from tests.hnseg.workdirs import TRAINS, write_external

KEYS = ["gtvp_dice_mean", "gtvn_dice_agg", "gtvn_f1_agg"]


@pytest.fixture
def scored(small_workdir):
    """With out-of-fold masks: the truth, but for one case of which nothing was predicted."""
    folder = small_workdir / "out_of_fold"
    folder.mkdir()
    for case_id in TRAINS[1:]:
        shutil.copy(small_workdir / f"cohort/Task 1/{case_id}/{case_id}.nii.gz", folder)
    shutil.copy(small_workdir / "baselines/empty/AAA-001.nii.gz", folder / "CCC-001.nii.gz")
    (folder / "cases.json").write_text(json.dumps({"cases": TRAINS[1:]}))
    evaluate_workdir(small_workdir)
    return small_workdir


@pytest.fixture
def external(scored):
    """Masks of another cohort."""
    out, root = write_external(scored)
    write_json(out / "metrics.json", evaluate_folder(out, find_labels(root)).as_dict())
    return out


def bars(drawn):
    (axes,) = drawn.figure.axes
    return [[bar.get_height() for bar in container] for container in axes.containers]


def test_validation_stands_beside_the_test(scored):
    metrics, shown = read_metrics(scored), read_comparison(scored)
    assert [spec.key for spec in shown.specs] == KEYS
    assert [(part.key, part.n_cases) for part in shown.parts] == [("validation", 4), ("test", 4)]
    assert shown.folds is None
    for part, scores in zip(shown.parts, (metrics.validation, metrics.ensemble), strict=True):
        assert part.values == {key: scores[key] for key in KEYS}
        assert part.intervals == {key: scores.bootstrap.intervals[key] for key in part.intervals}
    with paper_style():
        drawn = draw_score_comparison(scored)
    heights = [height for row in bars(drawn) for height in row]
    assert heights == [part.values[key] or 0.0 for part in shown.parts for key in KEYS]
    assert set(drawn.inputs) == {"metrics.json"}


def test_an_external_cohort_joins_them(scored, external):
    shown = read_comparison(scored, external)
    assert [part.key for part in shown.parts] == ["validation", "test", "external"]
    assert shown.parts[-1].values == {key: read_metrics(external)[key] for key in KEYS}
    with paper_style():
        drawn = draw_score_comparison(scored, external)
    assert set(drawn.inputs) == {"metrics.json", "external/metrics.json"}


def test_a_run_without_test_shows_its_folds_and_their_mean(scored):
    everything = read_comparison(scored)
    metrics = read_metrics(scored)
    empty = metrics.ensemble.model_copy(update={"cases": ()})
    write_json(scored / "metrics.json", metrics.model_copy(update={"ensemble": empty}).as_dict())
    shown = read_comparison(scored)
    assert [part.key for part in shown.parts] == ["validation"]
    assert [(fold.fold, fold.n_cases) for fold in shown.folds.folds] == [
        (k, len(ids)) for k, ids in enumerate(load_splits(scored).folds)
    ]
    assert [fold.gtvp_dice_mean for fold in shown.folds.folds] == [1.0, 0.5]
    assert shown.folds.mean["gtvp_dice_mean"] == 0.75
    assert shown.parts[0].values == everything.parts[0].values
    with paper_style():
        drawn = draw_score_comparison(scored)
    (axes,) = drawn.figure.axes
    labels = axes.get_legend_handles_labels()[1]
    assert labels == ["fold 0", "fold 1", "mean of the folds", "all cases, out of fold"]


def test_scores_that_cannot_be_compared_are_refused(scored, external, small_workdir):
    labels = find_labels(scored.parent / "external-data")
    write_json(external / "metrics.json", evaluate_folder(external, labels, rules=HECKTOR_2022).as_dict())
    with raises_naming(WorkDirError, "hnseg evaluate", path=external / "metrics.json"):
        read_comparison(scored, external)
    with raises_naming(WorkDirError, path=scored / "metrics.json"):
        read_comparison(scored, scored)
    (external / "metrics.json").unlink()
    with raises_naming(WorkDirError, "hnseg evaluate", path=external / "metrics.json"):
        read_comparison(scored, external)


def test_scores_of_other_masks_are_refused(scored, external):
    shutil.copy(external / "EXA-001.nii.gz", external / "EXB-004.nii.gz")
    with raises_naming(WorkDirError, "EXB-004", external):
        read_comparison(scored, external)
    shutil.copy(scored / "out_of_fold" / "CCC-001.nii.gz", scored / "out_of_fold" / "AAA-004.nii.gz")
    with raises_naming(WorkDirError, "AAA-004", scored / "out_of_fold"):
        read_comparison(scored)


def test_an_external_cohort_of_other_models_is_refused(scored, external):
    model = scored / "models" / "fold_0" / "best.pt"
    model.write_bytes(b"trained again")
    record = {"made_from": {"models": {"models/fold_0/best.pt": "0" * 64}}, "outputs": {}}
    write_json(external / "EXA-002.json", record)
    with raises_naming(WorkDirError, "EXA-002", scored / "models"):
        read_comparison(scored, external)
    (external / "EXA-002.json").unlink()  # of another tool
    with raises_naming(WorkDirError, "EXA-002", "`hnseg predict WORK DATA --out", external):
        read_comparison(scored, external)


def test_an_external_mask_that_was_edited_is_refused(scored, external):
    shutil.copy(external / "EXA-001.nii.gz", external / "EXB-004.nii.gz")
    labels = find_labels(scored.parent / "external-data")
    write_json(external / "metrics.json", evaluate_folder(external, labels).as_dict())
    with raises_naming(WorkDirError, "EXB-004", "`hnseg predict WORK DATA --out", external):
        read_comparison(scored, external)


def test_without_validation_the_commands_that_make_it_are_named(small_workdir):
    evaluate_workdir(small_workdir)
    with raises_naming(WorkDirError, "`hnseg tune`", "`hnseg evaluate`", path=small_workdir / "metrics.json"):
        read_comparison(small_workdir)
