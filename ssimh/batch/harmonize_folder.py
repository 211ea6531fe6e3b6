"""Whole folders: harmonize many scans into one folder, with a manifest that allows to resume.

An output folder holds the results of one method, one reference and one set of settings. A second run keeps what is up
to date and makes again what is not; nothing is overwritten that an earlier run did not write, and a scan that fails
leaves no older output behind.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ssimh.batch.harmonize_scan import FileHarmonizer, Job, OutputOptions, Task, figure_path, make_job
from ssimh.batch.manifest import (
    MANIFEST,
    Manifest,
    ScanRecord,
    has_manifest,
    is_recorded,
    list_input_files,
    read_manifest,
)
from ssimh.batch.scan_pool import harmonize_all
from ssimh.files.artifact_cache import find_differences
from ssimh.files.atomic import remove_leftovers
from ssimh.files.lock import hold_lock
from ssimh.files.output_guard import OutputError, check_output, is_within
from ssimh.images.scan import ScanError, find_scans

LOCK = ".ssimh.lock"


class State(StrEnum):
    """What became of a scan."""

    DONE = "done"
    KEPT = "kept"
    FAILED = "failed"


@dataclass(frozen=True)
class ScanOutcome:
    """One scan of a run.

    Attributes:
        target: output relative to the output folder.
        state: done, kept from an earlier run, or failed.
        message: why it failed, or why an output has no figure; else empty.
    """

    target: Path
    state: State
    message: str = ""


def find_inputs(inputs: Sequence[Path], folder: Path) -> dict[Path, Path]:
    """Scans to harmonize into ``folder``: output path relative to it → input.

    Args:
        inputs: scan files, DICOM folders, or folders that are searched.
        folder: output folder; need not exist.

    Raises:
        FileNotFoundError: an input that does not exist.
        OutputError: an input and the output folder lie within each other.
        ScanError: a folder without a scan, or with results of an earlier run below it; two inputs with one output.
    """
    for given in inputs:
        if given.is_dir() and is_within(folder, given):
            raise OutputError(f"the output folder {folder} lies inside the input folder {given}; choose another one.")
        for found in sorted(given.rglob(MANIFEST)) if given.is_dir() else ():
            if found.parent != given and has_manifest(found.parent):
                raise ScanError(
                    f"{found.parent} holds results of an earlier run; name the scans beside it, or move it elsewhere."
                )
    scans = find_scans(inputs)
    spellings: dict[str, Path] = {}
    for target, source in scans.items():
        if is_within(source, folder):
            raise OutputError(f"{source} lies inside the output folder {folder}; choose another one.")
        other = spellings.setdefault(target.as_posix().casefold(), source)
        if other is not source:
            raise ScanError(f"{other} and {source} have one output where case does not count; apply them separately.")
    return scans


def harmonize_scans(
    scans: Mapping[Path, Path],
    folder: Path,
    harmonizer: FileHarmonizer,
    options: OutputOptions,
    jobs: int = 1,
) -> Iterator[ScanOutcome]:
    """Harmonize all scans; yields the outcome of each as it ends.

    One scan that fails does not stop the others: its error is in the manifest and in its outcome.

    Args:
        scans: output path relative to ``folder`` → input, as :func:`find_inputs` gives it.
        folder: output folder; made if needed.
        harmonizer: what is done to each scan.
        options: how results are written.
        jobs: number of processes.

    Raises:
        LockedError: another run writes into the folder.
        ManifestError: the folder's manifest is damaged or of another program or version.
        OutputError: a file that would be overwritten was not written by an earlier run, or was changed since; or
            results of other settings would stay among the new ones.
        ScanError, FileNotFoundError: the reference image cannot be read.
    """
    job = make_job(harmonizer, options, jobs)
    folder.mkdir(parents=True, exist_ok=True)
    with hold_lock(folder / LOCK, f"ssimh {job.recipe.method}"):
        manifest = read_manifest(folder) if (folder / MANIFEST).exists() else Manifest(job.recipe)
        tasks = {name.as_posix(): _make_task(source, folder / name, harmonizer) for name, source in scans.items()}
        _refuse_overwriting(folder, manifest, tasks)
        _refuse_leftovers(folder, manifest, job, tasks)
        _remove_unfinished(folder, manifest)
        manifest.recipe = job.recipe
        kept = [name for name, task in tasks.items() if _is_current(manifest.scans.get(name), job, task)]
        for name in kept:
            tasks.pop(name)
            manifest.failed.pop(name, None)
            yield ScanOutcome(Path(name), State.KEPT)
        manifest.pending.update(tasks)
        for name in tasks:
            manifest.scans.pop(name, None)
            manifest.failed.pop(name, None)
        manifest.save(folder)
        yield from _make(folder, manifest, job, tasks, jobs)


def _make_task(source: Path, target: Path, harmonizer: FileHarmonizer) -> Task:
    mask = harmonizer.find_mask(source)
    try:
        masks = {} if mask is None else {f"mask/{name}": file for name, file in list_input_files(mask).items()}
        return Task(source, target, {**list_input_files(source), **masks})
    except OSError:
        return Task(source, target, {})  # reading it fails as well, and then only for this scan


def _make(folder: Path, manifest: Manifest, job: Job, tasks: dict[str, Task], jobs: int) -> Iterator[ScanOutcome]:
    for task, outcome in harmonize_all(job, list(tasks.values()), jobs):
        name = task.target.relative_to(folder).as_posix()
        if isinstance(outcome, ScanRecord):
            manifest.scans[name] = outcome
            result = ScanOutcome(Path(name), State.DONE, outcome.figure_error or "")
            stale = [figure_path(task.target)] if outcome.figure is None else []
        else:
            manifest.failed[name] = f"{outcome.kind}: {outcome.message}"
            result = ScanOutcome(Path(name), State.FAILED, outcome.message)
            stale = [task.target, figure_path(task.target)]
        for path in stale:  # of an earlier run, or of one that was killed
            path.unlink(missing_ok=True)
        manifest.pending.discard(name)
        manifest.save(folder)
        yield result


def _is_current(record: ScanRecord | None, job: Job, task: Task) -> bool:
    """Whether all files of an output are there and were made from the same input in the same way."""
    if record is None or (job.options.figures and record.figure is None):
        return False
    try:
        if find_differences(record.made_from, {"input": task.files, "recipe": job.recipe.key()}):
            return False
    except OSError:  # an input that cannot be read; its turn says why
        return False
    return all(task.target.with_name(name).is_file() for name in record.outputs)


def _refuse_overwriting(folder: Path, manifest: Manifest, tasks: Mapping[str, Task]) -> None:
    """Every existing file at the place of an output must be the one that an earlier run wrote there.

    Raises:
        OutputError: it is not, or it is the input itself.
    """
    for name, task in tasks.items():
        record = manifest.scans.get(name)
        if record is not None and not is_recorded(folder, name, record):
            raise OutputError(
                f"{task.target} or its figure is not what an earlier run wrote: damaged, or edited since. Remove it to "
                "have it made again, or choose another output folder."
            )
        known = set() if record is None else {task.target.with_name(file) for file in record.outputs}
        if name in manifest.pending:
            known = {task.target, figure_path(task.target)}
        for path in (task.target, figure_path(task.target)):
            check_output(path, inputs=[task.source], is_ours=known.__contains__)


def _refuse_leftovers(folder: Path, manifest: Manifest, job: Job, tasks: Mapping[str, Task]) -> None:
    """Outputs that this run does not make must have been made in the same way.

    Raises:
        OutputError: some were not.
    """
    parts: set[str] = set()
    left = []
    for name, record in manifest.scans.items():
        differences = find_differences(record.made_from.get("recipe"), job.recipe.key())
        if name not in tasks and differences:
            left.append(name)
            parts.update(differences)
    if left:
        raise OutputError(
            f"{folder} holds {len(left)} result(s) that were made in another way ({', '.join(sorted(parts))}) and "
            f"are not made again now: {', '.join(sorted(left)[:5])}{' …' if len(left) > 5 else ''}. Name their scans "
            "too, or choose another output folder."
        )


def _remove_unfinished(folder: Path, manifest: Manifest) -> None:
    """Remove what a killed run had begun to write, and outputs of it that this run may not name."""
    for name in manifest.pending:
        remove_leftovers((folder / name).parent)
        for path in (folder / name, figure_path(folder / name)):
            path.unlink(missing_ok=True)
    manifest.pending.clear()
