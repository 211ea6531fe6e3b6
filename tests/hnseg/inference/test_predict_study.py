"""One study in DICOM to a DICOM result: the voxels of the pair of files that it converts to."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from pydicom import dcmread
from typer.testing import CliRunner

from hnseg.cli.commands import app
from hnseg.cohort.cases import Case
from hnseg.cohort.checked_cohort import load_check
from hnseg.cohort.labels import read_label
from hnseg.cohort.suv import read_suv
from hnseg.dicom.convert import convert_dicom
from hnseg.dicom.pair_studies import SeriesChoices
from hnseg.dicom.structures.label_structures import NamedMask, label_masks, label_structures
from hnseg.dicom.structures.read_rtstruct import read_structures
from hnseg.dicom.structures.read_seg import read_segments
from hnseg.errors import CohortError, DicomError, OptionError, OutputPathError
from hnseg.images.image_io import read_grid, read_image, write_image
from hnseg.inference.predict_case import InferenceOptions
from hnseg.inference.predict_cohort import predict_pair
from hnseg.inference.predict_study import StudyReading, predict_study
from hnseg.models.checkpoint import load_checkpoint, save_checkpoint
from tests.facts import names_all
from tests.hnseg.dicom import phantoms, studies
from tests.hnseg.dicom.damages import truncate_contours

CPU = InferenceOptions("cpu")


@pytest.fixture(scope="module")
def sensitive_run(trained_run, tmp_path_factory):
    """The tiny run, which has learned little, with models that see lesions of both classes in many places."""
    work = tmp_path_factory.mktemp("sensitive") / "work"
    shutil.copytree(trained_run, work)
    for path in (work / "models").glob("fold_*/best.pt"):
        content = load_checkpoint(path)
        for name in [name for name in content["network"] if name.endswith("head.bias")]:
            content["network"][name] += torch.tensor([-2.0, 0.0, 1.5])
        save_checkpoint(path, content)
    return work


@pytest.fixture(scope="module")
def study(trained_run, tmp_path_factory):
    """A case of the small cohort as a study in DICOM, PET in Bq/ml."""
    folder = tmp_path_factory.mktemp("dicom") / "study"
    case = load_check(trained_run).cases[0].as_case()
    for kind, path, make in (("ct", case.ct, phantoms.make_ct), ("pet", case.pet, phantoms.make_pet)):
        values, grid = read_image(path, case.id)
        more = {} if kind == "ct" else {"slopes": 1.0}
        make(
            folder / kind,
            values=values / (1.0 if kind == "ct" else studies.FACTOR),
            shape=grid.shape,
            spacing_mm=grid.spacing_mm,
            center_mm=tuple(grid.to_physical((np.array(grid.size) - 1) / 2)),
            **more,
        )
    return folder


@pytest.fixture(scope="module")
def expected(sensitive_run, study, tmp_path_factory):
    """The mask of the same study, converted to files, predicted as a pair; its grid."""
    root = tmp_path_factory.mktemp("converted")
    assert convert_dicom(study, root / "cohort").failures == ()
    [ct] = (root / "cohort").glob("Task 1/*/*__CT.nii.gz")
    pet = ct.with_name(ct.name.replace("__CT", "__PT"))
    predict_pair(sensitive_run, ct, pet, root / "mask.nii.gz", options=CPU)
    mask, _ = read_label(root / "mask.nii.gz", "pair")
    assert set(np.unique(mask)) == {0, 1, 2}
    return mask, read_grid(ct, "pair")


def read_back(path, form, grid):
    """A result as a label, by this package's readers."""
    if form == "rtstruct":
        return label_structures(read_structures(path), grid).label
    masks = [NamedMask(segment.number, segment.name, segment.mask) for segment in read_segments(path, grid)]
    return label_masks(masks, grid).label


@pytest.fixture
def quick_pair(expected, monkeypatch):
    """The expected mask in place of another prediction of the same pair."""

    def copy_expected(work, ct, pet, out, *, options, center=""):
        write_image(out, *expected)
        return out

    monkeypatch.setattr("hnseg.inference.predict_study.predict_pair", copy_expected)


def test_the_voxels_are_those_of_the_pair_of_files(sensitive_run, study, expected, tmp_path):
    mask, grid = expected
    form = "binary"
    target = tmp_path / "new" / "result.dcm"
    record = predict_study(sensitive_run, study, target, form=form, options=CPU)
    np.testing.assert_array_equal(read_back(target, form, grid), mask)
    assert sorted(path.name for path in target.parent.iterdir()) == ["result.dcm", "result.json"]

    source, made = dcmread(next((study / "ct").iterdir())), dcmread(target)
    assert (made.PatientID, made.StudyInstanceUID) == (source.PatientID, source.StudyInstanceUID)
    text = record.read_text(encoding="utf-8")
    content = json.loads(text)
    assert content["form"] == form
    assert content["pet"]["suv_factor"] == pytest.approx(studies.FACTOR, rel=1e-6)
    assert content["label"]["gtvp_ml"] == pytest.approx((mask == 1).sum() * grid.voxel_ml, abs=2e-3)
    assert "not for clinical use" in content["notice"]
    for keyword in ("PatientID", "PatientName", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
        assert str(source[keyword].value) not in text
    assert str(tmp_path) not in text


def test_what_is_there_is_never_replaced_and_inputs_are_left_alone(trained_run, study, tmp_path):
    there = tmp_path / "there.dcm"
    there.write_text("mine")
    beside = tmp_path / "beside.json"
    beside.write_text("mine")
    for target in (
        there,
        beside.with_suffix(".dcm"),
        tmp_path / "mask.nii.gz",
        study / "seg.dcm",
        trained_run / "seg.dcm",
    ):
        with pytest.raises(OutputPathError):
            predict_study(trained_run, study, target, options=CPU)
    assert there.read_text() == beside.read_text() == "mine"


def test_what_cannot_be_predicted_is_refused_before_the_work(trained_run, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    studies.make_study(one)
    studies.make_study(two, "a")
    studies.make_study(two / "more", "b")
    tilted, ct_only = tmp_path / "tilted", tmp_path / "ct only"
    studies.make_study(tilted, ct={"tilt_deg": 10.0})
    phantoms.make_ct(ct_only)
    pet_only = tmp_path / "pet only"
    phantoms.make_pet(pet_only)
    tags = tmp_path / "tags.csv"
    tags.write_text("pid,bqml_to_suvbw_factor\nOTHER,0.001\n")
    target = tmp_path / "seg.dcm"
    for source, more, error in (
        (two, {}, CohortError),
        (ct_only, {}, CohortError),
        (pet_only, {}, CohortError),
        (tilted, {}, DicomError),
        (one, {"form": "fractional"}, OptionError),
        (one, {"options": InferenceOptions("cpu", disagreement=True)}, OptionError),
        (one, {"center": "NOWHERE"}, OptionError),
        (one, {"reading": StudyReading(tags=tags)}, OptionError),
        (one, {"reading": StudyReading(SeriesChoices(pet=(77,)))}, OptionError),
    ):
        with pytest.raises(error) as caught:
            predict_study(trained_run, source, target, **more)
        if source == tilted:  # a mask in NIfTI is possible
            assert names_all(str(caught.value), "CT series 1", "hnseg dicom", "--mask")
    assert [path for path in tmp_path.iterdir() if path.name.startswith((".", "seg"))] == []


def test_a_pet_that_looks_like_bq_per_ml_is_in_suv(trained_run, tmp_path, monkeypatch):
    suv = np.ones(studies.SHAPE)
    suv[4, 5, 5] = 2000.0
    pet = {"values": suv / studies.FACTOR, "slopes": 0.1 / studies.FACTOR}
    truncate_contours(tmp_path / "study", studies.make_study(tmp_path / "study", pet=pet))  # structures are not read

    def read_only(work, ct, pet, out, *, options, center=""):
        found = read_suv(Case(ct.name.split(".")[0], ct, pet, None, center))
        assert (found.factor, found.suv.max()) == (1.0, pytest.approx(2000.0, rel=1e-2))
        write_image(out, np.zeros(studies.SHAPE, dtype=np.uint8), read_grid(ct, "study"))

    monkeypatch.setattr("hnseg.inference.predict_study.predict_pair", read_only)
    predict_study(trained_run, tmp_path / "study", tmp_path / "seg.dcm", options=CPU)


def test_a_row_of_the_table_is_found_by_the_patient_and_what_it_changed_is_printed(trained_run, tmp_path, monkeypatch):
    """140 kg in place of 70: twice the factor; ideal weight of a woman of 160 cm: 45.5 + 0.91 (160 − 152) kg."""
    studies.make_study(tmp_path / "study", "a", structures=())
    (tmp_path / "tags.csv").write_text("pid,patient_weight_kg,patient_height_m,patient_sex\nP-b,60,,\nP-a,140,1.6,F\n")

    def empty(work, ct, pet, out, *, options, center=""):
        write_image(out, np.zeros(studies.SHAPE, dtype=np.uint8), read_grid(ct, "study"))

    monkeypatch.setattr("hnseg.inference.predict_study.predict_pair", empty)
    for kind, more, weight_kg in (("ibw", ("--suv", "ibw"), 45.5 + 0.91 * 8), ("bw", (), 140)):
        target = tmp_path / f"{kind}.dcm"
        given = ("--dicom", tmp_path / "study", "--out", target, "--tags", tmp_path / "tags.csv", *more)
        result = run(trained_run, *given)
        assert result.exit_code == 0, result.output
        record = json.loads(target.with_suffix(".json").read_text(encoding="utf-8"))
        assert record["pet"]["suv_kind"] == kind
        assert record["pet"]["suv_factor"] == pytest.approx(weight_kg / 70 * studies.FACTOR, rel=1e-6)
    assert record["label"]["gtvp_suv_max"] is None
    assert "  note: pet: " in result.output
    assert "140" in result.output
    assert "P-a" not in result.output


def run(*arguments):
    return CliRunner().invoke(app, ["predict", *map(str, arguments)])


def test_options_that_do_not_apply_are_refused(tmp_path):
    study = ("--dicom", tmp_path / "study")
    for arguments, named in (
        ((tmp_path, *study), "--out"),
        ((tmp_path, tmp_path / "data", *study, "--out", "a.dcm"), "data"),
        ((tmp_path, *study, "--out", "a.dcm", "--ct", "ct.nii.gz"), "--ct"),
        ((tmp_path, *study, "--out", "a.dcm", "--jobs", "2"), "--jobs"),
        ((tmp_path, *study, "--out", "a.dcm", "--disagreement"), "--disagreement"),
        ((tmp_path, "--form", "labelmap"), "--form"),
        ((tmp_path, "--tags", "tags.csv"), "--tags"),
        ((tmp_path, "--dose-in-mbq"), "--dose-in-mbq"),
        ((tmp_path, "--suv", "lbm"), "--suv"),
        ((tmp_path, "--pet-series", "2"), "--pet-series"),
        ((tmp_path, tmp_path / "data", "--out", "masks", "--ct-series", "2"), "--ct-series"),
    ):
        result = run(*arguments)
        assert result.exit_code == 2, arguments
        assert named in result.output


@pytest.mark.usefixtures("quick_pair")
@pytest.mark.parametrize(("form", "modality"), [("labelmap", "SEG"), ("rtstruct", "RTSTRUCT")])
def test_the_command_writes_the_other_forms(sensitive_run, study, expected, tmp_path, form, modality):
    target = tmp_path / "seg.dcm"
    result = run(sensitive_run, "--dicom", study, "--out", target, "--form", form, "--device", "cpu")
    assert result.exit_code == 0, result.output
    np.testing.assert_array_equal(read_back(target, form, expected[1]), expected[0])
    made = dcmread(target)
    assert made.Modality == modality
    assert made.get("SegmentationType", "") == ("LABELMAP" if form == "labelmap" else "")
    assert str(target.with_suffix(".json")) in result.output
