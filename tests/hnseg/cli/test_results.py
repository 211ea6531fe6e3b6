"""The commands after training, as a user types them: options reach the scores, mistakes become one message."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

from hnseg.cli.commands import app
from hnseg.images.geometry import Grid
from hnseg.images.image_io import write_image
from tests.hnseg.workdirs import write_external

GRID = Grid((20, 2, 2), (10.0, 10.0, 10.0), (0.0, 0.0, 0.0))


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def label(*, gtvp=(), gtvn=()):
    mask = np.zeros(GRID.shape, np.uint8)
    for value, runs in ((1, gtvp), (2, gtvn)):
        for start, stop in runs:
            mask[0, 0, start:stop] = value
    return mask


@pytest.fixture
def masks(tmp_path):
    """Two cases: a node found twice over, and a corner that joins two nodes; no true GTVp in either."""
    corner = label(gtvn=[(0, 2)])
    corner[1, 1, 2:4] = 2
    pairs = {
        "A-1": (label(gtvn=[(0, 4), (5, 10)]), label(gtvn=[(0, 10)])),
        "B-1": (corner, corner),
    }
    for case_id, (pred, truth) in pairs.items():
        write_image(tmp_path / "pred" / f"{case_id}.nii.gz", pred, GRID)
        write_image(tmp_path / "truth" / f"{case_id}.nii.gz", truth, GRID)
    return tmp_path


def evaluated(masks, *options):
    done = run("evaluate", masks / "pred", masks / "truth", "--out", masks / "m.json", *options)
    assert done.exit_code == 0, done.output
    return json.loads((masks / "m.json").read_text())


def rules(*settings):
    return [argument for setting in settings for argument in ("--rule", setting)]


@pytest.mark.parametrize(
    ("options", "counts"),
    [
        ((), (2, 1, 0)),
        (("connectivity=6",), (3, 1, 0)),
        (("matching=grouped",), (2, 0, 0)),
        (("matching=hungarian", "connectivity=18"), (3, 1, 0)),
        (("iou_threshold=0.5",), (1, 2, 1)),
        (("iou_threshold=0.5", "strict=false"), (2, 1, 0)),
        (("min_lesion_ml=4.5",), (1, 0, 0)),
    ],
)
def test_rules_reach_the_counts(masks, options, counts):
    result = evaluated(masks, *rules(*options))
    assert (result["tp"], result["fp"], result["fn"]) == counts


def test_other_options_of_evaluate(masks):
    assert evaluated(masks)["gtvp_dice_mean"] == 1.0
    assert evaluated(masks, *rules("empty_truth=zero"))["gtvp_dice_mean"] == 0.0
    assert evaluated(masks, *rules("empty_truth=skip"))["gtvp_dice_mean"] is None
    assert evaluated(masks)["gtvp_dice_agg"] is None
    assert evaluated(masks, *rules("zero_division=one"))["gtvp_dice_agg"] == 1.0
    recorded = evaluated(masks, "--rules", "2022", *rules("aggregate=voxels", "tolerance_mm=2"))["rules"]
    assert (recorded["challenge"], recorded["aggregate"], recorded["tolerance_mm"]) == ("2022", "voxels", 2.0)
    done = run("evaluate", masks / "pred", masks / "truth", "--out", masks / "m.json", "--rules", "2022")
    assert list(json.loads(done.stdout)) == ["dice_agg_mean", "gtvp_dice_agg", "gtvn_dice_agg"]


def test_evaluate_says_what_it_left_out_or_made_up(masks):
    (masks / "pred/A-1.nii.gz").unlink()
    write_image(masks / "pred/C-9.nii.gz", label(), GRID)
    target = ("--out", masks / "m.json")
    done = run("evaluate", masks / "pred", masks / "truth", *target, "--missing", "empty", "--allow-extra")
    assert done.exit_code == 0, done.output
    assert "scored as an empty mask: A-1" in done.stderr
    assert "not scored: C-9: no truth" in done.stderr
    assert json.loads(done.stdout)["gtvp_dice_mean"] == 1.0


@pytest.mark.parametrize(
    ("setting", "facts"),
    [
        ("connectivity=8", ("connectivity=8", "6, 18, 26")),
        ("connectivity=six", ("connectivity=six", "6, 18, 26")),
        ("matching=best", ("greedy, hungarian, grouped",)),
        ("strict=perhaps", ("strict=perhaps", "true, false")),
        ("iou_threshold=1", ("iou_threshold=1", "[0, 1)")),
        ("iou_threshold=nan", ("iou_threshold=nan", "[0, 1)")),
        ("tolerance_mm=0", ("tolerance_mm=0", "> 0")),
        ("min_lesion_ml=much", ("min_lesion_ml=much",)),
        ("min_lesion_ml=inf", ("min_lesion_ml=inf",)),
        ("tolerence_mm=2", ("'tolerence_mm'", "'tolerance_mm'")),
        ("iou=0.5", ("'iou'", "'iou_threshold'")),
        ("luck=1", ("'luck'", "zero_division")),
        ("challenge=2022", ("'challenge'",)),
        ("connectivity", ("key=value",)),
    ],
)
def test_a_rule_that_does_not_exist_is_one_message(masks, setting, facts):
    done = run("evaluate", masks / "pred", masks / "truth", "--out", masks / "m.json", "--rule", setting)
    assert done.exit_code == 1
    assert all(fact in done.stderr for fact in facts), done.stderr
    assert "Traceback" not in done.output
    assert not (masks / "m.json").exists()


def test_a_rule_given_twice_is_refused(masks):
    twice = rules("connectivity=6", "connectivity=18")
    done = run("evaluate", masks / "pred", masks / "truth", "--out", masks / "m.json", *twice)
    assert done.exit_code == 1
    assert "'connectivity'" in done.stderr


def test_a_folder_of_masks_without_its_truth_is_one_message(masks):
    done = run("evaluate", masks / "pred")
    assert done.exit_code == 1
    assert "is a folder of masks: name the truth" in done.stderr


def test_bad_masks_name_the_case_and_write_nothing(masks):
    for bad, said in ((label() + np.uint8(7), "found 7"), (label() + np.float32(0.5), "found 0.5")):
        write_image(masks / "pred/B-1.nii.gz", bad, GRID)
        done = run("evaluate", masks / "pred", masks / "truth", "--out", masks / "m.json")
        assert done.exit_code == 1
        assert said in done.stderr
        assert "B-1" in done.stderr
    assert not (masks / "m.json").exists()


def test_evaluate_of_a_run(small_workdir):
    done = run("evaluate", small_workdir)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["gtvp_dice_mean"] > 0.5
    assert "not scored" not in done.stderr
    assert run("evaluate", small_workdir, "--allow-extra").exit_code == 1


def test_a_run_with_an_unpredicted_case_is_scored_when_asked_and_says_so(small_workdir):
    (small_workdir / "predictions/AAA-001.nii.gz").unlink()
    done = run("evaluate", small_workdir)
    assert done.exit_code == 1
    assert "AAA-001: there is no prediction" in done.stderr
    done = run("evaluate", small_workdir, "--missing", "empty")
    assert done.exit_code == 0, done.output
    assert "scored as an empty mask: AAA-001" in done.stderr
    ensemble = json.loads((small_workdir / "metrics.json").read_text())["ensemble"]
    assert (ensemble["n_cases"], ensemble["missing"]) == (4, ["AAA-001"])
    assert ensemble["cases"][0]["gtvp_dice"] == 0.0


# --- outputs ----------------------------------------------------------------------------------------------------------
def test_evaluate_never_writes_onto_an_input_or_a_foreign_file(masks):
    truth, csv = masks / "truth/A-1.nii.gz", masks / "cohort.csv"
    csv.write_text("id,ct,label\nA-1,truth/A-1.nii.gz,truth/A-1.nii.gz\n")
    foreign = masks / "truth/dataset.json"
    foreign.write_text('{"name": "somebody else\'s"}')
    for path in (truth, masks / "pred/B-1.nii.gz", csv, foreign, masks / "truth"):
        before = path.read_bytes() if path.is_file() else None
        done = run("evaluate", masks / "pred", masks / "truth", "--out", path)
        assert done.exit_code == 1, path
        assert path.name in done.stderr
        assert before is None or path.read_bytes() == before
    evaluated(masks)
    evaluated(masks)  # its own result is replaced


def test_evaluate_of_a_folder_leaves_a_runs_own_scores_alone(small_workdir, monkeypatch):
    assert run("evaluate", small_workdir).exit_code == 0
    before = (small_workdir / "metrics.json").read_bytes()
    monkeypatch.chdir(small_workdir)
    options = ("--allow-extra", "--missing", "empty")
    for target in ((), ("--out", "metrics.json"), ("--out", small_workdir / "metrics.json")):
        done = run("evaluate", "predictions", "cohort", *options, *target)
        assert done.exit_code == 1, target
        assert "metrics.json" in done.stderr
        assert (small_workdir / "metrics.json").read_bytes() == before
    (small_workdir / "metrics.json").unlink()  # nor before it has any
    assert run("evaluate", "predictions", "cohort", *options).exit_code == 1
    assert run("evaluate", "predictions", "cohort", *options, "--out", "folder.json").exit_code == 0


def test_out_of_a_work_directory_is_honored(small_workdir, tmp_path):
    assert run("evaluate", small_workdir).exit_code == 0
    before = (small_workdir / "metrics.json").read_bytes()
    done = run("evaluate", small_workdir, "--rules", "2022", "--out", tmp_path / "m2022.json")
    assert done.exit_code == 0, done.output
    assert json.loads((tmp_path / "m2022.json").read_text())["rules"]["challenge"] == "2022"
    assert (small_workdir / "metrics.json").read_bytes() == before
    for name in ("config.yaml", "run.json", "splits.json", "check.json"):
        content = (small_workdir / name).read_bytes()
        assert run("evaluate", small_workdir, "--out", small_workdir / name).exit_code == 1
        assert (small_workdir / name).read_bytes() == content


def test_compare_never_writes_onto_an_input_or_a_foreign_file(small_workdir, tmp_path):
    assert run("evaluate", small_workdir).exit_code == 0
    first, second = tmp_path / "a.json", tmp_path / "b.json"
    for path in (first, second):
        shutil.copy(small_workdir / "metrics.json", path)
    before = first.read_bytes()
    for path in (first, second, small_workdir / "run.json", tmp_path / "c.txt"):
        assert run("compare", first, second, "--out", path).exit_code == 1, path
    assert first.read_bytes() == second.read_bytes() == before
    for _ in range(2):  # its own result is replaced
        assert run("compare", first, second, "--out", tmp_path / "c.json").exit_code == 0


@pytest.mark.parametrize("name", ["run.json", "splits.json", "check.json", "plan.txt"])
def test_plan_never_writes_onto_a_file_of_the_run(small_workdir, name):
    path = small_workdir / name
    before = path.read_bytes() if path.is_file() else None
    done = run("plan", small_workdir, "--device", "cpu", "--out", path)
    assert done.exit_code == 1
    assert name in done.stderr
    assert (path.read_bytes() if path.is_file() else None) == before


def test_dot_files_are_neither_masks_nor_labels(masks):
    expected = evaluated(masks)
    for folder in ("pred", "truth"):
        (masks / folder / ".writing-abc.nii.gz").write_bytes(b"half a mask")
        (masks / folder / "._A-1.nii.gz").write_bytes(b"of a Mac")
    found = evaluated(masks)
    assert [case["case_id"] for case in found["cases"]] == ["A-1", "B-1"]
    assert found == expected


def test_scores_of_an_external_cohort_lie_beside_its_masks(small_workdir, monkeypatch):
    out, root = write_external(small_workdir)
    here = small_workdir.parent
    monkeypatch.chdir(here)
    done = run("evaluate", out, root)
    assert done.exit_code == 0, done.output
    assert json.loads((out / "metrics.json").read_text())["n_cases"] == 4
    assert not (here / "metrics.json").exists()
    (out / "metrics.json").write_text('{"mine": 1}')
    assert run("evaluate", out, root).exit_code == 1
    assert (out / "metrics.json").read_text() == '{"mine": 1}'
    for label in root.glob("Task 1/*/EX?-00?.nii.gz"):
        label.unlink()
    done = run("evaluate", out, root, "--out", here / "m.json")
    assert (done.exit_code, "Traceback" in done.output) == (1, False)
    assert str(root) in done.stderr.replace("\n", "")


# --- compare ----------------------------------------------------------------------------------------------------------
def test_compare_of_two_runs_of_a_run_with_itself_and_of_folders(small_workdir, tmp_path):
    assert run("evaluate", small_workdir).exit_code == 0
    target = tmp_path / "c.json"
    done = run("compare", small_workdir, small_workdir, "--method-b", "threshold_baseline", "--out", target)
    assert done.exit_code == 0, done.output
    runs = json.loads(target.read_text())
    assert runs["n_cases"] == 4
    assert runs["scores"]["gtvp_dice_mean"]["difference"] < 0
    assert "gtvn_f1_agg" in done.stdout

    for case_id in ("AAA-003", "AAA-004", "BBB-003", "BBB-004", "CCC-001"):  # the folders hold the test cases only
        (small_workdir / f"cohort/Task 1/{case_id}/{case_id}.nii.gz").unlink()
    folders = small_workdir / "predictions", small_workdir / "baselines/threshold"
    done = run("compare", *folders, "--truth", small_workdir / "cohort", "--out", target)
    assert done.exit_code == 0, done.output
    assert json.loads(target.read_text())["scores"] == runs["scores"]


def test_compare_refuses_what_cannot_be_compared(small_workdir, tmp_path):
    done = run("compare", small_workdir, small_workdir)
    assert done.exit_code == 1
    assert "hnseg evaluate" in done.stderr
    run("evaluate", small_workdir)
    done = run("compare", small_workdir, small_workdir, "--method-b", "magic")
    assert done.exit_code == 1
    assert "'magic'" in done.stderr


@pytest.mark.parametrize(
    "option", [("--method-a", "magic"), ("--method-b", "ensemble"), ("--truth", "nowhere"), ("--jobs", "2")]
)
def test_an_option_that_does_not_apply_to_flat_scores_is_refused(masks, option):
    evaluated(masks)
    done = run("compare", masks / "m.json", masks / "m.json", *option)
    assert done.exit_code == 1
    assert (option[1] if option[0].startswith("--method") else option[0]) in done.stderr
    assert run("compare", masks / "m.json", masks / "m.json").exit_code == 0


def test_a_method_of_a_folder_of_masks_is_refused(masks):
    done = run("compare", masks / "pred", masks / "pred", "--truth", masks / "truth", "--method-a", "ensemble")
    assert done.exit_code == 1
    assert "'ensemble'" in done.stderr


@pytest.mark.parametrize("option", [("--truth", "nowhere"), ("--jobs", "2")])
def test_truth_and_jobs_of_a_scored_run_are_refused(small_workdir, option):
    assert run("evaluate", small_workdir).exit_code == 0
    done = run("compare", small_workdir, small_workdir, *option)
    assert done.exit_code == 1
    assert option[0] in done.stderr


@pytest.mark.parametrize(
    ("name", "field", "value"), [("splits.json", "test", 3), ("check.json", "cases", 3), ("splits.json", "folds", 3)]
)
def test_a_list_of_another_shape_names_its_file(small_workdir, edit_json, name, field, value):
    edit_json(small_workdir / name, lambda content: content.update({field: value}))
    done = run("evaluate", small_workdir)
    assert done.exit_code == 1
    assert str(small_workdir / name) in done.stderr
    assert "lacks" not in done.stderr


# --- tune -------------------------------------------------------------------------------------------------------------
def test_tune_makes_the_masks_says_what_it_chose_and_validation_can_be_scored(trained_run, tmp_path):
    work = tmp_path / "work"
    shutil.copytree(trained_run, work)
    done = run("tune", work, "--device", "cpu")
    assert done.exit_code == 0, done.output
    assert "too few to choose by" in done.stdout
    assert (work / "tuning.json").is_file()
    cases = json.loads((work / "out_of_fold/cases.json").read_text())["cases"]
    assert len(cases) == 5
    assert all((work / f"out_of_fold/{case_id}.nii.gz").is_file() for case_id in cases)


def test_tune_of_an_untrained_run_is_one_message(prepared_run):
    done = run("tune", prepared_run)
    assert done.exit_code == 1
    assert "run `hnseg train`" in done.stderr
