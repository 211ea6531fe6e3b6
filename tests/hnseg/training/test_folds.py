"""Folds side by side: their processes end with the command, and no fold is trained twice at once."""

from __future__ import annotations

import signal

import pytest
from typer.testing import CliRunner

from hnseg.cli.commands import app
from hnseg.errors import InUseError
from hnseg.training.folds import train_folds
from tests.hnseg.processes import end_and_check, fork, run_command, start, wait_until
from tests.hnseg.training.runs import change

# Nothing handles SIGTERM and SIGHUP: the command ends as it does with SIGKILL. Python turns SIGINT into an exception.
UNHANDLED = [pytest.param(number, marks=pytest.mark.soak) for number in (signal.SIGTERM, signal.SIGHUP)]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, *UNHANDLED])
def test_folds_end_with_the_command(run, number):
    if signal.getsignal(number) == signal.SIG_IGN:
        pytest.skip("this signal is ignored here, and so by every process that starts here")
    change(run, epochs=10_000, workers=1)
    process = start(["-m", "hnseg", "train", run, "--device", "cpu", "--jobs", "2"])
    logs = [run / "models" / f"fold_{fold}" / "log.csv" for fold in (0, 1)]
    text = end_and_check(process, lambda: all(log.is_file() for log in logs), number, least=4)
    if number == signal.SIGINT:  # a killed command cannot wait for a worker that is sending it a patch, and says so
        assert "Traceback" not in text


@pytest.mark.slow
def test_a_fold_is_trained_by_one_run_at_a_time(run):
    """Another fold is trained meanwhile; a killed run holds nothing."""
    change(run, epochs=10_000)
    first = fork(run_command, run.parent / "errors.txt", ["train", run, "--fold", "0", "--device", "cpu"])

    def second() -> bool:
        if not (run / "models" / "fold_0" / "log.csv").is_file():
            return False
        with pytest.raises(InUseError) as caught:
            train_folds(run, [0], device="cpu")
        assert str(first.pid) in str(caught.value)
        assert "fold 0" in str(caught.value)
        other = CliRunner().invoke(app, ["train", str(run), "--fold", "0", "--device", "cpu"])
        assert "in use" in other.stderr
        assert other.exit_code == 1
        return True

    try:
        wait_until(second, "the first run does not get that far")
    finally:
        first.kill()
        first.join()
    change(run, epochs=1)
    (run / "models" / "fold_0" / "last.pt").unlink()
    train_folds(run, [0, 1], device="cpu")
    assert not [path for path in run.rglob(".*") if path.is_file()]
