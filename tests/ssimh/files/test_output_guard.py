"""Outputs that would destroy something are refused before any work is done."""

import os

import pytest

from ssimh.files.output_guard import OutputError, check_output, is_same_file


@pytest.fixture
def scan(tmp_path):
    path = tmp_path / "scan.nii.gz"
    path.write_bytes(b"scan")
    return path


@pytest.mark.parametrize("how", ["itself", "relative", "symlink", "hard link", "other case"])
def test_an_input_by_any_name_is_refused(scan, tmp_path, monkeypatch, how):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    output = {
        "itself": scan,
        "relative": tmp_path / "sub" / ".." / "scan.nii.gz",
        "symlink": tmp_path / "link.nii.gz",
        "hard link": tmp_path / "hard.nii.gz",
        "other case": tmp_path / "SCAN.nii.gz",
    }[how]
    if how == "symlink":
        output.symlink_to(scan)
    if how == "hard link":
        os.link(scan, output)
    with pytest.raises(OutputError) as caught:
        check_output(output, inputs=[scan])
    assert str(scan) in str(caught.value)


def test_a_new_file_passes(scan, tmp_path):
    check_output(tmp_path / "out.npz", inputs=[scan], suffixes=(".npz",), is_ours=lambda path: False)
    assert not is_same_file(scan, tmp_path / "out.npz")


def test_another_suffix_a_folder_and_a_foreign_file_are_refused(scan, tmp_path):
    for output, options in ((scan, {"suffixes": (".npz",)}), (tmp_path, {}), (scan, {"is_ours": lambda path: False})):
        with pytest.raises(OutputError):
            check_output(output, **options)
    check_output(scan, is_ours=lambda path: path.read_bytes() == b"scan")
