"""Two baseline masks: everything above SUV 4, and nothing."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hnseg.cohort.cases import Case
from hnseg.cohort.labels import GTVN, GTVP
from hnseg.cohort.suv import read_suv
from hnseg.errors import CaseError
from hnseg.images.components import connected_components
from hnseg.images.image_io import write_image
from hnseg.images.resample import resample
from hnseg.inference.restore import restore_label
from hnseg.parallel import map_processes
from hnseg.preprocessing.case_key import case_key
from hnseg.preprocessing.crop.find_box import brain_in_box
from hnseg.preprocessing.prepared_case import PreparedCase
from hnseg.preprocessing.prepared_cohort import PreparedCohort, open_cohort
from hnseg.progress import ProgressCallback, no_progress
from ssimh.files.artifact_cache import ArtifactCache, content_of

BASELINE_SUV = 4.0
COMPUTATION = 1  # of the same settings: one more makes every run write its baselines again


def threshold_baseline(
    pet_suv: NDArray[np.floating],
    *,
    brain: NDArray[np.bool_] | None,
    voxel_ml: float,
    threshold_suv: float = 4.0,
    max_nodes: int = 4,
    min_ml: float = 0.2,
) -> NDArray[np.uint8]:
    """Everything that takes up much FDG: the largest component is called GTVp, the following ones GTVn.

    Args:
        pet_suv: (z, y, x) Body-weight SUV.
        brain: (z, y, x) Where the brain is. A component that touches it is left out, so that the baseline is no straw
            man: the brain is the largest hot component of nearly every scan. None: nothing is left out.
        voxel_ml: Volume of a voxel, > 0.
        threshold_suv: Strictly above this value (4 separates most tumors from most normal tissue).
        max_nodes: Components called GTVn at most, ≥ 0.
        min_ml: Components smaller than this are dropped, ≥ 0.

    Returns:
        (z, y, x) 0 background, 1 GTVp, 2 GTVn; 26-connected components, equal sizes in scan order.

    Raises:
        ValueError: Arrays of different shape, or a number out of range.

    >>> pet = np.zeros((1, 1, 9)); pet[..., :3] = 5; pet[..., 4:6] = 9; pet[..., 7] = 4
    >>> threshold_baseline(pet, brain=None, voxel_ml=0.1)[0, 0].tolist()
    [1, 1, 1, 0, 2, 2, 0, 0, 0]
    """
    if pet_suv.ndim != 3 or (brain is not None and brain.shape != pet_suv.shape):
        given = None if brain is None else brain.shape
        raise ValueError(f"PET and brain mask are (z, y, x) on one grid; got {pet_suv.shape} and {given}")
    if not voxel_ml > 0 or max_nodes < 0 or not min_ml >= 0:
        given_numbers = f"voxel_ml {voxel_ml}, max_nodes {max_nodes}, min_ml {min_ml}"
        raise ValueError(f"voxel_ml must be > 0, max_nodes and min_ml ≥ 0; got {given_numbers}")
    parts = connected_components(pet_suv > threshold_suv)
    keep = parts.sizes_vox * voxel_ml >= min_ml * (1 - 1e-9)
    if brain is not None:
        touched = np.unique(parts.labels[brain[parts.box]])
        keep[touched[touched > 0] - 1] = False
    ranked = sorted(np.flatnonzero(keep), key=lambda k: -int(parts.sizes_vox[k]))[: 1 + max_nodes]
    values = np.zeros(len(parts) + 1, np.uint8)
    for rank, k in enumerate(ranked):
        values[k + 1] = GTVP if rank == 0 else GTVN
    label = np.zeros(pet_suv.shape, np.uint8)
    label[parts.box] = values[parts.labels]
    return label


def empty_baseline(shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """No tumor anywhere: zeros of a shape (z, y, x)."""
    return np.zeros(shape, np.uint8)


def predict_baselines(work: Path, *, jobs: int = 1, progress: ProgressCallback = no_progress) -> None:
    """Write the masks that a model has to beat: ``baselines/threshold`` and ``baselines/empty``.

    The threshold baseline sees the same crop box as the network, and need not distinguish the brain from a tumor: it
    marks everything above SUV 4 in the box but the brain, the largest component as GTVp, the next ones as GTVn. A case
    that is not prepared, or is out of date, is left out, as :func:`hnseg.inference.predict_cohort.predict_cohort`
    reports. Masks that were edited are made again.

    Args:
        work: With prepared cases.
        jobs: Processes.
        progress: Called after each test case, in any order.
    """
    cohort = open_cohort(work)
    tests = cohort.splits.test
    made = map_processes(functools.partial(_predict_case, cohort), tests, jobs, ordered=False)
    for done, case_id in enumerate(made, start=1):
        progress(done, len(tests), case_id)


def _predict_case(cohort: PreparedCohort, case_id: str) -> str:
    case = cohort.cases[case_id].as_case()
    try:
        prepared = cohort.open_case(case_id)
    except CaseError:
        return case_id
    cache = _baseline_cache(cohort.work, case, prepared)
    cache.get(functools.partial(_write_baselines, case, prepared, cache.outputs))
    return case_id


def _baseline_cache(work: Path, case: Case, prepared: PreparedCase) -> ArtifactCache:
    settings = {"computation": COMPUTATION, "threshold_suv": BASELINE_SUV}
    key = case_key(case, {**settings, "prepared": content_of(prepared.record.made_from)}, label=False)
    home = work / "baselines"
    outputs = {name: home / name / f"{case.id}.nii.gz" for name in ("threshold", "empty")}
    return ArtifactCache(home / f"{case.id}.json", key, outputs)


def _write_baselines(case: Case, prepared: PreparedCase, paths: Mapping[str, Path]) -> dict[str, str]:
    record = prepared.record
    pet = read_suv(case)
    suv = resample(pet.suv, record.pet_grid, record.crop_grid, outside=0.0)  # after registration
    brain = None if record.crop.fallback else brain_in_box(suv)
    marked = threshold_baseline(suv, brain=brain, voxel_ml=record.crop_grid.voxel_ml, threshold_suv=BASELINE_SUV)
    ct_grid = record.ct_grid
    write_image(paths["threshold"], restore_label(marked, record.crop_grid, ct_grid), ct_grid)
    write_image(paths["empty"], empty_baseline(ct_grid.shape), ct_grid)
    return {}
