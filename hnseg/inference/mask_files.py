"""A mask, its record and its map of disagreement on disk: when they are current, and when they must not be replaced."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from hnseg.cohort.labels import GTVN, GTVP
from hnseg.errors import CaseError
from hnseg.images.geometry import Grid
from hnseg.images.image_io import write_image
from hnseg.inference.mask_outputs import disagreement_path, record_path
from hnseg.inference.postprocess import Removal
from hnseg.inference.predict_case import Segmentation
from hnseg.preprocessing.crop.box import Crop
from hnseg.preprocessing.harmonization import HarmonizationRecord
from hnseg.preprocessing.prepared_case import CaseRecord
from hnseg.provenance import versions
from hnseg.workdir import KeptRecord
from ssimh.files.artifact_cache import ArtifactCache


class Windows(BaseModel):
    """The windows of a prediction: lengths in voxels, how many, and network voxels per voxel of the crop."""

    window_zyx_vox: tuple[int, int, int]
    count: int
    cost: float


class MaskRecord(KeptRecord):
    """``predictions/<ID>.json``: how a mask came about.

    Attributes:
        models: That took part, relative to the work directory.
        removed: What post-processing removed and why.
        gtvp_ml, gtvn_ml: Volumes in the mask.
        windows: Of the network.
        versions: Of the packages that change numbers.
    """

    models: tuple[str, ...]
    removed: list[Removal]
    gtvp_ml: float
    gtvn_ml: float
    windows: Windows
    versions: dict[str, str]


class MaskFromFilesRecord(MaskRecord):
    """The record of a case that was predicted from its files: also how they were prepared."""

    center: str
    suv_factor: float
    crop: Crop
    harmonization: HarmonizationRecord


@dataclass(frozen=True)
class MaskFiles:
    """Paths of a mask and of what lies beside it.

    Attributes:
        mask: ``*.nii.gz``.
    """

    mask: Path

    @property
    def record(self) -> Path:
        """The record, written last."""
        return record_path(self.mask)

    @property
    def disagreement(self) -> Path:
        """The map of disagreement, of ``hnseg predict --disagreement``."""
        return disagreement_path(self.mask)

    def cache(self, key: Mapping[str, Any], *, disagreement: bool = False) -> ArtifactCache:
        """Whether the files are what would be made from ``key``."""
        outputs = {"mask": self.mask, **({"disagreement": self.disagreement} if disagreement else {})}
        return ArtifactCache(self.record, key, outputs)


def refuse_edited(cache: ArtifactCache, case_id: str) -> None:
    """Keep a mask that somebody has changed since it was written.

    Raises:
        CaseError: A file is another than the one that an intact record names.
    """
    for path in cache.edited_outputs():
        reason = "the file has been changed since it was predicted and is kept; remove or rename it to predict it again"
        raise CaseError(case_id, reason, path)


def write_mask(
    cache: ArtifactCache, result: Segmentation, grid: Grid, models: Iterable[str], prepared: CaseRecord | None = None
) -> None:
    """Write a result's files, and its record last.

    Args:
        cache: Of :meth:`MaskFiles.cache`.
        result: The mask, on ``grid``.
        grid: Of the CT.
        models: Names of all models; the first ``result.models`` took part.
        prepared: How the case was prepared, where that is in no file of its own.
    """
    cache.begin()
    write_image(cache.outputs["mask"], result.mask, grid)
    if result.mutual_information_bits is not None and "disagreement" in cache.outputs:
        write_image(cache.outputs["disagreement"], result.mutual_information_bits, grid)
    tiling = result.tiling
    record = MaskRecord(
        models=tuple(models)[: result.models],
        removed=result.removed,
        gtvp_ml=round(float((result.mask == GTVP).sum()) * grid.voxel_ml, 3),
        gtvn_ml=round(float((result.mask == GTVN).sum()) * grid.voxel_ml, 3),
        windows=Windows(window_zyx_vox=tiling.window, count=tiling.count, cost=round(tiling.cost, 3)),
        versions=versions(),
    )
    if prepared is not None:
        record = MaskFromFilesRecord(
            **{name: getattr(record, name) for name in record.model_fields_set},
            center=prepared.center,
            suv_factor=prepared.suv_factor,
            crop=prepared.crop,
            harmonization=prepared.harmonization,
        )
    cache.save(record.model_dump(mode="json", exclude_unset=True))
