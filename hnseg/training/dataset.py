"""Training patches, as a pure function of (seed, fold, epoch, position).

There is no random state between two patches. A run that resumes in any epoch, with any number of loading processes,
gets the patches that an uninterrupted run would get, and these processes live as long as the training.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset, Sampler

from hnseg.parallel import GB
from hnseg.preprocessing.prepared_case import PreparedCase
from hnseg.settings.train import TrainConfig
from hnseg.training.augmentation import Augmentation
from hnseg.training.sampler import PatchSampler, patch_start

CACHE_BYTES = int(2 * GB)  # cohorts that take less, in all loading processes together, stay decoded in memory


def fits_in_cache(size_bytes: int, workers: int) -> bool:
    """Whether a decoded cohort of this size is kept in memory; each loading process has its own copy."""
    return size_bytes * max(1, workers) <= CACHE_BYTES


class PatchDataset(Dataset[dict[str, torch.Tensor]]):
    """Patches, one for each epoch and position in it.

    Keys are pairs of epoch and position, 0 ≤ position < ``len``. Items are dictionaries of ``image`` (2, z, y, x),
    ``label`` (1, z, y, x), ``case``, the position of the case in ``cases``, and ``seed`` of the random change. Changed
    patches are float32, others float16 and uint8, as they are stored: less than half of the bytes to hand on.

    Args:
        cases: With labels.
        config: Settings.
        seed: With fold, epoch and position it determines every draw.
        fold: Fold, from 0.
        augment: Change the patches here; without it that is left to the training on a device.
        pad_values: CT and PET beyond the crop, where a patch is longer: see
            :func:`hnseg.preprocessing.normalize.pad_values`.
    """

    def __init__(
        self,
        cases: Sequence[PreparedCase],
        config: TrainConfig,
        seed: int,
        fold: int,
        *,
        pad_values: tuple[float, float],
        augment: bool = True,
    ) -> None:
        self.cases = list(cases)
        self.config = config
        self.seed = seed
        self.fold = fold
        self.pad_values = pad_values
        self._augment = Augmentation(config.augment, config.patch_zyx) if augment else None
        self._positions = [PatchSampler.from_case(case) for case in self.cases]
        size = sum(case.image.nbytes + case.label.nbytes for case in self.cases if case.label is not None)
        self._keep = fits_in_cache(size, config.workers)
        self._kept: dict[int, tuple[NDArray[np.float16], NDArray[np.uint8]]] = {}

    def __len__(self) -> int:
        return len(self.cases) * self.config.patches_per_case

    def __getitem__(self, key: tuple[int, int]) -> dict[str, torch.Tensor]:
        epoch, position = key
        if not 0 <= position < len(self):
            raise IndexError(position)
        order = np.random.default_rng([self.seed, self.fold, epoch]).permutation(len(self))
        number = int(order[position]) % len(self.cases)
        rng = np.random.default_rng([self.seed, self.fold, epoch, position + 1])
        image, label = self._read_patch(number, rng)
        seed = torch.tensor(int(rng.integers(2**31)))
        sample = {"image": torch.from_numpy(image), "label": torch.from_numpy(label)}
        if self._augment is not None:
            sample = self._augment(sample, int(seed))
        return {**sample, "case": torch.tensor(number), "seed": seed}

    def _read_patch(self, number: int, rng: np.random.Generator) -> tuple[NDArray[np.float16], NDArray[np.uint8]]:
        images, labels = self._arrays(number)
        shape, patch = labels.shape, self.config.patch_zyx
        _, center = self._positions[number].choose_center(self.config, rng)
        start = patch_start(center, patch, shape)
        inside: list[slice] = []
        within: list[slice] = []
        for begin, length, size in zip(start, patch, shape, strict=True):
            inside.append(slice(max(begin, 0), min(begin + length, size)))
            within.append(slice(inside[-1].start - begin, inside[-1].stop - begin))
        image = np.empty((2, *patch), np.float16)
        image[:] = np.reshape(self.pad_values, (2, 1, 1, 1))
        label = np.zeros((1, *patch), np.uint8)
        image[(slice(None), *within)] = images[(slice(None), *inside)]
        label[0][tuple(within)] = labels[tuple(inside)]
        return image, label

    def _arrays(self, number: int) -> tuple[Any, Any]:
        """Image and label of a case: decoded and kept where the cohort is small, else Zarr arrays read by patch."""
        if not self._keep:
            return self.cases[number].image, self.cases[number].label
        if number not in self._kept:
            case = self.cases[number]
            assert case.label is not None  # folds hold labeled cases only
            self._kept[number] = (case.image[:], case.label[:])
        return self._kept[number]


class EpochSampler(Sampler[tuple[int, int]]):
    """Keys of :class:`PatchDataset` for an epoch, at the positions that one process trains on.

    Attributes:
        epoch: The epoch of the next patches.
    """

    def __init__(self, positions: Sequence[int]) -> None:
        self.positions = positions
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.positions)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return ((self.epoch, position) for position in self.positions)
