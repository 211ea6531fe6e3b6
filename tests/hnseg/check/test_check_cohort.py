"""Check: good cases pass, each trap is named with its case and file, and one bad case never stops the rest."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from hnseg.check.check_case import check_case
from hnseg.check.check_cohort import check_cohort, check_factors, check_resolution
from hnseg.cli.commands import app
from hnseg.cohort.cases import discover_cases
from hnseg.cohort.checked_cohort import load_check
from hnseg.errors import CohortError
from hnseg.images.geometry import Grid
from hnseg.images.image_io import read_image, write_image
from hnseg.phantom import DEFAULT_CENTERS, generate_cohort
from hnseg.settings.config import Config
from tests.facts import raises_naming
from tests.hnseg.fixtures import ball, without_pictures
from tests.ssimh.uptakes import pet_site

PREPARE = Config.from_preset("demo").prepare


def test_a_good_cohort_has_no_findings(prepared_run):
    result = load_check(prepared_run)
    assert result.findings == ()
    assert len(result.cases) == 8
    assert all(case.head_found and case.label for case in result.cases)
    assert {case.center for case in result.cases} == {center.name for center in DEFAULT_CENTERS[:2]}


TRAPS = {
    "disjoint-boxes": ("error", "do not overlap", "__PT"),
    "wrong-label-value": ("error", "label values must be 0 (background), 1 (GTVp), 2 (GTVn); found 7", ".nii"),
    "missing-pet": ("error", "does not exist", "__PT"),
    "unreadable-ct": ("error", "not a readable image", "__CT"),
    "empty-label": ("warning", "neither GTVp nor GTVn", ".nii"),
    "flipped-direction": ("info", "flipped or permuted (handled)", "__CT"),
    "oblique-direction": ("info", "oblique (handled)", "__CT"),
}
CASE_IDS = {trap: f"{DEFAULT_CENTERS[0].name}-{n:03d}" for n, trap in enumerate([*TRAPS, "pet-bqml", None], start=1)}


@pytest.fixture(scope="module")
def trapped(tmp_path_factory):
    """A cohort of a case for each trap and one without; what its check found, and the folder it wrote that to."""
    root, work = tmp_path_factory.mktemp("trapped") / "cohort", tmp_path_factory.mktemp("checked") / "work"
    traps = [trap for trap in CASE_IDS if trap is not None]
    generate_cohort(root, cases_per_center=len(CASE_IDS), centers=DEFAULT_CENTERS[:1], pixel_mm=8.0, traps=traps)
    with without_pictures():
        return root, check_cohort(root, PREPARE, work=work), work


@pytest.mark.parametrize("trap", TRAPS)
def test_a_trap_is_named_and_the_other_cases_go_on(trapped, trap):
    severity, message, file = TRAPS[trap]
    _, result, work = trapped
    about = [finding for finding in result.findings if message in finding.message]
    assert about, [str(finding) for finding in result.findings]
    assert {(finding.case_id, finding.severity) for finding in about} == {(CASE_IDS[trap], severity)}
    assert f"{CASE_IDS[trap]}{file}" in str(about[0].path)
    refused = {CASE_IDS[name] for name, (kind, _, _) in TRAPS.items() if kind == "error"}
    assert {case.id for case in result.cases} == set(CASE_IDS.values()) - refused
    assert len(json.loads((work / "check.json").read_text())["findings"]) == len(result.findings)


def test_bqml_is_converted_by_the_cohorts_table_and_refused_without_it(trapped, tmp_path):
    root, result, work = trapped
    cases = {case.id: case for case in result.cases}
    converted, other = (cases[CASE_IDS[trap]] for trap in ("pet-bqml", None))
    assert (converted.pet_unit, other.pet_unit, other.suv_factor) == ("Bq/ml", "SUV", None)
    assert load_check(work) == result
    assert converted.as_case().suv_factor == converted.suv_factor
    for case_id in (converted.id, other.id):
        shutil.copytree(root / "Task 1" / case_id, tmp_path / "Task 1" / case_id)
    (error,) = check_cohort(tmp_path, PREPARE).errors
    assert (error.case_id, "looks like Bq/ml, not SUV" in error.message) == (converted.id, True)


def test_heads_are_found_in_every_direction_and_unit(trapped):
    found = {case.id: case.head_found for case in trapped[1].cases}
    assert all(found[CASE_IDS[trap]] for trap in ("flipped-direction", "oblique-direction", "pet-bqml", None)), found


@pytest.mark.parametrize(
    ("ids", "severity", "start"),
    [
        (
            ["ONE_001", "ONE_002"],
            "warning",
            "2 of 2 rows in suv_conversion_tags.csv belong to no case here: ONE_001, ONE",
        ),
        (["ONE-001", "TWO-001"], "info", "1 of 2 rows in suv_conversion_tags.csv belong to no case here: TWO-001"),
        (["ONE-001"], None, ""),
    ],
)
def test_rows_of_factors_without_a_case_are_a_finding(make_case, ids, severity, start):
    root = make_case("ONE-001")
    (root / "suv_conversion_tags.csv").write_text("\n".join(["pid,suv_factor", *(f"{name},3e-4" for name in ids)]))
    found = [(f.severity, f.message) for f in check_factors(root, discover_cases(root))]
    assert [severity for severity, _ in found] == ([severity] if severity else [])
    assert all(message.startswith(start) for _, message in found)


def test_a_label_on_another_grid_is_refused(make_case):
    label = np.ones((10, 10, 10), np.uint8)
    root = make_case(label=(label, Grid((10, 10, 10), (4, 4, 5), (-80, -70, 10))))
    with raises_naming(
        CohortError, "ONE-001:", "CT grid", (10, 10, 10), root / "Task 1" / "ONE-001" / "ONE-001.nii.gz"
    ):
        check_cohort(root, PREPARE)


def test_a_ct_that_is_not_in_hu_is_refused(make_case):
    ct = np.full((10, 10, 10), 1024, np.int16)
    grid = Grid((10, 10, 10), (10, 10, 10), (-50, -50, 20))
    root = make_case(ct=(ct, grid))
    with raises_naming(CohortError, "ONE-001:", "CT is 1024", root / "Task 1" / "ONE-001" / "ONE-001__CT.nii.gz"):
        check_cohort(root, PREPARE)


def test_a_constant_pet_is_refused(make_case):
    pet = np.full((10, 10, 10), 2.5, np.float32)
    grid = Grid((10, 10, 10), (10, 10, 10), (-50, -50, 20))
    root = make_case(pet=(pet, grid))
    with raises_naming(CohortError, "ONE-001:", "PET is 2.5", root / "Task 1" / "ONE-001" / "ONE-001__PT.nii.gz"):
        check_cohort(root, PREPARE)


def test_a_scan_without_a_head_is_used_with_a_warning(make_case):
    result = check_cohort(make_case(), PREPARE)
    assert [finding.code for finding in result.findings] == ["no-head", "field-of-view"]
    assert "show 160 × 144 × 150 mm of the crop box's 200 × 200 × 312 mm" in result.findings[1].message
    assert not result.cases[0].head_found


def test_a_case_without_a_label_is_used_and_said_so(make_case):
    root = make_case()
    (root / "Task 1" / "ONE-001" / "ONE-001.nii.gz").unlink()
    result = check_cohort(root, PREPARE)
    (finding,) = (finding for finding in result.findings if finding.code == "no-label")
    assert finding.severity == "info"
    assert result.cases[0].label is None


def codes(result) -> dict[str, str]:
    return {finding.code: finding.severity for finding in result.findings if finding.code not in ("no-head",)}


def test_everything_wrong_with_a_case_is_said_at_once(make_case):
    root = make_case()
    folder = root / "Task 1" / "ONE-001"
    label, grid = read_image(folder / "ONE-001.nii.gz", "ONE-001", np.uint8)
    write_image(folder / "ONE-001.nii.gz", label * 3, grid)
    (folder / "ONE-001__PT.nii.gz").unlink()
    (folder / "ONE-001__CT.nii.gz").write_bytes(b"")
    with pytest.raises(CohortError) as error:
        check_cohort(root, PREPARE)
    for fact in ("the file is empty", "the file does not exist", "found 3, 6"):
        assert fact in str(error.value)


def test_lesions_outside_pet_and_box_and_in_air_are_told(make_case):
    grid = Grid((40, 36, 200), (4.0, 4.0, 5.0), (-80.0, -70.0, 10.0))  # one meter high: the box covers its top
    ct = np.where(ball(grid, (0.0, 0.0, 900.0), 60.0), 40, -1000).astype(np.int16)
    label = ball(grid, (0.0, 0.0, 910.0), 10.0).astype(np.uint8)
    label[ball(grid, (0.0, 0.0, 300.0), 20.0)] = 2
    pet_grid = Grid((34, 32, 100), (5.0, 5.0, 5.0), (-83.0, -77.0, 510.0))
    pet = np.where(ball(pet_grid, (0.0, 0.0, 900.0), 60.0), 1.0, 0.05).astype(np.float32)
    pet[50, 16, 16] = 8.0
    result = check_cohort(make_case(ct=(ct, grid), label=(label, grid), pet=(pet, pet_grid)), PREPARE)
    found = {finding.code: finding for finding in result.findings}
    assert found.keys() >= {"label-in-air", "label-outside-pet", "label-outside-box"}
    total_ml = float(label.astype(bool).sum()) * grid.voxel_ml
    lost_ml = float((label == 2).sum()) * grid.voxel_ml
    for code in ("label-outside-pet", "label-outside-box"):
        assert f"{lost_ml:.1f} ml of {total_ml:.1f} ml of lesions" in found[code].message
    assert f"{lost_ml / total_ml:.0%} of the labeled volume is air" in found["label-in-air"].message


def test_a_pet_that_stops_short_of_the_ct_is_told(make_case):
    pet_grid = Grid((34, 32, 14), (5.0, 5.0, 6.0), (-83.0, -77.0, 71.0))  # from 68 of the CT's 7.5 … 157.5 mm
    pet = np.where(ball(pet_grid, (0.0, 0.0, 80.0), 60.0), 1.0, 0.05).astype(np.float32)
    pet[5, 16, 16] = 8.0
    result = check_cohort(make_case(pet=(pet, pet_grid)), PREPARE)
    (finding,) = (finding for finding in result.findings if finding.code == "pet-coverage")
    assert finding.severity == "warning"
    share = int(finding.message.split("%")[0].split()[-1])
    assert share == pytest.approx(100 * (152 - 68) / (152 - 7.5), abs=3)  # the box ends with the PET, at 152 mm


@pytest.mark.parametrize(
    ("spacing", "code", "severity"),
    [((0.004, 0.004, 0.005), "extent", "error"), ((4.0, 4.0, 22.0), "coarse", "warning")],
)
def test_voxel_sizes_that_cannot_be_or_are_of_little_use(make_case, spacing, code, severity):
    (case,) = discover_cases(make_case())
    ct, grid = read_image(case.ct, case.id)
    result = check_case(
        replace(case, label=None, ct=rewritten(case.ct, ct, replace(grid, spacing_mm=spacing))), PREPARE, pictures=False
    )
    assert codes(result)[code] == severity


def rewritten(path, array, grid):
    write_image(path, array, grid)
    return path


def test_a_negative_pet_is_told(make_case):
    (case,) = discover_cases(make_case())
    pet, grid = read_image(case.pet, case.id)
    pet[0, 0, :5] = -0.8
    rewritten(case.pet, pet, grid)
    result = check_case(case, PREPARE, pictures=False)
    assert codes(result)["negative-pet"] == "warning"


def test_a_masked_ct_and_an_empty_one_are_told(make_case):
    (case,) = discover_cases(make_case())
    ct, grid = read_image(case.ct, case.id)
    few = np.where(ball(grid, (0.0, 0.0, 80.0), 25.0), ct, -1000)  # sections of at most 20 cm²
    assert codes(check_case(replace(case, ct=rewritten(case.ct, few, grid)), PREPARE))["masked-ct"] == "warning"
    none = np.linspace(-1000, -400, ct.size).reshape(ct.shape).astype(np.float32)
    assert codes(check_case(replace(case, ct=rewritten(case.ct, none, grid)), PREPARE))["no-body"] == "warning"


def test_a_header_that_programs_read_differently_is_told(make_case):
    (case,) = discover_cases(make_case())
    raw = bytearray(gzip.decompress(case.ct.read_bytes()))
    struct.pack_into("<2h", raw, 252, 0, 0)  # neither qform nor sform
    case.ct.write_bytes(gzip.compress(bytes(raw)))
    assert codes(check_case(case, PREPARE, pictures=False))["orientation"] == "warning"


def test_a_cohort_of_ct_alone_is_told_as_such(make_case, tmp_path):
    rows = ["id,ct"]
    for name in ("ONE-001", "ONE-002"):
        root = make_case(name)
        rows.append(f"{name},cohort/Task 1/{name}/{name}__CT.nii.gz")
    table = tmp_path / "cases.csv"
    table.write_text("\n".join(rows) + "\n")
    with raises_naming(CohortError, "PET", "2 cases", "CT", path=tmp_path / "work" / "check.html"):
        check_cohort(table, PREPARE, work=tmp_path / "work")
    found = load_check(tmp_path / "work")
    assert (found.cases, found.unusable) == ((), ("ONE-001", "ONE-002"))
    assert [f.code for f in found.findings if f.severity == "error"] == ["no-pet", "pet", "pet"]
    assert "same-ct" in codes(found)  # the hand-made cases are alike
    assert (tmp_path / "work" / "check.html").read_text().count("<figure>") == 4
    assert check_cohort(root, PREPARE).cases  # the folder itself is fine


def test_what_was_found_is_written_but_no_run_is_lost(make_case, tmp_path):
    root, work = make_case(), tmp_path / "work"
    check_cohort(root, PREPARE, work=work)
    before = (work / "check.json").read_bytes()
    (root / "Task 1" / "ONE-001" / "ONE-001__PT.nii.gz").unlink()
    pet = root / "Task 1" / "ONE-001" / "ONE-001__PT.nii.gz"
    with raises_naming(CohortError, root, "ONE-001:", pet):
        check_cohort(root, PREPARE, work=work)
    assert (work / "check.json").read_bytes() == before
    with pytest.raises(CohortError):
        check_cohort(root, PREPARE, work=tmp_path / "new")
    assert load_check(tmp_path / "new").unusable == ("ONE-001",)


def test_many_errors_are_cut_short(tmp_path):
    table = tmp_path / "cases.csv"
    table.write_text("id,ct,pet\n" + "".join(f"A-{i:03},ct{i},pet{i}\n" for i in range(30)))
    with raises_naming(CohortError, 41):  # 30 × CT and PET, and the cohort's own, less 20
        check_cohort(table, PREPARE)


@pytest.mark.parametrize(("name", "facts"), [("nowhere", []), ("empty", []), ("file", ["CSV"])])
def test_a_root_that_cannot_be_used(tmp_path, name, facts):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    with raises_naming(CohortError, "`Task 1/<ID>/<ID>__CT.nii.gz`", *facts, path=tmp_path / name):
        check_cohort(tmp_path / name, PREPARE)


def test_every_code_is_documented():
    package = Path(check_case.__code__.co_filename).parent
    sources = "".join((package / f"{name}.py").read_text() for name in ("check_cohort", "load_case", "findings"))
    codes_used = set(re.findall(r'"(?:error|warning|info)",\s*"([a-z-]+)"', sources))
    codes_used |= set(re.findall(r'_note_errors\(case, "([a-z-]+)"', sources)) | set(
        re.findall(r'\("(label-[a-z-]+)", ', sources)
    )
    assert {"overlap", "misaligned", "label-outside-box", "ct", "same-ct"} <= codes_used  # the search finds them
    page = (package.parents[1] / "docs" / "hnseg" / "check.md").read_text()
    assert {code for code in codes_used if f"`{code}`" not in page} == set()


def test_the_command_prints_a_table_and_tells_by_its_status(make_case, tmp_path):
    make_case("ONE-001")
    root = make_case("ONE-002")
    (root / "Task 1" / "ONE-001" / "ONE-001.nii.gz").unlink()
    before = sorted(tmp_path.rglob("*"))
    result = CliRunner().invoke(app, ["check", str(root)])
    assert result.exit_code == 0, result.output
    assert "2 of 2 cases can be used" in result.stdout
    assert "warning: ONE-001: no head in view" in result.stderr
    assert "no label file" not in result.output  # what is merely info stands in the page
    assert sorted(tmp_path.rglob("*")) == before
    (root / "Task 1" / "ONE-001" / "ONE-001__PT.nii.gz").unlink()
    begun = CliRunner().invoke(app, ["init", str(tmp_path / "work"), "--data", str(root), "--preset", "demo"])
    assert begun.exit_code == 0
    result = CliRunner().invoke(app, ["check", str(tmp_path / "work")])
    assert result.exit_code == 1
    assert "1 of 2 cases can be used" in result.stdout
    assert "error: ONE-001: the file does not exist" in result.stderr
    assert {path.name for path in (tmp_path / "work").iterdir()} == {
        "config.yaml",
        "run.json",
        "check.json",
        "check.html",
        "check_files",
    }


def test_the_resolution_of_the_centers_is_stated_where_it_is_aligned(make_case):
    align = PREPARE.model_copy(update={"harmonization": "spectrum-align", "pet_resolution": "align"})
    (case,) = discover_cases(make_case())
    assert check_case(case, PREPARE, pictures=False).pet_row is None
    checked = check_case(case, align, pictures=False)
    assert checked.pet_row is not None
    rows = [
        replace(checked, overview=replace(checked.overview, center=center), pet_row=pet_site(mm2, count=1))
        for center, mm2 in (("SHARP", 5.0), ("COARSE", 12.0))
        for _ in range(9)
    ]
    target, other = check_resolution([*rows, replace(checked, pet_row=None)])
    assert (target.severity, target.code, target.case_id) == ("info", "pet-resolution", "cohort")
    assert "COARSE (n = 9)" in target.message
    assert "SHARP (n = 9)" in other.message
    assert "blurred by" in other.message
    assert check_resolution([replace(checked, pet_row=None)]) == []
