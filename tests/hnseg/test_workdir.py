"""Work directories: whole files or none, and no two runs mixed up."""

from __future__ import annotations

import pytest

from hnseg.cohort.open_run import open_run
from hnseg.errors import CohortError, WorkDirError
from hnseg.settings.config import Config
from hnseg.workdir import load_config, read_json, save_config, write_json, write_text
from tests.facts import raises_naming


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})
    with raises_naming(ValueError, "JSON"):
        write_json(path, {"a": float("nan")})
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "\ud800")
    assert read_json(path, "check") == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_what_was_tuned_is_laid_over_the_settings_of_the_run(tmp_path):
    config = Config.from_preset("demo")
    write_json(tmp_path / "run.json", {"data_root": "x"})
    save_config(config, tmp_path)
    assert load_config(tmp_path) == config
    tuned = {"predict": {"min_gtvn_ml": 0.75}, "made_from": {}, "evidence": {}}
    write_json(tmp_path / "run.json", {**read_json(tmp_path / "run.json", "check"), "tuned": tuned})
    assert load_config(tmp_path).predict.min_gtvn_ml == 0.75
    assert load_config(tmp_path).predict.overlap == config.predict.overlap
    assert load_config(tmp_path, tuned=False) == config


def test_a_run_is_continued_only_when_asked_and_only_as_it_was(make_case, tmp_path):
    root, work, config = make_case(), tmp_path / "work", Config.from_preset("demo")
    open_run(work, Config.from_preset("demo", seed=5), root, resume=False)
    open_run(work, config, root, resume=False)  # the first was never checked: nothing to continue
    assert load_config(work) == config
    write_json(work / "check.json", {"cases": []})
    open_run(work, config, root, resume=False)  # no case of it could be used: nothing to continue either
    assert not (work / "check.json").exists()
    write_json(work / "check.json", {"cases": [{"id": "ONE-001"}]})
    with raises_naming(WorkDirError, "--resume", path=work):
        open_run(work, config, root, resume=False)
    open_run(work, config, root, resume=True)
    with raises_naming(WorkDirError, "(config.seed)", path=work):
        open_run(work, Config.from_preset("demo", seed=1), root, resume=True)
    with raises_naming(WorkDirError, "(data_root)", path=work):
        open_run(work, config, make_case(root=tmp_path / "elsewhere"), resume=True)


def test_a_settings_file_that_a_user_edited_is_kept(make_case, tmp_path):
    root, work, config = make_case(), tmp_path / "work", Config.from_preset("demo")
    open_run(work, config, root, resume=False)
    file = work / "config.yaml"
    noted = file.read_text().replace("  epochs: 6\n", "  epochs: 6  # agreed on Monday\n")
    file.write_text(noted)
    for resume in (True, False):
        open_run(work, load_config(work), root, resume=resume)
        assert file.read_text() == noted
    edited = noted.replace("  epochs: 6 ", "  epochs: 7 ")
    file.write_text(edited)
    with raises_naming(WorkDirError, "--resume", path=file):
        open_run(work, config, root, resume=False)
    assert file.read_text() == edited
    write_json(work / "check.json", {"cases": []})
    open_run(work, load_config(work), root, resume=True)
    assert (file.read_text(), (work / "check.json").exists()) == (edited, False)


def test_a_foreign_folder_is_left_alone(make_case, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_text("")
    with raises_naming(WorkDirError, path=tmp_path / "photos"):
        open_run(tmp_path / "photos", Config.from_preset("demo"), make_case(), resume=True)
    (tmp_path / "photos" / "cat.jpg").unlink()
    open_run(tmp_path / "photos", Config.from_preset("demo"), make_case(), resume=True)  # the picture was in the way


def test_no_run_begins_on_data_that_are_not_there(tmp_path):
    with raises_naming(CohortError, path=tmp_path / "nowhere"):
        open_run(tmp_path / "work", Config.from_preset("demo"), tmp_path / "nowhere", resume=False)
    assert not (tmp_path / "work").exists()


def test_a_missing_file_names_the_stage_that_writes_it(tmp_path):
    with raises_naming(WorkDirError, "`hnseg split`", path=tmp_path / "splits.json"):
        read_json(tmp_path / "splits.json", "split")
