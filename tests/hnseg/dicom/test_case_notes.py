"""What a user has to know about a case is in its record and in what is printed."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest

from hnseg.dicom.case_record import list_notes
from hnseg.dicom.convert import convert_dicom
from hnseg.dicom.options import DicomOptions
from hnseg.dicom.pair_studies import SeriesChoices
from hnseg.dicom.tree_record import why_no_mask
from tests.facts import names_all
from tests.hnseg.dicom import phantoms, studies
from tests.hnseg.dicom.damages import move_contours, truncate_contours


def test_a_pet_that_covers_part_of_the_ct_is_said(tmp_path):
    """6 of 9 slices: two thirds."""
    studies.make_study(tmp_path / "in", structures=(), pet={"shape": (6, 12, 10)})
    (state,) = convert_dicom(tmp_path / "in", tmp_path / "out").states
    assert state.record["pet"]["share_of_ct"] == pytest.approx(2 / 3, abs=1e-3)
    assert [note for note in list_notes(state.record) if "67%" in note]


def test_a_pet_that_covers_the_ct_needs_no_note(tmp_path):
    studies.make_study(tmp_path / "in", structures=())
    (state,) = convert_dicom(tmp_path / "in", tmp_path / "out").states
    assert (state.record["pet"]["share_of_ct"], list_notes(state.record)) == (1.0, [])
    assert why_no_mask(state, convert_dicom(tmp_path / "in", tmp_path / "out").plans[0]) == "there are no structures"


def test_a_truncated_end_slice_costs_the_case_and_an_empty_file_is_noted(tmp_path):
    """A volume is not made a slice shorter; what may have been a slice is a note, for which the case is made again."""
    images = studies.make_study(tmp_path / "in", structures=())["ct"]
    top = max(images, key=lambda image: float(image.ImagePositionPatient[2]))
    (path,) = [p for p in (tmp_path / "in" / "ct").iterdir() if top.SOPInstanceUID.encode() in p.read_bytes()]
    content = path.read_bytes()
    path.unlink()
    convert_dicom(tmp_path / "in", tmp_path / "out")
    path.write_bytes(content[:-40])
    (state,) = convert_dicom(tmp_path / "in", tmp_path / "out").states
    assert names_all(state.problem, "CT series 1", 1, studies.SHAPE[0], "PixelData")
    path.write_bytes(b"")
    (state,) = convert_dicom(tmp_path / "in", tmp_path / "out").states
    assert (state.state, state.changed) == ("done", ("its DICOM files",))
    assert state.record["ct"]["grid"]["size"][2] == studies.SHAPE[0] - 1
    assert [note for note in list_notes(state.record) if note.startswith("ct: ") and names_all(note, "damaged", 1)]


@pytest.mark.parametrize("options", [DicomOptions(), DicomOptions(pet_only=True)])
@pytest.mark.parametrize("damage", [truncate_contours, move_contours])
def test_images_are_written_without_structures_that_are_refused_where_that_is_asked_for(tmp_path, damage, options):
    damage(tmp_path / "in", studies.make_study(tmp_path / "in"))
    if options.pet_only:
        shutil.rmtree(tmp_path / "in" / "ct")
    (state,) = convert_dicom(tmp_path / "in", tmp_path / "out", options).states
    number = 2 if options.pet_only else 3
    assert names_all(state.problem, f"RTSTRUCT series {number}", f"--leave-out-series {number}")
    choices = SeriesChoices(left_out=(number,))
    report = convert_dicom(tmp_path / "in", tmp_path / "out", replace(options, choices=choices))
    (state,) = report.states
    assert (state.state, state.record["label"], "ct" in state.record) == ("done", None, not options.pet_only)
    assert names_all(why_no_mask(state, report.plans[0]), f"RTSTRUCT series {number}", "left out")
    assert report.damaged_series == ()


def test_a_damaged_series_beside_a_usable_one_is_named(tmp_path):
    study = {"shape": studies.SHAPE, "study": "study", "patient": "P-study"}
    studies.make_study(tmp_path / "in", structures=())
    phantoms.make_ct(tmp_path / "in" / "other", series="other", missing=(4,), spacing_mm=studies.CT_MM, **study)
    report = convert_dicom(tmp_path / "in", tmp_path / "out")
    assert report.states[0].state == "done"
    assert names_all(report.damaged_series[0], "CT series 2", "ImagePositionPatient")


def test_a_pet_with_fewer_slices_than_it_states_is_noted(tmp_path):
    studies.make_study(tmp_path / "in", structures=(), pet={"tags": {"NumberOfSlices": 11}})
    (state,) = convert_dicom(tmp_path / "in", tmp_path / "out").states
    assert [note for note in list_notes(state.record) if names_all(note, "NumberOfSlices", 11, studies.SHAPE[0])]


def test_suvmax_of_a_lesion_is_that_of_the_pet(tmp_path):
    """One hot voxel of the PET at the center of both images, within the contour."""
    values = np.full(studies.SHAPE, 1000.0)
    values[4, 6, 5] = 5 / studies.FACTOR
    values[0, 0, 0] = 20 / studies.FACTOR  # outside
    studies.make_study(tmp_path / "in", pet={"values": values, "slopes": 10.0})
    (state,) = convert_dicom(tmp_path / "in", tmp_path / "out").states
    label = state.record["label"]
    assert (label["gtvp_suv_max"], label["gtvn_suv_max"]) == (pytest.approx(5, abs=0.01), None)
    assert state.record["pet"]["suv_max"] == pytest.approx(20, abs=0.01)


def test_an_implausible_suv_is_said(tmp_path):
    """Bq/ml in a file that says that it is SUV."""
    studies.make_study(
        tmp_path / "in", structures=(), pet={"tags": {"Units": "GML"}, "slopes": 100.0, "intercept": 3e4}
    )
    (state,) = convert_dicom(tmp_path / "in", tmp_path / "out").states
    assert [note for note in list_notes(state.record) if "largest SUV" in note]


def test_structures_of_another_frame_and_studies_with_the_same_images_are_named(tmp_path):
    for name in ("a", "b"):
        written = studies.make_study(tmp_path / "in" / name, name, structures=())
        for image in written["ct"]:
            image.FrameOfReferenceUID = phantoms.uid("elsewhere")
        studies.write_contours(tmp_path / "in" / name / "rt", written["ct"], ["GTVp"])
    report = convert_dicom(tmp_path / "in", tmp_path / "out")
    reasons = [why_no_mask(state, plan) for state, plan in zip(report.states, report.plans, strict=True)]
    assert ["FrameOfReferenceUID" in (reason or "") for reason in reasons] == [True, True]
    assert [["case-001" in note for note in state.notes] for state in report.states] == [[], [True]]


def test_a_study_without_a_case_id_is_named_by_a_series(tmp_path):
    studies.make_study(tmp_path / "in", structures=())
    (tmp_path / "ids.csv").write_text("id,patient_id\nA-1,nobody\n")
    (failure,) = convert_dicom(tmp_path / "in", tmp_path / "out", DicomOptions(ids=tmp_path / "ids.csv")).failures
    assert "CT series 1" in str(failure)
