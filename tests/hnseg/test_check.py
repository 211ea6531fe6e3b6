"""Check: good cases pass, each trap is named with its case and file, and one bad case never stops the rest."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hnseg.check import check_cohort
from hnseg.cohort import load_check
from hnseg.config import Config
from hnseg.errors import CohortError
from hnseg.geometry import Grid
from hnseg.phantom import DEFAULT_CENTRES, generate_cohort

PREPARE = Config.from_preset("demo").prepare


def test_a_good_cohort_has_no_findings(small_cohort, tmp_path):
    result = check_cohort(small_cohort, PREPARE, work=tmp_path)
    assert result.findings == ()
    assert len(result.cases) == 8
    assert all(case.head_found and case.label for case in result.cases)
    assert {case.centre for case in result.cases} == {centre.name for centre in DEFAULT_CENTRES[:2]}
    assert load_check(tmp_path) == result


@pytest.mark.parametrize(
    ("trap", "severity", "message", "file"),
    [
        ("disjoint-boxes", "error", "do not overlap", "__PT"),
        ("wrong-label-value", "error", "label value 7 found; allowed are 0 background, 1 GTVp, 2 GTVn", "-001.nii"),
        ("missing-pet", "error", "does not exist", "__PT"),
        ("unreadable-ct", "error", "not a readable image", "__CT"),
        ("empty-label", "warning", "neither GTVp nor GTVn", "-001.nii"),
        ("flipped-direction", "warning", "flipped", "__CT"),
        ("oblique-direction", "warning", "oblique", "__CT"),
    ],
)
def test_a_trap_is_named_and_the_other_case_goes_on(tmp_path, trap, severity, message, file):
    root = tmp_path / "cohort"
    generate_cohort(root, cases_per_centre=2, centres=DEFAULT_CENTRES[:1], pixel_mm=4.0, traps=[trap])
    result = check_cohort(root, PREPARE, work=tmp_path / "work")
    bad = f"{DEFAULT_CENTRES[0].name}-001"
    about = [finding for finding in result.findings if message in finding.message]
    assert about, [str(finding) for finding in result.findings]
    assert {(finding.case_id, finding.severity) for finding in about} == {(bad, severity)}
    assert file in str(about[0].path)
    used = {case.id for case in result.cases}
    assert used == ({f"{DEFAULT_CENTRES[0].name}-002"} if severity == "error" else used | {bad})
    assert len(json.loads((tmp_path / "work" / "check.json").read_text())["findings"]) == len(result.findings)


def test_bqml_is_converted_by_the_cohorts_table_and_refused_without_it(tmp_path):
    root = tmp_path / "cohort"
    generate_cohort(root, cases_per_centre=2, centres=DEFAULT_CENTRES[:1], pixel_mm=4.0, traps=["pet-bqml"])
    converted, other = check_cohort(root, PREPARE, work=tmp_path / "work").cases
    assert (converted.pet_unit, other.pet_unit, other.suv_factor) == ("Bq/ml", "SUV", None)
    assert load_check(tmp_path / "work").cases[0].as_case().suv_factor == converted.suv_factor
    assert converted.head_found
    next(root.rglob("suv_conversion_tags.csv")).unlink()
    (error,) = check_cohort(root, PREPARE).errors
    assert (error.case_id, "looks like Bq/ml, not SUV" in error.message) == (converted.id, True)


def test_flipped_and_oblique_heads_are_found_where_the_straight_one_is(tmp_path):
    boxes = {}
    for trap in (None, "flipped-direction", "oblique-direction"):
        root = tmp_path / str(trap)
        generate_cohort(
            root, cases_per_centre=1, centres=DEFAULT_CENTRES[:1], pixel_mm=4.0, traps=[trap] if trap else []
        )
        (case,) = check_cohort(root, PREPARE).cases
        boxes[trap] = (case.head_found, case.in_view)
    assert all(found for found, _ in boxes.values()), boxes


def test_a_label_on_another_grid_is_refused(make_case):
    label = np.ones((10, 10, 10), np.uint8)
    root = make_case(label=(label, Grid((10, 10, 10), (4, 4, 5), (-80, -70, 10))))
    with pytest.raises(CohortError, match=r"ONE-001: the label is not on the CT grid: size \(10, 10, 10\)"):
        check_cohort(root, PREPARE)


def test_a_ct_that_is_not_in_hu_is_refused(make_case):
    ct = np.full((10, 10, 10), 1024, np.int16)
    grid = Grid((10, 10, 10), (10, 10, 10), (-50, -50, 20))
    with pytest.raises(CohortError, match="the CT is 1024 everywhere"):
        check_cohort(make_case(ct=(ct, grid)), PREPARE)


def test_a_constant_pet_is_refused(make_case):
    pet = np.full((10, 10, 10), 2.5, np.float32)
    grid = Grid((10, 10, 10), (10, 10, 10), (-50, -50, 20))
    with pytest.raises(CohortError, match=r"the PET is 2\.5 everywhere"):
        check_cohort(make_case(pet=(pet, grid)), PREPARE)


def test_a_scan_without_a_head_is_used_with_a_warning(make_case):
    result = check_cohort(make_case(), PREPARE)
    assert [finding.code for finding in result.findings] == ["no-head"]
    assert not result.cases[0].head_found


def test_a_case_without_a_label_is_used_with_a_warning(make_case):
    root = make_case()
    (root / "Task 1" / "ONE-001" / "ONE-001.nii.gz").unlink()
    result = check_cohort(root, PREPARE)
    assert "no-label" in [finding.code for finding in result.findings]
    assert result.cases[0].label is None


def test_nothing_is_written_when_no_case_can_be_used(make_case, tmp_path):
    root = make_case()
    (root / "Task 1" / "ONE-001" / "ONE-001__PT.nii.gz").unlink()
    with pytest.raises(CohortError, match=r"no case below .* can be used:\n  ONE-001: the file does not exist"):
        check_cohort(root, PREPARE, work=tmp_path / "work")
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize(
    ("name", "message"), [("nowhere", "does not exist"), ("empty", "no case found"), ("file", "is not a folder")]
)
def test_a_root_that_cannot_be_used(tmp_path, name, message):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(CohortError, match=message):
        check_cohort(tmp_path / name, PREPARE)
