"""A DICOM file that must be of one kind, and the numbers in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.datadict import tag_for_keyword
from pydicom.errors import InvalidDicomError

from hnseg.dicom.quiet import quiet_pydicom
from hnseg.errors import DicomError, HnsegError

_KNOWN_MODALITIES = ("CT", "PT", "MR", "RTSTRUCT", "RTPLAN", "RTDOSE", "REG", "SEG")  # others may be anything


def read_dataset(source: Path | Dataset, series: str, *, modality: str) -> Dataset:
    """Read a file, or take a dataset as it is.

    Args:
        source: File or dataset.
        series: Its name in errors; see :class:`hnseg.errors.DicomError`.
        modality: RTSTRUCT or SEG.

    Raises:
        DicomError: Not there, no DICOM, or of another modality.
    """
    dataset = source
    if isinstance(source, Path):
        if not source.is_file():
            raise DicomError(series, "the file does not exist")
        try:
            with quiet_pydicom(), refuse_damage(series):
                dataset = dcmread(source)
        except InvalidDicomError as error:
            raise DicomError(series, "the file is no DICOM") from error
    found = str(dataset.get("Modality", ""))  # type: ignore[union-attr]
    if found != modality:
        shown = found if found in _KNOWN_MODALITIES else "another one"
        raise DicomError(series, f"the modality is {shown}; it must be {modality}", "Modality")
    return dataset  # type: ignore[return-value]


@contextmanager
def refuse_damage(series: str) -> Iterator[None]:
    """Turn what a damaged dataset raises when its values are read into one message, without the values.

    Raises:
        DicomError: A value is not what its attribute must hold.
    """
    try:
        yield
    except (HnsegError, InvalidDicomError, MemoryError):
        raise
    except Exception as error:
        # pydicom raises errors of any type there; no text of them: it may hold values of the file.
        raise DicomError(series, f"the file is damaged: a value cannot be read ({type(error).__name__})") from error


def read_numbers(dataset: Dataset, keyword: str, series: str) -> NDArray[np.float64]:
    """Numbers of an attribute of decimal strings; none where it is missing or empty.

    A contour has thousands of them, which pydicom makes an object of each: they are read from the file's bytes.

    Raises:
        DicomError: What is there are no numbers.
    """
    tag = tag_for_keyword(keyword)
    if tag is None or tag not in dataset:
        return np.empty(0)
    value: Any = getattr(dataset.get_item(tag), "value", None)
    if isinstance(value, bytes):  # as in the file: not parsed yet
        value = [number for number in value.strip(b" \x00").split(b"\\") if number.strip()]
    if value is None or value == "":
        return np.empty(0)
    try:
        return np.asarray(value, dtype=np.float64).ravel()
    except (TypeError, ValueError):
        raise DicomError(series, "the values are no numbers", keyword) from None
