"""References of the swap transforms: fitted once to a few kilobytes, and fitted to each image when it comes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ssimh._kernels.arrays import is_array
from ssimh._kernels.field_of_view import check_same_field
from ssimh._kernels.settings import SwapSettings
from ssimh.reference import ReferenceSpectrum
from ssimh.transforms import _adapter


@dataclass(frozen=True)
class ReferenceImage:
    """A reference image as its spectra, one for every reading of its axes that the settings admit.

    An array may come with or without a channel axis, and without an affine it does not say which of its axes runs
    from feet to head. The image that it is swapped into decides; until then every reading costs a few kilobytes.

    Args:
        shape: of the reference image.
        spectra: its spectrum for every reading.
    """

    shape: tuple[int, ...]
    spectra: tuple[ReferenceSpectrum, ...]

    def for_image(self, shape: tuple[int, ...], axes: tuple[int, ...], grid: str) -> ReferenceSpectrum:
        """The spectrum for a channel-first image of ``shape``, transformed along ``axes``.

        Raises:
            ValueError: no reading of the reference's axes gives the image's grid.
        """
        for spectrum in self.spectra:
            if spectrum.axes != axes:
                continue
            if self.shape in (shape, shape[1:]):
                return spectrum
            if grid != "same" and (len(self.shape) == len(shape) - 1 or self.shape[:1] == shape[:1]):
                return spectrum
        raise ValueError(
            f"the image has shape {shape}, the reference image {self.shape}; a reference image must be channel-first "
            f"as the image is, {shape}, or lack the channel axis, {shape[1:]}, and its slices be stacked alike (the "
            f"image is transformed along the axes {axes}, the reference along "
            f"{' or '.join(str(spectrum.axes) for spectrum in self.spectra)})."
        )


def fit_reference(
    reference: Any, *, threshold: int, mode: str, slice_axis: int | str, region: str
) -> ReferenceSpectrum | ReferenceImage | None:
    """A reference in its small form: loaded from a path, or fitted to an array with or without a channel axis.

    Raises:
        TypeError: neither path, array nor ReferenceSpectrum.
        ValueError: an array that cannot be a reference under these settings.
    """
    if reference is None or isinstance(reference, ReferenceSpectrum | ReferenceImage):
        return reference
    if isinstance(reference, str | os.PathLike):
        return ReferenceSpectrum.load(reference)
    if not is_array(reference):
        raise TypeError(
            "reference must be the path of a saved reference, a ReferenceSpectrum or an image as an array; "
            f"given {type(reference).__name__}."
        )
    values = _adapter.plain(reference) if isinstance(reference, torch.Tensor) else np.asarray(reference)
    letters, intensity_unit = _adapter.orientation(reference), _adapter.unit(reference, None)
    affine = _adapter.affine(reference)
    spectra: list[ReferenceSpectrum] = []
    problem: ValueError | None = None
    for axes in _readings(reference, mode, slice_axis):
        try:
            spectrum = ReferenceSpectrum.from_image(
                values,
                threshold=threshold,
                axes=axes,
                region=region,
                orientation=letters,
                affine=affine,  # states the voxel sizes
                unit=intensity_unit,
            )
        except ValueError as error:  # a grid that is too small for one reading may be large enough for another
            problem = problem or error
        else:
            spectra.append(spectrum)
    if not spectra:
        if problem is not None:
            raise problem
        raise ValueError(
            f"a reference image of shape {tuple(values.shape)} does not fit {mode=}, {slice_axis=}; it must be "
            "(channel, spatial…) or (spatial…) with two spatial axes or three."
        )
    return ReferenceImage(tuple(values.shape), tuple(spectra))


def _readings(reference: Any, mode: str, slice_axis: int | str) -> list[tuple[int, ...]]:
    """Axes of the transform for every number of spatial axes that a reference image may have."""
    if _adapter.orientation(reference) is not None:
        return [_adapter.transform_axes(reference, mode, slice_axis)]
    found: list[tuple[int, ...]] = []
    # The first reading is the channel-first one; with 2-D slices a leading axis is a channel or the third dimension.
    for spatial in (reference.ndim - 1, reference.ndim):
        if not 2 <= spatial <= max(3, reference.ndim - 1):
            continue
        stacked: Sequence[int | str] = range(spatial) if slice_axis == "axial" else (slice_axis,)
        if mode == "slice" and spatial > 2:
            stacked = [axis for axis in stacked if -spatial <= int(axis) < spatial]
        else:
            stacked = stacked[:1]
        found += [_adapter.axes_of(spatial, mode, axis) for axis in stacked]
    return list(dict.fromkeys(found))


def for_box(reference: Any, mode: str) -> ReferenceSpectrum:
    """The reference as it lies in its own box, for ``grid="physical"``.

    Args:
        reference: ReferenceSpectrum or ReferenceImage.
        mode: that its axes must be those of.

    Raises:
        ValueError: a reference of the other mode.
    """
    spectrum: ReferenceSpectrum = reference.spectra[0] if isinstance(reference, ReferenceImage) else reference
    if len(spectrum.axes) != (2 if mode == "slice" else 3):
        raise ValueError(f"mode={mode!r}, but the reference was fitted for axes {spectrum.axes}.")
    return spectrum


def for_image(reference: Any, image: torch.Tensor, settings: SwapSettings) -> Any:
    """The reference for a channel-first image, turned to its orientation (which is exact) where both state one.

    Args:
        reference: path, ReferenceSpectrum, ReferenceImage, array or tensor.
        image: (C, spatial…).
        settings: axes of the transform, and what the image states about itself.

    Raises:
        ValueError: a reference image on another grid, or in another orientation or with other voxel sizes.
    """
    letters = settings.orientation
    if isinstance(reference, str | os.PathLike):
        reference = ReferenceSpectrum.load(reference)
    if isinstance(reference, ReferenceImage):
        turned = letters is not None and reference.spectra[0].orientation not in (None, letters)
        reference = (
            reference.spectra[0] if turned else reference.for_image(tuple(image.shape), settings.axes, settings.grid)
        )
    if isinstance(reference, ReferenceSpectrum):
        turned = letters is not None and reference.orientation not in (None, letters)
        return reference.for_orientation(letters) if turned and letters is not None else reference
    theirs = _adapter.orientation(reference)
    if letters is not None and theirs is not None and letters != theirs:
        raise ValueError(
            f"the image has orientation {letters}, the reference image {theirs}; bring both to one orientation, "
            "for instance with MONAI's Orientationd."
        )
    if isinstance(reference, torch.Tensor):
        spacing = _adapter.spacing_mm(reference)
        check_same_field(image.shape, settings.spacing_mm, reference.shape, spacing, "the image")
        return _adapter.plain(reference)
    return reference
