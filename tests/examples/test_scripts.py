"""Every example of an integration runs as a user would run it."""

import importlib.util
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from ssimh.files.output_guard import OutputError
from ssimh.images.image_file import ImageFileError
from tests.ssimh.cli.commands import succeed
from tests.ssimh.nnunet.datasets import make_dataset

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(name, monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
    return runpy.run_path(str(EXAMPLES / name), run_name="__main__")


def needs(package):
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")


def test_plain_simpleitk(monkeypatch, capsys):
    run("plain_simpleitk.py", monkeypatch)
    # Of the 25 HU inside the body; three cosines cannot follow its outline, so about 4 HU stay.
    assert 18 < float(capsys.readouterr().out.split("changed by ")[1].split()[0]) < 25


def test_plain_simpleitk_with_files(monkeypatch, tmp_path):
    module = runpy.run_path(str(EXAMPLES / "plain_simpleitk.py"))
    for name, offset in (("a.nii.gz", 0), ("b.nii.gz", 25)):
        module["generated_scan"](tmp_path / name, offset, seed=offset)
    run("plain_simpleitk.py", monkeypatch, tmp_path / "a.nii.gz", tmp_path / "b.nii.gz", tmp_path / "c.nii.gz")
    before, after = (sitk.ReadImage(str(tmp_path / name)) for name in ("b.nii.gz", "c.nii.gz"))
    assert (before.GetOrigin(), before.GetSpacing()) == (after.GetOrigin(), after.GetSpacing())
    values = sitk.GetArrayFromImage(after)
    assert abs(np.median(values[values > -500]) - 40) < 6


def test_damaged_files_are_refused_by_name(monkeypatch, tmp_path):
    plain = runpy.run_path(str(EXAMPLES / "plain_simpleitk.py"))
    for name in ("a.nii", "b.nii"):
        plain["generated_scan"](tmp_path / name, 0, seed=0)
    (tmp_path / "b.nii").write_bytes((tmp_path / "b.nii").read_bytes()[:100_000])
    for pair in (("a.nii", "b.nii"), ("b.nii", "a.nii")):
        with pytest.raises(ImageFileError) as caught:
            plain["harmonize"](*(tmp_path / name for name in pair), tmp_path / "c.nii")
        assert caught.value.path == tmp_path / "b.nii"
    assert not (tmp_path / "c.nii").exists()


@pytest.mark.parametrize("result", ["a.nii.gz", "b.nii.gz", "old.nii.gz"])
def test_plain_simpleitk_overwrites_nothing(tmp_path, result):
    module = runpy.run_path(str(EXAMPLES / "plain_simpleitk.py"))
    for name in ("a.nii.gz", "b.nii.gz", "old.nii.gz"):
        module["generated_scan"](tmp_path / name, 0, seed=0)
    (tmp_path / "c_reference.npz").write_text("mine")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for name in (result, "c.nii.gz"):  # the latter would write its reference over a file of somebody else
        with pytest.raises(OutputError):
            module["harmonize"](tmp_path / "a.nii.gz", tmp_path / "b.nii.gz", tmp_path / name)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_monai_pipeline(monkeypatch, capsys):
    run("monai_pipeline.py", monkeypatch)
    output = capsys.readouterr().out
    assert output.count("batch of shape (2, 1, 64, 64, 16)") == 2
    assert float(output.split("inverse: ")[1].split()[0]) < 1e-3


@pytest.mark.filterwarnings("default")  # warnings of another library's import are not ours to fail on
def test_torchio_subject(monkeypatch, capsys):
    needs("torchio")
    run("torchio_subject.py", monkeypatch)
    output = capsys.readouterr().out
    reference, before, after = (float(part.split(" HU")[0].split()[-1]) for part in output.split(", ")[:3])
    assert abs(before - reference) > 20
    assert abs(after - reference) < 6
    assert "label unchanged: True" in output
    assert "history: SpectrumSwap" in output
    assert float(output.split("inverse: ")[1].split()[0]) < 1e-3
    assert "batch of shape (2, 1, 64, 64, 16)" in output


def test_nnunet_dataset(monkeypatch, capsys):
    run("nnunet_dataset.py", monkeypatch)
    output = capsys.readouterr().out
    assert "new case as the training cases: True" in output
    assert output.count("mean change") == 4


@pytest.mark.filterwarnings("default")  # as above
def test_nnunets_own_check_accepts_the_converted_dataset(monkeypatch, tmp_path):
    needs("nnunetv2")
    from nnunetv2.experiment_planning.verify_dataset_integrity import verify_dataset_integrity

    source, target = tmp_path / "Dataset001_HN", tmp_path / "Dataset101_HN"
    make_dataset(source)
    succeed("nnunet", source, "--reference", tmp_path / "donor_0000.nii.gz", "--out", target)
    verify_dataset_integrity(str(target), num_processes=1)
