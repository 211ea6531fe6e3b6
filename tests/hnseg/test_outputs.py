"""Outputs never replace an input nor a foreign file."""

from __future__ import annotations

import os

import pytest

from hnseg.errors import OutputPathError
from hnseg.outputs import check_output_file, is_inside, is_json_with
from tests.facts import raises_naming


def test_an_input_is_refused_under_any_name(tmp_path):
    scan = tmp_path / "scan.nii.gz"
    scan.write_bytes(b"x")
    (tmp_path / "link.nii.gz").symlink_to(scan)
    os.link(scan, tmp_path / "hard.nii.gz")
    for name in ("scan.nii.gz", "link.nii.gz", "hard.nii.gz", "./sub/../scan.nii.gz"):
        with raises_naming(OutputPathError, f"({scan})", path=tmp_path / name):
            check_output_file(tmp_path / name, inputs=[scan])


def test_foreign_files_folders_and_endings_are_refused(tmp_path):
    (tmp_path / "notes.json").write_text("{}")
    for path, options, facts in (
        (tmp_path / "notes.json", {"is_ours": lambda path: is_json_with(path, ["plan"])}, []),
        (tmp_path, {}, []),
        (tmp_path / "mask.txt", {"suffixes": (".nii.gz",)}, [".nii.gz"]),
    ):
        with raises_naming(OutputPathError, *facts, path=path):
            check_output_file(path, **options)
    (tmp_path / "plan.json").write_text('{"plan": 1}')
    check_output_file(tmp_path / "plan.json", is_ours=lambda path: is_json_with(path, ["plan"]))


@pytest.mark.parametrize("content", ["", "{", "[]", "3", '{"other": 1}', "[" * 100_000])
def test_only_an_object_with_the_keys_is_ours(tmp_path, content):
    (tmp_path / "a.json").write_text(content)
    assert not is_json_with(tmp_path / "a.json", ["plan"])
    assert not is_json_with(tmp_path / "none.json", ["plan"])


def test_inside_means_through_links_too(tmp_path):
    (tmp_path / "work" / "models").mkdir(parents=True)
    (tmp_path / "alias").symlink_to(tmp_path / "work")
    assert is_inside(tmp_path / "work", tmp_path / "work")
    assert is_inside(tmp_path / "work" / "new" / "mask.nii.gz", tmp_path / "work")
    assert is_inside(tmp_path / "alias" / "new", tmp_path / "work")
    assert not is_inside(tmp_path / "work2" / "new", tmp_path / "work")
    assert not is_inside(tmp_path, tmp_path / "work")
