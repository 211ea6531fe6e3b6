"""What two runs must not write at once, and what they may."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hnseg.cli.commands import app
from hnseg.cohort.checked_cohort import load_check
from hnseg.cohort.open_run import open_run
from hnseg.cohort.splits import load_splits
from hnseg.errors import InUseError, WorkDirError
from hnseg.locks import hold, is_lock, share_name
from hnseg.parallel import ParallelConfig
from hnseg.preprocessing.prepare_cohort import prepare_cohort
from hnseg.provenance import sha256
from hnseg.settings.config import Config
from hnseg.workdir import read_json
from tests.hnseg.processes import fork, run_command, wait_until


def test_the_second_one_is_refused_and_learns_who_has_it(tmp_path):
    with (
        hold(tmp_path, "fold_0", "hnseg train, fold 0"),
        hold(tmp_path, "fold_1", "hnseg train, fold 1"),
        pytest.raises(InUseError) as caught,
        hold(tmp_path, "fold_0", "hnseg train, fold 0"),
    ):
        pass
    assert str(os.getpid()) in str(caught.value)
    assert "hnseg train, fold 0" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_lock_file_is_recognized(tmp_path):
    with hold(tmp_path, "run", "hnseg check"):
        (file,) = tmp_path.iterdir()
        assert is_lock(file)
    assert not is_lock(Path("run.json"))


@pytest.mark.parametrize("verb", ["check", "split", "tune", "prepare", "predict"])
def test_each_verb_refuses_a_work_directory_in_use(trained_run, tmp_path, verb):
    work = tmp_path / "work"
    shutil.copytree(trained_run, work)
    arguments = [verb, str(work)]
    with hold(work, verb if verb in ("prepare", "predict") else "run", "a test"):
        result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1
    assert "a test" in result.output
    assert str(os.getpid()) in result.output
    assert not [path for path in work.rglob(".*") if path.is_file()]


def test_shares_are_prepared_side_by_side(run):
    shutil.rmtree(run / "prepared")
    shares = [fork(run_command, run.parent / f"errors-{k}.txt", ["prepare", run, "--shard", f"{k}/2"]) for k in (1, 2)]
    for share in shares:
        share.join(300)
    assert [share.exitcode for share in shares] == [0, 0]
    assert {path.name for path in (run / "prepared").iterdir()} == {case.id for case in load_check(run).cases}


def test_the_same_share_is_refused(run):
    with hold(run, share_name("prepare", (1, 2)), "other"), pytest.raises(InUseError):
        prepare_cohort(run, parallel=ParallelConfig(shard=(1, 2)))


def test_waiting_ends_when_the_other_one_does(tmp_path):
    order = []

    def wait() -> None:
        with hold(tmp_path, "harmonizer", "second", wait=True):
            order.append("second")

    with hold(tmp_path, "harmonizer", "first"):
        thread = threading.Thread(target=wait)
        thread.start()
        order.append("first")
    thread.join(60)
    assert order == ["first", "second"]


def test_what_killed_processes_left_does_not_make_a_folder_a_run(small_cohort, tmp_path):
    work = tmp_path / "work"
    work.mkdir()
    (work / ".run.lock").write_text("{}")
    (work / ".writing-abc.json").write_text("{")
    open_run(work, Config.from_preset("demo"), small_cohort, resume=False)
    assert (work / "run.json").is_file()
    other = tmp_path / "other"
    other.mkdir()
    (other / "notes.txt").write_text("mine")
    with pytest.raises(WorkDirError, match="other"):
        open_run(other, Config.from_preset("demo"), small_cohort, resume=False)
    assert [path.name for path in other.iterdir()] == ["notes.txt"]


def test_a_killed_process_holds_nothing(tmp_path):
    code = "import sys, time, pathlib; from hnseg.locks import hold\n"
    code += "with hold(pathlib.Path(sys.argv[1]), 'run', 'x'): time.sleep(600)"
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)])
    wait_until(lambda: any(tmp_path.iterdir()), "no lock")
    process.send_signal(signal.SIGKILL)
    process.wait()
    with hold(tmp_path, "run", "y"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_one_case_of_two_shares_is_predicted_once(trained_run, tmp_path):
    """A run of all cases beside one of a share: the second waits for the mask, and leaves it alone."""
    work = tmp_path / "work"
    shutil.copytree(trained_run, work)
    tests = load_splits(work).test
    commands = [["predict", work, "--device", "cpu", "--shard", share] for share in ("1/1", "1/2")]
    runs = [fork(run_command, tmp_path / f"errors-{k}.txt", command) for k, command in enumerate(commands)]
    for process in runs:
        process.join(600)
    assert [process.exitcode for process in runs] == [0, 0]
    for case_id in tests:
        record = read_json(work / "predictions" / f"{case_id}.json", "predict")
        assert sha256(work / "predictions" / f"{case_id}.nii.gz") in record["outputs"].values()
    assert not list((work / "predictions").glob(".*"))
