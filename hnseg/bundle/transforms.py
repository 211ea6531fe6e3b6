"""Transforms of the bundle: from the paths of a case to the network's input, and from its logits to the mask's file.

A sample is a dictionary: ``ct`` and ``pet`` (paths), and optionally ``id`` (default: the CT's name up to its first dot)
and ``center`` (of those that trained, for ``spectrum-align``).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from monai.transforms import Transform

from hnseg.bundle.fold_ensemble import find_tiling
from hnseg.cohort.cases import SAFE_ID, Case
from hnseg.errors import OptionError
from hnseg.inference.mask_files import MaskFiles, write_mask
from hnseg.inference.mask_outputs import MASK_SUFFIX, check_pair_outputs
from hnseg.inference.predict_case import Segmentation, Segmenter
from hnseg.inference.predict_cohort import check_center, mask_cache
from hnseg.preprocessing.harmonizer_store import cached_harmonizer
from hnseg.preprocessing.image_versions import FINAL
from hnseg.preprocessing.prepare_case import preprocess_case
from hnseg.preprocessing.prepared_case import CaseRecord

Sample = dict[str, Any]  # MONAI's dictionary of a case


class PrepareCased(Transform):
    """Crop, resample, harmonize and normalize a case, as ``hnseg predict`` does.

    Adds ``image``, (2, z, y, x) float16, CT and PET on the crop grid; and ``prepared``, its grids and its history.

    Args:
        bundle_root: The bundle.
        segmenter: Opened on it.
        dataset_dir: Folder that relative paths of CT and PET are in.
    """

    def __init__(self, bundle_root: str | Path, segmenter: Segmenter, dataset_dir: str | Path = ".") -> None:
        self.work, self.segmenter, self.dataset_dir = Path(bundle_root), segmenter, Path(dataset_dir)

    def __call__(self, data: Sample) -> Sample:
        """Prepare one sample.

        Raises:
            CaseError: The case cannot be prepared.
            OptionError: CT or PET is not named, or the run does not use or does not know the center.
        """
        case = make_case(data, self.dataset_dir)
        if data.get("center"):
            check_center(self.work, case.center)
        harmonizer = cached_harmonizer(self.work, str(self.segmenter.preparation["harmonizer"]))
        made = preprocess_case(case, self.segmenter.config.prepare, harmonizer, is_new=True)
        return {**data, "image": torch.from_numpy(made.images[FINAL]), "prepared": made.record}


class RestoreMaskd(Transform):
    """Bring logits back to the CT grid, decide the class of each voxel, and remove what post-processing removes.

    ``pred``, logits (3, z, y, x) on the crop grid, becomes the mask (1, z, y, x), uint8 on the CT grid: 0 background,
    1 GTVp, 2 GTVn. Adds ``segmentation`` with what was removed and why.

    Args:
        segmenter: Opened on the bundle.
    """

    def __init__(self, segmenter: Segmenter) -> None:
        self.segmenter = segmenter

    def __call__(self, data: Sample) -> Sample:
        """Restore one sample, which :class:`PrepareCased` has prepared."""
        logits, prepared = data["pred"], data["prepared"]
        mask, removed = self.segmenter.make_mask(logits, prepared.crop_grid, prepared.ct_grid)
        tiling = find_tiling(self.segmenter, logits)
        segmentation = Segmentation(mask, removed, None, len(self.segmenter.models), tiling)
        return {**data, "pred": torch.from_numpy(mask)[None], "segmentation": segmentation}


class SaveMaskd(Transform):
    """Write the mask as ``<ID>.nii.gz``, with the record of ``hnseg predict`` beside it; adds ``mask``, its path.

    Args:
        bundle_root: The bundle; nothing is written into it.
        segmenter: Opened on it.
        output_dir: Folder of the masks.
        dataset_dir: As of :class:`PrepareCased`.
    """

    def __init__(
        self, bundle_root: str | Path, segmenter: Segmenter, output_dir: str | Path, dataset_dir: str | Path = "."
    ) -> None:
        if not str(output_dir):
            raise OptionError("output_dir is not given: name a folder for the masks, outside the bundle")
        self.work, self.segmenter, self.output_dir = Path(bundle_root), segmenter, Path(output_dir)
        self.dataset_dir = Path(dataset_dir)

    def check_outputs(self, samples: Sequence[Sample]) -> None:
        """Refuse the outputs of all samples before the first one is predicted.

        Raises:
            OptionError: CT or PET of one is not named, or two have the same ID.
            OutputPathError: As :func:`hnseg.inference.mask_outputs.check_pair_outputs`.
        """
        cases = [make_case(sample, self.dataset_dir) for sample in samples]
        for number, case in enumerate(cases):
            if case.id in {earlier.id for earlier in cases[:number]}:
                raise OptionError(f"two samples have the id {case.id!r}: give each its own `id`, that names its mask")
            files = [path for path in (case.ct, case.pet) if path is not None]
            check_pair_outputs(self.work, self._files(case).mask, files, disagreement=False)

    def __call__(self, data: Sample) -> Sample:
        """Write one sample, which :class:`RestoreMaskd` has restored."""
        case = make_case(data, self.dataset_dir)
        prepared: CaseRecord = data["prepared"]
        files = self._files(case)
        files.mask.parent.mkdir(parents=True, exist_ok=True)
        cache = mask_cache(self.segmenter, case, files)
        write_mask(cache, data["segmentation"], prepared.ct_grid, self.segmenter.model_hashes, prepared)
        return {**data, "mask": files.mask}

    def _files(self, case: Case) -> MaskFiles:
        return MaskFiles(self.output_dir / f"{case.id}{MASK_SUFFIX}")


def make_case(sample: Sample, dataset_dir: Path) -> Case:
    """The case of a sample.

    Raises:
        OptionError: CT or PET is not named, or the ID cannot name a file.
    """
    for name in ("ct", "pet"):
        if not sample.get(name):
            raise OptionError(f"{name} is not given: name the {name.upper()}'s file (CT in HU, PET in SUV)")
    ct, pet = (dataset_dir / str(sample[name]) for name in ("ct", "pet"))
    name = str(sample.get("id") or ct.name.split(".")[0])
    if not SAFE_ID.fullmatch(name):
        raise OptionError(f"id {name!r}: letters, digits, '.', '_' and '-' only; it names the mask's file")
    return Case(name, ct, pet, None, str(sample.get("center") or ""))
