"""Record of one PET of a site: the power spectra of its uptake and of its noise."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimh._kernels.arrays import check_array, check_finite, to_numpy
from ssimh.site.power_spectrum import uptake_spectrum
from ssimh.site.subjects import PET_SUBJECT
from ssimh.site.volume import check_spacing, to_zyx


def fit_pet_subject(image: Any, mask: Any, spacing_mm: Any, axes_zyx: tuple[int, ...]) -> NDArray[Any]:
    """One subject, as an array of dtype ``PET_SUBJECT`` without axes.

    Args:
        image: array or tensor of three axes, SUV.
        mask: None; the uptake itself says where the body is.
        spacing_mm: voxel size along (z, y, x).
        axes_zyx: axes that are z, y and x.

    Raises:
        TypeError: not an array, or boolean or complex.
        ValueError: a mask, no spacing, or what :func:`ssimh.site.power_spectrum.uptake_spectrum` refuses.
    """
    check_array(image, "image")
    if mask is not None:
        raise ValueError("masks are for CT; in a PET the uptake itself says where the body is.")
    if spacing_mm is None:
        raise ValueError("spacing_mm is missing; a site of PET needs the voxel size along (z, y, x) of every image.")
    steps = check_spacing(spacing_mm)
    values = to_zyx(to_numpy(image), axes_zyx, "image")
    check_finite(values, "image")
    subject = np.zeros((), PET_SUBJECT)
    subject["power_mm3"], subject["noise_mm3"] = uptake_spectrum(values, steps)
    return subject
