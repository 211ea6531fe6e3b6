"""The report: one file, whatever is missing, nothing unescaped; and its pictures respect geometry."""

from __future__ import annotations

import json
import re
import shutil

from hnseg.evaluation.evaluate import evaluate_workdir
from hnseg.evaluation.records import CaseRow, CohortScores, EvaluatedCohort, SizeBin, WorkdirEvaluation
from hnseg.evaluation.rules import HECKTOR_2022, HECKTOR_2025
from hnseg.report.data import load_run, warnings
from hnseg.report.page import write_report, write_verdict
from hnseg.report.plots import SizeRow, _figure, _name_centers, draw_centers, size_rows
from tests.hnseg.report.html_page import read, write_validation


def test_the_page_is_whole_self_contained_and_small(scored):
    path = write_report(scored)
    assert path == scored / "report.html"
    page = read(path)
    assert page.open == []
    assert all(link.startswith(("data:", "#")) for link in page.links)
    assert {link[1:] for link in page.links if link.startswith("#")} <= page.ids
    text = path.read_text(encoding="utf-8")
    assert "default-src 'none'" in text
    assert not re.findall(r"@import|url\((?!data:)|fetch\(|XMLHttp", text)
    assert path.stat().st_size < 8e6
    assert page.images == 3 * 6 + 6 + 4  # three cases in six views, six charts, four thumbnails
    assert not [p for p in scored.iterdir() if p.name.startswith(".writing")]


def test_the_page_says_what_a_reader_must_know(scored, no_pictures):
    text = read(write_report(scored)).text
    metrics = json.loads((scored / "metrics.json").read_text())
    for method in ("ensemble", "threshold_baseline", "empty_baseline"):
        for score in ("gtvp_dice_mean", "gtvn_dice_agg", "gtvn_f1_agg"):
            assert f"{metrics[method][score]:.3f}" in text
    assert "above both baselines on all three measures" in text
    assert "Crop fallback in 1 of 9 cases (BBB-001): no brain in view: top of the scan" in text
    assert "more than 30 HU on average in 1 of 9 cases (BBB-001)" in text
    assert "cuts off a part of the true tumor in 1 of 9 cases" in text
    assert "Only 4 scored test cases" in text
    assert "undefined" in text  # BBB-002 has no node on either side
    assert "Generated cohort" not in text
    assert "demo, 3" in text  # preset and seed
    assert str(scored / "cohort") in text
    assert "ssimh 0.1.0" in text


def test_validation_stands_beside_the_test(small_workdir, no_pictures):
    write_validation(small_workdir)
    metrics = evaluate_workdir(small_workdir)
    text = read(write_report(small_workdir)).text
    validation, test = (metrics[part]["gtvp_dice_mean"] for part in ("validation", "ensemble"))
    assert validation == 0.75
    assert "Validation, 4 cases" in text
    assert f"Test minus validation: GTVp mean Dice {test - validation:+.3f}".replace("-", "−") in text
    assert "the post-processing" not in text  # nothing was tuned


def test_without_out_of_fold_masks_the_page_says_how_to_make_them(scored, no_pictures):
    assert "no out-of-fold masks to compare the test with: hnseg tune makes them" in read(write_report(scored)).text


def test_how_post_processing_was_chosen_is_shown(scored, edit_json, no_pictures):
    setting = {"min_gtvp_ml": 0.2, "min_gtvn_ml": 0.5, "max_node_distance_mm": 60.0}
    scores = {"objective": 0.6126, "gtvp_dice_mean": 0.7, "gtvn_dice_agg": 0.6, "gtvn_f1_agg": None}
    tuning = dict.fromkeys(("defaults", "chosen", "best"), setting)
    tuning |= {
        "changed": False,
        "why": "no <b>setting</b> is better",
        "n_cases": 31,
        "rows": [1] * 252,
        "nested": {"gain": -0.004},
    }
    tuning["scores"] = dict.fromkeys(("defaults", "chosen", "best"), scores)
    (scored / "tuning.json").write_text(json.dumps(tuning))
    edit_json(scored / "run.json", lambda r: r.update(tuned={"predict": setting}))
    page = read(write_report(scored))
    assert "No <b>setting</b> is better. 252 settings were tried on 31 out-of-fold cases" in page.text
    assert "that of the defaults by -0.004" in page.text
    assert "0.613" in page.text
    assert "tuned.max_node_distance_mm" in page.text


def test_surface_scores_and_volumes_are_shown(scored, no_pictures):
    metrics = json.loads((scored / "metrics.json").read_text())
    text = read(write_report(scored)).text
    assert "surface Dice within 3 mm" in text
    assert f"{metrics['ensemble']['gtvp_surface_dice_mean']:.3f}" in text
    assert metrics["empty_baseline"]["gtvn_hd95_median_mm"] is None
    assert "∞" in text  # the empty mask's distance, and that of the case without true GTVp
    case = metrics["ensemble"]["cases"][0]
    assert f"{case['gtvn']['hd95_mm']:.1f}" in text
    assert f"{case['gtvn']['surface_dice']:.2f}" in text
    assert "Volume error" in text


def test_under_the_2022_rules_other_scores_come_first(small_workdir, no_pictures):
    evaluate_workdir(small_workdir, rules=HECKTOR_2022)
    html = write_report(small_workdir).read_text(encoding="utf-8")
    assert "HECKTOR 2022 Task 1 scores" in html
    assert re.findall(r"<h3>(.*?)</h3>", html)[:3] == [
        "Mean aggregated Dice (2022)",
        "GTVp aggregated Dice",
        "GTVn aggregated Dice",
    ]


def test_a_large_change_is_only_explained_where_a_spectrum_was_swapped(scored, edit_json):
    assert any("published spectrum swap" in text for text in warnings(load_run(scored)))
    edit_json(scored / "prepared/BBB-001/case.json", lambda c: c["harmonization"].update(method="histogram-match"))
    said = [text for text in warnings(load_run(scored)) if "30 HU" in text]
    assert len(said) == 1
    assert "spectrum" not in said[0]


def test_harmonization_that_fell_back_is_said(scored, edit_json, no_pictures):
    for case_id in ("AAA-001", "BBB-002"):
        edit_json(
            scored / f"prepared/{case_id}/case.json",
            lambda c: c["harmonization"].update(fallback="no training case of this center: aligned scan by scan"),
        )
    text = read(write_report(scored)).text
    assert "2 of 9 cases (AAA-001, BBB-002): no training case of this center: aligned scan by scan." in text


def test_cases_scored_as_empty_masks_are_named(small_workdir, no_pictures):
    (small_workdir / "predictions/AAA-002.nii.gz").unlink()
    evaluate_workdir(small_workdir, missing="empty")
    text = read(write_report(small_workdir)).text
    assert "1 of 4 cases (AAA-002) could not be predicted: scored as empty masks." in text
    assert "No overlay of AAA-002" in text


def test_a_long_table_of_preparation_is_folded(scored, no_pictures):
    assert "All 9 cases" not in read(write_report(scored)).text
    for k in range(6):
        shutil.copytree(scored / "prepared/AAA-001", scored / f"prepared/DDD-00{k}")
    assert "All 15 cases, the conspicuous ones first" in read(write_report(scored)).text


def test_a_generated_cohort_makes_no_claim(scored, no_pictures):
    (scored / "cohort" / "phantom.json").write_text("{}")
    assert "Generated cohort: no claim about patients." in read(write_report(scored)).text


def test_what_comes_from_files_is_escaped(scored, edit_json, no_pictures):
    evil = "<script>alert(1)</script>"
    edit_json(scored / "check.json", lambda c: c["findings"].append({**c["findings"][0], "message": evil}))
    edit_json(scored / "prepared/BBB-001/case.json", lambda c: c["crop"].update(reason=evil))
    edit_json(scored / "run.json", lambda r: r.update(data_root=evil))
    edit_json(scored / "metrics.json", lambda m: m["ensemble"]["cases"][0].update(center=evil))
    html = write_report(scored).read_text(encoding="utf-8")
    assert evil not in html
    assert html.count("<script>") == 1
    assert "the head is not in view &lt;b&gt;&amp;&lt;/b&gt;" in html


def test_undefined_scores_are_written_with_their_reason(small_workdir, edit_json, no_pictures):
    edit_json(small_workdir / "splits.json", lambda s: s.update(test=["BBB-002"]))
    for folder in ("predictions", "baselines/threshold"):  # no node anywhere
        shutil.copy(small_workdir / "baselines/empty/BBB-002.nii.gz", small_workdir / folder / "BBB-002.nii.gz")
    evaluate_workdir(small_workdir)
    text = read(write_report(small_workdir)).text
    assert "no case has a GTVn lesion, neither in the truth nor in the prediction" in text
    assert "Undefined here: GTVn aggregated Dice, GTVn lesion F1" in text
    assert "No test case has a true node" in text


def test_no_labelled_test_case_still_gives_a_page(small_workdir, edit_json):
    edit_json(small_workdir / "check.json", lambda c: [case.update(label=None) for case in c["cases"]])
    evaluate_workdir(small_workdir)
    text = read(write_report(small_workdir)).text
    assert "no case to score" in text
    assert "4 cases (AAA-001, AAA-002, BBB-001, BBB-002) not scored: no label" in text


# --- the parts --------------------------------------------------------------------------------------------------------
def test_verdict_names_what_was_won_and_lost():
    def scores(a, b, c):
        return dict(zip(("gtvp_dice_mean", "gtvn_dice_agg", "gtvn_f1_agg"), (a, b, c), strict=True))

    def verdict(ensemble):
        parts = {"threshold_baseline": scores(0.4, 0.4, 0.4), "empty_baseline": scores(0.6, 0.0, None)}
        return write_verdict(WorkdirEvaluation.model_construct(**parts, ensemble=ensemble, rules=HECKTOR_2025))

    assert verdict(scores(0.5, 0.5, 0.5)) == (
        "The ensemble scores above both baselines on GTVn aggregated Dice and GTVn lesion F1. "
        "It does not beat both baselines on GTVp mean Dice."
    )
    assert verdict(scores(0.1, 0.1, 0.1)) == (
        "The ensemble does not beat both baselines on GTVp mean Dice, GTVn aggregated Dice and GTVn lesion F1."
    )
    assert verdict(scores(0.1, 0.4, None)) == (
        "The ensemble does not beat both baselines on GTVp mean Dice and GTVn aggregated Dice. "
        "Undefined here: GTVn lesion F1."
    )


def test_sizes_of_both_methods_stand_side_by_side():
    def row(low, high, lesions, found, false):
        return SizeBin(from_ml=low, below_ml=high, lesions=lesions, found=found, false=false)

    own, other = [row(0.0, 1.5, 3, 2, 1), row(1.5, None, 4, 4, 0)], [row(0.0, 1.5, 3, 0, 7), row(1.5, None, 4, 1, 2)]
    assert size_rows(own, other) == [SizeRow("0–1.5 ml", 3, 2, 1, 0, 7), SizeRow("≥ 1.5 ml", 4, 4, 0, 1, 2)]


def test_charts_of_many_centers_with_long_names_keep_their_size():
    centers = [f"CENTER-{k}-WITH-A-NAME-LONGER-THAN-ITS-CHART" for k in range(12)]
    scores = CohortScores.model_construct(gtvp_dice_mean=0.5, gtvn_dice_agg=None)

    def draw(names):
        cases = [CaseRow.model_construct(center=name, gtvp_dice=0.4) for name in names for _ in range(3)]
        return draw_centers(EvaluatedCohort.model_construct(by_center=dict.fromkeys(names, scores), cases=cases))

    few, many = draw(["A"]), draw(centers)
    assert (few.width, few.height) == (many.width, many.height)
    _, (axis,) = _figure(2.0)
    _name_centers(axis, [*centers, "B"])
    assert [label.get_text() for label in axis.get_xticklabels()] == [name[:9] + "…" for name in centers] + ["B"]
