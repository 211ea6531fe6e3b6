"""Image files for MONAI's ``LoadImage``, read strictly."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from monai.config import PathLike
from monai.data import ImageReader
from monai.utils import MetaKeys, SpaceKeys, ensure_tuple
from numpy.typing import NDArray

from ssimh.images.image_file import ImageHeader, read_image_file
from ssimh.images.scan import has_image_suffix

NO_TEXT = "[UNKNOWN_PRINT_CHARACTERISTICS]"  # ITK's, of a field that is a number or a matrix


class StrictReader(ImageReader):
    """Reader for MONAI's ``LoadImage`` that refuses what :func:`ssimh.images.image_file.read_image_file` refuses.

    ``LoadImage(reader=StrictReader)``, ``LoadImaged("image", reader=StrictReader)`` or ``reader="ssimh.StrictReader"``.
    Array, affine and metadata of a sound file are those of MONAI's ``ITKReader``: the axes are (x, y, z), the affine
    leads to RAS+ millimeters, several files become channels (``qfac`` and ``qto_xyz`` of NIfTI, which are no text, are
    left out). A damaged, contradictory or unverifiable file raises
    :class:`ssimh.images.image_file.ImageFileError`. Scalar images of two or three dimensions and folders with one DICOM
    series; a trailing axis of length one is dropped, which ``ensure_channel_first=True`` does to ITK's arrays, too.

    ``read`` remembers the names and ``get_data`` reads: ``LoadImage`` takes an error of ``read`` for "cannot read this
    format" and gives the file to its other readers, which accept what is refused here.
    """

    def verify_suffix(self, filename: Sequence[PathLike] | PathLike) -> bool:
        """Whether every file has a suffix of the strict reader, or is a folder."""
        paths = [Path(name) for name in ensure_tuple(filename)]
        return all(path.is_dir() or has_image_suffix(path) for path in paths)

    def read(self, data: Sequence[PathLike] | PathLike) -> tuple[Path, ...]:
        """The names of the files, as :meth:`get_data` takes them; nothing is read.

        Args:
            data: file or folder with one DICOM series, or several that are stacked as channels.
        """
        return tuple(Path(os.fspath(name)) for name in ensure_tuple(data))

    def get_data(self, img: Sequence[Path]) -> tuple[NDArray[Any], dict[str, Any]]:
        """Read the files.

        Args:
            img: from :meth:`read`.

        Returns:
            ``(values, metadata)``: a contiguous (x, y, z) or (x, y) array in the file's own type, slope and intercept
            applied, or (channel, x, y, z) of several files in the type that holds them all; and what MONAI's
            ``ITKReader`` gives, of the first file.

        Raises:
            ImageFileError: A file is damaged, contradictory, or cannot be verified.
            ValueError: Files that are stacked have other shapes or lie elsewhere.
        """
        read = [read_image_file(path) for path in img]
        headers = [header for _, header in read]
        metadata = _metadata(headers[0])
        for header in headers[1:]:
            _check_same_place(header, headers[0])
        if len(read) == 1:
            return _transposed(read[0][0], np.empty(headers[0].size, read[0][0].dtype)), metadata
        values = np.empty((len(read), *headers[0].size), np.result_type(*(values.dtype for values, _ in read)))
        for number, (channel, _) in enumerate(read):
            _transposed(channel, values[number])
        metadata[MetaKeys.ORIGINAL_CHANNEL_DIM] = 0
        return values, metadata


def _metadata(header: ImageHeader) -> dict[str, Any]:
    """What MONAI's ``ITKReader`` states of an image without a channel axis."""
    affine = _affine(header)
    fields = {
        key: text for key, text in header.metadata.items() if not key.startswith("ITK_") and text.strip() != NO_TEXT
    }
    return {
        **fields,
        "spacing": np.asarray(header.spacing_mm),
        MetaKeys.ORIGINAL_AFFINE: affine,
        MetaKeys.SPACE: SpaceKeys.RAS,
        MetaKeys.AFFINE: affine.copy(),
        MetaKeys.SPATIAL_SHAPE: np.asarray(header.size),
        MetaKeys.ORIGINAL_CHANNEL_DIM: float("nan"),
    }


def _affine(header: ImageHeader) -> NDArray[np.float64]:
    """Index (x, y, z) to RAS+ millimeters, 4 × 4, or 3 × 3 of two dimensions; ITK's frame is LPS+."""
    n = len(header.size)
    affine = np.eye(n + 1)
    affine[:n, :n] = np.asarray(header.direction).reshape(n, n) * header.spacing_mm
    affine[:n, n] = header.origin_mm
    affine[:2] *= -1
    return affine


def _check_same_place(header: ImageHeader, first: ImageHeader) -> None:
    """Refuse channels of other shapes or places, as MONAI does; the message names both files."""
    if header.size != first.size:
        raise ValueError(
            f"{header.path} has {header.size} voxels along (x, y, z), {first.path} {first.size}; channels of one image "
            "must have the same."
        )
    if not np.allclose(_affine(header), _affine(first)):
        raise ValueError(
            f"{header.path} has the affine {_affine(header).tolist()}, {first.path} {_affine(first).tolist()}; "
            "channels of one image must have the same."
        )


def _transposed(values: NDArray[Any], out: NDArray[Any]) -> NDArray[Any]:
    """Write (z, y, x) or (y, x) values with reversed axes into ``out``.

    Row by row two to three times faster than NumPy's own transposition, which leaves the cache at every voxel.
    """
    if values.ndim == 2:
        np.copyto(out, values.T)
        return out
    for row in range(values.shape[1]):
        np.copyto(out[:, row], values[:, row].T)
    return out
