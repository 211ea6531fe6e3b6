"""Files appear whole or not at all, and errors of writing name them."""

from __future__ import annotations

import errno

import pytest

from ssimh.files.atomic import atomic_folder, atomic_write, is_leftover, remove_leftovers


def test_a_full_disk_names_the_file(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("old")
    with pytest.raises(OSError, match=r"a\.json") as caught, atomic_write(path):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(path))
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


def test_the_name_is_that_of_the_result_and_not_of_the_temporary_file(tmp_path):
    path = tmp_path / "a.json"
    with pytest.raises(PermissionError) as caught, atomic_write(path) as temporary:
        raise PermissionError(errno.EACCES, "Permission denied", str(temporary))
    assert caught.value.filename == str(path)


def test_an_error_of_another_file_keeps_its_name(tmp_path):
    with pytest.raises(FileNotFoundError) as caught, atomic_write(tmp_path / "a.json"):
        (tmp_path / "b.json").read_text()
    assert caught.value.filename == str(tmp_path / "b.json")


def test_what_killed_processes_left_is_recognized_and_removed(tmp_path):
    with atomic_write(tmp_path / "a.json") as temporary:
        assert is_leftover(temporary)
    (tmp_path / ".writing-xyz.json").write_text("half")
    remove_leftovers(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    target = tmp_path / "new" / "folder"
    with pytest.raises(FileNotFoundError), atomic_folder(target) as made:
        (made / "missing" / "a.txt").write_text("half")
    assert list(target.parent.iterdir()) == []
    target.mkdir()  # an empty one is taken
    with atomic_folder(target) as made:
        (made / "a.txt").write_text("whole")
        assert list(target.iterdir()) == []
    assert (target / "a.txt").read_text() == "whole"
    with pytest.raises(OSError), atomic_folder(target):  # noqa: PT011
        pass
    assert [path.name for path in target.parent.iterdir()] == ["folder"]
