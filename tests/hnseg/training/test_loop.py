"""Training learns, repeats itself, and continues bit for bit."""

from __future__ import annotations

import csv
import os
import shutil

import pytest
import torch

from hnseg.cohort.splits import load_splits
from hnseg.errors import CaseError, HnsegError, WorkDirError
from hnseg.models.checkpoint import load_checkpoint
from hnseg.models.device import open_device
from hnseg.training import loop as train
from hnseg.training import state
from hnseg.training.folds import train_folds
from hnseg.workdir import change_config
from tests.hnseg.training.runs import threads


def weights(path):
    content = load_checkpoint(path)
    return content["network"] if "network" in content else content["weights"]


def assert_same(a, b):
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_loss_falls_and_everything_is_logged(trained_run):
    home = trained_run / "models" / "fold_0"
    with (home / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    assert rows[0]["val_score"] == ""
    assert all(row["val_score"] for row in rows[1:])
    assert load_checkpoint(home / "last.pt")["origin"]["fold"] == 0


def test_a_run_that_was_stopped_continues_bit_for_bit(run, trained_run):
    def stop(done, total, what):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train.train_fold(run, 0, device="cpu", progress=stop)
    assert len(load_checkpoint(run / "models" / "fold_0" / "last.pt")["history"]) == 2
    train.train_fold(run, 0, device="cpu")
    for name in ("last.pt", "best.pt"):
        assert_same(weights(run / "models" / "fold_0" / name), weights(trained_run / "models" / "fold_0" / name))


def test_a_finished_fold_is_left_alone(trained_run):
    before = (trained_run / "models" / "fold_1" / "last.pt").stat().st_mtime_ns
    train.train_fold(trained_run, 1, device="cpu")
    assert (trained_run / "models" / "fold_1" / "last.pt").stat().st_mtime_ns == before


@pytest.mark.slow
def test_folds_train_side_by_side_and_every_epoch_is_reported(run):
    """With as many threads, a fold in company has the weights of a fold alone."""
    calls = []
    train_folds(run, device="cpu", jobs=2, progress=lambda done, total, what: calls.append((done, total, what)))
    assert [done for done, _, _ in calls] == list(range(1, 7))
    assert {total for _, total, _ in calls} == {6}
    assert sum("fold 1 epoch 3" in what for _, _, what in calls) == 1
    beside = weights(run / "models" / "fold_0" / "last.pt")
    shutil.rmtree(run / "models" / "fold_0")
    with threads(max(1, (os.cpu_count() or 1) // 2)):
        train.train_fold(run, 0, device="cpu")
    assert_same(weights(run / "models" / "fold_0" / "last.pt"), beside)


def test_a_failing_fold_is_reported_by_its_process(run):
    shutil.rmtree(run / "prepared")
    with pytest.raises(CaseError, match="hnseg prepare"):
        train_folds(run, device="cpu", jobs=2)


def test_folds_differ(trained_run):
    a, b = (weights(trained_run / "models" / f"fold_{fold}" / "last.pt") for fold in range(2))
    assert not all(torch.equal(a[name], b[name]) for name in a)


def test_a_nan_loss_stops_with_the_case_names(run, monkeypatch):
    class Broken(torch.nn.Module):
        def __init__(self, *settings):
            super().__init__()

        def forward(self, heads, label):
            return heads[0].sum() * float("nan")

    monkeypatch.setattr(state, "SummedDiceCELoss", Broken)
    with pytest.raises(HnsegError, match=r"fold 0, epoch 1.* nan .*(ALFA|BETA)-00\d"):
        train.train_fold(run, 0, device="cpu")
    assert not list((run / "models").glob("*/*.pt"))


def test_a_checkpoint_of_other_settings_is_refused(trained_run, tmp_path):
    work = tmp_path / "work"
    shutil.copytree(trained_run, work)
    change_config(work, {"train.learning_rate": 1e-5})
    with pytest.raises(WorkDirError, match=r"fold_0/last\.pt"):
        train.train_fold(work, 0, device="cpu")


def test_nothing_prepared(run):
    shutil.rmtree(run / "prepared")
    with pytest.raises(CaseError) as caught:
        train.train_fold(run, 0, device="cpu")
    assert caught.value.case_id in load_splits(run).train_ids(0)


def test_no_such_fold(run):
    with pytest.raises(HnsegError, match=r"fold 7.* 0 .* 1$"):
        train.train_fold(run, 7)


def test_no_such_device():
    with pytest.raises(HnsegError, match=r"'gpu'.*auto.*cpu.*cuda"):
        open_device("gpu")
    if not torch.cuda.is_available():
        with pytest.raises(HnsegError, match=r"cuda:0"):
            open_device("cuda:0")
