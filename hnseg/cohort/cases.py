"""Discovery of the cases of a cohort on disk, in one of three layouts.

* HECKTOR 2025: ``Task 1/<ID>/<ID>__CT.nii.gz``, ``<ID>__PT.nii.gz``, ``<ID>.nii.gz``, with or without ``Task 1``;
* nnU-Net: ``imagesTr/<ID>_0000.nii.gz`` (CT), ``_0001`` (PET), ``labelsTr/<ID>.nii.gz``; ``imagesTs`` and
  ``labelsTs``; both with the suffix ``_cropped`` of the challenge's baseline;
* a CSV file with the columns ``id``, ``ct``, and optionally ``pet``, ``label``, ``center``; paths relative to it.

A ``suv_conversion_tags.csv`` beside the images gives the factors of PET in Bq/ml, see :mod:`hnseg.cohort.suv_table`.
"""

from __future__ import annotations

import csv
import difflib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from hnseg.cohort.suv_table import TAGS_NAME, read_suv_factors
from hnseg.errors import CohortError

SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
SUFFIXES = (".nii.gz", ".nii", ".mha", ".nrrd")
COLUMNS = ("id", "ct", "pet", "label", "center")
PET_NAMES = {"pet", "pt", "suv"}  # in a dataset.json


@dataclass(frozen=True)
class Case:
    """The files of one case; check decides whether they exist and can be used.

    Attributes:
        id: Name of the case, ``<CENTER>-<NNN>`` in the challenge.
        ct: CT in HU.
        pet: PET in SUV, or in Bq/ml with a factor; None where the cohort names none.
        label: 1 GTVp, 2 GTVn, on the CT grid; None where there is no such file.
        center: Center of the case; taken from the ID where the cohort does not name it.
        suv_factor: SUV per Bq/ml, from the cohort's table. The values decide whether the file is in Bq/ml
            (:mod:`hnseg.cohort.suv`).
    """

    id: str
    ct: Path
    pet: Path | None
    label: Path | None
    center: str = ""
    suv_factor: float | None = None

    def __post_init__(self) -> None:
        if not self.center:
            object.__setattr__(self, "center", center_of(self.id))


def center_of(case_id: str) -> str:
    """The ID up to its last hyphen; without a hyphen, the ID without the number at its end.

    >>> [center_of(name) for name in ("CHUM-001", "A-B-003", "MDA_012", "patient7", "0042")]
    ['CHUM', 'A-B', 'MDA', 'patient', 'unknown']
    """
    if "-" in case_id:
        return case_id.rsplit("-", 1)[0]
    return re.sub(r"_?\d+$", "", case_id) or "unknown"


def discover_cases(root: Path) -> list[Case]:
    """List the cases of a cohort, sorted by ID.

    Args:
        root: A folder in HECKTOR 2025 or nnU-Net layout, or a CSV file of paths, see above.

    Raises:
        CohortError: The root does not exist, is neither, mixes layouts, holds no case, names a case twice, or an ID is
            unsafe as a file name.
    """
    if not root.exists():
        raise CohortError(f"the data root {root} does not exist; {_EXPECTED}")
    if not root.is_dir():
        if root.suffix.lower() != ".csv":
            raise CohortError(f"the data root {root} is not a folder and no CSV file; {_EXPECTED}")
        cases = list(_from_csv(root))
    elif any((root / name).is_dir() for name in ("imagesTr", "imagesTr_cropped", "imagesTs", "imagesTs_cropped")):
        if (root / "Task 1").is_dir():
            raise CohortError(f"{root} holds both `Task 1` and nnU-Net folders: name the one that is meant")
        cases = list(_from_nnunet(root))
    else:
        cases = list(_from_hecktor(root / "Task 1" if (root / "Task 1").is_dir() else root))
    if not cases and _has_dicom(root):
        raise CohortError(f"{root} holds DICOM files: make a cohort of them with `hnseg dicom {root} OUT`")
    if not cases:
        raise CohortError(f"no case found in {root}; {_EXPECTED}")
    _refuse_duplicates(cases)
    factors = cohort_suv_factors(root)
    cases = [replace(case, suv_factor=factors.get(case.id)) for case in cases]
    return sorted(cases, key=lambda case: case.id)


def cohort_suv_factors(root: Path) -> dict[str, float]:
    """SUV per Bq/ml by case ID, from the tables of a cohort; they may name unknown cases."""
    folders = (root, root / "Task 1") if root.is_dir() else (root.parent,)
    factors: dict[str, float] = {}
    for folder in folders:
        factors |= read_suv_factors(folder / TAGS_NAME)
    return factors


_EXPECTED = (
    "expected is a folder with `Task 1/<ID>/<ID>__CT.nii.gz` or `imagesTr/<ID>_0000.nii.gz`, "
    "or a CSV file with the columns id, ct, pet, label"
)


_FILES_LOOKED_AT = 100


def _has_dicom(root: Path) -> bool:
    """Whether one of the first files below a folder begins as a DICOM file does."""
    files = (path for path in root.rglob("*") if path.is_file()) if root.is_dir() else iter(())
    for path in islice(files, _FILES_LOOKED_AT):
        with path.open("rb") as file:
            if file.read(132)[128:] == b"DICM":
                return True
    return False


def _safe(case_id: str, where: str) -> str:
    """Return an ID that is safe as the name of files and folders."""
    if not SAFE_ID.fullmatch(case_id):
        raise CohortError(
            f"{where}: {case_id!r} is no case ID; allowed are letters and digits, and after them also `.`, `_`, `-`"
        )
    return case_id


def _refuse_duplicates(cases: list[Case]) -> None:
    seen: dict[str, Case] = {}
    for case in cases:
        other = seen.setdefault(case.id.casefold(), case)
        if other is not case:
            raise CohortError(
                f"two cases have the ID {case.id}{'' if other.id == case.id else f' and {other.id}'}: "
                f"{other.ct} and {case.ct}; IDs must differ by more than upper and lower case"
            )


def _from_hecktor(home: Path) -> Iterator[Case]:
    for folder in sorted(home.iterdir()):
        if not folder.is_dir() or folder.name.startswith("."):
            continue
        name = folder.name
        ct, pet, label = (folder / f"{name}{kind}.nii.gz" for kind in ("__CT", "__PT", ""))
        if ct.exists() or pet.exists() or label.exists():
            yield Case(_safe(name, str(home)), ct, pet, label if label.exists() else None)


def _from_nnunet(root: Path) -> Iterator[Case]:
    ct_channel, pet_channel = _channels(root / "dataset.json")
    for part in ("Tr", "Ts"):
        # The cropped copy, where there is one, shows the same patients: the whole images come first.
        style = next((s for s in ("", "_cropped") if (root / f"images{part}{s}").is_dir()), None)
        if style is None:
            continue
        images, labels = root / f"images{part}{style}", root / f"labels{part}{style}"
        found: dict[str, dict[str, Path]] = {}
        for stem, path in _images(images):
            match = re.fullmatch(r"(.*)_(\d{4})", stem)
            if match is None:
                raise CohortError(f"{path}: expected <ID>_<channel>, the channel with four digits, as in CHUM-001_0000")
            _file(found, match[1], match[2], path)
        for stem, path in _images(labels) if labels.is_dir() else ():
            _file(found, stem, "label", path)
        for case_id, files in found.items():
            ct, pet = (files.get(c, images / f"{case_id}_{c}.nii.gz") for c in (ct_channel, pet_channel))
            yield Case(case_id, ct, pet, files.get("label"))


def _images(folder: Path) -> Iterator[tuple[str, Path]]:
    """Image files of a folder, with their names without the ending."""
    for path in sorted(folder.iterdir()):
        ending = next((s for s in SUFFIXES if path.name.endswith(s)), None)
        if ending and not path.name.startswith("."):
            yield path.name.removesuffix(ending), path


def _file(found: dict[str, dict[str, Path]], case_id: str, kind: str, path: Path) -> None:
    files = found.setdefault(_safe(case_id, str(path.parent)), {})
    if kind in files:
        raise CohortError(f"two files are {kind} of {case_id}: {files[kind]} and {path}")
    files[kind] = path


def _channels(path: Path) -> tuple[str, str]:
    """Channels of CT and PET: 0 and 1, unless ``dataset.json`` names them otherwise."""
    if not path.is_file():
        return "0000", "0001"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        names = content.get("channel_names") or content.get("modality") or {}
        channels = {str(name).strip().lower(): int(index) for index, name in names.items()}
    except (ValueError, AttributeError) as error:
        raise CohortError(f"{path} is not an nnU-Net data set description: {error}") from error
    if not channels:
        return "0000", "0001"
    pet = next((channels[name] for name in channels if name in PET_NAMES), None)
    if "ct" not in channels or pet is None:
        raise CohortError(f"{path} names the channels {', '.join(channels)}; needed are CT and PET")
    return f"{channels['ct']:04}", f"{pet:04}"


def _from_csv(table: Path) -> Iterator[Case]:
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            columns = _csv_columns(table, list(reader.fieldnames or ()))
            rows = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise CohortError(f"{table} is not a readable CSV file: {error}") from error
    for line, row in enumerate(rows, start=2):
        cells = {name: (row.get(column) or "").strip() for name, column in columns.items()}
        if not any(cells.values()):
            continue
        case_id = _safe(cells["id"], f"{table}, line {line}")
        if not cells["ct"]:
            raise CohortError(f"{table}, line {line}: {case_id} has no CT")
        pet, label = (table.parent / cells[n] if cells.get(n) else None for n in ("pet", "label"))
        yield Case(case_id, table.parent / cells["ct"], pet, label, cells.get("center", ""))


def _csv_columns(table: Path, header: list[str]) -> Mapping[str, str]:
    """The file's column of each of :data:`COLUMNS`; others are ignored, unless they look like a typo."""
    plain = {name.strip().lower().replace("centre", "center"): name for name in header}
    missing = [name for name in ("id", "ct") if name not in plain]
    if missing:
        raise CohortError(
            f"{table} lacks the column {' and '.join(missing)}; it has {', '.join(header) or 'none'}; "
            f"known are {', '.join(COLUMNS)}, separated by commas"
        )
    for name in plain.keys() - set(COLUMNS):
        near = difflib.get_close_matches(name, [c for c in COLUMNS if len(c) > 2 and c not in plain], cutoff=0.7)
        if near:
            raise CohortError(f"{table} has a column {plain[name]!r}: is {near[0]!r} meant? Rename or remove it")
    return {name: plain[name] for name in COLUMNS if name in plain}
