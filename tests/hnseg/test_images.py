"""Image files: geometry survives, broken files are named, nothing is half-written."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
import SimpleITK as sitk

from hnseg.errors import CaseError
from hnseg.geometry import Grid
from hnseg.images import read_grid, read_image, write_image

FLIPPED = (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0)
GRID = Grid((5, 4, 3), (0.977, 0.977, 3.27), (-120.5, 33.25, -700.0), FLIPPED)
RAMP = np.arange(60, dtype=np.int16).reshape(GRID.shape) - 30


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nii", "a.mha", "a.nrrd"])
def test_round_trip_keeps_values_and_grid(tmp_path, name):
    write_image(tmp_path / name, RAMP, GRID)
    array, grid = read_image(tmp_path / name, "ONE-001")
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, RAMP)
    assert grid.matches(GRID)
    assert read_grid(tmp_path / name, "ONE-001") == grid
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_trailing_axis_of_one_is_dropped(tmp_path):
    image = sitk.JoinSeries([sitk.GetImageFromArray(RAMP)])
    sitk.WriteImage(image, str(tmp_path / "a.nii.gz"))
    assert read_image(tmp_path / "a.nii.gz", "ONE-001")[0].shape == RAMP.shape


def _missing(path):
    pass


def _garbage(path):
    path.write_bytes(b"not an image at all" * 20)


def _empty(path):
    path.write_bytes(b"")


def _truncated(path):
    noise = np.random.default_rng(0).integers(-1000, 1000, (40, 40, 40)).astype(np.int16)
    write_image(path, noise, Grid((40, 40, 40), (1, 1, 1), (0, 0, 0)))
    path.write_bytes(path.read_bytes()[:20000])


def _cut_in_the_middle_of_a_whole_gzip(path):
    """A gzip file that is whole, of a NIfTI file that is not: an interrupted converter makes these."""
    write_image(path, RAMP, GRID)
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:400]))


def _not_gzip(path):
    write_image(path, RAMP, GRID)
    path.write_bytes(gzip.decompress(path.read_bytes())[:300])


def _four_dimensional(path):
    sitk.WriteImage(sitk.JoinSeries([sitk.GetImageFromArray(RAMP)] * 2), str(path))


def _colour(path):
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((3, 4, 5, 3), np.uint8), isVector=True), str(path))


def _nan(path):
    array = RAMP.astype(np.float32)
    array[0, 0, 0] = np.nan
    write_image(path, array, GRID)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_missing, "does not exist"),
        (_garbage, "not a readable image"),
        (_empty, "not a readable image"),
        (_truncated, "damaged or end too early"),
        (_cut_in_the_middle_of_a_whole_gzip, "the header asks for 472 bytes, the file holds 400"),
        (_not_gzip, "not a readable image|is damaged"),
        (_four_dimensional, "expected a scalar 3-D image"),
        (_colour, "expected a scalar 3-D image"),
        (_nan, "1 voxels are NaN or infinite"),
    ],
)
def test_a_broken_file_is_named_with_its_case(tmp_path, damage, message):
    path = tmp_path / "ONE-001__CT.nii.gz"
    damage(path)
    with pytest.raises(CaseError, match=message) as caught:
        read_image(path, "ONE-001")
    assert caught.value.case_id == "ONE-001"
    assert str(path) in str(caught.value)


def test_a_truncated_uncompressed_nifti_is_refused(tmp_path):
    write_image(tmp_path / "a.nii", RAMP, GRID)
    (tmp_path / "a.nii").write_bytes((tmp_path / "a.nii").read_bytes()[:-2])
    with pytest.raises(CaseError, match="the header asks for 472 bytes, the file holds 470"):
        read_image(tmp_path / "a.nii", "ONE-001")


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.nii.gz"
    write_image(path, RAMP, GRID)
    before = path.read_bytes()

    def full_disk(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sitk, "WriteImage", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_image(path, RAMP + 1, GRID)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.nii.gz"]


def test_array_and_grid_must_agree(tmp_path):
    with pytest.raises(ValueError, match="shape"):
        write_image(tmp_path / "a.nii.gz", RAMP.T, GRID)
