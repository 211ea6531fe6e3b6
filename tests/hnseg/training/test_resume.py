"""A fold continues, or counts as finished, only if it was trained on what the run would train it on now."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest

from hnseg.cohort.splits import load_splits, save_splits
from hnseg.errors import WorkDirError
from hnseg.inference.ensemble import find_models
from hnseg.inference.export import export_models
from hnseg.inference.predict_case import InferenceOptions, open_segmenter
from hnseg.models.checkpoint import load_checkpoint, save_checkpoint
from hnseg.preprocessing.prepare_cohort import prepare_cohort
from hnseg.training.loop import train_fold
from tests.hnseg.training.runs import change

CPU = InferenceOptions(device="cpu")


@pytest.fixture
def trained(trained_run, tmp_path):
    shutil.copytree(trained_run, tmp_path / "work")
    return tmp_path / "work"


def leak(work):
    """A new split in which a case of every fold's training has become a test case."""
    splits = load_splits(work)
    case = splits.folds[0][0]
    folds = (tuple(i for i in splits.folds[0] if i != case) + splits.test[:1], splits.folds[1])
    save_splits(replace(splits, test=(case, *splits.test[1:]), folds=folds), work)
    return case


def test_a_finished_fold_of_another_split_is_no_result(trained):
    leak(trained)
    assert prepare_cohort(trained) == []
    with pytest.raises(WorkDirError, match=r"last\.pt"):
        train_fold(trained, 1, device="cpu")


def test_models_that_have_seen_a_test_case_neither_predict_nor_are_exported(trained, tmp_path):
    case = leak(trained)
    for use in (lambda: open_segmenter(trained, CPU), lambda: export_models(trained, tmp_path / "export")):
        with pytest.raises(WorkDirError, match=case):
            use()
    assert not (tmp_path / "export").exists()


def test_a_finished_fold_without_its_best_model_says_so(trained):
    (trained / "models" / "fold_0" / "best.pt").unlink()
    with pytest.raises(WorkDirError, match=r"best\.pt"):
        train_fold(trained, 0, device="cpu")


def test_a_finished_fold_whose_cases_are_gone_is_no_result(trained):
    path = trained / "prepared" / load_splits(trained).folds[0][0] / "case.json"
    content = json.loads(path.read_text())
    content["made_from"]["files"]["ct"]["sha256"] = "0" * 64
    path.write_text(json.dumps(content))
    with pytest.raises(WorkDirError, match=r"last\.pt"):
        train_fold(trained, 0, device="cpu")


def test_weights_that_have_seen_a_validation_case_do_not_begin_a_fold(run, trained_run):
    weights = trained_run / "models" / "fold_1" / "best.pt"  # trained on what fold 0 validates
    with pytest.raises(WorkDirError) as caught:
        train_fold(run, 0, device="cpu", init=weights)
    assert any(case_id in str(caught.value) for case_id in load_splits(run).folds[0])
    assert not list((run / "models").glob("*/*.pt"))


def test_the_weights_that_began_a_fold_are_recorded_and_stay_the_same(run, trained_run):
    weights = trained_run / "models" / "fold_0" / "best.pt"
    change(run, epochs=1)
    train_fold(run, 0, device="cpu", init=weights)
    origin = load_checkpoint(run / "models" / "fold_0" / "best.pt")["origin"]
    assert origin["init"]["file"] == "best.pt"
    assert set(origin["init"]["training_cases"]) == set(load_splits(run).train_ids(0))
    train_fold(run, 0, device="cpu", init=weights)  # finished
    train_fold(run, 0, device="cpu")
    other = run / "other.pt"
    save_checkpoint(other, {**load_checkpoint(weights), "note": 1})
    with pytest.raises(WorkDirError, match=r"other\.pt"):
        train_fold(run, 0, device="cpu", init=other)


def test_tuned_settings_of_other_models_are_refused(trained):
    run = json.loads((trained / "run.json").read_text())
    run["tuned"] = {"predict": {"min_gtvn_ml": 1.0}, "made_from": {"split": "", "models": {}}, "evidence": {}}
    (trained / "run.json").write_text(json.dumps(run))
    with pytest.raises(WorkDirError) as caught:
        open_segmenter(trained, CPU)
    assert "hnseg tune" in str(caught.value)


def test_an_export_holds_nothing_of_the_patients_files(trained, tmp_path):
    splits = load_splits(trained)
    path = trained / "prepared" / splits.folds[0][0] / "case.json"
    files = json.loads(path.read_text())["made_from"]["files"]
    export_models(trained, tmp_path / "export")
    texts = "".join(file.read_text() for file in (tmp_path / "export").rglob("*.json"))
    texts += "".join(json.dumps(load_checkpoint(model)["origin"]) for model in find_models(tmp_path / "export"))
    for file in files.values():
        for name in ("name", "sha256", "modified_ns"):
            assert str(file[name]) not in texts
    assert "CPU cores" not in texts
    assert open_segmenter(tmp_path / "export", CPU).models
