"""What the parameters of ``ssimh nnunet`` change; registered for ``test_options.py``."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.ssimh.cli.commands import read, refuse, succeed
from tests.ssimh.cli.option_effects import effect
from tests.ssimh.nnunet.datasets import make_dataset


def convert(folder: Path, *options: object, out: str = "Dataset2", reference: str = "donor_0000.nii.gz"):
    """Voxels of the first training image after conversion of a dataset of nnU-Net."""
    source = folder / "Dataset1"
    if not source.exists():
        make_dataset(source)
    succeed("nnunet", source, "--reference", folder / reference, "--out", folder / out, *options)
    return read(folder / out / "imagesTr/HN_1_0000.nii.gz")


@effect("nnunet", "folder", "out", "like")
def _(folder):
    convert(folder)
    arguments = ("nnunet", folder / "Dataset1/imagesTs", "--as", folder / "Dataset2", "--out", folder / "new")
    succeed(*arguments)
    assert (read(folder / "new/HN_3_0000.nii.gz") == read(folder / "Dataset2/imagesTs/HN_3_0000.nii.gz")).all()
    for option in (("--channel", 0), ("--grid", "same"), ("--reference", folder / "donor.nii.gz")):
        refuse(*arguments, *option, naming=(option[0],))


@effect("nnunet", "reference", "threshold", "strength")
def _(folder):
    plain = convert(folder)
    assert (plain != convert(folder, out="a", reference="donor.nii.gz")).any()
    assert (plain != convert(folder, "--threshold", 5, out="b")).any()
    assert (plain != convert(folder, "--strength", 0.5, out="c")).any()
    source = folder / "Dataset1"
    options = ("--reference", folder / "ref.npz", "--out", folder / "d", "--threshold", 3)
    refuse("nnunet", source, *options, naming=("--threshold",))


@effect("nnunet", "clip", "pixel_type")
def _(folder):
    values = convert(folder, "--clip", -50, 70, "--pixel-type", "float32")
    assert (values.min(), values.max(), values.dtype) == (-50, 70, np.float32)


@effect("nnunet", "channel", "site", "grid", "background", "jobs")
def _(folder):
    """Sites and other grids are tested in ``test_nnunet.py``."""
    values = convert(folder, "--grid", "field-of-view", "--jobs", 2, "--channel", 0)
    kept = convert(folder, "--grid", "physical", "--background", 0, out="a") == 0
    assert kept.any()
    assert (values[kept] != 0).any()
    source, reference = folder / "Dataset1", ("--reference", folder / "donor_0000.nii.gz")
    refuse("nnunet", source, *reference, "--out", folder / "x", "--channel", 1, naming=("PET",))
    refuse(
        "nnunet", source, *reference, "--out", folder / "x", "--site", folder / "ref.npz", naming=(folder / "ref.npz",)
    )
