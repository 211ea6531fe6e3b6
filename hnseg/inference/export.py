"""Export of the part of a work directory that predicting new scans needs."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hnseg.cohort.checked_cohort import CohortCheck, save_check
from hnseg.cohort.reference import drop_reference_folder
from hnseg.cohort.splits import load_split_cohort, save_splits
from hnseg.errors import OutputPathError, WorkDirError
from hnseg.inference.ensemble import check_models, find_models, hash_models, verify_models
from hnseg.inference.tuned_origin import check_tuned, tuned_key
from hnseg.models.checkpoint import load_checkpoint, save_checkpoint
from hnseg.models.model_origin import read_origin
from hnseg.outputs import is_inside
from hnseg.preprocessing.harmonizer_store import export_harmonizer
from hnseg.preprocessing.prepared_cohort import open_cohort
from hnseg.settings.train import TrainConfig
from hnseg.workdir import RunRecord, load_config, load_run_record, read_config, save_config, save_run_record


def export_models(work: Path, folder: Path) -> list[Path]:
    """Copy trained models with their settings and harmonization into a folder that ``predict`` takes for a run.

    Left behind are images; names, paths, dates and hashes of patients' files; lesion volumes, findings, scores, the
    machine, and the optimizers' states. Case IDs stay: the split and the rows of the harmonization are named by them.
    With ``histogram-match`` the reference subject's cropped CT is what the harmonization consists of, so it goes along.
    Of a reference file its content and its bare name go along.

    Args:
        work: With trained models.
        folder: New or empty.

    Returns:
        The models in ``folder``.

    Raises:
        OutputPathError: The folder is not empty, or it and ``work`` lie in each other.
        WorkDirError: The run is not trained to its end; a model is damaged or not one that the run would train now; or
            the harmonizer or the tuned settings belong to another split.
    """
    check_export_folder(work, folder)
    models = find_finished_models(work)
    cohort = open_cohort(work)
    folder.mkdir(parents=True, exist_ok=True)
    for path in models:
        content = load_checkpoint(path, mapped=True)
        origin = read_origin(content, path)
        init = None if origin.init is None else origin.init.model_copy(update={"file": ""})
        begun = drop_reference_folder(origin.config)
        kept = origin.model_copy(update={"init": init, "config": begun}).model_dump(mode="json")
        save_checkpoint(folder / path.relative_to(work), {"network": content["network"], "origin": kept})
    splits = load_split_cohort(work).splits
    save_splits(replace(splits, notes=()), folder)
    known = (
        replace(case, ct="", pet="", label=None, gtvp_ml=None, gtvn_ml=None, suv_factor=None)
        for case in cohort.cases.values()
    )
    save_check(CohortCheck(tuple(known), ()), folder)
    export_harmonizer(work, folder)
    save_config(drop_reference_folder(read_config(work)), folder)
    export_run(load_run_record(work), folder)  # last: now it is whole
    return find_models(folder)


def check_export_folder(work: Path, folder: Path) -> None:
    """Refuse a folder for an export before any work.

    Raises:
        OutputPathError: It is a file or not empty, it lies in the work directory, or the work directory in it.
    """
    if is_inside(folder, work) or is_inside(work, folder):
        raise OutputPathError(f"{folder} and the work directory {work} lie in each other; choose a folder outside it")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputPathError(f"{folder} is not empty; choose a new folder")


def find_finished_models(work: Path) -> list[Path]:
    """The models of a run whose training is finished, each read through once and compared with the run.

    Raises:
        WorkDirError: A fold is untrained or half-trained; a model is damaged, or not one that the run would train now;
            or the tuned settings were chosen with other models.
    """
    config, cohort = load_config(work), open_cohort(work)
    models = find_models(work)
    _check_finished(models, config.train)
    verify_models(models, config.train)
    check_models(models, config, cohort.splits, cohort.preparation)
    check_tuned(work, cohort.splits, hash_models(work, models))
    return models


def _check_finished(models: Sequence[Path], config: TrainConfig) -> None:
    """Refuse the best model so far of a fold that trains on, by the log beside it; an export has none, and is whole."""
    for path in models:
        if "history" not in load_checkpoint(path, mapped=True):
            continue
        log = path.with_name("log.csv")
        if not log.is_file():
            raise WorkDirError(f"{log} is missing, so that {path} may be half-trained: run `hnseg train` to its end")
        with log.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        if len(rows) < config.epochs and not (rows and rows[-1].get("stopped_early")):
            raise WorkDirError(
                f"{path} is half-trained, after {len(rows)} of {config.epochs} epochs: run `hnseg train` to its end"
            )


def export_run(record: RunRecord, folder: Path) -> None:
    """Write ``run.json`` of an export: tuned settings and versions, without the machine and the scores of tuning."""
    exported = find_models(folder)
    tuned = record.tuned
    if tuned is not None:
        splits = load_split_cohort(folder).splits
        made_from = tuned_key(splits, hash_models(folder, exported), read_config(folder).predict)
        tuned = tuned.model_copy(update={"made_from": made_from, "evidence": {}})
    provenance = {name: value for name, value in record.provenance.items() if name == "versions"}
    changes = {"data_root": "", "provenance": provenance, "tuned": tuned}
    save_run_record(record.model_copy(update=changes), folder)
