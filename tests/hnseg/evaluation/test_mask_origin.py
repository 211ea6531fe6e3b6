"""Scores of masks by models, or with settings, that are no longer those of the run are refused."""

from __future__ import annotations

import pytest

from hnseg.errors import WorkDirError
from hnseg.evaluation.evaluate import evaluate_folder, evaluate_workdir, find_labels
from hnseg.evaluation.mask_origin import is_predicted_folder, refuse_other_models, refuse_other_settings
from hnseg.workdir import change_config, load_config
from ssimh.files.artifact_cache import ArtifactCache, hash_file
from tests.facts import raises_naming
from tests.hnseg.workdirs import EXTERNAL, write_external


@pytest.fixture
def records(tmp_path):
    model = tmp_path / "models" / "fold_0" / "best.pt"
    model.parent.mkdir(parents=True)
    model.write_bytes(b"weights")
    key = {"models": {"models/fold_0/best.pt": hash_file(model)}}
    ArtifactCache(tmp_path / "A-1.json", key).save({})
    (tmp_path / "A-2.json").write_text("{}")
    return {name: tmp_path / f"{name}.json" for name in ("A-1", "A-2", "A-3")}


def test_masks_of_the_models_that_are_there_pass(records, tmp_path):
    refuse_other_models(tmp_path, records, "hnseg predict")
    (tmp_path / "models" / "fold_0" / "best.pt").unlink()  # removed to save space
    refuse_other_models(tmp_path, records, "hnseg predict")


def test_masks_of_other_models_are_named(records, tmp_path):
    (tmp_path / "models" / "fold_0" / "best.pt").write_bytes(b"others")
    with raises_naming(WorkDirError, "A-1", "`hnseg predict`", path=tmp_path / "models") as caught:
        refuse_other_models(tmp_path, records, "hnseg predict")
    assert "A-2" not in str(caught.value)


def test_the_scores_of_a_folder_say_which_models_made_its_masks(small_workdir):
    out, root = write_external(small_workdir)
    models = {f"models/fold_{k}/best.pt": hash_file(small_workdir / f"models/fold_{k}/best.pt") for k in (0, 1)}
    scores = evaluate_folder(out, find_labels(root))
    assert (scores.models, scores.data_root) == (models, str(root))
    assert (
        evaluate_folder(
            small_workdir / "baselines/empty", find_labels(small_workdir / "cohort"), missing="empty"
        ).models
        == {}
    )
    assert is_predicted_folder(out)
    assert not is_predicted_folder(small_workdir / "predictions")
    assert not is_predicted_folder(root)
    record = out / f"{EXTERNAL[3]}.json"
    ArtifactCache(record, {"models": {"models/fold_0/best.pt": "0" * 64}}).save({})
    with raises_naming(WorkDirError, EXTERNAL[3], "`hnseg predict WORK DATA --out`", path=out):
        evaluate_folder(out, find_labels(root))


def test_masks_of_unlabeled_cases_are_named_and_not_scored(small_workdir):
    out, root = write_external(small_workdir)
    (root / "Task 1" / EXTERNAL[0] / f"{EXTERNAL[0]}.nii.gz").unlink()
    scores = evaluate_folder(out, find_labels(root))
    assert [case.case_id for case in scores.cases] == list(EXTERNAL[1:])
    assert [entry.case_id for entry in scores.skipped] == [EXTERNAL[0]]


def test_a_run_with_other_models_is_not_scored(small_workdir):
    test = next((small_workdir / "predictions").glob("*.json"))
    (small_workdir / "models" / "fold_0" / "best.pt").write_bytes(b"weights")
    ArtifactCache(test, {"models": {"models/fold_0/best.pt": "0" * 64}}).save({"models": [], "removed": []})
    with raises_naming(WorkDirError, test.stem, "`hnseg predict`", path=small_workdir / "models"):
        evaluate_workdir(small_workdir)


def test_a_run_with_masks_of_other_settings_is_not_scored(small_workdir):
    records = [next((small_workdir / "predictions").glob("*.json")), small_workdir / "out_of_fold" / "cases.json"]
    for record, command in zip(records, ("`hnseg predict`", "`hnseg tune`"), strict=True):
        record.parent.mkdir(exist_ok=True)
        settings = {**load_config(small_workdir).predict.model_dump(mode="json"), "flips": "x"}  # an option's
        ArtifactCache(record, {"predict": settings}).save({})
        refuse_other_settings(small_workdir, {record.stem: record}, "hnseg predict")
        content = {"models": [], "removed": [], "cases": []}
        ArtifactCache(record, {"predict": {**settings, "decide_on": "crop-grid"}}).save(content)
        with raises_naming(WorkDirError, command, "predict.decide_on"):
            evaluate_workdir(small_workdir)
        record.unlink()


def test_masks_become_out_of_date_when_a_setting_changes(small_workdir):
    record = next((small_workdir / "predictions").glob("*.json"))
    made_from = {"predict": load_config(small_workdir).predict.model_dump(mode="json")}
    ArtifactCache(record, made_from).save({"models": [], "removed": []})
    change_config(small_workdir, {"predict.min_gtvn_ml": 0.7})
    with raises_naming(WorkDirError, record.stem, "predict.min_gtvn_ml"):
        evaluate_workdir(small_workdir)
