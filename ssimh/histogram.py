"""Histogram matching: an alternative to spectrum swapping that Huang et al. (HECKTOR 2025) name in section 5."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ssimh._kernels.arrays import ArrayT, check_array, check_finite, is_tensor, to_numpy, work_dtype
from ssimh._kernels.checks import check_clip, check_mask, check_strength
from ssimh._kernels.dispatch import kernel_for
from ssimh.units import refuse_pet


def match_histogram(
    image: ArrayT,
    reference: Any,
    *,
    mask: Any = None,
    reference_mask: Any = None,
    strength: float = 1.0,
    clip: tuple[float, float] | None = None,
    unit: str | None = None,
    allow_pet: bool = False,
) -> ArrayT:
    """Give ``image`` the distribution of values of ``reference``.

    The monotonic map of values whose cumulative histogram is the reference's, over the whole array or inside masks;
    equal to ``skimage.exposure.match_histograms`` in float64. Unlike :func:`ssimh.swap_spectrum` it keeps no spatial
    relation, has no inverse and needs the reference's voxels.

    Args:
        image: NumPy array or torch tensor of any shape, integer or floating, any unit. Never modified.
        reference: array or tensor of reference values of any shape, or the path of a NumPy ``.npy`` file with one.
        mask: boolean array or 0/1 integers of the image's shape; voxels outside keep their value and do not count.
        reference_mask: boolean array or 0/1 integers of the reference's shape; voxels outside do not count.
        strength: 0 … 1, share of the way from the image's values to the matched ones.
        clip: (lowest, highest) value of the result, or None.
        unit: intensity unit of the image; PET units are refused.
        allow_pet: match PET all the same.

    Returns:
        Array of the input's kind, shape and device; floating dtypes stay, integers become float32. Tensors on a device
        are matched there and equal the host's result to rounding.

    Raises:
        TypeError: neither array nor tensor, boolean or complex values.
        ValueError: NaN or infinite values, a mask of another shape or without a voxel, settings out of range, PET.

    >>> import numpy as np
    >>> match_histogram(np.array([[1, 2], [3, 4]]), np.array([10.0, 20.0, 30.0, 40.0]))
    array([[10., 20.],
           [30., 40.]], dtype=float32)
    """
    check_array(image, "image")
    reference = load_values(reference)
    refuse_pet(unit, "the image", allow_pet)
    share, limits = check_strength(strength), check_clip(clip)
    if is_tensor(image) and image.device.type != "cpu":
        from ssimh._kernels.torch_histogram import match_histogram as match_tensor

        matched: Any = match_tensor(image, reference, mask, reference_mask, share, limits)
        return cast(ArrayT, matched)
    values, donor = to_numpy(image), to_numpy(reference)
    check_finite(values, "image")
    check_finite(donor, "reference")
    inside = ... if mask is None else check_mask(mask, values.shape)
    donor_inside = ... if reference_mask is None else check_mask(reference_mask, donor.shape, "reference_mask")
    result = values.astype(work_dtype(values.dtype))
    matched = _match(values[inside].ravel(), donor[donor_inside].ravel())
    result[inside] += share * (matched.reshape(result[inside].shape) - result[inside])
    if limits is not None:
        np.clip(result, *limits, out=result)
    return cast(ArrayT, kernel_for(image).from_host(result, image))


def load_values(reference: Any) -> Any:
    """The reference's array; a path (``str`` or ``os.PathLike``) is read as a NumPy ``.npy`` file.

    Raises:
        FileNotFoundError: no such file.
        TypeError: neither path nor array, or an array of a dtype that makes no image.
        ValueError: a file that holds anything but one array of numbers.
    """
    if isinstance(reference, str | os.PathLike):
        path = Path(reference)
        try:
            with path.open("rb") as stream:
                reference = np.lib.format.read_array(stream, allow_pickle=False)
        except (ValueError, EOFError, MemoryError) as error:
            raise ValueError(f"{path} is not a NumPy .npy file with one array of numbers: {error}") from error
    check_array(reference, "reference")
    return reference


def _match(values: NDArray[Any], donor: NDArray[Any]) -> NDArray[np.float64]:
    """Values whose cumulative histogram is the donor's, in float64; both one-dimensional.

    The arithmetic is that of ``skimage.exposure.match_histograms``, so that results agree with it to the last bit.
    """
    _, place, counts = np.unique(values.astype(np.float64), return_inverse=True, return_counts=True)
    donor_values, donor_counts = np.unique(donor.astype(np.float64), return_counts=True)
    quantiles = np.cumsum(counts) / values.size
    matched = np.interp(quantiles, np.cumsum(donor_counts) / donor.size, donor_values)
    return np.asarray(matched[place], np.float64)
