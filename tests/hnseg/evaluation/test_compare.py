"""Comparing two sets of scores: against brute force over every exchange, and by hand."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from scipy import stats

from hnseg.errors import CaseError, CohortError, HnsegError, WorkDirError
from hnseg.evaluation.case_scores import evaluate_case
from hnseg.evaluation.cohort_scores import bootstrap, summarize
from hnseg.evaluation.compare import COMPARED, Scored, compare, read_scores_file
from hnseg.evaluation.evaluate import score_cases
from hnseg.evaluation.records import FolderEvaluation, WorkdirEvaluation
from hnseg.evaluation.rules import Rules
from hnseg.evaluation.score_specs import define_scores, headline
from tests.facts import raises_naming

RULES = Rules()


def cohort(n, quality, seed=1, *, empty=()):
    """Cases whose predictions agree with the truth in about ``quality`` of the voxels; the truth depends on n alone."""
    truths, noise = np.random.default_rng(n), np.random.default_rng(seed)
    cases = []
    for k in range(n):
        truth = truths.choice(3, size=(4, 6, 8), p=[0.7, 0.15, 0.15]).astype(np.uint8)
        other = noise.choice(3, size=truth.shape, p=[0.7, 0.15, 0.15])
        pred = np.where(noise.random(truth.shape) < quality, truth, other).astype(np.uint8)
        if k in empty:
            pred[:] = 0
        cases.append(evaluate_case(pred, truth, spacing_zyx_mm=(3, 1, 1), case_id=f"C-{k}", center="C"))
    return cases


def side(name, cases, rules=RULES):
    return Scored(name, rules, {case.case_id: case for case in cases})


def test_differences_are_b_minus_a_and_the_p_values_count_every_exchange():
    a, b = cohort(6, 0.5), cohort(6, 0.8, seed=2, empty=(3,))
    result = compare(side("a", a), side("b", b), resamples=50)
    before, after = summarize(a), summarize(b)
    assert result.method.exact
    assert result.method.exchanges == 64
    for name in (spec.key for spec in COMPARED):
        seen = after[name] - before[name]
        row = result.scores[name]
        assert (row.a, row.b) == (before[name], after[name])
        assert row.difference == pytest.approx(seen, abs=1e-12)
        large = 0
        for swap in itertools.product((False, True), repeat=6):
            x = [q if s else p for s, p, q in zip(swap, a, b, strict=True)]
            y = [p if s else q for s, p, q in zip(swap, a, b, strict=True)]
            large += abs(summarize(y)[name] - summarize(x)[name]) >= abs(seen) - 1e-12
        assert row.p == pytest.approx(large / 64, abs=1e-12), name


def test_the_wilcoxon_test_is_scipys_on_the_cases_own_scores():
    a, b = cohort(9, 0.6), cohort(9, 0.75, seed=2)
    row = compare(side("a", a), side("b", b), resamples=20).scores["gtvn_dice_agg"]
    differences = [y.gtvn_dice - x.gtvn_dice for x, y in zip(a, b, strict=True)]
    expected = stats.wilcoxon([value for value in differences if value]).pvalue  # with zeros, versions of SciPy differ
    assert row.p_wilcoxon == pytest.approx(expected)
    assert row.n_pairs == 9


def test_many_cases_are_exchanged_at_random_and_repeatably():
    a, b = side("a", cohort(14, 0.5)), side("b", cohort(14, 0.9, seed=2))
    result = compare(a, b, permutations=400, resamples=200)
    assert not result.method.exact
    assert result == compare(a, b, permutations=400, resamples=200)
    row = result.scores["gtvn_dice_agg"]
    assert row.p == 1 / 401  # no exchange reaches so large a difference
    assert row.better == "b"
    low, high = row.interval
    assert 0 < low <= row.difference <= high
    json.dumps(result.as_dict(), allow_nan=False)


def test_the_interval_is_the_paired_bootstrap_of_the_difference():
    a, b = cohort(8, 0.6), cohort(8, 0.8, seed=2)
    row = compare(side("a", a), side("b", b), seed=3, resamples=300).scores["gtvp_dice_mean"]
    draws = np.random.default_rng(3).integers(0, 8, size=(300, 8))
    differences = np.array([y.gtvp_dice - x.gtvp_dice for x, y in zip(a, b, strict=True)])[draws].mean(axis=1)
    assert row.interval == pytest.approx(np.percentile(differences, [2.5, 97.5]), abs=1e-12)
    # Pairing matters: the two intervals apart are wider than that of the difference.
    widths = [np.diff(bootstrap(x)["intervals"]["gtvp_dice_mean"])[0] for x in (a, b)]
    assert row.interval[1] - row.interval[0] < sum(widths)


def test_equal_sides_do_not_differ():
    cases = cohort(5, 0.7, empty=(0, 1, 2))
    result = compare(side("a", cases), side("b", cases), resamples=50)
    for name, row in result.scores.items():
        if row.a is None:
            assert "hd95" in name  # three of five masks are empty: the median distance is infinite
            assert (row.difference, row.p, row.interval) == (None, None, None)
            continue
        assert (row.difference, row.p, row.p_wilcoxon, row.better) == (
            0.0,
            1.0,
            None if name == "dice_agg_mean" else 1.0,
            None,
        )


def test_a_smaller_distance_is_better():
    a, b = side("a", cohort(6, 0.4)), side("b", cohort(6, 0.95, seed=2))
    row = compare(a, b, resamples=20).scores["gtvn_hd95_median_mm"]
    assert row.difference < 0
    assert row.better == "b"


def test_holm_by_hand():
    from hnseg.evaluation.compare import _holm

    assert _holm({"x": 0.01, "y": 0.04, "z": 0.03}) == {"x": 0.03, "z": 0.06, "y": 0.06}
    assert _holm({"x": 0.5, "y": None}) == {"x": 0.5, "y": None}


def test_only_the_headline_scores_are_corrected():
    rows = compare(side("a", cohort(4, 0.5)), side("b", cohort(4, 0.6, seed=2)), resamples=20).scores
    assert {name for name, row in rows.items() if row.p_holm is not None} == {spec.key for spec in headline(RULES)}
    for name in (spec.key for spec in headline(RULES)):
        assert rows[name].p <= rows[name].p_holm <= 1


# --- what is refused --------------------------------------------------------------------------------------------------
def test_other_rules_cases_or_truths_are_refused():
    cases = cohort(4, 0.5)
    with raises_naming(HnsegError, "a and b", "matching greedy and grouped"):
        compare(side("a", cases), side("b", cases, Rules(matching="grouped")))
    with raises_naming(CohortError, "one has C-3;", "--common"):
        compare(side("one", cases), side("b", cases[:3]))
    result = compare(side("a", cases), side("b", cases[:3]), common=True, resamples=20)
    assert (result.n_cases, result.left_out) == (3, ["C-3"])
    with raises_naming(HnsegError, "a and b", 1, 2):
        compare(side("a", cases[:1]), side("b", cases[:1]))
    with raises_naming(CaseError, "GTVp", "ml in a", "ml in b", case_id="C-0"):
        compare(side("a", cases), side("b", cohort(5, 0.5)[:4]))


def evaluations(cases):
    """What evaluate writes for a folder of masks, and for a work directory."""
    scored, rest = (
        score_cases(cases),
        {"rules": RULES, "definitions": define_scores(RULES), "versions": {}, "skipped": ()},
    )
    parts = dict.fromkeys(("ensemble", "threshold_baseline", "empty_baseline"), scored)
    return FolderEvaluation(**dict(scored), **rest), WorkdirEvaluation(**parts, validation=None, **rest)


def test_files_of_a_folder_and_of_a_work_directory_are_read(tmp_path):
    cases = cohort(3, 0.5)
    folder, run = evaluations(cases)
    (tmp_path / "folder.json").write_text(json.dumps(folder.as_dict()))
    (tmp_path / "metrics.json").write_text(json.dumps(run.as_dict()))
    flat = read_scores_file(tmp_path / "folder.json")
    assert flat.cases == read_scores_file(tmp_path).cases == {case.case_id: case for case in cases}
    assert read_scores_file(tmp_path).name == f"{tmp_path / 'metrics.json'} (ensemble)"
    with raises_naming(
        HnsegError, "'validation'", "ensemble, threshold_baseline, empty_baseline", path=tmp_path / "metrics.json"
    ):
        read_scores_file(tmp_path, "validation")
    with raises_naming(
        HnsegError, "'no-such-method'", path=tmp_path / "folder.json"
    ):  # a folder of masks has no methods to choose from
        read_scores_file(tmp_path / "folder.json", "no-such-method")


@pytest.mark.parametrize(
    ("content", "fact"),
    [
        ("{", "JSON"),
        ("[]", "object"),
        ("{}", "ensemble"),
        ('{"cases": [{}], "rules": {}}', "gtvp_dice_mean"),
        ('{"cases": 1}', "gtvp_dice_mean"),
    ],
)
def test_files_that_are_not_scores(tmp_path, content, fact):
    (tmp_path / "m.json").write_text(content)
    with raises_naming(WorkDirError, fact, path=tmp_path / "m.json"):
        read_scores_file(tmp_path / "m.json")
    with raises_naming(WorkDirError, "`hnseg evaluate`", path=tmp_path / "other.json"):
        read_scores_file(tmp_path / "other.json")


def test_other_rules_and_changed_cases_name_the_field(tmp_path):
    content = evaluations(cohort(3, 0.5))[0].as_dict()
    for field, change in (
        ("rules.matching", lambda c: c["rules"].update(matching="luck")),
        ("cases.1.gtvp.pred_vox", lambda c: c["cases"][1]["gtvp"].update(pred_vox="many")),
        ("bootstrap.intervals", lambda c: c["bootstrap"].update(intervals={})),
    ):
        damaged = json.loads(json.dumps(content))
        change(damaged)
        (tmp_path / "m.json").write_text(json.dumps(damaged))
        with raises_naming(WorkDirError, field, path=tmp_path / "m.json"):
            read_scores_file(tmp_path / "m.json")
