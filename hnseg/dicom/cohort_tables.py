"""Tables that a layout has beside its cases: HECKTOR's CSV, nnU-Net's ``dataset.json``."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from hnseg.cohort.labels import BACKGROUND, LESION_CLASSES
from hnseg.dicom.case_files import TASK_FOLDER, Layout, place_files
from hnseg.dicom.earlier_cases import read_complete_records
from hnseg.workdir import write_json
from ssimh.files.atomic import atomic_write

HECKTOR_CSV = "HECKTOR_2025_Training_Task_1.csv"
# Clinical data of the challenge: not in DICOM, or (age, sex) not needed, so that their cells are empty.
CLINICAL = (
    *("Age", "Gender", "Tobacco Consumption", "Alcohol Consumption", "Performance Status", "Treatment", "M-stage"),
)


def write_cohort_tables(root: Path, layout: Layout, case_ids: Iterable[str]) -> None:
    """Write the table of a cohort, of those cases that are complete.

    Args:
        root: Folder of the cohort.
        layout: Of the cohort.
        case_ids: IDs that the cohort may have.
    """
    complete = sorted(case_id for case_id in case_ids if any(read_complete_records(root, layout, case_id)))
    if not complete:
        return
    if layout == "hecktor":
        with (
            atomic_write(root / TASK_FOLDER / HECKTOR_CSV) as partial,
            partial.open("w", newline="", encoding="utf-8") as file,
        ):
            rows = [[case_id, *[""] * len(CLINICAL)] for case_id in complete]
            csv.writer(file, lineterminator="\n").writerows([["PatientID", *CLINICAL], *rows])
        return
    labeled = [case_id for case_id in complete if place_files(root, layout, case_id, has_label=True).label.is_file()]
    content = {
        "channel_names": {"0": "CT", "1": "PET"},
        "labels": {"background": BACKGROUND, **{lesion.name: lesion.value for lesion in LESION_CLASSES}},
        "numTraining": len(labeled),
        "file_ending": ".nii.gz",
    }
    write_json(root / "dataset.json", content)
