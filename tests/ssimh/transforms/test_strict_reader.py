"""The reader for MONAI's LoadImage: what MONAI's own readers give of sound files, and no way around a refusal.

``benchmarks/reading.py`` compares it with MONAI's ``ITKReader``: its package ``itk`` and ``gdcm``, which other tests
load, do not live in one process.
"""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from monai.data import DataLoader, Dataset, NibabelReader
from monai.transforms import LoadImage, LoadImaged

import ssimh
from ssimh.images.image_file import ImageFileError

pytestmark = pytest.mark.filterwarnings(
    "ignore:NvImgCodecPydicomReader:UserWarning"
)  # MONAI's, without NVIDIA's decoder

ANGLE = 0.3
TURN = [np.cos(ANGLE), -np.sin(ANGLE), 0.0, np.sin(ANGLE), np.cos(ANGLE), 0.0, 0.0, 0.0, -1.0]
SPACING, ORIGIN = (0.75, 1.25, 3.0), (-120.5, 33.25, -700.0)
VALUES = np.random.default_rng(0).normal(0, 300, (3, 4, 5))


def write(path, dtype=np.int16, values=VALUES, origin=ORIGIN):
    image = sitk.GetImageFromArray(values.clip(*(None, None) if dtype != np.uint8 else (0, 255)).astype(dtype))
    if values.ndim == 3:
        image.SetSpacing(SPACING)
        image.SetOrigin(origin)
        image.SetDirection(TURN)
    sitk.WriteImage(image, str(path), True)
    return path


def load(path, **options):
    return LoadImage(reader=ssimh.StrictReader, **options)(path)


def expect_same(ours, theirs):
    """Values, affine and what MONAI derives from a file."""
    assert ours.dtype == theirs.dtype
    assert torch.equal(ours.as_tensor(), theirs.as_tensor())
    torch.testing.assert_close(ours.affine, theirs.affine, atol=1e-5, rtol=1e-6)
    for key in ("space", "spatial_shape", "original_channel_dim", "original_affine", "filename_or_obj"):
        mine, other = ours.meta[key], theirs.meta[key]
        if isinstance(mine, str):
            assert mine == other
        else:
            np.testing.assert_allclose(mine, other, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
@pytest.mark.parametrize("kept", [None, np.float32])
def test_a_file_is_what_nibabel_makes_of_it(tmp_path, dtype, kept):
    path = write(tmp_path / "a.nii.gz", dtype)
    expect_same(load(path, dtype=kept), LoadImage(reader=NibabelReader, dtype=kept)(path))


def test_axes_affine_and_metadata_by_hand(tmp_path):
    values, metadata = ssimh.StrictReader().get_data(ssimh.StrictReader().read(write(tmp_path / "a.mha")))
    np.testing.assert_array_equal(values, VALUES.astype(np.int16).transpose())
    assert values.flags.c_contiguous
    # Column i is the step along axis i; x and y of LPS change their sign in RAS.
    c, s = np.cos(ANGLE), np.sin(ANGLE)
    expected = [
        [-c * 0.75, s * 1.25, 0, 120.5],
        [-s * 0.75, -c * 1.25, 0, -33.25],
        [0, 0, -3.0, -700.0],
        [0, 0, 0, 1],
    ]
    np.testing.assert_allclose(metadata["affine"], expected, atol=1e-9)
    assert tuple(metadata["spatial_shape"]) == values.shape == (5, 4, 3)
    assert metadata["space"] == "RAS"
    assert not [key for key in metadata if str(key).startswith("ITK_")]


def test_several_files_become_channels(tmp_path):
    """A scan and its mask; integers stay exact."""
    scan, mask = write(tmp_path / "scan.nii.gz"), write(tmp_path / "mask.nii.gz", np.uint8)
    both = load([scan, mask], dtype=None)
    assert (tuple(both.shape), both.dtype, both.meta["original_channel_dim"]) == ((2, 5, 4, 3), torch.int16, 0)
    expect_same(both, LoadImage(reader=NibabelReader, dtype=None)([scan, mask]))
    assert load([scan, mask], ensure_channel_first=True).shape == (2, 5, 4, 3)
    assert load(mask, ensure_channel_first=True).shape == (1, 5, 4, 3)


def test_channels_of_other_shapes_or_places_are_refused(tmp_path):
    scan = write(tmp_path / "scan.nii.gz")
    for other in (
        write(tmp_path / "small.nii.gz", values=VALUES[:2]),
        write(tmp_path / "moved.nii.gz", origin=(1.0, 2.0, 3.0)),
    ):
        with pytest.raises(ValueError, match=r"scan\.nii\.gz") as caught:
            load([scan, other])
        assert other.name in str(caught.value)


def damage(path, kind):
    """A file that MONAI's readers take, or that one of them takes after another refused it."""
    raw = path.read_bytes()
    if kind == "nan":
        return write(path, np.float32, np.where(VALUES > 300, np.nan, VALUES))
    cut = {"cut": raw[:-6], "flipped": raw[:-6] + bytes([raw[-6] ^ 1]) + raw[-5:], "longer": raw + b"garbage"}
    path.write_bytes(cut[kind])
    return path


@pytest.mark.parametrize("kind", ["cut", "flipped", "longer", "nan"])
def test_what_is_refused_is_not_given_to_another_reader(tmp_path, kind):
    """LoadImage would give it to the next one if ``read`` failed."""
    path = damage(write(tmp_path / "a.nii.gz"), kind)
    for reader in (ssimh.StrictReader, ssimh.StrictReader(), "ssimh.StrictReader", [NibabelReader, ssimh.StrictReader]):
        with pytest.raises(ImageFileError) as caught:
            LoadImage(reader=reader)(path)
        assert caught.value.path == path
    with pytest.raises(ImageFileError):
        LoadImage()(path, reader=ssimh.StrictReader())


def test_the_damaged_file_is_taken_without_it(tmp_path):
    """What the reader is for: MONAI reads NaN, and a mask with a hole, in silence."""
    path = damage(write(tmp_path / "a.nii.gz"), "nan")
    assert LoadImage()(path).isnan().any()


def test_dictionary_form_in_a_loader_with_processes(tmp_path):
    samples = [{"image": write(tmp_path / f"{number}.nii.gz", values=VALUES + number)} for number in range(2)]
    transform = LoadImaged("image", reader="ssimh.StrictReader", ensure_channel_first=True)
    pickle.loads(pickle.dumps(ssimh.StrictReader()))
    (batch,) = DataLoader(Dataset(samples, transform), batch_size=2)
    np.testing.assert_array_equal(
        batch["image"].numpy()[:, 0], [(VALUES + number).astype(np.int16).transpose() for number in range(2)]
    )


def test_names_and_folders(tmp_path):
    reader = ssimh.StrictReader()
    assert reader.verify_suffix(tmp_path)
    assert reader.verify_suffix([tmp_path / "a.nii.gz", "b.mha"])
    assert not reader.verify_suffix(["a.nii.gz", "b.npy"])
    with pytest.raises(ImageFileError):
        load(tmp_path / "missing.nii.gz")
