"""Generation of a cohort on disk, in the HECKTOR 2025 layout."""

from __future__ import annotations

import csv
import functools
import json
import operator
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hnseg.cohort.suv_table import TAGS_NAME
from hnseg.errors import CohortError
from hnseg.images.image_io import write_image
from hnseg.locks import hold, is_lock
from hnseg.parallel import map_processes
from hnseg.phantom.case import DEMO_PIXEL_MM, Case, case_id_of, describe_case, generate_case
from hnseg.phantom.scanners import DEFAULT_CENTERS, Center
from hnseg.phantom.traps import assign_traps
from hnseg.progress import ProgressCallback, no_progress
from hnseg.workdir import write_text
from ssimh.files.atomic import atomic_write, is_leftover, remove_leftovers

PHANTOM_VERSION = 1  # to be raised whenever the same parameters give other voxels
RECORD_NAME = "phantom.json"
TASK_FOLDER = "Task 1"
CSV_NAME = "HECKTOR_2025_Training_Task_1.csv"
_PARTIAL = ".partial"  # cases under way; a folder below "Task 1" is complete


def generate_cohort(
    root: Path,
    *,
    seed: int = 0,
    cases_per_center: int | Sequence[int] = 8,
    centers: Sequence[Center] = DEFAULT_CENTERS,
    pixel_mm: float = DEMO_PIXEL_MM,
    full_resolution: bool = False,
    traps: Mapping[str, str] | Sequence[str] = (),
    jobs: int = 1,
    progress: ProgressCallback = no_progress,
) -> list[Path]:
    """Generate a cohort below ``root / "Task 1"``.

    A case folder is complete or absent. Complete cases of the same cohort are kept, so an interrupted call can be
    repeated; more cases per center extend a cohort.

    Args:
        root: Folder of the cohort; created if it is missing.
        seed: As for :func:`hnseg.phantom.case.generate_case`.
        cases_per_center: One number for all centers, or one per center.
        centers: Centers with different names.
        pixel_mm: In-plane CT pixel.
        full_resolution: Native grids instead of ``pixel_mm``.
        traps: Defect by case ID; or names of defects, assigned to the cases in order. Names:
            :data:`hnseg.phantom.TRAPS`.
        jobs: Number of worker processes; the files do not depend on it.
        progress: Called with ``(done, total, case_id)`` after each new case.

    Returns:
        Case folders, in order of center and index.

    Raises:
        CohortError: ``root`` holds other data, or a cohort of other parameters.
        InUseError: Another process generates a cohort there.
        ValueError: A parameter is out of its range.
    """
    root, pixel = Path(root), None if full_resolution else pixel_mm
    if jobs < 1:
        raise ValueError(f"jobs must be ≥ 1; got {jobs}")
    plan = _plan(cases_per_center, centers)
    folders = [root / TASK_FOLDER / case_id_of(center, index) for center, index in plan]
    wanted = assign_traps(traps, [folder.name for folder in folders])
    _refuse_other_data(root)
    root.mkdir(parents=True, exist_ok=True)
    with hold(root, "phantom", "hnseg phantom"):
        _claim(root, {"seed": seed, "pixel_mm": pixel, "centers": [asdict(c) for c in centers], "traps": wanted})
        _refuse_extra_cases(root / TASK_FOLDER, folders)
        _remove_remains(root)  # of a killed run: no other one writes here now
        missing = [
            functools.partial(_write_case, root, center, index, seed, pixel, wanted.get(folder.name))
            for folder, (center, index) in zip(folders, plan, strict=True)
            if not folder.is_dir()
        ]
        results = map_processes(operator.call, missing, min(jobs, max(1, len(missing))))
        for done, case_id in enumerate(results, start=len(folders) - len(missing) + 1):
            progress(done, len(folders), case_id)
        _remove_remains(root)
        rows = [describe_case(c, k, seed=seed, trap=wanted.get(case_id_of(c, k))) for c, k in plan]
        _write_tables(root / TASK_FOLDER, rows)
    return folders


def _plan(cases_per_center: int | Sequence[int], centers: Sequence[Center]) -> list[tuple[Center, int]]:
    counts = [cases_per_center] * len(centers) if isinstance(cases_per_center, int) else list(cases_per_center)
    names = [center.name for center in centers]
    if not centers or len(set(names)) != len(names):
        raise ValueError(f"centers must be at least one, with different names; got {names}")
    if len(counts) != len(centers) or min(counts) < 0 or sum(counts) == 0:
        raise ValueError(f"cases_per_center {counts} does not fit {len(centers)} centers: one count ≥ 0 for each")
    return [(center, k) for center, count in zip(centers, counts, strict=True) for k in range(1, count + 1)]


def _refuse_other_data(root: Path) -> None:
    """Raise if ``root`` is a file, or a folder with anything but a generated cohort."""
    if root.exists() and not root.is_dir():
        raise CohortError(f"{root} is a file; a folder is needed for the generated cohort")
    if not root.is_dir() or (root / RECORD_NAME).is_file():
        return
    if any(not (is_lock(entry) or is_leftover(entry)) for entry in root.iterdir()):
        raise CohortError(f"{root} is not empty and holds no generated cohort; choose another folder")


def _claim(root: Path, settings: Mapping[str, object]) -> None:
    """Record the parameters in ``root``, or check that it has the same ones."""
    record = root / RECORD_NAME
    parameters = json.loads(json.dumps({"version": PHANTOM_VERSION, **settings}))
    if record.is_file():
        try:
            found = json.loads(record.read_text(encoding="utf-8"))
        except ValueError as error:
            raise CohortError(f"{record} is not readable as JSON; remove {root} to generate it again") from error
        other = sorted(k for k in parameters if not isinstance(found, dict) or found.get(k) != parameters[k])
        if other:
            raise CohortError(
                f"{root} holds a generated cohort with other parameters ({', '.join(other)} differ); "
                "choose another folder, or remove it first"
            )
        return
    write_text(record, json.dumps(parameters, indent=1) + "\n")


def _remove_remains(root: Path) -> None:
    shutil.rmtree(root / _PARTIAL, ignore_errors=True)
    for folder in (root, root / TASK_FOLDER):
        remove_leftovers(folder)


def _refuse_extra_cases(task: Path, folders: Sequence[Path]) -> None:
    extra = sorted({entry.name for entry in task.glob("*") if entry.is_dir()} - {folder.name for folder in folders})
    if extra:
        raise CohortError(
            f"{task} holds {len(extra)} case(s) more than asked for ({', '.join(extra[:3])}, …); "
            "ask for at least as many cases per center, or choose another folder"
        )


def _write_case(root: Path, center: Center, index: int, seed: int, pixel_mm: float | None, trap: str | None) -> str:
    case = generate_case(center, index, seed=seed, pixel_mm=pixel_mm, trap=trap)
    partial = root / _PARTIAL / case.case_id
    partial.mkdir(parents=True)
    _write_images(partial, case, trap)
    final = root / TASK_FOLDER / case.case_id
    final.parent.mkdir(exist_ok=True)
    os.replace(partial, final)
    return case.case_id


def _write_images(folder: Path, case: Case, trap: str | None) -> None:
    ct_path = folder / f"{case.case_id}__CT.nii.gz"
    write_image(ct_path, case.ct, case.ct_grid)
    if trap == "unreadable-ct":
        ct_path.write_bytes(b"this is not a NIfTI file\n" * 64)
    if trap != "missing-pet":
        write_image(folder / f"{case.case_id}__PT.nii.gz", case.pet, case.pet_grid)
    write_image(folder / f"{case.case_id}.nii.gz", case.label, case.ct_grid)


def _write_tables(task: Path, rows: Sequence[tuple[dict[str, str | int | float], float | None]]) -> None:
    _write_csv(task / CSV_NAME, list(rows[0][0]), [list(clinical.values()) for clinical, _ in rows])
    tags = [[clinical["PatientID"], "BQML", repr(factor)] for clinical, factor in rows if factor is not None]
    if tags:
        _write_csv(task / TAGS_NAME, ["pid", "units", "bqml_to_suvbw_factor"], tags)


def _write_csv(path: Path, header: list[str], rows: list[list[Any]]) -> None:
    with atomic_write(path) as partial, partial.open("w", newline="", encoding="utf-8") as handle:
        csv.writer(handle, lineterminator="\n").writerows([header, *rows])
