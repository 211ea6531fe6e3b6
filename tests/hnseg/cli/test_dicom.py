"""The command dicom: its options, what it prints, and its exit status."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hnseg.cli.commands import app
from hnseg.dicom import convert
from hnseg.dicom.convert import DicomReport
from hnseg.dicom.options import DicomOptions, LoadOptions
from hnseg.dicom.pair_studies import SeriesChoices
from hnseg.dicom.series.records import SeriesIndex
from hnseg.dicom.structures.structure_names import NamePattern
from tests.hnseg.dicom import studies

PLAIN = DicomOptions()
LOAD = LoadOptions()


@pytest.mark.parametrize(
    ("arguments", "expected", "jobs"),
    [
        ((), PLAIN, 1),
        (("--layout", "nnunet"), replace(PLAIN, layout="nnunet"), 1),
        (("--ids", "ids.csv"), replace(PLAIN, ids=Path("ids.csv")), 1),
        (("--tags", "tags.csv"), replace(PLAIN, tags=Path("tags.csv")), 1),
        (("--suv", "lbm"), replace(PLAIN, load=replace(LOAD, suv="lbm")), 1),
        (("--dose-in-mbq",), replace(PLAIN, load=replace(LOAD, dose_in_mbq=True)), 1),
        (
            ("--structures", "T*=1", "--structures", "N*=GTVn"),
            replace(PLAIN, load=replace(LOAD, patterns=(NamePattern("T*", 1), NamePattern("N*", 2)))),
            1,
        ),
        (("--ct-series", "3", "--ct-series", "9"), replace(PLAIN, choices=SeriesChoices(ct=(3, 9))), 1),
        (("--pet-series", "3"), replace(PLAIN, choices=SeriesChoices(pet=(3,))), 1),
        (("--structure-series", "3"), replace(PLAIN, choices=SeriesChoices(structures=(3,))), 1),
        (("--leave-out-series", "3"), replace(PLAIN, choices=SeriesChoices(left_out=(3,))), 1),
        (("--pet-only",), replace(PLAIN, pet_only=True), 1),
        (("--keep-uids",), replace(PLAIN, keep_uids=True), 1),
        (("--jobs", "3"), PLAIN, 3),
    ],
)
def test_an_option_reaches_the_conversion(monkeypatch, arguments, expected, jobs):
    calls: list[tuple[tuple[Any, ...], Mapping[str, Any]]] = []

    def record(*given: Any, **named: Any) -> DicomReport:
        calls.append((given, named))
        return DicomReport((), SeriesIndex((), (), 0), ())

    monkeypatch.setattr(convert, "convert_dicom", record)
    result = CliRunner().invoke(app, ["dicom", "in", "out", *arguments])
    assert result.exit_code == 0, result.output
    ((given, named),) = calls
    assert (given, named["jobs"]) == ((Path("in"), Path("out"), expected), jobs)


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    """A study that can be converted, and one without a PET."""
    root = tmp_path_factory.mktemp("dicom")
    studies.make_study(root / "a", "a", structures=("GTVp Smith", "Smith"))
    studies.make_study(root / "b", "b", structures=())
    for path in (root / "b" / "pet").iterdir():
        path.unlink()
    return root


def test_a_study_that_fails_is_named_and_the_others_are_converted(tree, tmp_path):
    result = CliRunner().invoke(app, ["dicom", str(tree), str(tmp_path / "out")])
    assert result.exit_code == 1
    assert "case-001: CT series 1 (10 × 12 × 9), PET series 2 (10 × 12 × 9), SUV" in result.output
    assert "error: case-002: CT without PET" in result.output
    assert "Smith" not in result.output
    assert (tmp_path / "out" / "Task 1" / "case-001" / "case-001__PT.nii.gz").is_file()


def test_what_was_unusual_is_printed_below_its_case(tmp_path):
    """A unit of GML without the kind of SUV, a file that is no DICOM, a row of the table that names nothing."""
    studies.make_study(tmp_path / "in", "a", pet={"tags": {"Units": "GML"}})
    (tmp_path / "in" / "notes.txt").write_text("not DICOM\n")
    (tmp_path / "tags.csv").write_text("pid,patient_weight_kg\nnobody,70\n")
    arguments = ["dicom", str(tmp_path / "in"), str(tmp_path / "out"), "--tags", str(tmp_path / "tags.csv")]
    result = CliRunner().invoke(app, arguments)
    assert "  note: pet: no SUVType is stated" in result.output
    assert "files that are in no series: 1" in result.output
    assert "1 of 1 rows" in result.output
    assert result.exit_code == 1


def test_what_happened_to_a_case_and_its_mask_is_printed(tmp_path):
    """A new case; kept; made again for patterns that match nothing; made again for structures that are left out."""
    studies.make_study(tmp_path / "in", "a")

    def last(*options: str) -> str:
        return CliRunner().invoke(app, ["dicom", str(tmp_path / "in"), str(tmp_path / "out"), *options]).output

    volume_ml = 60 * 48 / 1000
    assert f"GTVp {volume_ml:.1f} ml with SUVmax " in (first := last())
    assert "GTVn 0.0 ml\n" in first
    assert "(kept)" in last()
    unmatched = last("--structures", "Tumor*=1")
    assert "no mask: 1 structure, its name matches no pattern; --show-names" in unmatched
    assert "(made again, changed: --structures)" in unmatched
    assert "note: the mask that it had is removed" in unmatched
    without = last("--leave-out-series", "3")
    assert "no mask: RTSTRUCT series 3: left out, as chosen (made again, changed: --structures, " in without
    assert "the mask that it had" not in without


def test_names_of_structures_are_shown_on_request_alone(tree, tmp_path):
    result = CliRunner().invoke(app, ["dicom", str(tree), str(tmp_path / "out"), "--show-names"])
    assert "RTSTRUCT series 3, structure 1: GTVp Smith: GTVp (pattern GTVp*)" in result.output
    assert "RTSTRUCT series 3, structure 2: Smith: left out, no pattern matches" in result.output


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("--structures", "GTVp"), 2),
        (("--structures", "a=3"), 2),
        (("--pet-series", "9"), 2),
        (("--ids", "no.csv"), 1),
        (("--tags", "no.csv"), 1),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(tree, tmp_path, arguments, status):
    result = CliRunner().invoke(app, ["dicom", str(tree), str(tmp_path / "out"), *arguments])
    assert (result.exit_code, result.output.count("error:")) == (status, 1), result.output
    assert not (tmp_path / "out").exists()
