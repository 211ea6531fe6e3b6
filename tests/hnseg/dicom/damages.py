"""Damages of a study: each takes its folder and what :func:`tests.hnseg.dicom.studies.make_study` has written."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pydicom
from pydicom import Dataset

from tests.hnseg.dicom import studies


def without(part: str) -> Callable[[Path, dict[str, list[Dataset]]], None]:
    """Remove the folder of a part."""
    return lambda home, written: shutil.rmtree(home / part)


def truncate(home: Path, written: dict[str, list[Dataset]]) -> None:
    """Cut a file of the PET."""
    path = max((home / "pet").iterdir())
    path.write_bytes(path.read_bytes()[:-40])


def truncate_contours(home: Path, written: dict[str, list[Dataset]]) -> None:
    """Cut the RTSTRUCT."""
    path = home / "rt" / "contours"
    path.write_bytes(path.read_bytes()[:-40])


def repeat_uid(home: Path, written: dict[str, list[Dataset]]) -> None:
    """Add an image of the CT with the UID of another one."""
    path = max((home / "ct").iterdir())
    dataset = pydicom.dcmread(path)
    dataset.PixelData = bytes(len(dataset.PixelData))
    dataset.save_as(home / "ct" / "again")


def move_contours(home: Path, written: dict[str, list[Dataset]]) -> None:
    """Move the first structure out of the image."""

    def edit(dataset: Dataset, _: int) -> None:
        for contour in dataset.ROIContourSequence[0].ContourSequence:
            contour.ContourData = [float(value) + 500 * (n % 3 == 0) for n, value in enumerate(contour.ContourData)]

    studies.write_contours(home / "rt" / "contours", written["ct"], ["GTVp"], edit=edit)
