"""What unpacks gzip: ``isal`` where it is installed (``pip install "ssimh[isal]"``), else Python's own ``gzip``.

Both verify the checksum and the length that every part of a file states, refuse what ends too early, and refuse
anything but zeros behind the last part. ``isal`` (https://github.com/pycompression/python-isal) takes a third to a half
of the time.
"""

from __future__ import annotations

import gzip
import zlib
from importlib import import_module
from pathlib import Path
from typing import IO, Any, cast

igzip: Any = None
isal_zlib: Any = None
try:
    igzip, isal_zlib = import_module("isal.igzip"), import_module("isal.isal_zlib")
except ModuleNotFoundError as error:
    if error.name != "isal":
        raise

BLOCK_BYTES = 2**18  # larger blocks are mapped and cleared again each time, and leave the second-level cache
# What damaged data raise.
GZIP_ERRORS: tuple[type[Exception], ...] = (EOFError, gzip.BadGzipFile, zlib.error)
if isal_zlib is not None:
    GZIP_ERRORS = (*GZIP_ERRORS, isal_zlib.error)


def has_isal() -> bool:
    """Whether gzip is unpacked by ``isal``."""
    return igzip is not None


def open_gzip(file: Path | IO[bytes]) -> IO[bytes]:
    """The unpacked bytes of a file, or of an open file from where it stands.

    Reading raises one of :data:`GZIP_ERRORS` where the data are damaged or end too early; that the checksum is right is
    known when the end has been read.
    """
    library: Any = gzip if igzip is None else igzip
    return cast(IO[bytes], library.open(file))
