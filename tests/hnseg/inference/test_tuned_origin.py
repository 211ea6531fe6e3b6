"""Tuned settings belong to the models, the split and the settings that they were chosen with."""

from __future__ import annotations

from dataclasses import replace

from hnseg.cohort.splits import Splits
from hnseg.errors import WorkDirError
from hnseg.inference.tuned_origin import check_tuned, tuned_key
from hnseg.settings.config import Config
from hnseg.workdir import RunRecord, TunedRecord, change_config, load_config, save_config, save_run_record
from tests.facts import raises_naming

SPLITS = Splits(0, ("T-1",), (("A-1",), ("A-2",)), "R-1")
MODELS = {"models/fold_0/best.pt": "0" * 64}


def test_tuned_settings_are_refused_after_an_edit_of_what_they_were_chosen_with(tmp_path):
    config = Config.from_preset("demo")
    save_config(config, tmp_path)
    tuned = TunedRecord(predict={"min_gtvn_ml": 0.75}, made_from=tuned_key(SPLITS, MODELS, config.predict))
    save_run_record(RunRecord(data_root="data", tuned=tuned), tmp_path)
    check_tuned(tmp_path, SPLITS, MODELS)
    assert load_config(tmp_path).predict.min_gtvn_ml == 0.75
    for splits, models, part in (
        (replace(SPLITS, test=("A-1",), folds=(("T-1",), ("A-2",))), MODELS, "split"),
        (SPLITS, {"models/fold_0/best.pt": "1" * 64}, "models"),
    ):
        with raises_naming(WorkDirError, part, "hnseg tune", path=tmp_path / "run.json"):
            check_tuned(tmp_path, splits, models)
    change_config(tmp_path, {"predict.overlap": 0.25})
    with raises_naming(WorkDirError, "defaults.overlap", "hnseg tune", path=tmp_path / "run.json"):
        check_tuned(tmp_path, SPLITS, MODELS)
