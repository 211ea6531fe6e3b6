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
from ssimh.images.scan import ScanError
from tests.facts import raises_naming

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
    plain, convert = (runpy.run_path(str(EXAMPLES / name)) for name in ("plain_simpleitk.py", "nnunet_convert.py"))
    for name in ("a.nii", "b.nii"):
        plain["generated_scan"](tmp_path / name, 0, seed=0)
    (tmp_path / "b.nii").write_bytes((tmp_path / "b.nii").read_bytes()[:100_000])
    for pair in (("a.nii", "b.nii"), ("b.nii", "a.nii")):
        with pytest.raises(ImageFileError) as caught:
            plain["harmonize"](*(tmp_path / name for name in pair), tmp_path / "c.nii")
        assert caught.value.path == tmp_path / "b.nii"
    assert not (tmp_path / "c.nii").exists()
    source, target = tmp_path / "Dataset001_HN", tmp_path / "Dataset101_HN"
    convert["generated_dataset"](source)
    bad = source / "imagesTr" / "HN_002_0000.nii.gz"
    bad.write_bytes(bad.read_bytes()[:-2000])
    with pytest.raises(ImageFileError) as caught:
        convert["convert"](source, target, 0)
    assert (caught.value.path, target.exists()) == (bad, False)


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


def test_nnunet_conversion(monkeypatch, capsys, tmp_path):
    run("nnunet_convert.py", monkeypatch)
    assert "4 images harmonized" in capsys.readouterr().out
    module = runpy.run_path(str(EXAMPLES / "nnunet_convert.py"))
    source, target = tmp_path / "raw" / "Dataset001_HN", tmp_path / "raw" / "Dataset101_HN"
    module["generated_dataset"](source)
    module["convert"](source, target, 0)
    for path in sorted(source.rglob("*.*")):
        copy = target / path.relative_to(source)
        if path.name.endswith("_0000.nii.gz"):
            before, after = sitk.ReadImage(str(path)), sitk.ReadImage(str(copy))
            assert before.GetPixelID() == after.GetPixelID()
            assert (before.GetSpacing(), before.GetOrigin()) == (after.GetSpacing(), after.GetOrigin())
        else:
            assert copy.read_bytes() == path.read_bytes()
    extra = {path.name for path in target.rglob("*.*")} - {path.name for path in source.rglob("*.*")}
    assert extra == {"harmonization_reference.npz"}
    with pytest.raises(FileExistsError):
        module["convert"](source, target, 0)
    with pytest.raises(FileNotFoundError):
        module["convert"](source, tmp_path / "other", 7)


class TestNnunetConversion:
    @pytest.fixture
    def convert(self):
        return runpy.run_path(str(EXAMPLES / "nnunet_convert.py"))["convert"]

    @pytest.fixture
    def source(self, tmp_path):
        runpy.run_path(str(EXAMPLES / "nnunet_convert.py"))["generated_dataset"](tmp_path / "Dataset001_HN")
        return tmp_path / "Dataset001_HN"

    def test_labels_that_end_like_a_channel_are_copied(self, convert, source, tmp_path):
        """Case IDs such as those of AMOS: the label of case amos_0000 is labelsTr/amos_0000.nii.gz."""
        for path in sorted(source.rglob("HN_00?*")):
            path.rename(path.with_name(path.name.replace("HN_00", "amos_000")))
        convert(source, tmp_path / "new", 0)
        assert len(list((source / "labelsTr").iterdir())) == 4
        for path in (source / "labelsTr").iterdir():
            assert (tmp_path / "new/labelsTr" / path.name).read_bytes() == path.read_bytes()

    @pytest.mark.parametrize("inside", ["sub", "imagesTr/sub", "a/b"])
    def test_a_target_inside_the_source_is_refused(self, convert, source, inside):
        before = sorted(source.rglob("*"))
        with raises_naming(ValueError, source / inside, source):
            convert(source, source / inside, 0)
        assert sorted(source.rglob("*")) == before

    def test_pet_is_refused_unless_insisted(self, convert, source, tmp_path):
        with pytest.raises(ValueError, match="PET"):
            convert(source, tmp_path / "new", 1)
        assert not (tmp_path / "new").exists()
        assert convert(source, tmp_path / "new", 1, allow_pet=True) == 4
        pet = next((tmp_path / "new/imagesTr").glob("*_0001.nii.gz"))
        assert (pet.read_bytes() != (source / "imagesTr" / pet.name).read_bytes(), pet.name) == (True, pet.name)

    def test_a_channel_without_a_name_is_refused(self, convert, source, tmp_path):
        text = (source / "dataset.json").read_text()
        (source / "dataset.json").write_text(text.replace('"0": "CT", ', ""))
        with pytest.raises(ValueError, match="channel 0"):
            convert(source, tmp_path / "new", 0)

    def test_other_grids_are_refused_unless_insisted(self, convert, source, tmp_path):
        path = source / "imagesTr/HN_002_0000.nii.gz"
        image = sitk.ReadImage(str(path))
        image.SetSpacing((1.0, 1.0, 3.0))
        sitk.WriteImage(image, str(path))
        with pytest.raises(ScanError, match="HN_002_0000"):
            convert(source, tmp_path / "new", 0)
        assert convert(source, tmp_path / "new", 0, regrid=True) == 4

    def test_a_damaged_image_leaves_nothing_behind(self, convert, source, tmp_path):
        (source / "imagesTs").mkdir()
        (source / "imagesTs/HN_900_0000.nii.gz").write_text("no image")
        with pytest.raises(RuntimeError, match="HN_900"):
            convert(source, tmp_path / "new", 0)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["Dataset001_HN"]


@pytest.mark.filterwarnings("default")  # as above
def test_nnunets_own_check_accepts_the_converted_dataset(monkeypatch, tmp_path):
    needs("nnunetv2")
    from nnunetv2.experiment_planning.verify_dataset_integrity import verify_dataset_integrity

    module = runpy.run_path(str(EXAMPLES / "nnunet_convert.py"))
    source, target = tmp_path / "Dataset001_HN", tmp_path / "Dataset101_HN"
    module["generated_dataset"](source)
    module["convert"](source, target, 0)
    verify_dataset_integrity(str(target), num_processes=1)
