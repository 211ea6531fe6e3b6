"""What a TorchIO image states about itself: axes, orientation, voxel sizes and unit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torchio as tio

from ssimh.orientation import orientation_of, spacing_of
from ssimh.units import unit_from_metadata


def orientation(image: tio.Image) -> str:
    """Letters of the three spatial axes, read off the affine."""
    return orientation_of(image.affine[:3, :3], space="RAS")


def spacing_mm(image: tio.Image) -> tuple[float, ...] | None:
    """Voxel sizes, read off the affine; None for the identity, which TorchIO gives where nothing is known."""
    return spacing_of(image.affine)


def known_affine(image: tio.Image) -> Any:
    """The affine, from voxel index to RAS+ millimeters.

    Raises:
        ValueError: it is the identity.
    """
    if spacing_mm(image) is None:
        raise ValueError(
            'grid="physical" needs to know where the image lies, and its affine is the identity, which TorchIO gives '
            "where nothing is known: give the image its affine, ScalarImage(tensor=…, affine=…)."
        )
    return image.affine


def unit(image: tio.Image, stated: str | None) -> str | None:
    """The unit that the caller stated, else the one among the image's own entries, such as ``unit="HU"``."""
    return unit_from_metadata(image) if stated is None else stated


def transform_axes(image: tio.Image, mode: str) -> tuple[int, ...]:
    """Axes of the transform, counted from the end: within the axial slices, or all three.

    An image of one slice, (C, x, y, 1), is that slice, however it lies and in either mode.
    """
    if image.is_2d():
        return (-3, -2)
    if mode == "volume":
        return (-3, -2, -1)
    axial = next(number for number, letter in enumerate(orientation(image)) if letter in "SI")
    return tuple(axis - 3 for axis in range(3) if axis != axial)


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Put the name of an image before the message of an error about it."""
    try:
        yield
    except (TypeError, ValueError) as error:
        if type(error) not in (TypeError, ValueError):
            raise
        raise type(error)(f"image {name!r}: {error}") from error


def included_images(subject: tio.Subject, transform: Any) -> dict[str, tio.ScalarImage]:
    """The images of a subject that a transform applies to, by name.

    Raises:
        KeyError: the transform names images to include, and the subject has none of them.
    """
    images = dict(transform.get_images_dict(subject))
    if not images and transform.include is not None:
        raise KeyError(
            f"{transform.name}: include={list(transform.include)}, but the subject's scalar images are "
            f"{list(subject.get_images_dict(intensity_only=True))}."
        )
    return images


def find_mask(mask: Any, image: tio.ScalarImage, subject: tio.Subject) -> Any:
    """The mask of an image: an array or tensor as it was given, or that of a label map in the subject (0 is outside).

    Raises:
        KeyError: the subject has no label map of this name.
        ValueError: the label map lies elsewhere than the image.
    """
    if not isinstance(mask, str):
        return mask
    labels = subject.get(mask)
    if not isinstance(labels, tio.LabelMap):
        names = [name for name, other in subject.items() if isinstance(other, tio.LabelMap)]
        raise KeyError(f"mask={mask!r}: the subject's label maps are {names}.")
    if not np.allclose(labels.affine, image.affine, atol=1e-3):
        raise ValueError(
            f"mask={mask!r}: its affine is {labels.affine.tolist()}, the image's {image.affine.tolist()}; bring the "
            "label map to the image's space, for instance with torchio.Resample."
        )
    return labels.data != 0
