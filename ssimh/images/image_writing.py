"""Writing of image files, whole or not at all; a full disk is an error with the path."""

from __future__ import annotations

import errno
import gzip
import os
import shutil
from pathlib import Path
from typing import Any

from ssimh.files.atomic import atomic_write, name_in_errors, raise_what_stops_writing
from ssimh.images.simpleitk import load_sitk

_CHUNK_BYTES = 1 << 20
_HEADER_BYTES = 4096  # no NIfTI header that ITK writes is longer


def write_image_file(path: str | os.PathLike[str], image: Any, *, compression_level: int = 3) -> None:
    """Write a SimpleITK image, compressed; the file appears whole or not at all.

    ITK takes no level for NIfTI: it compresses at a level of its own, which takes four times as long as level 1 for a
    noisy CT and saves 7 % of the size. So ITK writes ``.nii``, and Python's zlib compresses it.

    Args:
        path: Its suffix names the format.
        image: SimpleITK image.
        compression_level: 1, quick, to 9, small; 3 takes half the time of ITK's own for NIfTI, for 2 % of the size.

    Raises:
        OSError: The disk is full, or the file cannot be written for another reason that the system names.
        RuntimeError: ITK cannot write this image in this format.
    """
    with atomic_write(path) as temporary:
        if not temporary.name.lower().endswith(".nii.gz"):
            _write(temporary, image, compression_level)
            return
        plain = temporary.with_suffix("")  # a leftover of a killed process by its name, too
        try:
            with name_in_errors(Path(path), plain):
                _write(plain, image, compression_level)
            with (
                plain.open("rb") as source,
                temporary.open("wb") as target,
                # Without a name and a time, equal images give equal files.
                gzip.GzipFile("", "wb", compression_level, target, mtime=0) as compressed,
            ):
                shutil.copyfileobj(source, compressed, _CHUNK_BYTES)
        finally:
            plain.unlink(missing_ok=True)


def _write(path: Path, image: Any, compression_level: int) -> None:
    """Let ITK write a file, and see that it is whole."""
    try:
        load_sitk().WriteImage(image, str(path), useCompression=True, compressionLevel=compression_level)
    except RuntimeError:
        raise_what_stops_writing(path)
        raise
    if not _is_whole(path, image):
        raise_what_stops_writing(path)
        raise OSError(errno.EIO, "the file could not be written whole", str(path))


def _is_whole(path: Path, image: Any) -> bool:
    """Whether a NIfTI file holds as many bytes as its image; of other formats ITK itself notices."""
    if path.suffix.lower() != ".nii":
        return True
    voxels = image.GetNumberOfPixels() * image.GetNumberOfComponentsPerPixel() * image.GetSizeOfPixelComponent()
    return bool(0 <= path.stat().st_size - voxels <= _HEADER_BYTES)
