import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ssimh import match_histogram
from tests.facts import raises_naming
from tests.ssimh.tolerances import assert_close


@given(st.integers(0, 2**16), st.floats(-50, 50), st.floats(0.1, 3))
def test_the_result_has_the_references_values_in_the_images_order(seed, offset, gain):
    rng = np.random.default_rng(seed)
    image, reference = rng.normal(0, 100, (2, 4, 5)), rng.normal(offset, 100 * gain, (5, 8))
    result = match_histogram(image, reference)
    np.testing.assert_array_equal(np.argsort(result.ravel()), np.argsort(image.ravel()))
    assert_close(np.sort(result.ravel()), np.sort(reference.ravel()), "float64")  # 40 values each, all different


def test_matching_with_itself_changes_nothing(scan):
    assert_close(match_histogram(scan, scan), scan, "float64")


def test_voxels_outside_the_mask_keep_their_value_and_do_not_count(scan, donor):
    mask, reference_mask = scan > -100, donor > 0
    result = match_histogram(scan, donor, mask=mask, reference_mask=reference_mask)
    np.testing.assert_array_equal(result[~mask], scan[~mask])
    assert_close(result[mask], match_histogram(scan[mask], donor[reference_mask]), "float64")


@pytest.mark.parametrize("dtype", ["int16", "int32", "float16", "float32", "float64"])
def test_the_route_of_a_device_gives_the_same_values(dtype):
    from ssimh._kernels import torch_histogram

    rng = np.random.default_rng(0)
    for _ in range(8):
        image, reference = (rng.normal(0, 5 * rng.integers(1, 20), rng.integers(2, 300)).astype(dtype) for _ in "ab")
        mask, reference_mask = np.arange(image.size) % 2 == 0, np.arange(reference.size) % 3 == 0
        for inside in ((None, None), (mask, reference_mask)):
            settings = {"mask": inside[0], "reference_mask": inside[1], "strength": 0.7, "clip": (-90, 90)}
            found = torch_histogram.match_histogram(torch.from_numpy(image), reference, *inside, 0.7, (-90, 90))
            assert_close(found, match_histogram(image, reference, **settings), str(found.dtype)[6:])


def test_strength_and_clip(scan, donor):
    whole = match_histogram(scan, donor)
    part = match_histogram(scan, donor, strength=0.25, clip=(-90, 90))
    assert_close(part, np.clip(0.75 * scan + 0.25 * whole, -90, 90), "float64")


@pytest.mark.parametrize("dtype", ["int16", "uint8", "float32", "float64"])
def test_equal_to_scikit_image_to_the_last_bit(scan, donor, dtype):
    exposure = pytest.importorskip("skimage.exposure")
    image, reference = (np.clip(values, 0, 250).astype(dtype) for values in (scan, donor[:4]))
    expected = exposure.match_histograms(image.astype(np.float64).ravel(), reference.astype(np.float64).ravel())
    result = match_histogram(image, reference)
    np.testing.assert_array_equal(result, expected.reshape(image.shape).astype(result.dtype))


def test_a_reference_may_be_a_file_by_name_or_path(scan, donor, tmp_path):
    path = tmp_path / "values.npy"
    np.save(path, donor)
    for given_path in (path, str(path)):
        np.testing.assert_array_equal(match_histogram(scan, given_path), match_histogram(scan, donor))
    with pytest.raises(FileNotFoundError):
        match_histogram(scan, tmp_path / "missing.npy")
    for content in (b"", b"not an array", path.read_bytes()[:100]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"values\.npy"):
            match_histogram(scan, path)
    np.save(path, np.array([{"a": 1}]), allow_pickle=True)
    with pytest.raises(ValueError, match=r"values\.npy"):
        match_histogram(scan, path)


@pytest.mark.parametrize("name", ["int16", "float16", "bfloat16", "float32", "float64"])
def test_tensors_keep_kind_and_dtype(scan, donor, name):
    image = torch.tensor(scan).to(getattr(torch, name))
    result = match_histogram(image, torch.tensor(donor))
    assert result.dtype == (torch.float32 if name == "int16" else image.dtype)
    assert_close(result, match_histogram(image.double().numpy(), donor), result.dtype)


def test_integers_become_float32_and_inputs_stay(scan, donor):
    image = scan.astype(np.int16)
    before = image.copy()
    assert match_histogram(image, donor).dtype == np.float32
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mask": np.zeros((5, 12, 17), bool)}, "0 inside"),
        ({"mask": np.ones((5, 12, 16), bool)}, r"\(5, 12, 16\)"),
        ({"strength": 2}, "strength"),
        ({"clip": (1, 0)}, r"\(1, 0\)"),
        ({"unit": "SUV"}, "SUV"),
    ],
)
def test_bad_settings(scan, donor, change, message):
    with pytest.raises(ValueError, match=message):
        match_histogram(scan, donor, **change)


def test_values_that_are_not_finite(scan):
    bad = scan.copy()
    bad[0, 0, 0] = np.nan
    with raises_naming(ValueError, "image", 1):
        match_histogram(bad, scan)
    with raises_naming(ValueError, "reference", 1):
        match_histogram(scan, bad)
    with raises_naming(TypeError, "image", "bool"):
        match_histogram(scan > 0, scan)
