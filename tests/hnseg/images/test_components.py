"""Components and lesion matching against brute force and against values derived by hand."""

from __future__ import annotations

import numpy as np
import pytest

from hnseg.evaluation.overlap import dice
from hnseg.evaluation.rules import Rules
from hnseg.images.components import connected_components, match_lesions, overlap_matrix
from tests.hnseg.brute_force import brute_match, flood_components, random_pair, row


@pytest.mark.parametrize("connectivity", [6, 18, 26])
def test_components_equal_a_flood_fill(rng, connectivity):
    for _ in range(30):
        mask = rng.random(tuple(rng.integers(1, 7, 3))) < 0.3
        parts = connected_components(mask, connectivity)
        whole = np.zeros(mask.shape, int)
        whole[parts.box] = parts.labels
        ours = {frozenset(map(tuple, np.argwhere(whole == k + 1).tolist())) for k in range(len(parts))}
        expected = flood_components(mask, connectivity)
        assert ours == {frozenset(tuple(int(a) for a in v) for v in group) for group in expected}
        assert sorted(parts.sizes_vox) == sorted(map(len, expected))


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5])
@pytest.mark.parametrize("matching", ["greedy", "hungarian", "grouped"])
@pytest.mark.parametrize("connectivity", [6, 18, 26])
def test_matching_equals_brute_force(rng, connectivity, matching, threshold, strict):
    for _ in range(12):
        pred, truth = random_pair(rng)
        found = match_lesions(
            pred, truth, connectivity=connectivity, matching=matching, iou_threshold=threshold, strict=strict
        )
        assert (found.tp, found.fp, found.fn) == brute_match(pred, truth, connectivity, matching, threshold, strict)


def counts(pred, truth, **options):
    found = match_lesions(pred, truth, **options)
    return found.tp, found.fp, found.fn


def test_exactly_at_the_threshold_counts_only_when_not_strict():
    truth, pred = row((0, 10)), row((7, 10))  # IoU 3/10
    assert counts(pred, truth) == (0, 1, 1)
    assert counts(pred, truth, strict=False) == (1, 0, 0)


def test_two_predictions_on_one_lesion_are_one_detection_unless_grouped():
    truth, pred = row((0, 10)), row((0, 4), (5, 10))  # IoU 4/10 and 5/10; together 9/10
    assert counts(pred, truth) == (1, 1, 0)
    assert counts(pred, truth, matching="hungarian") == (1, 1, 0)
    assert counts(pred, truth, matching="grouped") == (1, 0, 0)


def test_greedy_takes_the_best_pair_first_where_hungarian_takes_the_best_sum():
    # t1 0-10, t2 11-17. p1 4-15 covers both: IoU 6/15 with t1 (4..9) and 4/13 with t2 (11..14); p2 0-3: 3/10 with t1.
    truth, pred = row((0, 10), (11, 17)), row((0, 3), (4, 15))
    options = {"strict": False, "iou_threshold": 0.3}
    assert counts(pred, truth, **options) == (1, 1, 1)  # p1-t1 (0.4) first: p2 and t2 are left
    assert counts(pred, truth, matching="hungarian", **options) == (2, 0, 0)  # 0.3 + 0.308 > 0.4


def test_a_corner_joins_at_26_only():
    mask = np.zeros((2, 2, 2), bool)
    mask[0, 0, 0] = mask[1, 1, 1] = True
    assert [len(connected_components(mask, c)) for c in (6, 18, 26)] == [2, 2, 1]
    mask[1, 1, 1], mask[0, 1, 1] = False, True
    assert [len(connected_components(mask, c)) for c in (6, 18, 26)] == [2, 1, 1]


def test_matched_ious_and_sizes_are_recorded():
    found = match_lesions(row((1, 4), (12, 13)), row((0, 4), (6, 8)))
    assert found.truth_sizes_vox.tolist() == [4, 2]
    assert found.pred_sizes_vox.tolist() == [3, 1]
    np.testing.assert_allclose(found.truth_iou, [0.75, np.nan])
    np.testing.assert_allclose(found.pred_iou, [0.75, np.nan])


@pytest.mark.parametrize("matching", ["greedy", "hungarian", "grouped"])
def test_the_three_empty_cases_of_matching(matching):
    some, none = row((0, 3), (5, 7)), row()
    assert counts(none, none, matching=matching) == (0, 0, 0)
    assert counts(some, none, matching=matching) == (0, 2, 0)
    assert counts(none, some, matching=matching) == (0, 0, 2)


def test_overlap_matrix_of_disjoint_boxes_is_zero():
    a, b = connected_components(row((0, 3))), connected_components(row((8, 9), (10, 12)))
    assert overlap_matrix(a, b).tolist() == [[0, 0]]


@pytest.mark.parametrize(
    ("options", "facts"),
    [
        ({"connectivity": 8}, "8.*6, 18"),
        ({"matching": "best"}, "best.*greedy"),
        ({"iou_threshold": 1.0}, r"1\.0.*\[0, 1\)"),
    ],
)
def test_an_unknown_option_is_refused(options, facts):
    (name,) = options
    with pytest.raises(ValueError, match=f"{name}.*{facts}"):
        match_lesions(row((0, 1)), row((0, 1)), **options)
    with pytest.raises(ValueError, match=name):
        Rules(**options)


def test_masks_of_different_shape_are_refused():
    with pytest.raises(ValueError, match=r"\(1, 1, 5\).*\(1, 1, 6\)"):
        match_lesions(row(n=5), row(n=6))
    with pytest.raises(ValueError, match=r"\(1, 1, 5\).*\(1, 1, 6\)"):
        dice(row(n=5), row(n=6))
    with pytest.raises(ValueError, match=r"\(2, 2\)"):
        connected_components(np.ones((2, 2), bool))
