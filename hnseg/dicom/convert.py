"""DICOM files of a folder tree to a cohort: CT in HU, PET in SUV, masks, and records of how they were made."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from hnseg.cohort.suv_table import read_suv_overrides
from hnseg.dicom.assign_overrides import assign_overrides
from hnseg.dicom.case_ids import (
    IdRow,
    StudySource,
    name_cases,
    number_cases,
    read_id_table,
    recognize_cases,
)
from hnseg.dicom.cohort_tables import write_cohort_tables
from hnseg.dicom.earlier_cases import (
    mention_copies,
    mention_earlier_files,
    read_complete_records,
    refuse_other_suv,
)
from hnseg.dicom.fingerprint import hash_source
from hnseg.dicom.make_case import CaseJob, CaseResult, make_case
from hnseg.dicom.options import DicomOptions
from hnseg.dicom.pair_studies import StudyPlan, pair_studies
from hnseg.dicom.read_facts import describe_series, read_patient_ids
from hnseg.dicom.series.records import IMAGES, SeriesIndex, SeriesRecord
from hnseg.dicom.series.walk import find_series
from hnseg.dicom.series_facts import SeriesFacts
from hnseg.dicom.tree_record import CaseState, read_known_cases, read_layout, write_tree_record
from hnseg.errors import CaseError, CohortError, OptionError, OutputPathError
from hnseg.locks import hold, is_lock
from hnseg.outputs import is_inside
from hnseg.parallel import map_processes
from hnseg.progress import ProgressCallback, limit_rate, no_progress
from hnseg.suv.overrides import PetOverrides
from ssimh.files.atomic import is_leftover, remove_leftovers

StageProgress = Callable[[str], AbstractContextManager[ProgressCallback]]


def no_stages(stage: str) -> AbstractContextManager[ProgressCallback]:
    """Report no stage."""
    return nullcontext(no_progress)


@dataclass(frozen=True)
class DicomReport:
    """What a tree gave.

    Attributes:
        states: What became of each study with a CT or a PET.
        index: All series of the tree.
        plans: Which series make which case.
        unused_rows: Rows of the tables that name no study.
        damaged_series: Series that cannot be used and are in no message of ``failures``, each with its reason.
        other_cases: IDs of cases in the cohort whose studies are not in the tree.
    """

    states: tuple[CaseState, ...]
    index: SeriesIndex = field(repr=False)
    plans: tuple[StudyPlan, ...] = field(repr=False)
    unused_rows: tuple[str, ...] = ()
    damaged_series: tuple[str, ...] = ()
    other_cases: tuple[str, ...] = ()

    @property
    def failures(self) -> tuple[CaseError, ...]:
        """Studies that gave no case."""
        return tuple(
            CaseError(state.case_id or f"study {state.study}, {plan.study.series[0].label}", state.problem)
            for state, plan in zip(self.states, self.plans, strict=True)
            if state.problem is not None
        )


def convert_dicom(
    source: Path,
    target: Path,
    options: DicomOptions | None = None,
    *,
    jobs: int = 1,
    progress: StageProgress = no_stages,
) -> DicomReport:
    """Convert the studies of a folder tree to a cohort.

    A case whose record says that it was made from the same files with the same options is kept. One that fails does not
    stop the others.

    Args:
        source: Folder with DICOM files, of any shape.
        target: Folder of the cohort: new, empty, or of an earlier call with the same layout.
        options: Layout, kind of SUV, names, choices.
        jobs: Processes.
        progress: Makes the progress of a stage, ``walk`` or ``dicom``.

    Returns:
        What became of every study; ``dicom.json`` in ``target`` holds it, too.

    Raises:
        OutputPathError: One folder lies in the other, or ``target`` holds something else.
        CohortError: There is no series in ``source``, or a table cannot be used.
        OptionError: A chosen series does not exist.
        InUseError: Another process writes there.
    """
    options = options or DicomOptions()
    _refuse_other_data(source, target, options)
    rows = read_id_table(options.ids) if options.ids is not None else None
    overrides = read_suv_overrides(options.tags) if options.tags is not None else {}
    with progress("walk") as report:
        index = find_series(source, limit_rate(report))
    if not index.series:
        raise CohortError(f"{source}: no DICOM series in {index.n_files} files")
    records = {record.number: record for record in index.series}
    facts = [describe_series(record) for record in index.series]
    plans = pair_studies(facts, options.choices, is_pet_only=options.pet_only)
    target.mkdir(parents=True, exist_ok=True)
    with hold(target, "dicom", "hnseg dicom"):
        for folder in (target, *(path for path in target.rglob("*") if path.is_dir())):
            remove_leftovers(folder)  # of a killed process: no other one writes here now
        known = read_known_cases(target)
        sources = [_describe_source(plan, records, source, needs_ids=bool(rows or options.tags)) for plan in plans]
        ids, problems, unused = _assign_ids(sources, rows, known, options)
        made_of = {s.source: ids[s.number] for s in sources if s.number in ids}
        known = {key: case_id for key, case_id in known.items() if case_id not in made_of.values()} | made_of
        patient_ids = {s.number: s.patient_ids for s in sources}
        own, doubtful, unmatched = assign_overrides(patient_ids, ids, overrides, options.tags)
        problems |= doubtful
        to_make = {number: case_id for number, case_id in ids.items() if number not in problems}
        jobs_to_do = _make_jobs(plans, records, to_make, target, options, own)
        write_tree = functools.partial(write_tree_record, target, options.layout, index, plans, known=known)
        write_tree(_states(plans, ids, problems, {}), keep_uids=options.keep_uids)  # claims the folder
        with progress("dicom") as report:
            results = _make_cases(jobs_to_do, jobs, report)
        states = mention_earlier_files(target, options.layout, _states(plans, ids, problems, results))
        states = mention_copies(states, sources)
        write_tree(states, keep_uids=options.keep_uids)
        write_cohort_tables(target, options.layout, known.values())
        others = sorted(set(known.values()) - {state.case_id for state in states})
        others = [i for i in others if any(read_complete_records(target, options.layout, i))]
    damaged = _list_damaged(facts, options.choices.left_out, plans, states)
    return DicomReport(states, index, plans, (*unused, *unmatched), damaged, tuple(others))


def _list_damaged(
    facts: Sequence[SeriesFacts], left_out: Collection[int], plans: Sequence[StudyPlan], states: Sequence[CaseState]
) -> tuple[str, ...]:
    """Series that cannot be used, though they would be images or structures: also where their study gives a case."""
    pairs = zip(plans, states, strict=True)
    failed = {s.number for plan, state in pairs if state.problem is not None for s in plan.study.series}
    return tuple(f"{s.label}: {s.why_unusable}" for s in facts if s.is_damaged and s.number not in {*failed, *left_out})


def _refuse_other_data(source: Path, target: Path, options: DicomOptions) -> None:
    """Refuse a folder that holds the input, lies in it, or holds anything but a cohort of the same layout."""
    if not source.exists():
        raise CohortError(f"{source} does not exist; a folder with DICOM files is needed")
    if is_inside(target, source) or is_inside(source, target):
        raise OutputPathError(f"{target} and {source}: neither may lie in the other; choose another output")
    if options.pet_only and options.layout == "nnunet":
        raise OptionError("--pet-only: nnU-Net's layout has a CT for every case; use --layout hecktor")
    if target.exists() and not target.is_dir():
        raise OutputPathError(f"{target} is a file; a folder is needed for the cohort")
    layout = read_layout(target)
    if layout is None and target.is_dir() and any(not (is_lock(e) or is_leftover(e)) for e in target.iterdir()):
        raise OutputPathError(f"{target} is not empty and holds no cohort of hnseg dicom; choose another folder")
    if layout not in (None, options.layout):
        raise OutputPathError(f"{target} holds a cohort in the layout {layout}, not {options.layout}; choose another")
    refuse_other_suv(target, options.layout, options.load.suv)


def _describe_source(
    plan: StudyPlan, records: Mapping[int, SeriesRecord], root: Path, *, needs_ids: bool
) -> StudySource:
    """By what a study is recognized: its first PET, else its first CT."""
    images = sorted((s.modality != "PT", s.number) for s in plan.study.series if s.modality in IMAGES)
    record = records[images[0][1]]
    numbers = [s.number for s in plan.used_series] or [number for _, number in images]
    files = [path for number in numbers for path in records[number].files]
    folders = dict.fromkeys(path.parent.relative_to(root) if root.is_dir() else PurePath() for path in files)
    try:
        patient_ids = read_patient_ids(record.files[0]) if needs_ids else frozenset()
        return StudySource(plan.study.number, *hash_source(record), tuple(folders), patient_ids)
    except OSError as error:
        raise CohortError(f"{record.label}: a file can no longer be read ({error.strerror})") from None


def _assign_ids(
    sources: Sequence[StudySource], rows: Sequence[IdRow] | None, known: Mapping[str, str], options: DicomOptions
) -> tuple[dict[int, str], dict[int, str], tuple[str, ...]]:
    """IDs by study, why a study has none, and rows that name no study."""
    recognized, used = recognize_cases(sources, known), set(known.values())
    if rows is None or options.ids is None:
        return number_cases(sources, recognized, used), {}, ()
    ids, problems, unused = name_cases(sources, rows, options.ids)
    for number, case_id in list(ids.items()):
        earlier = recognized.get(number)
        if earlier is None and case_id in used:
            problems[number] = f"the ID {case_id} belongs to another study of an earlier run"
            del ids[number]
        elif earlier not in (None, case_id):
            problems[number] = f"it is {earlier} of an earlier run; convert it into another folder to rename it"
            del ids[number]
    return ids, problems, unused


def _make_jobs(
    plans: Sequence[StudyPlan],
    records: Mapping[int, SeriesRecord],
    ids: Mapping[int, str],
    target: Path,
    options: DicomOptions,
    overrides: Mapping[int, PetOverrides],
) -> list[CaseJob]:
    """Cases that can be made."""
    found = []
    for plan in plans:
        number = plan.study.number
        if number not in ids or plan.problem is not None:
            continue
        used = {s.number: records[s.number] for s in plan.used_series}
        own = overrides.get(number)
        found.append(CaseJob(ids[number], plan, used, target, options.layout, options.load, own, options.keep_uids))
    return found


def _make_cases(to_do: Sequence[CaseJob], jobs: int, report: ProgressCallback) -> dict[int, CaseResult]:
    """Make cases in processes; results by the number of the study."""
    results: dict[int, CaseResult] = {}
    made = map_processes(make_case, to_do, min(jobs, max(1, len(to_do))), ordered=False)
    for done, result in enumerate(made, start=1):
        results[result.study] = result
        report(done, len(to_do), result.case_id)
    return results


def _states(
    plans: Sequence[StudyPlan],
    ids: Mapping[int, str],
    problems: Mapping[int, str],
    results: Mapping[int, CaseResult],
) -> tuple[CaseState, ...]:
    """What became of each study; ``unfinished`` where it is not known yet."""
    states = []
    for plan in plans:
        number = plan.study.number
        result, case_id = results.get(number), ids.get(number)
        problem = plan.problem or problems.get(number)
        if problem is None and result is not None:
            made = result.state, result.problem, result.record, result.changed, result.notes
            states.append(CaseState(number, case_id, *made))
        else:
            state = "failed" if problem else "unfinished"
            states.append(CaseState(number, case_id, state, problem))
    return tuple(states)
