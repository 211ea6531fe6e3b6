"""A worker ends with its parent, even if the parent is killed."""

import os
import signal
import subprocess
import sys
import time

import pytest

PARENT = """
import os, subprocess, sys, time
child = "import time, os; from ssimh.processes import end_with_parent; end_with_parent(PARENT); "
child += "print(os.getpid(), flush=True); time.sleep(600)"
subprocess.Popen([sys.executable, "-c", child.replace("PARENT", str(os.getpid()))])
time.sleep(600)
"""


SERVED = """
import multiprocessing, os, sys, time

def work(parent):
    from ssimh.processes import end_with_parent
    end_with_parent(parent)
    print(os.getpid(), flush=True)
    time.sleep(600)

if __name__ == "__main__":
    multiprocessing.get_context(sys.argv[1]).Process(target=work, args=(os.getpid(),)).start()
    time.sleep(600)
"""


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rsplit(")", 1)[1].split()[0] != "Z"


@pytest.mark.parametrize("method", [None, "spawn", "forkserver"])
def test_a_worker_ends_with_a_killed_parent(method, tmp_path):
    (tmp_path / "served.py").write_text(SERVED)
    command = ["-c", PARENT] if method is None else [str(tmp_path / "served.py"), method]
    parent = subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, text=True)
    worker = int(parent.stdout.readline())
    assert is_alive(worker)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 30
    while is_alive(worker):
        assert time.monotonic() < deadline, "the worker outlives its parent"
        time.sleep(0.1)
