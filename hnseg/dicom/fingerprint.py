"""By what a later run recognizes its input: hashes of image data, from which no name, date or UID can be guessed."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pydicom import dcmread

from hnseg.dicom.quiet import quiet_pydicom
from hnseg.dicom.series.records import SeriesRecord, SliceRecord
from ssimh.files.artifact_cache import hash_file

_DIGITS = 32


def hash_source(record: SeriesRecord) -> tuple[str, str]:
    """Two hashes by which a study is known from run to run, of one slice: of pixels and geometry, and of its file.

    The first stays the same when a header is corrected. It holds no identifier: who has the pixels could find one by
    trying all of them. The second tells two studies with the same images apart.

    The slice lies in the inner half of the series, where there is something to be seen. Of these it is the one whose
    position has the smallest hash: most often the same one when slices are added at an end.
    """
    quarter = len(record.slices) // 4
    inner = record.slices[quarter : len(record.slices) - quarter]
    chosen = min(inner, key=lambda part: _hash(repr(part.position_mm).encode()))
    return _hash(repr(_geometry(chosen)).encode() + _pixels(chosen)), hash_file(Path(chosen.path))[:_DIGITS]


def hash_series(record: SeriesRecord) -> str:
    """Hash of the input of a case: of the first file, and of size and time of change of every file."""
    digest = hashlib.sha256(hash_file(record.files[0]).encode())
    found = (path.stat() for path in record.files)
    for status in sorted((status.st_size, status.st_mtime_ns) for status in found):
        digest.update(repr(status).encode())
    return digest.hexdigest()[:_DIGITS]


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:_DIGITS]


def _geometry(part: SliceRecord) -> tuple[object, ...]:
    return part.frame, part.rows, part.columns, part.pixel_spacing_mm, part.orientation, part.position_mm


def _pixels(part: SliceRecord) -> bytes:
    """Pixels as the file stores them, of all frames; empty where there are none."""
    with quiet_pydicom():
        return bytes(dcmread(part.path, force=True, specific_tags=["PixelData"]).get("PixelData") or b"")
