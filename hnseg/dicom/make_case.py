"""One case: kept where its files were made from the same input, else made."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from hnseg.dicom.case_files import CaseFiles, Layout, place_files, possible_files, smallest_exact, write_images
from hnseg.dicom.case_record import record_case
from hnseg.dicom.fingerprint import hash_series
from hnseg.dicom.load_case import CaseVolumes, load_case
from hnseg.dicom.options import LoadOptions
from hnseg.dicom.pair_studies import StudyPlan
from hnseg.dicom.series.records import SeriesRecord
from hnseg.errors import CaseError, DicomError
from hnseg.images.geometry import Grid
from hnseg.images.resample import resample
from hnseg.parallel import MACHINE_ERRORS
from hnseg.suv.overrides import PetOverrides
from ssimh.files.artifact_cache import RECORD, ArtifactCache, read_record
from ssimh.files.json_object import JsonObject

Voxels = NDArray[Any]
VERSION = 5  # to be raised whenever the same input gives other files
# Parts of a key, and what a user knows them by
CHANGES = {
    "version": "the version of hnseg dicom",
    "series": "its DICOM files",
    "notes": "its DICOM files",
    "are_structures_chosen": "--structure-series",
    "load.suv": "--suv",
    "load.dose_in_mbq": "--dose-in-mbq",
    "load.patterns": "--structures",
    "overrides": "its row of --tags",
    "keep_uids": "--keep-uids",
    "outputs": "its files in the cohort",
    RECORD: "its files in the cohort",
    "": "options",
}


@dataclass(frozen=True)
class CaseJob:
    """A case to be made.

    Attributes:
        case_id: Its ID.
        plan: Its series.
        records: The series by number.
        root: Folder of the cohort.
        layout: Of the cohort.
        load: How its images are read.
        overrides: Corrections to what the PET's header states.
        keep_uids: Record the UIDs of series.
    """

    case_id: str
    plan: StudyPlan
    records: Mapping[int, SeriesRecord]
    root: Path = field(repr=False)
    layout: Layout
    load: LoadOptions
    overrides: PetOverrides | None
    keep_uids: bool

    def key(self) -> JsonObject:
        """What the case is made from; without identifiers."""
        plan = self.plan
        used = {"ct": plan.ct, "pet": plan.pet, **{f"structures_{n}": s for n, s in enumerate(plan.structures)}}
        return {
            "version": VERSION,
            "series": {name: hash_series(self.records[s.number]) for name, s in used.items() if s is not None},
            "notes": {name: list(s.notes) for name, s in used.items() if s is not None},
            "are_structures_chosen": plan.are_structures_chosen,
            "load": asdict(self.load),
            "overrides": None if self.overrides is None else asdict(self.overrides),
            "keep_uids": self.keep_uids,
        }


@dataclass(frozen=True)
class CaseResult:
    """What became of a job.

    Attributes:
        study: Number of its study.
        case_id: ID of the case.
        state: ``done``, ``kept``, or ``failed``.
        problem: Why it failed, without identifiers.
        record: The record of the case; None where it failed.
        changed: For a case that is made again, what has changed since; empty for a new one.
        notes: What the earlier case had and this one has not.
    """

    study: int
    case_id: str
    state: str
    problem: str | None = None
    record: JsonObject | None = None
    changed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def make_case(job: CaseJob) -> CaseResult:
    """Make a case, or keep the one that is there.

    Errors are part of the result, so that the other cases go on. Texts of errors that are not ours are dropped: they
    may hold values of the files.

    Raises:
        OSError: The disk is full or read-only: every other case would meet it.
        MemoryError: There is not enough memory.
    """
    number = job.plan.study.number
    try:
        return _make(job)
    except CaseError as error:
        return CaseResult(number, job.case_id, "failed", error.reason)
    except DicomError as error:
        return CaseResult(number, job.case_id, "failed", str(error))
    except MemoryError:
        raise
    except OSError as error:
        if error.errno in MACHINE_ERRORS:
            raise
        return CaseResult(number, job.case_id, "failed", f"a file cannot be read or written: {error.strerror}")
    except Exception as error:  # noqa: BLE001 - recorded, and the other cases continue
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno}"
        reason = f"not foreseen, please report it: {type(error).__name__} ({place})"
        return CaseResult(number, job.case_id, "failed", reason)


def _make(job: CaseJob) -> CaseResult:
    key, number = job.key(), job.plan.study.number
    places = possible_files(job.root, job.layout, job.case_id)
    changed: list[str] = []
    had_label = False
    for files in places:
        known = read_record(files.record)
        differences = _find_differences(files, known, key, job.case_id)
        if known is None:
            continue
        if not differences:
            return CaseResult(number, job.case_id, "kept", None, known)
        changed += differences
        had_label |= "label" in (known["outputs"] or ())
    volumes = load_case(job.plan, job.records, job.load, job.overrides)
    has_label = volumes.label.label is not None
    files = place_files(job.root, job.layout, job.case_id, has_label=has_label)
    images = _images(job, volumes)
    for other in places:
        if other != files:
            for path in (other.record, *other.images().values()):
                path.unlink(missing_ok=True)
    outputs = {name: path for name, path in files.images().items() if name in images}
    cache = ArtifactCache(files.record, key, outputs)
    cache.begin()
    write_images(files, images)
    dtypes = {name: str(voxels.dtype) for name, (voxels, _) in images.items()}
    details = {"id": job.case_id, **record_case(job.plan, volumes, dtypes, keep_uids=job.keep_uids)}
    if job.layout == "nnunet":
        details["pet"]["resampled_to"] = "the grid of the CT, linear"
    notes = ("the mask that it had is removed",) if had_label and not has_label else ()
    return CaseResult(number, job.case_id, "done", None, cache.save(details), _name_changes(changed), notes)


def _name_changes(differences: Iterable[str]) -> tuple[str, ...]:
    """What a user knows the differing parts of a key by."""
    names = (next(name for part, name in CHANGES.items() if found.startswith(part)) for found in differences)
    return tuple(dict.fromkeys(names))


def _find_differences(files: CaseFiles, known: JsonObject | None, key: JsonObject, case_id: str) -> tuple[str, ...]:
    """Why a case is not up to date; empty where it is.

    Raises:
        CaseError: Somebody has changed a file of the case, or put it there.
    """
    if known is not None and known["outputs"] is None:
        return (RECORD,)  # an earlier call was stopped while it wrote
    names = known["outputs"] if known is not None else {}
    cache = ArtifactCache(files.record, key, {name: path for name, path in files.images().items() if name in names})
    differences = cache.find_differences()
    if not differences:
        return ()
    foreign = [path for name, path in files.images().items() if name not in names and path.exists()]
    changed = [*cache.edited_outputs(), *foreign]
    if changed:
        reason = "not the file that hnseg dicom wrote; move it away to have the case made again"
        raise CaseError(case_id, f"{changed[0]}: {reason}")
    return differences


def _images(job: CaseJob, volumes: CaseVolumes) -> dict[str, tuple[Voxels, Grid]]:
    """Voxels and grids as they are stored."""
    pet = volumes.pet.values, volumes.pet.grid
    images: dict[str, tuple[Voxels, Grid]] = {}
    if volumes.ct is not None:
        images["ct"] = smallest_exact(volumes.ct.values), volumes.ct.grid
        if job.layout == "nnunet":  # one grid for all channels
            pet = resample(*pet, volumes.ct.grid, outside=0.0), volumes.ct.grid
    images["pet"] = pet
    if volumes.label.label is not None:
        images["label"] = volumes.label.label, (volumes.ct or volumes.pet).grid
    return images
