"""Post-processing: against the Euclidean distance transform, and by hand with anisotropic spacing."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from hnseg.images.components import connected_components
from hnseg.inference.postprocess import apply_distance_prior, component_distances_mm, postprocess_label, remove_islands
from hnseg.settings.predict import PredictConfig
from tests.facts import raises_naming


def blobs(seed, shape=(12, 14, 16)):
    return np.random.default_rng(seed).choice(3, size=shape, p=[0.94, 0.03, 0.03]).astype(np.uint8)


@pytest.mark.parametrize("connectivity", [6, 18, 26])
def test_islands_go_by_their_own_class_and_nothing_else_changes(connectivity):
    label = blobs(0)
    before = label.copy()
    out, removed = remove_islands(label, min_ml=(0.02, 0.03), voxel_ml=0.01, connectivity=connectivity)
    expected = label.copy()
    structure = ndimage.generate_binary_structure(3, {6: 1, 18: 2, 26: 3}[connectivity])
    for value, least_vox in ((1, 2), (2, 3)):
        parts, n = ndimage.label(label == value, structure)
        for k in range(1, n + 1):
            if (parts == k).sum() < least_vox:
                expected[parts == k] = 0
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(label, before)
    assert sum(r.voxels for r in removed) == np.count_nonzero(label != out)
    json.dumps([part.model_dump(mode="json") for part in removed], allow_nan=False)


def test_an_island_of_exactly_the_least_volume_stays():
    label = np.zeros((1, 1, 8), np.uint8)
    label[..., :3] = 2
    label[..., 5:7] = 2
    out, removed = remove_islands(
        label, min_ml={2: 0.3}, voxel_ml=0.1
    )  # 3 * 0.1 > 0.3 in floating point, 2 * 0.1 < 0.3
    assert out[0, 0].tolist() == [2, 2, 2, 0, 0, 0, 0, 0]
    assert [part.model_dump(mode="json", exclude_unset=True) for part in removed] == [
        {
            "step": "island",
            "label": 2,
            "reason": "smaller than 0.3 ml",
            "voxels": 2,
            "volume_ml": 0.2,
            "center_zyx_vox": [0.0, 0.0, 5.5],
        }
    ]
    assert remove_islands(label, min_ml={2: 0.7}, voxel_ml=0.7 / 3)[0][0, 0].tolist() == [2, 2, 2, 0, 0, 0, 0, 0]


def test_a_class_that_is_not_named_stays():
    label = np.array([[[1, 0, 2]]], np.uint8)
    assert remove_islands(label, min_ml={1: 9.0}, voxel_ml=1.0)[0].tolist() == [[[0, 0, 2]]]
    assert remove_islands(label, min_ml=(0.0, 0.0), voxel_ml=1.0)[0].tolist() == label.tolist()


def test_islands_by_voxels_by_class_beside_those_by_volume():
    label = np.zeros((1, 1, 14), np.uint8)
    for value, start, stop in ((1, 0, 1), (1, 2, 4), (2, 5, 6), (2, 7, 9), (2, 10, 13)):
        label[..., start:stop] = value
    out, removed = remove_islands(label, min_vox=(2, 3), voxel_ml=0.1)
    assert out[0, 0].tolist() == [0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 2, 2, 2, 0]
    assert [(r.label, r.voxels, r.reason) for r in removed] == [
        (1, 1, "fewer than 2 voxels"),
        (2, 1, "fewer than 3 voxels"),
        (2, 2, "fewer than 3 voxels"),
    ]
    both, removed = remove_islands(label, min_ml={2: 0.15}, min_vox={2: 3}, voxel_ml=0.1)
    np.testing.assert_array_equal(both[label != 1], out[label != 1])
    assert [r.reason for r in removed] == ["smaller than 0.15 ml", "fewer than 3 voxels"]


def brute_distance_mm(a, b, spacing):
    """Smallest distance between any voxel center of one mask and any of the other, pair by pair."""
    p, q = np.argwhere(a) * np.float64(spacing), np.argwhere(b) * np.float64(spacing)
    return min(float(np.sqrt(((point - q) ** 2).sum(axis=1)).min()) for point in p)


def brute_gap_mm(a, b, spacing):
    """The same between the outer faces of the voxels."""
    gaps = []
    for point in np.argwhere(a):
        steps = np.maximum(np.abs(np.argwhere(b) - point) - 1, 0) * np.float64(spacing)
        gaps.append(float(np.sqrt((steps**2).sum(axis=1)).min()))
    return min(gaps)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (3.27, 0.977, 0.977), (0.5, 2.0, 4.0)])
def test_distances_equal_brute_force_between_voxel_centers(spacing):
    for seed in range(8):
        label = blobs(seed, (6, 8, 9))
        if not (label == 1).any():
            continue
        ours = component_distances_mm(label == 1, connected_components(label == 2), np.asarray(spacing))
        parts, n = ndimage.label(label == 2, np.ones((3, 3, 3)))
        expected = [brute_distance_mm(parts == k, label == 1, spacing) for k in range(1, n + 1)]
        np.testing.assert_allclose(ours, expected, atol=1e-6, rtol=0)
        gaps = [brute_gap_mm(parts == k, label == 1, spacing) for k in range(1, n + 1)]
        diagonal = float(np.linalg.norm(spacing))
        assert all(0 <= d - gap <= diagonal + 1e-9 for d, gap in zip(ours, gaps, strict=True))


def test_the_settings_of_a_run_reach_both_steps():
    label = np.zeros((1, 1, 40), np.uint8)
    label[..., :5], label[..., 7:8], label[..., 9:12], label[..., 36:40] = 1, 1, 2, 2
    settings = PredictConfig(min_gtvp_ml=0.002, min_gtvn_ml=0.0, min_gtvn_vox=2, max_node_distance_mm=30.0)
    out, removed = postprocess_label(label, (1.0, 1.0, 1.0), settings)
    assert np.flatnonzero(out).tolist() == [0, 1, 2, 3, 4, 9, 10, 11]
    assert [r.step for r in removed] == ["island", "distance"]
    assert removed[1].distance_mm == 32.0  # from voxel 36 to 4: the speck at 7 was removed before


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (3.0, 0.9, 0.7), (0.5, 2.0, 4.0)])
def test_distances_equal_the_distance_transform(spacing):
    for seed in range(8):
        label = blobs(seed)
        nodes = connected_components(label == 2)
        ours = component_distances_mm(label == 1, nodes, np.asarray(spacing))
        field = ndimage.distance_transform_edt(label != 1, sampling=spacing)
        parts, n = ndimage.label(label == 2, np.ones((3, 3, 3)))
        expected = [field[parts == k].min() for k in range(1, n + 1)]
        np.testing.assert_allclose(ours, expected, atol=1e-6, rtol=0)


def test_distance_prior_by_hand_with_anisotropic_spacing():
    # 3 mm slices, 1 mm in plane. GTVp at (0,0,0). One node 4 slices up: 12 mm. One 5 columns away: 5 mm.
    label = np.zeros((5, 1, 6), np.uint8)
    label[0, 0, 0], label[4, 0, 0], label[0, 0, 5] = 1, 2, 2
    spacing = (3.0, 1.0, 1.0)
    out, removed = apply_distance_prior(label, max_distance_mm=11.9, spacing_zyx_mm=spacing)
    assert (out[4, 0, 0], out[0, 0, 5]) == (0, 2)
    assert [(r.label, r.distance_mm, r.volume_ml) for r in removed] == [(2, 12.0, 0.003)]
    assert not apply_distance_prior(label, max_distance_mm=12.0, spacing_zyx_mm=spacing)[1]  # at the limit it stays
    assert len(apply_distance_prior(label, max_distance_mm=4.9, spacing_zyx_mm=spacing)[1]) == 2


def test_a_large_node_is_judged_by_its_nearest_point():
    label = np.zeros((1, 1, 40), np.uint8)
    label[..., 0], label[..., 5:40] = 1, 2
    assert not apply_distance_prior(label, max_distance_mm=5.0, spacing_zyx_mm=(1, 1, 1))[1]
    assert apply_distance_prior(label, max_distance_mm=4.0, spacing_zyx_mm=(1, 1, 1))[0].sum() == 1


def test_without_gtvp_the_nodes_stay_and_that_is_recorded():
    label = np.array([[[2, 0, 2]]], np.uint8)
    out, record = apply_distance_prior(label, max_distance_mm=0.1, spacing_zyx_mm=(1, 1, 1))
    assert out.tolist() == label.tolist()
    assert [r.voxels for r in record] == [0]
    assert "no GTVp" in record[0].reason


def test_without_nodes_or_without_anything_there_is_nothing_to_record():
    for label in (np.zeros((2, 2, 2), np.uint8), np.ones((2, 2, 2), np.uint8)):
        out, record = apply_distance_prior(label, max_distance_mm=1.0, spacing_zyx_mm=(1, 1, 1))
        assert record == []
        np.testing.assert_array_equal(out, label)
        assert remove_islands(label, min_ml=(0.1, 0.1), voxel_ml=1.0)[1] == []


@given(seed=st.integers(0, 10_000), least=st.floats(0, 0.1), far=st.floats(0.5, 20))
@settings(max_examples=25, deadline=None)
def test_both_steps_only_remove_and_a_second_pass_removes_nothing(seed, least, far):
    label = blobs(seed, (6, 7, 8))
    out = remove_islands(label, min_ml=(least, least), voxel_ml=0.01)[0]
    assert np.all((out == label) | (out == 0))
    assert remove_islands(out, min_ml=(least, least), voxel_ml=0.01)[1] == []
    near = apply_distance_prior(out, max_distance_mm=far, spacing_zyx_mm=(2, 1, 1))[0]
    again, record = apply_distance_prior(near, max_distance_mm=far, spacing_zyx_mm=(2, 1, 1))
    np.testing.assert_array_equal(again, near)
    assert not any(r.voxels for r in record)


@pytest.mark.parametrize(
    ("call", "facts"),
    [
        (lambda x: remove_islands(x, min_ml=(0.1, -1), voxel_ml=1), ["min_ml", "2: -1"]),
        (lambda x: remove_islands(x, min_ml={3: 1.0}, voxel_ml=1), ["min_ml", "{3: 1.0}"]),
        (lambda x: remove_islands(x, min_vox=(-1, 0), voxel_ml=1), ["min_vox", "1: -1"]),
        (lambda x: remove_islands(x, min_ml=(0, 0), voxel_ml=0), ["voxel_ml 0"]),
        (lambda x: remove_islands(x + np.uint8(7), min_ml=(0, 0), voxel_ml=1), ["0, 1, 2", "7 to 7"]),
        (lambda x: remove_islands(x.astype(float), min_ml=(0, 0), voxel_ml=1), [(2, 2, 2), "float64"]),
        (lambda x: apply_distance_prior(x[0], max_distance_mm=1, spacing_zyx_mm=(1, 1, 1)), ["(z, y, x)", (2, 2)]),
        (lambda x: apply_distance_prior(x, max_distance_mm=0, spacing_zyx_mm=(1, 1, 1)), ["max_distance_mm 0"]),
        (lambda x: apply_distance_prior(x, max_distance_mm=1, spacing_zyx_mm=(1, 1)), ["spacing_zyx_mm (1, 1)"]),
    ],
)
def test_bad_input_is_refused(call, facts):
    with raises_naming(ValueError, *facts):
        call(np.zeros((2, 2, 2), np.uint8))
