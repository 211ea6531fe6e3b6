"""Training patches: where they come from is a pure function of (seed, fold, epoch, position).

No random state lives between two patches. So a run that resumes in any epoch, with any number of data-loading
processes, sees the very patches that an uninterrupted run would have seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from hnseg.config import TrainConfig
from hnseg.store import PreparedCase
from hnseg.train.augment import Augmentation
from hnseg.train.sampling import Positions, patch_start

CACHE_BYTES = 2 * 2**30  # cohorts below this stay decoded in memory
OUTSIDE = 0.5  # sigmoid(0): air in CT, roughly the mean in PET


class PatchDataset(Dataset[dict[str, torch.Tensor]]):
    """One epoch's patches.

    Parameters
    ----------
    cases : sequence of PreparedCase
        With labels.
    config : TrainConfig
    seed, fold, epoch : int
        Together with the position they determine every draw.
    augment : bool
        Change the patches here; without it that is left to whoever has them on a device.

    Items are dictionaries of ``image`` (2, z, y, x), ``label`` (1, z, y, x), ``case``, the position of the case in
    ``cases``, and ``seed`` of the random change. Changed patches are float32, others float16 and uint8, as they are
    stored: less than half of the bytes to hand on.
    """

    def __init__(
        self, cases: Sequence[PreparedCase], config: TrainConfig, seed: int, fold: int, *, augment: bool = True
    ) -> None:
        self.cases = list(cases)
        self.config = config
        self.seed = seed
        self.fold = fold
        self.epoch = 0
        self._augment = Augmentation(config.augment, config.patch_zyx) if augment else None
        self._positions = [Positions.of(case) for case in self.cases]
        size = sum(case.image.nbytes + case.label.nbytes for case in self.cases if case.label is not None)
        self._keep = size <= CACHE_BYTES
        self._kept: dict[int, tuple[NDArray[np.float16], NDArray[np.uint8]]] = {}

    def __len__(self) -> int:
        return len(self.cases) * self.config.patches_per_case

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose patches come next."""
        self.epoch = epoch

    def __getitem__(self, position: int) -> dict[str, torch.Tensor]:
        if not 0 <= position < len(self):
            raise IndexError(position)
        order = np.random.default_rng([self.seed, self.fold, self.epoch]).permutation(len(self))
        number = int(order[position]) % len(self.cases)
        rng = np.random.default_rng([self.seed, self.fold, self.epoch, position + 1])
        image, label = self._read_patch(number, rng)
        seed = torch.tensor(int(rng.integers(2**31)))
        sample = {"image": torch.from_numpy(image), "label": torch.from_numpy(label)}
        if self._augment is not None:
            sample = self._augment(sample, int(seed))
        return {**sample, "case": torch.tensor(number), "seed": seed}

    def _read_patch(self, number: int, rng: np.random.Generator) -> tuple[NDArray[np.float16], NDArray[np.uint8]]:
        images, labels = self._arrays(number)
        shape, patch = labels.shape, self.config.patch_zyx
        _, centre = self._positions[number].choose_centre(self.config, rng)
        start = patch_start(centre, patch, shape)
        inside: list[slice] = []
        within: list[slice] = []
        for begin, length, size in zip(start, patch, shape, strict=True):
            inside.append(slice(max(begin, 0), min(begin + length, size)))
            within.append(slice(inside[-1].start - begin, inside[-1].stop - begin))
        image = np.full((2, *patch), OUTSIDE, np.float16)
        label = np.zeros((1, *patch), np.uint8)
        image[(slice(None), *within)] = images[(slice(None), *inside)]
        label[0][tuple(within)] = labels[tuple(inside)]
        return image, label

    def _arrays(self, number: int) -> tuple[Any, Any]:
        """The case's arrays: decoded and kept where the cohort is small, else Zarr arrays read by patch."""
        if not self._keep:
            return self.cases[number].image, self.cases[number].label
        if number not in self._kept:
            case = self.cases[number]
            assert case.label is not None  # train() admits labelled cases only
            self._kept[number] = (case.image[:], case.label[:])
        return self._kept[number]
