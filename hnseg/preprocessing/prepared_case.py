"""Prepared cases on disk: chunked, compressed arrays that training reads by patch.

One Zarr group and one record a case, written into a temporary folder and renamed when whole. A case that cannot be
prepared has a folder, too: it holds ``failed.json``, which says why, and nothing else.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy import ndimage

from hnseg.errors import WorkDirError
from hnseg.images.geometry import Grid
from hnseg.images.registration import Alignment
from hnseg.locks import hold
from hnseg.preprocessing.crop.box import Crop
from hnseg.preprocessing.harmonization import HarmonizationRecord
from hnseg.preprocessing.image_versions import FINAL
from hnseg.workdir import KeptRecord, read_record
from ssimh.files.atomic import name_in_errors

CHUNK = 64
SCRATCH = ".writing-"
RECORD, FAILURE, ARRAYS = "case.json", "failed.json", "data.zarr"
INDEX_NAMES = {1: "gtvp_index", 2: "gtvn_index"}
LESION_NAMES = {1: "gtvp_lesion", 2: "gtvn_lesion"}
HOT_NAME = "hot_index"
HOT_SHARE, HOT_KEPT = 0.005, 4096  # the hottest share of the background, and how many voxels of it are kept


class NormalizationRecord(BaseModel):
    """Mean and standard deviation of the PET over the crop, in SUV."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pet_mean_suv: float
    pet_sd_suv: float


class CaseRecord(KeptRecord):
    """``case.json``: everything about a prepared case but its arrays.

    Attributes:
        id, center: The case.
        ct_grid, pet_grid: Where the images lie; the PET's after a registration, if there was one.
        suv_factor: By which the PET file's values were multiplied; 1 where they were in SUV.
        crop_grid: Where the arrays lie.
        crop: How the box was found.
        alignment: How far PET lies off the CT; None where it was not measured.
        harmonization, normalization: What was done to the values.
        label_outside_box_ml: Volume of the label that the box cuts off.
        versions: Of the packages that change numbers.
        made_from: Case, files, settings, harmonizer and version of the computation.
    """

    id: str
    center: str
    ct_grid: Grid
    pet_grid: Grid
    suv_factor: float
    crop_grid: Grid
    crop: Crop
    alignment: Alignment | None
    harmonization: HarmonizationRecord
    normalization: NormalizationRecord
    label_outside_box_ml: float
    versions: dict[str, str]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready form, without fields that nobody has set."""
        return self.model_dump(mode="json", exclude_unset=True)


class FailureRecord(KeptRecord):
    """``failed.json``: why a case could not be prepared from these files with these settings."""

    reason: str


@dataclass(frozen=True)
class PreparedCase:
    """A prepared case, opened; arrays are read when asked for.

    Attributes:
        id: Name of the case.
        record: Contents of ``case.json``.
        version: Of the image that is read, see :mod:`hnseg.preprocessing.image_versions`.
    """

    id: str
    record: CaseRecord
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
        folder: Of the case.
        images: (2, z, y, x) by version, see :mod:`hnseg.preprocessing.image_versions`.
        label: (z, y, x), values 0, 1, 2; None for a case without a label.
        record: JSON-ready, see :class:`CaseRecord`.
        draw_qc: Called with the path of the picture to make.
    """
    with _replace(folder) as new:
        _write_arrays(new / ARRAYS, images, label)
        draw_qc(new / "qc.png")
        _write_record(new / RECORD, record)


def link_case(source: Path, folder: Path) -> None:
    """Let ``folder`` be the prepared case in ``source``: a folder of its own, whose files are the same ones on disk.

    Args:
        source: A prepared case, on the same file system; it may be replaced at any time.
        folder: Of the case; what is there is replaced.

    Raises:
        WorkDirError: ``source`` was replaced meanwhile.
        OSError: The file system has no hard links, or is another one.
    """
    with _replace(folder) as new:
        before = source.stat().st_ino
        for place, _, names in os.walk(source):
            target = new / Path(place).relative_to(source)
            target.mkdir(exist_ok=True)
            for name in names:
                os.link(Path(place) / name, target / name)
        if source.stat().st_ino != before:
            raise WorkDirError(f"{source} was prepared again meanwhile: repeat the command")


def write_failure(folder: Path, record: Mapping[str, Any]) -> None:
    """Put the reason why a case could not be prepared in the place of what was prepared of it before.

    Args:
        folder: Of the case.
        record: JSON-ready, see :class:`FailureRecord`.
    """
    with _replace(folder) as new:
        _write_record(new / FAILURE, record)


def _write_record(path: Path, record: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(record, indent=2, allow_nan=False) + "\n", encoding="utf-8")


@contextmanager
def _replace(folder: Path) -> Iterator[Path]:
    """A new folder, which takes the place of ``folder`` when the block ends well; one process at a time."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = folder.parent / f"{SCRATCH}{folder.name}"
    lock = hold(folder.parent, folder.name, f"writing {folder.name}", wait=True)
    with lock, name_in_errors(folder):
        if scratch.exists():  # of a killed process, since this one holds the lock
            shutil.rmtree(scratch)
        try:
            (scratch / "new").mkdir(parents=True)
            yield scratch / "new"
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
        label: (z, y, x), values 0, 1, 2.
        pet: Same shape, in any unit.

    Returns:
        The arrays by the names they are stored under.
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
    """Open a prepared case, whatever it was made from; :mod:`hnseg.preprocessing.prepared_cohort` asks for that.

    Args:
        folder: Of the case.
        version: Of the image; a version that was not kept apart is the final one.

    Raises:
        WorkDirError: The folder holds no prepared case, or one that is damaged.
    """
    path = folder / RECORD
    if not path.is_file():
        raise WorkDirError(f"{folder} holds no prepared case: run `hnseg prepare` first")
    record = read_record(path, CaseRecord, "prepare")
    try:
        group = zarr.open_group(folder / ARRAYS, mode="r", zarr_format=3)
        if array_name(FINAL) not in group:
            raise KeyError(array_name(FINAL))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WorkDirError(f"{folder / ARRAYS} is damaged ({error}): remove {folder}, run `hnseg prepare`") from error
    return PreparedCase(folder.name, record, group, version)
