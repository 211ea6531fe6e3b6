"""Arguments that are one for all images, or one per image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import Any

import numpy as np


def zip_per_image(
    images: Iterable[Any], masks: Iterable[Any] | None, spacing_mm: Sequence[Any] | None
) -> Iterator[tuple[Any, Any, Any]]:
    """Image, mask and voxel size of each subject, one at a time.

    Args:
        images: any iterable.
        masks: one per image, or None.
        spacing_mm: voxel sizes: one sequence of numbers for all images, one per image, or None.

    Raises:
        ValueError: another number of masks or spacings than of images.
    """
    per_image = spacing_mm is not None and len(spacing_mm) > 0 and np.ndim(spacing_mm[0]) > 0
    ends = object()
    others: list[Iterator[Any]] = [
        iter(repeat(None) if masks is None else masks),
        iter(spacing_mm if per_image and spacing_mm is not None else repeat(spacing_mm)),
    ]
    for image in images:
        mask, step = (next(other, ends) for other in others)
        if mask is ends or step is ends:
            raise ValueError("there are fewer masks or spacings than images; give one for each.")
        yield image, mask, step
    if (masks is not None and next(others[0], ends) is not ends) or (per_image and next(others[1], ends) is not ends):
        raise ValueError("there are more masks or spacings than images; give one for each.")
