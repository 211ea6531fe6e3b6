"""Between MONAI's tensors and the library's functions: conversion, axes, orientation, units."""

from __future__ import annotations

import os
from collections.abc import Hashable
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
    axes = list(range(-spatial, 0))
    if spatial < 2:
        raise ValueError(
            f"image must be (channel, spatial…) with two spatial axes or more; its shape is {image.shape}."
        )
    if mode == "volume" or spatial == 2:
        return tuple(axes)
    if slice_axis == "axial":
        letters = orientation(image)
        if letters is None:
            raise ValueError(
                'slice_axis="axial" is read off the affine of a MetaTensor with three spatial axes; given was '
                f"{type(image).__name__} of shape {tuple(image.shape)}. State the axis by its index instead."
            )
        slice_axis = next(number for number, letter in enumerate(letters) if letter in "SI")
    if not isinstance(slice_axis, int) or not -spatial <= slice_axis < spatial:
        raise ValueError(f"slice_axis={slice_axis} is outside the {spatial} spatial axes of shape {image.shape[1:]}.")
    axes.pop(slice_axis)
    return tuple(axes)


def fit_reference(
    reference: Any, threshold: int, mode: str, slice_axis: int | str, region: str
) -> ReferenceSpectrum | None:
    """A reference in its small form: loaded from a path, or fitted to a channel-first array.

    Raises:
        TypeError: neither path, array nor ReferenceSpectrum.
    """
    if reference is None or isinstance(reference, ReferenceSpectrum):
        return reference
    if isinstance(reference, str | os.PathLike):
        return ReferenceSpectrum.load(reference)
    if not is_array(reference):
        raise TypeError(
            "reference must be the path of a saved reference, a ReferenceSpectrum or a channel-first array; "
            f"given {type(reference).__name__}."
        )
    axes = transform_axes(reference, mode, slice_axis)
    values = plain(reference) if isinstance(reference, torch.Tensor) else np.asarray(reference)
    return ReferenceSpectrum.from_image(
        values, threshold, axes=axes, region=region, orientation=orientation(reference), unit=unit(reference, None)
    )


def for_image(reference: Any, letters: str | None) -> Any:
    """The reference turned to the image's orientation, which is exact, where both state one."""
    if isinstance(reference, str | os.PathLike):
        reference = ReferenceSpectrum.load(reference)
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
