"""What a run needs: sums that can be done by hand, and checkpoints as large as they are."""

from __future__ import annotations

import pytest

from hnseg.settings.config import Config
from hnseg.training.cohort_size import CaseSize, CohortSize
from hnseg.training.run_needs import checkpoint_bytes, compute_needs
from hnseg.workdir import load_config

PAPER = Config.from_preset("paper")
CASE = CaseSize(image=20e6, rest=1e6, mask=50e3, decoded=62e6, preparing=1.5e9)
COHORT = CohortSize(680, 3, 544, 136, (310, 200, 200), 42.16, False, CASE)


def test_the_published_run_added_up():
    needs = compute_needs(COHORT, PAPER, voxel_seconds=1e-7, forward_voxel_seconds=2e-8)
    assert needs.disk.prepared == pytest.approx(680 * 0.021)
    assert needs.disk.prepared_align == pytest.approx(680 * (6 * 0.020 + 0.001))
    assert needs.disk.out_of_fold == pytest.approx(680 * 2 * 50e-6)
    assert (needs.preparing_gb, needs.cache_gb) == (1.5, 0.0)
    hours = needs.hours
    assert (hours.steps, hours.validations) == (544 * 300, 136 * 60)
    assert hours.fold_training == pytest.approx(544 * 300 * 192**3 * 1e-7 / 3600, abs=1e-3)
    # Three windows of 192 × 208 × 208 a case, see validation_windows.
    assert hours.fold_validation == pytest.approx(136 * 60 * 3 * 192 * 208 * 208 * 2e-8 / 3600, abs=1e-3)
    assert hours.fold == pytest.approx(hours.fold_training + hours.fold_validation, abs=2e-3)
    assert hours.all_folds_one_device == pytest.approx(5 * hours.fold, abs=5e-3)
    assert hours.all_folds_a_device_each == hours.fold
    assert hours.fold_on["4"] == pytest.approx(hours.fold / 4, abs=1e-3)


def test_the_last_epoch_is_validated_too():
    train = PAPER.train.model_copy(update={"epochs": 12, "validate_every": 5, "batch_size": 2})
    hours = compute_needs(COHORT, PAPER.model_copy(update={"train": train}), 1e-9, 1e-9).hours
    assert (hours.steps, hours.validations) == (272 * 12, 136 * 3)


def test_checkpoints_are_as_large_as_they_are_on_disk(trained_run):
    home = trained_run / "models" / "fold_0"
    written = sum((home / name).stat().st_size for name in ("best.pt", "last.pt"))
    computed = checkpoint_bytes(load_config(trained_run).train)
    assert computed <= written <= computed + 2 * 60_000  # names, history and origin of each


def test_an_average_of_the_weights_is_one_more_copy():
    plain = checkpoint_bytes(PAPER.train)
    assert checkpoint_bytes(PAPER.train.model_copy(update={"ema_decay": 0.9})) == plain / 4 * 5
    assert checkpoint_bytes(PAPER.train.model_copy(update={"optimizer": "sgd"})) == plain / 4 * 3
