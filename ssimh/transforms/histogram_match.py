"""Histogram matching as MONAI transforms: array and dictionary form."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection, NdarrayOrTensor
from monai.transforms import MapTransform, Transform
from monai.utils import TransformBackends

from ssimh._kernels.arrays import check_finite, to_numpy
from ssimh.histogram import histogram_match, load_values
from ssimh.transforms import _adapter

# Enough for steps below 1 HU over the CT range, and 33 kB in place of a scan for every worker.
_QUANTILES = 4097


class HistogramMatch(Transform):
    """Give an image the distribution of values of a reference; see :func:`ssimh.histogram_match`.

    Input is a channel-first array, tensor or MetaTensor, output a tensor of the same floating dtype (float32 for
    integers) with metadata, device and history kept. All channels are matched together. Deterministic, not
    invertible, computed on the host.

    Args:
        reference: array of values of any shape, kept as 4097 quantiles, or the path (``str`` or
            ``Path``) of a NumPy ``.npy`` file with such an array; None if a reference is given with every call.
        strength: 0 … 1, share of the way towards the reference.
        clip: (lowest, highest) value of the result, or None.
        unit: intensity unit of the images; None for what their metadata states. PET is refused.
        allow_pet: match PET all the same.

    Raises:
        ValueError, TypeError: settings out of range, or an image, mask or reference that does not fit.

    >>> import numpy as np
    >>> match = HistogramMatch(np.linspace(0, 100, 1000))
    >>> result = match(np.random.default_rng(0).normal(size=(1, 20, 20)))
    >>> float(result.min().round()), float(result.max().round()), bool(abs(result.mean() - 50) < 0.5)
    (0.0, 100.0, True)
    """

    backend = [TransformBackends.NUMPY]  # noqa: RUF012  (MONAI's own class attribute)

    def __init__(
        self,
        reference: Any = None,
        strength: float = 1.0,
        clip: tuple[float, float] | None = None,
        unit: str | None = None,
        allow_pet: bool = False,
    ) -> None:
        self.reference = None if reference is None else _quantiles(reference)
        self.strength, self.clip, self.unit, self.allow_pet = strength, clip, unit, allow_pet
        # Settings are checked where the matching itself checks them, on a small image.
        histogram_match(np.zeros(2), np.zeros(2), strength=strength, clip=clip, unit=unit, allow_pet=allow_pet)

    def __call__(self, img: NdarrayOrTensor, reference: Any = None, mask: Any = None) -> torch.Tensor:
        """Matched image; ``reference`` takes the place of the constructor's, ``mask`` limits it to voxels inside."""
        donor = self.reference if reference is None else reference
        if donor is None:
            raise ValueError("HistogramMatch: no reference, neither in the constructor nor with the call.")
        image = _adapter.to_tensor(img)
        result = histogram_match(
            _adapter.plain(image),
            donor,
            mask=None if mask is None else to_numpy(mask).astype(bool),
            strength=self.strength,
            clip=self.clip,
            unit=_adapter.unit(image, self.unit),
            allow_pet=self.allow_pet,
        )
        return _adapter.wrap(result, image)


def _quantiles(reference: Any) -> Any:
    values = to_numpy(load_values(reference)).astype(np.float64)
    check_finite(values, "reference")
    return np.quantile(values, np.linspace(0, 1, _QUANTILES)).astype(np.float32)


class HistogramMatchd(MapTransform):
    """Dictionary form of :class:`HistogramMatch`.

    Args:
        keys: keys of the images.
        reference: as in :class:`HistogramMatch`; exactly one of ``reference`` and ``reference_key`` is given.
        strength, clip, unit, allow_pet: as in :class:`HistogramMatch`.
        reference_key: key of a reference image that travels with the sample.
        mask_key: key of a mask of the image's shape; voxels where it is 0 keep their value and do not count.
        allow_missing_keys: skip keys that a sample lacks.
    """

    backend = HistogramMatch.backend

    def __init__(
        self,
        keys: KeysCollection,
        reference: Any = None,
        strength: float = 1.0,
        clip: tuple[float, float] | None = None,
        unit: str | None = None,
        allow_pet: bool = False,
        reference_key: str | None = None,
        mask_key: str | None = None,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        _adapter.check_one_reference(reference, reference_key)
        self.reference_key, self.mask_key = reference_key, mask_key
        self.transform = HistogramMatch(reference, strength, clip, unit, allow_pet)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """A new dictionary; the images under ``keys`` are matched, everything else is the same."""
        result = dict(data)
        reference = _adapter.get_from_sample(result, self.reference_key, "reference_key")
        mask = _adapter.get_from_sample(result, self.mask_key, "mask_key")
        for key in self.key_iterator(result):
            result[key] = self.transform(result[key], reference, mask)
        return result


HistogramMatchD = HistogramMatchDict = HistogramMatchd
