"""What contradicts nnU-Net's rules is refused with the file and the reason."""

from __future__ import annotations

import pytest

from ssimh.nnunet.dataset import Layout, NnunetError, list_cases, read_dataset
from tests.facts import raises_naming
from tests.ssimh.nnunet.datasets import describe


@pytest.fixture
def source(tmp_path):
    """Files without content: nothing here reads voxels."""
    folder = tmp_path / "Dataset001_HN"
    for name in ("imagesTr/a", "imagesTr/b", "imagesTs/c"):
        for channel in range(2):
            touch(folder / f"{name}_000{channel}.nii.gz")
    for name in ("a", "b"):
        touch(folder / f"labelsTr/{name}.nii.gz")
    describe(folder)
    return folder


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    return path


def test_cases_channels_and_labels_are_found(source):
    dataset = read_dataset(source)
    assert [case.name for case in (*dataset.training, *dataset.test)] == ["a", "b", "c"]
    assert dataset.training[1].images == tuple(source / f"imagesTr/b_000{channel}.nii.gz" for channel in range(2))
    assert dataset.training[1].label == source / "labelsTr/b.nii.gz"
    assert dataset.layout == Layout(("CT", "PET"), ".nii.gz")


def test_case_names_may_end_in_four_digits(source):
    for path in sorted(source.rglob("a*.nii.gz")):
        path.rename(path.with_name(path.name.replace("a", "amos_0000", 1)))
    assert [case.name for case in read_dataset(source).training] == ["amos_0000", "b"]


@pytest.mark.parametrize("name", ["imagesTr/a_0000.nii.gz", "imagesTr/a_0001.nii.gz", "imagesTs/c_0001.nii.gz"])
def test_missing_channels_are_refused(source, name):
    (source / name).unlink()
    with raises_naming(NnunetError, source / name):
        read_dataset(source)


@pytest.mark.parametrize(
    "name",
    ["imagesTr/a_0000.nii", "imagesTr/a.nii.gz", "imagesTr/a_0002.nii.gz", "imagesTs/c_0000.nrrd", "labelsTr/a.nii",
     "labelsTr/c.nii.gz"],
)  # fmt: skip
def test_other_endings_channels_and_labels_without_images_are_refused(source, name):
    with raises_naming(NnunetError, touch(source / name)):
        read_dataset(source)


def test_images_without_labels_are_refused(source):
    (source / "labelsTr/b.nii.gz").unlink()
    with raises_naming(NnunetError, source / "labelsTr/b.nii.gz"):
        read_dataset(source)


@pytest.mark.parametrize(
    ("changes", "fact"),
    [
        ({"channel_names": None}, "channel_names"),
        ({"channel_names": {"1": "CT"}}, "channel_names"),
        ({"file_ending": ".png"}, ".png"),
        ({"numTraining": 3}, 3),
        ({"dataset": {"a": {"images": ["imagesTr/a_0000.nii.gz"], "label": "labelsTr/a.nii.gz"}}}, "dataset.a"),
        ({"dataset": {"a": "imagesTr"}}, "dataset.a"),
        ({"dataset": {"../a": {"images": [], "label": ""}}}, "dataset.../a"),
    ],
)
def test_descriptions_that_cannot_be_used_are_refused(source, changes, fact):
    describe(source, **changes)
    with raises_naming(NnunetError, source / "dataset.json", fact):
        read_dataset(source)


def test_a_damaged_or_missing_description_is_refused(source):
    (source / "dataset.json").write_text("{")
    with raises_naming(NnunetError, source / "dataset.json"):
        read_dataset(source)
    (source / "dataset.json").unlink()
    with raises_naming(FileNotFoundError, source, "dataset.json"):
        read_dataset(source)


def test_a_mapping_names_files_by_paths_and_variables(source, monkeypatch):
    monkeypatch.setenv("HOME_OF_IMAGES", str(source / "imagesTr"))
    images = ["$HOME_OF_IMAGES/a_0000.nii.gz", "imagesTr/a_0001.nii.gz"]
    describe(source, numTraining=1, dataset={"x": {"images": images, "label": str(source / "labelsTr/a.nii.gz")}})
    (case,) = read_dataset(source).training
    assert (case.name, [path.name for path in case.images]) == ("x", ["a_0000.nii.gz", "a_0001.nii.gz"])
    (source / "labelsTr/a.nii.gz").unlink()
    with raises_naming(FileNotFoundError, source / "labelsTr/a.nii.gz", "dataset.x"):
        read_dataset(source)


@pytest.mark.parametrize("name", ["PET", "FDG-PET", "SUV", "suv (bw)", "PT"])
def test_pet_and_channels_without_a_name_are_refused(source, name):
    layout, where = Layout(("CT", name), ".nii.gz"), source / "dataset.json"
    assert (layout.unit_of(0, where), Layout(("T1",), ".nrrd").unit_of(0, where)) == ("HU", None)
    with raises_naming(NnunetError, where, 1):
        layout.unit_of(1, where)
    with raises_naming(NnunetError, where, 2, "CT"):
        layout.unit_of(2, where)


def test_folders_without_cases_are_refused(tmp_path):
    layout = Layout(("CT",), ".nii.gz")
    for folder in (tmp_path, tmp_path / "missing"):
        with raises_naming(FileNotFoundError, folder):
            list_cases(folder, layout)
    touch(tmp_path / "sidecar.json")
    touch(tmp_path / "a_0000.nii.gz")
    assert [case.name for case in list_cases(tmp_path, layout)] == ["a"]
