"""Cases are named by a table or numbered, the same at every run, and messages hold no folder and no patient ID."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePath

import pytest

from hnseg.dicom.case_ids import IdRow, StudySource, name_cases, number_cases, read_id_table, recognize_cases
from hnseg.errors import CohortError
from tests.facts import raises_naming


def study(number: int, patient: str, *folders: str) -> StudySource:
    return StudySource(number, f"images{number}", f"file{number}", tuple(map(PurePath, folders)), frozenset({patient}))


A, B, C = study(1, "P1", "x/ct", "x/pet"), study(2, "P2", "y/s1"), study(3, "P2", "y/s2")


def named(path, *rows: IdRow):
    return name_cases([A, B, C], rows, path)


def test_rows_name_by_patient_or_by_folder(tmp_path):
    (tmp_path / "ids.csv").write_text("ID,Folder,PatientID\nCHUM-001,,P1\nCHUM-002,y/s1,\nCHUM-003,y/s2,P2\n,,\n")
    rows = read_id_table(tmp_path / "ids.csv")
    assert [row.line for row in rows] == [2, 3, 4]
    assert named(tmp_path, *rows) == ({1: "CHUM-001", 2: "CHUM-002", 3: "CHUM-003"}, {}, ())


def test_what_a_table_leaves_open_is_named_by_its_lines(tmp_path):
    ids, problems, unused = named(tmp_path, IdRow(2, "a", None, "P2"), IdRow(3, "b", None, "P9"))
    assert ids == {}
    assert set(problems) == {1, 2, 3}
    assert "line 2" in problems[2]
    assert "2 studies" in problems[2]
    assert "no line" in problems[1]
    assert len(unused) == 1
    assert "line 3" in unused[0]
    _, problems, _ = named(tmp_path, IdRow(2, "a", None, "P1"), IdRow(3, "b", None, "P1"))
    assert "lines 2 and 3" in problems[1]


def test_the_deeper_folder_counts(tmp_path):
    ids, _, _ = named(tmp_path, IdRow(2, "a", PurePath("y")), IdRow(3, "b", PurePath("y/s1")))
    assert ids == {2: "b", 3: "a"}
    assert named(tmp_path, IdRow(2, "a", PurePath("x/ct")))[0] == {}  # its PET lies elsewhere


def test_numbers_of_an_earlier_run_are_kept():
    assert number_cases([A, B], {}, set()) == {1: "case-001", 2: "case-002"}
    assert number_cases([A, B, C], {3: "case-001"}, {"case-001"}) == {1: "case-002", 2: "case-003", 3: "case-001"}
    assert number_cases([A, B], {1: "CHUM-001"}, {"CHUM-001", "case-001"}) == {1: "CHUM-001", 2: "case-002"}


def test_a_study_is_known_by_its_images_and_of_two_with_the_same_by_its_file():
    twin = replace(A, number=2, file="twin")
    known = {"images1-file1": "case-001", "images1-twin": "case-002", "images9-x": "case-003"}
    assert recognize_cases([A, twin], known) == recognize_cases([twin, A], known) == {1: "case-001", 2: "case-002"}
    corrected = replace(A, file="corrected")
    assert recognize_cases([corrected, twin], known) == {1: "case-001", 2: "case-002"}
    assert recognize_cases([corrected], known) == {}  # either of the two
    assert recognize_cases([corrected, A], {"images1-file1": "case-001"}) == {1: "case-001"}
    assert recognize_cases([replace(corrected, number=3), A], {"images1-file1": "case-001"}) == {1: "case-001"}


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("id\na\n", "folder"),
        ("folder\na\n", "id"),
        ("id,pid\nSECRET/1,P1\n", "line 2"),
        ("id,pid\na,\n", "line 2"),
        ("id,pid\na,SECRET\nA,P2\n", "2, 3"),
        ("id,pid\n\na,SECRET\n\nA,P2\n", "3, 5"),
        ("id,pid\na,SECRET,P2\n", "line 2"),
        ("id,folder,pid\na,SECRET\n", "line 2"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_without_its_contents(tmp_path, text, fact):
    (tmp_path / "ids.csv").write_text(text)
    with raises_naming(CohortError, tmp_path / "ids.csv", fact) as caught:
        read_id_table(tmp_path / "ids.csv")
    assert "SECRET" not in str(caught.value)
    with raises_naming(CohortError, tmp_path / "none.csv"):
        read_id_table(tmp_path / "none.csv")
