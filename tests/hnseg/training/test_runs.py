"""Training as it is really used: killed, continued, averaged, stopped early, on several processes, out of memory."""

from __future__ import annotations

import json
import logging
import math
import multiprocessing
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from hnseg.cohort.splits import load_splits
from hnseg.errors import HnsegError, WorkDirError
from hnseg.models.checkpoint import load_checkpoint
from hnseg.models.device import open_device
from hnseg.preprocessing.prepared_case import open_case
from hnseg.settings.train import TrainConfig
from hnseg.training import epoch_files, epoch_meter
from hnseg.training import loop as train
from hnseg.training.log import EpochRow, read_log
from hnseg.training.losses import SummedDiceCELoss
from hnseg.training.validation import ValidationScores
from hnseg.workdir import load_config
from tests.hnseg.processes import fork, wait_until
from tests.hnseg.training import ranks
from tests.hnseg.training.runs import change, equal, last, threads, train_first_fold


@pytest.mark.slow
def test_killed_at_any_moment_it_continues_bit_for_bit(run, trained_run):
    """kill -9 in the middle of the second epoch, with everything that has a state switched on."""
    del trained_run
    change(run, ema_decay=0.9, optimizer="sgd", momentum=0.9, learning_rate=0.01, lesion_balance="lesion")
    reference = run.parent / "reference"
    subprocess.run(["cp", "-r", str(run), str(reference)], check=True)
    path = run / "models" / "fold_0" / "last.pt"
    process = fork(train_first_fold, run)
    wait_until(lambda: path.is_file() or not process.is_alive(), "no epoch ends")
    process.kill()
    process.join()
    assert 1 <= len(last(run)["history"]) < 3
    with threads(1):
        for work in (run, reference):
            train.train_fold(work, 0, device="cpu")
    mine, theirs = last(run), last(reference)
    assert equal(mine["weights"], theirs["weights"])
    assert equal(mine["average"], theirs["average"])
    assert [row["loss"] for row in mine["history"]] == [row["loss"] for row in theirs["history"]]
    assert not list(path.parent.glob(".writing-*.pt"))


def test_loading_processes_change_nothing_and_end_with_the_fold(run, trained_run):
    change(run, workers=2)
    others = set(multiprocessing.active_children())
    train.train_fold(run, 0, device="cpu")
    mine, theirs = last(run), last(trained_run)
    assert equal(mine["weights"], theirs["weights"])
    assert [row["loss"] for row in mine["history"]] == [row["loss"] for row in theirs["history"]]
    assert set(multiprocessing.active_children()) <= others


def test_the_average_is_validated_and_kept(run):
    change(run, ema_decay=0.5, epochs=1)
    train.train_fold(run, 0, device="cpu")
    state, best = last(run), load_checkpoint(run / "models" / "fold_0" / "best.pt")
    assert equal(best["network"], {k.removeprefix("module."): v for k, v in state["average"].items() if "module" in k})
    assert not equal(best["network"], state["weights"])


def record_drawings(monkeypatch) -> list[int]:
    """Epochs after which curves would be drawn."""
    drawn = []
    monkeypatch.setattr(epoch_files, "draw_curves", lambda path, history, title: drawn.append(len(history)))
    return drawn


def test_it_stops_early_and_stays_stopped(run, monkeypatch):
    """Its last epoch has no validation: the picture is that of the one before."""
    scores, case = iter([0.5, 0.4, 0.3]), open_case(next((run / "prepared").glob("*/case.json")).parent)

    def score(*given):
        given[-1](case, case.label[:])
        return ValidationScores(0.1, 0.1, 0.1, 0.1, next(scores))

    change(run, epochs=6, validate_every=2, patience=3)
    monkeypatch.setattr(train, "validate", score)
    drawn = record_drawings(monkeypatch)
    train.train_fold(run, 0, device="cpu")
    assert drawn == [5]  # epochs of less than ten seconds: at the end only
    assert (run / "models" / "fold_0" / "validation.png").is_file()
    assert len(last(run)["history"]) == 5
    assert len(load_checkpoint(run / "models" / "fold_0" / "best.pt")["history"]) == 2
    train.train_fold(run, 0, device="cpu")
    assert len(last(run)["history"]) == 5


def test_by_the_validation_loss_another_epoch_is_kept_and_a_reader_sees_that_it_stopped(run, monkeypatch):
    losses, scores, lines = iter([0.5, 0.4, float("nan"), 0.6]), iter([0.5, 0.4, 0.3, 0.2]), []
    change(run, epochs=9, validate_every=1, patience=2, monitor="val_loss")
    monkeypatch.setattr(train, "validate", lambda *_: ValidationScores(next(losses), 0.1, 0.1, 0.1, next(scores)))
    monkeypatch.setattr(train, "PICTURE_INTERVAL_S", 0.0)
    drawn = record_drawings(monkeypatch)
    train.train_fold(run, 0, device="cpu", progress=lambda done, total, what: lines.append(what))
    assert drawn == [1, 2, 3, 4]
    assert len(load_checkpoint(run / "models" / "fold_0" / "best.pt")["history"]) == 2
    rows = read_log(run, 0)
    assert [(row.kept_epoch, row.stopped_early) for row in rows] == [(1, None), (2, None), (2, None), (2, 1)]
    assert last(run)["history"][-1]["stopped_early"] == 1
    assert ["stops early" in line for line in lines] == [False] * 3 + [True]
    assert math.isnan(rows[2].val_loss)


def test_given_weights_begin_a_fold(run, trained_run):
    weights = trained_run / "models" / "fold_0" / "best.pt"
    change(run, epochs=1, learning_rate=1e-12, weight_decay=0.0)
    train.train_fold(run, 0, device="cpu", init=weights)
    mine, given = last(run)["weights"], load_checkpoint(weights)["network"]
    assert all(torch.allclose(mine[name], given[name], atol=1e-6) for name in given)
    change(run, filters=8)
    (run / "models" / "fold_0" / "last.pt").unlink()
    with pytest.raises(WorkDirError, match=r"fold_0/best\.pt"):
        train.train_fold(run, 0, device="cpu", init=weights)


def test_augmentation_gives_the_same_patches_wherever_it_runs(run):
    losses = []
    for where in ("loader", "device"):
        change(run, epochs=1, augment_on=where)
        (run / "models" / "fold_0" / "last.pt").unlink(missing_ok=True)
        train.train_fold(run, 0, device="cpu")
        losses.append(last(run)["history"][0]["loss"])
    assert losses[0] == losses[1]


def test_cases_that_were_prepared_again_do_not_mix_with_an_old_checkpoint(run):
    change(run, epochs=2)
    train.train_fold(run, 0, device="cpu", progress=stop_after(1))
    record = run / "prepared" / load_splits(run).folds[1][0] / "case.json"
    content = json.loads(record.read_text())
    content["made_from"]["files"]["pet"]["sha256"] = "0" * 64
    record.write_text(json.dumps(content))
    with pytest.raises(WorkDirError, match=r"fold_0/last\.pt"):
        train.train_fold(run, 0, device="cpu")


def stop_after(epochs):
    """Interrupt the sequence, as Ctrl-C does, and swallow the interruption."""

    def progress(done, total, what):
        if done == epochs:
            raise Stop

    return progress


class Stop(HnsegError):
    """Raised by a test to end a training."""


@pytest.fixture(autouse=True)
def _swallow(monkeypatch):
    whole = train.train_fold

    def quietly(*arguments, **settings):
        try:
            return whole(*arguments, **settings)
        except Stop:
            return None

    monkeypatch.setattr(train, "train_fold", quietly)


def test_a_class_that_no_case_has_is_reported(run, caplog):
    splits = load_splits(run)
    for case_id in [*splits.train_ids(0), *splits.folds[0]]:
        group = open_case(run / "prepared" / case_id)._group.store.root
        for name in ("gtvn_index", "gtvn_lesion"):
            subprocess.run(["rm", "-rf", str(Path(group) / name)], check=True)
    change(run, epochs=1)
    with caplog.at_level(logging.WARNING):
        train.train_fold(run, 0, device="cpu")
    (record,) = [record for record in caplog.records if record.name == "hnseg.training.cases"]
    assert record.args == (0, "GTVn")
    assert last(run)["history"][0]["loss"] > 0


def test_a_long_epoch_says_how_far_it_is(run, monkeypatch):
    monkeypatch.setattr(train, "LOSS_CHECK_INTERVAL", 1)
    monkeypatch.setattr(train, "PROGRESS_INTERVAL_S", 0.0)
    change(run, epochs=2)
    reports = []
    train.train_fold(run, 0, device="cpu", progress=lambda *what: reports.append(what))
    steps = len(load_splits(run).train_ids(0)) * load_config(run).train.patches_per_case
    first = [text for done, total, text in reports if (done, total) == (0, 2)]
    assert [text.rpartition("step ")[2] for text in first] == [f"{step} of {steps}" for step in range(1, steps)]
    assert all("fold 0 epoch 1  loss" in text and "patches/s" in text for text in first)
    assert [done for done, _, text in reports if "step" not in text] == [1, 2]


@pytest.mark.parametrize("error", [RuntimeError("CUDA out of memory. Tried"), MemoryError()])
def test_out_of_memory_says_what_to_lower(run, monkeypatch, error):
    def full(*_):
        raise error

    monkeypatch.setattr(SummedDiceCELoss, "forward", full)
    with pytest.raises(HnsegError, match=r"cpu.*\(32, 32, 32\).*train\.patch_vox"):
        train.train_fold(run, 0, device="cpu")


def test_another_error_of_the_network_keeps_its_name(run, monkeypatch):
    def broken(*_):
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(SummedDiceCELoss, "forward", broken)
    with pytest.raises(RuntimeError) as caught:
        train.train_fold(run, 0, device="cpu")
    assert caught.value.args == ("shapes do not match",)


def test_a_disk_that_fills_keeps_the_last_whole_epoch(run, monkeypatch):
    change(run, epochs=2)
    train.train_fold(run, 0, device="cpu", progress=stop_after(1))
    before = (run / "models" / "fold_0" / "last.pt").read_bytes()

    def full(*_, **__):
        raise RuntimeError("[enforce fail at inline_container.cc] . PytorchStreamWriter failed writing file data/1")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(HnsegError, match=r"epoch 2.*fold_0"):
        train.train_fold(run, 0, device="cpu")
    assert (run / "models" / "fold_0" / "last.pt").read_bytes() == before


def test_pictures_and_tensorboard_are_written(run):
    change(run, epochs=1, tensorboard=True)
    train.train_fold(run, 0, device="cpu")
    home = run / "models" / "fold_0"
    assert all((home / name).stat().st_size > 5_000 for name in ("curves.png", "validation.png"))
    (events,) = (home / "tensorboard").iterdir()
    assert b"val_gtvn_f1" in events.read_bytes()


def test_tensorboard_that_is_not_installed_is_named(run, monkeypatch):
    change(run, epochs=1, tensorboard=True)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(HnsegError, match=r"pip install .ssimh\[tensorboard\]"):
        train.train_fold(run, 0, device="cpu")


@pytest.mark.slow
def test_two_processes_have_the_gradients_of_one_with_the_double_batch_and_agree_to_stop(run, tmp_path):
    errors, paths = tmp_path / "errors.txt", {world: tmp_path / f"{world}.pt" for world in (1, 2)}
    change(run, batch_size=1, clip_norm=1e9, epochs=4, validate_every=1, patience=1, monitor="val_loss")
    process = fork(ranks.launch_two, errors, ranks.train_worse_and_worse, run, paths[2])
    process.join(300)
    assert process.exitcode == 0, errors.read_text()
    history = last(run)["history"]
    assert [(row["epoch"], row["kept_epoch"], row["stopped_early"]) for row in history] == [(1, 1, None), (2, 1, 1)]
    assert all(row["val_score"] is not None for row in history)

    change(run, batch_size=2)
    ranks.save_first_gradients(run, paths[1])
    found = {world: torch.load(path) for world, path in paths.items()}
    assert [found[world]["world"] for world in (1, 2)] == [1, 2]
    one, two = (torch.cat([g.ravel() for g in found[world]["gradients"]]) for world in (1, 2))
    # float32, summed in another order; through instance normalization that reaches the fifth digit.
    assert float((one - two).norm()) < 1e-4 * float(one.norm())
    assert float(one.norm()) > 0.1


def test_a_numbered_device_does_not_go_with_several_processes(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(HnsegError, match=r"cuda:1.*\b2\b"):
        open_device("cuda:1", "32-true")


def test_memory_is_logged_in_gb(run, monkeypatch):
    """10⁹ bytes, as --memory-gb takes them."""
    monkeypatch.setattr(epoch_meter, "peak_memory_bytes", lambda device: 8_000_000_000)
    change(run, epochs=1)
    train.train_fold(run, 0, device="cpu")
    assert last(run)["history"][0]["memory_gb"] == 8.0


def test_a_damaged_last_checkpoint_is_refused(run, trained_run):
    """``best.pt`` in its place: a checkpoint, but none that a training continues from."""
    home = run / "models" / "fold_0"
    home.mkdir(parents=True)
    shutil.copy(trained_run / "models" / "fold_0" / "best.pt", home / "last.pt")
    with pytest.raises(WorkDirError, match=r"last\.pt"):
        train.train_fold(run, 0, device="cpu")


def test_what_killed_processes_left_is_removed(run):
    change(run, epochs=1)
    home = run / "models" / "fold_0"
    home.mkdir(parents=True)
    (home / ".writing-abc.pt").write_bytes(b"half a checkpoint")
    train.train_fold(run, 0, device="cpu")
    assert not list(home.glob(".*"))


def test_a_history_survives_the_checkpoint(trained_run):
    rows = [EpochRow(**row) for row in last(trained_run)["history"]]
    assert [row.epoch for row in rows] == [1, 2, 3]


def test_the_configuration_of_a_run_holds_every_choice(run):
    assert load_config(run).train.model_dump().keys() == TrainConfig().model_dump().keys()
