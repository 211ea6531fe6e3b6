"""Small raw datasets in nnU-Net's layout."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from tests.ssimh.cli.commands import write


def make_case(folder: Path, name: str, seed: int, shape: tuple[int, int, int] = (6, 24, 22)) -> None:
    """A CT and a PET."""
    rng = np.random.default_rng(seed)
    write(folder / f"{name}_0000.nii.gz", rng.normal(20 * seed, 60, shape).astype(np.int16))
    write(folder / f"{name}_0001.nii.gz", rng.gamma(2, 1, shape).astype(np.float32))


def make_dataset(folder: Path) -> Path:
    """Two training cases and a test case of CT and PET, and a donor beside the dataset."""
    for seed, case in enumerate(("imagesTr/HN_1", "imagesTr/HN_2", "imagesTs/HN_3")):
        make_case(folder / Path(case).parent, Path(case).name, seed)
    for case in ("HN_1", "HN_2"):
        write(folder / "labelsTr" / f"{case}.nii.gz", np.ones((6, 24, 22), np.uint8))
    describe(folder)
    make_case(folder.parent, "donor", 5)
    return folder


def describe(folder: Path, **changes: object) -> None:
    """Write ``dataset.json``; a change to None leaves the key out."""
    description = {
        "channel_names": {"0": "CT", "1": "PET"},
        "labels": {"background": 0, "tumor": 1},
        "numTraining": 2,
        "file_ending": ".nii.gz",
        **changes,
    }
    text = json.dumps({name: value for name, value in description.items() if value is not None})
    (folder / "dataset.json").write_text(text)
