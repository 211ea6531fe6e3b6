"""A disk that fills is named, and no truncated file stays; ITK alone writes a truncated NIfTI file without a word."""

from __future__ import annotations

import errno
import json
import subprocess
import sys

import numpy as np
import pytest
import SimpleITK as sitk

from ssimh.images.image_writing import write_image_file

IMAGE = sitk.GetImageFromArray(np.random.default_rng(0).integers(0, 30_000, (32, 32, 32)).astype(np.int16))
LIMITED = """
import json, resource, sys
import numpy as np
import SimpleITK as sitk
from ssimh.images.image_writing import write_image_file
values = np.random.default_rng(0).integers(0, 30_000, (32, 32, 32)).astype(np.int16)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    write_image_file(sys.argv[1], sitk.GetImageFromArray(values))
except OSError as error:
    print(json.dumps([error.errno, error.filename]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limit of a file's size")
@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".mha", ".nrrd"])
def test_a_limit_in_the_middle_of_a_file(tmp_path, suffix):
    path = tmp_path / f"scan{suffix}"
    path.write_bytes(b"old")
    done = subprocess.run([sys.executable, "-c", LIMITED, str(path)], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [errno.EFBIG, str(path)]
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".mha", ".nrrd"])
@pytest.mark.parametrize("level", [-1, 1])
@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_a_whole_file_is_read_back(tmp_path, suffix, level, kind):
    path = tmp_path / f"scan{suffix}"
    values = np.arange(60).reshape(3, 4, 5).astype(kind)
    write_image_file(path, sitk.GetImageFromArray(values), compression_level=level)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(path))), values)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd"])
def test_the_level_counts_and_equal_images_give_equal_files(tmp_path, suffix):
    """ITK itself ignores the level for NIfTI."""
    smooth = sitk.GetImageFromArray((np.arange(32**3).reshape(32, 32, 32) // 7 % 251).astype(np.int16))
    paths = [tmp_path / f"{name}{suffix}" for name in ("quick", "small", "again")]
    for path, level in zip(paths, (1, 9, 1), strict=True):
        write_image_file(path, smooth, compression_level=level)
    quick, small, again = (path.read_bytes() for path in paths)
    assert len(small) < len(quick)
    assert quick == again
    assert sorted(tmp_path.iterdir()) == sorted(paths)


def test_a_format_that_itk_cannot_write_keeps_its_error(tmp_path):
    with pytest.raises(RuntimeError):
        write_image_file(tmp_path / "scan.xyz", IMAGE)
    assert list(tmp_path.iterdir()) == []
