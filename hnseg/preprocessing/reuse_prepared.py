"""A run that begins from another one: the same data and folds, and every prepared case that is still right.

Nothing of the prepared cases is copied: the files of both runs are the same ones on disk (hard links). No stage changes
a file in place, each writes a new one and renames it, so neither run can change what the other one has.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hnseg.cohort.cases import Case, discover_cases
from hnseg.cohort.checked_cohort import CohortCheck, load_check
from hnseg.cohort.keep_folds import keep_folds
from hnseg.cohort.open_run import begin_run
from hnseg.cohort.reference import NO_CASE, choose_reference, resolve_reference
from hnseg.cohort.splits import load_split_cohort, load_splits, save_splits
from hnseg.errors import OptionError, WorkDirError, listed
from hnseg.locks import hold
from hnseg.outputs import is_inside
from hnseg.preprocessing.case_key import case_key
from hnseg.preprocessing.harmonizer_store import list_harmonizer_caches, load_harmonizer
from hnseg.preprocessing.prepare_case import preparation_key
from hnseg.preprocessing.prepare_cohort import is_current
from hnseg.preprocessing.prepared_case import RECORD, link_case
from hnseg.progress import ProgressCallback, no_progress
from hnseg.settings.config import Config
from hnseg.settings.config_file import CONFIG_FILE
from hnseg.settings.effects import find_changes, stages_reading
from hnseg.workdir import RUN_FILE, list_files, load_config, load_run_record, read_config, write_text
from ssimh.files.artifact_cache import ArtifactCache, find_differences, read_record
from ssimh.files.hard_link import is_linked, link_file
from ssimh.viewer.case_folder import viewer_folder

PREPARED = "prepared"
_NO_LINKS = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOTSUP}


@dataclass(frozen=True)
class SharedResults:
    """What a run has in common with the one that it was begun from.

    Attributes:
        data_root: The data of both.
        check: Whether ``check.json`` and ``check.html`` were taken over.
        split: Whether ``splits.json`` was taken over.
        prepared: Cases whose prepared files both runs share.
        cases: How many cases the other run can use.
    """

    data_root: Path
    check: bool
    split: bool
    prepared: tuple[str, ...]
    cases: int

    def __str__(self) -> str:
        return f"{len(self.prepared)} of {self.cases} prepared cases are shared"


def begin_run_from(
    source: Path, work: Path, config: Config, *, data_root: Path | None = None, progress: ProgressCallback = no_progress
) -> SharedResults:
    """Begin a run on the data of another one, and take over from it what its settings leave as it is.

    The check is taken over if no setting that it reads differs, the folds if neither ``seed`` nor ``split`` does (see
    :func:`hnseg.cohort.keep_folds.keep_folds`), then every prepared case as :func:`share_prepared` says. A second call
    with the same arguments continues where the first one stopped.

    Args:
        source: Work directory of the other run; nothing in it is changed.
        work: New work directory, on the same file system, or one that such a call has begun.
        config: Settings of the new run.
        data_root: Where the data are; None: as in ``source``.
        progress: Called after each prepared case.

    Raises:
        OptionError: ``work`` is ``source`` or lies in it, or ``data_root`` is not that of ``source``.
        WorkDirError: ``source`` holds no run of this version, its data have changed, ``work`` holds something else, or
            the two are on different file systems.
        CohortError: The data cannot be used, or the folds cannot be kept with the new reference subject.
    """
    if is_inside(work, source) or is_inside(source, work):
        raise OptionError(f"--from {source}: the new run {work} must be another folder, outside of it")
    root = _find_data(source, data_root)
    config = resolve_reference(config, {case.id for case in discover_cases(root)})
    _refuse_other_file_system(source, work)
    before = read_config(source)
    reading = {stage for name in find_changes(before, config) for stage in stages_reading(name)}
    is_checked, is_split = ((source / name).is_file() for name in ("check.json", "splits.json"))
    check = load_check(source) if is_checked else CohortCheck((), ())
    same_folds = is_checked and is_split and (before.seed, before.split) == (config.seed, config.split)
    reference = choose_reference(config.prepare, check, work) if same_folds else NO_CASE
    folds = keep_folds(load_splits(source), check.cases, reference) if same_folds else None
    _open_new(work, config, root)
    same_check = is_checked and "check" not in reading
    with hold(work, "run", "hnseg init"):
        if same_check and not (work / "check.json").is_file():
            _copy_check(source, work)
        if folds is not None and not (work / "splits.json").is_file():
            save_splits(folds, work)
    ready = all((work / name).is_file() for name in ("check.json", "splits.json"))
    shared = share_prepared(source, work, progress=progress) if ready else ()
    return SharedResults(root, same_check, folds is not None, shared, len(check.cases))


def share_prepared(source: Path, work: Path, *, progress: ProgressCallback = no_progress) -> tuple[str, ...]:
    """Let a run share every case that another run has prepared as this one would.

    Args:
        source: Work directory of the other run; nothing in it is changed.
        work: Work directory of this run, checked and split, on the same file system.
        progress: Called after each case.

    Returns:
        IDs of the cases that both runs share now, sorted.

    Raises:
        WorkDirError: ``work`` is not checked or split, the split does not fit the check, or the two are on different
            file systems.
        InUseError: Another process prepares the cases of ``work``.
    """
    cohort, config = load_split_cohort(work), load_config(work).prepare
    with hold(work, "prepare", "hnseg init"), explain_links(source, work):
        for own, theirs in zip(list_harmonizer_caches(work), list_harmonizer_caches(work, source), strict=True):
            if not own.is_current() and theirs.is_current():
                _link_result(theirs, own)
        try:
            preparation = preparation_key(config, load_harmonizer(work))
        except WorkDirError:  # fitted on something else: so is every prepared case
            return ()
        cases = [checked.as_case() for checked in cohort.cases.values()]
        shared = []
        for done, case in enumerate(cases, start=1):
            theirs_folder, own_folder = source / PREPARED / case.id, work / PREPARED / case.id
            if not is_current(case, own_folder, preparation) and is_current(case, theirs_folder, preparation):
                link_case(theirs_folder, own_folder)
            if is_linked(theirs_folder / RECORD, own_folder / RECORD) and is_current(case, own_folder, preparation):
                shared.append(case.id)
            progress(done, len(cases), case.id)
    return tuple(sorted(shared))


def _find_data(source: Path, data_root: Path | None) -> Path:
    """The data root of a run, if the files there are those that it was checked and prepared from."""
    if not (source / RUN_FILE).is_file():
        raise WorkDirError(f"--from {source}: no run there ({RUN_FILE} is missing)")
    root = load_run_record(source).data_root
    if not root:
        raise WorkDirError(f"--from {source}: an export, which has no data; name the run that it was made from")
    if data_root is not None and str(data_root.resolve()) != root:
        raise OptionError(f"--data {data_root}: the run in {source} is one of {root}; leave --data out, or --from")
    found = {case.id: case for case in discover_cases(Path(root))}
    if not (source / "check.json").is_file():
        return Path(root)
    check = load_check(source)
    checked = {case.id: case.as_case() for case in check.cases}
    known = {*checked, *(overview.id for overview in check.overviews)}
    changed = [*(known ^ found.keys() if check.overviews else known - found.keys())]
    changed += [case_id for case_id in checked.keys() & found.keys() if _has_changed(source, found[case_id])]
    if changed:
        raise WorkDirError(
            f"--from {source}: its data have changed since ({listed(sorted(changed))}): run `hnseg check {source}` and "
            f"`hnseg prepare {source}`, or begin another run with `hnseg init --data {root}`"
        )
    return Path(root)


def _has_changed(source: Path, case: Case) -> bool:
    """Whether a case was prepared from other files than those that are there."""
    record = read_record(source / PREPARED / case.id / RECORD)
    if record is None:
        return False
    known = {name: record["made_from"].get(name) for name in ("files", "center", "suv_per_bqml")}
    key = case_key(case, {})
    return bool(find_differences(known, {name: key[name] for name in known}))


def _open_new(work: Path, config: Config, root: Path) -> None:
    """Begin the run, or leave alone what an earlier call with the same settings has begun."""
    if not (work / CONFIG_FILE).is_file():
        begin_run(work, config, root)
        return
    changed = find_changes(read_config(work), config)
    if changed:
        raise WorkDirError(
            f"{work} holds a run with other settings already ({', '.join(changed)}); choose another work directory"
        )
    if not (work / RUN_FILE).is_file():  # stopped between the two files
        (work / CONFIG_FILE).unlink()
        begin_run(work, config, root)
    if load_run_record(work).data_root != str(root):
        raise WorkDirError(f"{work} holds a run of other data, {load_run_record(work).data_root}")


def _copy_check(source: Path, work: Path) -> None:
    """Take over the check: its page and record as copies, the cases of its viewer as links."""
    theirs, own = (viewer_folder(folder / "check.html") for folder in (source, work))
    for path in list_files(theirs, "*"):
        own.mkdir(exist_ok=True)
        link_file(path, own / path.name)
    for name in ("check.html", "check.json"):  # the record last
        if (source / name).is_file():
            write_text(work / name, (source / name).read_text(encoding="utf-8"))


def _refuse_other_file_system(source: Path, work: Path) -> None:
    there = next(parent for parent in (work.resolve(), *work.resolve().parents) if parent.exists())
    if there.stat().st_dev != source.stat().st_dev:
        raise _explain(source, work)


@contextmanager
def explain_links(source: Path, work: Path) -> Iterator[None]:
    """Turn the system's error about a hard link into one that says what to do.

    Raises:
        WorkDirError: The two work directories are on different file systems, or theirs has no hard links.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _NO_LINKS:
            raise _explain(source, work) from error
        raise


def _explain(source: Path, work: Path) -> WorkDirError:
    return WorkDirError(
        f"{work} and {source} are on different file systems, or theirs has no hard links: prepared cases can be shared "
        "on one file system only; choose a work directory there, or leave --from out and prepare the cases again"
    )


def _link_result(source: ArtifactCache, target: ArtifactCache) -> None:
    """Link the files of a kept result, its record last."""
    files = [(path, target.outputs[name]) for name, path in source.outputs.items() if path.is_file()]
    for theirs, own in (*files, (source.record, target.record)):
        own.parent.mkdir(parents=True, exist_ok=True)
        link_file(theirs, own)
