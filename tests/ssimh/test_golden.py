"""Agreement with the original code, run in GNU Octave on real scans, and with a small case worked out by hand."""

import numpy as np
import pytest
import torch

from ssimh import ReferenceSpectrum, swap_spectrum


@pytest.fixture
def golden(realdata_dir):
    with np.load(realdata_dir / "golden" / "ssimh_shared_hn_A_to_D.npz") as archive:
        return archive["source"], archive["reference"], archive["expected"]


@pytest.mark.realdata
@pytest.mark.parametrize("method", ["projection", "fft"])
@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_float64_agrees_with_the_original_to_1e_9(golden, method, kind):
    source, reference, expected = golden
    result = swap_spectrum(kind(source.astype(np.float64)), kind(reference.astype(np.float64)), method=method)
    assert np.abs(np.asarray(result) - expected).max() <= 1e-9


@pytest.mark.realdata
@pytest.mark.parametrize("dtype", [np.int16, np.float32])
@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_float32_agrees_with_the_original_to_1e_3(golden, dtype, kind, tmp_path):
    source, reference, expected = golden
    ReferenceSpectrum.from_image(reference).save(tmp_path / "ref.npz")
    for donor in (kind(reference.astype(dtype)), tmp_path / "ref.npz"):
        result = swap_spectrum(kind(source.astype(dtype)), donor)
        assert np.abs(np.asarray(result, np.float64) - expected).max() <= 1e-3


def test_a_case_worked_out_by_hand():
    # 2 × 2, τ = 1: the sum over 2 replaced, so every voxel moves by (sum of reference - sum of image) / 4.
    image = np.array([[[1.0, 2.0], [3.0, 6.0]]])
    reference = np.array([[[10.0, 0.0], [0.0, 10.0]]])
    np.testing.assert_allclose(swap_spectrum(image, reference, threshold=1), image + 2.0)
    # τ = 2 on a 2 × 3 slice along the columns only: two cosines per row, the third one is the row's own curvature.
    image, reference = np.array([[0.0, 3.0, 0.0]]), np.array([[6.0, 6.0, 6.0]])
    np.testing.assert_allclose(swap_spectrum(image, reference, threshold=2, axes=-1), [[5.0, 8.0, 5.0]])
