"""One function over many cases: in processes on this machine, as a share of a job array, or on a Dask cluster."""

from __future__ import annotations

import errno
import os
import re
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import joblib

from hnseg.errors import CaseError, HnsegError
from hnseg.progress import ProgressCallback, no_progress
from ssimh.processes import end_with_parent

Item = TypeVar("Item")
Result = TypeVar("Result")
GB = 1e9  # bytes; every size that a person reads or gives is in this unit
# A full or read-only disk is not the case's fault, and every case would meet it.
MACHINE_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG}


@dataclass(frozen=True)
class ParallelConfig:
    """Where work runs.

    Attributes:
        jobs: Processes on this machine.
        shard: This call's share of the items, from 1, and the number of shares: (2, 8) takes the 2nd, 10th, 18th, ….
        dask: Address of a Dask scheduler (``tcp://host:8786``); its workers see the same files under the same paths.
        memory_gb: Memory for the processes on this machine together, in 10⁹ bytes; fewer of them run where items need
            more. None: no bound. It does not apply to a Dask cluster.
    """

    jobs: int = 1
    shard: tuple[int, int] = (1, 1)
    dask: str | None = None
    memory_gb: float | None = None

    def __post_init__(self) -> None:
        number, count = self.shard
        if not 1 <= number <= count:
            raise HnsegError(f"shard {number}/{count}: the first number must lie between 1 and the second")
        if self.jobs < 1:
            raise HnsegError(f"{self.jobs} jobs: at least 1 is needed")
        if self.memory_gb is not None and self.memory_gb <= 0:
            raise HnsegError(f"a memory budget of {self.memory_gb:g} GB: it must be above 0")

    def shard_items(self, items: Sequence[Item]) -> list[Item]:
        """The items of this call's share."""
        number, count = self.shard
        return list(items[number - 1 :: count])

    def memory_batches(self, need_bytes: Sequence[int]) -> list[tuple[int, list[int]]]:
        """Items that run together, and in how many processes, so that they fit the budget.

        Args:
            need_bytes: Memory of each item.

        Returns:
            Pairs of jobs and numbers of items: first the items of which ``jobs`` fit at once, then larger ones with
            fewer processes. An item that exceeds the budget runs alone.
        """
        everything = list(range(len(need_bytes)))
        if self.memory_gb is None:
            return [(self.jobs, everything)]
        budget = self.memory_gb * GB
        together = {n: max(1, min(self.jobs, int(budget // max(1, need_bytes[n])))) for n in everything}
        counts = sorted(set(together.values()), reverse=True)
        return [(count, [n for n in everything if together[n] == count]) for count in counts]


def parse_shard(text: str) -> tuple[int, int]:
    """``"2/8"`` → (2, 8).

    Raises:
        HnsegError: Not two whole numbers.
    """
    found = re.fullmatch(r"(\d+)/(\d+)", text.strip())
    if not found:
        raise HnsegError(f"shard {text!r}: give the share and their number, as in 2/8")
    return int(found[1]), int(found[2])


@dataclass(frozen=True)
class _Attempt(Generic[Item]):
    """Calls the function with one item and returns its error, so that the others continue."""

    function: Callable[[Item], object]
    case_id: Callable[[Item], str]

    def __call__(self, numbered: tuple[int, Item]) -> tuple[int, CaseError | None]:
        number, item = numbered
        try:
            self.function(item)
        except CaseError as error:
            return number, error
        except MemoryError:
            reason = "it needs more memory than there is; run fewer --jobs, or state --memory-gb"
            return number, CaseError(self.case_id(item), reason)
        except OSError as error:
            if error.errno in MACHINE_ERRORS:
                raise
            return number, _defect(self.case_id(item), error)
        except Exception as error:  # noqa: BLE001 - recorded, and the other cases continue
            return number, _defect(self.case_id(item), error)
        return number, None


def _defect(case_id: str, error: Exception) -> CaseError:
    """An unexpected error, with the line that raised it."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno}"
    return CaseError(case_id, f"not foreseen, please report it: {type(error).__name__}: {error} ({place})")


def map_processes(
    function: Callable[[Item], Result], items: Iterable[Item], jobs: int, *, ordered: bool = True
) -> Iterator[Result]:
    """Call a function for each item in ``jobs`` processes, which end when this one does.

    Args:
        function: It is sent to other processes, unless ``jobs`` is 1: pass no large arrays with it.
        items: The items.
        jobs: Processes; 1: one item after the other in this process.
        ordered: Yield results in the order of the items; else as they are done.
    """
    if jobs == 1:
        yield from map(function, items)
        return
    pool = joblib.Parallel(
        n_jobs=jobs,
        return_as="generator" if ordered else "generator_unordered",
        initializer=end_with_parent,
        initargs=(os.getpid(),),
    )
    yield from pool(joblib.delayed(function)(item) for item in items)


def run_cases(
    function: Callable[[Item], object],
    items: Sequence[Item],
    *,
    case_id: Callable[[Item], str] = str,
    parallel: ParallelConfig | None = None,
    need_bytes: Callable[[Item], int] | None = None,
    progress: ProgressCallback = no_progress,
) -> list[CaseError]:
    """Call a function for each item; an error of one does not stop the others.

    Args:
        function: Takes an item; its result is dropped. It is sent to other processes: pass no large arrays with it.
        items: The items.
        case_id: Name of an item.
        parallel: Where to run; None: one item after the other in this process.
        need_bytes: Memory that an item needs; called only where there is a budget.
        progress: Called as items are done, in any order.

    Returns:
        The errors, in the order of the items.

    Raises:
        HnsegError: No scheduler at the address, or ``distributed`` is not installed.
        OSError: The disk is full or read-only.
    """
    parallel = parallel or ParallelConfig()
    mine = parallel.shard_items(items)
    attempt = _Attempt(function, case_id)
    if parallel.dask is not None:
        results = _on_dask(attempt, mine, parallel.dask)
    else:
        bounded = parallel.memory_gb is not None and need_bytes is not None
        needs = [need_bytes(item) if bounded and need_bytes else 0 for item in mine]
        results = _run_local(attempt, mine, parallel.memory_batches(needs))
    failures: dict[int, CaseError] = {}
    for done, (number, failure) in enumerate(results, start=1):
        if failure is not None:
            failures[number] = failure
        progress(done, len(mine), case_id(mine[number]))
    return [failures[number] for number in sorted(failures)]


def _run_local(
    attempt: _Attempt[Item], items: list[Item], waves: list[tuple[int, list[int]]]
) -> Iterator[tuple[int, CaseError | None]]:
    for jobs, numbers in waves:
        yield from map_processes(attempt, [(number, items[number]) for number in numbers], jobs, ordered=False)


def _on_dask(attempt: _Attempt[Item], items: list[Item], address: str) -> Iterator[tuple[int, CaseError | None]]:
    try:
        import distributed
    except ModuleNotFoundError as error:
        raise HnsegError("--dask needs the package distributed: pip install 'ssimh[dask]'") from error
    try:
        client = distributed.Client(address, timeout="20s", set_as_default=False)
    except (OSError, ValueError) as error:
        raise HnsegError(f"no Dask scheduler answers at {address}: {error}") from error
    with client:
        futures = client.map(attempt, list(enumerate(items)), pure=False, batch_size=1000)
        numbers = {future.key: number for number, future in enumerate(futures)}
        for future in distributed.as_completed(futures, loop=client.loop):
            number = numbers[future.key]
            try:
                yield future.result()
            except distributed.KilledWorker:
                reason = "the Dask workers that took it died one after the other, perhaps for lack of memory"
                yield number, CaseError(attempt.case_id(items[number]), reason)
            future.release()
