"""Discovery follows the HECKTOR 2025 layout, with or without the task's folder."""

from __future__ import annotations

from hnseg.cases import discover_cases


def test_finds_cases_in_order_with_their_centres(make_case):
    for name in ("TWO-010", "ONE-002", "A-B-003"):
        root = make_case(name)
    (root / "Task 1" / "notes").mkdir()
    (root / "Task 1" / ".hidden-001").mkdir()
    (root / "Task 1" / "HECKTOR_2025_Training_Task_1.csv").write_text("PatientID\n")
    cases = discover_cases(root)
    assert [(case.id, case.centre) for case in cases] == [("A-B-003", "A-B"), ("ONE-002", "ONE"), ("TWO-010", "TWO")]
    assert discover_cases(root / "Task 1") == cases


def test_a_case_without_pet_is_still_a_case(make_case):
    root = make_case()
    (root / "Task 1" / "ONE-001" / "ONE-001__PT.nii.gz").unlink()
    (case,) = discover_cases(root)
    assert not case.pet.exists()
    assert case.pet.name == "ONE-001__PT.nii.gz"
