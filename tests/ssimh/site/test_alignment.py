"""Alignment: what it corrects, what it leaves alone, and that it can be undone."""

import logging

import numpy as np
import pytest
import torch

import ssimh
from ssimh import ReferenceSpectrum, SiteSpectrum, align_spectrum, site_difference
from ssimh.site.body import body_mask
from ssimh.site.flow import apply_flow
from tests.facts import raises_naming
from tests.ssimh.necks import SHAPE, neck
from tests.ssimh.tolerances import assert_close

Z = np.linspace(-1, 1, SHAPE[0])[:, None, None]
Y = np.linspace(-1, 1, SHAPE[1])[:, None]
X = np.linspace(-1, 1, SHAPE[2])
EFFECTS = {
    "gain": 0.96 + 0 * X,
    "drift": 1 + 0.035 * Z,
    "cupping": 1 + 0.1 * (X**2 + Y**2 - 0.3),
}


@pytest.fixture(scope="module")
def target():
    return SiteSpectrum.fit(neck(seed) for seed in range(100, 110))


@pytest.fixture(scope="module")
def source():
    return SiteSpectrum.fit(neck(seed, factor=EFFECTS["gain"]) for seed in range(10))


@pytest.mark.parametrize("name", EFFECTS)
def test_a_known_effect_is_taken_away(target, name):
    factor = EFFECTS[name]
    site = SiteSpectrum.fit(neck(seed, factor=factor) for seed in range(10))
    truth, given = neck(3), neck(3, factor=factor)
    aligned = align_spectrum(given, site, target)
    body = truth > -400
    before, after = (np.abs(image - truth)[body].mean() for image in (given, aligned))
    assert before > 8
    assert after < 0.4 * before


def test_linear_space_takes_away_an_offset(target):
    site = SiteSpectrum.fit(np.where(neck(seed) > -500, neck(seed) + 30, -1000) for seed in range(10))
    truth = neck(3)
    given = np.where(truth > -500, truth + 30, truth)
    aligned = align_spectrum(given, site, target, space="linear")
    assert np.abs(aligned - truth)[truth > -400].mean() < 3


def test_two_groups_of_one_site_are_left_alone(target):
    """Between single groups of ten the spread between subjects decides; the shrunk move must stay below it."""
    site = SiteSpectrum.fit(neck(seed) for seed in range(10))
    difference = site_difference(site, target)
    assert difference.applied_hu < 2
    assert difference.applied_hu <= difference.raw_hu
    assert difference.error_hu > difference.applied_hu


def test_the_same_site_changes_nothing(target):
    scan = neck(0)
    for shrink in (True, False):
        np.testing.assert_array_equal(align_spectrum(scan, target, target, shrink=shrink), scan)
    np.testing.assert_array_equal(
        align_spectrum(scan, target, SiteSpectrum.fit([neck(1)]), strength=0.0), scan.astype(np.float32)
    )


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
@pytest.mark.parametrize("space", ["log", "linear"])
@pytest.mark.parametrize("shrink", [True, False])
def test_the_way_back_is_exact(source, target, dtype, space, shrink):
    scan = neck(5, factor=EFFECTS["gain"]).astype(dtype)
    scan[4:6, 20:22, 25:28] = 20000
    scan[8, 18:24, 20] = np.linspace(-900, -300, 6)
    there = align_spectrum(scan, source, target, space=space, shrink=shrink)
    back = align_spectrum(there, target, source, space=space, shrink=shrink)
    assert np.abs(there - scan).max() > 20
    eps = float(np.finfo(dtype).eps)
    np.testing.assert_allclose(back.astype(float), scan.astype(float), atol=1e-8 + 4000 * eps, rtol=0)


def test_air_background_table_and_metal_keep_their_value(source, target):
    scan = neck(5, factor=EFFECTS["gain"])
    scan[:, 38, 5:40] = 100  # a table beside the body
    scan[4:6, 20:22, 25:28] = 28000
    aligned = align_spectrum(scan, source, target)
    inside = body_mask(scan > -500)
    assert not inside[:, 38, 5:40].any()
    for still in (scan < -500, ~inside, scan > 3000):
        np.testing.assert_array_equal(aligned[still], scan[still])
    assert (aligned != scan)[inside & (scan > -300) & (scan < 1900)].all()


def test_no_voxel_crosses_into_air_or_metal(rng):
    hu = np.concatenate([rng.uniform(-1100, 4000, 20000), [-500.0, -490.0, -489.9, -390.0, 2000.0, 3000.0]])
    for space in ("log", "linear"):
        for size in (0.1, -0.1):
            out = apply_flow(hu, np.full(hu.shape, size), space, -500.0)
            np.testing.assert_array_equal(out > -490, hu > -490)
            np.testing.assert_array_equal(out < 3000, hu < 3000)
            order = np.argsort(hu)
            assert (np.diff(out[order]) >= -1e-9).all()
            np.testing.assert_allclose(apply_flow(out, np.full(hu.shape, -size), space, -500.0), hu, atol=1e-6)


def test_kind_dtype_shape_and_input_are_kept(source, target):
    scan = neck(5, factor=EFFECTS["gain"])
    expected = align_spectrum(scan.astype(np.float64), source, target)
    given = scan.copy()
    assert_close(align_spectrum(given, source, target), expected, "float32")
    np.testing.assert_array_equal(given, scan)
    tensor = align_spectrum(torch.from_numpy(scan), source, target)
    assert isinstance(tensor, torch.Tensor)
    assert_close(tensor, expected, "float32")
    assert align_spectrum(torch.from_numpy(scan).bfloat16(), source, target).dtype == torch.bfloat16
    integer = align_spectrum(np.rint(scan).astype(np.int16), source, target)
    assert integer.dtype == np.float32
    batch = align_spectrum(np.stack([scan, neck(6)])[:, None], source, target)
    assert batch.shape == (2, 1, *SHAPE)
    assert_close(batch[0, 0], expected, "float32")
    turned = align_spectrum(scan.transpose(2, 0, 1), source, target, axes_zyx=(1, 2, 0))
    assert_close(turned, expected.transpose(2, 0, 1), "float32")


def test_strength_clip_and_mask(source, target):
    scan = neck(5, factor=EFFECTS["gain"]).astype(np.float64)
    whole, half = (align_spectrum(scan, source, target, strength=share) for share in (1.0, 0.5))
    tissue = (scan > -200) & (scan < 200)
    np.testing.assert_allclose((half - scan)[tissue], (whole - scan)[tissue] / 2, rtol=0.05, atol=0.1)
    clipped = align_spectrum(scan, source, target, clip=(-1000, 100))
    np.testing.assert_array_equal(clipped, whole.clip(-1000, 100))
    mask = np.zeros(SHAPE, bool)
    mask[:, 8:30, 8:30] = True
    masked = align_spectrum(scan, source, target, mask=mask)
    np.testing.assert_array_equal(masked[~mask], scan[~mask])
    assert np.abs(masked - scan)[mask & tissue].min() > 1


def test_paths_do_as_well_as_sites(source, target, tmp_path):
    source.save(tmp_path / "source.npz")
    target.save(tmp_path / "target.npz")
    scan = neck(5)
    expected = align_spectrum(scan, source, target)
    np.testing.assert_array_equal(align_spectrum(scan, tmp_path / "source.npz", str(tmp_path / "target.npz")), expected)


def test_shrinkage_is_reported(source, target, caplog):
    scan = neck(7, factor=EFFECTS["gain"])
    with caplog.at_level(logging.INFO, logger="ssimh"):
        align_spectrum(scan, SiteSpectrum.fit([neck(0), neck(1)]), SiteSpectrum.fit([neck(2), neck(3)]))
    assert "held back" in caplog.text
    assert "2 against 2 subject(s)" in caplog.text
    few = site_difference(SiteSpectrum.fit([neck(0)]), SiteSpectrum.fit([neck(1)]))
    assert few.shrinkage > 0.5
    many = site_difference(source, target)
    assert many.shrinkage < 0.3
    assert site_difference(target, source).n_subjects == (10, 10)
    np.testing.assert_array_equal(site_difference(target, source).coefficients, -many.coefficients)
    assert site_difference(source, target, shrink=False).shrinkage == 0


def test_one_scan_against_a_site(target):
    truth, given = neck(3), neck(3, factor=EFFECTS["gain"])
    aligned = align_spectrum(given, SiteSpectrum.fit([given]), target)
    body = truth > -400
    assert np.abs(aligned - truth)[body].mean() < 0.35 * np.abs(given - truth)[body].mean()


@pytest.mark.parametrize(
    ("settings", "error", "facts"),
    [
        ({"strength": 1.5}, ValueError, ["strength"]),
        ({"strength": "all"}, ValueError, ["strength"]),
        ({"clip": (1, 0)}, ValueError, ["clip", (1, 0)]),
        ({"space": "cubic"}, ValueError, ["space", "'cubic'"]),
        ({"unit": "SUV"}, ValueError, ["PET", "'SUV'"]),
        ({"unit": "a.u."}, ValueError, ["'a.u.'", "HU"]),
        ({"mask": np.ones((2, 2, 2), bool)}, ValueError, [(2, 2, 2), SHAPE]),
        ({"mask": np.zeros(SHAPE, bool)}, ValueError, ["mask", "0 inside"]),
        ({"axes_zyx": (-3, -2, -2)}, ValueError, ["axes", (-3, -2, -2)]),
    ],
)
def test_bad_settings(source, target, settings, error, facts):
    with raises_naming(error, *facts):
        align_spectrum(neck(0), source, target, **settings)


@pytest.mark.parametrize(
    ("image", "error", "facts"),
    [
        (np.full(SHAPE, -1000.0), ValueError, ["-500"]),
        (neck(0) * np.nan, ValueError, ["image", "NaN"]),
        (neck(0)[0], ValueError, ["image", SHAPE[1:]]),
        (neck(0) + 1000, ValueError, ["-500", "10 %", (neck(0) + 1000).min()]),
        (np.random.default_rng(0).uniform(0, 1, SHAPE), ValueError, ["-500", "98 %", "0.01", "0.9903"]),
        (np.where(neck(0) > -500, 900.0, -1000.0), ValueError, ["5%", "150 HU"]),
        (neck(0) > 0, TypeError, ["bool"]),
    ],
)
def test_bad_images(source, target, image, error, facts):
    with raises_naming(error, *facts):
        align_spectrum(image, source, target)


def test_bad_sites(source, target, tmp_path):
    with raises_naming(TypeError, "source", "SiteSpectrum", "ndarray"):
        align_spectrum(neck(0), neck(1), target)
    other = SiteSpectrum.fit([neck(0)], body_threshold_hu=-400)
    with raises_naming(ValueError, "body_threshold_hu", -500, -400):
        align_spectrum(neck(0), source, other)
    reference = tmp_path / "reference.npz"
    ReferenceSpectrum.from_image(neck(0)).save(reference)
    with raises_naming(ssimh.ReferenceFileError, reference, "ssimh-site"):
        align_spectrum(neck(0), source, reference)


@pytest.mark.realdata
def test_gain_of_a_real_site_is_taken_away(realdata_dir):
    """Half of the shared scans with a gain of 0.96, against the other half; offsets of storage as the benchmark's."""
    sitk = pytest.importorskip("SimpleITK")
    offsets = {"A": 1024, "C": 1024, "F": 1024}
    paths = sorted((realdata_dir / "openkbp_ct").glob("*/*_ct.nii.gz"))
    if not paths:
        pytest.skip("the shared data hold no openkbp_ct")
    scans = []
    for path in paths[::2]:
        stored = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))[::2, ::2, ::2].astype(np.float32)
        scans.append(np.maximum(stored - offsets.get(path.name[0], 1000), -1000))
    changed = [(scan + 1000) * np.float32(0.96) - 1000 for scan in scans[::2]]
    here, there = SiteSpectrum.fit(changed), SiteSpectrum.fit(scans[1::2])
    errors = []
    for truth, given in zip(scans[::2], changed, strict=True):
        aligned = align_spectrum(given, here, there)
        body = truth > -400
        errors.append([np.abs(image - truth)[body].mean() for image in (given, aligned)])
    before, after = np.mean(errors, axis=0)
    assert before > 35
    assert after < 12  # seven subjects a site
