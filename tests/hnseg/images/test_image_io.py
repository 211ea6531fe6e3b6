"""Image files of a case: geometry survives, errors name case and file, nothing is half-written.

What the strict reader refuses is tested in ``tests/ssimh/images/test_image_file.py``.
"""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from hnseg.errors import CaseError
from hnseg.images.geometry import Grid
from hnseg.images.image_io import decoded_bytes, read_grid, read_image, to_sitk, write_image
from tests.facts import raises_naming

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
    assert decoded_bytes(tmp_path / name, "ONE-001") == 2 * RAMP.size
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_the_files_own_dtype_is_held_once_and_outlives_the_reader(tmp_path):
    values = np.random.default_rng(0).integers(-1000, 2000, (60, 64, 64)).astype(np.int16)
    write_image(tmp_path / "a.nii", values, Grid((64, 64, 60), (1, 1, 1), (0, 0, 0)))
    array, _ = read_image(tmp_path / "a.nii", "ONE-001", dtype=None)
    assert array.dtype == np.int16
    others = [read_image(tmp_path / "a.nii", "ONE-001", dtype=None)[0] + 1 for _ in range(5)]  # reuse what is freed
    np.testing.assert_array_equal(array, values)
    array[0, 0, 0] = 7
    assert others[0][0, 0, 0] == values[0, 0, 0] + 1


def test_a_trailing_axis_of_one_is_dropped(tmp_path):
    for name in ("a.nii.gz", "a.mha", "a.nrrd"):
        sitk.WriteImage(sitk.JoinSeries([sitk.GetImageFromArray(RAMP)]), str(tmp_path / name))
        assert read_image(tmp_path / name, "ONE-001")[0].shape == RAMP.shape


def make_nothing(path):
    pass


def make_folder(path):
    path.mkdir()


def make_garbage(path):
    path.write_bytes(b"not an image at all" * 20)


def make_truncated(path):
    noise = np.random.default_rng(0).integers(-1000, 1000, (40, 40, 40)).astype(np.int16)
    write_image(path, noise, Grid((40, 40, 40), (1, 1, 1), (0, 0, 0)))
    path.write_bytes(path.read_bytes()[:20000])


def make_slice(path):
    sitk.WriteImage(sitk.GetImageFromArray(RAMP[0]), str(path))


@pytest.mark.parametrize("make", [make_nothing, make_folder, make_garbage, make_truncated, make_slice])
def test_an_error_names_case_and_file(tmp_path, make):
    path = tmp_path / "ONE-001__CT.nii.gz"
    make(path)
    with pytest.raises(CaseError) as caught:
        read_image(path, "ONE-001")
    assert (caught.value.case_id, caught.value.path) == ("ONE-001", path)
    assert str(path) in str(caught.value)


def test_the_grid_of_a_truncated_file_is_known(tmp_path):
    write_image(tmp_path / "a.nii", RAMP, GRID)
    (tmp_path / "a.nii").write_bytes((tmp_path / "a.nii").read_bytes()[:-2])
    assert read_grid(tmp_path / "a.nii", "ONE-001").matches(GRID)
    with raises_naming(CaseError, 472, 470, case_id="ONE-001", path=tmp_path / "a.nii"):
        read_image(tmp_path / "a.nii", "ONE-001")


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.nii.gz"
    write_image(path, RAMP, GRID)
    before = path.read_bytes()

    def full_disk(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sitk, "WriteImage", full_disk)
    with pytest.raises(OSError, match="28") as caught:
        write_image(path, RAMP + 1, GRID)
    assert caught.value.errno == 28
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.nii.gz"]


def test_array_and_grid_must_agree(tmp_path):
    for use in (lambda: write_image(tmp_path / "a.nii.gz", RAMP.T, GRID), lambda: to_sitk(RAMP.T, GRID)):
        with raises_naming(ValueError, (5, 4, 3), (3, 4, 5)):
            use()
