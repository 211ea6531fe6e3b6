"""Studies become a cohort: values, positions, masks, records, and what is kept from run to run."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from hnseg.cohort.cases import discover_cases
from hnseg.cohort.suv import read_suv
from hnseg.dicom import make_case
from hnseg.dicom.case_files import CaseFiles, smallest_exact
from hnseg.dicom.convert import DicomReport, convert_dicom
from hnseg.dicom.options import DicomOptions, LoadOptions
from hnseg.dicom.pair_studies import SeriesChoices
from hnseg.dicom.structures.structure_names import NamePattern
from hnseg.errors import CohortError, OptionError, OutputPathError
from hnseg.images.image_io import read_image, write_image
from tests.facts import raises_naming
from tests.hnseg.dicom import phantoms, studies


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    """Two studies: one with a mask, one without."""
    root = tmp_path_factory.mktemp("dicom")
    studies.make_study(root / "a", "a", structures=("GTVp 1", "GTVn", "Brainstem"))
    studies.make_study(root / "b", "b", structures=("Brainstem",))
    (root / "notes.txt").write_text("not DICOM\n")
    return root


@pytest.fixture(scope="module")
def converted(tree, tmp_path_factory) -> tuple[Path, DicomReport]:
    out = tmp_path_factory.mktemp("out") / "cohort"
    return out, convert_dicom(tree, out)


def read_json(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def states(report: DicomReport) -> dict[str | None, str]:
    return {state.case_id: state.state for state in report.states}


def test_a_study_becomes_a_case(converted):
    out, report = converted
    assert states(report) == {"case-001": "done", "case-002": "done"}
    home = out / "Task 1" / "case-001"
    assert {path.name for path in home.iterdir()} == {
        *("case-001__CT.nii.gz", "case-001__PT.nii.gz", "case-001.nii.gz", "case-001.json")
    }
    ct, grid = read_image(home / "case-001__CT.nii.gz", "x", dtype=None)
    assert ct.dtype == np.int16
    np.testing.assert_array_equal(ct, phantoms.pattern(studies.SHAPE) - 500)
    assert (grid.spacing_mm, grid.origin_mm) == (studies.CT_MM, pytest.approx((-18.0, -22.0, -12.0)))
    pet, _ = read_image(home / "case-001__PT.nii.gz", "x", dtype=None)
    assert pet.dtype == np.float32
    np.testing.assert_allclose(pet, 10 * phantoms.pattern(studies.SHAPE) * studies.FACTOR, atol=0.5 * studies.FACTOR)
    label, label_grid = read_image(home / "case-001.nii.gz", "x", dtype=None)
    assert (label.dtype, label_grid) == (np.uint8, grid)
    expected = np.zeros(studies.SHAPE, np.uint8)
    z, y, x = studies.LESION
    expected[z, y.start + 2 : y.stop + 2, x] = 2
    expected[z, y, x] = 1  # where both are, GTVp counts
    np.testing.assert_array_equal(label, expected)


def test_the_record_of_a_case_says_how_it_was_made(converted):
    record = read_json(converted[0] / "Task 1" / "case-001" / "case-001.json")
    pet, label = record["pet"], record["label"]
    assert (record["ct"]["unit"], record["ct"]["dtype"]) == ("HU", "int16")
    assert (pet["unit"], pet["suv_kind"], pet["is_converted"]) == ("SUV", "bw", True)
    assert pet["suv_factor"] == pytest.approx(studies.FACTOR, rel=1e-6)
    assert pet["formula"]
    assert pet["tags"]["PatientWeight"] == 70
    voxel_ml = np.prod(studies.CT_MM) / 1000
    assert (label["gtvp_ml"], label["gtvn_ml"]) == (pytest.approx(60 * voxel_ml), pytest.approx(30 * voxel_ml))
    assert [(row["structure"], row["label"]) for row in label["structures"]] == [(1, 1), (2, 2)]
    assert record["versions"]["pydicom"]
    assert "series_uids" not in record


def test_the_record_of_the_tree_accounts_for_every_series(converted):
    record = read_json(converted[0] / "dicom.json")
    uses = [(row["series"], row["case"], row["used_as"]) for row in record["series"]]
    assert uses == [
        *((1, "case-001", "ct"), (2, "case-001", "pet"), (3, "case-001", "structures")),
        *((4, "case-002", "ct"), (5, "case-002", "pet"), (6, None, None)),
    ]
    assert all(row["why"] for row in record["series"])
    assert record["left_out_files"] == {"no DICOM": 1}
    assert (converted[0] / "Task 1" / "HECKTOR_2025_Training_Task_1.csv").read_text().splitlines()[1:] == [
        *("case-001,,,,,,,", "case-002,,,,,,,")
    ]


def test_the_cohort_is_read_in_suv_and_never_converted_again(converted):
    first, second = discover_cases(converted[0])
    assert (first.label is None, second.label is None) == (False, True)
    pet = read_suv(replace(first, suv_factor=studies.FACTOR))
    assert (pet.stored, pet.factor) == ("SUV", 1.0)


@pytest.mark.parametrize("layout", ["hecktor", "nnunet"])
def test_values_that_look_like_bqml_are_not_converted_where_the_record_says_suv(tmp_path, layout):
    values = 10 * phantoms.pattern(studies.SHAPE)
    values[4, 6, 5] = 3000 / studies.FACTOR  # a bladder of SUV 3000
    studies.make_study(tmp_path / "in", structures=(), pet={"values": values, "slopes": 400.0})
    convert_dicom(tmp_path / "in", tmp_path / "out", DicomOptions(layout=layout))
    (case,) = discover_cases(tmp_path / "out")
    pet = read_suv(replace(case, suv_factor=studies.FACTOR))
    assert (pet.stored, pet.factor) == ("SUV", 1.0)
    assert pet.suv.max() > 1000
    array, grid = read_image(case.pet, case.id)
    write_image(case.pet, array * np.float32(2), grid)  # no longer the file of the record
    assert read_suv(replace(case, suv_factor=studies.FACTOR)).stored == "Bq/ml"


def test_what_is_up_to_date_is_kept(tree, converted, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(converted[0], out)
    assert states(convert_dicom(tree, out)) == {"case-001": "kept", "case-002": "kept"}
    (out / "Task 1" / "case-001" / "case-001__CT.nii.gz").unlink()
    named = DicomOptions(load=LoadOptions(patterns=(NamePattern("brain*", 2),)))
    assert states(convert_dicom(tree, out)) == {"case-001": "done", "case-002": "kept"}
    assert states(convert_dicom(tree, out, named)) == {"case-001": "done", "case-002": "done"}
    assert (out / "Task 1" / "case-002" / "case-002.nii.gz").is_file()
    assert states(convert_dicom(tree, out)) == {"case-001": "done", "case-002": "done"}
    assert not (out / "Task 1" / "case-002" / "case-002.nii.gz").exists()


def test_an_edited_mask_is_not_replaced(tree, converted, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(converted[0], out)
    mask = out / "Task 1" / "case-001" / "case-001.nii.gz"
    image = sitk.ReadImage(mask)
    image[0, 0, 0] = 2
    sitk.WriteImage(image, mask)
    before = mask.read_bytes()
    (failure,) = convert_dicom(tree, out).failures
    assert (failure.case_id, "case-001.nii.gz" in failure.reason) == ("case-001", True)
    assert mask.read_bytes() == before


def test_a_case_that_a_killed_process_left_is_made_again(tree, converted, tmp_path, monkeypatch):
    out = tmp_path / "out"
    shutil.copytree(converted[0], out)
    options = DicomOptions(keep_uids=True)

    def stop(files: CaseFiles, images: object) -> None:
        (files.ct.with_name(".writing-1")).write_bytes(b"half")
        files.label.unlink(missing_ok=True)
        raise KeyboardInterrupt

    monkeypatch.setattr(make_case, "write_images", stop)
    with pytest.raises(KeyboardInterrupt):
        convert_dicom(tree, out, options)
    monkeypatch.undo()
    assert states(convert_dicom(tree, out, options)) == {"case-001": "done", "case-002": "done"}
    assert not list(out.rglob(".writing-*"))


def test_numbers_stay_when_studies_are_added(tree, converted, tmp_path):
    shutil.copytree(converted[0], tmp_path / "out")
    shutil.copytree(tree, tmp_path / "in")
    studies.make_study(tmp_path / "in" / "A", "new", structures=())  # first in the walk
    report = convert_dicom(tmp_path / "in", tmp_path / "out")
    assert [(state.study, state.case_id, state.state) for state in report.states] == [
        *((1, "case-003", "done"), (2, "case-001", "kept"), (3, "case-002", "kept"))
    ]
    assert report.other_cases == ()
    shutil.rmtree(tmp_path / "in" / "a")
    report = convert_dicom(tmp_path / "in", tmp_path / "out")
    assert (states(report), report.other_cases) == ({"case-003": "kept", "case-002": "kept"}, ("case-001",))


def test_a_corrected_header_makes_the_case_again_under_its_id(tmp_path):
    """Weight 70 → 84 kg in the same files: a factor of 1.2."""
    home = tmp_path / "in" / "a"
    studies.make_study(home, "a", structures=())
    before = convert_dicom(tmp_path / "in", tmp_path / "out").states[0].record["pet"]["suv_factor"]
    shutil.rmtree(home)
    studies.make_study(home, "a", structures=(), pet={"tags": {"PatientWeight": "84"}})
    report = convert_dicom(tmp_path / "in", tmp_path / "out")
    assert states(report) == {"case-001": "done"}
    assert report.states[0].record["pet"]["suv_factor"] == pytest.approx(1.2 * before, rel=1e-6)
    assert list(read_json(tmp_path / "out" / "dicom.json")["known_cases"].values()) == ["case-001"]


def test_processes_write_the_same(tree, converted, tmp_path):
    convert_dicom(tree, tmp_path / "out", jobs=2)
    for path in sorted(converted[0].rglob("*.nii.gz")):
        assert (tmp_path / "out" / path.relative_to(converted[0])).read_bytes() == path.read_bytes()


def test_the_layout_of_nnunet_has_one_grid_for_both_channels(tree, tmp_path):
    report = convert_dicom(tree, tmp_path / "out", DicomOptions(layout="nnunet"))
    assert states(report) == {"case-001": "done", "case-002": "done"}
    first, second = discover_cases(tmp_path / "out")
    assert (first.ct.parent.name, second.ct.parent.name, second.label) == ("imagesTr", "imagesTs", None)
    for case in (first, second):
        (_, ct_grid), (pet, pet_grid) = read_image(case.ct, "x"), read_image(case.pet, "x")
        assert ct_grid == pet_grid
        assert pet.max() > 0.5
    content = read_json(tmp_path / "out" / "dataset.json")
    assert (content["numTraining"], content["labels"]) == (1, {"background": 0, "GTVp": 1, "GTVn": 2})
    assert states(convert_dicom(tree, tmp_path / "out", DicomOptions(layout="nnunet"))) == dict.fromkeys(
        ("case-001", "case-002"), "kept"
    )


def test_a_table_names_cases_by_patient_and_folder(tree, tmp_path):
    (tmp_path / "ids.csv").write_text("id,patient_id,folder\nCHUM-001,P-a,\nCHUM-002,,b\n")
    options = DicomOptions(ids=tmp_path / "ids.csv", keep_uids=True)
    assert states(convert_dicom(tree, tmp_path / "out", options)) == {"CHUM-001": "done", "CHUM-002": "done"}
    record = read_json(tmp_path / "out" / "Task 1" / "CHUM-001" / "CHUM-001.json")
    assert record["series_uids"] == [phantoms.uid("series", "a", "ct"), phantoms.uid("series", "a", "pet"),
                                     phantoms.uid(str(tree / "a" / "rt" / "contours"), 2)]  # fmt: skip
    (tmp_path / "ids.csv").write_text("id,patient_id\nCHUM-007,P-a\nCHUM-001,P-b\nCHUM-009,P-c\n")
    report = convert_dicom(tree, tmp_path / "out", options)
    assert states(report) == {None: "failed"}
    assert [("CHUM-001" in f.reason, "CHUM-002" in f.reason) for f in report.failures] == [(True, False), (False, True)]
    assert len(report.unused_rows) == 1
    assert "line 4" in report.unused_rows[0]


def test_a_table_says_what_a_header_lacks_and_the_kind_of_suv_is_chosen(tmp_path):
    """By PatientID, then by case ID; ideal weight of a woman of 160 cm: 45.5 + 0.91 (160 − 152)."""
    header = {"PatientWeight": None, "PatientSex": "F", "PatientSize": "1.60"}
    studies.make_study(tmp_path / "in", "a", structures=(), pet={"tags": header})
    factors = []
    for line, kind in (("P-a,50", "bw"), ("case-001,60", "bw"), ("case-001,60", "ibw")):
        (tmp_path / "tags.csv").write_text(f"pid,patient_weight_kg\n{line}\n")
        report = convert_dicom(
            tmp_path / "in", tmp_path / f"out-{kind}", DicomOptions(load=LoadOptions(kind), tags=tmp_path / "tags.csv")
        )
        assert (states(report), report.states[0].record["pet"]["suv_kind"]) == ({"case-001": "done"}, kind)
        factors.append(report.states[0].record["pet"]["suv_factor"])
    assert factors == pytest.approx([studies.FACTOR * kg / 70 for kg in (50, 60, 45.5 + 0.91 * 8)], rel=1e-6)
    assert "P-a" not in (tmp_path / "out-bw" / "dicom.json").read_text()
    (failure,) = convert_dicom(tmp_path / "in", tmp_path / "out-bw").failures  # without the table
    assert "PatientWeight" in failure.reason
    assert "earlier call" in failure.reason
    with raises_naming(OutputPathError, "bw", "case-001", "lbm"):
        convert_dicom(tmp_path / "in", tmp_path / "out-bw", DicomOptions(load=LoadOptions("lbm")))


def test_an_error_that_is_not_foreseen_shows_no_text_of_its_own(tree, tmp_path, monkeypatch):
    def fail(*_: object) -> None:
        raise ValueError("Smith^John")

    monkeypatch.setattr(make_case, "load_case", fail)
    failures = convert_dicom(tree, tmp_path / "out").failures
    assert len(failures) == 2
    assert all("ValueError" in f.reason and "Smith" not in f.reason for f in failures)
    assert "Smith" not in (tmp_path / "out" / "dicom.json").read_text()


def test_choices_settle_what_is_ambiguous(tmp_path):
    written = studies.make_study(tmp_path / "in", "a")
    studies.write_contours(tmp_path / "in" / "rt2" / "again", written["ct"], ["GTVn", "GTVp"])
    phantoms.make_pet(tmp_path / "in" / "pet2", shape=studies.SHAPE, spacing_mm=studies.PET_MM, study="a",
                      patient="P-a", series="second")  # fmt: skip
    (failure,) = convert_dicom(tmp_path / "in", tmp_path / "out").failures
    assert "--pet-series 2 or --pet-series 3" in failure.reason
    (failure,) = convert_dicom(
        tmp_path / "in", tmp_path / "out", DicomOptions(choices=SeriesChoices(pet=(3,)))
    ).failures
    assert "--structure-series 4 or --structure-series 5" in failure.reason
    for chosen in ((5,), (4, 5)):
        choices = SeriesChoices(pet=(3,), structures=chosen)
        report = convert_dicom(tmp_path / "in", tmp_path / "out", DicomOptions(choices=choices))
        assert (report.failures, report.states[0].record["label"]["files"]) == ((), [1, 2][: len(chosen)])
    with pytest.raises(OptionError):
        convert_dicom(tmp_path / "in", tmp_path / "out", DicomOptions(choices=SeriesChoices(ct=(9,))))


def test_a_pet_alone_is_written_where_that_is_asked_for(tmp_path):
    written = studies.make_study(tmp_path / "in", structures=())
    shutil.rmtree(tmp_path / "in" / "ct")
    studies.write_contours(tmp_path / "in" / "rt", written["pet"], ["GTVp"])
    (failure,) = convert_dicom(tmp_path / "in", tmp_path / "out").failures
    assert "--pet-only" in failure.reason
    assert convert_dicom(tmp_path / "in", tmp_path / "out", DicomOptions(pet_only=True)).failures == ()
    label, grid = read_image(tmp_path / "out" / "Task 1" / "case-001" / "case-001.nii.gz", "x")
    assert (grid.spacing_mm, int(label.sum())) == (studies.PET_MM, 60)
    with pytest.raises(OptionError):
        convert_dicom(tmp_path / "in", tmp_path / "other", DicomOptions(pet_only=True, layout="nnunet"))


def test_folders_that_cannot_be_used_are_refused(tree, converted, tmp_path):
    with raises_naming(OutputPathError, tree / "out", tree):
        convert_dicom(tree, tree / "out")
    with raises_naming(OutputPathError, tree.parent, tree):
        convert_dicom(tree, tree.parent)
    with raises_naming(CohortError, tmp_path / "none"):
        convert_dicom(tmp_path / "none", tmp_path / "out")
    with raises_naming(OutputPathError, converted[0], "hecktor", "nnunet"):
        convert_dicom(tree, converted[0], DicomOptions(layout="nnunet"))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    with raises_naming(OutputPathError, tmp_path / "full"):
        convert_dicom(tree, tmp_path / "full")
    with raises_naming(OutputPathError, tmp_path / "full" / "thesis.txt"):
        convert_dicom(tree, tmp_path / "full" / "thesis.txt")
    with raises_naming(CohortError, tmp_path / "full", 1):
        convert_dicom(tmp_path / "full", tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full"]


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([-1024, 3071], np.int16),
        ([-32768, 32767], np.int16),
        ([-1024, 40000], np.int32),
        ([-1024, 0.5], np.float32),
        ([0, np.nan], np.float32),
        ([0, 2.0**25], np.float32),
    ],
)
def test_a_ct_is_stored_exactly_in_its_smallest_type(values, dtype):
    array = np.array([[values]], np.float32)
    stored = smallest_exact(array)
    assert stored.dtype == dtype
    np.testing.assert_array_equal(stored.astype(np.float32), array)
