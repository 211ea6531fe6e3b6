"""Plan: costs that grow with the patch, a device that is too small, and what the command says."""

from __future__ import annotations

import json
import math
import shutil

import pytest
from typer.testing import CliRunner

from hnseg.cli.commands import app
from hnseg.errors import CaseError
from hnseg.parallel import ParallelConfig
from hnseg.settings.assignments import parse_assignments
from hnseg.settings.building import build_config
from hnseg.settings.config import Config
from hnseg.settings.train import TrainConfig
from hnseg.training import plan

TINY = TrainConfig(filters=4, blocks_down=(1, 1, 1), heads=2, patch_vox=(32, 32, 32))


def test_what_autograd_keeps_grows_with_the_voxels(monkeypatch):
    """The one assumption behind the extrapolation, within 10 %."""
    monkeypatch.setattr(plan, "REPEATS", 1)
    kept = {}
    for edge in (16, 32):
        config = TINY.model_copy(update={"patch_vox": (edge,) * 3})
        kept[edge] = plan._measure(config, "cpu", "32-true").kept_bytes
    assert kept[32] / kept[16] == pytest.approx(8, rel=0.1)
    assert kept[32] > 32**3 * 4 * 4 * 4  # at least four feature maps of the first level


def test_a_plan_covers_smaller_and_larger_patches(prepared_run):
    made = plan.make_plan(prepared_run, device="cpu")
    assert made.cohort.cases == 8
    assert made.cohort.training_cases >= 3
    assert made.wanted.patch_vox == (32, 32, 32)
    assert made.wanted.measured
    assert made.recommended is not None
    assert made.recommended.fits
    volumes = [math.prod(option.patch_vox) for option in made.options]
    assert min(volumes) < 32**3 < max(volumes)
    for option in made.options:
        same = (option.precision, option.batch_size) == (made.wanted.precision, made.wanted.batch_size)
        if same and math.prod(option.patch_vox) > 32**3:
            assert option.memory_gb >= made.wanted.memory_gb
            assert option.seconds_per_step > made.wanted.seconds_per_step


def test_a_device_without_memory_fits_nothing(prepared_run, monkeypatch):
    monkeypatch.setattr(plan, "free_memory_bytes", lambda _: 1000)
    made = plan.make_plan(prepared_run, device="cpu")
    assert made.recommended is None
    done = CliRunner().invoke(app, ["plan", str(prepared_run), "--device", "cpu"])
    assert done.exit_code == 1
    assert "do not fit" in done.output


def test_its_gb_are_those_of_a_memory_budget(prepared_run, monkeypatch):
    """A step of 8·10⁹ bytes: two that need half of it fit what the plan says, and run together."""
    monkeypatch.setattr(plan, "_measure", lambda *_: plan._Cost(32**3, 1, 8_000_000_000, 1.0, 0.25))
    monkeypatch.setattr(plan, "free_memory_bytes", lambda _: 16_000_000_000)
    made = plan.make_plan(prepared_run, device="cpu")
    assert made.wanted.memory_gb == 8.0
    assert made.free_gb == 16.0
    needs = [8_000_000_000, 4_000_000_000, 4_000_000_000]
    assert ParallelConfig(2, memory_gb=made.wanted.memory_gb).memory_batches(needs) == [(2, [1, 2]), (1, [0])]


def test_the_command_shows_and_writes_the_plan(prepared_run, tmp_path):
    done = CliRunner().invoke(app, ["plan", str(prepared_run), "--device", "cpu", "--out", str(tmp_path / "plan.json")])
    assert done.exit_code == 0, done.output
    assert "8 prepared cases" in done.output
    assert "stay decoded in memory" in " ".join(done.output.split())
    content = json.loads((tmp_path / "plan.json").read_text())
    assert content["wanted"]["patch_vox"] == [32, 32, 32]
    assert content["recommended_settings"] in done.output.splitlines()
    assert content["needs"]["folds"] == 2


def test_nothing_prepared(run):
    shutil.rmtree(run / "prepared")
    with pytest.raises(CaseError, match="hnseg prepare"):
        plan.make_plan(run, device="cpu")


def test_its_advice_can_be_given_to_set():
    words = plan.TrainingOption("bf16-mixed", (128, 128, 96), 2, 9.0, 1.0, 1.0, True, False).settings.split()
    assert words[::2] == ["--set"] * 3
    train = build_config(parse_assignments(words[1::2]), base=Config.from_preset("paper")).train
    assert (train.precision, train.patch_vox, train.batch_size) == ("bf16-mixed", (128, 128, 96), 2)
