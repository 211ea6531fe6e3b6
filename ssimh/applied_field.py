"""What a swap has added to an image: enough to take it away again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ssimh._kernels.arrays import is_tensor, to_numpy
from ssimh._kernels.box_axis import BoxAxis
from ssimh._kernels.coefficients import add_field
from ssimh._kernels.inside import keep_outside, pack, unpack
from ssimh._kernels.least_squares import Box, add_in_box, as_wide


@dataclass(frozen=True)
class AppliedField:
    """The smooth field that a swap has added to an image, as coefficients, and where.

    Args:
        delta: change of the coefficients; array or tensor, as the image.
        axes: transformed axes of the image, counted from the end.
        inside: boolean array that broadcasts to the image, False where nothing was moved; None for everywhere.
        box: how the image's last three axes lie in the reference's box, with ``grid="physical"``; else None.
    """

    delta: Any
    axes: tuple[int, ...]
    inside: Any | None = None
    box: Box | None = None

    def remove_from(self, image: Any) -> Any:
        """The image as it was before the swap, to rounding, where nothing was clipped.

        Args:
            image: swapped image, array or tensor; not modified.

        Returns:
            Array of the image's kind, in the floating dtype of a result; voxels outside keep their value bit by bit.
        """
        delta, inside = self.delta, self.inside
        if is_tensor(image):
            import torch

            delta = torch.as_tensor(delta, device=image.device)
            inside = None if inside is None else torch.as_tensor(inside, device=image.device)
        else:
            delta, inside = to_numpy(delta), None if inside is None else to_numpy(inside)
        if delta.shape[self.axes[0]] == 0:
            return image
        if self.box is not None:
            return add_in_box(image, -as_wide(delta, image), self.box, inside, self.axes)
        return keep_outside(add_field(image, -delta, self.axes), image, inside)

    def to_record(self) -> dict[str, Any]:
        """The same as CPU tensors, lists and numbers, which MONAI collates; the mask takes one bit per voxel."""
        import torch

        record: dict[str, Any] = {"delta": torch.from_numpy(to_numpy(self.delta).copy()), "axes": list(self.axes)}
        if self.inside is not None:
            record["inside"] = torch.from_numpy(pack(self.inside))
            record["inside_shape"] = list(self.inside.shape)
        if self.box is not None:
            record["box"] = [[place.size, place.scale, place.offset] for place in self.box]
        return record

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> AppliedField:
        """What :meth:`to_record` gave, after any collation."""
        inside = None
        if "inside" in record:
            shape = [int(size) for size in record["inside_shape"]]
            inside = unpack(np.asarray(to_numpy(record["inside"]), dtype=np.uint8), shape)
        box: Box | None = None
        if "box" in record:
            first, second, third = (BoxAxis(int(size), float(scale), float(at)) for size, scale, at in record["box"])
            box = (first, second, third)
        return cls(record["delta"], tuple(int(axis) for axis in record["axes"]), inside, box)
