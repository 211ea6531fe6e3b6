"""Bad input: every refusal says what was given and what is allowed."""

import numpy as np
import pytest
import torch

from ssimh import ReferenceSpectrum, swap_spectrum
from tests.facts import raises_naming

IMAGE = np.zeros((4, 8, 9), np.float32)


@pytest.mark.parametrize(
    "reference_shape", [(4, 8, 8), (3, 8, 9), (1, 4, 8, 9), (9,), (4, 9, 8)], ids=lambda shape: str(shape)
)
def test_shapes_that_differ(reference_shape):
    with raises_naming(ValueError, "reference", reference_shape, "image", IMAGE.shape):
        swap_spectrum(IMAGE, np.zeros(reference_shape))


def test_a_stored_reference_of_another_grid_names_for_grid():
    reference = ReferenceSpectrum.from_image(np.zeros((4, 8, 8)))
    with raises_naming(ValueError, (4, 8, 8), IMAGE.shape, "for_grid"):
        swap_spectrum(IMAGE, reference)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("threshold", [0, 1, 3])
@pytest.mark.parametrize("method", ["projection", "fft"])
@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_values_that_are_not_finite(value, threshold, method, kind):
    bad = IMAGE.copy()
    bad[2, 3, 4] = value
    with raises_naming(ValueError, "image", 1, 288):
        swap_spectrum(kind(bad), kind(IMAGE), threshold=threshold, method=method)
    with raises_naming(ValueError, "reference", 1, 288):
        swap_spectrum(kind(IMAGE), kind(bad), threshold=threshold, method=method)
    with raises_naming(ValueError, "reference image", 1, 288):
        ReferenceSpectrum.from_image(kind(bad), threshold=threshold)


def test_values_too_large_for_float32_sums():
    image = np.full((4, 8, 9), 3e38, np.float32)
    with raises_naming(ValueError, "image", "3e+38", "float64"):
        swap_spectrum(image, IMAGE)
    assert np.isfinite(swap_spectrum(image.astype(np.float64), IMAGE)).all()


@pytest.mark.parametrize("threshold", [-1, 9, 1000])
def test_threshold_outside_the_grid(threshold):
    with raises_naming(ValueError, f"threshold={threshold}", "0 … 8", IMAGE.shape):
        swap_spectrum(IMAGE, IMAGE, threshold=threshold)


@pytest.mark.parametrize("threshold", [2.5, "3", None, True])
def test_threshold_of_another_type(threshold):
    with raises_naming(TypeError, "threshold", repr(threshold)):
        swap_spectrum(IMAGE, IMAGE, threshold=threshold)


@pytest.mark.parametrize("dtype", [bool, complex, np.complex64, object, "datetime64[s]", np.longdouble])
def test_dtypes_that_make_no_image(dtype):
    with raises_naming(TypeError, "image", np.dtype(dtype), "float32"):
        swap_spectrum(IMAGE.astype(dtype), IMAGE)
    with raises_naming(TypeError, "reference", np.dtype(dtype), "float32"):
        swap_spectrum(IMAGE, IMAGE.astype(dtype))


@pytest.mark.parametrize("dtype", [torch.bool, torch.complex64, torch.float8_e4m3fn])
def test_tensor_dtypes_that_make_no_image(dtype):
    with raises_naming(TypeError, "image", dtype, "float32"):
        swap_spectrum(torch.zeros(4, 8, 9).to(dtype), IMAGE)


def test_other_containers():
    with raises_naming(TypeError, "image", "list"):
        swap_spectrum([[1.0]], IMAGE)
    with raises_naming(TypeError, "reference", "list"):
        swap_spectrum(IMAGE, [[1.0]])
    with raises_naming(TypeError, "image", "mask"):
        swap_spectrum(np.ma.masked_less(IMAGE, 0), IMAGE)


def test_empty_images():
    with raises_naming(ValueError, "image", (0, 8, 9)):
        swap_spectrum(IMAGE[:0], IMAGE[:0])


@pytest.mark.parametrize(("axes", "error"), [((), ValueError), ((0, 3), ValueError), ((1, -2), ValueError)])
def test_axes_that_do_not_fit(axes, error):
    with pytest.raises(error, match="axes"):
        swap_spectrum(IMAGE, IMAGE, axes=axes)


def test_axes_of_another_type():
    with raises_naming(TypeError, "axes", (0.5, 1)):
        swap_spectrum(IMAGE, IMAGE, axes=(0.5, 1))


def test_a_reference_fitted_for_other_axes():
    reference = ReferenceSpectrum.from_image(IMAGE, axes=(-3, -2, -1))
    with raises_naming(ValueError, (-3, -2, -1), "(-2, -1) "):
        swap_spectrum(IMAGE, reference)


def test_a_reference_that_holds_too_little():
    with raises_naming(ValueError, "'square'", "threshold 2", "threshold 3"):
        swap_spectrum(IMAGE, ReferenceSpectrum.from_image(IMAGE, threshold=2), threshold=3)
    with raises_naming(ValueError, "'triangle'", "'square'", "threshold 3"):
        swap_spectrum(IMAGE, ReferenceSpectrum.from_image(IMAGE, threshold=3, region="triangle"), threshold=3)


@pytest.mark.parametrize("unit", ["SUV", "Bq/ml", "BQML", " gml"])
def test_pet_is_refused_unless_asked_for(unit):
    with raises_naming(ValueError, "image", repr(unit), "allow_pet=True"):
        swap_spectrum(IMAGE, IMAGE, unit=unit)
    swap_spectrum(IMAGE, IMAGE, unit=unit, allow_pet=True)
    reference = ReferenceSpectrum.from_image(IMAGE, unit=unit)
    with raises_naming(ValueError, "reference", repr(unit), "allow_pet=True"):
        swap_spectrum(IMAGE, reference)
    swap_spectrum(IMAGE, reference, allow_pet=True)


def test_units_that_disagree():
    with raises_naming(ValueError, "'HU'", "'a.u.'"):
        swap_spectrum(IMAGE, ReferenceSpectrum.from_image(IMAGE, unit="a.u."), unit="HU")


def test_a_reference_on_another_orientation_names_the_conversion():
    reference = ReferenceSpectrum.from_image(IMAGE, orientation="SPL")
    with raises_naming(ValueError, "'SPL'", "for_orientation('IPL')"):
        swap_spectrum(IMAGE, reference, orientation="IPL")
    swap_spectrum(IMAGE, reference.for_orientation("IPL"), orientation="IPL")


@pytest.mark.parametrize(
    ("settings", "facts"),
    [
        ({"region": "ring"}, ["region", "'ring'"]),
        ({"method": "magic"}, ["method", "auto, projection, fft", "'magic'"]),
        ({"strength": 1.5}, ["strength", "0 … 1", 1.5]),
        ({"strength": float("nan")}, ["strength", "nan"]),
        ({"clip": (5, 5)}, ["clip", (5, 5)]),
        ({"clip": (1, 2, 3)}, ["clip", (1, 2, 3)]),
        ({"workers": 0}, ["workers", 0]),
    ],
)
def test_settings_out_of_range(settings, facts):
    image = np.zeros((40, 100, 100), np.float32)  # large enough to be given to workers
    with raises_naming(ValueError, *facts):
        swap_spectrum(image, image, **settings)


def test_a_reference_file_that_is_none(tmp_path):
    with raises_naming(FileNotFoundError, tmp_path / "missing.npz"):
        swap_spectrum(IMAGE, tmp_path / "missing.npz")
