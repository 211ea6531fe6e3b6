"""One writer at a time, and a dead one holds nothing."""

import errno
import os
import subprocess
import sys

import pytest

from ssimh.files.lock import LockedError, hold_lock

HOLD = """
import sys, time
from ssimh.files.lock import hold_lock
with hold_lock(sys.argv[1], "train fold 3"):
    print("held", flush=True)
    time.sleep(600)
"""

COUNT = """
import pathlib, sys
from ssimh.files.lock import hold_lock
number = pathlib.Path(sys.argv[1]) / "number"
for _ in range(100):
    with hold_lock(number.with_name(".lock"), "count", wait=True):
        value = int(number.read_text())
        number.write_text(str(value + 1))
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / ".lock")], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_the_second_one_learns_who_has_it(holder, tmp_path):
    with pytest.raises(LockedError) as caught, hold_lock(tmp_path / ".lock", "train fold 3"):
        pass
    assert str(holder.pid) in str(caught.value)
    assert "train fold 3" in str(caught.value)


def test_a_killed_process_holds_nothing(holder, tmp_path):
    holder.kill()
    holder.wait()
    with hold_lock(tmp_path / ".lock", "again"):
        pass
    with hold_lock(tmp_path / ".lock", "and again"):
        pass


def test_the_lock_is_given_back_on_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), hold_lock(tmp_path / ".lock", "first"):
        _ = 1 / 0
    with hold_lock(tmp_path / ".lock", "second"):
        assert os.listdir(tmp_path) == [".lock"]
    assert os.listdir(tmp_path) == []


def test_many_processes_never_hold_it_at_once(tmp_path):
    """Each adds one to a number that it reads first; the file of the lock comes and goes meanwhile."""
    (tmp_path / "number").write_text("0")
    processes = [subprocess.Popen([sys.executable, "-c", COUNT, str(tmp_path)]) for _ in range(3)]
    assert [process.wait(300) for process in processes] == [0, 0, 0]
    assert (tmp_path / "number").read_text() == "300"


@pytest.mark.skipif(sys.platform == "win32", reason="flock")
@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS])
def test_a_file_system_without_locks_is_named(tmp_path, monkeypatch, caplog, number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", refuse)
    with hold_lock(tmp_path / ".lock", "first"):
        pass
    (record,) = caplog.records
    assert str(tmp_path) in record.getMessage()
    assert os.strerror(number) in record.getMessage()


@pytest.mark.skipif(sys.platform == "win32", reason="flock")
def test_another_error_names_the_file(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EIO, "input/output error")

    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.raises(OSError, match=r"\.lock") as caught, hold_lock(tmp_path / ".lock", "first"):
        pass
    assert caught.value.errno == errno.EIO
