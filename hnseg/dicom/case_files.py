"""The files of a case: where they lie in each layout, and in which type their voxels are stored."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hnseg.images.geometry import Grid
from hnseg.images.image_io import write_image

Layout = Literal["hecktor", "nnunet"]
TASK_FOLDER = "Task 1"
EXACT_IN_FLOAT32 = 2**24  # whole numbers up to here


@dataclass(frozen=True)
class CaseFiles:
    """Paths of a case's files.

    Attributes:
        ct: CT in HU.
        pet: PET in SUV.
        label: Mask: 1 GTVp, 2 GTVn.
        record: What they were made from.
    """

    ct: Path
    pet: Path
    label: Path
    record: Path

    def images(self) -> dict[str, Path]:
        """The image files by what they are."""
        return {"ct": self.ct, "pet": self.pet, "label": self.label}


def place_files(root: Path, layout: Layout, case_id: str, *, has_label: bool) -> CaseFiles:
    """Paths of a case below ``root``.

    Args:
        root: Folder of the cohort.
        layout: ``hecktor``: ``Task 1/<ID>/<ID>__CT.nii.gz``, ``<ID>__PT.nii.gz``, ``<ID>.nii.gz``; ``nnunet``:
            ``imagesTr/<ID>_0000.nii.gz``, ``_0001``, ``labelsTr/<ID>.nii.gz``.
        case_id: ID of the case.
        has_label: For nnU-Net, whose cases without a mask lie in ``imagesTs``.
    """
    if layout == "hecktor":
        home = root / TASK_FOLDER / case_id
        names = f"{case_id}__CT.nii.gz", f"{case_id}__PT.nii.gz", f"{case_id}.nii.gz", f"{case_id}.json"
        return CaseFiles(*(home / name for name in names))
    part = "Tr" if has_label else "Ts"
    images, labels = root / f"images{part}", root / f"labels{part}"
    return CaseFiles(
        images / f"{case_id}_0000.nii.gz",
        images / f"{case_id}_0001.nii.gz",
        labels / f"{case_id}.nii.gz",
        images / f"{case_id}.json",
    )


def possible_files(root: Path, layout: Layout, case_id: str) -> tuple[CaseFiles, ...]:
    """Paths that a case can have: with a mask, and, where that is another place, without one."""
    places = (place_files(root, layout, case_id, has_label=has_label) for has_label in (True, False))
    return tuple(dict.fromkeys(places))


def smallest_exact(values: NDArray[Any]) -> NDArray[Any]:
    """The values in the smallest of int16, int32 and float32 that holds every one of them exactly.

    Args:
        values: (z, y, x) float32.

    >>> [smallest_exact(np.float32(v)).dtype.name for v in ([[-1024, 3071]], [[0, 40000]], [[0, 0.5]])]
    ['int16', 'int32', 'float32']
    """
    if not all(np.array_equal(part, np.rint(part)) for part in values):  # NaN differs from itself
        return values
    low, high = float(values.min()), float(values.max())
    if max(-low, high) > EXACT_IN_FLOAT32:
        return values
    fits = np.iinfo(np.int16).min <= low and high <= np.iinfo(np.int16).max
    return values.astype(np.int16 if fits else np.int32)


def write_images(files: CaseFiles, images: dict[str, tuple[NDArray[Any], Grid]]) -> None:
    """Write the images of a case; a file of an earlier run that is not made again is removed.

    All are first written under other names, so that the files that are there stay until the new ones are complete.

    Args:
        files: Where they go.
        images: Voxels (z, y, x) and grid by what they are: ``ct``, ``pet``, ``label``.

    Raises:
        OSError: The disk is full, or a file cannot be written for another reason.
    """
    scratch = {name: path.with_name(f".writing-{path.name}") for name, path in files.images().items()}
    try:
        for name, (voxels, grid) in images.items():
            write_image(scratch[name], voxels, grid)
        for name, path in files.images().items():
            path.unlink(missing_ok=True)
            if name in images:
                scratch[name].replace(path)
    finally:
        for path in scratch.values():
            path.unlink(missing_ok=True)
