"""Export: the part of a work directory that predicting new scans needs, and no more."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from hnseg.cohort.checked_cohort import CohortCheck, load_check, save_check
from hnseg.errors import WorkDirError
from hnseg.inference.ensemble import find_models, verify_models
from hnseg.models.checkpoint import load_checkpoint, save_checkpoint
from hnseg.preprocessing.harmonizer_store import REFERENCE_CT, REFERENCE_SPECTRUM, SITES, load_harmonizer
from hnseg.workdir import load_config, read_json, write_json


def export_models(work: Path, folder: Path) -> list[Path]:
    """Copy trained models with their settings and harmonization into a folder that ``predict`` takes for a run.

    Left behind are images, paths, lesion volumes, findings and the optimizers' states. Case IDs stay: they name the
    rows of the harmonization. With ``histogram-match`` the reference subject's CT, cropped, goes along.

    Args:
        work: With trained models.
        folder: New or empty.

    Returns:
        The models in ``folder``.

    Raises:
        WorkDirError: The run is not trained, a model is damaged, or the folder is not empty.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise WorkDirError(f"{folder} is not empty; choose a new folder")
    config = load_config(work)
    models = find_models(work)
    verify_models(models, config.train)
    load_harmonizer(work)  # complains if something of it is missing
    folder.mkdir(parents=True, exist_ok=True)
    for path in models:
        content = load_checkpoint(path, mapped=True)
        kept: dict[str, Any] = {n: content[n] for n in ("network", "config", "fold", "versions") if n in content}
        save_checkpoint(folder / path.relative_to(work), kept)
    for name in (REFERENCE_SPECTRUM, REFERENCE_CT):
        if (work / name).is_file():
            shutil.copyfile(work / name, folder / name)
    if (work / SITES).is_dir():
        shutil.copytree(work / SITES, folder / SITES)
    shutil.copyfile(work / "splits.json", folder / "splits.json")
    known = (
        replace(case, ct="", pet="", label=None, gtvp_ml=None, gtvn_ml=None, suv_factor=None)
        for case in load_check(work).cases
    )
    save_check(CohortCheck(tuple(known), ()), folder)
    write_json(folder / "run.json", {**read_json(work / "run.json", "check"), "data_root": ""})  # last: now it is whole
    return find_models(folder)
