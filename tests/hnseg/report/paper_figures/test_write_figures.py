"""The files: what they carry, what they never replace, and which inputs are refused."""

from __future__ import annotations

import json
import re
import shutil
import zlib

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from hnseg.cli.commands import app
from hnseg.cohort.splits import load_splits
from hnseg.errors import CaseError, InUseError, OptionError, OutputPathError, WorkDirError
from hnseg.evaluation.evaluate import hash_run
from hnseg.images.image_io import read_image, write_image
from hnseg.locks import hold
from hnseg.provenance import sha256, versions
from hnseg.report.paper_figures import write_figures as write_module
from hnseg.report.paper_figures.write_figures import NUMBERS, write_figures
from hnseg.workdir import load_config, read_json, write_json
from tests.facts import raises_naming
from tests.hnseg.report.paper_figures.overlaps import find_overlaps


def read_keywords(path):
    """Keywords of a PDF, which Matplotlib stores uncompressed."""
    found = re.search(rb"/Keywords \((.*?)\)\s*(?:/|>>)", path.read_bytes(), re.DOTALL)
    return found[1].replace(b"\\", b"")


def read_streams(path):
    """Decompressed streams of a PDF."""
    parts = re.findall(rb"stream\n(x.*?)\nendstream", path.read_bytes(), re.DOTALL)
    return [zlib.decompressobj().decompress(part) for part in parts]


@pytest.fixture(scope="module")
def written(scored_run, tmp_path_factory):
    work = tmp_path_factory.mktemp("written") / "work"
    shutil.copytree(scored_run, work)
    overlaps = {}
    with pytest.MonkeyPatch.context() as patch:
        save = write_module.save_figures

        def look_and_save(work, drawn, left_out):
            overlaps.update({figure.number: find_overlaps(figure.figure) for figure in drawn})
            return save(work, drawn, left_out)

        patch.setattr(write_module, "save_figures", look_and_save)
        result = write_figures(work)
    return work, result, overlaps


def test_no_text_overlaps_another_or_leaves_the_page(written):
    assert written[2] == {number: [] for number in NUMBERS}


def test_every_figure_is_written_in_both_formats_and_knows_its_origin(written):
    work, result, _ = written
    assert result.left_out == {}
    names = [f"figure_{number}.{ending}" for number in NUMBERS for ending in ("png", "pdf")]
    assert [path.name for path in result.paths] == names
    assert sorted(path.name for path in (work / "figures").iterdir()) == sorted([*names, "figures.json"])
    record = read_json(work / "figures" / "figures.json", "figures")
    assert set(record["figures"]) == {str(number) for number in NUMBERS}
    for number in NUMBERS:
        entry = record["figures"][str(number)]
        origin = entry["made_from"]
        assert entry["caption"]
        assert entry["outputs"] == {name: sha256(work / "figures" / name) for name in entry["outputs"]}
        assert (origin["run"], origin["preset"], origin["seed"]) == ("work", "demo", 1)
        assert (origin["settings"], origin["split"]) == tuple(hash_run(work)[name] for name in ("settings", "split"))
        assert origin["versions"] == versions()
        assert origin["case"] == result.cases.get(number)
        with Image.open(work / "figures" / f"figure_{number}.png") as image:
            assert min(image.info["dpi"]) > 200
            assert json.loads(image.info["Source"]) == origin
            assert image.info["Description"] == entry["caption"]
        assert json.loads(read_keywords(work / "figures" / f"figure_{number}.pdf")) == origin
    assert set(result.cases) == {1, 2, 5}
    inputs = {number: record["figures"][str(number)]["made_from"]["inputs"] for number in NUMBERS}
    assert set(inputs[1]) == set(inputs[2]) == {"ct", "pet", "label"}
    assert set(inputs[3]) == {"models/fold_0/best.pt", "models/fold_1/best.pt"}
    assert inputs[4] == {"metrics.json": sha256(work / "metrics.json")}
    assert inputs[5]["mask"] == sha256(work / "predictions" / f"{result.cases[5]}.nii.gz")


def test_a_pdf_holds_text_with_its_fonts(written):
    work, _, _ = written
    for number in NUMBERS:
        path = work / "figures" / f"figure_{number}.pdf"
        content = path.read_bytes()
        assert b"/FontFile2" in content
        assert b"/Type3" not in content
        assert any(re.search(rb"/F\d+ [\d.]+ Tf", stream) for stream in read_streams(path))


def test_a_second_call_gives_the_same_bytes(written):
    work, result, _ = written
    before = {path.name: sha256(path) for path in result.paths}
    again = write_figures(work, only=[3, 4])
    assert {path.name: sha256(path) for path in again.paths} == {
        name: before[name] for name in before if name[7] in "34"
    }
    assert set(read_json(work / "figures" / "figures.json", "figures")["figures"]) == set(map(str, NUMBERS))


def test_a_foreign_or_edited_file_is_not_replaced(own_run):
    (own_run / "figures").mkdir()
    foreign = own_run / "figures" / "figure_4.pdf"
    foreign.write_text("mine")
    with raises_naming(OutputPathError, path=foreign):
        write_figures(own_run, only=[4])
    assert [path.name for path in (own_run / "figures").iterdir()] == ["figure_4.pdf"]
    foreign.unlink()
    write_figures(own_run, only=[4])
    with foreign.open("ab") as file:
        file.write(b"% a note by hand")
    with raises_naming(OutputPathError, path=foreign):
        write_figures(own_run, only=[4])
    record = own_run / "figures" / "figures.json"
    write_json(record, {"figures": [], "left_out": {}})
    with raises_naming(WorkDirError, "`hnseg figures`", path=record):
        write_figures(own_run, only=[3])


@pytest.mark.parametrize(
    ("options", "facts"),
    [
        ({"only": [6]}, ("6",)),
        ({"only": []}, ("1, 2, 3, 4, 5",)),
        ({"only": [3], "case_id": "ALFA-001"}, ("ALFA-001", "1, 2, 5")),
        ({"only": [1], "external": "OUT"}, ("OUT", "4")),
    ],
)
def test_an_option_that_changes_nothing_is_refused(scored_run, options, facts):
    with raises_naming(OptionError, *facts):
        write_figures(scored_run, **options)


def test_the_command_prints_files_and_refuses_what_is_no_number(own_run):
    done = CliRunner().invoke(app, ["figures", str(own_run), "--only", "4"])
    assert done.exit_code == 0
    assert "figure_4.pdf" in done.output
    done = CliRunner().invoke(app, ["figures", str(own_run), "--only", "four"])
    assert done.exit_code == 2
    assert "four" in done.output


def test_figures_are_written_by_one_process_at_a_time(scored_run):
    with hold(scored_run, "figures", "a test"), pytest.raises(InUseError):
        write_figures(scored_run, only=[4])


def test_a_case_that_is_not_there_is_answered_with_those_that_are(scored_run):
    splits = load_splits(scored_run)
    with raises_naming(CaseError, *splits.all_ids(), case_id="NONE-001"):
        write_figures(scored_run, case_id="NONE-001", only=[1])
    with raises_naming(CaseError, *splits.test, *splits.folds[0], case_id=splits.reference):
        write_figures(scored_run, case_id=splits.reference, only=[5])


def test_without_masks_the_command_that_makes_them_is_named(trained_run):
    with raises_naming(WorkDirError, "`hnseg predict`", path=trained_run):
        write_figures(trained_run, only=[5])


def test_an_edited_mask_is_refused(own_run):
    case_id = load_splits(own_run).test[0]
    path = own_run / "predictions" / f"{case_id}.nii.gz"
    mask, grid = read_image(path, case_id, dtype=np.uint8)
    mask[0, 0, 0] = 1 - mask[0, 0, 0]
    write_image(path, mask, grid)
    with raises_naming(CaseError, "`hnseg predict`", case_id=case_id, path=path):
        write_figures(own_run, case_id=case_id, only=[5])
    with raises_naming(WorkDirError, "`hnseg evaluate`", case_id):
        write_figures(own_run, only=[4])


def test_a_mask_of_another_image_or_other_thresholds_is_refused(own_run, edit_json):
    case_id = load_splits(own_run).test[0]
    path = own_run / "predictions" / f"{case_id}.json"
    edit_json(path, lambda record: record["made_from"]["prepared"].update(computation=0))
    with raises_naming(CaseError, "computation", "`hnseg predict`", case_id=case_id, path=path.with_suffix(".nii.gz")):
        write_figures(own_run, case_id=case_id, only=[5])
    case_id = load_splits(own_run).folds[0][0]
    edit_json(
        own_run / "out_of_fold" / "cases.json", lambda record: record["made_from"]["predict"].update(min_gtvp_ml=9)
    )
    mask = own_run / "out_of_fold" / f"{case_id}.nii.gz"
    with raises_naming(CaseError, "min_gtvp_ml", "`hnseg tune`", case_id=case_id, path=mask):
        write_figures(own_run, case_id=case_id, only=[5])


def test_models_and_cases_of_another_run_are_refused(own_run, edit_json):
    model = own_run / "models" / "fold_0" / "best.pt"
    shutil.copy(own_run / "models" / "fold_1" / "best.pt", model)
    with raises_naming(WorkDirError, "fold 1", "fold 0", path=model):
        write_figures(own_run, only=[3])
    with raises_naming(WorkDirError, "`hnseg predict`"):
        write_figures(own_run, only=[5])
    model.unlink()
    with raises_naming(WorkDirError, "`hnseg train`", path=model):
        write_figures(own_run, only=[3])
    case_id = load_splits(own_run).test[0]
    folder = own_run / "prepared" / case_id
    edit_json(folder / "case.json", lambda record: record["made_from"].update(computation=0))
    with raises_naming(CaseError, "computation", "`hnseg prepare`", case_id=case_id, path=folder):
        write_figures(own_run, case_id=case_id, only=[1])


def test_a_run_without_harmonization_has_no_figure_2(own_run, monkeypatch):
    write_figures(own_run, only=[2])
    config = load_config(own_run)
    bare = config.model_copy(update={"prepare": config.prepare.model_copy(update={"harmonization": "none"})})
    monkeypatch.setattr("hnseg.report.paper_figures.harmonized_case.load_config", lambda work: bare)
    with raises_naming(OptionError, "2", "none"):
        write_figures(own_run, only=[2])
    monkeypatch.setattr("hnseg.report.paper_figures.write_figures.NUMBERS", (2, 4))
    result = write_figures(own_run)
    assert [path.name for path in result.paths] == ["figure_4.png", "figure_4.pdf"]
    assert list(result.left_out) == [2]
    assert not list((own_run / "figures").glob("figure_2.*"))  # that of an earlier run of the same name is gone
    record = read_json(own_run / "figures" / "figures.json", "figures")
    assert (list(record["figures"]), list(record["left_out"])) == (["4"], ["2"])
