"""The report of an external cohort: beside the run's validation, of the run's models only, over no foreign file."""

from __future__ import annotations

import json
import shutil

import pytest
from typer.testing import CliRunner

from hnseg.cli.commands import app
from hnseg.errors import OutputPathError, WorkDirError
from hnseg.evaluation.evaluate import evaluate_folder, evaluate_workdir, find_labels
from hnseg.evaluation.records import read_metrics
from hnseg.report.data import load_run
from hnseg.report.external_files import external_warnings, load_external
from hnseg.report.external_page import write_external_report
from hnseg.report.external_scores import read_external_scores
from hnseg.workdir import write_json
from tests.facts import raises_naming
from tests.hnseg.report.html_page import read, write_validation
from tests.hnseg.workdirs import EXTERNAL, write_external

KEYS = ("gtvp_dice_mean", "gtvn_dice_agg", "gtvn_f1_agg")


@pytest.fixture
def cohort(small_workdir):
    """Work directory, masks and data root of an evaluated external cohort; one case has no label, one no mask."""
    write_validation(small_workdir)
    evaluate_workdir(small_workdir)
    out, root = write_external(small_workdir)
    (root / "Task 1" / EXTERNAL[0] / f"{EXTERNAL[0]}.nii.gz").unlink()
    (out / f"{EXTERNAL[3]}.nii.gz").unlink()
    score(out, root)
    return small_workdir, out, root


def score(out, root):
    write_json(out / "metrics.json", evaluate_folder(out, find_labels(root), missing="empty").as_dict())


def load(work, out):
    run = load_run(work)
    return load_external(run, out, read_external_scores(work, out, run.metrics))


def files_of(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_page_shows_the_cohort_and_the_gap_and_nothing_else_is_written(cohort):
    work, out, root = cohort
    before = files_of(out), files_of(root), files_of(work)
    page = write_external_report(work, out)
    assert page == out / "report.html"
    after = files_of(out)
    assert {name: content for name, content in after.items() if name != "report.html"} == before[0]
    assert (files_of(root), files_of(work)) == before[1:]
    shown = read(page)
    assert shown.open == []
    assert all(link.startswith(("data:", "#")) for link in shown.links)
    assert {link[1:] for link in shown.links if link.startswith("#")} <= shown.ids
    assert (
        shown.images == 2 * 6 + 5
    )  # two cases in six views, the third has no mask; gap, volumes, sizes, centers, harmonization
    metrics, validation = read_metrics(out), read_metrics(work).validation
    for key in KEYS:
        for part in (metrics, validation):
            assert f"{part[key]:.3f}" in shown.text
        assert f"{metrics[key] - validation[key]:+.3f}".replace("-", "−") in shown.text
    assert all(sha256 in shown.text for sha256 in metrics.models.values())
    assert all(fact in shown.text for fact in (*EXTERNAL, str(root), str(work), "3 cases", "4 cases"))
    write_external_report(work, out)  # its own page is replaced


def test_the_reader_is_warned(cohort):
    work, out, _ = cohort
    made = json.loads((out / f"{EXTERNAL[1]}.json").read_text())["made_from"]
    path = work / "prepared" / "AAA-004" / "case.json"
    write_json(path, {**json.loads(path.read_text()), "made_from": made, "outputs": {}})
    files = load(work, out)
    assert files.in_run == {EXTERNAL[1]: "AAA-004"}
    text = " ".join(external_warnings(files))
    assert all(fact in text for fact in (*EXTERNAL, "AAA-004", "no brain in view", "Only 3"))


def test_images_that_are_others_or_gone_are_not_shown(cohort):
    work, out, root = cohort
    ct = root / "Task 1" / EXTERNAL[1] / f"{EXTERNAL[1]}__CT.nii.gz"
    ct.write_bytes(ct.read_bytes() + b"more")
    files = load(work, out)
    assert EXTERNAL[1] not in files.inputs
    assert any(str(ct) in gap for gap in files.gaps)
    shutil.rmtree(root)
    files = load(work, out)
    assert files.inputs == {}
    assert any(str(root) in gap for gap in files.gaps)


def test_a_page_that_is_not_ours_is_kept(cohort):
    work, out, _ = cohort
    (out / "report.html").write_text("<p>mine</p>")
    with raises_naming(OutputPathError, path=out / "report.html"):
        write_external_report(work, out)
    assert (out / "report.html").read_text() == "<p>mine</p>"


def test_what_is_missing_is_named_with_its_command(cohort):
    work, out, root = cohort
    (out / "metrics.json").unlink()
    with raises_naming(WorkDirError, "labels", f"`hnseg evaluate {out} DATA`", path=out / "metrics.json"):
        write_external_report(work, out)
    with raises_naming(WorkDirError, path=root / "metrics.json"):
        write_external_report(work, root)
    done = CliRunner().invoke(app, ["report", str(work), "--external", str(out)])
    assert (done.exit_code, "Traceback" in done.output) == (1, False)
    assert not (out / "report.html").exists()
