"""What an alignment refuses: volumes that are no CT in HU or no PET in SUV, by a few numbers about them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ssimh._kernels.arrays import to_numpy

EMPTY_MASK = "mask holds no voxel of one of the volumes."
_FEWEST_TISSUE = 0.05
_LEAST_RANGE_HU = 20.0  # fat and muscle are 150 HU apart, and the noise of a CT alone exceeds this
_LARGEST_SUV = 1000.0
_SAMPLES = 200_000


def check_suv(low: float, high: float) -> None:
    """Refuse a volume that is no PET in SUV: values in Bq/ml or counts, or of another modality.

    Args:
        low, high: the lowest and the highest value.

    Raises:
        ValueError: nothing above 0, far below 0, or more than any tissue takes up.
    """
    if high <= 0 or low < -0.1 * high:
        raise ValueError(f"the values lie within {low:.4g} … {high:.4g}, which is no PET in SUV.")
    if high > _LARGEST_SUV:
        raise ValueError(
            f"the largest value is {high:.4g}; PET must be in SUV (at most {_LARGEST_SUV:g}), not in Bq/ml or counts."
        )


def check_tissue(tissue: int, dense: int, window_hu: tuple[float, float]) -> None:
    """Refuse a volume with hardly any soft tissue.

    Args:
        tissue: voxels of the body within 150 HU of the window.
        dense: voxels of the body above the threshold.
        window_hu: the tissue window.

    Raises:
        ValueError: less than one in twenty.
    """
    if tissue < max(1, _FEWEST_TISSUE * dense):
        raise ValueError(
            f"less than {_FEWEST_TISSUE:.0%} of the body lies within 150 HU of the tissue window {window_hu} HU; are "
            "the values in HU?"
        )


def check_without_air(lowest: float, share: float, low: float, high: float, body_threshold_hu: float) -> None:
    """Refuse a volume without air that is no piece of a body in HU: stored values, or values scaled to [0, 1].

    Args:
        lowest: the lowest value.
        share: share of the voxels that have it, 0 … 1.
        low, high: 1st and 99th percentile.
        body_threshold_hu: which all values exceed.

    Raises:
        ValueError: a tenth of the voxels has the lowest value, or all values lie closer together than those of tissue.
    """
    if share > 0.1:
        raise ValueError(
            f"no voxel lies below {body_threshold_hu} HU, and more than 10 % have the lowest value {lowest}: a "
            "background which is not air. Are these stored values with an offset? Subtract it, or pass a mask."
        )
    if high - low < _LEAST_RANGE_HU:
        raise ValueError(
            f"no voxel lies below {body_threshold_hu} HU, and 98 % of the values lie within {low:.4g} … {high:.4g}: "
            f"tissue of a CT differs by more than {_LEAST_RANGE_HU:g} HU. Are the values in HU?"
        )


def check_hu(values: Any, tissue_window_hu: tuple[float, float], body_threshold_hu: float) -> None:
    """Refuse a volume that is no CT in HU, by some of its voxels.

    Args:
        values: (z, y, x) array or tensor.
        tissue_window_hu, body_threshold_hu: of the sites.

    Raises:
        ValueError: hardly any soft tissue, or a background that is not air.
    """
    flat = values.reshape(-1)
    sample = to_numpy(flat[:: max(1, len(flat) // _SAMPLES)])
    dense = int(np.count_nonzero(sample > body_threshold_hu))
    low, high = tissue_window_hu
    check_tissue(int(np.count_nonzero((sample >= low - 150) & (sample <= high + 150))), dense, tissue_window_hu)
    if dense == len(sample):
        ends = np.percentile(sample, (1, 99))
        lowest = float(sample.min())
        check_without_air(lowest, float(np.mean(sample == lowest)), float(ends[0]), float(ends[1]), body_threshold_hu)
