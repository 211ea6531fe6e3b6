"""Every file is listed once, in the same order, whatever the links say."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hnseg.dicom.series.list_files import list_files
from hnseg.errors import CohortError


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_files_come_by_name_before_the_folders_beside_them(tmp_path):
    touch(tmp_path / "b" / "2", tmp_path / "b" / "1", tmp_path / "a" / "x" / "3", tmp_path / "z")
    assert [str(path.relative_to(tmp_path)) for path in list_files(tmp_path)] == ["z", "a/x/3", "b/1", "b/2"]


def test_a_folder_behind_several_links_is_entered_once(tmp_path):
    touch(tmp_path / "outside" / "1", tmp_path / "tree" / "2")
    for name in ("a", "b"):
        os.symlink(tmp_path / "outside", tmp_path / "tree" / name)
    os.symlink(tmp_path / "tree", tmp_path / "tree" / "circle")
    assert [path.name for path in list_files(tmp_path / "tree")] == ["2", "1"]


def test_pipes_are_left_out_and_links_without_a_target_are_named(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    os.symlink(tmp_path / "missing", tmp_path / "link")
    assert list(list_files(tmp_path)) == [tmp_path / "link"]


def test_a_folder_that_may_not_be_listed_is_named(tmp_path, monkeypatch):
    touch(tmp_path / "closed" / "1", tmp_path / "open" / "2")
    scandir = os.scandir

    def refuse(path):
        if Path(path).name == "closed":
            raise PermissionError(13, "closed")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert [path.name for path in list_files(tmp_path)] == ["closed", "2"]


def test_a_file_is_its_own_list_and_nothing_is_an_error(tmp_path):
    touch(tmp_path / "1")
    assert list(list_files(tmp_path / "1")) == [tmp_path / "1"]
    with pytest.raises(CohortError) as caught:
        list(list_files(tmp_path / "DOE^JOHN"))
    assert "DOE" not in str(caught.value)
