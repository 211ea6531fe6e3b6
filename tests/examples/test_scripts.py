"""Every example of an integration runs as a user would run it: from the built wheel, without a checkout."""

import ast
import importlib.util
import runpy
import sys

import numpy as np
import pytest
import SimpleITK as sitk

from hnseg.cohort.cases import discover_cases
from ssimh.files.output_guard import OutputError
from ssimh.images.image_file import ImageFileError
from tests.examples.loading import EXAMPLES
from tests.ssimh.cli.commands import succeed
from tests.ssimh.nnunet.datasets import make_dataset
from tests.wheel import ROOT, run_scripts

# One for each pipeline: SimpleITK and NumPy, MONAI, TorchIO, nnU-Net, MONAI Bundle.
PIPELINES = (
    *("plain_simpleitk.py", "monai_pipeline.py", "torchio_subject.py", "nnunet_dataset.py"),
    "monai_bundle.py",
)


@pytest.fixture(scope="module")
def places(trained_run, small_cohort, tmp_path_factory):
    """Arguments of the example of the bundle: a run, its bundle, CT, PET, and a folder for the mask."""
    folder, case = tmp_path_factory.mktemp("examples"), discover_cases(small_cohort)[0]
    return [trained_run, folder / "bundle", case.ct, case.pet, folder / "masks"]


@pytest.fixture(scope="module")
def ran(wheel, places):
    """All examples in one process: loading torch takes longer than they do."""
    arguments = {"monai_bundle.py": [*places, "--device", "cpu"]}
    scripts = [[EXAMPLES / name, *arguments.get(name, [])] for name in PIPELINES]
    return run_scripts(wheel, places[-1].parent, scripts, imports=["torchio", "monai.bundle"])


@pytest.mark.parametrize("name", PIPELINES)
def test_an_example_is_short(name):
    text = (EXAMPLES / name).read_text(encoding="utf-8")
    assert len(text.splitlines()) < 60
    assert ast.get_docstring(ast.parse(text))


def test_the_examples_ran_from_the_wheel(ran, wheel):
    assert set(ran.outputs) == set(PIPELINES)
    assert {"ssimh", "hnseg", "ssimh.torchio", "ssimh.nnunet.conversion", "hnseg.bundle.write_bundle"} <= set(
        ran.modules
    )
    elsewhere = {name: place for name, place in ran.modules.items() if not place.is_relative_to(wheel)}
    assert elsewhere == {}
    assert not wheel.is_relative_to(ROOT)


def test_plain_simpleitk(ran):
    # Of the 25 HU inside the body; three cosines cannot follow its outline, so about 4 HU stay.
    assert 18 < float(ran.outputs["plain_simpleitk.py"].split("changed by ")[1].split()[0]) < 25


def test_plain_simpleitk_with_files(monkeypatch, tmp_path):
    module = runpy.run_path(str(EXAMPLES / "plain_simpleitk.py"))
    for name, offset in (("a.nii.gz", 0), ("b.nii.gz", 25)):
        module["generated_scan"](tmp_path / name, offset, seed=offset)
    names = ("a.nii.gz", "b.nii.gz", "c.nii.gz")
    monkeypatch.setattr(sys, "argv", ["plain_simpleitk.py", *(str(tmp_path / name) for name in names)])
    runpy.run_path(str(EXAMPLES / "plain_simpleitk.py"), run_name="__main__")
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


def test_monai_pipeline(ran):
    output = ran.outputs["monai_pipeline.py"]
    assert output.count("batch of shape (2, 1, 64, 64, 16)") == 2
    assert float(output.split("inverse: ")[1].split()[0]) < 1e-3


def test_torchio_subject(ran):
    output = ran.outputs["torchio_subject.py"]
    reference, before, after = (float(part.split(" HU")[0].split()[-1]) for part in output.split(", ")[:3])
    assert abs(before - reference) > 20
    assert abs(after - reference) < 6
    assert "label unchanged: True" in output
    assert "history: SpectrumSwap" in output
    assert float(output.split("inverse: ")[1].split()[0]) < 1e-3
    assert "batch of shape (2, 1, 64, 64, 16)" in output


def test_nnunet_dataset(ran):
    output = ran.outputs["nnunet_dataset.py"]
    assert "new case as the training cases: True" in output
    assert output.count("mean change") == 4


def test_monai_bundle(ran, places):
    output = ran.outputs["monai_bundle.py"]
    _, _, ct, _, masks = places
    assert "models/fold_0/best.pt, models/fold_1/best.pt" in output
    assert f"mask: {masks / ct.name.split('.')[0]}.nii.gz" in output
    assert "logits of shape (1, 3, " in output


@pytest.mark.filterwarnings("default")  # of its import
def test_nnunets_own_check_accepts_the_converted_dataset(tmp_path):
    if importlib.util.find_spec("nnunetv2") is None:
        pytest.skip("nnunetv2 is not installed")
    from nnunetv2.experiment_planning.verify_dataset_integrity import verify_dataset_integrity

    source, target = tmp_path / "Dataset001_HN", tmp_path / "Dataset101_HN"
    make_dataset(source)
    succeed("nnunet", source, "--reference", tmp_path / "donor_0000.nii.gz", "--out", target)
    verify_dataset_integrity(str(target), num_processes=1)
