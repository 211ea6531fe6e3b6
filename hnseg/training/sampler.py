"""Lesion-aware patch positions, from stored voxel indices."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hnseg.preprocessing.prepared_case import PreparedCase
from hnseg.settings.train import TrainConfig

Triple = tuple[int, int, int]
Index = NDArray[np.int64]


@dataclass(frozen=True)
class PatchSampler:
    """Where patches of one case may be centered.

    Attributes:
        shape_zyx: Shape of the volume.
        lesions: Flat voxel indices of GTVp (1) and GTVn (2); empty where a class is absent.
        lesion_ids: Number, from 1, of the lesion that each of these voxels belongs to.
        hot_voxels: Flat indices of hot voxels outside lesions.
    """

    shape_zyx: Triple
    lesions: dict[int, Index]
    lesion_ids: dict[int, NDArray[np.int32]]
    hot_voxels: Index

    @classmethod
    def from_case(cls, case: PreparedCase) -> PatchSampler:
        """Read the indices of a prepared case."""
        z, y, x = case.image.shape[1:]
        lesions = {value: case.lesion_index(value) for value in (1, 2)}
        return cls((z, y, x), lesions, {value: case.lesion_numbers(value) for value in (1, 2)}, case.hot_index())

    @cached_property
    def _by_lesion(self) -> dict[int, list[Index]]:
        """Voxels of each lesion, by class."""
        return {
            value: [self.lesions[value][numbers == number] for number in np.unique(numbers)]
            for value, numbers in self.lesion_ids.items()
        }

    def choose_center(self, config: TrainConfig, rng: np.random.Generator) -> tuple[int, Triple]:
        """Choose the class to center a patch on, then a voxel of it.

        The weights of absent classes go to the present ones in proportion. A lesion class is centered on any of its
        voxels or, with ``lesion_balance`` "lesion", on a voxel of a lesion that was chosen first, so that a small node
        is seen as often as a large one. Background is a voxel anywhere in the volume; a share ``hard_negatives`` of it
        is a hot voxel outside lesions.

        Returns:
            The class, 0, 1 or 2, and the center (z, y, x).
        """
        chance = np.asarray(config.class_weights, dtype=np.float64).copy()
        for value in (1, 2):
            if self.lesions[value].size == 0:
                chance[value] = 0.0
        if chance.sum() == 0:  # weights of (0, p, q) and no lesion at all
            chance[0] = 1.0
        value = int(rng.choice(3, p=chance / chance.sum()))
        if value == 0:
            hot = config.hard_negatives > 0 and rng.random() < config.hard_negatives and self.hot_voxels.size > 0
            flat = int(rng.choice(self.hot_voxels)) if hot else int(rng.integers(int(np.prod(self.shape_zyx))))
        elif config.lesion_balance == "lesion":
            groups = self._by_lesion[value]
            flat = int(rng.choice(groups[int(rng.integers(len(groups)))]))
        else:
            flat = int(rng.choice(self.lesions[value]))
        z, y, x = np.unravel_index(flat, self.shape_zyx)
        return value, (int(z), int(y), int(x))


def patch_start(center: Triple, patch: Triple, shape: Triple) -> Triple:
    """First voxel of a patch around ``center``, moved inside the volume.

    Along an axis where the patch is longer than the volume it starts at a negative index, so that the volume sits in
    the middle of the patch and the margins are padded.

    >>> patch_start((5, 50, 99), (64, 64, 64), (40, 100, 100))
    (-12, 18, 36)
    """
    starts = []
    for c, p, n in zip(center, patch, shape, strict=True):
        starts.append(min(max(c - p // 2, 0), n - p) if n >= p else -((p - n) // 2))
    return starts[0], starts[1], starts[2]
