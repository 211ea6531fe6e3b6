"""SimpleITK, loaded when first used, and its images as arrays without a copy.

Training and inference run on prepared arrays and import without SimpleITK.
"""

from __future__ import annotations

import functools
import os
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray


@functools.cache
def load_sitk() -> Any:
    """SimpleITK, held to ``OMP_NUM_THREADS``.

    joblib sets that variable in its worker processes so that they share the cores; ITK does not read it, and two
    workers with one thread per core each took twice the time of two workers with one thread.

    Raises:
        ImportError: SimpleITK is not installed; the message names the extra that installs it.
    """
    try:
        import SimpleITK as sitk
    except ModuleNotFoundError as error:
        if error.name != "SimpleITK":
            raise
        raise ImportError(
            'reading image files needs SimpleITK, which is not installed: pip install "ssimh[cli]"'
        ) from error
    limit = os.environ.get("OMP_NUM_THREADS", "")
    if limit.isdigit() and "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS" not in os.environ:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(max(1, int(limit)))
    return sitk


@functools.cache
def pixel_dtypes() -> dict[int, np.dtype[Any]]:
    """NumPy dtype of every scalar, real pixel type of SimpleITK."""
    sitk = load_sitk()
    names = ("UInt8", "Int8", "UInt16", "Int16", "UInt32", "Int32", "UInt64", "Int64", "Float32", "Float64")
    return {getattr(sitk, f"sitk{name}"): np.dtype(name.lower()) for name in names}


def to_array(image: Any) -> NDArray[Any]:
    """The voxels (z, y, x) of a SimpleITK image that nobody else changes, in the image's own memory."""
    return np.asarray(_ImageMemory(image))


class _ImageMemory:
    """The memory of an ITK image as an array that keeps the image alive: ``numpy.asarray`` copies nothing."""

    def __init__(self, image: Any) -> None:
        self._image = image
        view = load_sitk().GetArrayViewFromImage(image).__array_interface__
        self.__array_interface__ = {**view, "data": (view["data"][0], False)}  # no other owner: it may be written


def itk_reason(error: Exception) -> str:
    """The sentence of an ITK exception that a user can act on."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if any("orthonormal" in line for line in lines):
        return "the header's axes are sheared or singular; they must be perpendicular"
    if any("determine ImageIO" in line or "not recognized as a NIFTI" in line for line in lines):
        return "its beginning is damaged, or it is of no format that ITK reads"
    kept = [line for line in lines if not line.startswith("Reason:")]  # "Reason: No such file", of a file that exists
    return re.sub(r"\(0x[0-9a-f]+\)|ITK ERROR: ", "", kept[-1]) if kept else type(error).__name__
