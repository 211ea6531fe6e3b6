"""Predict: from a prepared case to a mask on its CT grid, and the two baselines beside it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hnseg.baselines import empty_baseline, threshold_baseline
from hnseg.cases import Case
from hnseg.cohort import load_check
from hnseg.config import Config
from hnseg.crop import brain_in_box
from hnseg.device import open_device
from hnseg.ensemble import ensemble_logits, find_models
from hnseg.geometry import Grid
from hnseg.harmonizer_store import load_harmonizer
from hnseg.images import read_image, write_image
from hnseg.postprocess import apply_distance_prior, remove_islands
from hnseg.preprocess import prepare_case
from hnseg.progress import Report, silent
from hnseg.provenance import versions
from hnseg.resample import resample
from hnseg.restore import restore_label, restore_probabilities
from hnseg.splits import load_splits
from hnseg.store import PreparedCase, open_case
from hnseg.workdir import load_config, write_json

BASELINE_SUV = 4.0


def predict_cohort(work: Path, *, device: str = "auto", progress: Report = silent) -> list[Path]:
    """Predict the test cases of a work directory with the ensemble; cases already predicted are left alone.

    Returns
    -------
    list of Path
        ``predictions/<ID>.nii.gz``: uint8 on the CT grid, 1 GTVp, 2 GTVn.

    Raises
    ------
    WorkDirError
        A fold is untrained or a test case unprepared.
    """
    config = load_config(work)
    models = find_models(work, config)
    fabric = open_device(device, config.train.precision)
    paths: list[Path] = []
    tests = load_splits(work).test
    for case_id in tests:
        path = work / "predictions" / f"{case_id}.nii.gz"
        # The record is written last: a mask without it was interrupted between the two.
        if not (path.is_file() and path.with_name(f"{case_id}.json").is_file()):
            _predict_case(open_case(work / "prepared" / case_id), models, config, fabric, path)
        paths.append(path)
        progress(len(paths), len(tests), case_id)
    return paths


def predict_pair(work: Path, ct: Path, pet: Path, out: Path, *, device: str = "auto") -> Path:
    """Predict one CT (HU) and PET (SUV) pair from files with the models of a work directory.

    Raises
    ------
    CaseError
        The images cannot be used; nothing is written.
    """
    config = load_config(work)
    models = find_models(work, config)
    case = Case(ct.name.split(".")[0], ct, pet, None)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / case.id
        prepare_case(case, config.prepare, folder, load_harmonizer(work), is_new=True)
        _predict_case(open_case(folder), models, config, open_device(device, config.train.precision), out)
    return out


def _predict_case(case: PreparedCase, models: list[Path], config: Config, fabric: Any, path: Path) -> None:
    logits = ensemble_logits(models, torch.from_numpy(case.image[:]), config, fabric)
    probabilities = logits.softmax(dim=0).numpy()
    ct_grid = case.grid("ct_grid")
    raw = restore_probabilities(probabilities, case.grid("crop_grid"), ct_grid)
    mask, removed = postprocess(raw, ct_grid, config)
    write_image(path, mask, ct_grid)
    record = {
        "models": [str(model.relative_to(model.parents[2])) for model in models],
        "removed": removed,
        "gtvp_ml": round(float((mask == 1).sum()) * ct_grid.voxel_ml, 3),
        "gtvn_ml": round(float((mask == 2).sum()) * ct_grid.voxel_ml, 3),
        "versions": versions(),
    }
    write_json(path.with_name(path.name.removesuffix(".nii.gz") + ".json"), record)


def postprocess(mask: NDArray[np.uint8], grid: Grid, config: Config) -> tuple[NDArray[np.uint8], list[dict[str, Any]]]:
    """Island removal, then the distance prior, with the run's settings; returns the mask and what was removed."""
    predict = config.predict
    least = {1: predict.min_gtvp_ml, 2: predict.min_gtvn_ml}
    kept, islands = remove_islands(mask, min_ml=least, voxel_ml=grid.voxel_ml)
    kept, far = apply_distance_prior(
        kept, max_distance_mm=predict.max_node_distance_mm, spacing_zyx_mm=grid.spacing_zyx_mm
    )
    return kept, [*islands, *far]


def predict_baselines(work: Path, *, progress: Report = silent) -> None:
    """Write the masks that a model has to beat: ``baselines/threshold`` and ``baselines/empty``.

    The threshold baseline sees the same crop box as the network, and is not asked to tell the brain from a tumour:
    it marks everything above SUV 4 in the box but the brain, the largest component as GTVp, the next ones as GTVn.
    """
    cases = {checked.id: checked.as_case() for checked in load_check(work).cases}
    tests = load_splits(work).test
    for done, case_id in enumerate(tests, start=1):
        paths = {name: work / "baselines" / name / f"{case_id}.nii.gz" for name in ("threshold", "empty")}
        if not all(path.is_file() for path in paths.values()):
            prepared = open_case(work / "prepared" / case_id)
            crop_grid, ct_grid = prepared.grid("crop_grid"), prepared.grid("ct_grid")
            pet, pet_grid = read_image(cases[case_id].pet, case_id)
            suv = resample(pet, pet_grid, crop_grid, outside=0.0)
            brain = None if prepared.record["crop"]["fallback"] else brain_in_box(suv)
            marked = threshold_baseline(suv, brain=brain, voxel_ml=crop_grid.voxel_ml, threshold_suv=BASELINE_SUV)
            write_image(paths["threshold"], restore_label(marked, crop_grid, ct_grid), ct_grid)
            write_image(paths["empty"], empty_baseline(ct_grid.shape), ct_grid)
        progress(done, len(tests), case_id)
