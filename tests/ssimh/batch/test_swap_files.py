"""References of files, and the conditions under which they are swapped into files."""

from dataclasses import replace

import numpy as np
import pytest

from ssimh import ReferenceSpectrum
from ssimh.batch.swap_files import FileSwap, fit_reference, match_grid, resolve_unit
from ssimh.images.scan import ScanError, read_scan
from tests.facts import raises_naming
from tests.ssimh.cli.commands import write

GRID_MM = (2.5, 1.0, 1.0)


@pytest.fixture
def reference(rng):
    return ReferenceSpectrum.from_image(rng.normal(0, 60, (6, 24, 22)), spacing_mm=GRID_MM, orientation="SPL")


@pytest.mark.parametrize(
    ("spacing_xyz", "is_same"),
    [
        ((1.0, 1.0, 2.5), True),
        ((1.02, 1.0, 2.5), True),  # 22 voxels end 0.44 mm off, less than half a voxel
        ((1.03, 1.0, 2.5), False),  # 0.66 mm
        ((0.5, 0.5, 2.5), False),
        ((1.0, 1.0, 5.0), False),
        ((1.0, 1.0, 2.7), True),  # 6 slices end 1.2 mm off, of 2.7
        ((1.0, 1.0, 2.75), False),  # 1.5 mm
    ],
)
def test_the_field_of_view_agrees_to_half_a_voxel(reference, tmp_path, spacing_xyz, is_same):
    scan = read_scan(write(tmp_path / "a.nrrd", np.zeros((6, 24, 22), np.int16), spacing=spacing_xyz))
    if is_same:
        assert match_grid(reference, scan, grid="same") is reference
        return
    with pytest.raises(ScanError) as caught:
        match_grid(reference, scan, grid="same")
    assert all(str(fact) in str(caught.value) for fact in (scan.path, GRID_MM, "--grid"))
    with pytest.raises(ScanError) as caught:
        match_grid(reference, scan, grid="field-of-view")
    assert all(str(fact) in str(caught.value) for fact in (scan.path, GRID_MM, "--grid physical"))


def test_another_number_of_voxels_over_the_same_field_is_taken(reference, tmp_path):
    scan = read_scan(write(tmp_path / "a.nrrd", np.zeros((6, 48, 44), np.int16), spacing=(0.5, 0.5, 2.5)))
    matched = match_grid(reference, scan, grid="field-of-view")
    assert matched.spacing_mm == pytest.approx((2.5, 0.5, 0.5))
    np.testing.assert_allclose(matched.coefficients, 2 * reference.coefficients)


def test_a_reference_without_spacing_is_taken_at_its_size(tmp_path, rng):
    reference = ReferenceSpectrum.from_image(rng.normal(0, 60, (6, 24, 22)))
    scan = read_scan(write(tmp_path / "a.nrrd", np.zeros((6, 24, 22), np.int16), spacing=(7, 7, 7)))
    assert match_grid(reference, scan, grid="same") is reference


def test_units(tmp_path):
    plain = read_scan(write(tmp_path / "a.nrrd", np.zeros((6, 24, 22), np.int16)))
    ct = read_scan(write(tmp_path / "b.nrrd", np.zeros((6, 24, 22), np.int16), metadata={"unit": "HU"}))
    assert [resolve_unit(plain, None), resolve_unit(plain, "HU"), resolve_unit(ct, None)] == [None, "HU", "HU"]
    assert resolve_unit(ct, " hu ").strip().upper() == "HU"
    with pytest.raises(ScanError) as caught:
        resolve_unit(ct, "SUV")
    assert str(ct.path) in str(caught.value)


def test_no_scan_is_no_reference():
    with raises_naming(ValueError, "image"):
        fit_reference([])


def test_every_setting_decides_about_the_recipe(reference):
    plain = replace(reference, spacing_mm=None)
    recipes = [
        FileSwap(plain, **settings).recipe.key()
        for settings in (
            {},
            {"strength": 0.5},
            {"clip": (0, 1)},
            {"unit": "HU"},
            {"allow_pet": True},
            {"grid": "field-of-view"},
            {"background": -1024.0},
        )
    ]
    recipes.append(FileSwap(reference).recipe.key())
    assert all(one != other for i, one in enumerate(recipes) for other in recipes[:i])
