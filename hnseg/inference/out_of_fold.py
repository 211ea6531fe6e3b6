"""Out-of-fold masks: every training case, predicted by the one network that has not seen it.

    hnseg tune WORK          # makes them, then chooses the post-processing by them

They are what validation can be scored by on the CT grid, as the test cases are, and what post-processing may be chosen
by. Two copies are kept: ``out_of_fold/raw/<ID>.nii.gz`` as the network says, and ``out_of_fold/<ID>.nii.gz`` after
post-processing with the run's settings. The reference subject of the harmonization is in no validation part and has
none. The network's epoch was picked on these same cases, so scores of them are a little too good.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from hnseg.cohort.labels import read_label
from hnseg.cohort.splits import load_splits
from hnseg.config import Config
from hnseg.errors import WorkDirError
from hnseg.images.image_io import write_image
from hnseg.inference.ensemble import ensemble_logits, find_models, verify_models
from hnseg.inference.postprocess import SETTINGS, postprocess_label
from hnseg.inference.restore import restore_probabilities
from hnseg.models.device import open_device
from hnseg.preprocessing.image_versions import fold_version
from hnseg.preprocessing.prepared_case import PreparedCase, open_case
from hnseg.progress import ProgressCallback, no_progress
from hnseg.provenance import sha256, versions
from hnseg.workdir import load_config, read_json, write_json

FOLDER = "out_of_fold"


def predict_out_of_fold(work: Path, *, device: str = "auto", progress: ProgressCallback = no_progress) -> list[str]:
    """Predict every fold's validation cases with that fold's network, before post-processing.

    A mask made by the same network from the same prepared case with the same windows is left alone.

    Returns:
        The cases, sorted. A case that prepare could not do is not among them.

    Raises:
        WorkDirError: A fold is untrained, a model is damaged, or no validation case is prepared.
    """
    config = load_config(work)
    models = find_models(work)
    verify_models(models, config.train)
    fabric = open_device(device, config.train.precision)
    todo = [
        (fold, case_id)
        for fold, ids in enumerate(load_splits(work).folds)
        for case_id in ids
        if (work / "prepared" / case_id).is_dir()
    ]
    if not todo:
        raise WorkDirError(f"no validation case is prepared in {work}: run `hnseg prepare` first")
    weights = {fold: sha256(models[fold]) for fold in sorted({fold for fold, _ in todo})}
    for done, (fold, case_id) in enumerate(todo, start=1):
        case = open_case(work / "prepared" / case_id, fold_version(fold))
        path = work / FOLDER / "raw" / f"{case_id}.nii.gz"
        made_from = {
            "fold": fold,
            "model": str(models[fold].relative_to(work)),
            "model_sha256": weights[fold],
            "prepared": case.record["settings"],
            "inference": config.predict.model_dump(mode="json", exclude=set(SETTINGS)),
        }
        if not _is_current(path, made_from):
            (work / FOLDER / "cases.json").unlink(missing_ok=True)  # what lies there is no longer whole
            _predict_case(case, models[fold], config, fabric, path)
            write_json(_record_path(path), {**made_from, "versions": versions()})
        progress(done, len(todo), f"fold {fold}, {case_id}")
    return sorted(case_id for _, case_id in todo)


def postprocess_out_of_fold(work: Path, cases: list[str]) -> None:
    """Write the masks that are scored: post-processed with the run's settings, tuned ones included."""
    settings = load_config(work).predict
    (work / FOLDER / "cases.json").unlink(missing_ok=True)
    for case_id in cases:
        raw, grid = read_label(work / FOLDER / "raw" / f"{case_id}.nii.gz", case_id)
        mask, removed = postprocess_label(raw, grid.spacing_zyx_mm, settings)
        path = work / FOLDER / f"{case_id}.nii.gz"
        write_image(path, mask, grid)
        write_json(_record_path(path), {"removed": removed})
    write_json(
        work / FOLDER / "cases.json",
        {"cases": cases, "settings": settings.model_dump(mode="json", include=set(SETTINGS))},
    )


def _predict_case(case: PreparedCase, model: Path, config: Config, fabric: Any, path: Path) -> None:
    logits = ensemble_logits([model], torch.from_numpy(case.image[:]), config, fabric)
    ct_grid = case.grid("ct_grid")
    mask = restore_probabilities(logits.softmax(dim=0).numpy(), case.grid("crop_grid"), ct_grid)
    write_image(path, mask, ct_grid)


def _is_current(path: Path, made_from: dict[str, Any]) -> bool:
    record = _record_path(path)
    if not path.is_file() or not record.is_file():  # the record is written last
        return False
    try:
        known = read_json(record, "tune")
    except json.JSONDecodeError:
        return False
    return all(known.get(name) == value for name, value in made_from.items())


def _record_path(mask: Path) -> Path:
    return mask.with_name(mask.name.removesuffix(".nii.gz") + ".json")
