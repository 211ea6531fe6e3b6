"""Folders of small scans for the commands."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.ssimh.cli.commands import succeed, write
from tests.ssimh.necks import neck


@pytest.fixture
def folder(tmp_path: Path, rng: np.random.Generator) -> Path:
    """Three scans on one grid, a donor that is 40 HU brighter, and the reference fitted to it."""
    for name in ("scans/one.nii.gz", "scans/two.nii.gz", "scans/b/three.nrrd", "donor.nii.gz"):
        values = rng.normal(0, 60, (6, 24, 22)) + (40 if "donor" in name else 0)
        write(tmp_path / name, values.astype(np.int16))
    succeed("fit", tmp_path / "donor.nii.gz", "--out", tmp_path / "ref.npz", "--unit", "HU")
    return tmp_path


@pytest.fixture(scope="session")
def _sites_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sites")
    for name, factor, first in (("here", 0.96, 0), ("there", 1.0, 10)):
        for seed in range(2):
            values, sign = neck(first + seed, factor=factor), 1 - 2 * seed
            path = folder / name / f"{seed}.nii.gz"
            write(path, values[:, ::sign], spacing=(4.0, 4.0, 3.0), direction=(1, 0, 0, 0, sign, 0, 0, 0, 1))
        succeed("fit-site", folder / name, "--out", folder / f"{name}.npz")
    return folder


@pytest.fixture
def sites(_sites_template: Path, tmp_path: Path) -> Path:
    """Two scans here and there, and the sites fitted to them; one scan of each is stored with y reversed."""
    shutil.copytree(_sites_template, tmp_path, dirs_exist_ok=True)
    return tmp_path
