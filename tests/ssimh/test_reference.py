import json
import os
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ssimh import ReferenceFileError, ReferenceSpectrum, from_low_frequency, swap_spectrum
from tests.facts import raises_naming
from tests.ssimh.strategies import with_axes
from tests.ssimh.tolerances import assert_close


@pytest.fixture
def reference(scan):
    return ReferenceSpectrum.from_image(
        scan, threshold=3, region="triangle", spacing_mm=(3.0, 1.0, 1.5), orientation="SPL", unit="HU"
    )


def test_save_and_load_give_the_same_reference(reference, tmp_path):
    reference.save(tmp_path / "ref.npz")
    loaded = ReferenceSpectrum.load(tmp_path / "ref.npz")
    assert loaded == reference
    assert hash(loaded) == hash(reference)
    assert loaded.header() == reference.header()
    np.testing.assert_array_equal(loaded.coefficients, reference.coefficients)
    assert list(tmp_path.iterdir()) == [tmp_path / "ref.npz"]


def test_the_file_is_read_with_numpy_alone_and_states_everything(reference, tmp_path):
    reference.save(tmp_path / "ref.npz")
    with np.load(tmp_path / "ref.npz", allow_pickle=False) as archive:
        header = json.loads(archive["header"].tobytes())
        assert sorted(archive) == ["coefficients", "header"]
    assert header == {
        "format": "ssimh-reference",
        "version": 1,
        "threshold": 3,
        "axes": [-2, -1],
        "region": "triangle",
        "shape": [5, 12, 17],
        "spacing_mm": [3.0, 1.0, 1.5],
        "orientation": "SPL",
        "unit": "HU",
        "n_subjects": 1,
        "statistic": "mean",
        "content_hash": reference.content_hash,
    }


def test_a_clinical_grid_takes_kilobytes(rng, tmp_path):
    image = rng.normal(0, 300, (310, 50, 50)).astype(np.float32)
    ReferenceSpectrum.from_image(image).save(tmp_path / "ref.npz")
    assert (tmp_path / "ref.npz").stat().st_size < 13_000


def test_a_saved_reference_swaps_from_its_path(reference, scan, donor, tmp_path):
    path = tmp_path / "ref.npz"
    ReferenceSpectrum.from_image(donor).save(path)
    expected = swap_spectrum(scan, donor)
    assert_close(swap_spectrum(scan, path), expected, "float64")
    assert_close(swap_spectrum(scan, os.fspath(path)), expected, "float64")


@pytest.mark.parametrize("statistic", ["mean", "median"])
def test_streaming_statistics(rng, statistic):
    scans = rng.normal(0, 300, (5, 3, 8, 9))
    alive = []

    def stream():
        for scan in scans:
            alive.append(1)
            yield scan

    together = ReferenceSpectrum.from_images(stream(), threshold=3, statistic=statistic, unit="HU")
    each = [ReferenceSpectrum.from_image(scan, threshold=3).coefficients for scan in scans]
    assert_close(together.coefficients, getattr(np, statistic)(each, axis=0), "float64")
    assert (together.n_subjects, together.statistic, len(alive)) == (5, statistic, 5)


def test_averages_are_weighted_by_subjects(rng):
    scans = rng.normal(0, 300, (3, 4, 6, 6))
    pair = ReferenceSpectrum.from_images(scans[:2])
    merged = ReferenceSpectrum.average([pair, ReferenceSpectrum.from_image(scans[2])])
    assert_close(merged.coefficients, ReferenceSpectrum.from_images(scans).coefficients, "float64")
    assert merged.n_subjects == 3


def test_no_image_and_images_that_differ_are_refused():
    with raises_naming(ValueError, "image"):
        ReferenceSpectrum.from_images([])
    with raises_naming(ValueError, "image 2", (4, 4), (5, 4), "for_grid"):
        ReferenceSpectrum.from_images([np.zeros((5, 4)), np.zeros((4, 4))])
    with raises_naming(ValueError, "statistic", "'mode'"):
        ReferenceSpectrum.from_images([np.zeros((5, 4))], statistic="mode")


def test_images_of_one_matrix_and_other_voxel_sizes_are_refused(rng):
    scans = rng.normal(0, 300, (3, 5, 8, 9))
    fine, coarse, unknown = (
        ReferenceSpectrum.from_image(scan, spacing_mm=spacing)
        for scan, spacing in zip(scans, [(3.0, 1.0, 1.0), (3.0, 2.0, 2.0), None], strict=True)
    )
    calls = [
        lambda: ReferenceSpectrum.average([fine, coarse]),
        lambda: ReferenceSpectrum.average([unknown, fine, coarse]),
        lambda: ReferenceSpectrum.from_images(scans[:2], spacing_mm=[(3.0, 1.0, 1.0), (3.0, 2.0, 2.0)]),
        lambda: swap_spectrum(scans[0], coarse, spacing_mm=(3.0, 1.0, 1.0)),
    ]
    for call in calls:
        with pytest.raises(ValueError) as caught:  # noqa: PT011  (the facts are checked below)
            call()
        assert "(3.0, 1.0, 1.0)" in str(caught.value)
        assert "(3.0, 2.0, 2.0)" in str(caught.value)
    with raises_naming(ValueError, "spacing_mm", 3, (1.0, 1.0)):
        swap_spectrum(scans[0], coarse, spacing_mm=(1.0, 1.0))
    # What is unknown, what agrees to half a voxel, and what is declared the same is allowed.
    assert ReferenceSpectrum.average([unknown, fine]).spacing_mm == (3.0, 1.0, 1.0)
    assert ReferenceSpectrum.from_images(scans, spacing_mm=[(3.0, 1.0, 1.0)] * 2 + [(3.0, 1.05, 1.0)]).n_subjects == 3
    with raises_naming(ValueError, "spacings"):
        ReferenceSpectrum.from_images(scans, spacing_mm=[(3.0, 1.0, 1.0)])
    expected = swap_spectrum(scans[0], scans[1])
    for reference, spacing in ((coarse, None), (replace(coarse, spacing_mm=None), (3.0, 1.0, 1.0))):
        assert_close(swap_spectrum(scans[0], reference, spacing_mm=spacing), expected, "float64")


def band_limited(shape, bands, seed):
    coefficients = np.random.default_rng(seed).normal(size=(bands,) * len(shape))
    scale = np.sqrt(np.prod(shape))
    field = coefficients * scale
    for axis, size in enumerate(shape):
        wide = [bands] * len(shape)
        wide[:axis] = shape[:axis]
        wide[axis] = size
        field = from_low_frequency(field, wide, axes=axis)
    return field


@given(st.tuples(*[st.integers(3, 12)] * 3), st.tuples(*[st.integers(3, 12)] * 3), st.booleans())
def test_another_grid_is_exact_for_band_limited_content(old, new, volume):
    axes = (-3, -2, -1) if volume else (-2, -1)
    fitted = ReferenceSpectrum.from_image(band_limited(old, 3, 7), axes=axes)
    expected = ReferenceSpectrum.from_image(band_limited(new, 3, 7), axes=axes)
    moved = fitted.for_grid(new)
    assert moved.shape == new
    assert_close(moved.coefficients, expected.coefficients, "float64")


def test_another_grid_keeps_the_field_of_view(reference):
    moved = reference.for_grid((5, 24, 34))
    assert moved.spacing_mm == (3.0, 0.5, 0.75)
    assert reference.for_grid((5, 24, 34), (3.0, 0.5, 0.75)) == moved
    with raises_naming(ValueError, [15.0, 24.0, 34.0], [15.0, 12.0, 25.5]):
        reference.for_grid((5, 24, 34), (3.0, 1.0, 1.0))


@pytest.mark.parametrize("shape", [(5, 12), (5, 2, 17), (0, 12, 17)])
def test_impossible_grids_are_refused(reference, shape):
    with raises_naming(ValueError, shape):
        reference.for_grid(shape)


@pytest.mark.parametrize(
    ("target", "turn"),
    [
        ("IPL", lambda x: x[::-1]),
        ("SAR", lambda x: x[:, ::-1, ::-1]),
        ("LPS", lambda x: x.transpose(2, 1, 0)),
        ("RIA", lambda x: x.transpose(2, 0, 1)[::-1, ::-1, ::-1]),
    ],
)
@pytest.mark.parametrize("axes", [(-2, -1), (-3, -2, -1)])
def test_turning_is_exact(scan, target, turn, axes):
    spacing = np.array([3.0, 1.0, 1.5])
    fitted = ReferenceSpectrum.from_image(scan, axes=axes, orientation="SPL", spacing_mm=spacing)
    turned = fitted.for_orientation(target)
    image = turn(scan)
    expected = ReferenceSpectrum.from_image(image, axes=turned.axes, orientation=target)
    assert_close(turned.coefficients, expected.coefficients, "float64")
    assert turned.shape == image.shape
    assert turned.spacing_mm == tuple(spacing[scan.shape.index(size)] for size in image.shape)
    assert_close(turned.for_orientation("SPL").coefficients, fitted.coefficients, "float64")


def test_turning_needs_an_orientation(scan):
    with raises_naming(ValueError, "orientation", "'SPL'"):
        ReferenceSpectrum.from_image(scan).for_orientation("SPL")
    with raises_naming(ValueError, "orientation", "'SSL'", 3):
        ReferenceSpectrum.from_image(scan, orientation="SSL")


def test_tensors_of_every_dtype_can_be_references(scan):
    expected = ReferenceSpectrum.from_image(scan).coefficients
    for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int16):
        tensor = torch.tensor(scan).to(dtype).requires_grad_(dtype.is_floating_point)
        found = ReferenceSpectrum.from_image(tensor).coefficients
        assert found.dtype == (np.float64 if dtype == torch.float64 else np.float32)
        # Rounding every voxel to its dtype moves a coefficient by about the same, since the basis is orthonormal.
        np.testing.assert_allclose(found, expected, atol={"bfloat16": 8, "int16": 2}.get(str(dtype)[6:], 0.6))


@given(with_axes())
def test_references_are_immutable_and_picklable(case):
    image, threshold, axes = case
    reference = ReferenceSpectrum.from_image(image, threshold=threshold, axes=axes)
    assert pickle.loads(pickle.dumps(reference)) == reference
    assert not reference.coefficients.flags.writeable


@pytest.mark.parametrize(
    "change",
    [{"spacing_mm": (1.0, -1.0, 1.0)}, {"spacing_mm": (1.0,) * 4}, {"n_subjects": 0}, {"coefficients": np.zeros(3)}],
)
def test_fields_that_do_not_fit_are_refused(reference, change):
    fields = {**reference.header(), "coefficients": reference.coefficients, **change}
    with raises_naming(ValueError, *change):
        ReferenceSpectrum(fields.pop("coefficients"), **fields)


def damaged(path, reference, kind):
    reference.save(path)
    content = bytearray(path.read_bytes())
    with np.load(path) as archive:
        header, coefficients = json.loads(archive["header"].tobytes()), archive["coefficients"]
    if kind == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif kind == "text":
        path.write_text("not a reference")
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "array":
        with path.open("wb") as stream:
            np.save(stream, coefficients)
    elif kind == "pickle":
        with path.open("wb") as stream:
            np.savez(stream, header=np.array({"format": "ssimh-reference"}, dtype=object), coefficients=coefficients)
    else:
        header.update(
            {"foreign": {"format": "other"}, "newer": {"version": 2}, "edited": {"threshold": 2}}.get(kind, {})
        )
        header.update({"tampered": {"unit": "SUV"}}.get(kind, {}))
        if kind == "unknown":
            header["color"] = "blue"
        if kind == "values":
            coefficients = coefficients + 1
        text = "[1, 2" if kind == "json" else json.dumps(header)
        with path.open("wb") as stream:
            np.savez(stream, header=np.frombuffer(text.encode(), np.uint8), coefficients=coefficients)


@pytest.mark.parametrize(
    ("kind", "facts"),
    [
        *((kind, ["ReferenceSpectrum.save"]) for kind in ("truncated", "text", "empty", "array", "pickle", "json")),
        ("text", ["`ssimh fit`"]),
        ("foreign", ["ssimh-reference"]),
        ("newer", ["version 2", "version 1"]),
        ("edited", ["ssimh-reference", (5, 2, 2)]),
        ("unknown", ["ssimh-reference", "color"]),
        ("tampered", ["hash"]),
        ("values", ["hash"]),
    ],
)
def test_damaged_and_foreign_files_are_refused(reference, tmp_path, kind, facts):
    path = tmp_path / "ref.npz"
    damaged(path, reference, kind)
    with raises_naming(ReferenceFileError, path, *facts):
        ReferenceSpectrum.load(path)


def test_saving_into_a_missing_folder_is_refused(reference, tmp_path):
    with raises_naming(FileNotFoundError, "nowhere"):
        reference.save(tmp_path / "nowhere" / "ref.npz")


def test_a_failed_write_leaves_the_old_file(reference, tmp_path, monkeypatch):
    path = tmp_path / "ref.npz"
    path.write_text("old")

    def fail(*_args, **_kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez_compressed", fail)
    with pytest.raises(OSError, match="disk full"):
        reference.save(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
