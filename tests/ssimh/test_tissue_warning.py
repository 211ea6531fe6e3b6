"""A swap that moves soft tissue says so, once per image, and names the alternative."""

import warnings

import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from ssimh import SpectrumSwap, SpectrumSwapd, swap_spectrum
from ssimh.tissue_warning import BOUND_HU, TissueMovedWarning, warn_if_moved

SCAN = np.zeros((1, 8, 8, 4), np.float32)
FAR, NEAR = SCAN + BOUND_HU + 30, SCAN + BOUND_HU - 10


def test_the_transform_warns_once_for_every_image_with_the_figure():
    swap = SpectrumSwap(FAR)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        swap(SCAN)
        swap(SCAN + 1)
    assert [item.category for item in caught] == [TissueMovedWarning] * 2
    assert "80 HU" in str(caught[0].message)
    assert "79 HU" in str(caught[1].message)
    assert "SpectrumAlign" in str(caught[0].message)
    with pytest.warns(TissueMovedWarning):
        SpectrumSwapd("ct", FAR)({"ct": torch.from_numpy(SCAN)})


def test_it_is_silent_below_the_bound_on_request_and_for_other_units():
    SpectrumSwap(NEAR)(SCAN)
    SpectrumSwap(FAR, warn_above_hu=None)(SCAN)
    SpectrumSwapd("ct", FAR, warn_above_hu=None)({"ct": SCAN})
    SpectrumSwap(FAR)(MetaTensor(torch.from_numpy(SCAN), meta={"unit": "a.u."}))
    SpectrumSwap(FAR)(SCAN + 400)  # no soft tissue in it


@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])
def test_nan_outside_a_mask_hides_nothing(kind):
    before, after = SCAN.copy(), FAR.copy()
    before[0, 0] = after[0, 0] = np.nan
    with pytest.warns(TissueMovedWarning, match="80 HU"):
        warn_if_moved(kind(before), kind(after), BOUND_HU, "HU", 1)


def test_the_function_does_not_look():
    swap_spectrum(SCAN, FAR)


def test_arrays_and_tensors_are_looked_at_alike():
    for kind in (np.asarray, torch.from_numpy):
        with pytest.warns(TissueMovedWarning, match="80 HU"):
            warn_if_moved(kind(SCAN), kind(FAR), 50.0, None, stacklevel=1)
        warn_if_moved(kind(SCAN), kind(NEAR), 50.0, None, stacklevel=1)
        warn_if_moved(kind(SCAN), kind(FAR), None, None, stacklevel=1)
