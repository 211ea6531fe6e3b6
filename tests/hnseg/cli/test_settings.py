"""The commands of settings: a run begins with all of them in a file."""

from __future__ import annotations

from typer.testing import CliRunner

from hnseg.cli.commands import app
from hnseg.settings.config import Config
from hnseg.settings.fields import list_fields
from hnseg.workdir import load_config, load_run_record


def run(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_init_begins_a_run_with_every_setting_in_a_file(make_case, tmp_path):
    root, work = make_case(), tmp_path / "work"
    assert run("init", work, "--data", root, "--preset", "demo").exit_code == 0
    text = (work / "config.yaml").read_text()
    assert load_config(work) == Config.from_preset("demo")
    assert load_run_record(work).data_root == str(root.resolve())
    for field in list_fields().values():
        assert f"{field.name.rpartition('.')[2]}: " in text
    assert run("init", tmp_path / "other", "--data", root).exit_code == 0
    assert load_config(tmp_path / "other") == Config.from_preset("recommended")


def test_a_settings_file_and_assignments_are_laid_over_its_preset(make_case, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("preset: demo\ntrain:\n  epochs: 7  # a week\n")
    more = ("--set", "train.patience=6", "--set", "train.patch_vox=32,32,40", "--reference", "ONE-001")
    assert run("init", tmp_path / "work", "--data", make_case(), "--config", file, *more).exit_code == 0
    config = load_config(tmp_path / "work")
    assert (config.preset, config.train.epochs, config.train.patience) == ("demo", 7, 6)
    assert (config.train.patch_vox, config.prepare.reference) == ((32, 32, 40), "ONE-001")


def test_what_init_refuses(make_case, tmp_path):
    root, work = make_case(), tmp_path / "work"
    refused = [
        ((), "--data"),
        (("--data", root, "--set", "train.epoch=3"), "train.epochs"),
        (("--data", root, "--set", "train.epochs"), "KEY=VALUE"),
        (("--data", root, "--set", "train.epochs=0"), "≥ 1"),
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
