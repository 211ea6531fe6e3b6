"""A worker ends with its parent, even if the parent is killed."""

import os
import signal
import subprocess
import sys
import time

PARENT = """
import os, subprocess, sys, time
child = "import time, os; from ssimh.processes import end_with_parent; end_with_parent(PARENT); "
child += "print(os.getpid(), flush=True); time.sleep(600)"
subprocess.Popen([sys.executable, "-c", child.replace("PARENT", str(os.getpid()))])
time.sleep(600)
"""


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rsplit(")", 1)[1].split()[0] != "Z"


def test_a_worker_ends_with_a_killed_parent():
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    worker = int(parent.stdout.readline())
    assert is_alive(worker)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 30
    while is_alive(worker):
        assert time.monotonic() < deadline, "the worker outlives its parent"
        time.sleep(0.1)
