"""Pixels of a slice as values in the unit of its modality."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.utils import pixel_array

from hnseg.dicom.series.faults import SeriesFault

AIR_HU = -1024.0  # as outside of a CT, see hnseg.images.resample
# Padding is far from what a body holds; a header that calls 0 HU padding is wrong, and would punch holes into tissue.
TISSUE_HU = (-500.0, 3071.0)
LARGEST_RESCALE = 1e20  # so that every stored value fits into float32
# RescaleType of a CT that is in HU: the standard demands the attribute only for other units. US is "unspecified".
HU_TYPES = {"", "HU", "HU_MOD", "US"}


def decode_pixels(dataset: Dataset, frame: int | None) -> NDArray[Any]:
    """Stored values (y, x) of a slice or a frame, signed as the header says.

    Raises:
        SeriesFault: They cannot be decoded, or another number of bytes is stored than the header says.
    """
    if dataset.get("HighBit") is not None and dataset.HighBit != dataset.get("BitsStored", 0) - 1:
        raise SeriesFault(f"HighBit {dataset.HighBit} with {dataset.get('BitsStored')} bits stored", "HighBit")
    _check_length(dataset)
    try:
        stored = pixel_array(dataset, index=frame or 0, view_only=True)  # no copy where none is needed
    except Exception as error:  # noqa: BLE001 - decoders are foreign code, and raise anything for damaged data
        raise SeriesFault(*_why_not_decoded(dataset, error)) from None
    if stored.ndim != 2:
        raise SeriesFault("the pixels are not one image of gray values", "PixelData")
    return stored


def _check_length(dataset: Dataset) -> None:
    """Refuse native pixels of another size than the header says; a few bytes at the end may be padding."""
    syntax = dataset.file_meta.get("TransferSyntaxUID")
    if syntax is None or not syntax.is_transfer_syntax or syntax.is_encapsulated:
        return
    row = dataset.get("Columns", 0) * dataset.get("BitsAllocated", 0) // 8
    expected = row * dataset.get("Rows", 0) * int(dataset.get("NumberOfFrames") or 1)
    found = len(dataset.get("PixelData") or b"")
    if not expected <= found < expected + max(row, 2):
        raise SeriesFault(f"{found} bytes of pixels; the header announces {expected}", "PixelData")


def _why_not_decoded(dataset: Dataset, error: Exception) -> tuple[str, str]:
    """Message and attribute; names the package for a transfer syntax without one."""
    syntax = dataset.file_meta.get("TransferSyntaxUID")
    name = syntax.name if syntax is not None and syntax.keyword else "an unknown transfer syntax"
    if syntax is None or not syntax.is_transfer_syntax or not syntax.keyword:
        return f"pixels in {name}", "TransferSyntaxUID"
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        return f"pixels in {name}, which pydicom does not decode", "TransferSyntaxUID"
    if not decoder.is_available:
        choices = "; ".join(decoder.missing_dependencies)
        hint = ', or pip install "ssimh[dicom]"' if "gdcm" in choices else ""
        return f"pixels in {name}, for which no decoder is installed ({choices}){hint}", "TransferSyntaxUID"
    return f"pixels cannot be decoded ({name}; {type(error).__name__}): damaged, or not as the header says", "PixelData"


def read_rescale(header: Dataset) -> tuple[float, float]:
    """Slope and intercept, which both CT and PET must state (type 1 in PS3.3 C.8.2.1 and C.8.9.4).

    Raises:
        SeriesFault: One is missing, or is no finite number; a slope of 0 or below.
    """
    numbers = []
    for keyword in ("RescaleSlope", "RescaleIntercept"):
        value = header.get(keyword)
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise SeriesFault(f"without a valid {keyword}, which CT and PET must state", keyword) from None
        if not abs(number) <= LARGEST_RESCALE:
            raise SeriesFault(f"{keyword} is not finite, or above {LARGEST_RESCALE:g}", keyword)
        numbers.append(number)
    slope, intercept = numbers
    if slope <= 0:
        raise SeriesFault(f"RescaleSlope is {slope:g}; allowed is above 0", "RescaleSlope")
    return slope, intercept


def check_ct_unit(header: Dataset) -> str | None:
    """Whether the values of a CT are in HU; a warning where the header leaves it open.

    Raises:
        SeriesFault: The header states another unit.
    """
    rescale_type = str(header.get("RescaleType") or "").strip().upper()
    if rescale_type not in HU_TYPES:
        raise SeriesFault("RescaleType is not HU", "RescaleType")
    if rescale_type in ("US", "HU_MOD"):
        return f"RescaleType is {rescale_type}, not HU; values are read as HU"
    return None


def rescale_into(target: NDArray[Any], stored: NDArray[Any], slope: float, intercept: float) -> None:
    """Write ``stored · slope + intercept`` into a float32 array (y, x)."""
    if slope == 1.0 and intercept == int(intercept) and stored.dtype.itemsize <= 2:
        np.add(stored, np.float32(intercept), out=target, dtype=np.float32)  # exact: whole numbers below 2^24
        return
    np.add(stored * np.float64(slope), intercept, out=target, casting="same_kind")


def padding_mask(header: Dataset, stored: NDArray[Any], slope: float, intercept: float) -> NDArray[np.bool_] | None:
    """Pixels of a CT outside of what was reconstructed (PixelPaddingValue); None where there are none.

    Raises:
        SeriesFault: Values that tissue has, too, are stated as padding.
    """
    value = header.get("PixelPaddingValue")
    if not isinstance(value, int):
        return None
    limit = header.get("PixelPaddingRangeLimit")
    ends = sorted(_as_stored(bound, stored) for bound in (value, limit if isinstance(limit, int) else value))
    low, high = (bound * slope + intercept for bound in ends)
    if not (high < TISSUE_HU[0] or low > TISSUE_HU[1]):
        raise SeriesFault(
            f"PixelPaddingValue is {low:g} HU, as tissue; allowed is below {TISSUE_HU[0]:g} or above {TISSUE_HU[1]:g}",
            "PixelPaddingValue",
        )
    return (stored >= ends[0]) & (stored <= ends[1])


def _as_stored(value: int, stored: NDArray[Any]) -> int:
    """A value in the range of the pixels: headers state −2000 as 63536, too."""
    info = np.iinfo(stored.dtype)
    return (value - info.min) % (info.max - info.min + 1) + info.min
