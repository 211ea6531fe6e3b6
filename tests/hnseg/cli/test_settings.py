"""The commands of settings: a run begins with all of them in a file."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from hnseg.cli.commands import app
from hnseg.errors import OptionError, SettingsError
from hnseg.settings.assignments import format_value, parse_assignments
from hnseg.settings.building import build_config, flatten
from hnseg.settings.config import Config
from hnseg.settings.fields import list_fields
from hnseg.workdir import load_config, load_run_record, read_config, save_config
from tests.facts import raises_naming


def run(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_init_begins_a_run_with_every_setting_in_a_file(root, tmp_path):
    work = tmp_path / "work"
    assert run("init", work, "--data", root, "--preset", "demo").exit_code == 0
    text = (work / "config.yaml").read_text()
    assert load_config(work) == Config.from_preset("demo")
    assert load_run_record(work).data_root == str(root.resolve())
    for field in list_fields().values():
        assert f"{field.name.rpartition('.')[2]}: " in text
    assert run("init", tmp_path / "other", "--data", root).exit_code == 0
    assert load_config(tmp_path / "other") == Config.from_preset("recommended")


def test_a_settings_file_and_assignments_are_laid_over_its_preset(root, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("preset: demo\ntrain:\n  epochs: 7  # a week\n")
    more = ("--set", "train.patience=6", "--set", "train.patch_vox=32,32,40", "--reference", "ONE-001")
    assert run("init", tmp_path / "work", "--data", root, "--config", file, *more).exit_code == 0
    config = load_config(tmp_path / "work")
    assert (config.preset, config.train.epochs, config.train.patience) == ("demo", 7, 6)
    assert (config.train.patch_vox, config.prepare.reference) == ((32, 32, 40), "ONE-001")


def test_a_reference_file_is_kept_by_its_absolute_path_and_what_is_neither_is_refused(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "atlas.npz").touch()
    swap = ("--preset", "paper")
    assert run("init", "first", "--data", root, *swap, "--reference", "atlas.npz").exit_code == 0
    assert run("init", "second", "--data", root, *swap).exit_code == 0
    run("split", "second", "--set", "prepare.reference=atlas.npz")
    for work in ("first", "second"):
        assert read_config(tmp_path / work).prepare.reference == str(tmp_path / "atlas.npz")
    for command in (("init", "third", "--data", root, *swap), ("split", "first")):
        done = run(*command, "--set", "prepare.reference=ONE-01")
        assert (done.exit_code, "ONE-01" in done.stderr, "ONE-001" in done.stderr) == (1, True, True), done.stderr
    assert not (tmp_path / "third" / "config.yaml").exists()
    assert read_config(tmp_path / "first").prepare.reference == str(tmp_path / "atlas.npz")


def test_what_init_refuses(root, tmp_path):
    work = tmp_path / "work"
    refused = [
        ((), "--data"),
        (("--data", root, "--set", "train.epoch=3"), "train.epochs"),
        (("--data", root, "--set", "train.epochs"), "KEY=VALUE"),
        (("--data", root, "--set", "train.epochs=0"), "≥ 1"),
        (("--data", root, "--set", "train.epochs="), "the value is missing; expected whole number ≥ 1"),
        (("--data", root, "--set", "train.patience="), "the value is missing"),
        (("--data", root, "--set", "seed=1", "--set", "seed=2"), "twice"),
        (("--data", root, "--config", tmp_path / "none.yaml"), "none.yaml"),
        (("--data", root, "--reference", "A", "--set", "prepare.reference=B"), "--reference"),
    ]
    for options, fact in refused:
        done = run("init", work, *options)
        assert (done.exit_code, fact in done.stderr) == (2, True), done.stderr
        assert not (work / "config.yaml").exists()
    assert run("init", work, "--data", root).exit_code == 0
    before = (work / "config.yaml").read_bytes()
    assert run("init", work, "--data", root, "--preset", "demo").exit_code == 1
    assert (work / "config.yaml").read_bytes() == before


@pytest.mark.parametrize(
    "value", ["128,128", "[128,128,128", "128,,128,128", "128,128,128,", "[[128,128,128]]", "", "0,0,0"]
)
def test_lists_that_set_refuses(value):
    with raises_naming(SettingsError, "train.patch_vox", list_fields()["train.patch_vox"].allowed):
        build_config(parse_assignments([f"train.patch_vox={value}"]), base=Config.from_preset("demo"))


OTHER = {  # a valid value that no preset has, for settings of words, sequences and fields that depend on others
    "preset": "demo",
    "prepare.reference": "ONE-001",
    "prepare.box_mm": [190.0, 190.0, 300.0],
    "prepare.valid_hu": [-1000.0, 3000.0],
    "prepare.ct_window_hu": [-200.0, 300.0],
    "train.blocks_down": [1, 2, 2, 4, 5],
    "train.heads": 2,
    "train.patch_vox": [128, 128, 96],
    "train.class_weights": [0.2, 0.4, 0.4],
    "train.augment.ct_blur_vox": [0.25, 0.75],
    "train.patience": 35,
    "predict.flips": "xy",
}


NEEDS = {"prepare.pet_resolution": {"prepare.harmonization": "spectrum-align"}}  # a setting that needs another value


def other_value(name):
    """A valid value of a setting that is not the preset's."""
    if name in OTHER:
        return OTHER[name]
    value, allowed = flatten(Config.from_preset("paper"))[name], list_fields()[name].allowed
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return next(word for word in allowed.removeprefix("one of ").split(", ") if word != value)
    return value + 1 if isinstance(value, int) else value / 2 + 0.01


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A data root whose files nobody reads."""
    folder = tmp_path_factory.mktemp("data") / "Task 1" / "ONE-001"
    folder.mkdir(parents=True)
    for name in ("ONE-001__CT.nii.gz", "ONE-001__PT.nii.gz", "ONE-001.nii.gz"):
        (folder / name).touch()
    return folder.parents[1]


@pytest.mark.parametrize("name", list_fields())
def test_every_setting_can_be_given_to_init(root, tmp_path, name):
    value, needed = other_value(name), NEEDS.get(name, {})
    more = [part for other, given in needed.items() for part in ("--set", f"{other}={given}")]
    wanted = ("--preset", "paper", "--set", f"{name}={format_value(value)}", *more)
    done = run("init", tmp_path / "work", "--data", root, *(wanted if name != "preset" else ("--preset", "demo")))
    assert done.exit_code == 0, done.stderr
    found = flatten(load_config(tmp_path / "work"))
    assert found[name] == value
    assert name == "preset" or found == {**flatten(Config.from_preset("paper")), name: value, **needed}


@pytest.mark.parametrize("name", list_fields())
def test_every_setting_refuses_what_it_cannot_be(name):
    for wrong in ({"a": 1}, [[1]], "no such value \n" if name != "prepare.reference" else 3):
        with raises_naming(SettingsError, name.rpartition(".")[2], list_fields()[name].allowed):
            build_config({name: wrong}, base=None if name == "preset" else Config.from_preset("paper"))


@pytest.fixture
def checked(small_workdir):
    save_config(Config.from_preset("demo", folds=2, seed=3), small_workdir)
    return small_workdir


def test_a_command_changes_settings_that_it_reads(checked, monkeypatch):
    def stop(*args, **kwargs):
        raise OptionError("stopped")

    for place in (
        *("hnseg.preprocessing.prepare_cohort.prepare_cohort", "hnseg.training.folds.train_folds"),
        *("hnseg.inference.out_of_fold.predict_out_of_fold", "hnseg.inference.predict_cohort.predict_cohort"),
    ):
        monkeypatch.setattr(place, stop)
    for command, name, value, outdated in (
        ("prepare", "prepare.ct_window_hu", [-200.0, 200.0], "the prepared cases; the models"),
        ("train", "train.epochs", 150, "the models"),
        ("tune", "predict.overlap", 0.25, "the predictions"),
        ("predict", "predict.flips", "x", "the predictions"),
    ):
        done = run(command, checked, "--set", f"{name}={format_value(value)}")
        assert (done.exit_code, flatten(read_config(checked))[name]) == (2, value), done.stderr
        assert name in done.stderr
        assert outdated in done.stderr


def test_what_a_change_outdates_is_said_before_it_is_written(checked, monkeypatch):
    def stop(*args):
        raise OSError("no space")

    before = (checked / "config.yaml").read_bytes()
    monkeypatch.setattr("hnseg.cli.set_option.change_config", stop)
    done = run("train", checked, "--set", "train.epochs=150")
    assert (done.exit_code, "the models" in done.stderr) == (1, True), done.stderr
    assert (checked / "config.yaml").read_bytes() == before


def test_the_check_of_a_data_root_takes_what_it_reads(root):
    for name in ("train.epochs=3", "prepare.sigmoid=false", "seed=3", "preset=paper"):
        done = run("check", root, "--set", "prepare.crop=center", "--set", name)
        facts = (name.partition("=")[0], "prepare.spacing_mm")
        assert (done.exit_code, *(fact in done.stderr for fact in facts)) == (2, True, True), done.stderr


def test_settings_that_a_command_does_not_read_are_refused(checked, no_pictures):
    before = (checked / "config.yaml").read_bytes()
    for command, assignment, fact in (
        ("train", "prepare.spacing_mm=2", "prepare"),
        ("predict", "train.epochs=3", "train"),
        ("prepare", "preset=paper", "init"),
        ("train", "train.epoch=3", "train.epochs"),
        ("train", "train.epochs=many", "whole number"),
    ):
        done = run(command, checked, "--set", assignment)
        assert (done.exit_code, fact in done.stderr) == (2, True), done.stderr
    for command, assignment in (("train", "seed=9"), ("prepare", "prepare.harmonization=histogram-match")):
        done = run(command, checked, "--set", assignment)
        assert (done.exit_code == 2) == ("seed" in assignment), done.stderr
        (checked / "config.yaml").write_bytes(before)
    assert (checked / "config.yaml").read_bytes() == before


def test_a_training_setting_prepares_nothing(prepared_run, tmp_path, no_pictures):
    work = tmp_path / "work"
    assert run("init", work, "--from", prepared_run, "--set", "train.epochs=2").exit_code == 0
    dates = {path: path.stat().st_mtime_ns for path in work.glob("prepared/*/case.json")}
    assert run("prepare", work).exit_code == 0
    assert dates
    assert {path: path.stat().st_mtime_ns for path in dates} == dates
    assert run("prepare", work, "--set", "prepare.ct_window_hu=-200,200").exit_code == 0
    assert all(path.stat().st_mtime_ns != date for path, date in dates.items())


def test_a_run_begun_from_another_shares_its_prepared_cases(prepared_run, tmp_path):
    done = run("init", tmp_path / "work", "--from", prepared_run, "--set", "train.filters=4")
    assert done.exit_code == 0, done.stderr
    cases = list((prepared_run / "prepared").glob("*/case.json"))
    assert f"{len(cases)} of {len(cases)}" in done.stdout
    for path in cases:
        assert (tmp_path / "work" / path.relative_to(prepared_run)).samefile(path)
    assert read_config(tmp_path / "work") == build_config({"train.filters": 4}, base=read_config(prepared_run))


def test_config_shows_what_differs(checked):
    run_json = json.loads((checked / "run.json").read_text())
    run_json["tuned"] = {"predict": {"min_gtvp_ml": 0.75}, "made_from": {}, "evidence": {}}
    (checked / "run.json").write_text(json.dumps(run_json))
    shown = run("config", checked).stdout
    assert "split.folds" in shown
    assert "(tuned)" in shown
    assert "train.epochs" not in shown
    assert "train.epochs" in run("config", checked, "--all").stdout
    assert "train.filters" in run("config", checked, "--against", "paper").stdout
    assert "train.filters" in run("config", "--preset", "demo").stdout
    assert run("config").exit_code == run("config", checked, "--preset", "demo").exit_code == 2


def test_init_from_another_run_says_what_is_shared_and_what_comes_next(prepared_run, tmp_path):
    new = tmp_path / "new"
    done = run("init", new, "--from", prepared_run, "--set", "train.epochs=8")
    assert done.exit_code == 0, done.stderr
    assert f"hnseg prepare {new}" in done.stdout
    assert run("init", new, "--from", prepared_run, "--set", "train.epochs=8").exit_code == 0
    assert run("init", new, "--from", prepared_run, "--set", "train.epochs=9").exit_code == 1
    other = run("init", tmp_path / "crop", "--from", prepared_run, "--set", "prepare.crop=center")
    assert "0 of 8" in other.stdout
    assert f"hnseg check {tmp_path / 'crop'}" in other.stdout
    assert run("init", tmp_path / "third", "--from", prepared_run, "--data", tmp_path).exit_code == 2
    assert not (tmp_path / "third").exists()
