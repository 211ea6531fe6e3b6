"""Any grid: the basis lives in the reference's box, and the field does not depend on how an image is sampled."""

import numpy as np
import pytest
import scipy.ndimage
import torch

from ssimh import ReferenceSpectrum, swap_spectrum
from ssimh._kernels.least_squares import add_in_box, interpolate_slices
from ssimh._kernels.settings import SwapSettings
from ssimh.applied_field import AppliedField
from ssimh.box import resize_affine, turn_affine
from ssimh.box_swap import Placement
from ssimh.swap import swap_with_delta
from tests.facts import raises_naming
from tests.ssimh.tolerances import assert_close

AFFINE = np.array([[0.0, 0, -1.1, 60], [0, -1.1, 0, 80], [3.0, 0, 0, -40], [0, 0, 0, 1]])  # (z, y, x), "SPL"
SHAPE = (12, 40, 36)
MODES = pytest.mark.parametrize("axes", [(-2, -1), (-3, -2, -1)], ids=["slice", "volume"])


def neck(seed: int) -> np.ndarray:
    """HU of something like a neck: air, soft tissue, bone, noise."""
    rng = np.random.default_rng(seed)
    z, y, x = (
        np.linspace(-1, 1, n).reshape([-1 if axis == a else 1 for a in range(3)]) for axis, n in enumerate(SHAPE)
    )
    body = (x / 0.8) ** 2 + (y / 0.7) ** 2 < 1 + 0.2 * z
    values = np.where(body, 40.0 + 30 * x * y + 20 * z + 10 * seed, -1000.0)
    values = np.where(x**2 + (y - 0.3) ** 2 < 0.03, 700.0, values)
    return values + rng.normal(0, 10, SHAPE)


IMAGE = neck(1)


def reference(axes, **options) -> ReferenceSpectrum:
    return ReferenceSpectrum.from_image(neck(3), axes=axes, affine=AFFINE, unit="HU", **options)


def physical(image, donor, affine, **options):
    return swap_spectrum(image, donor, axes=donor.axes, grid="physical", affine=affine, **options)


def turned(image, order, flips):
    """The array permuted and flipped, and its affine."""
    view = image.transpose(order)
    view = view[tuple(slice(None, None, -1 if flip else 1) for flip in flips)]
    return view, turn_affine(AFFINE, image.shape, order, flips)


def padded(image, margins):
    """The array with margins of air, and its affine."""
    affine = AFFINE.copy()
    affine[:3, 3] -= AFFINE[:3, :3] @ [low for low, _ in margins]
    return np.pad(image, margins, constant_values=-1024.0), affine


@MODES
@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
@pytest.mark.parametrize("dtype", [np.int16, np.float32, np.float64])
def test_on_the_references_own_grid_it_is_the_published_swap(axes, kind, dtype):
    image, donor = kind(IMAGE.astype(dtype)), reference(axes)
    for options in ({}, {"strength": 0.4, "region": "triangle"}, {"clip": (-100, 100)}):
        same = swap_spectrum(image, donor, axes=axes, **options)
        result = physical(image, donor, AFFINE, **options)
        assert result.dtype == same.dtype
        assert np.abs(np.asarray(result) - np.asarray(same)).max() < 1e-3


@MODES
@pytest.mark.parametrize(
    ("order", "flips"),
    [
        ((0, 1, 2), (False, False, True)),
        ((0, 1, 2), (True, False, False)),
        ((0, 1, 2), (True, True, True)),
        ((2, 1, 0), (False, False, False)),
        ((2, 1, 0), (True, True, False)),
        ((1, 0, 2), (False, True, False)),
        ((1, 2, 0), (True, False, True)),
    ],
)
@pytest.mark.parametrize("with_mask", [False, True])
def test_flips_and_permutations_do_not_matter(axes, order, flips, with_mask):
    donor, mask = reference(axes), IMAGE > -500 if with_mask else None
    expected = physical(IMAGE, donor, AFFINE, mask=mask) - IMAGE
    view, affine = turned(IMAGE, order, flips)
    given = turned(mask, order, flips)[0] if with_mask else None
    change = physical(view, donor, affine, mask=given) - view
    back = change[tuple(slice(None, None, -1 if flip else 1) for flip in flips)].transpose(np.argsort(order))
    assert np.abs(expected).max() > 20
    assert np.abs(back - expected).max() < 0.01
    tensor = physical(
        torch.tensor(view.copy()), donor, affine, mask=None if given is None else torch.tensor(given.copy())
    )
    assert_close(tensor, view + change, "float64")


@MODES
@pytest.mark.parametrize("margins", [((0, 0), (5, 0), (0, 7)), ((2, 3), (0, 0), (0, 0)), ((1, 1), (9, 4), (3, 8))])
@pytest.mark.parametrize("with_mask", [False, True])
def test_padding_does_not_matter_and_stays(axes, margins, with_mask):
    donor, background = reference(axes), -1024 if with_mask else None
    expected = physical(IMAGE, donor, AFFINE) - IMAGE
    image, affine = padded(IMAGE, margins)
    result = physical(image, donor, affine, background=background)
    inner = tuple(slice(low, low + n) for (low, _), n in zip(margins, SHAPE, strict=True))
    assert np.abs((result - image)[inner] - expected).max() < 0.01
    outside = np.ones(image.shape, bool)
    outside[inner] = False
    np.testing.assert_array_equal(result[outside], image[outside])


@MODES
@pytest.mark.parametrize("factors", [(1, 2, 2), (1, 1.5, 1.25), (2, 1, 1)])
def test_another_sampling_gives_the_same_change(axes, factors):
    """A smooth image: what sampling loses of noise and edges is no question of the method."""
    smooth = scipy.ndimage.gaussian_filter(IMAGE, (1, 2, 2))
    shape = tuple(round(n * factor) for n, factor in zip(SHAPE, factors, strict=True))
    steps = np.divide(SHAPE, shape)
    points = [(np.arange(n) + 0.5) * step - 0.5 for n, step in zip(shape, steps, strict=True)]
    order = 1 if factors[0] > 1 and len(axes) == 2 else 3  # between slices, the reference is interpolated linearly, too
    image = scipy.ndimage.map_coordinates(smooth, np.meshgrid(*points, indexing="ij"), order=order, mode="nearest")
    donor, settings = reference(axes), SwapSettings(axes=axes, grid="physical")
    _, expected = swap_with_delta(smooth, donor, settings, Placement(AFFINE))
    result, field = swap_with_delta(image, donor, settings, Placement(resize_affine(AFFINE, SHAPE, shape)))
    # The first field at the voxels of the second image, from its coefficients: interpolation would blur it.
    delta = interpolate_slices(expected.delta, field.box, axes, shape)
    assert np.abs(add_in_box(image, delta, field.box, None, axes) - result).max() < 1.0


@MODES
@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_only_the_voxels_inside_count_and_a_second_swap_changes_nothing(axes, kind):
    donor, mask = reference(axes), IMAGE > -500
    other = np.where(mask, IMAGE, np.nan)
    result = np.asarray(physical(kind(other), donor, AFFINE, mask=kind(mask)))
    expected = physical(IMAGE, donor, AFFINE, mask=mask)
    np.testing.assert_array_equal(np.isnan(result), ~mask)
    assert_close(result[mask], expected[mask], "float64")
    np.testing.assert_array_equal(expected[~mask], IMAGE[~mask])
    assert_close(physical(expected, donor, AFFINE, mask=mask), expected, "float32")
    everywhere = physical(kind(IMAGE), donor, AFFINE, mask=kind(np.ones(SHAPE, bool)))
    assert_close(everywhere, physical(IMAGE, donor, AFFINE), "float32")


def test_a_mask_gives_the_least_squares_solution():
    donor, mask = reference((-2, -1), threshold=2), IMAGE > 20
    _, field = swap_with_delta(IMAGE, donor, SwapSettings(threshold=2, grid="physical"), Placement(AFFINE), mask=mask)
    y, x = (
        np.sqrt([[1], [2]] / np.float64(n)) * np.cos(np.pi * np.arange(2)[:, None] * (np.arange(n) + 0.5) / n)
        for n in SHAPE[1:]
    )
    for z in range(SHAPE[0]):
        design = np.einsum("ai,bj->ijab", y, x)[mask[z]].reshape(-1, 4)
        own = np.linalg.lstsq(design, IMAGE[z][mask[z]], rcond=None)[0].reshape(2, 2)
        assert_close(donor.coefficients[z] - own, field.delta[z], "float32")


@MODES
def test_few_voxels_and_crops_stay_finite(axes):
    donor = reference(axes)
    mask = np.zeros(SHAPE, bool)
    mask[3, 20, 20:22] = True
    result = physical(IMAGE, donor, AFFINE, mask=mask)
    assert np.isfinite(result).all()
    assert np.count_nonzero(result != IMAGE) == 2
    crop = IMAGE[4:8, 10:30, 20:]
    affine = AFFINE.copy()
    affine[:3, 3] += AFFINE[:3, :3] @ [4, 10, 20]
    result = physical(crop, donor, affine)
    assert np.abs(physical(result, donor, affine) - result).max() < 1e-6
    assert np.abs(result).max() < 3000


@MODES
@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
@pytest.mark.parametrize("threshold", [0, 3])
def test_the_field_undoes_the_swap(axes, kind, threshold):
    image, affine = padded(IMAGE.astype(np.float32), ((1, 1), (4, 0), (0, 2)))
    mask, settings = image > -500, SwapSettings(threshold=threshold, axes=axes, grid="physical")
    result, field = swap_with_delta(kind(image), reference(axes), settings, Placement(affine), mask=kind(mask))
    for undo in (field, AppliedField.from_record(field.to_record())):
        restored = np.asarray(undo.remove_from(result))
        np.testing.assert_array_equal(restored[~mask], image[~mask])
        assert np.abs(restored - image).max() < 1e-3


@MODES
def test_gradients_are_those_of_the_same_grid(axes):
    donor = reference(axes)
    weights = torch.tensor(neck(5))
    found = []
    for swap in (
        lambda image: physical(image, donor, AFFINE, mask=torch.ones(SHAPE, dtype=torch.bool)),
        lambda image: physical(image, donor, AFFINE),
        lambda image: swap_spectrum(image, donor, axes=axes),
    ):
        image = torch.tensor(IMAGE, requires_grad=True)
        (swap(image) * weights).sum().backward()
        found.append(image.grad)
    assert_close(found[0], found[2], "float32")
    assert_close(found[1], found[2], "float32")


def test_channels_share_the_reference():
    donor, image = reference((-2, -1)), np.stack([IMAGE, IMAGE + 7])
    for mask in (None, IMAGE > -500, image > -500):
        result = physical(image, donor, AFFINE, mask=mask)
        for number in range(2):
            each = mask[number] if mask is not None and mask.ndim == 4 else mask
            assert_close(result[number], physical(image[number], donor, AFFINE, mask=each), "float64")


def test_center_and_landmark_move_the_box():
    donor, shift = reference((-2, -1)), np.array([5.0, -7.0, 30.0])
    affine = AFFINE.copy()
    affine[:3, 3] += shift
    expected = physical(IMAGE, donor, AFFINE)
    middle = affine[:3, :3] @ ((np.array(SHAPE) - 1) / 2) + affine[:3, 3]
    assert_close(physical(IMAGE, donor, affine, center_mm=middle), expected, "float64")
    assert_close(physical(IMAGE, donor, affine, landmark_mm=(shift + 3, (3, 3, 3))), expected, "float64")
    without = ReferenceSpectrum.from_image(neck(3), spacing_mm=(3, 1.1, 1.1), orientation="SPL", unit="HU")
    assert_close(physical(IMAGE, without, affine, center_mm=middle), expected, "float64")


def test_bad_input():
    donor = reference((-2, -1))
    with raises_naming(ValueError, "affine", "physical"):
        swap_spectrum(IMAGE, donor, grid="physical")
    with raises_naming(TypeError, "ReferenceSpectrum", "ndarray"):
        swap_spectrum(IMAGE, neck(3), grid="physical", affine=AFFINE)
    with raises_naming(ValueError, "affine", "center_mm"):
        physical(IMAGE, ReferenceSpectrum.from_image(neck(3)), AFFINE)
    with raises_naming(ValueError, "affine", "center_mm", "'same'"):
        swap_spectrum(IMAGE, donor, affine=AFFINE, center_mm=(0, 0, 0))
    with raises_naming(ValueError, "spacing_mm", "workers", "method='fft'"):
        physical(IMAGE, donor, AFFINE, spacing_mm=(3, 1, 1), method="fft", workers=2)
    with raises_naming(ValueError, "center_mm", "landmark_mm"):
        physical(IMAGE, donor, AFFINE, center_mm=(0, 0, 0), landmark_mm=((0, 0, 0), (0, 0, 0)))
    with raises_naming(ValueError, "center_mm", (1, 2)):
        physical(IMAGE, donor, AFFINE, center_mm=(1, 2))
    with raises_naming(ValueError, (36, 36), SHAPE):
        physical(np.zeros((36, 36)), donor, AFFINE)
    far = AFFINE.copy()
    far[0, 3] += 500
    with raises_naming(ValueError, "center_mm", "landmark_mm"):
        physical(IMAGE, donor, far)
    for wrong in (np.eye(3), np.zeros((4, 4)), np.full((4, 4), np.nan)):
        with raises_naming(ValueError, "affine", "RAS"):
            physical(IMAGE, donor, wrong)


@pytest.mark.parametrize(("degrees", "allowed"), [(0.5, True), (1.5, False), (30, False)])
def test_oblique_axes(degrees, allowed):
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    oblique = np.array([[c, -s, 0, 0], [s, c, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]) @ AFFINE
    middle = np.array([*((np.array(SHAPE) - 1) / 2), 1])
    oblique[:, 3] += (AFFINE - oblique) @ middle  # turned about the center of the image
    donor = reference((-2, -1))
    if allowed:
        assert_close(physical(IMAGE, donor, oblique), physical(IMAGE, donor, AFFINE), "float32")
        return
    with raises_naming(ValueError, degrees, "1.0", "degrees"):
        physical(IMAGE, donor, oblique)


def test_the_affine_stays_right(tmp_path):
    donor = reference((-2, -1))
    donor.save(tmp_path / "r.npz")
    assert ReferenceSpectrum.load(tmp_path / "r.npz") == donor
    assert (donor.orientation, donor.spacing_mm) == ("SPL", (3.0, 1.1, 1.1))
    expected = physical(IMAGE, donor, AFFINE)
    for other in (
        donor.for_orientation("RAS"),
        donor.for_orientation("SAL"),
        ReferenceSpectrum.average([donor, donor]),
    ):
        assert_close(physical(IMAGE, other, AFFINE), expected, "float32")
    coarse = donor.for_grid((12, 20, 18))
    assert np.abs(physical(IMAGE, coarse, AFFINE) - expected).max() < 2
    moved = ReferenceSpectrum.from_image(neck(3), affine=AFFINE + np.eye(4, k=3))
    assert (
        ReferenceSpectrum.average(
            [donor, moved.__class__.from_image(neck(3), affine=AFFINE + np.eye(4, k=3), unit="HU")]
        ).affine
        is None
    )
    with raises_naming(ValueError, "spacing_mm"):
        ReferenceSpectrum.from_image(neck(3), affine=AFFINE, spacing_mm=(1, 1, 1))
    with raises_naming(ValueError, "orientation", "'SPL'"):
        ReferenceSpectrum.from_image(neck(3), affine=AFFINE, orientation="RAS")
