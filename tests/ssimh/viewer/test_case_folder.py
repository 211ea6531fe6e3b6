"""The folder of a page's viewer: kept where it is up to date, without cases that are gone, and never outside itself."""

import functools
import json

import numpy as np
import pytest

from ssimh.viewer.case_folder import CaseSource, viewer_folder, write_viewer_folder
from ssimh.viewer.fit_size import ViewerError
from tests.ssimh.viewer.scans import case_of, image_of, marks_at


def read_case(name, path):
    """A case whose CT has the value that a file holds."""
    with path.with_suffix(".read").open("a") as times:
        times.write("x")
    if path.read_text() == "broken":
        raise ViewerError("it is broken")
    ct = image_of(np.full((4, 5, 6), int(path.read_text()), np.int16))
    return case_of(ct, name, lesions=marks_at(ct, [(1, 2, 3)]))


def source(folder, name, content="7", **settings):
    path = folder / f"{name.replace('/', '_')}.txt"
    path.write_text(content)
    return CaseSource(name, {"ct": path, "pet": None}, settings, functools.partial(read_case, name, path))


def times_read(case):
    return len(case.files["ct"].with_suffix(".read").read_text())


def test_a_case_is_packed_once_and_again_when_something_changes(tmp_path):
    page = tmp_path / "report.html"
    case = source(tmp_path, "A-1")
    first = write_viewer_folder(page, "Cases", [case])
    again = write_viewer_folder(page, "Cases", [case])
    assert first == again
    assert times_read(case) == 1
    assert first.address == "report_files/index.html"
    viewed = first.cases["A-1"]
    assert viewed.address == "report_files/index.html#case=A-1"
    assert [(row.label, row.status, row.address) for row in viewed.lesions] == [
        ("N1", "", "report_files/index.html#case=A-1&lesion=1")
    ]
    assert viewed.columns == ("Result",)
    write_viewer_folder(page, "Cases", [source(tmp_path, "A-1", "7", rule="other")])
    assert times_read(case) == 2
    (viewer_folder(page) / "A-1.js").write_text("edited")
    write_viewer_folder(page, "Cases", [source(tmp_path, "A-1", "8", rule="other")])
    assert times_read(case) == 3
    assert (viewer_folder(page) / "A-1.js").read_text().startswith("ssimhViewer.add(")


def test_cases_that_are_gone_are_removed_and_foreign_files_are_not(tmp_path):
    page, folder = tmp_path / "report.html", tmp_path / "report_files"
    write_viewer_folder(page, "Cases", [source(tmp_path, name) for name in ("A-1", "A-2")])
    (folder / "notes.txt").write_text("mine")
    (folder / "mine.json").write_text("{}")
    found = write_viewer_folder(page, "Cases", [source(tmp_path, "A-2")])
    names = {path.name for path in folder.iterdir()}
    assert names == {"index.html", "A-2.js", "A-2.json", "notes.txt", "mine.json"}
    assert list(found.cases) == ["A-2"]
    none = write_viewer_folder(page, "Cases", [])
    assert (none.address, dict(none.cases)) == ("", {})
    assert {path.name for path in folder.iterdir()} == {"notes.txt", "mine.json"}
    other = tmp_path / "other" / "report.html"
    write_viewer_folder(other, "Cases", [source(tmp_path, "A-2")])
    write_viewer_folder(other, "Cases", [])
    assert not viewer_folder(other).exists()


def test_a_case_that_cannot_be_shown_is_named_with_its_reason(tmp_path):
    page = tmp_path / "report.html"
    cases = [source(tmp_path, name, text) for name, text in (("A-1", "broken"), ("../A-2", "7"), ("A 3?", "7"))]
    found = write_viewer_folder(page, "Cases", cases)
    assert found.left_out == {"A-1": "it is broken"}
    assert list(found.cases) == ["../A-2", "A 3?"]
    assert found.cases["A 3?"].address == "report_files/index.html#case=A+3%3F"
    folder = tmp_path / "report_files"
    names = {path.name for path in folder.iterdir()}
    assert names == {"index.html", "=2e.=2fA-2.js", "=2e.=2fA-2.json", "A=203=3f.js", "A=203=3f.json"}
    assert "%3D2e.%3D2fA-2.js" in (folder / "index.html").read_text()
    assert json.loads((folder / "A=203=3f.json").read_text())["outputs"]
    with pytest.raises(ZeroDivisionError):  # a defect is no reason
        write_viewer_folder(page, "Cases", [CaseSource("B", {}, {}, lambda: 1 / 0)])
