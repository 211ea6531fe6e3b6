"""The settings file: written whole, read strictly, changed without losing comments."""

from __future__ import annotations

from pathlib import Path

import pytest

from hnseg.errors import SettingsError
from hnseg.settings.building import build_config
from hnseg.settings.config import Config
from hnseg.settings.config_file import change_config_file, read_config_file, render_config
from hnseg.settings.fields import list_fields
from hnseg.settings.presets import PRESETS


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.yaml"


@pytest.mark.parametrize("preset", PRESETS)
def test_what_is_written_is_read_back(file, preset):
    config = Config.from_preset(preset, seed=3)
    file.write_text(render_config(config))
    assert read_config_file(file, whole=True) == config


def test_every_setting_is_described(file):
    text = " ".join(line.strip("# ") for line in render_config(Config.from_preset("paper")).splitlines())
    for field in list_fields().values():
        assert field.description in text
        assert field.allowed in text
        assert field.source in text


def test_a_change_keeps_the_comments_of_users(file):
    config = Config.from_preset("paper")
    text = render_config(config).replace("  epochs: 300", "  epochs: 300  # agreed on Monday")
    assert "agreed" in text
    file.write_text(text)
    values = {"train.epochs": 150, "train.patience": None, "train.patch_vox": [96, 96, 96]}
    changed = change_config_file(file, values)
    assert "epochs: 150  # agreed on Monday" in changed
    assert "Largest norm of the gradient" in changed
    file.write_text(changed)
    assert read_config_file(file, whole=True) == build_config(values, base=config)


BAD = {
    "nothing": ("", None),
    "a list": ("[1]", None),
    "no YAML": ("a: b: c", 1),
    "a tab": ("preset: paper\ntrain:\n\tepochs: 3", 3),
    "a key twice": ("preset: paper\ntrain:\n  epochs: 3\n  epochs: 4", 4),
    "an unknown key": ("preset: paper\ntrain:\n  epoch: 3", 3),
    "an unknown section": ("preset: paper\ntraining:\n  epochs: 3", 2),
    "a list for a number": ("preset: paper\ntrain:\n  epochs: [3]", 3),
    "a truth value for a number": ("preset: paper\ntrain:\n  epochs: true", 3),
    "a text for a number": ('preset: paper\ntrain:\n  epochs: "3"', 3),
    "a date for a number": ("preset: paper\ntrain:\n  learning_rate: 2026-01-01", 3),
    "a number for a list": ("preset: paper\ntrain:\n  patch_vox: 96", 3),
    "a short list": ("preset: paper\ntrain:\n  patch_vox: [96, 96]", 3),
    "out of range": ("preset: paper\ntrain:\n  epochs: 0", 3),
    "infinite": ("preset: paper\nprepare:\n  spacing_mm: .inf", 3),
    "not a number": ("preset: paper\nprepare:\n  valid_hu: [.nan, 3]", 3),
    "a contradiction": ("preset: paper\ntrain:\n  patch_vox: [96, 96, 100]", 3),
    "no section": ("preset: paper\ntrain: 5", 2),
    "no preset": ("seed: 3", None),
    "an unknown preset": ("preset: published", 1),
    "another version": ("version: 2\npreset: paper", 1),
    "a truth value for the version": ("version: true\npreset: paper", 1),
    "no version after its key": ("version:\npreset: paper", 1),
    "a fraction for the version": ("version: 1.0\npreset: paper", 1),
    "a merge key": ("preset: paper\ntrain:\n  <<: {epochs: 3}", 3),
    "a dotted key": ("preset: paper\ntrain.epochs: 3\ntrain:\n  epochs: 4", 2),
    "a second document": ("preset: paper\n---\nseed: 3", 2),
    "a negative length": ("preset: paper\ntrain:\n  patch_vox: [-64, -64, -64]", 3),
    "a length of nothing": ("preset: paper\ntrain:\n  patch_vox: [0, 0, 0]", 3),
    "a level without blocks": ("preset: paper\ntrain:\n  blocks_down: [1, 0, 2, 4, 4]", 3),
    "a range upside down": ("preset: paper\ntrain:\n  augment:\n    ct_blur_vox: [2, 1]", 4),
    "no number": ("preset: paper\ntrain:\n  epochs:", 3),
    "an alias": ("preset: &a paper", None),
    "a tag": ("preset: paper\nprepare:\n  crop: !!python/object:os.system x", None),
    "a key that is no name": ("preset: paper\n? [a, b]\n: 3", 2),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_file_is_refused_with_its_line(file, what):
    text, line = BAD[what]
    file.write_text(text)
    with pytest.raises(SettingsError) as caught:
        read_config_file(file)
    if line is not None:
        assert f"config.yaml, line {line}" in str(caught.value)


def test_a_change_to_no_value_is_written_out(file):
    file.write_text(render_config(Config.from_preset("paper")))
    assert "  patience: null\n" in change_config_file(file, {"train.patience": None})


@pytest.mark.parametrize(
    ("name", "near"), [("train.epoch", "train.epochs"), ("train.tau", ""), ("epochs", "train.epochs")]
)
def test_an_unknown_name_is_answered_with_the_nearest(name, near):
    with pytest.raises(SettingsError) as caught:
        build_config({name: 3}, base=Config.from_preset("demo"))
    assert name in str(caught.value)
    assert near in str(caught.value)


def test_words_that_yaml_once_took_for_truth_values(file):
    file.write_text("preset: demo\nprepare:\n  registration: off\ntrain:\n  learning_rate: 1e-3\n")
    config = read_config_file(file)
    assert (config.prepare.registration, config.train.learning_rate) == ("off", 0.001)


def test_a_file_of_a_run_holds_every_setting(file):
    lines = render_config(Config.from_preset("demo")).splitlines()
    file.write_text("\n".join(line for line in lines if not line.startswith("  epochs:")))
    with pytest.raises(SettingsError, match=r"train\.epochs"):
        read_config_file(file, whole=True)
    assert read_config_file(file) == build_config({"train.epochs": 6}, base=Config.from_preset("demo"))


def test_huge_and_binary_files_are_refused(file):
    for content in (b"x" * 2_000_000, b"\xff\xfe\x00", b"a" * 20_000 + b": [" * 3000):
        file.write_bytes(content)
        with pytest.raises(SettingsError, match=r"config\.yaml"):
            read_config_file(file)
