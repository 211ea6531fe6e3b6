"""Between MONAI's tensors and the library's functions: conversion, axes, orientation, units."""

from __future__ import annotations

import os
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from monai.config import NdarrayOrTensor
from monai.data import MetaTensor, get_track_meta
from monai.utils import convert_to_dst_type, convert_to_tensor

from ssimh._kernels.arrays import is_array, to_numpy
from ssimh._kernels.torch_kernel import output_dtype
from ssimh.orientation import orientation_of
from ssimh.reference import ReferenceSpectrum
from ssimh.units import unit_from_metadata

MODES = ("slice", "volume")


def check_mode(mode: str, slice_axis: int | str) -> None:
    """Refuse an unknown mode or slice axis when the transform is built.

    Raises:
        ValueError: ``mode`` is unknown, or ``slice_axis`` neither an index nor ``"axial"``.
    """
    if mode not in MODES:
        raise ValueError(f"mode must be one of {', '.join(MODES)}; given {mode!r}.")
    if isinstance(slice_axis, bool) or not (isinstance(slice_axis, int) or slice_axis == "axial"):
        raise ValueError(f'slice_axis must be the index of a spatial axis or "axial"; given {slice_axis!r}.')


def to_tensor(image: NdarrayOrTensor) -> torch.Tensor:
    """MetaTensor where metadata is tracked, else a plain tensor; the values are not copied."""
    return convert_to_tensor(image, track_meta=get_track_meta())


def plain(image: torch.Tensor) -> torch.Tensor:
    """Tensor without metadata: a MetaTensor costs 117 µs per small operation, a Tensor 4.6."""
    return image.as_tensor() if isinstance(image, MetaTensor) else image


def wrap(values: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """``values`` with the metadata and history of ``like``, in their own dtype."""
    return convert_to_dst_type(values, dst=like, dtype=values.dtype)[0]


def unchanged(image: NdarrayOrTensor) -> torch.Tensor:
    """The image as a result that nothing was done to: a tensor of its own floating dtype, float32 for integers."""
    tensor = to_tensor(image)
    values = plain(tensor)
    return wrap(values.to(output_dtype(values.dtype), copy=True), tensor)


def orientation(image: Any) -> str | None:
    """Letters of the spatial axes as the affine of a three-dimensional MetaTensor states them, otherwise None."""
    if not isinstance(image, MetaTensor) or image.ndim != 4:
        return None
    return orientation_of(to_numpy(image.affine)[:3, :3], space="RAS")


def unit(image: Any, stated: str | None) -> str | None:
    """The unit that the caller stated, else the one in the metadata."""
    if stated is not None or not isinstance(image, MetaTensor):
        return stated
    return unit_from_metadata(image.meta)


def transform_axes(image: Any, mode: str, slice_axis: int | str) -> tuple[int, ...]:
    """Axes of the transform for a channel-first image, counted from the end.

    Raises:
        ValueError: the slice axis is outside the image, or ``"axial"`` cannot be read off an affine.
    """
    spatial = image.ndim - 1
    if spatial < 2:
        raise ValueError(
            f"image must be (channel, spatial…) with two spatial axes or more; its shape is {tuple(image.shape)}."
        )
    if slice_axis == "axial" and mode == "slice" and spatial > 2:
        letters = orientation(image)
        if letters is None:
            raise ValueError(
                'slice_axis="axial" is read off the affine of a MetaTensor with three spatial axes; given was '
                f"{type(image).__name__} of shape {tuple(image.shape)}. State the axis by its index instead."
            )
        slice_axis = next(number for number, letter in enumerate(letters) if letter in "SI")
    if slice_axis != "axial" and not -spatial <= int(slice_axis) < spatial and mode == "slice" and spatial > 2:
        raise ValueError(
            f"slice_axis={slice_axis} is outside the {spatial} spatial axes of shape {tuple(image.shape[1:])}."
        )
    return _axes(spatial, mode, slice_axis)


def _axes(spatial: int, mode: str, slice_axis: int | str) -> tuple[int, ...]:
    axes = list(range(-spatial, 0))
    if mode == "slice" and spatial > 2:
        axes.pop(int(slice_axis))
    return tuple(axes)


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

    def for_image(self, shape: tuple[int, ...], axes: tuple[int, ...]) -> ReferenceSpectrum:
        """The spectrum on the grid of a channel-first image of ``shape``, transformed along ``axes``.

        Raises:
            ValueError: no reading of the reference's axes gives the image's grid.
        """
        for spectrum in self.spectra:
            if spectrum.axes == axes and self.shape in (shape, shape[1:]):
                return spectrum
        raise ValueError(
            f"the image has shape {shape}, the reference image {self.shape}; a reference image must be channel-first "
            f"as the image is, {shape}, or lack the channel axis, {shape[1:]}, and its slices be stacked alike (the "
            f"image is transformed along the axes {axes}, the reference along "
            f"{' or '.join(str(spectrum.axes) for spectrum in self.spectra)})."
        )


def fit_reference(
    reference: Any, threshold: int, mode: str, slice_axis: int | str, region: str
) -> ReferenceSpectrum | ReferenceImage | None:
    """A reference in its small form: loaded from a path, or fitted to an array with or without a channel axis.

    Raises:
        TypeError: neither path, array nor ReferenceSpectrum.
        ValueError: an array that cannot be a reference under these settings.
    """
    if reference is None or isinstance(reference, ReferenceSpectrum):
        return reference
    if isinstance(reference, str | os.PathLike):
        return ReferenceSpectrum.load(reference)
    if not is_array(reference):
        raise TypeError(
            "reference must be the path of a saved reference, a ReferenceSpectrum or an image as an array; "
            f"given {type(reference).__name__}."
        )
    values = plain(reference) if isinstance(reference, torch.Tensor) else np.asarray(reference)
    letters, intensity_unit = orientation(reference), unit(reference, None)
    spectra: list[ReferenceSpectrum] = []
    problem: ValueError | None = None
    for axes in _readings(reference, mode, slice_axis):
        try:
            spectrum = ReferenceSpectrum.from_image(
                values, threshold, axes=axes, region=region, orientation=letters, unit=intensity_unit
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
    if orientation(reference) is not None:
        return [transform_axes(reference, mode, slice_axis)]
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
        found += [_axes(spatial, mode, axis) for axis in stacked]
    return list(dict.fromkeys(found))


def for_image(reference: Any, image: Any, axes: tuple[int, ...], letters: str | None) -> Any:
    """The reference for a channel-first image, turned to its orientation (which is exact) where both state one.

    Args:
        reference: path, ReferenceSpectrum, ReferenceImage, array or tensor.
        image: array or tensor, (C, spatial…).
        axes: axes of the transform, counted from the end.
        letters: the image's orientation, if known.
    """
    if isinstance(reference, str | os.PathLike):
        reference = ReferenceSpectrum.load(reference)
    if isinstance(reference, ReferenceImage):
        turned = letters is not None and reference.spectra[0].orientation not in (None, letters)
        reference = reference.spectra[0] if turned else reference.for_image(tuple(image.shape), axes)
    if isinstance(reference, ReferenceSpectrum):
        turned = letters is not None and reference.orientation not in (None, letters)
        return reference.reoriented(letters) if turned and letters is not None else reference
    theirs = orientation(reference)
    if letters is not None and theirs is not None and letters != theirs:
        raise ValueError(
            f"the image has orientation {letters}, the reference image {theirs}; bring both to one orientation, "
            "for instance with MONAI's Orientationd."
        )
    return plain(reference) if isinstance(reference, torch.Tensor) else reference


def check_one_reference(reference: Any, reference_key: str | None) -> None:
    """Refuse a dictionary transform with two references or none.

    Raises:
        ValueError: both or neither are given.
    """
    if (reference is None) == (reference_key is None):
        given = "None" if reference is None else type(reference).__name__
        raise ValueError(f"give exactly one of reference and reference_key; given reference={given}, {reference_key=}.")


def get_from_sample(sample: dict[Hashable, Any], key: str | None, name: str) -> Any:
    """What travels with the sample under ``key``; None where no key was asked for.

    Raises:
        KeyError: the sample lacks it.
    """
    if key is None:
        return None
    if key not in sample:
        raise KeyError(f"{name} {key!r} is not among the sample's keys {list(sample)}.")
    return sample[key]
