"""Folders of sites for the tests of the benchmark: small PET of known resolution, and small CT."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.ssimh.cli.commands import write
from tests.ssimh.necks import neck
from tests.ssimh.uptakes import uptake

SPACING_XYZ_MM = (4.0, 4.0, 4.0)
SITES_MM2 = {"coarse": 12.0, "sharp": 5.0}
SCANS = 3


def write_pet(path: Path, mm2: float, seed: int, *, factor: float = 1.0, unit: str | None = "SUV") -> Path:
    """A PET whose scanner has this variance."""
    values = (factor * uptake(seed, mm2)).astype(np.float32)
    return write(path, values, spacing=SPACING_XYZ_MM, metadata=None if unit is None else {"unit": unit})


def write_pet_sites(root: Path, sites: dict[str, float] | None = None) -> Path:
    """Sites of three scans each, of other people, with these variances."""
    for first, (site, mm2) in enumerate(sorted((sites or SITES_MM2).items())):
        for number in range(SCANS):
            write_pet(root / site / f"{number}.nrrd", mm2, 10 * first + number)
    return root


def write_ct_sites(root: Path) -> Path:
    """Two sites of three scans each, of other people; the attenuation of one is 5 % larger."""
    for first, (site, factor) in enumerate((("here", 1.0), ("there", 1.05))):
        for number in range(SCANS):
            values = neck(10 * first + number, factor=factor)
            write(root / site / f"{number}.nii.gz", values, spacing=(4.0, 4.0, 3.0))
    return root
