import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from ssimh import compare, swap_spectrum
from ssimh.metrics import ssim_map
from tests.facts import raises_naming


def test_a_constant_shift_worked_out_by_hand(scan):
    result = compare(scan, scan + 8.0, data_range=1000.0)
    inside = np.abs(scan) <= 150
    assert result.soft_tissue_mean_abs_delta == pytest.approx(8.0)
    assert result.soft_tissue_p95_abs_delta == pytest.approx(8.0)
    assert result.soft_tissue_voxels == inside.sum()
    assert result.psnr_db == pytest.approx(10 * np.log10(1000**2 / 64))
    assert result.slice_cc == pytest.approx(1.0)
    assert result.high_frequency_energy_kept == pytest.approx(1.0)
    assert (result.against, result.data_range, result.voxels) == ("before", 1000.0, scan.size)
    assert result.psnr_db_before is None


def test_equal_images(scan):
    result = compare(scan, scan, scan)
    assert result.psnr_db == result.psnr_db_before == np.inf
    assert (result.histogram_correlation, result.ssim, result.slice_cc) == pytest.approx((1, 1, 1))
    assert (result.soft_tissue_mean_abs_delta, result.out_of_range_share) == (0, 0)


def test_psnr_and_ssim_are_scikit_images(scan, donor):
    result = compare(scan, donor, data_range=2000.0)
    assert result.psnr_db == pytest.approx(peak_signal_noise_ratio(scan, donor, data_range=2000.0))
    for number, expected in enumerate(ssim_map(scan, donor, 2000.0)):
        _, theirs = structural_similarity(
            scan[number],
            donor[number],
            data_range=2000.0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            full=True,
        )
        np.testing.assert_allclose(expected, theirs, atol=1e-12)


def test_swapping_towards_the_reference_shows(scan, donor):
    result = compare(scan, swap_spectrum(scan, donor), donor)
    assert result.against == "reference"
    assert result.psnr_db > result.psnr_db_before
    assert result.high_frequency_energy_kept == pytest.approx(1.0)


def test_blurring_loses_high_frequencies(scan):
    assert compare(scan, 0.5 * scan).high_frequency_energy_kept == pytest.approx(0.25)


def test_share_out_of_range_counts_inside_the_mask(scan):
    after = scan.copy()
    after[0, 0, :4] = 5000
    mask = np.zeros(scan.shape, bool)
    mask[0, 0, :8] = True
    assert compare(scan, after).out_of_range_share == pytest.approx(4 / scan.size)
    result = compare(scan, after, mask=mask)
    assert (result.out_of_range_share, result.voxels) == (0.5, 8)


def test_constant_slices_count_as_uncorrelated(scan):
    after = scan.copy()
    after[0] = 3.0
    assert compare(scan, after).slice_cc == pytest.approx(4 / 5)


def test_no_soft_tissue_and_no_high_frequencies():
    flat = np.full((2, 16, 16), 900.0)
    result = compare(flat, flat)
    assert np.isnan(result.soft_tissue_mean_abs_delta)
    assert np.isnan(result.high_frequency_energy_kept)
    assert result.soft_tissue_voxels == 0


@pytest.mark.parametrize("convert", [lambda x: x.astype(np.float32), lambda x: x.astype(np.int16), torch.tensor])
def test_other_kinds_agree(scan, donor, convert):
    first, second = convert(scan), convert(donor)
    expected = compare(np.asarray(first, np.float64), np.asarray(second, np.float64)).as_dict()
    found = compare(first, second).as_dict()
    for name, value in expected.items():
        if isinstance(value, float):
            assert found[name] == pytest.approx(value, rel=1e-3, abs=1e-4), name


@pytest.mark.parametrize(
    ("change", "facts"),
    [
        ({"after": np.zeros((5, 12, 16))}, ["after", (5, 12, 16), (5, 12, 17)]),
        ({"reference": np.zeros((12, 17))}, ["reference", (12, 17)]),
        ({"mask": np.zeros((5, 12, 17), bool)}, ["mask", "0 inside"]),
        ({"valid_range": (3, 1)}, ["valid_range", (3, 1)]),
        ({"soft_tissue": (3, 3)}, ["soft_tissue", (3, 3)]),
        ({"data_range": 0.0}, ["data_range", 0.0]),
        ({"after": np.full((5, 12, 17), np.nan)}, ["after", 1020]),
    ],
)
def test_bad_input(scan, change, facts):
    with raises_naming(ValueError, *facts):
        compare(**{"before": scan, "after": scan, **change})
