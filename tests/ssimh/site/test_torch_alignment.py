"""What a device computes is what the host computes; tensors of the CPU stand in for those of a device."""

import numpy as np
import pytest
import scipy.ndimage
import torch

from ssimh import SiteSpectrum
from ssimh.site import alignment, body, flow, torch_alignment, torch_body, torch_flow
from tests.facts import raises_naming
from tests.ssimh.necks import neck

LAST_THREE = (-3, -2, -1)


@pytest.mark.parametrize("seed", range(12))
def test_the_body_is_the_same_to_the_voxel(seed):
    rng = np.random.default_rng(seed)
    shape = (3, 140, 133) if seed == 0 else tuple(rng.integers(1, 22, 3))
    values = scipy.ndimage.gaussian_filter(rng.normal(size=shape), (0, 0.7, 1.5)[seed % 3])
    dense = neck(seed) > -500 if seed == 1 else values > (-0.05, 0, 0.05)[seed // 3 % 3]
    expected, found = body.body_mask(dense), torch_body.body_mask(torch.from_numpy(dense))
    np.testing.assert_array_equal(found, expected)
    if expected.any():
        np.testing.assert_allclose(torch_body.body_box(found), body.body_box(expected), atol=1e-12)


@pytest.mark.parametrize("space", ["log", "linear"])
def test_the_flow_is_the_same(space):
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.uniform(-1200, 3500, 2000), rng.uniform(-500, -380, 500), [-490, -390, 2000, 3000]])
    shift = rng.normal(0, 0.1, values.size)
    found = torch_flow.apply_flow(torch.from_numpy(values), torch.from_numpy(shift), space, -500.0)
    np.testing.assert_allclose(found, flow.apply_flow(values, shift, space, -500.0), atol=1e-9)


@pytest.fixture(scope="module")
def differences():
    sites = [SiteSpectrum.fit(neck(seed, factor=factor) for seed in range(2)) for factor in (1.05, 1.0)]
    return [alignment.site_difference(*sites, space=space) for space in ("log", "linear")]


@pytest.mark.parametrize("axes", [LAST_THREE, (-1, -3, -2)])
def test_a_batch_is_aligned_the_same(differences, axes, monkeypatch):
    monkeypatch.setattr(torch_alignment, "_VOXELS_AT_ONCE", 7 * 40 * 44)
    scans = np.moveaxis(np.stack([neck(7), neck(8)]).astype(np.float32), (1, 2, 3), axes)
    mask = scans > -800
    for difference, inside in zip(differences, (None, mask), strict=True):
        expected = alignment.move_by_field(scans, difference, 0.8, axes_zyx=axes, mask=inside, clip=(-900, 900))
        found = torch_alignment.move_by_field(
            torch.from_numpy(scans), difference, 0.8, axes_zyx=axes, mask=inside, clip=(-900, 900)
        )
        np.testing.assert_allclose(found, expected, atol=1e-3)
        assert np.abs(expected - scans).max() > 10


@pytest.mark.parametrize(
    "scan",
    [
        np.full((4, 9, 9), -1000.0),
        np.full((4, 9, 9), 40.0),
        np.linspace(0, 1, 324).reshape(4, 9, 9),
        np.where(np.arange(324).reshape(4, 9, 9) > 9, 1200.0, -1000.0),
        np.full((4, 9, 9), np.nan),
    ],
)
def test_what_the_host_refuses_is_refused_in_the_same_words(differences, scan):
    with pytest.raises(ValueError) as told:  # noqa: PT011  (compared with what the other route says)
        alignment.move_by_field(scan, differences[0], 1.0)
    with raises_naming(ValueError, str(told.value)):
        torch_alignment.move_by_field(
            torch.from_numpy(scan), differences[0], 1.0, axes_zyx=LAST_THREE, mask=None, clip=None
        )
