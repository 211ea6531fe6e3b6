"""The cases of a fold, and a hash of what is in them."""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path

from hnseg.cohort.splits import load_splits
from hnseg.errors import WorkDirError
from hnseg.preprocessing.image_versions import fold_version
from hnseg.preprocessing.prepared_case import PreparedCase, open_case
from hnseg.provenance import sha256

_LOG = logging.getLogger(__name__)


def open_cases(work: Path, fold: int) -> tuple[list[PreparedCase], list[PreparedCase]]:
    """Training and validation cases of a fold; a case that prepare could not do is left out."""
    splits = load_splits(work)
    parts = []
    for ids in (splits.train_ids(fold), splits.folds[fold]):
        folders = [work / "prepared" / case_id for case_id in ids]
        parts.append([open_case(folder, fold_version(fold)) for folder in folders if folder.is_dir()])
    training, validation = parts
    if not training or not validation:
        raise WorkDirError(
            f"fold {fold} has {len(training)} prepared training and {len(validation)} validation cases in {work}; "
            "it needs at least one of each: run `hnseg prepare` first"
        )
    for value, name in ((1, "GTVp"), (2, "GTVn")):
        if not any(case.lesion_index(value).size for case in training):
            _LOG.warning("fold %d: no training case has a %s; the network learns what is there", fold, name)
    return training, validation


def data_digest(work: Path, cases: list[PreparedCase]) -> str:
    """Content hash of what a fold is trained on: the split, and the files and settings of every case."""
    parts = [f"splits {sha256(work / 'splits.json')}"]
    for case in sorted(cases, key=lambda case: case.id):
        files = {name: file["sha256"] for name, file in case.record["files"].items()}
        parts.append(json.dumps([case.id, case.record["settings"], files], sort_keys=True))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
