"""Sites of a cohort: the training cases of each center, for every version of the prepared cases."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import reduce
from operator import add

import ssimh
from hnseg.cohort.splits import Splits
from hnseg.preprocessing.image_versions import FINAL, fold_version

ORIENTATION = "SPL"  # of a crop's axes (z, y, x): towards the head, the back, the left
Sites = Mapping[str, Mapping[str, ssimh.SiteSpectrum]]
"""Sites by version (:mod:`hnseg.preprocessing.image_versions`) and center."""


def group_sites(splits: Splits, centers: Mapping[str, str], subjects: Mapping[str, ssimh.SiteSpectrum]) -> Sites:
    """Sites of the training cases alone: those of each fold, and of all folds together for the final version.

    Args:
        splits: Who trains, validates and tests.
        centers: Center of every case of the run, by case ID.
        subjects: One row per case that a site may be made of, by case ID; a case without a row is left out.
    """
    folds = range(len(splits.folds))
    training: dict[str, list[str]] = {FINAL: sorted(set().union(*map(splits.train_ids, folds)))}
    training |= {fold_version(fold): splits.train_ids(fold) for fold in folds}
    found: dict[str, dict[str, ssimh.SiteSpectrum]] = {}
    for version, ids in training.items():
        rows: dict[str, list[ssimh.SiteSpectrum]] = {}
        for case_id in ids:
            if case_id in subjects:
                rows.setdefault(centers[case_id], []).append(subjects[case_id])
        found[version] = {center: reduce(add, parts) for center, parts in rows.items()}
    return found


def hash_sites(sites: Sites) -> str:
    """Content hash of the sites of all versions."""
    parts = [f"{version}:{center}:{site.content_hash}" for version in sites for center, site in
             sorted(sites[version].items())]  # fmt: skip
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
