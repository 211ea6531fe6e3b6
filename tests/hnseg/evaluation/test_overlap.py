"""Scores against brute force and against values derived by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from hnseg.evaluation.case_scores import evaluate_case
from hnseg.evaluation.cohort_scores import bootstrap, detection_by_size, summarize
from hnseg.evaluation.overlap import aggregated_dice, dice, f1_score
from hnseg.evaluation.records import CaseRow
from hnseg.evaluation.rules import HECKTOR_2022, Rules
from hnseg.evaluation.score_specs import SUM_SCORES, SURFACE_SCORES, define_scores, headline
from hnseg.images.components import connected_components, match_lesions
from tests.facts import raises_naming
from tests.hnseg.brute_force import brute_match, flood_components, random_pair, row

SUMS, SURFACE = ([spec.key for spec in specs] for specs in (SUM_SCORES, SURFACE_SCORES))


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
    with raises_naming(ValueError, 1, 2):
        aggregated_dice([1], [1, 2])


def test_f1_by_hand():
    assert f1_score(2, 1, 3) == 0.5
    assert f1_score(0, 0, 4) == 0.0
    assert f1_score(0, 0, 0) is None
    with raises_naming(ValueError, "TP -1", "FP 0", "FN 0"):
        f1_score(-1, 0, 0)


# --- the cohort, against sums written out -----------------------------------------------------------------------------
def without_small(mask, rules, voxel_ml):
    """A mask without its components below the rules' least volume; one of exactly that volume stays."""
    kept = np.zeros(mask.shape, bool)
    for group in flood_components(mask, rules.connectivity):
        if len(group) * voxel_ml > rules.min_lesion_ml - 1e-12:
            kept[tuple(zip(*group, strict=True))] = True
    return kept


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
        lesions = [without_small(mask == 2, rules, voxel_ml) for mask in (pred, truth)]
        total += brute_match(*lesions, rules.connectivity, rules.matching, rules.iou_threshold, rules.strict)
    tp, fp, fn = total
    nothing = {"undefined": None, "one": 1.0, "zero": 0.0}[rules.zero_division]
    agg = [2 * shared[c] / volume[c] if volume[c] else nothing for c in (1, 2)]
    return {
        "gtvp_dice_mean": sum(scores) / len(scores) if scores else None,
        "gtvp_dice_agg": agg[0],
        "gtvn_dice_agg": agg[1],
        "gtvn_f1_agg": 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else nothing,
        "dice_agg_mean": None if None in agg else sum(agg) / 2,
    }


ALL_RULES = [
    Rules(connectivity=c, matching=m, strict=s, empty_truth=e, aggregate=a)
    for c, m, s, e, a in itertools.product(
        (6, 18, 26), ("greedy", "hungarian", "grouped"), (True, False), ("score", "skip", "zero"), ("ml", "voxels")
    )
]


@pytest.mark.parametrize("rules", ALL_RULES, ids=lambda r: "-".join(map(str, r.as_dict().values())))
def test_cohort_scores_equal_brute_force(rng, rules):
    compare_to_brute_force(rng, rules, cases=4)


@pytest.mark.parametrize("nothing", ["undefined", "one", "zero"])
@pytest.mark.parametrize("matching", ["greedy", "hungarian", "grouped"])
@pytest.mark.parametrize("connectivity", [6, 18, 26])
def test_cohort_scores_equal_brute_force_under_the_rarer_rules(rng, connectivity, matching, nothing):
    for threshold, least_ml, challenge in itertools.product((0.0, 0.1, 0.5), (0.0, 0.02, 0.06), ("2025", "2022")):
        rules = Rules(challenge, connectivity, matching, threshold, zero_division=nothing, min_lesion_ml=least_ml)
        compare_to_brute_force(rng, rules, cases=2, voxel_ml=0.02)
        compare_to_brute_force(rng, rules, cases=1, odds=[1.0, 0.0, 0.0])


def compare_to_brute_force(rng, rules, *, cases, voxel_ml=None, odds=None):
    """Random cohorts; ``summarize`` has to give what the sums written out give."""
    masks, voxels_ml, given = [], [], odds
    for _ in range(cases):
        shape = tuple(rng.integers(2, 6, 3))
        odds = given or ([0.6, 0.2, 0.2] if rng.random() < 0.7 else [0.9, 0.0, 0.1])
        truth = rng.choice(3, size=shape, p=odds).astype(np.uint8)
        pred = np.where(rng.random(shape) < 0.6, truth, rng.choice(3, size=shape, p=odds)).astype(np.uint8)
        masks.append((pred, truth))
        voxels_ml.append(float(rng.uniform(0.001, 0.1)) if voxel_ml is None else voxel_ml)
    scored = [
        evaluate_case(*pair, spacing_zyx_mm=(10 * v, 10, 10), rules=rules)
        for pair, v in zip(masks, voxels_ml, strict=True)
    ]
    ours, expected = summarize(scored, rules), brute_summary(masks, voxels_ml, rules)
    for name, value in expected.items():
        if value is None:
            assert ours[name] is None
            assert ours["undefined"][name]
        else:
            assert ours[name] == pytest.approx(value, abs=1e-12, rel=0)


def make_case(pred_runs, truth_runs, voxel_ml=1.0, rules=Rules()):  # noqa: B008
    pred, truth = (sum(c * row(*runs[c]).astype(np.uint8) for c in (1, 2)) for runs in (pred_runs, truth_runs))
    return evaluate_case(pred, truth, spacing_zyx_mm=(10 * voxel_ml, 10, 10), rules=rules)


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
    surface = {"gtvn_surface_dice_mean", "gtvn_hd95_median_mm"}
    assert set(summary["undefined"]) == {"gtvn_dice_agg", "gtvn_f1_agg", "dice_agg_mean", *surface}
    assert case.gtvn_dice is None
    assert case.gtvn_f1 is None
    assert case.mean_score == 1.0


def test_no_case_at_all_leaves_every_score_undefined():
    summary = summarize([])
    assert all(summary[name] is None and summary["undefined"][name] == "no case to score" for name in SUMS)


def test_bootstrap_of_equal_cases_is_a_point_and_agrees_with_the_summary():
    case = make_case({1: [(0, 4)], 2: [(6, 9), (15, 16)]}, {1: [(2, 5)], 2: [(6, 10)]})
    summary, boot = summarize([case] * 3), bootstrap([case] * 3, resamples=50)
    for name in SUMS:
        assert boot["intervals"][name] == pytest.approx([summary[name]] * 2, abs=1e-12)
    for name in SURFACE:
        assert boot["intervals"][name] == pytest.approx([summary[name]] * 2, abs=1e-12)


def test_bootstrap_repeats_counts_what_it_leaves_out_and_needs_two_cases():
    full = make_case({1: [(0, 4)], 2: [(6, 9)]}, {1: [(2, 5)], 2: [(6, 10)]})
    bare = make_case({1: [(0, 4)], 2: []}, {1: [(0, 4)], 2: []})
    boot = bootstrap([full, bare], resamples=400)
    assert boot == bootstrap([full, bare], resamples=400)
    assert 50 < boot["undefined_resamples"]["gtvn_f1_agg"] < 150  # a quarter of the draws takes `bare` twice
    assert boot["undefined_resamples"]["gtvp_dice_mean"] == 0
    assert bootstrap([full])["intervals"] == dict.fromkeys((*SUMS, *SURFACE))


def test_evaluate_case_refuses_bad_input():
    good = np.zeros((2, 2, 2), np.uint8)
    with raises_naming(ValueError, "truth:", 7):
        evaluate_case(good, good + np.uint8(7), spacing_zyx_mm=(1, 1, 1))
    with raises_naming(ValueError, (2, 2, 2), (1, 2, 2)):
        evaluate_case(good, good[:1], spacing_zyx_mm=(1, 1, 1))
    with raises_naming(ValueError, "spacing_zyx_mm (1, 0, 1)"):
        evaluate_case(good, good, spacing_zyx_mm=(1, 0, 1))


def test_rules_survive_json_and_put_themselves_into_words():
    rules = Rules(matching="grouped", strict=False, empty_truth="skip")
    assert Rules(**rules.as_dict()) == rules
    assert "≥ 0.3" in define_scores(rules)["gtvn_f1_agg"]
    assert "left out" in define_scores(rules)["gtvp_dice_mean"]


# --- the further options ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "options", [{"challenge": "2024"}, {"zero_division": "half"}, {"min_lesion_ml": -1}, {"tolerance_mm": 0}]
)
def test_other_rules_are_refused(options):
    with raises_naming(ValueError, *(fact for name, value in options.items() for fact in (name, value))):
        Rules(**options)


@pytest.mark.parametrize("connectivity", [6, 18, 26])
@pytest.mark.parametrize("matching", ["greedy", "hungarian", "grouped"])
def test_a_least_lesion_size_equals_brute_force_on_filtered_masks(rng, connectivity, matching):
    for _ in range(10):
        pred, truth = random_pair(rng)
        kept = []
        for mask in (pred, truth):
            large = np.zeros(mask.shape, bool)
            for group in flood_components(mask, connectivity):
                if len(group) >= 3:
                    large[tuple(zip(*group, strict=True))] = True
            kept.append(large)
        found = match_lesions(pred, truth, connectivity=connectivity, matching=matching, min_vox=3)
        assert (found.tp, found.fp, found.fn) == brute_match(*kept, connectivity, matching, 0.3, True)


def test_small_lesions_are_not_counted_but_stay_in_dice():
    rules = Rules(min_lesion_ml=0.3)  # three voxels of 0.1 ml, in floating point a little more than 0.3
    case = make_case({1: [], 2: [(0, 3), (6, 8)]}, {1: [], 2: [(0, 3), (10, 11)]}, voxel_ml=0.1, rules=rules)
    assert (case.tp, case.fp, case.fn) == (1, 0, 0)
    assert case.gtvn_dice == 6 / 9
    assert "of at least 0.3 ml" in define_scores(rules)["gtvn_f1_agg"]


@pytest.mark.parametrize(("nothing", "value"), [("undefined", None), ("one", 1.0), ("zero", 0.0)])
def test_a_cohort_with_nothing_in_it(nothing, value):
    rules = Rules(zero_division=nothing)
    cases = [make_case({1: [], 2: []}, {1: [], 2: []}, rules=rules)] * 2
    summary, boot = summarize(cases, rules), bootstrap(cases, rules, resamples=20)
    for name in ("gtvn_dice_agg", "gtvn_f1_agg", "gtvp_dice_agg", "dice_agg_mean"):
        assert summary[name] == value
        assert (name in summary["undefined"]) == (value is None)
        assert boot["intervals"][name] == (None if value is None else (value, value))
    assert summarize([], rules)["gtvn_f1_agg"] is None  # no case is not a case without lesions


def test_the_2022_preset_ranks_by_aggregated_dice():
    assert tuple(spec.key for spec in headline(HECKTOR_2022)) == ("dice_agg_mean", "gtvp_dice_agg", "gtvn_dice_agg")
    assert tuple(spec.key for spec in headline(Rules())) == ("gtvp_dice_mean", "gtvn_dice_agg", "gtvn_f1_agg")
    # The sum that the public 2022 notebook makes: TP = DSC (|A| + |B|) / 2 per case, 2 sum TP / sum (|A| + |B|).
    a = make_case({1: [(0, 8)], 2: [(10, 12)]}, {1: [(4, 10)], 2: [(10, 14)]}, voxel_ml=0.002)
    b = make_case({1: [], 2: [(3, 9)]}, {1: [(0, 5)], 2: []}, voxel_ml=0.008)
    tp = 0.002 * (2 * 4 / 14) * 14 / 2 + 0.0
    volume = 0.002 * 14 + 0.008 * 5
    summary = summarize([a, b], HECKTOR_2022)
    assert summary["gtvp_dice_agg"] == pytest.approx(2 * tp / volume, abs=1e-12)
    assert summary["gtvn_dice_agg"] == pytest.approx(2 * 0.002 * 2 / (0.002 * 6 + 0.008 * 6), abs=1e-12)
    assert summary["dice_agg_mean"] == (summary["gtvp_dice_agg"] + summary["gtvn_dice_agg"]) / 2


def test_volume_errors_by_hand():
    a = make_case({1: [(0, 8)], 2: []}, {1: [(0, 5)], 2: [(9, 11)]}, voxel_ml=0.5)  # GTVp +1.5 ml, +60 %
    b = make_case({1: [(0, 2)], 2: []}, {1: [(0, 4)], 2: []}, voxel_ml=1.0)  # GTVp -2 ml, -50 %
    row_a, summary = CaseRow.from_scores(a), summarize([a, b])
    assert (row_a["gtvp_volume_error_ml"], row_a["gtvp_volume_error_percent"]) == (1.5, 60.0)
    assert (row_a["gtvn_volume_error_ml"], row_a["gtvn_volume_error_percent"]) == (-1.0, -100.0)
    assert CaseRow.from_scores(b).gtvn_volume_error_percent is None  # no true volume to relate it to
    assert summary["gtvp_volume_bias_ml"] == pytest.approx(-0.25)
    assert summary["gtvp_volume_error_mean_ml"] == pytest.approx(1.75)
    assert summary["gtvp_volume_error_median_percent"] == pytest.approx(55.0)
    assert summary["gtvn_volume_error_median_percent"] == pytest.approx(100.0)


def test_surface_scores_of_a_cohort_in_the_three_empty_cases():
    both = make_case({1: [(0, 4)], 2: []}, {1: [(1, 4)], 2: []})  # one end is 10 mm off
    none = make_case({1: [], 2: []}, {1: [], 2: []})
    missed = make_case({1: [], 2: []}, {1: [(0, 2)], 2: []})
    false = make_case({1: [(0, 2)], 2: []}, {1: [], 2: []})
    assert (missed.gtvp.surface_dice, missed.gtvp.hd95_mm, missed.gtvp.exactly_one_empty) == (0.0, None, True)
    assert (false.gtvp.surface_dice, false.gtvp.exactly_one_empty) == (0.0, True)
    assert (none.gtvp.surface_dice, none.gtvp.hd95_mm, none.gtvp.exactly_one_empty) == (None, None, False)
    assert both.gtvp.surface_dice == 6 / 7
    two, three = summarize([both, none, both, missed]), summarize([both, missed, false])
    assert two["gtvp_surface_dice_mean"] == pytest.approx((6 / 7 * 2 + 0) / 3)  # `none` is left out
    assert two["gtvp_hd95_median_mm"] == both.gtvp.hd95_mm
    assert three["gtvp_hd95_median_mm"] is None  # never better for predicting nothing
    assert "infinite" in three["undefined"]["gtvp_hd95_median_mm"]
    low, high = bootstrap([both, both, both, missed], resamples=500)["intervals"]["gtvp_hd95_median_mm"]
    assert low == both.gtvp.hd95_mm
    assert high is None


def test_detection_by_size_equals_a_count_by_hand():
    # True nodes of 0.5, 1, 4 and 15 ml; the first is missed, the others found; one false alarm of 1 ml.
    truth = {1: [], 2: [(0, 1), (2, 4), (5, 13), (20, 50)]}
    pred = {1: [], 2: [(2, 4), (5, 13), (15, 17), (20, 50)]}
    masks = [sum(c * row(*side[c], n=60).astype(np.uint8) for c in (1, 2)) for side in (pred, truth)]
    case = evaluate_case(*masks, spacing_zyx_mm=(5, 10, 10))
    rows = detection_by_size([case])
    assert [(r["lesions"], r["found"], r["false"]) for r in rows] == [(1, 0, 0), (2, 2, 1), (0, 0, 0), (1, 1, 0)]
    assert [(r["from_ml"], r["below_ml"]) for r in rows] == [(0, 1), (1, 5), (5, 15), (15, None)]
    assert sum(r["lesions"] for r in detection_by_size([case] * 3, (0.0, 2.0))) == 12
    with raises_naming(ValueError, "edges_ml (1.0, 1.0)"):
        detection_by_size([case], (1.0, 1.0))


def test_a_case_survives_json():
    case = make_case({1: [(0, 3)], 2: [(5, 9)]}, {1: [(1, 3)], 2: [(6, 9), (12, 13)]}, voxel_ml=0.3)
    assert CaseRow.model_validate_json(CaseRow.from_scores(case).model_dump_json()).scores() == case


def test_a_mask_without_a_component_has_none_to_visit():
    assert list(connected_components(np.zeros((2, 3, 4), bool)).iter_masks()) == []
