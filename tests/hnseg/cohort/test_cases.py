"""Discovery: three layouts give the same cases; what is unsafe, ambiguous or double is refused."""

from __future__ import annotations

import csv
import json
import shutil

import pytest

from hnseg.cohort.cases import discover_cases
from hnseg.errors import CohortError
from tests.facts import raises_naming


def test_finds_cases_in_order_with_their_centers(make_case):
    for name in ("TWO-010", "ONE-002", "A-B-003"):
        root = make_case(name)
    (root / "Task 1" / "notes").mkdir()
    (root / "Task 1" / ".hidden-001").mkdir()
    (root / "Task 1" / "HECKTOR_2025_Training_Task_1.csv").write_text("PatientID\n")
    cases = discover_cases(root)
    assert [(case.id, case.center) for case in cases] == [("A-B-003", "A-B"), ("ONE-002", "ONE"), ("TWO-010", "TWO")]
    assert discover_cases(root / "Task 1") == cases


def test_a_case_without_pet_is_still_a_case(make_case):
    root = make_case()
    (root / "Task 1" / "ONE-001" / "ONE-001__PT.nii.gz").unlink()
    (case,) = discover_cases(root)
    assert not case.pet.exists()
    assert case.pet.name == "ONE-001__PT.nii.gz"


def as_nnunet(root, target, cropped=""):
    """Lay a cohort out as nnU-Net does; the last case becomes a test case without a label."""
    *training, last = discover_cases(root)
    for case in (*training, last):
        part = "Ts" if case is last else "Tr"
        for name, path in (("_0000", case.ct), ("_0001", case.pet)):
            (target / f"images{part}{cropped}").mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target / f"images{part}{cropped}" / f"{case.id}{name}.nii.gz")
        if case is not last:
            (target / f"labelsTr{cropped}").mkdir(exist_ok=True)
            shutil.copy(case.label, target / f"labelsTr{cropped}" / f"{case.id}.nii.gz")
    return target


@pytest.mark.parametrize("cropped", ["", "_cropped"])
def test_nnunet_folders(make_case, tmp_path, cropped):
    for name in ("ONE-001", "ONE-002", "TWO-001"):
        root = make_case(name)
    nnunet = as_nnunet(root, tmp_path / "Dataset001", cropped)
    cases = discover_cases(nnunet)
    assert [(case.id, case.center, case.label is None) for case in cases] == [
        ("ONE-001", "ONE", False),
        ("ONE-002", "ONE", False),
        ("TWO-001", "TWO", True),
    ]
    assert cases[0].ct.read_bytes() == (root / "Task 1/ONE-001/ONE-001__CT.nii.gz").read_bytes()
    assert cases[0].pet.name == "ONE-001_0001.nii.gz"


def test_nnunet_channels_follow_the_description(make_case, tmp_path):
    make_case("ONE-001")
    nnunet = as_nnunet(make_case("ONE-002"), tmp_path / "set")
    (nnunet / "dataset.json").write_text(json.dumps({"channel_names": {"0": "PET", "1": "CT"}}))
    assert discover_cases(nnunet)[0].ct.name == "ONE-001_0001.nii.gz"
    (nnunet / "dataset.json").write_text(json.dumps({"channel_names": {"0": "T1", "1": "T2"}}))
    with raises_naming(CohortError, "t1, t2", "CT", "PET", path=nnunet / "dataset.json"):
        discover_cases(nnunet)
    (nnunet / "dataset.json").write_text("{")
    with raises_naming(CohortError, "nnU-Net", path=nnunet / "dataset.json") as caught:
        discover_cases(nnunet)
    assert isinstance(caught.value.__cause__, json.JSONDecodeError)


def test_a_label_without_images_is_a_case_with_missing_files(make_case, tmp_path):
    make_case("ONE-001")
    nnunet = as_nnunet(make_case("ONE-002"), tmp_path / "set")
    shutil.copy(nnunet / "labelsTr/ONE-001.nii.gz", nnunet / "labelsTr/ONE-009.nii.gz")
    lost = discover_cases(nnunet)[-1]
    assert (lost.id, lost.ct.exists(), lost.label.exists()) == ("ONE-009", False, True)


def write_table(path, header, *rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


@pytest.mark.parametrize("column", ["Center", "Centre"])
def test_a_table_of_paths(make_case, tmp_path, column):
    root = make_case("ONE-001")
    home = "cohort/Task 1/ONE-001/ONE-001"
    table = write_table(
        tmp_path / "cases.csv",
        ["ID", "CT", "PET", "Label", column, "Age"],
        ["B-2", f"{home}__CT.nii.gz", f"{home}__PT.nii.gz", f"{home}.nii.gz", "Lyon", 60],
        ["B-1", str(root / "Task 1/ONE-001/ONE-001__CT.nii.gz"), "", "", "", 61],
        ["", "", "", "", "", ""],
    )
    (tmp_path / "suv_conversion_tags.csv").write_text("pid,suv_factor\nB-2,0.0003\n")
    first, second = discover_cases(table)
    assert (first.id, first.center, first.pet, first.label, first.suv_factor) == ("B-1", "B", None, None, None)
    assert (second.id, second.center, second.suv_factor) == ("B-2", "Lyon", 0.0003)
    assert first.ct.samefile(second.ct)
    assert second.pet.is_file()
    assert second.label.is_file()


@pytest.mark.parametrize(
    ("header", "rows", "facts"),
    [
        (["name", "ct"], [["A", "a"]], ["cases.csv", "id;", "name, ct;", "id, ct, pet, label, center"]),
        (["id;ct"], [["A;a"]], ["cases.csv", "id and ct;", "id;ct;"]),
        (["id", "ct", "lable"], [["A", "a", "b"]], ["cases.csv", "'lable'", "'label'"]),
        (["id", "ct"], [["../x", "a"]], ["cases.csv, line 2", "'../x'"]),
        (["id", "ct"], [["A", "a"], ["/etc", "a"]], ["cases.csv, line 3", "'/etc'"]),
        (["id", "ct"], [["A-1", ""]], ["cases.csv, line 2", "A-1", "CT"]),
        (["id", "ct"], [["A-1", "a.nii"], ["A-1", "b.nii"]], ["ID A-1:", "a.nii", "b.nii"]),
        (["id", "ct"], [["A-1", "a.nii"], ["a-1", "b.nii"]], ["a-1 and A-1:", "a.nii", "b.nii"]),
        (["id", "ct"], [], ["cases.csv", "`Task 1/<ID>/<ID>__CT.nii.gz`"]),
    ],
)
def test_a_wrong_table_is_refused(tmp_path, header, rows, facts):
    with raises_naming(CohortError, *facts):
        discover_cases(write_table(tmp_path / "cases.csv", header, *rows))


def test_the_same_case_in_training_and_test_is_refused(make_case, tmp_path):
    make_case("ONE-001")
    nnunet = as_nnunet(make_case("ONE-002"), tmp_path / "set")
    for kind in ("_0000", "_0001"):
        shutil.copy(nnunet / f"imagesTr/ONE-001{kind}.nii.gz", nnunet / f"imagesTs/ONE-001{kind}.nii.gz")
    with raises_naming(
        CohortError, "ID ONE-001:", *(nnunet / f"images{part}/ONE-001_0000.nii.gz" for part in ("Tr", "Ts"))
    ):
        discover_cases(nnunet)


def test_two_endings_of_one_image_are_refused(make_case, tmp_path):
    make_case("ONE-001")
    nnunet = as_nnunet(make_case("ONE-002"), tmp_path / "set")
    (nnunet / "imagesTr/ONE-001_0000.mha").write_text("")
    with raises_naming(
        CohortError, "0000 of ONE-001", *(nnunet / f"imagesTr/ONE-001_0000{end}" for end in (".nii.gz", ".mha"))
    ):
        discover_cases(nnunet)


def test_mixed_layouts_are_refused(make_case):
    root = make_case()
    (root / "imagesTr").mkdir()
    with raises_naming(CohortError, "`Task 1`", "nnU-Net", path=root):
        discover_cases(root)


def test_a_folder_whose_name_is_no_id_is_refused(make_case):
    root = make_case()
    (root / "Task 1" / "ONE-001").rename(root / "Task 1" / "ONE 001")
    for kind in ("__CT", "__PT", ""):
        (root / "Task 1" / "ONE 001" / f"ONE-001{kind}.nii.gz").rename(
            root / "Task 1" / "ONE 001" / f"ONE 001{kind}.nii.gz"
        )
    with raises_naming(CohortError, "'ONE 001'", path=root / "Task 1"):
        discover_cases(root)
