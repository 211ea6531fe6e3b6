"""Histogram matching as MONAI transforms: array and dictionary form."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from monai.config import NdarrayOrTensor
from monai.transforms import Transform
from monai.utils import TransformBackends
from numpy.typing import NDArray

from ssimh._kernels.arrays import check_finite, to_numpy
from ssimh._kernels.boolean import as_boolean
from ssimh._kernels.checks import check_clip, check_mask, check_strength
from ssimh.histogram import load_values, match_histogram
from ssimh.transforms import _adapter
from ssimh.transforms._forms import DictionaryForm
from ssimh.units import refuse_pet

# Enough for steps below 1 HU over the CT range, and 33 kB in place of a scan for every worker.
_QUANTILES = 4097


class HistogramMatch(Transform):
    """Give an image the distribution of values of a reference; see :func:`ssimh.match_histogram`.

    Input is a channel-first array, tensor or MetaTensor, output a tensor of the same floating dtype (float32 for
    integers) with metadata, device and history kept. All channels are matched together. Deterministic, not
    invertible; computed on the image's device.

    Args:
        reference: array of values of any shape, kept as 4097 quantiles, or the path of a NumPy ``.npy`` file with such
            an array; None if a reference is given with every call.
        mask: boolean array or 0/1 integers, of the images' shape; voxels outside keep their value and do not count.
            None for all voxels.
        reference_mask: boolean array or 0/1 integers, of the reference's shape; voxels outside do not count.
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

    backend = [TransformBackends.NUMPY, TransformBackends.TORCH]  # noqa: RUF012  (MONAI's own class attribute)

    def __init__(
        self,
        reference: Any,
        *,
        mask: Any = None,
        reference_mask: Any = None,
        strength: float = 1.0,
        clip: tuple[float, float] | None = None,
        unit: str | None = None,
        allow_pet: bool = False,
    ) -> None:
        refuse_pet(unit, "the image", allow_pet)
        self.strength, self.clip = check_strength(strength), check_clip(clip)
        self.unit, self.allow_pet = unit, allow_pet
        self.mask = _boolean(mask)
        inside = _boolean(reference_mask, "reference_mask")
        self.reference = None if reference is None else _quantiles(reference, inside)

    def __call__(
        self, img: NdarrayOrTensor, reference: Any = None, *, mask: Any = None, reference_mask: Any = None
    ) -> torch.Tensor:
        """Matched image; what is given takes the place of the constructor's for this call."""
        donor = self.reference if reference is None else reference
        if donor is None:
            raise ValueError("HistogramMatch: no reference, neither in the constructor nor with the call.")
        image = _adapter.to_tensor(img)
        result = match_histogram(
            _adapter.plain(image),
            donor,
            mask=self.mask if mask is None else _boolean(mask),
            reference_mask=_boolean(reference_mask, "reference_mask"),
            strength=self.strength,
            clip=self.clip,
            unit=_adapter.unit(image, self.unit),
            allow_pet=self.allow_pet,
        )
        return _adapter.wrap(result, image)


def _boolean(mask: Any, name: str = "mask") -> Any:
    if mask is None:
        return None
    return as_boolean(_adapter.plain(mask) if isinstance(mask, torch.Tensor) else mask, name)


def _quantiles(reference: Any, mask: Any) -> NDArray[np.float32]:
    values = to_numpy(load_values(reference)).astype(np.float64)
    check_finite(values, "reference")
    if mask is not None:
        values = values[check_mask(mask, values.shape, "reference_mask")]
    return np.quantile(values, np.linspace(0, 1, _QUANTILES)).astype(np.float32)


class HistogramMatchd(DictionaryForm, array=HistogramMatch):
    """Dictionary form of :class:`HistogramMatch`: its arguments between ``keys`` and ``allow_missing_keys``.

    ``reference``, ``mask`` and ``reference_mask`` may be :class:`FromSample`, to travel with the sample.

    Args:
        keys: keys of the images.
        allow_missing_keys: skip keys that a sample lacks.

    >>> import numpy as np
    >>> from ssimh import FromSample
    >>> match = HistogramMatchd("ct", np.linspace(0, 100, 1000), mask=FromSample("body"))
    >>> sample = {"ct": np.arange(200.0).reshape(1, 20, 10), "body": np.arange(200).reshape(1, 20, 10) >= 100}
    >>> match(sample)["ct"].flatten()[[0, 99, 199]].tolist()
    [0.0, 99.0, 100.0]
    """


HistogramMatchD = HistogramMatchDict = HistogramMatchd
