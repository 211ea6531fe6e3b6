"""References of the TorchIO transforms: saved ones, and those fitted to an image or its file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torchio as tio

from ssimh._kernels.settings import SwapSettings
from ssimh.reference import ReferenceSpectrum
from ssimh.site.site_spectrum import SiteSpectrum
from ssimh.torchio import _image
from ssimh.units import refuse_pet

SAVED = ".npz"


def as_reference(reference: Any, settings: SwapSettings, mode: str) -> ReferenceSpectrum:
    """The reference in its small form, a few kilobytes.

    Args:
        reference: a ReferenceSpectrum; the path of a saved one (.npz) or of an image; or a TorchIO image.
        settings: of the swap; threshold, region and unit are those of the fit.
        mode: ``"slice"`` or ``"volume"``.

    Raises:
        TypeError: something else.
        ValueError: an image that cannot be a reference under these settings, or PET without ``allow_pet``.
    """
    found = _find_reference(reference, settings, mode)
    refuse_pet(found.unit, "the reference", settings.allow_pet)
    return found


def _find_reference(reference: Any, settings: SwapSettings, mode: str) -> ReferenceSpectrum:
    if isinstance(reference, ReferenceSpectrum):
        return reference
    if isinstance(reference, str | os.PathLike):
        if Path(reference).suffix.lower() == SAVED:
            return ReferenceSpectrum.load(reference)
        from ssimh.batch.swap_files import fit_reference  # reads image files

        return fit_reference(
            [Path(reference)], threshold=settings.threshold, mode=mode, region=settings.region, unit=settings.unit
        )
    if not isinstance(reference, tio.ScalarImage):
        raise TypeError(
            "reference must be a ReferenceSpectrum, the path of a saved one (.npz) or of an image, or a "
            f"torchio.ScalarImage; given {type(reference).__name__}."
        )
    spacing = _image.spacing_mm(reference)
    # One channel is a reference for images of any number of channels.
    return ReferenceSpectrum.from_image(
        reference.data[0] if reference.num_channels == 1 else reference.data,
        threshold=settings.threshold,
        axes=_image.transform_axes(reference, mode),
        region=settings.region,
        orientation=_image.orientation(reference),
        affine=None if spacing is None else reference.affine,  # states the voxel sizes, too
        unit=_image.unit(reference, settings.unit),
    )


def check_mode_of(reference: ReferenceSpectrum, mode: str) -> None:
    """Refuse a reference that was fitted in another mode; with ``grid="physical"`` its axes are those of the swap.

    Raises:
        ValueError: the modes differ.
    """
    fitted = "volume" if len(reference.axes) == 3 else "slice"
    if fitted != mode:
        raise ValueError(f"the reference was fitted with mode={fitted!r} (axes {reference.axes}); given is {mode!r}.")


def as_site(site: Any, name: str) -> SiteSpectrum:
    """The site.

    Args:
        site: a SiteSpectrum; the path of a saved one (.npz), or of an image, which is a site of one scan.
        name: of the argument, for messages.

    Raises:
        TypeError: something else.
    """
    if isinstance(site, SiteSpectrum):
        return site
    if not isinstance(site, str | os.PathLike):
        raise TypeError(
            f"{name} must be a SiteSpectrum, or the path of a saved one (.npz) or of an image; given "
            f"{type(site).__name__}."
        )
    if Path(site).suffix.lower() == SAVED:
        return SiteSpectrum.load(site)
    from ssimh.batch.site_files import fit_site  # reads image files

    return fit_site([Path(site)])
