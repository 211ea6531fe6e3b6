"""IDs of cases: from a table of the user, or numbered."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from hnseg.cohort.cases import SAFE_ID
from hnseg.errors import CohortError

PATIENT_COLUMNS = ("patient_id", "patientid", "pid", "patient")


@dataclass(frozen=True)
class IdRow:
    """A row of the table of IDs. Folder and patient ID are compared and never written.

    Attributes:
        line: Of the file, for messages.
        case_id: ID of the case.
        folder: Folder that holds its series, relative to the tree; None where the row names none.
        patient_id: PatientID; None where the row names none.
    """

    line: int
    case_id: str
    folder: PurePath | None = field(repr=False, default=None)
    patient_id: str | None = field(repr=False, default=None)


@dataclass(frozen=True)
class StudySource:
    """By what a study is recognized.

    Attributes:
        number: Of the study.
        images: Hash of its image data; see :mod:`hnseg.dicom.fingerprint`.
        file: Hash of a file, which tells studies with the same image data apart.
        folders: Folders of its series, relative to the tree.
        patient_ids: Values of PatientID.
    """

    number: int
    images: str
    file: str
    folders: tuple[PurePath, ...] = field(repr=False, default=())
    patient_ids: frozenset[str] = field(repr=False, default=frozenset())

    @property
    def source(self) -> str:
        """What the record of the tree knows it by."""
        return f"{self.images}-{self.file}"


def read_id_table(path: Path) -> tuple[IdRow, ...]:
    """Read a CSV file with the columns ``id``, and ``folder`` or ``patient_id`` (or both: both must fit then).

    Messages name lines, not contents: folders and patient IDs are identifiers.

    Raises:
        CohortError: No such file, or not such a table; an ID that cannot be the name of a file, or is given twice.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            columns = {name.strip().lower(): name for name in reader.fieldnames or ()}
            rows = [(reader.line_num, row) for row in reader]
    except FileNotFoundError as error:
        raise CohortError(f"{path} does not exist; it would name the cases") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise CohortError(f"{path} is not a readable CSV file ({type(error).__name__})") from None
    patient = next((columns[name] for name in PATIENT_COLUMNS if name in columns), None)
    if "id" not in columns or ("folder" not in columns and patient is None):
        raise CohortError(f"{path}: needed are the columns id, and folder or patient_id, separated by commas")
    found: list[IdRow] = []
    for line, row in rows:
        if None in row or None in row.values():
            raise CohortError(f"{path}, line {line}: another number of cells than columns; commas separate them")
        case_id, folder, patient_id = (
            row[name].strip() if name else "" for name in (columns["id"], columns.get("folder"), patient)
        )
        if not (case_id or folder or patient_id):
            continue
        if not SAFE_ID.fullmatch(case_id):
            raise CohortError(
                f"{path}, line {line}: the ID is missing or no case ID; allowed are letters and digits, and after "
                "them also `.`, `_`, `-`"
            )
        if not (folder or patient_id):
            raise CohortError(f"{path}, line {line}: {case_id} has neither a folder nor a patient ID")
        found.append(IdRow(line, case_id, PurePath(folder) if folder else None, patient_id or None))
    _refuse_duplicates(path, found)
    return tuple(found)


def _refuse_duplicates(path: Path, rows: Sequence[IdRow]) -> None:
    counts = Counter(row.case_id.casefold() for row in rows)
    twice = [row for row in rows if counts[row.case_id.casefold()] > 1]
    if twice:
        lines = ", ".join(str(row.line) for row in twice)
        raise CohortError(f"{path}, lines {lines}: one ID twice; IDs must differ by more than upper and lower case")


def recognize_cases(studies: Sequence[StudySource], known: Mapping[str, str]) -> dict[int, str]:
    """IDs of the studies that an earlier run has met, by the number of the study.

    Of two studies with the same image data, each is known by its file. A study whose file is new is the only one with
    its image data that is left, if there is one: its header was corrected.

    Args:
        studies: Of the tree.
        known: IDs of earlier runs by source.

    >>> recognize_cases([StudySource(1, "a", "new"), StudySource(2, "b", "x")], {"a-old": "case-001"})
    {1: 'case-001'}
    """
    found = {study.number: known[study.source] for study in studies if study.source in known}
    left = [study for study in studies if study.number not in found]
    counts = Counter(study.images for study in left)
    for study in left:
        cases = {i for key, i in known.items() if key.startswith(f"{study.images}-") and i not in found.values()}
        if counts[study.images] == len(cases) == 1:
            found[study.number] = cases.pop()
    return found


def number_cases(studies: Sequence[StudySource], known: Mapping[int, str], used: Collection[str]) -> dict[int, str]:
    """IDs ``case-001``, ``case-002``, … by the number of the study.

    Args:
        studies: In their order.
        known: IDs of an earlier run by the number of the study: they are kept.
        used: IDs that no new study may have.

    >>> studies = [StudySource(number, "", "") for number in (1, 2, 3)]
    >>> number_cases(studies, {2: "case-001"}, {"case-001"})
    {1: 'case-002', 2: 'case-001', 3: 'case-003'}
    """
    ids: dict[int, str] = {}
    number = 0
    for study in studies:
        if study.number in known:
            ids[study.number] = known[study.number]
            continue
        number += 1
        while f"case-{number:03}" in used:
            number += 1
        ids[study.number] = f"case-{number:03}"
    return ids


def name_cases(
    studies: Sequence[StudySource], rows: Sequence[IdRow], table: Path
) -> tuple[dict[int, str], dict[int, str], tuple[str, ...]]:
    """IDs by a table: a row names the study whose series all lie in its folder and that has its patient ID.

    Of two rows that name a study, the one with the deeper folder counts.

    Returns:
        IDs by the number of the study; for each other study, why it has none; rows that name no study.
    """
    named: dict[int, IdRow] = {}
    problems: dict[int, str] = {}
    for study in studies:
        fitting = [row for row in rows if _names(row, study)]
        depth = max((_depth(row) for row in fitting), default=0)
        deepest = [row for row in fitting if _depth(row) == depth]
        if len(deepest) == 1:
            named[study.number] = deepest[0]
        elif deepest:
            lines = " and ".join(str(row.line) for row in deepest)
            problems[study.number] = f"lines {lines} of {table} name it; keep one, or add folders"
        else:
            problems[study.number] = f"no line of {table} names it"
    counts = Counter(row.line for row in named.values())
    for number, row in list(named.items()):
        if counts[row.line] > 1:
            problems[number] = (
                f"line {row.line} of {table} names {counts[row.line]} studies; name them by their folders"
            )
            del named[number]
    unused = tuple(f"{table}, line {row.line}: names no study" for row in rows if not counts[row.line])
    return {number: row.case_id for number, row in named.items()}, problems, unused


def _names(row: IdRow, study: StudySource) -> bool:
    if row.patient_id is not None and study.patient_ids != {row.patient_id}:
        return False
    if row.folder is None:
        return True
    return bool(study.folders) and all(folder.is_relative_to(row.folder) for folder in study.folders)


def _depth(row: IdRow) -> int:
    return -1 if row.folder is None else len(row.folder.parts)
