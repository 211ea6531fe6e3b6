"""Workers: an error costs one scan, a killed worker costs its own, and none outlives its parent."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from ssimh.batch.harmonize_folder import LOCK, State, harmonize_scans
from ssimh.batch.harmonize_scan import HarmonizedScan, OutputOptions
from ssimh.batch.manifest import Recipe, read_manifest
from ssimh.files.lock import LockedError
from tests.ssimh.cli.commands import read, snapshot, ssimh, succeed, write


@dataclass(frozen=True)
class Misbehaving:
    """Returns every scan as it is, but for one named ``error`` and one named ``killed``."""

    @property
    def recipe(self) -> Recipe:
        return Recipe("swap", "as it is", {"content_hash": "none"}, {})

    def find_mask(self, source):
        return None

    def harmonize(self, scan, workers):
        if scan.path.name.startswith("error"):
            raise KeyError("a mistake in the code")
        if scan.path.name.startswith("killed"):
            os.kill(os.getpid(), signal.SIGKILL)
        values = scan.values.astype(np.float32)
        return HarmonizedScan(values, "HU", lambda: values, "itself")


def harmonize(tmp_path, names, jobs):
    scans = {Path(name): write(tmp_path / "in" / name, np.full((3, 16, 16), 7, np.int16)) for name in names}
    return {
        outcome.target.name: outcome
        for outcome in harmonize_scans(scans, tmp_path / "out", Misbehaving(), OutputOptions(figures=False), jobs)
    }


@pytest.mark.parametrize("jobs", [1, 2])
def test_any_error_of_one_scan_leaves_the_others_alone(tmp_path, jobs):
    outcomes = harmonize(tmp_path, ["a.nrrd", "error.nrrd", "b.nrrd"], jobs)
    assert {name: outcome.state for name, outcome in outcomes.items()} == {
        "a.nrrd": State.DONE,
        "error.nrrd": State.FAILED,
        "b.nrrd": State.DONE,
    }
    assert read_manifest(tmp_path / "out").failed["error.nrrd"].startswith("KeyError")


def test_a_killed_worker_costs_its_own_scan(tmp_path):
    names = ["a.nrrd", "killed1.nrrd", "b.nrrd", "c.nrrd", "killed2.nrrd", "d.nrrd"]
    outcomes = harmonize(tmp_path, names, 2)
    failed = {name for name, outcome in outcomes.items() if outcome.state is State.FAILED}
    assert failed == {"killed1.nrrd", "killed2.nrrd"}
    assert set(outcomes) == set(names)
    assert set(read_manifest(tmp_path / "out").failed) == failed
    for name in set(names) - failed:
        assert (read(tmp_path / "out" / name) == 7).all()


@pytest.fixture
def many(tmp_path):
    rng = np.random.default_rng(0)
    for number in range(12):
        write(tmp_path / f"scans/{number:02d}.nrrd", rng.normal(0, 60, (8, 64, 64)).astype(np.int16))
    succeed("fit", tmp_path / "scans/00.nrrd", "--out", tmp_path / "ref.npz")
    return tmp_path


def command(folder, jobs=2):
    return ["apply", folder / "scans", "--reference", folder / "ref.npz", "--out", folder / "out", "--jobs", jobs]


def children(pid: int) -> set[int]:
    """Processes whose parent is ``pid``."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text().rsplit(")", 1)[1].split()[1]) == pid:
                found.add(int(stat.parent.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(condition, what):
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
def test_a_killed_command_leaves_no_worker_and_is_taken_up_again(many):
    out = many / "out"
    arguments = [sys.executable, "-m", "ssimh", *map(str, command(many))]
    parent = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: list(out.glob("*.nrrd")), "no scan was harmonized")
        second = ssimh(*command(many))
        assert second.exit_code == 1
        assert str(parent.pid) in second.output
        workers = children(parent.pid)
        assert len(workers) >= 2
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    wait_until(lambda: not any(map(is_alive, workers)), "a worker outlives its parent")
    finished = set(read_manifest(out).scans)
    assert len(finished) < 12, "the command ended before it could be killed"
    (out / ".writing-abcdefgh.nrrd").write_text("the half of a file")

    succeed(*command(many, jobs=1))
    manifest = read_manifest(out)
    names = {f"{number:02d}.nrrd" for number in range(12)}
    assert set(manifest.scans) == names
    assert not manifest.pending
    assert set(snapshot(out)) == {"manifest.json", *names, *(f"{name}.png" for name in names)}


def test_a_folder_has_one_writer(tmp_path):
    scans = {Path("a.nrrd"): write(tmp_path / "a.nrrd", np.zeros((3, 16, 16), np.int16))}
    first = harmonize_scans(scans, tmp_path / "out", Misbehaving(), OutputOptions(figures=False))
    next(first)
    with pytest.raises(LockedError) as caught:
        next(harmonize_scans(scans, tmp_path / "out", Misbehaving(), OutputOptions(figures=False)))
    assert str(os.getpid()) in str(caught.value)
    first.close()
    assert not (tmp_path / "out" / LOCK).exists()
    assert [
        outcome.state
        for outcome in harmonize_scans(scans, tmp_path / "out", Misbehaving(), OutputOptions(figures=False))
    ] == [State.KEPT]
