"""Conversion between MONAI's tensors and the library's functions: axes, orientation, voxel sizes, units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from monai.config import NdarrayOrTensor
from monai.data import MetaTensor, get_track_meta
from monai.utils import convert_to_dst_type, convert_to_tensor
from numpy.typing import NDArray

from ssimh._kernels import checks
from ssimh._kernels.arrays import to_numpy
from ssimh._kernels.torch_kernel import output_dtype
from ssimh.orientation import orientation_of, spacing_of
from ssimh.units import unit_from_metadata


def check_mode(mode: str, slice_axis: int | str) -> None:
    """Refuse an unknown mode or slice axis when the transform is built.

    Raises:
        ValueError: ``mode`` is unknown, or ``slice_axis`` neither an index nor ``"axial"``.
    """
    checks.check_mode(mode)
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


def spacing_mm(image: Any) -> tuple[float, ...] | None:
    """Voxel sizes as the affine of a three-dimensional MetaTensor states them, otherwise None.

    MONAI gives the identity to every image without an affine, so that one states nothing.
    """
    if not isinstance(image, MetaTensor) or image.ndim != 4:
        return None
    return spacing_of(to_numpy(image.affine))


def zyx_spacing_mm(image: Any, axes: tuple[int, ...], stated: Sequence[float] | None) -> tuple[float, ...] | None:
    """Voxel size along (z, y, x): what the caller stated, else that of a MetaTensor with an affine, otherwise None.

    Args:
        image: the image.
        axes: its axes that are z, y and x.
        stated: voxel size along (z, y, x), or None.
    """
    if stated is not None:
        return tuple(stated)
    own = spacing_mm(image)
    return None if own is None else tuple(own[axis] for axis in axes)


def affine(image: Any) -> NDArray[Any] | None:
    """The 4 × 4 affine, to RAS+ millimeters, of a three-dimensional MetaTensor that states one, otherwise None."""
    return None if spacing_mm(image) is None else to_numpy(image.affine)


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
    return axes_of(spatial, mode, slice_axis)


def axes_of(spatial: int, mode: str, slice_axis: int | str) -> tuple[int, ...]:
    """Axes of the transform for a number of spatial axes, counted from the end; the slice axis is an index."""
    axes = list(range(-spatial, 0))
    if mode == "slice" and spatial > 2:
        axes.pop(int(slice_axis))
    return tuple(axes)
