"""Many cases: processes with a memory budget, shares of an array, a Dask cluster, processes killed at any moment."""

from __future__ import annotations

import errno
import functools
import json
import os
import re
import shutil
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import zarr
from typer.testing import CliRunner

import hnseg
from hnseg.cli.commands import app
from hnseg.cohort.cases import discover_cases
from hnseg.cohort.checked_cohort import load_check
from hnseg.errors import CaseError, HnsegError, InUseError
from hnseg.locks import hold
from hnseg.parallel import ParallelConfig, parse_shard, run_cases
from hnseg.preprocessing.crop_case import memory_need
from hnseg.preprocessing.prepare_cohort import prepare_cohort
from hnseg.preprocessing.prepared_case import open_case, write_case
from hnseg.settings.prepare import PrepareConfig
from tests.hnseg.processes import descendants, end_and_check, fork, run_command, start

PACKAGE = Path(hnseg.__file__).parent
STARTS_PROCESSES = re.compile(r"joblib\.Parallel|ProcessPoolExecutor\(|DataLoader\(|\.Process\(|\bPool\(")

FOREVER = """
import pathlib, sys, time

def work(folder):
    (pathlib.Path(folder) / "begun").touch()
    while True:
        time.sleep(0.1)

"""
ENDLESS = f"""{FOREVER}
from hnseg.parallel import map_processes
if __name__ == "__main__":
    list(map_processes(work, [sys.argv[1]], 3))
"""
LOCAL_DASK = f"""{FOREVER}
import distributed
from hnseg.parallel import ParallelConfig, run_cases
if __name__ == "__main__":
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        run_cases(work, [sys.argv[1]], parallel=ParallelConfig(dask=cluster.scheduler_address))
"""


def write_square(folder: Path, number: int) -> None:
    """A task that leaves a trace: its square and its process."""
    time.sleep(0.1)  # so that two workers share the items
    if number == 3:
        raise CaseError("three", "is odd", None)
    if number == 5:
        raise KeyError("five")
    (folder / f"{number}.txt").write_text(f"{number * number} {os.getpid()}")


def fail_like_a_full_disk(number: int) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def fail_for_memory(number: int) -> None:
    raise MemoryError


@pytest.mark.parametrize("jobs", [1, 2])
def test_one_bad_item_does_not_stop_the_others(tmp_path, jobs):
    seen = []
    failures = run_cases(
        functools.partial(write_square, tmp_path),
        range(8),
        parallel=ParallelConfig(jobs),
        progress=lambda done, total, what: seen.append((done, total, what)),
    )
    assert sorted(int(path.stem) for path in tmp_path.iterdir()) == [0, 1, 2, 4, 6, 7]
    assert str(failures[0]) == "three: is odd"
    assert failures[1].reason.startswith("not foreseen, please report it: KeyError: 'five' (")
    assert [(done, total) for done, total, _ in seen] == [(n, 8) for n in range(1, 9)]
    assert sorted(what for *_, what in seen) == [str(n) for n in range(8)]


def test_a_full_disk_stops_at_once_and_lack_of_memory_is_reported():
    with pytest.raises(OSError, match=str(errno.ENOSPC)) as caught:
        run_cases(fail_like_a_full_disk, range(3))
    assert caught.value.errno == errno.ENOSPC
    (failure,) = run_cases(fail_for_memory, ["big"])
    assert failure.case_id == "big"
    assert "--memory-gb" in failure.reason


def test_shares_are_disjoint_and_complete(tmp_path):
    items = list(range(11))
    shares = [ParallelConfig(shard=(number, 4)).shard_items(items) for number in range(1, 5)]
    assert sorted(item for share in shares for item in share) == items
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    assert parse_shard("2/8") == (2, 8)
    run_cases(functools.partial(write_square, tmp_path), [0, 1, 2], parallel=ParallelConfig(shard=(2, 3)))
    assert [path.name for path in tmp_path.iterdir()] == ["1.txt"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("2", "'2'"),
        ("a/b", "'a/b'"),
        ("0/4", "0/4"),
        ("5/4", "5/4"),
    ],
)
def test_a_wrong_shard_is_refused(wrong, message):
    with pytest.raises(HnsegError, match=message):
        ParallelConfig(shard=parse_shard(wrong))


def test_other_senseless_settings_are_refused():
    with pytest.raises(HnsegError, match=r"\b0\b"):
        ParallelConfig(jobs=0)
    with pytest.raises(HnsegError, match=r"\b0\b"):
        ParallelConfig(memory_gb=0)


def test_a_budget_reduces_the_processes_where_items_are_large():
    """4 jobs and 8 GB: items of 1 GB run four at once, those of 3 GB two at once, one of 9 GB alone."""
    needs = [int(n * 1e9) for n in (1, 3, 9, 2, 3)]
    assert ParallelConfig(4, memory_gb=8).memory_batches(needs) == [(4, [0, 3]), (2, [1, 4]), (1, [2])]
    assert ParallelConfig(4).memory_batches(needs) == [(4, [0, 1, 2, 3, 4])]


def test_the_need_is_read_from_headers(make_case):
    (case,) = discover_cases(make_case())
    voxels = 200 * 200 * 310
    need = memory_need(case, PrepareConfig())
    assert need > memory_need(case, PrepareConfig(spacing_mm=4.0)) > 4e8
    assert need - memory_need(case, PrepareConfig(spacing_mm=2.0)) == pytest.approx(8 * 4 * voxels * 7 / 8)


@pytest.fixture(scope="module")
def cluster():
    """A Dask scheduler with two worker processes on this machine."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, protocol="tcp", host="127.0.0.1"
    ) as local:
        yield local


@pytest.mark.filterwarnings("default")  # Dask's own, of whatever it imports
def test_a_dask_cluster_does_the_same(cluster, tmp_path):
    address = cluster.scheduler_address
    failures = run_cases(functools.partial(write_square, tmp_path), range(8), parallel=ParallelConfig(dask=address))
    assert [failure.case_id for failure in failures] == ["three", "5"]
    pids = {path.read_text().split()[1] for path in tmp_path.iterdir()}
    assert str(os.getpid()) not in pids
    assert len(pids) == 2


@pytest.mark.filterwarnings("default")
def test_a_cohort_is_prepared_on_a_dask_cluster_as_here(cluster, run):
    before = {path.parent.name: zarr.open_group(path)["image"][:] for path in (run / "prepared").glob("*/data.zarr")}
    for case_id in list(before)[:3]:
        shutil.rmtree(run / "prepared" / case_id)
    assert prepare_cohort(run, parallel=ParallelConfig(dask=cluster.scheduler_address)) == []
    for case_id, image in before.items():
        np.testing.assert_array_equal(open_case(run / "prepared" / case_id).image[:], image)


@pytest.mark.filterwarnings("default")
def test_without_a_scheduler_the_address_is_named():
    with pytest.raises(HnsegError, match="nonsense://"):
        run_cases(fail_for_memory, [1], parallel=ParallelConfig(dask="nonsense://127.0.0.1:1"))


def test_shards_on_the_command_line_complete_each_other(run):
    shutil.rmtree(run / "prepared")
    ids = {case.id for case in load_check(run).cases}
    for number in (1, 2):
        arguments = ["prepare", str(run), "--shard", f"{number}/2", "--memory-gb", "6", "--jobs", "2"]
        assert CliRunner().invoke(app, arguments).exit_code == 0
        done = {path.parent.name for path in (run / "prepared").glob("*/case.json")}
        assert len(done) == len(ids) * number // 2
    assert done == ids
    refused = CliRunner().invoke(app, ["prepare", str(run), "--shard", "3/2"])
    assert refused.exit_code == 1
    assert "3/2" in refused.output


@pytest.mark.slow
def test_nothing_half_written_survives_a_kill(run, no_pictures):
    """Killed while it writes, and while it continues: what is there is whole each time, and all of it in the end."""
    prepared = run / "prepared"
    shutil.rmtree(prepared)
    ids = {case.id for case in load_check(run).cases}
    for _ in range(2):
        process = fork(run_command, run.parent / "errors.txt", ["prepare", run])
        deadline = time.monotonic() + 60
        had = len(list(prepared.glob("*/case.json")))
        # In the middle of writing a case, after one more was finished.
        while time.monotonic() < deadline and process.is_alive():
            scratch = list(prepared.glob(".writing-*/new/data.zarr/image/c"))
            if scratch and len(list(prepared.glob("*/case.json"))) > had:
                break
            time.sleep(0.002)
        process.kill()
        process.join()
        for record in prepared.glob("*/case.json"):
            case = open_case(record.parent)
            assert case.image[:].shape == (2, 50, 32, 32)
            assert (record.parent / "qc.png").stat().st_size > 10_000
    whole = {path: path.stat().st_mtime_ns for path in prepared.glob("*/case.json")}
    assert 0 < len(whole) < len(ids)
    assert prepare_cohort(run) == []
    assert {path.parent.name for path in prepared.glob("*/case.json")} == ids
    assert {path: path.stat().st_mtime_ns for path in whole} == whole  # what was whole was not done again
    assert {path.name for path in prepared.iterdir()} == ids  # and nothing else is left


@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.soak)])
def test_workers_end_with_the_command(run, number):
    shutil.rmtree(run / "prepared")
    process = start(["-m", "hnseg", "prepare", run, "--jobs", "2"])
    text = end_and_check(process, lambda: any((run / "prepared").glob("*/case.json")), number)
    assert "Traceback" not in text


@pytest.mark.parametrize("verb", ["evaluate", pytest.param("predict", marks=pytest.mark.soak)])
def test_workers_end_as_soon_as_they_begin(trained_run, small_cohort, tmp_path, verb):
    work = tmp_path / "work"
    shutil.copytree(trained_run, work)
    arguments = [work, "--device", "cpu"]
    if verb == "evaluate":
        labels = [path for path in small_cohort.glob("Task 1/*/*.nii.gz") if "__" not in path.name]
        for path in labels:
            shutil.copy(path, tmp_path / path.name)
        arguments = [tmp_path, small_cohort, "--out", tmp_path / "metrics.json"]
    process = start(["-m", "hnseg", verb, *arguments, "--jobs", "2"])
    end_and_check(process, lambda: len(descendants(process.pid)) >= 3, signal.SIGKILL, least=3)
    assert not (tmp_path / "metrics.json").exists()


def test_no_other_module_starts_processes():
    """Their workers would not end with the command."""
    found = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if re.search(
            r"joblib\.Parallel|ProcessPoolExecutor\(|DataLoader\(|\.Process\(|\bPool\(", path.read_text("utf-8")
        )
    }
    assert found == {"parallel.py", "training/folds.py", "training/state.py"}


def test_workers_end_with_a_script_that_uses_them(tmp_path):
    """Also those that have nothing to do yet: one task, three workers."""
    script = tmp_path / "script.py"
    script.write_text(ENDLESS)
    end_and_check(start([script, tmp_path]), (tmp_path / "begun").is_file, signal.SIGKILL, least=3)


@pytest.mark.filterwarnings("default")
def test_workers_of_a_local_dask_cluster_end_with_its_script(tmp_path):
    pytest.importorskip("distributed")
    script = tmp_path / "script.py"
    script.write_text(LOCAL_DASK)
    end_and_check(start([script, tmp_path]), (tmp_path / "begun").is_file, signal.SIGKILL)


def test_a_case_written_again_replaces_the_old_one_whole(tmp_path):
    folder = tmp_path / "ONE-001"

    def draw(path: Path) -> None:
        path.write_bytes(b"picture")

    for number in (1, 2):
        write_case(folder, {"final": np.full((2, 4, 4, 4), number, np.float16)}, None, {"number": number}, draw)
        assert json.loads((folder / "case.json").read_text()) == {"number": number}
    assert float(zarr.open_group(folder / "data.zarr")["image"][0, 0, 0, 0]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["ONE-001"]


def test_two_writers_of_one_case_take_turns(tmp_path):
    """The first one's half-written files stay while it lives; what a dead one left goes, on any host."""
    folder = tmp_path / "ONE-001"
    (tmp_path / ".writing-ONE-001" / "new" / "data.zarr").mkdir(parents=True)  # of a dead process
    image = {"final": np.zeros((2, 4, 4, 4), np.float16)}
    second = threading.Thread(
        target=write_case, args=(folder, image, None, {"number": 2}, lambda path: path.write_bytes(b""))
    )

    def draw(path: Path) -> None:
        second.start()
        with pytest.raises(InUseError), hold(tmp_path, "ONE-001", "a third one"):
            pass
        path.write_bytes(b"picture")

    write_case(folder, image, None, {"number": 1}, draw)
    second.join(60)
    assert json.loads((folder / "case.json").read_text()) == {"number": 2}
    assert [path.name for path in tmp_path.iterdir()] == ["ONE-001"]


def test_a_damaged_record_is_prepared_again(run, no_pictures):
    record = next((run / "prepared").glob("*/case.json"))
    record.write_text('{"settings": ')
    assert prepare_cohort(run) == []
    assert open_case(record.parent).record.made_from["settings"]
