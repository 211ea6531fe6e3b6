"""A reference that is a file: a saved spectrum, or a CT on the crop grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import ssimh
from hnseg.cohort.cases import Case
from hnseg.cohort.unit_checks import check_ct_units
from hnseg.errors import CaseError, WorkDirError
from hnseg.images.image_io import read_image
from hnseg.preprocessing.center_sites import ORIENTATION
from hnseg.preprocessing.harmonization import AXIAL
from hnseg.settings.prepare import PrepareConfig

SPECTRUM_SUFFIX = ".npz"
TOLERANCE = 1e-3  # of a spacing and a direction cosine, relative


def check_reference_file(path: Path, config: PrepareConfig) -> None:
    """Refuse a reference file that the run's harmonization cannot use.

    Raises:
        WorkDirError: As :func:`read_reference_spectrum` and :func:`read_reference_ct`.
    """
    if config.harmonization == "spectrum-swap":
        read_reference_spectrum(path, config)
    else:
        read_reference_ct(path, config)


def read_reference_spectrum(path: Path, config: PrepareConfig) -> ssimh.ReferenceSpectrum:
    """The spectrum that ``spectrum-swap`` swaps in, from a saved one or a CT.

    Raises:
        WorkDirError: The file is missing or unreadable, holds fewer coefficients than ``prepare.swap_threshold``, or
            was made on another grid, for other axes or in another unit.
    """
    if path.suffix != SPECTRUM_SUFFIX:
        return fit_reference_spectrum(read_reference_ct(path, config), config)
    try:
        reference = ssimh.ReferenceSpectrum.load(path)
    except (OSError, ssimh.ReferenceFileError) as error:
        raise WorkDirError(f"prepare.reference: {error}") from error
    shape = config.box_vox[::-1]
    if reference.shape != shape:
        raise WorkDirError(
            f"prepare.reference: {path} is a spectrum of an image of shape {reference.shape}; the crop has {shape}, "
            f"(z, y, x) at {config.spacing_mm:g} mm"
        )
    try:
        ssimh.swap_spectrum(
            np.zeros(shape, np.float32),
            reference,
            threshold=config.swap_threshold,
            axes=AXIAL,
            spacing_mm=(config.spacing_mm,) * 3,
            orientation=ORIENTATION,
            unit="HU",
        )
    except ValueError as error:
        raise WorkDirError(
            f"prepare.reference: {path} does not fit the crop and swap_threshold {config.swap_threshold}: {error}"
        ) from error
    return reference


def fit_reference_spectrum(ct_hu: NDArray[np.float32], config: PrepareConfig) -> ssimh.ReferenceSpectrum:
    """The spectrum of a CT on the crop grid, (z, y, x) in HU."""
    return ssimh.ReferenceSpectrum.from_image(
        ct_hu, threshold=config.swap_threshold, axes=AXIAL, spacing_mm=(config.spacing_mm,) * 3, unit="HU"
    )


def read_reference_ct(path: Path, config: PrepareConfig) -> NDArray[np.float32]:
    """A CT on the crop grid, (z, y, x) in HU, clipped to the valid range; where it lies does not matter.

    Raises:
        WorkDirError: The file is missing, unreadable, a spectrum, not in HU, or on another grid.
    """
    if not path.is_file():
        raise WorkDirError(f"prepare.reference: no file {path}")
    if path.suffix == SPECTRUM_SUFFIX:
        raise WorkDirError(
            f"prepare.reference: {path}: {config.harmonization} needs a CT on the crop grid, no spectrum"
        )
    case = Case("prepare.reference", path, path, None, "")
    try:
        ct_hu, grid = read_image(path, case.id)
        check_ct_units(case, ct_hu)
    except CaseError as error:
        raise WorkDirError(str(error)) from error
    wanted = (config.spacing_mm,) * 3
    upright = np.allclose(grid.matrix, np.eye(3), atol=TOLERANCE)
    if grid.size != config.box_vox or not np.allclose(grid.spacing_mm, wanted, rtol=TOLERANCE) or not upright:
        raise WorkDirError(
            f"prepare.reference: {path} has {grid.size} voxels of {grid.spacing_mm} mm and direction {grid.direction}; "
            f"the crop has {config.box_vox} of {config.spacing_mm:g} mm, along x, y, z"
        )
    return np.clip(ct_hu, *config.valid_hu, out=ct_hu)
