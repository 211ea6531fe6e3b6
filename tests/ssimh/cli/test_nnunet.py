"""``ssimh nnunet`` as a user types it: complete datasets, resumed runs, new cases as the training cases were."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from ssimh import ReferenceSpectrum, SiteSpectrum
from ssimh.batch.manifest import read_manifest
from tests.ssimh.cli.commands import read, refuse, snapshot, succeed
from tests.ssimh.nnunet.datasets import describe, make_case, make_dataset


@pytest.fixture
def source(tmp_path):
    return make_dataset(tmp_path / "Dataset001_HN")


@pytest.fixture
def target(tmp_path):
    return tmp_path / "Dataset101_HN"


def convert(source, target, *options):
    return succeed("nnunet", source, "--reference", source.parent / "donor_0000.nii.gz", "--out", target, *options)


def test_the_result_is_complete_and_only_the_channel_has_changed(source, target):
    before = snapshot(source)
    convert(source, target, "--jobs", 2)
    after = snapshot(target)
    assert snapshot(source) == before
    assert set(after) == set(before) | {"manifest.json", "ssimh_reference.npz"}
    changed = {name for name in before if after[name] != before[name]} - {"dataset.json"}
    scans = {"imagesTr/HN_1_0000.nii.gz", "imagesTr/HN_2_0000.nii.gz", "imagesTs/HN_3_0000.nii.gz"}
    assert changed == scans
    assert set(read_manifest(target).scans) == scans
    description = json.loads(after["dataset.json"])
    record = description.pop("ssimh")
    assert description == json.loads(before["dataset.json"])
    assert (record["channel"], record["method"], record["source"]) == (0, "swap", source.name)
    assert record["reference"] == ReferenceSpectrum.load(target / "ssimh_reference.npz").content_hash
    succeed("report", target)
    assert "imagesTs/HN_3_0000.nii.gz" in (target / "report.csv").read_text()
    assert "3 kept" in convert(source, target).output
    assert not any(path.is_symlink() or path.stat().st_nlink > 1 for path in target.rglob("*") if path.is_file())


def test_the_channel_is_what_apply_gives(source, target, tmp_path):
    donor = tmp_path / "donor_0000.nii.gz"
    succeed("fit", donor, "--out", tmp_path / "ref.npz", "--unit", "HU", "--threshold", 5)
    convert(source, target, "--threshold", 5)
    succeed("apply", source / "imagesTr/HN_1_0000.nii.gz", "--reference", tmp_path / "ref.npz", "--out", tmp_path / "a")
    assert np.array_equal(read(target / "imagesTr/HN_1_0000.nii.gz"), read(tmp_path / "a/HN_1_0000.nii.gz"))


def test_new_cases_get_the_settings_of_the_dataset(source, target, tmp_path):
    convert(source, target, "--strength", 0.5, "--clip", -100, 150, "--pixel-type", "float32")
    new = tmp_path / "new"
    for path in (source / "imagesTs").iterdir():
        new.mkdir(exist_ok=True)
        shutil.copy(path, new)
    succeed("nnunet", new, "--as", target, "--out", tmp_path / "ready")
    for path in (target / "imagesTs").iterdir():
        assert np.array_equal(read(tmp_path / "ready" / path.name), read(path))
    assert set(read_manifest(tmp_path / "ready").scans) == {"HN_3_0000.nii.gz"}
    for folder in (tmp_path / "ready", target / "imagesTs"):  # would be harmonized twice
        refuse("nnunet", folder, "--as", target, "--out", tmp_path / "b", naming=(folder,))
    refuse("nnunet", new, "--as", target, "--out", target / "new", naming=(target / "new",))
    refuse("nnunet", new, "--as", target, "--out", tmp_path / "b", "--strength", 1.0, naming=("--strength", "--as"))
    description = json.loads((target / "dataset.json").read_text())
    description["ssimh"]["settings"]["strength"] = 0.7
    description["ssimh"]["reference"] = "sha256:0"
    (target / "dataset.json").write_text(json.dumps(description))
    refuse("nnunet", new, "--as", target, "--out", tmp_path / "b", naming=("reference",))
    refuse("nnunet", new, "--as", source, "--out", tmp_path / "b", naming=(source / "dataset.json",))


def test_a_second_run_does_what_is_missing(source, target):
    bad = source / "imagesTr/HN_2_0000.nii.gz"
    whole = bad.read_bytes()
    bad.write_bytes(whole[:-200])
    options = ("nnunet", source, "--reference", source.parent / "donor_0000.nii.gz", "--out", target)
    refuse(*options, naming=(bad,))
    assert not (target / "dataset.json").exists()
    bad.write_bytes(whole)
    assert "2 kept" in succeed(*options).output
    before = snapshot(target)
    assert "3 kept" in succeed(*options).output
    assert snapshot(target) == before
    refuse(*options, "--strength", 0.5, naming=(target, "settings.strength"))
    (target / "labelsTr/HN_1.nii.gz").write_bytes(b"edited")
    refuse(*options, naming=(target / "labelsTr/HN_1.nii.gz",))


def test_a_mapping_becomes_folders(source, target):
    (source / "imagesTr").rename(source.parent / "elsewhere")
    images = {case: [f"../elsewhere/{case}_000{channel}.nii.gz" for channel in range(2)] for case in ("HN_1", "HN_2")}
    mapping = {case: {"images": paths, "label": f"labelsTr/{case}.nii.gz"} for case, paths in images.items()}
    describe(source, dataset=mapping)
    convert(source, target)
    assert "dataset" not in json.loads((target / "dataset.json").read_text())
    assert len(list((target / "imagesTr").iterdir())) == 4


def test_existing_and_nested_outputs_are_refused(source, target):
    reference = ("--reference", source.parent / "donor_0000.nii.gz")
    target.mkdir()
    (target / "mine.txt").write_text("mine")
    for out in (target, source, source / "sub", source.parent):
        before = snapshot(source.parent)
        refuse("nnunet", source, *reference, "--out", out, naming=(out,))
        assert snapshot(source.parent) == before


def test_references_of_pet_are_refused(source, target, tmp_path):
    pet = tmp_path / "pet.npz"
    succeed("fit", tmp_path / "donor_0001.nii.gz", "--out", pet, "--unit", "SUV")
    refuse("nnunet", source, "--reference", pet, "--out", target, naming=(pet, "SUV"))
    refuse("nnunet", source, "--out", target, naming=("--reference",))
    assert not target.exists()


def test_another_grid_needs_the_option(source, target, tmp_path):
    make_case(source / "imagesTr", "HN_2", 1, (6, 20, 22))
    refuse("nnunet", source, "--reference", tmp_path / "donor_0000.nii.gz", "--out", target, naming=("--grid",))
    convert(source, tmp_path / "other", "--grid", "physical")


def test_datasets_are_aligned_between_sites(source, target, sites):
    for path in (*(source / "imagesTr").glob("*_0000.*"), *(source / "imagesTs").glob("*_0000.*")):
        shutil.copy(sites / "here/0.nii.gz", path)
    options = ("nnunet", source, "--reference", sites / "there.npz", "--site", sites / "here.npz")
    refuse(*options, "--out", target, "--grid", "physical", naming=("--grid", "--site"))
    succeed(*options, "--out", target)
    succeed("align", sites / "here/0.nii.gz", "--source", sites / "here.npz", "--target", sites / "there.npz",
            "--out", sites / "a")  # fmt: skip
    assert np.array_equal(read(target / "imagesTr/HN_1_0000.nii.gz"), read(sites / "a/0.nii.gz"))
    assert (
        SiteSpectrum.load(target / "ssimh_site.npz").content_hash == SiteSpectrum.load(sites / "here.npz").content_hash
    )
    succeed("nnunet", source / "imagesTs", "--as", target, "--out", sites / "new")
    assert np.array_equal(read(target / "imagesTs/HN_3_0000.nii.gz"), read(sites / "new/HN_3_0000.nii.gz"))
