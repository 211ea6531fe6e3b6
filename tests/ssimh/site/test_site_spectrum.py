"""A site: streaming, merging, files, and what is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import ssimh
from ssimh import ReferenceFileError, ReferenceSpectrum, SiteSpectrum
from ssimh.files import reference_file
from tests.facts import raises_naming
from tests.ssimh.necks import SHAPE, neck


@pytest.fixture(scope="module")
def site():
    return SiteSpectrum.fit(neck(seed) for seed in range(3))


def test_it_is_small_streams_and_holds_no_image(site):
    held = []

    def scans():
        for seed in range(3):
            scan = neck(seed)
            held.append(scan)
            yield scan

    again = SiteSpectrum.fit(scans())
    assert again == site
    assert again.n_subjects == 3
    assert again.subjects.nbytes < 400 * 3
    assert not any(np.shares_memory(again.subjects, scan) for scan in held)


def test_merging_is_fitting_together(site):
    parts = [SiteSpectrum.fit([neck(seed)]) for seed in range(3)]
    assert parts[0] + parts[1] + parts[2] == site
    assert parts[2] + (parts[1] + parts[0]) == site
    assert hash(parts[0] + parts[1]) == hash(parts[1] + parts[0])


def test_tissues_and_uncertainty(site):
    shares = site.tissue_shares
    assert shares["fat"] == pytest.approx(0.4, abs=0.1)
    assert sum(shares.values()) == pytest.approx(1)
    one = SiteSpectrum.fit([neck(0)])
    assert np.trace(one.uncertainty()) > 2 * np.trace(site.uncertainty())
    np.testing.assert_allclose(np.sqrt(one.uncertainty()[0, 0]), 0.0091, rtol=0.01)
    assert site.coefficients("linear").shape == site.coefficients("log").shape == (3, 10)


def test_tensors_integers_axes_and_masks_give_the_same(site):
    scans = [neck(seed) for seed in range(3)]
    assert SiteSpectrum.fit([torch.from_numpy(scan) for scan in scans]) == site
    turned = SiteSpectrum.fit((scan.transpose(2, 1, 0) for scan in scans), axes_zyx=(-1, -2, -3))
    assert turned == site
    rounded = SiteSpectrum.fit(np.rint(scan).astype(np.int16) for scan in scans)
    np.testing.assert_allclose(rounded.coefficients(), site.coefficients(), atol=2e-4)
    masked = SiteSpectrum.fit(scans, masks=[scan > -500 for scan in scans])
    np.testing.assert_allclose(masked.coefficients(), site.coefficients(), atol=2e-3)


def test_spacing_gives_the_volume_of_the_bodies():
    site = SiteSpectrum.fit([neck(0), neck(1)], spacing_mm=[(3.0, 4.0, 4.0), (3.0, 5.0, 5.0)])
    voxels = [np.count_nonzero(ssimh.site.body.body_mask(neck(seed) > -500)) for seed in (0, 1)]
    expected = sorted([voxels[0] * 0.048, voxels[1] * 0.075])
    np.testing.assert_allclose(sorted(site.body_ml), expected)
    with raises_naming(ValueError, "image 1", "spacing_mm", (0.3, 0.4, 0.4), " ml"):
        SiteSpectrum.fit([neck(0)], spacing_mm=(0.3, 0.4, 0.4))
    with raises_naming(ValueError, "spacing_mm", (3.0, 4.0)):
        SiteSpectrum.fit([neck(0)], spacing_mm=(3.0, 4.0))
    with raises_naming(ValueError, "spacings"):
        SiteSpectrum.fit([neck(0), neck(1)], spacing_mm=[(3.0, 4.0, 4.0)])


def test_files_round_trip_and_need_no_pickle(site, tmp_path):
    path = tmp_path / "site.npz"
    site.save(path)
    assert path.stat().st_size < 4000
    loaded = SiteSpectrum.load(path)
    assert loaded == site
    assert loaded.content_hash == site.content_hash
    with np.load(path, allow_pickle=False) as archive:
        assert b'"format": "ssimh-site"' in archive["header"].tobytes()


def test_subjects_have_named_fields_and_go_through_json_exactly(site):
    assert site.subjects.dtype.names == (
        "log_field",
        "linear_field",
        "body_box",
        "tissue_shares",
        "tissue_voxels",
        "body_ml",
        "grain_hu2mm2",
    )
    assert site.subjects.shape == (3,)
    np.testing.assert_array_equal(site.subjects["log_field"], site.coefficients("log"))
    np.testing.assert_array_equal(site.subjects["body_box"], site.boxes)
    restored = SiteSpectrum.from_dicts(json.loads(json.dumps(site.to_dicts())))
    assert restored == site
    (first, *rest) = site.to_dicts()
    for wrong in ({"log_field": [1.0]}, {**first, "more": 1.0}, {**first, "body_ml": [1.0]}):
        with pytest.raises(ValueError, match="subject"):
            SiteSpectrum.from_dicts([wrong, *rest])


def test_damaged_and_foreign_files_are_refused(site, tmp_path):
    path = tmp_path / "site.npz"
    with pytest.raises(FileNotFoundError):
        SiteSpectrum.load(path)
    ReferenceSpectrum.from_image(neck(0)).save(path)
    with raises_naming(ReferenceFileError, path, "ssimh-site"):
        SiteSpectrum.load(path)
    reference_file.write(path, reference_file.SITE, {**site.header(), "content_hash": "sha256:0"}, site.subjects)
    with raises_naming(ReferenceFileError, path, "hash"):
        SiteSpectrum.load(path)
    reference_file.write(path, reference_file.SITE, {"tissue_window_hu": 3}, site.subjects)
    with raises_naming(ReferenceFileError, path, "ssimh-site"):
        SiteSpectrum.load(path)
    reference_file.write(path, replace(reference_file.SITE, version=99), site.header(), site.subjects)
    with raises_naming(ReferenceFileError, path, "version 99", "1, 2, 3, 4"):
        SiteSpectrum.load(path)
    site.save(path)
    path.write_bytes(path.read_bytes()[:300])
    with raises_naming(ReferenceFileError, path):
        SiteSpectrum.load(path)


def test_metal_and_a_truncated_field_of_view_do_no_harm():
    plain = SiteSpectrum.fit([neck(0)])
    metal = neck(0)
    metal[5:7, 20:22, 25:28] = 28000
    np.testing.assert_allclose(SiteSpectrum.fit([metal]).coefficients(), plain.coefficients(), atol=2e-3)
    padded = np.where(neck(0) < -900, np.float32(-3024), neck(0))
    assert SiteSpectrum.fit([padded]) == plain
    cut = neck(0)[:, :, 8:32]
    # The body runs out of the field of view; its coordinates change, the tissues and the constant hardly do.
    assert abs(SiteSpectrum.fit([cut]).coefficients()[0, 0] - plain.coefficients()[0, 0]) < 0.004


@pytest.mark.parametrize(
    ("scan", "error", "facts"),
    [
        (neck(0) + 1024, ValueError, ["0.1%", -500.0]),
        ((neck(0) + 1000) / 2000, ValueError, ["0.1%", -500.0]),
        (np.full(SHAPE, -1000.0), ValueError, [-500.0]),
        (np.where(neck(0) > -500, 900.0, -1000.0), ValueError, ["5%", (-150.0, 150.0)]),
        (np.where(neck(0) > -500, np.nan, -1000.0), ValueError, ["NaN"]),
        (neck(0)[0], ValueError, [SHAPE[1:]]),
        (neck(0) > 0, TypeError, ["bool"]),
        (neck(0).tolist(), TypeError, ["list"]),
        (neck(0)[:, 18:22, 18:22], ValueError, [300, 500, (-150.0, 150.0)]),
    ],
)
def test_bad_images_are_named(scan, error, facts):
    with raises_naming(error, "image 2", *facts):
        SiteSpectrum.fit([neck(1), scan])


def test_other_bad_input(site):
    with raises_naming(ValueError, "image"):
        SiteSpectrum.fit([])
    with raises_naming(TypeError, "images", "[image]"):
        SiteSpectrum.fit(neck(0))
    with raises_naming(ValueError, (0,), "log_field"):
        SiteSpectrum(site.subjects[:0])
    broken = site.subjects.copy()
    broken["log_field"][1, 3] = np.nan
    with pytest.raises(ValueError, match="1 NaN"):
        SiteSpectrum(broken)
    with raises_naming(ValueError, "log_field", (3, 31), "float64"):
        SiteSpectrum(np.zeros((3, 31)))
    with pytest.raises(TypeError):
        SiteSpectrum.fit([neck(0)], body_threshold_hu="otsu")
    with raises_naming(ValueError, "tissue_window_hu", (150.0, -150.0)):
        SiteSpectrum.fit([neck(0)], tissue_window_hu=(150.0, -150.0))
    with raises_naming(ValueError, "space", "'cubic'"):
        site.coefficients("cubic")
    with raises_naming(ValueError, "image 1", "mask", SHAPE, "0 inside"):
        SiteSpectrum.fit([neck(0)], masks=[np.zeros(SHAPE, bool)])
    with raises_naming(ValueError, "masks"):
        SiteSpectrum.fit([neck(0)], masks=[neck(0) > -500, neck(1) > -500])
    with raises_naming(ValueError, "tissue_window_hu", (-120.0, 120.0)):
        site + SiteSpectrum.fit([neck(0)], tissue_window_hu=(-120.0, 120.0))
    with raises_naming(ValueError, "orientation", "SPL", "SAL"):
        SiteSpectrum.fit([neck(0)], orientation="SPL") + SiteSpectrum.fit([neck(0)], orientation="SAL")
    with pytest.raises(TypeError):
        site + 1
