"""Spectrum swapping in the box of the reference, for images on any grid."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimh._kernels.arrays import check_threshold, normalize_axes
from ssimh._kernels.least_squares import Box, add_in_box, as_wide, fit_in_box, interpolate_slices
from ssimh._kernels.settings import SwapSettings
from ssimh.applied_field import AppliedField
from ssimh.box import affine_of, check_affine, locate_in_box, move_box
from ssimh.reference import ReferenceSpectrum


@dataclass(frozen=True, eq=False)
class Placement:
    """Where an image lies in the world, and where the reference's box is to lie in it; see ``swap_spectrum``."""

    affine: Any = None
    center_mm: Any = None
    landmark_mm: Any = None

    def refuse(self, grid: str) -> None:
        """Refuse everything that another grid than ``"physical"`` would ignore.

        Raises:
            ValueError: something is stated.
        """
        given = [name for name in ("affine", "center_mm", "landmark_mm") if getattr(self, name) is not None]
        if given:
            raise ValueError(f'{", ".join(given)} has an effect with grid="physical" only; given is grid={grid!r}.')


NOWHERE = Placement()


def swap_in_box(
    image: Any, reference: Any, settings: SwapSettings, placement: Placement, inside: Any | None
) -> tuple[Any, AppliedField]:
    """Image with its field in the reference's box moved towards the reference's, and the field that was added.

    Args:
        image: array or tensor of three axes or more, checked; the last three are spatial.
        reference: a reference with an affine, or with voxel sizes and an orientation if a center is given.
        settings: of the swap; ``axes`` are those of the reference.
        placement: of the image and the box.
        inside: mask that broadcasts to the image, or None.

    Raises:
        TypeError: a reference that is an image.
        ValueError: what does not fit, see ``swap_spectrum``.
    """
    settings = _check(image, reference, settings, placement)
    image_affine = check_affine(placement.affine, "affine")
    box_affine = move_box(
        _box_affine(reference, placement), reference.shape, placement.center_mm, placement.landmark_mm
    )
    box, order = locate_in_box(image_affine, image.shape, box_affine, reference.shape)
    axes = tuple(axis - 3 for axis in range(3) if order[axis] - 3 in settings.axes)
    target = reference.coefficients_for(reference.shape, replace(settings, spacing_mm=None, orientation=None))
    if inside is not None and inside.ndim < 3:
        spatial = tuple(image.shape[-3:])
        inside = np.broadcast_to(inside, spatial) if isinstance(inside, np.ndarray) else inside.expand(spatial)
    if settings.threshold == 0:  # a field of nothing, for the limits of clip and the record
        delta = as_wide(np.zeros([1 if axis in axes else _count(image, box, axis) for axis in (-3, -2, -1)]), image)
    else:
        lead = target.ndim - 3
        wanted = as_wide(target.transpose(*range(lead), *(lead + axis for axis in order)), image)
        own = fit_in_box(image, box, inside, settings.threshold, axes)
        share = as_wide(replace(settings, axes=axes).weight(image.ndim), image)
        delta = (interpolate_slices(wanted, box, axes, image.shape) - own) * share
    out = add_in_box(image, delta, box, inside, axes, settings.clip)
    return out, AppliedField(delta.detach() if hasattr(delta, "detach") else delta, axes, inside, box)


def _count(image: Any, box: Box, axis: int) -> int:
    """Number of the image's slices whose center is in the box."""
    part = box[axis + 3].centered(image.shape[axis])
    return int(part.stop) - int(part.start)


def _check(image: Any, reference: Any, settings: SwapSettings, placement: Placement) -> SwapSettings:
    """The settings with axes counted from the end, after refusing what ``"physical"`` cannot use."""
    if not isinstance(reference, ReferenceSpectrum):
        raise TypeError(
            f'grid="physical" needs a ReferenceSpectrum that knows its box; given {type(reference).__name__}. Make one '
            "with ReferenceSpectrum.from_image(image, affine=…)."
        )
    given = [name for name in ("spacing_mm", "orientation", "workers") if getattr(settings, name) is not None]
    if given or settings.method == "fft":
        names = ", ".join([*given, *(["method='fft'"] if settings.method == "fft" else [])])
        raise ValueError(
            f'{names} has no effect with grid="physical"; leave it out (the affine says where voxels are, and small '
            "products of one thread fit the coefficients)."
        )
    if placement.affine is None:
        raise ValueError(
            'grid="physical" needs affine=, 4 × 4, from the voxel index of the image\'s last three axes to RAS+ '
            "millimeters; given none."
        )
    axes = normalize_axes(settings.axes, image.ndim, "image")
    if image.ndim < 3 or len(reference.shape) < 3 or min(axes) < -3:
        raise ValueError(
            'grid="physical" works on the last three axes of image and reference; given shapes '
            f"{tuple(image.shape)} and {reference.shape}, axes {axes}."
        )
    if tuple(image.shape[-len(reference.shape) : -3]) != reference.shape[:-3]:
        raise ValueError(
            f"the image has shape {tuple(image.shape)}, the reference {reference.shape}; all axes before the last "
            "three must agree, or be the image's alone."
        )
    threshold = check_threshold(settings.threshold, reference.shape, reference.axes, "the reference")
    return replace(settings, axes=axes, threshold=threshold)


def _box_affine(reference: ReferenceSpectrum, placement: Placement) -> NDArray[np.float64]:
    if placement.center_mm is not None and placement.landmark_mm is not None:
        raise ValueError(
            f"center_mm={placement.center_mm} and landmark_mm={placement.landmark_mm} both place the box; give one."
        )
    if reference.affine is not None:
        return np.array(reference.affine)
    steps, letters = reference.spacing_mm, reference.orientation
    if (
        placement.center_mm is not None
        and steps is not None
        and letters is not None
        and len(steps) == len(letters) == 3
    ):
        return affine_of(steps, letters)
    raise ValueError(
        'the reference states no affine, which grid="physical" places its box by: fit it with affine=, or give '
        "center_mm= with a reference that states spacing_mm and orientation "
        f"(stated: spacing_mm={steps}, orientation={letters})."
    )
