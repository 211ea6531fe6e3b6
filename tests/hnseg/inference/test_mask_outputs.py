"""Masks, records and maps of disagreement replace neither inputs nor foreign files; refused before any work."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from hnseg.cohort.checked_cohort import load_check
from hnseg.errors import HnsegError, OutputPathError
from hnseg.images.image_io import read_image, write_image
from hnseg.inference.predict_case import InferenceOptions
from hnseg.inference.predict_cohort import predict_cohort_from_files, predict_pair
from tests.facts import raises_naming

CPU = InferenceOptions(device="cpu")


def snapshot(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def no_network(monkeypatch):
    """What is refused is refused before a model is opened."""

    def fail(*args, **kwargs):
        raise AssertionError("a model was opened")

    monkeypatch.setattr("hnseg.inference.predict_cohort.open_segmenter", fail)


@pytest.fixture
def pair(trained_run, tmp_path):
    """CT, PET and label of a case in a folder of their own."""
    case = load_check(trained_run).cases[0].as_case()
    for path in (case.ct, case.pet, case.label):
        shutil.copy(path, tmp_path)
    return tmp_path / case.ct.name, tmp_path / case.pet.name, tmp_path / case.label.name


@pytest.fixture
def nnunet(trained_run, tmp_path):
    """Two cases in nnU-Net layout, the second without a label."""
    root = tmp_path / "dataset"
    for number, checked in enumerate(load_check(trained_run).cases[:2]):
        case = checked.as_case()
        for source, name in (
            (case.ct, f"imagesTr/X-{number}_0000"),
            (case.pet, f"imagesTr/X-{number}_0001"),
            (case.label, f"labelsTr/X-{number}"),
        ):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, root / f"{name}.nii.gz")
    (root / "labelsTr" / "X-1.nii.gz").unlink()
    return root


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("folder", ["labelsTr", "imagesTr", "labelsTs", "../alias", "../dataset/labelsTr"])
def test_no_mask_goes_among_the_files_of_the_cohort(trained_run, nnunet, folder):
    (nnunet.parent / "alias").symlink_to(nnunet / "labelsTr")
    before = snapshot(nnunet)
    with pytest.raises(OutputPathError):
        predict_cohort_from_files(trained_run, nnunet, nnunet / folder, options=CPU)
    assert snapshot(nnunet) == before


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("link", [os.link, os.symlink])
def test_a_mask_that_is_an_input_through_a_link_is_refused(trained_run, nnunet, tmp_path, link):
    (tmp_path / "masks").mkdir()
    link(nnunet / "labelsTr" / "X-0.nii.gz", tmp_path / "masks" / "X-0.nii.gz")
    before = snapshot(tmp_path)
    with raises_naming(OutputPathError, nnunet / "labelsTr" / "X-0.nii.gz", path=tmp_path / "masks" / "X-0.nii.gz"):
        predict_cohort_from_files(trained_run, nnunet, tmp_path / "masks", options=CPU)
    assert snapshot(tmp_path) == before


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("name", ["X-1.nii.gz", "X-0.json", "disagreement/X-1.nii.gz"])
def test_a_foreign_file_is_refused(trained_run, nnunet, tmp_path, name):
    foreign = tmp_path / "masks" / name
    foreign.parent.mkdir(parents=True)
    foreign.write_text('{"Modality": "PT"}')
    with raises_naming(OutputPathError, path=foreign):
        predict_cohort_from_files(
            trained_run, nnunet, tmp_path / "masks", options=InferenceOptions(device="cpu", disagreement=True)
        )
    assert foreign.read_text() == '{"Modality": "PT"}'
    assert [path for path in (tmp_path / "masks").rglob("*") if path.is_file()] == [foreign]


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("inside", [".", "predictions", "new/masks"])
def test_nothing_goes_into_the_work_directory(run, nnunet, pair, inside):
    before = snapshot(run)
    with raises_naming(OutputPathError, run, path=run / inside):
        predict_cohort_from_files(run, nnunet, run / inside, options=CPU)
    with raises_naming(OutputPathError, run, path=run / inside / "run.nii.gz"):
        predict_pair(run, pair[0], pair[1], run / inside / "run.nii.gz", options=CPU)
    assert snapshot(run) == before


@pytest.mark.usefixtures("no_network")
def test_a_csv_cohort_beside_its_images(trained_run, pair, tmp_path):
    ct, pet, _ = pair
    table = tmp_path / "cases.csv"
    table.write_text(f"id,ct,pet\n{ct.name.removesuffix('.nii.gz')},{ct.name},{pet.name}\n")
    before = snapshot(tmp_path)
    with pytest.raises(OutputPathError):
        predict_cohort_from_files(trained_run, table, tmp_path, options=CPU)
    with pytest.raises(OutputPathError):
        predict_cohort_from_files(trained_run, table, table, options=CPU)
    assert snapshot(tmp_path) == before


@pytest.mark.usefixtures("no_network")
def test_the_mask_of_a_pair_is_no_input_and_no_foreign_file(trained_run, pair, tmp_path):
    ct, pet, label = pair
    sidecar = ct.with_name(ct.name.replace(".nii.gz", ".json"))
    (tmp_path / "sub-01.json").write_text('{"Modality": "CT"}')
    (tmp_path / "link.nii.gz").symlink_to(pet)
    before = snapshot(tmp_path)
    for mask in (ct, pet, label, tmp_path / "link.nii.gz", tmp_path / "sub-01.nii.gz", tmp_path):
        with pytest.raises(OutputPathError):
            predict_pair(trained_run, ct, pet, mask, options=CPU)
    assert snapshot(tmp_path) == before
    assert not sidecar.exists()


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("name", ["mask.txt", "mask", "mask.nii.gz.bak", "mask.npz"])
def test_the_ending_is_checked_before_the_work(trained_run, pair, tmp_path, name):
    with raises_naming(OutputPathError, ".nii.gz", path=tmp_path / name):
        predict_pair(trained_run, pair[0], pair[1], tmp_path / name, options=CPU)


def test_a_mask_of_ours_is_made_again_and_a_corrected_one_is_kept(trained_run, pair, tmp_path):
    mask = tmp_path / "out" / "mask.nii.gz"
    predict_pair(trained_run, pair[0], pair[1], mask, options=CPU)
    first, grid = read_image(mask, "mask", dtype=np.uint8)
    predict_pair(trained_run, pair[0], pair[1], mask, options=CPU)
    np.testing.assert_array_equal(read_image(mask, "mask", dtype=np.uint8)[0], first)
    write_image(mask, 1 - np.minimum(first, 1), grid)
    before = snapshot(mask.parent)
    with raises_naming(OutputPathError, mask.with_name("mask.json"), path=mask):
        predict_pair(trained_run, pair[0], pair[1], mask, options=CPU)
    assert snapshot(mask.parent) == before
    assert issubclass(OutputPathError, HnsegError)


def test_a_corrected_mask_of_a_cohort_is_kept(trained_run, nnunet, tmp_path):
    out = tmp_path / "masks"
    assert predict_cohort_from_files(trained_run, nnunet, out, options=CPU) == []
    assert predict_cohort_from_files(trained_run, nnunet, out, options=CPU) == []
    mask, grid = read_image(out / "X-1.nii.gz", "mask", dtype=np.uint8)
    write_image(out / "X-1.nii.gz", 1 - np.minimum(mask, 1), grid)
    before = snapshot(out)
    with raises_naming(OutputPathError, out / "X-1.json", path=out / "X-1.nii.gz"):
        predict_cohort_from_files(trained_run, nnunet, out, options=CPU)
    assert snapshot(out) == before
    assert json.loads((out / "X-1.json").read_text())["outputs"]["mask"]
