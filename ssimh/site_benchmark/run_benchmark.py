"""The benchmark of sites: every scan is measured, aligned without itself, and measured again."""

from __future__ import annotations

import importlib.metadata
import json
import multiprocessing
import os
import platform
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from ssimh._version import __version__
from ssimh.files.atomic import atomic_write
from ssimh.files.lock import hold_lock
from ssimh.files.output_guard import OutputError, check_output
from ssimh.processes import end_with_parent
from ssimh.site.site_spectrum import SiteSpectrum
from ssimh.site.subjects import MODALITIES
from ssimh.site_benchmark.features import PARTS, extract_features
from ssimh.site_benchmark.leave_one_out import Step, choose_targets, group_rows, plan_steps
from ssimh.site_benchmark.measure import AlignedScan, FailedScan, MeasuredScan, align_scan, measure_scan
from ssimh.site_benchmark.nearest_site import SHUFFLES, classify
from ssimh.site_benchmark.numbers import number_pairs, number_scan
from ssimh.site_benchmark.page import PAGE_START, format_page
from ssimh.site_benchmark.records import FORMAT, VERSION, BenchmarkResult, PartResult, ScanResult
from ssimh.site_benchmark.site_folders import FEWEST_SITES, BenchmarkError, SiteScan, find_site_scans

PAGE_NAME, JSON_NAME, LOCK = "benchmark.html", "benchmark.json", ".ssimh.lock"
Progress = Callable[[int, int, str], None]
_THICK_RATIO = 2.0  # voxel sizes of two scans that differ by more than this are noted
_PACKAGES = ("numpy", "scipy", "SimpleITK", "matplotlib")
_Task = TypeVar("_Task")
_Result = TypeVar("_Result")


def run_benchmark(
    folder: Path,
    out: Path,
    *,
    modality: str = "CT",
    jobs: int = 1,
    progress: Progress = lambda done, total, what: None,
) -> BenchmarkResult:
    """Compare sites before and after alignment, and write ``benchmark.html`` and ``benchmark.json``.

    Each scan is aligned by the estimate of its own site without it. A second run measures what is missing or changed.

    Args:
        folder: holds one folder of scans for each site.
        out: folder to write, apart from ``folder``.
        modality: ``"CT"`` (field and grain) or ``"PT"`` (resolution).
        jobs: number of processes; changes the time, not the results.
        progress: called after each scan with its number, how many there are, and what was done.

    Raises:
        BenchmarkError: fewer than two sites can be measured, or no site has two scans; an unknown modality.
        OutputError: ``out`` holds something else, or lies in ``folder``.
        LockedError: another run writes into ``out``.
    """
    if modality not in MODALITIES:
        raise BenchmarkError(f"modality must be one of {', '.join(MODALITIES)}; given {modality!r}.")
    scans = find_site_scans(folder, out)
    _check_out(folder, out, modality)
    out.mkdir(parents=True, exist_ok=True)
    with hold_lock(out / LOCK, "ssimh benchmark"):
        _write_json(out, {"folder": str(folder), "modality": modality, "finished": False})
        result, sites = _compare(folder, out, scans, modality, jobs, progress)
        content = {"folder": str(folder), "modality": modality, "finished": True}
        described = asdict(result)
        described.pop("pictures")
        _write_json(out, {**content, **described})
        with atomic_write(out / PAGE_NAME) as temporary:
            temporary.write_text(format_page(result, *sites), encoding="utf-8")
    return result


Sites = dict[str, SiteSpectrum]


def _compare(
    folder: Path, out: Path, scans: Sequence[SiteScan], modality: str, jobs: int, progress: Progress
) -> tuple[BenchmarkResult, tuple[Sites, Sites]]:
    measure = partial(measure_scan, modality=modality, out=out)
    outcomes: list[MeasuredScan | FailedScan] = []
    for outcome in _map(measure, scans, jobs):
        outcomes.append(outcome)
        progress(len(outcomes), 2 * len(scans), f"measured {outcome.scan.key}")
    failed = {outcome.scan.key: outcome.message for outcome in outcomes if isinstance(outcome, FailedScan)}
    known = [outcome for outcome in outcomes if isinstance(outcome, MeasuredScan)]
    names = [measured.scan.site for measured in known]
    _check_sites(names, failed)
    rows = [measured.row for measured in known]
    targets = choose_targets(group_rows(rows, names))
    plans = [plan_steps(number, rows, names, targets) for number in range(len(known))]
    after, pictures = list(rows), dict[str, str]()
    todo = [number for number, steps in enumerate(plans) if steps]
    first = {site: next((n for n in todo if names[n] == site), None) for site in set(names)}
    tasks = [(known[n].scan, plans[n], first[names[n]] == n) for n in todo]
    results = _map(partial(_align, modality=modality, out=out), tasks, jobs)
    for done, (number, aligned) in enumerate(zip(todo, results, strict=True), start=1):
        progress(len(scans) + done, len(scans) + len(todo), f"aligned {known[number].scan.key}")
        if isinstance(aligned, FailedScan):
            failed[aligned.scan.key] = f"not aligned: {aligned.message}"
            continue
        after[number] = aligned.row
        if aligned.picture is not None:
            pictures[known[number].scan.key] = aligned.picture
    sites = group_rows(rows, names), group_rows(after, names)
    result = BenchmarkResult(
        folder=str(folder),
        modality=modality,
        settings={"modality": modality, "targets": targets, "shuffles": SHUFFLES},
        versions=_versions(),
        scans=tuple(_describe(*three) for three in zip(known, after, plans, strict=True)),
        failed=failed,
        parts=tuple(_judge(part, rows, after, names, targets) for part in PARTS[modality]),
        pairs=tuple(number_pairs(*sites)),
        pictures=pictures,
        notes=tuple(_notes(known, names)),
    )
    return result, sites


def _align(task: tuple[SiteScan, list[Step], bool], modality: str, out: Path) -> AlignedScan | FailedScan:
    scan, steps, with_picture = task
    return align_scan(scan, steps, modality, out, with_picture)


def _map(work: Callable[[_Task], _Result], tasks: Sequence[_Task], jobs: int) -> Iterator[_Result]:
    """Results in the order of the tasks, in this process or in several."""
    if jobs <= 1 or len(tasks) <= 1:
        yield from map(work, tasks)
        return
    # Fresh interpreters: a fork of a process with threads of ITK's can hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(jobs, len(tasks)), context, end_with_parent, (os.getpid(),)) as pool:
        try:
            yield from pool.map(work, tasks)
        except BrokenProcessPool as error:
            raise BenchmarkError(
                "a worker process was killed; out of memory? What was measured is kept: run again, with fewer jobs."
            ) from error


def _check_sites(names: Sequence[str], failed: dict[str, str]) -> None:
    """Refuse what leaves nothing to compare.

    Raises:
        BenchmarkError: names the first scan that could not be used.
    """
    sizes = {site: names.count(site) for site in sorted(set(names))}
    reason = "".join(f" First failure: {key}: {message}" for key, message in list(failed.items())[:1])
    if len(sizes) < FEWEST_SITES:
        left = ", ".join(sizes) or "none"
        raise BenchmarkError(f"{len(sizes)} site(s) with a scan that can be measured ({left}); two are needed.{reason}")
    if max(sizes.values()) < 2:
        raise BenchmarkError(f"every site has one scan; a site of two or more is needed to leave one out.{reason}")


def _describe(measured: MeasuredScan, after: SiteSpectrum, steps: Sequence[Step]) -> ScanResult:
    scan = measured.scan
    return ScanResult(
        scan.site,
        scan.name,
        str(scan.path),
        measured.sha256,
        measured.shape,
        measured.spacing_mm,
        measured.unit,
        number_scan(measured.row),
        number_scan(after),
        bool(steps),
    )


def _judge(
    part: str,
    rows: Sequence[SiteSpectrum],
    after: Sequence[SiteSpectrum],
    names: Sequence[str],
    targets: dict[str, str],
) -> PartResult:
    before, now = (classify(extract_features(part, each), names) for each in (rows, after))
    return PartResult(part, targets.get(part), before, now)


def _notes(known: Sequence[MeasuredScan], names: Sequence[str]) -> Iterator[str]:
    """What a reader has to know of the scans."""
    for site in sorted(set(names)):
        if names.count(site) == 1:
            yield f"{site} has one scan, which cannot be left out of its site: it is neither aligned nor judged."
    steps = np.array([measured.spacing_mm for measured in known])
    for axis, direction in enumerate(("z", "y", "x")):
        low, high = steps[:, axis].min(), steps[:, axis].max()
        if high > _THICK_RATIO * low:
            yield (
                f"Voxel sizes along {direction} lie between {low:g} and {high:g} mm. Frequencies that the larger "
                "voxels do not carry are left out of all scans."
            )
    plain = [measured.scan.key for measured in known if measured.spacing_mm == (1.0, 1.0, 1.0)]
    if 0 < len(plain) < len(known):
        yield f"{len(plain)} scan(s) state voxels of 1 × 1 × 1 mm, as a file without voxel sizes does: {plain[0]}."
    unstated = [measured.scan.key for measured in known if measured.unit is None]
    if unstated:
        yield f"{len(unstated)} file(s) state no unit; HU (CT) or SUV (PET) is assumed: {unstated[0]}."


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "ssimh": __version__}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "absent"
    return found


def _check_out(folder: Path, out: Path, modality: str) -> None:
    """Refuse a folder that holds something else than an earlier run on the same sites.

    Raises:
        OutputError: says what it holds.
    """
    if not out.exists():
        return
    if not out.is_dir():
        raise OutputError(f"{out} is a file; the output must be a folder.")
    check_output(out / PAGE_NAME, is_ours=lambda path: _begins_with(path, PAGE_START))
    if not any(path.name != LOCK for path in out.iterdir()):
        return
    try:
        known = json.loads((out / JSON_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        known = None
    if not isinstance(known, dict) or known.get("format") != FORMAT:
        raise OutputError(f"{out} is not empty and was not written by `ssimh benchmark`; choose another output folder.")
    wanted = {"version": VERSION, "folder": str(folder), "modality": modality}
    differing = [f"{name} {known.get(name)!r}" for name, value in wanted.items() if known.get(name) != value]
    if differing:
        raise OutputError(
            f"{out} holds a benchmark of another kind ({', '.join(differing)}); choose another output folder."
        )


def _begins_with(path: Path, text: str) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(text.encode())) == text.encode()


def _write_json(out: Path, content: dict[str, object]) -> None:
    with atomic_write(out / JSON_NAME) as temporary:
        text = json.dumps({"format": FORMAT, "version": VERSION, **content}, indent=1, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")
