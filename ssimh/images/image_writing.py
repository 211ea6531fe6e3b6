"""Writing of image files, whole or not at all; a full disk is an error with the path."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

from ssimh.files.atomic import atomic_write, raise_what_stops_writing
from ssimh.images.simpleitk import load_sitk

_HEADER_BYTES = 4096  # no NIfTI header that ITK writes is longer


def write_image_file(path: str | os.PathLike[str], image: Any, *, compression_level: int = -1) -> None:
    """Write a SimpleITK image, compressed; the file appears whole or not at all.

    Args:
        path: Its suffix names the format.
        image: SimpleITK image.
        compression_level: 1, quick, to 9, small; -1: ITK's default.

    Raises:
        OSError: The disk is full, or the file cannot be written for another reason that the system names.
        RuntimeError: ITK cannot write this image in this format.
    """
    with atomic_write(path) as temporary:
        try:
            load_sitk().WriteImage(image, str(temporary), useCompression=True, compressionLevel=compression_level)
        except RuntimeError:
            raise_what_stops_writing(temporary)
            raise
        if not _is_whole(temporary, image):
            raise_what_stops_writing(temporary)
            raise OSError(errno.EIO, "the file could not be written whole", str(path))


def _is_whole(path: Path, image: Any) -> bool:
    """Whether a NIfTI file holds as many bytes as its image; of other formats ITK itself notices."""
    name = path.name.lower()
    if not name.endswith((".nii", ".nii.gz")):
        return True
    voxels = image.GetNumberOfPixels() * image.GetNumberOfComponentsPerPixel() * image.GetSizeOfPixelComponent()
    if name.endswith(".nii"):
        return bool(0 <= path.stat().st_size - voxels <= _HEADER_BYTES)
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) < 4:
            return False
        file.seek(-4, os.SEEK_END)
        size = int.from_bytes(file.read(4), "little")  # gzip ends with the size of what it holds, modulo 2³²
    return bool((size - voxels) % 2**32 <= _HEADER_BYTES)
