"""Scans of the scanner-effect benchmark: the shared real CTs, or a generated cohort."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

# Stored value minus HU. Air inside the body (trachea) lies at 24 where 1024 was added and is cut to 0 where 1000 was.
_OFFSETS = {"A": 1024, "B": 1000, "C": 1024, "D": 1000, "E": 1000, "F": 1024, "G": 1000}
_OFFSET_EXCEPTIONS = {"E-026": 1024}


@dataclass(frozen=True)
class Subject:
    """One scan, read on demand."""

    name: str
    group: str
    path: Path | None = None
    seed: int = 0

    def load(self) -> np.ndarray:
        """(z, y, x) float32 CT in HU, -1000 outside the body."""
        if self.path is None:
            return self._generated
        import SimpleITK as sitk

        stored = sitk.GetArrayFromImage(sitk.ReadImage(str(self.path))).astype(np.float32)
        offset = _OFFSET_EXCEPTIONS.get(self.name, _OFFSETS[self.group])
        return np.maximum(stored - offset, -1000)

    def labels(self) -> np.ndarray | None:
        """Structures of the scan: 4 brainstem, 6 and 7 parotids; None for a generated one."""
        if self.path is None:
            return None
        import SimpleITK as sitk

        return sitk.GetArrayFromImage(sitk.ReadImage(str(self.path).replace("_ct.nii", "_label.nii")))

    @cached_property
    def _generated(self) -> np.ndarray:
        """An elliptic neck of fat around muscle, of random size, position and composition, with an airway and bone."""
        rng = np.random.default_rng(self.seed)
        size = np.array([48, 64, 64])
        center = size / 2 + rng.normal(0, 2, 3)
        half = np.array([30, 20, 24]) * rng.uniform(0.85, 1.15, 3)
        z, y, x = np.ogrid[: size[0], : size[1], : size[2]]
        radius = np.sqrt(((y - center[1]) / half[1]) ** 2 + ((x - center[2]) / half[2]) ** 2 + 0 * z)
        edge = 0.6 + rng.uniform(0, 0.25) + 0.08 * np.sin(z / 7 + rng.uniform(0, 6))
        muscle, fat = 45 + rng.normal(0, 8), -100 + rng.normal(0, 6)
        scan = np.where(radius < edge, muscle, np.where(radius < 1, fat, -1000.0))
        scan[np.broadcast_to(np.hypot(y - center[1] - 6, x - center[2]) < 3, scan.shape)] = 600
        scan[np.broadcast_to(np.hypot(y - center[1] + 6, x - center[2]) < 3, scan.shape)] = -1000
        noise = rng.normal(0, 12, scan.shape)
        return np.where(scan > -900, scan + noise, -1000).astype(np.float32)


def kernel_scans() -> dict[str, np.ndarray]:
    """The CTs of the shared PET/CT cases by name, SOFT-… and STAN-…; empty where they are not available."""
    paths = sorted((_folder() / "sts_petct").glob("*/*/*__CT.nii.gz"))
    if paths:
        import SimpleITK as sitk
    return {path.parent.name: sitk.GetArrayFromImage(sitk.ReadImage(str(path))).astype(np.float32) for path in paths}


def _folder() -> Path:
    stated = os.environ.get("SSIMH_REALDATA")
    return Path(stated) if stated else Path(__file__).parents[2] / "shared" / "data"


def cohort() -> tuple[list[Subject], str]:
    """Subjects, and their kind: real or generated."""
    paths = sorted((_folder() / "openkbp_ct").glob("*/*_ct.nii.gz"))
    if paths:
        names = [path.name.removesuffix("_ct.nii.gz") for path in paths]
        return [Subject(name, name[0], path) for name, path in zip(names, paths, strict=True)], "real"
    return [Subject(f"generated-{seed}", "AB"[seed % 2], None, seed) for seed in range(28)], "generated"
