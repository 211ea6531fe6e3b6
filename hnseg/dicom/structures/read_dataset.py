"""A DICOM file that must be of one kind, and the values in it, read strictly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.datadict import tag_for_keyword
from pydicom.errors import InvalidDicomError
from pydicom.sequence import Sequence as Items

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
        DicomError: Not there, no DICOM, damaged, or of another modality.
    """
    with quiet_pydicom():
        dataset = _read_file(source, series) if isinstance(source, Path) else source
        found = read_text(dataset, "Modality", series)
    if found != modality:
        shown = found if found in _KNOWN_MODALITIES else "another one"
        raise DicomError(series, f"the modality is {shown}; it must be {modality}", "Modality")
    return dataset


def _read_file(path: Path, series: str) -> Dataset:
    if not path.is_file():
        raise DicomError(series, "the file does not exist")
    try:
        with refuse_damage(series):
            return dcmread(path)
    except InvalidDicomError as error:
        raise DicomError(series, "the file is no DICOM") from error


@contextmanager
def refuse_damage(series: str, tag: str | None = None) -> Iterator[None]:
    """Turn what pydicom raises for a damaged file into one message, without values. Only for calls of pydicom.

    Raises:
        DicomError: pydicom has raised an error.
    """
    try:
        yield
    except (HnsegError, InvalidDicomError, MemoryError):
        raise
    except Exception as error:
        # Of any type; no text of it: it may hold values of the file.
        raise DicomError(
            series, f"the file is damaged: pydicom cannot read it ({type(error).__name__})", tag
        ) from error


def read_value(dataset: Dataset, keyword: str, series: str) -> Any:
    """A value as pydicom parses it; None where it is missing.

    Raises:
        DicomError: pydicom cannot parse it.
    """
    with refuse_damage(series, keyword):
        return dataset.get(keyword)


def read_text(dataset: Dataset, keyword: str, series: str) -> str:
    """A value as text without blanks around it; empty where it is missing.

    Raises:
        DicomError: pydicom cannot parse it.
    """
    value = read_value(dataset, keyword, series)
    return "" if value is None else str(value).strip()


def list_referenced_series(dataset: Dataset, series: str) -> tuple[str, ...]:
    """UIDs of the series that an RTSTRUCT or a SEG refers to.

    Raises:
        DicomError: A value is not what its attribute must hold.
    """
    found = list(read_items(dataset, "ReferencedSeriesSequence", series))
    for frame in read_items(dataset, "ReferencedFrameOfReferenceSequence", series):
        for study in read_items(frame, "RTReferencedStudySequence", series):
            found += read_items(study, "RTReferencedSeriesSequence", series)
    return tuple(dict.fromkeys(read_text(item, "SeriesInstanceUID", series) for item in found))


def read_items(dataset: Dataset, keyword: str, series: str) -> Sequence[Dataset]:
    """Items of a sequence; none where it is missing or empty.

    Raises:
        DicomError: What is there is no sequence.
    """
    value = read_value(dataset, keyword, series)
    if isinstance(value, Items):
        return value
    if value is None or value in ("", b""):
        return ()
    raise DicomError(series, "the value is no sequence of items", keyword)


def read_integer(dataset: Dataset, keyword: str, series: str) -> int:
    """A whole number.

    Raises:
        DicomError: It is missing, or what is there is none.
    """
    try:
        return int(read_value(dataset, keyword, series))
    except (TypeError, ValueError, OverflowError):
        raise DicomError(series, "missing, or no whole number", keyword) from None


def read_numbers(dataset: Dataset, keyword: str, series: str) -> NDArray[np.float64]:
    """Numbers of an attribute of decimal strings; none where it is missing or empty.

    A contour has thousands of them, which pydicom makes an object of each: they are read from the file's bytes.

    Raises:
        DicomError: What is there are no numbers.
    """
    tag = tag_for_keyword(keyword)
    if tag is None or tag not in dataset:
        return np.empty(0)
    with refuse_damage(series, keyword):
        value: Any = getattr(dataset.get_item(tag), "value", None)
    if isinstance(value, bytes):  # as in the file: not parsed yet
        value = [number for number in value.strip(b" \x00").split(b"\\") if number.strip()]
    if value is None or value == "":
        return np.empty(0)
    try:
        return np.asarray(value, dtype=np.float64).ravel()
    except (TypeError, ValueError):
        raise DicomError(series, "the values are no numbers", keyword) from None
