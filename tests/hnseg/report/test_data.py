"""What a report is made from: missing, broken and outdated files are named, and cost their part of the page alone."""

from __future__ import annotations

import shutil

import pytest

from hnseg.errors import WorkDirError
from hnseg.evaluation.evaluate import evaluate_folder, evaluate_workdir, find_labels
from hnseg.evaluation.records import CaseRow
from hnseg.report.data import load_run, ranked_cases, warnings
from hnseg.report.page import write_report
from hnseg.workdir import write_json
from tests.facts import raises_naming
from tests.hnseg.report.html_page import read


def test_worst_median_best():
    cases = [
        CaseRow.model_construct(case_id=c, mean_score=s)
        for c, s in zip("abcde", (0.5, 0.1, None, 0.9, 0.3), strict=True)
    ]
    assert [(n, c.case_id) for n, c in ranked_cases(cases)] == [("Worst", "b"), ("Median", "e"), ("Best", "d")]
    assert [(n, c.case_id) for n, c in ranked_cases(cases[:2])] == [("Worst", "b"), ("Best", "a")]
    assert [n for n, _ in ranked_cases(cases[:1])] == ["Only"]
    assert ranked_cases(cases[2:3]) == []


@pytest.mark.parametrize(
    ("gone", "said"),
    [
        ("models", "No training log"),
        ("prepared", "No prepared case"),
        ("run.json", "versions and data are unknown"),
        ("config.yaml", "The settings are unknown"),
        ("check.json", "No picture can be drawn"),
        ("splits.json", "the split is unknown"),
        ("cohort", "No overlay of"),
        ("predictions", "No overlay of"),
    ],
)
def test_a_missing_input_is_said_and_does_not_stop_the_report(scored, gone, said, no_pictures):
    path = scored / gone
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert said in read(write_report(scored)).text


def test_only_the_metrics_are_needed(scored, no_pictures):
    for path in list(scored.iterdir()):
        if path.name != "metrics.json":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    text = read(write_report(scored)).text
    assert "What is missing" in text
    assert "run.json is missing" in text


@pytest.mark.parametrize("content", ["{", "[1]"])
def test_a_broken_optional_file_is_said(scored, content, no_pictures):
    (scored / "run.json").write_text(content)
    (scored / "models/fold_0/log.csv").write_text("epoch,loss\nthree,4\n")
    text = read(write_report(scored)).text
    assert "run.json" in text[text.index("What is missing") :]
    assert "fold_0/log.csv cannot be read" in text


def test_without_metrics_there_is_no_report(small_workdir):
    with raises_naming(WorkDirError, "`hnseg evaluate`", path=small_workdir / "metrics.json"):
        write_report(small_workdir)
    (small_workdir / "metrics.json").write_text("{}")
    with raises_naming(WorkDirError, "ensemble", path=small_workdir / "metrics.json"):
        write_report(small_workdir)
    assert not (small_workdir / "report.html").exists()


def test_a_run_without_trouble_has_no_warning(scored):
    files = load_run(scored)
    files.findings, files.prepared = [], {k: v for k, v in files.prepared.items() if k != "BBB-001"}
    ensemble = files.metrics.ensemble
    more = ensemble.model_copy(update={"cases": ensemble.cases * 5})
    files.metrics = files.metrics.model_copy(update={"ensemble": more})
    assert warnings(files) == []


def test_masks_settings_or_split_that_metrics_do_not_belong_to(scored, edit_json, no_pictures):
    assert load_run(scored).stale == []
    shutil.copy(scored / "baselines/empty/AAA-001.nii.gz", scored / "predictions/AAA-001.nii.gz")
    (mask,) = load_run(scored).stale
    assert "AAA-001" in mask
    assert "AAA-002" not in mask
    edit_json(scored / "run.json", lambda r: r.update(tuned={"predict": {"min_gtvp_ml": 2.0}, "made_from": {}}))
    edit_json(scored / "splits.json", lambda s: s.update(seed=99))
    stale = load_run(scored).stale
    assert [any(word in text for text in stale) for word in ("settings", "split", "AAA-001")] == [True] * 3
    assert all(text in read(write_report(scored)).text for text in stale)
    evaluate_workdir(scored)
    assert load_run(scored).stale == []


def put(*path, value):
    """A change that puts a value deep into a JSON file."""

    def change(content):
        for key in path[:-1]:
            content = content[key]
        if value is KeyError:
            del content[path[-1]]
        else:
            content[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("check.json", put("cases", value=[{}])),
        ("check.json", put("findings", value=[1])),
        ("run.json", put("tuned", value=3)),
        ("run.json", put("provenance", value="a machine")),
        ("splits.json", put("test", value=1)),
        ("splits.json", put("folds", value=3)),
        ("prepared/AAA-001/case.json", put("crop", value=1)),
        ("prepared/AAA-001/case.json", put("crop_grid", value={"size": [1, 2]})),
        ("prepared/AAA-001/case.json", put("harmonization", "soft_tissue_mean_abs_hu", value="x")),
        ("predictions/AAA-001.json", put("removed", value=1)),
    ],
)
def test_a_file_of_another_shape_costs_its_part_of_the_page_alone(scored, edit_json, no_pictures, name, change):
    edit_json(scored / name, change)
    gaps = load_run(scored).gaps
    assert [name.split("/")[-1] in gap for gap in gaps] == [True]
    page = read(write_report(scored))
    assert page.open == []
    assert page.text.count(gaps[0]) == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (put("threshold_baseline", value=KeyError), "threshold_baseline"),
        (put("rules", "matching", value="luck"), "rules"),
        (put("ensemble", "cases", value=1), "ensemble.cases"),
        (put("ensemble", "bootstrap", "intervals", value={}), "ensemble.bootstrap.intervals"),
        (put("ensemble", "by_size", value=[]), "by_size"),
        (put("definitions", value={}), "definitions"),
    ],
)
def test_metrics_of_another_shape_name_file_and_field(scored, edit_json, change, field):
    edit_json(scored / "metrics.json", change)
    with raises_naming(WorkDirError, field, path=scored / "metrics.json"):
        write_report(scored)


def test_metrics_of_a_folder_of_masks_are_not_those_of_a_run(scored):
    labels = find_labels(scored / "cohort")
    tests = {case_id: labels.labels[case_id] for case_id in ("AAA-001", "AAA-002", "BBB-001", "BBB-002")}
    write_json(scored / "metrics.json", evaluate_folder(scored / "predictions", tests).as_dict())
    with raises_naming(WorkDirError, f"`hnseg evaluate {scored}`", path=scored / "metrics.json"):
        write_report(scored)


def test_unfinished_and_foreign_dot_files_are_no_records(scored):
    (scored / "predictions/.writing-abc.json").write_text("{")
    (scored / "predictions/._AAA-001.json").write_text("mac")
    (scored / "prepared/.writing-x").mkdir()
    (scored / "prepared/.writing-x/case.json").write_text("{")
    files = load_run(scored)
    assert files.gaps == []
    assert set(files.predictions) == {"AAA-001", "AAA-002", "BBB-001", "BBB-002"}
