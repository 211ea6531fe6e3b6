"""One writer at a time, and a dead one holds nothing."""

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
        assert (tmp_path / ".lock.holder").is_file()
    assert not (tmp_path / ".lock.holder").exists()
    assert os.listdir(tmp_path) in ([], [".lock"])
