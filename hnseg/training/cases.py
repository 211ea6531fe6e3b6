"""The cases of a fold, and a hash of their contents."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hnseg.cohort.labels import LESION_CLASSES
from hnseg.cohort.splits import Splits
from hnseg.errors import WorkDirError
from hnseg.preprocessing.image_versions import fold_version
from hnseg.preprocessing.prepared_case import PreparedCase
from hnseg.preprocessing.prepared_cohort import open_cohort
from hnseg.workdir import load_config
from ssimh.files.artifact_cache import content_of

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class FoldCases:
    """What a fold is trained and validated on.

    Attributes:
        training, validation: Prepared cases, in the fold's own version of the image.
        splits: Split of the run.
        preparation: What all prepared cases depend on, see
            :func:`hnseg.preprocessing.prepare_case.preparation_key`.
    """

    training: list[PreparedCase]
    validation: list[PreparedCase]
    splits: Splits
    preparation: Mapping[str, object]

    @property
    def digest(self) -> str:
        """Content hash of the split and of what every case was made from."""
        return data_digest(self.splits, [*self.training, *self.validation])


def open_cases(work: Path, fold: int) -> FoldCases:
    """Open the training and validation cases of a fold; those that cannot be prepared are left out with a warning.

    Raises:
        CaseError: A case is not prepared yet, or is out of date.
        WorkDirError: The fold has no training or no validation case.
    """
    cohort = open_cohort(work)
    version = fold_version(fold)
    training = cohort.open_cases(cohort.splits.train_ids(fold), version)
    validation = cohort.open_cases(cohort.splits.folds[fold], version)
    if not training or not validation:
        raise WorkDirError(
            f"fold {fold} has {len(training)} prepared training and {len(validation)} validation cases in {work}; "
            "it needs at least one of each: run `hnseg prepare` first"
        )
    for lesion_class in LESION_CLASSES:
        if not any(case.lesion_index(lesion_class.value).size for case in training):
            name = lesion_class.name
            _LOG.warning("fold %d: no training case has a %s; the network learns what is there", fold, name)
    if load_config(work).train.hard_negatives > 0:
        for case in training:
            if not case.hot_index().size:
                _LOG.warning(
                    "fold %d: %s has no voxel outside lesions; its background patches lie anywhere", fold, case.id
                )
    return FoldCases(training, validation, cohort.splits, cohort.preparation)


def data_digest(splits: Splits, cases: Iterable[PreparedCase]) -> str:
    """Content hash of what a fold is trained on: the split, and what every case was made from."""
    parts = [splits.digest]
    for case in sorted(cases, key=lambda case: case.id):
        parts.append(json.dumps([case.id, content_of(case.record.made_from)], sort_keys=True))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
