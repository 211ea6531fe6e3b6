"""Prepared cases on disk: chunked, compressed arrays that training reads by patch.

One Zarr group a case, written into a temporary folder and renamed when whole.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from scipy import ndimage

from hnseg.errors import WorkDirError
from hnseg.images.geometry import Grid
from hnseg.locks import hold
from hnseg.preprocessing.image_versions import FINAL
from ssimh.files.atomic import name_in_errors

CHUNK = 64
SCRATCH = ".writing-"
INDEX_NAMES = {1: "gtvp_index", 2: "gtvn_index"}
LESION_NAMES = {1: "gtvp_lesion", 2: "gtvn_lesion"}
HOT_NAME = "hot_index"
HOT_SHARE, HOT_KEPT = 0.005, 4096  # the hottest share of the background, and how many voxels of it are kept


@dataclass(frozen=True)
class PreparedCase:
    """A prepared case, opened; arrays are read when asked for.

    Attributes:
        id: Str.
        record: Contents of ``case.json``.
        version: Of the image that is read, see :mod:`hnseg.preprocessing.image_versions`.
    """

    id: str
    record: dict[str, Any]
    _group: Any
    version: str = FINAL

    @property
    def image(self) -> Any:
        """(2, z, y, x) float16 Zarr array: CT, PET, normalized to (0, 1); the fold's own version where there is one."""
        name = array_name(self.version)
        return self._group[name if name in self._group else array_name(FINAL)]

    @property
    def label(self) -> Any | None:
        """(z, y, x) uint8 Zarr array, or None for a case without a label."""
        return self._group.get("label")

    def lesion_index(self, value: int) -> NDArray[np.int64]:
        """Flat voxel indices of a class (1 GTVp, 2 GTVn); empty where the class is absent or there is no label."""
        name = INDEX_NAMES[value]
        found: NDArray[np.int64] = self._group[name][:] if name in self._group else np.empty(0, np.int64)
        return found

    def lesion_numbers(self, value: int) -> NDArray[np.int32]:
        """Which lesion, counted from 1, each voxel of ``lesion_index`` belongs to; lesions are 26-connected."""
        name = LESION_NAMES[value]
        found: NDArray[np.int32] = self._group[name][:] if name in self._group else np.empty(0, np.int32)
        return found

    def hot_index(self) -> NDArray[np.int64]:
        """Flat indices of voxels that are hot in PET and no lesion: brain, salivary glands, tonsils, …"""
        found: NDArray[np.int64] = self._group[HOT_NAME][:] if HOT_NAME in self._group else np.empty(0, np.int64)
        return found

    def grid(self, name: str) -> Grid:
        """A grid of the record: ``crop_grid``, ``ct_grid`` or ``pet_grid``."""
        return Grid(**self.record[name])


def array_name(version: str) -> str:
    """Name of the array that holds a version of the image."""
    return "image" if version == FINAL else f"image_{version}"


def write_case(
    folder: Path,
    images: Mapping[str, NDArray[np.float16]],
    label: NDArray[np.uint8] | None,
    record: Mapping[str, Any],
    draw_qc: Callable[[Path], None],
) -> None:
    """Write a prepared case to ``folder``, whole or not at all; replaces what is there.

    Waits while another process writes the same case.

    Args:
        folder: ``prepared/<ID>``.
        images: Versions of the image by name, each (2, z, y, x).
        label: (z, y, x), or None for a case without one.
        record: Content of ``case.json``.
        draw_qc: Called with the path of the picture to make.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = folder.parent / f"{SCRATCH}{folder.name}"
    lock = hold(folder.parent, folder.name, f"writing {folder.name}", wait=True)
    with lock, name_in_errors(folder):
        if scratch.exists():  # of a killed process, since this one holds the lock
            shutil.rmtree(scratch)
        try:
            (scratch / "new").mkdir(parents=True)
            _write_arrays(scratch / "new" / "data.zarr", images, label)
            draw_qc(scratch / "new" / "qc.png")
            text = json.dumps(record, indent=2, allow_nan=False) + "\n"
            (scratch / "new" / "case.json").write_text(text, encoding="utf-8")
            if folder.exists():
                os.replace(folder, scratch / "old")  # never half deleted under its own name
            os.replace(scratch / "new", folder)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def _write_arrays(path: Path, images: Mapping[str, NDArray[np.float16]], label: NDArray[np.uint8] | None) -> None:
    group = zarr.create_group(path)
    for version, image in images.items():
        group.create_array(array_name(version), data=image, chunks=(1, CHUNK, CHUNK, CHUNK))
    if label is not None:
        group.create_array("label", data=label, chunks=(CHUNK, CHUNK, CHUNK))
        for name, index in sampling_index(label, images[FINAL][1]).items():
            if index.size:
                group.create_array(name, data=index)


def sampling_index(label: NDArray[np.uint8], pet: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """What the sampler needs, so that training never scans a volume: voxels of lesions, their lesions, hot background.

    Args:
        label: Ndarray (z, y, x).
        pet (ndarray, same shape): In any unit.
    """
    found: dict[str, NDArray[Any]] = {}
    boxes = [*ndimage.find_objects(label, max_label=2), None, None]
    for value, name in INDEX_NAMES.items():
        index, lesion = np.empty(0, np.int64), np.empty(0, np.int32)
        box = boxes[value - 1]
        if box is not None:  # all of the class lies in it: the rest need not be labeled
            lesions, _ = ndimage.label(label[box] == value, structure=np.ones((3, 3, 3)))
            where = np.nonzero(lesions)
            lesion = lesions[where].astype(np.int32)
            places = tuple(axis + part.start for axis, part in zip(where, box, strict=True))
            index = np.ravel_multi_index(places, label.shape)
        found[name], found[LESION_NAMES[value]] = index, lesion
    background = label == 0
    uptake = pet[background]
    hot = np.empty(0, np.int64)
    if uptake.size:
        # The threshold from a sample of 100,000 voxels and more: to within 0.0003 of the share.
        threshold = np.quantile(uptake[:: max(1, uptake.size // 100_000)].astype(np.float32), 1 - HOT_SHARE)
        hot = np.flatnonzero(background & (pet >= threshold))
    found[HOT_NAME] = hot[:: max(1, -(-hot.size // HOT_KEPT))]
    return found


def open_case(folder: Path, version: str = FINAL) -> PreparedCase:
    """Open a prepared case; a version that was not kept apart is the final one.

    Raises:
        WorkDirError: The folder holds no prepared case.
    """
    record = folder / "case.json"
    if not record.is_file():
        raise WorkDirError(f"{folder} holds no prepared case: run `hnseg prepare` first")
    group = zarr.open_group(folder / "data.zarr", mode="r")
    return PreparedCase(folder.name, json.loads(record.read_text(encoding="utf-8")), group, version)
