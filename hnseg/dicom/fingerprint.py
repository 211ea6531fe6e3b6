"""By what a later run recognizes its input: hashes of image data, from which no name, date or UID can be guessed."""

from __future__ import annotations

import hashlib
import os

from hnseg.dicom.series.records import SeriesRecord
from ssimh.files.artifact_cache import hash_file

_DIGITS = 32


def hash_source(record: SeriesRecord) -> str:
    """Hash by which a study is known from run to run: of the file of an image's first slice.

    A hash of identifiers alone could be inverted by trying all of them; the noise of an image cannot be tried.
    """
    return hash_file(record.files[0])[:_DIGITS]


def hash_series(record: SeriesRecord) -> str:
    """Hash of the input of a case: of the first file, and of size and time of change of every file."""
    digest = hashlib.sha256(hash_source(record).encode())
    for status in sorted((os.stat(path).st_size, os.stat(path).st_mtime_ns) for path in record.files):
        digest.update(repr(status).encode())
    return digest.hexdigest()[:_DIGITS]
