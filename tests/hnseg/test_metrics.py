"""Scores and lesion matching against brute force and against values derived by hand."""

from __future__ import annotations

import itertools
from collections import deque

import numpy as np
import pytest

from hnseg.lesions import connected_components, match_lesions, overlap_matrix
from hnseg.metrics import Rules, aggregated_dice, dice, f1_score
from hnseg.scores import SCORES, bootstrap, evaluate_case, summarize

RNG = np.random.default_rng(7)


# --- brute force, written for clarity ---------------------------------------------------------------------------------
def flood_components(mask, connectivity):
    reach = {6: 1, 18: 2, 26: 3}[connectivity]
    steps = [d for d in itertools.product((-1, 0, 1), repeat=3) if 0 < sum(map(abs, d)) <= reach]
    left = {tuple(v) for v in np.argwhere(mask)}
    found = []
    for start in sorted(left):
        if start not in left:
            continue
        left.remove(start)
        group, queue = {start}, deque([start])
        while queue:
            voxel = queue.popleft()
            for step in steps:
                other = tuple(a + b for a, b in zip(voxel, step, strict=True))
                if other in left:
                    left.remove(other)
                    group.add(other)
                    queue.append(other)
        found.append(frozenset(group))
    return found


def brute_match(pred, truth, connectivity, matching, threshold, strict):
    truths, preds = flood_components(truth, connectivity), flood_components(pred, connectivity)
    good = (lambda v: v > threshold) if strict else (lambda v: v >= threshold)
    iou = {(i, j): len(t & p) / len(t | p) for i, t in enumerate(truths) for j, p in enumerate(preds) if t & p}
    pairs = {k: v for k, v in iou.items() if good(v)}
    if matching == "grouped":
        return brute_groups(truths, preds, iou, good)
    if matching == "greedy":
        chosen = []
        while pairs:
            i, j = min(pairs, key=lambda k: (-pairs[k], k))
            chosen.append((i, j))
            pairs = {k: v for k, v in pairs.items() if k[0] != i and k[1] != j}
        tp = len(chosen)
    else:
        tp = best_assignment(sorted(pairs.items()))[1]
    return tp, len(preds) - tp, len(truths) - tp


def best_assignment(pairs):
    """Largest (sum of IoU, number of pairs) over every one-to-one choice; sums are compared to 1e-12."""
    if not pairs:
        return 0.0, 0
    ((i, j), value), rest = pairs[0], pairs[1:]
    without = best_assignment(rest)
    total, count = best_assignment([pair for pair in rest if pair[0][0] != i and pair[0][1] != j])
    return max(without, (total + value, count + 1), key=lambda r: (round(r[0], 12), r[1]))


def brute_groups(truths, preds, iou, good):
    nodes = [("t", i) for i in range(len(truths))] + [("p", j) for j in range(len(preds))]
    links = {(("t", i), ("p", j)) for i, j in iou}
    groups = []
    for node in nodes:
        touching = [g for g in groups if any((node, o) in links or (o, node) in links for o in g)]
        groups = [g for g in groups if g not in touching] + [{node}.union(*touching)]
    tp = fp = fn = 0
    for group in groups:
        t = set().union(*[truths[i] for side, i in group if side == "t"])
        p = set().union(*[preds[j] for side, j in group if side == "p"])
        if t and p:
            hit = good(len(t & p) / len(t | p))
            tp, fp, fn = tp + hit, fp + (not hit), fn + (not hit)
        else:
            fn, fp = fn + bool(t), fp + bool(p)
    return tp, fp, fn


def random_pair():
    """Sparse masks whose components partly agree, so that pairs fall on both sides of the threshold."""
    shape = tuple(RNG.integers(3, 7, 3))
    truth = RNG.random(shape) < RNG.choice([0.0, 0.1, 0.2, 0.3], p=[0.05, 0.35, 0.35, 0.25])
    flips = RNG.random(shape) < RNG.choice([0.05, 0.1, 0.3])
    pred = (truth ^ flips) if RNG.random() < 0.95 else np.zeros(shape, bool)
    return pred, truth


# --- lesions ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("connectivity", [6, 18, 26])
def test_components_equal_a_flood_fill(connectivity):
    for _ in range(30):
        mask = RNG.random(tuple(RNG.integers(1, 7, 3))) < 0.3
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
def test_matching_equals_brute_force(connectivity, matching, threshold, strict):
    for _ in range(12):
        pred, truth = random_pair()
        found = match_lesions(
            pred, truth, connectivity=connectivity, matching=matching, iou_threshold=threshold, strict=strict
        )
        assert (found.tp, found.fp, found.fn) == brute_match(pred, truth, connectivity, matching, threshold, strict)


def row(*runs, n=20):
    mask = np.zeros((1, 1, n), bool)
    for start, stop in runs:
        mask[..., start:stop] = True
    return mask


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
    ("options", "said"),
    [
        ({"connectivity": 8}, "6, 18 or 26"),
        ({"matching": "best"}, "greedy"),
        ({"iou_threshold": 1.0}, r"\[0, 1\)"),
    ],
)
def test_an_unknown_option_is_refused(options, said):
    with pytest.raises(ValueError, match=said):
        match_lesions(row((0, 1)), row((0, 1)), **options)
    with pytest.raises(ValueError, match=r"choose|must be"):
        Rules(**options)


def test_masks_of_different_shape_are_refused():
    with pytest.raises(ValueError, match="differ"):
        match_lesions(row(n=5), row(n=6))
    with pytest.raises(ValueError, match="differ"):
        dice(row(n=5), row(n=6))
    with pytest.raises(ValueError, match="three-dimensional"):
        connected_components(np.ones((2, 2), bool))


# --- numbers ----------------------------------------------------------------------------------------------------------
def test_dice_by_hand_and_its_empty_cases():
    assert dice(row((0, 4)), row((2, 8))) == 2 * 2 / 10
    assert dice(row(), row()) == 1.0
    assert dice(row(), row(), both_empty=0.0) == 0.0
    assert dice(row((0, 1)), row()) == dice(row(), row((0, 1))) == 0.0


def test_aggregated_dice_by_hand():
    assert aggregated_dice([2, 0, 3], [10, 5, 6]) == pytest.approx(10 / 21, abs=1e-15)
    assert aggregated_dice([0.0], [0.0]) is None
    assert aggregated_dice([], []) is None
    with pytest.raises(ValueError, match="1 intersections and 2 volumes"):
        aggregated_dice([1], [1, 2])


def test_f1_by_hand():
    assert f1_score(2, 1, 3) == 0.5
    assert f1_score(0, 0, 4) == 0.0
    assert f1_score(0, 0, 0) is None
    with pytest.raises(ValueError, match="≥ 0"):
        f1_score(-1, 0, 0)


# --- the cohort, against sums written out -----------------------------------------------------------------------------
def brute_summary(masks, voxels_ml, rules):
    scores, shared, volume, total = [], {1: 0.0, 2: 0.0}, {1: 0.0, 2: 0.0}, np.zeros(3, int)
    for (pred, truth), voxel_ml in zip(masks, voxels_ml, strict=True):
        for c in (1, 2):
            weight = np.float64(voxel_ml if rules.aggregate == "ml" else 1.0)
            for a, b in zip(pred.ravel().tolist(), truth.ravel().tolist(), strict=True):
                shared[c] += weight * (a == c and b == c)
                volume[c] += weight * ((a == c) + (b == c))
        a, b = pred == 1, truth == 1
        if b.any():
            scores.append(2 * (a & b).sum() / (a.sum() + b.sum()))
        elif rules.empty_truth != "skip":
            scores.append(float(rules.empty_truth == "score" and not a.any()))
        total += brute_match(
            pred == 2, truth == 2, rules.connectivity, rules.matching, rules.iou_threshold, rules.strict
        )
    tp, fp, fn = total
    agg = [2 * shared[c] / volume[c] if volume[c] else None for c in (1, 2)]
    return {
        "gtvp_dice_mean": sum(scores) / len(scores) if scores else None,
        "gtvp_dice_agg": agg[0],
        "gtvn_dice_agg": agg[1],
        "gtvn_f1_agg": 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else None,
        "dice_agg_mean": None if None in agg else sum(agg) / 2,
    }


ALL_RULES = [
    Rules(connectivity=c, matching=m, strict=s, empty_truth=e, aggregate=a)
    for c, m, s, e, a in itertools.product(
        (6, 18, 26), ("greedy", "hungarian", "grouped"), (True, False), ("score", "skip", "zero"), ("ml", "voxels")
    )
]


@pytest.mark.parametrize("rules", ALL_RULES, ids=lambda r: "-".join(map(str, r.as_dict().values())))
def test_cohort_scores_equal_brute_force(rules):
    masks, voxels_ml = [], []
    for _ in range(4):
        shape = tuple(RNG.integers(2, 6, 3))
        odds = [0.6, 0.2, 0.2] if RNG.random() < 0.7 else [0.9, 0.0, 0.1]
        truth = RNG.choice(3, size=shape, p=odds).astype(np.uint8)
        pred = np.where(RNG.random(shape) < 0.6, truth, RNG.choice(3, size=shape, p=odds)).astype(np.uint8)
        masks.append((pred, truth))
        voxels_ml.append(float(RNG.uniform(0.001, 0.1)))
    cases = [evaluate_case(*pair, voxel_ml=v, rules=rules) for pair, v in zip(masks, voxels_ml, strict=True)]
    ours, expected = summarize(cases, rules), brute_summary(masks, voxels_ml, rules)
    for name, value in expected.items():
        if value is None:
            assert ours[name] is None
            assert ours["undefined"][name]
        else:
            assert ours[name] == pytest.approx(value, abs=1e-12, rel=0)


def make_case(pred_runs, truth_runs, voxel_ml=1.0, rules=Rules()):  # noqa: B008
    pred, truth = (sum(c * row(*runs[c]).astype(np.uint8) for c in (1, 2)) for runs in (pred_runs, truth_runs))
    return evaluate_case(pred, truth, voxel_ml=voxel_ml, rules=rules)


def test_aggregated_dice_weighs_by_volume_with_anisotropic_voxels():
    # Case a: voxels of 0.5 x 1 x 4 mm = 0.002 ml, 10 shared of 20 + 10; case b: 2 x 2 x 2 mm = 0.008 ml, 0 of 5 + 0.
    a = make_case({1: [], 2: [(0, 20)]}, {1: [], 2: [(0, 10)]}, voxel_ml=0.5 * 1 * 4 / 1000)
    b = make_case({1: [], 2: [(0, 5)]}, {1: [], 2: []}, voxel_ml=2 * 2 * 2 / 1000)
    assert summarize([a, b])["gtvn_dice_agg"] == pytest.approx(2 * 0.020 / (0.060 + 0.040), abs=1e-12)
    by_voxel = summarize([a, b], Rules(aggregate="voxels"))
    assert by_voxel["gtvn_dice_agg"] == pytest.approx(20 / 35, abs=1e-12)


@pytest.mark.parametrize(
    ("pred", "truth", "score", "skip", "zero"),
    [([], [], 1.0, None, 0.0), ([(0, 2)], [], 0.0, None, 0.0), ([], [(0, 2)], 0.0, 0.0, 0.0)],
    ids=["both empty", "false alarm", "missed"],
)
def test_gtvp_dice_in_the_three_empty_cases(pred, truth, score, skip, zero):
    for rule, expected in (("score", score), ("skip", skip), ("zero", zero)):
        rules = Rules(empty_truth=rule)
        case = make_case({1: pred, 2: []}, {1: truth, 2: []}, rules=rules)
        assert case.gtvp_dice == expected
        assert summarize([case], rules)["gtvp_dice_mean"] == expected


def test_a_cohort_without_nodes_has_no_node_score_and_says_why():
    case = make_case({1: [(0, 2)], 2: []}, {1: [(0, 2)], 2: []})
    summary = summarize([case])
    assert summary["gtvp_dice_mean"] == 1.0
    assert summary["gtvn_dice_agg"] is None
    assert summary["gtvn_f1_agg"] is None
    assert set(summary["undefined"]) == {"gtvn_dice_agg", "gtvn_f1_agg", "dice_agg_mean"}
    assert case.gtvn_dice is None
    assert case.gtvn_f1 is None
    assert case.mean_score == 1.0


def test_no_case_at_all_leaves_every_score_undefined():
    summary = summarize([])
    assert all(summary[name] is None and summary["undefined"][name] == "no case to score" for name in SCORES)


def test_bootstrap_of_equal_cases_is_a_point_and_agrees_with_the_summary():
    case = make_case({1: [(0, 4)], 2: [(6, 9), (15, 16)]}, {1: [(2, 5)], 2: [(6, 10)]})
    summary, boot = summarize([case] * 3), bootstrap([case] * 3, resamples=50)
    for name in SCORES:
        assert boot["intervals"][name] == pytest.approx([summary[name]] * 2, abs=1e-12)


def test_bootstrap_repeats_counts_what_it_leaves_out_and_needs_two_cases():
    full = make_case({1: [(0, 4)], 2: [(6, 9)]}, {1: [(2, 5)], 2: [(6, 10)]})
    bare = make_case({1: [(0, 4)], 2: []}, {1: [(0, 4)], 2: []})
    boot = bootstrap([full, bare], resamples=400)
    assert boot == bootstrap([full, bare], resamples=400)
    assert 50 < boot["undefined_resamples"]["gtvn_f1_agg"] < 150  # a quarter of the draws takes `bare` twice
    assert boot["undefined_resamples"]["gtvp_dice_mean"] == 0
    assert bootstrap([full])["intervals"] == dict.fromkeys(SCORES)


def test_evaluate_case_refuses_bad_input():
    good = np.zeros((2, 2, 2), np.uint8)
    with pytest.raises(ValueError, match="truth: label values must be 0, 1, 2; found 7"):
        evaluate_case(good, good + np.uint8(7), voxel_ml=1.0)
    with pytest.raises(ValueError, match="one grid"):
        evaluate_case(good, good[:1], voxel_ml=1.0)
    with pytest.raises(ValueError, match="voxel_ml"):
        evaluate_case(good, good, voxel_ml=0.0)


def test_rules_survive_json_and_put_themselves_into_words():
    rules = Rules(matching="grouped", strict=False, empty_truth="skip")
    assert Rules(**rules.as_dict()) == rules
    assert "≥ 0.3" in rules.definitions()["gtvn_f1_agg"]
    assert "left out" in rules.definitions()["gtvp_dice_mean"]
