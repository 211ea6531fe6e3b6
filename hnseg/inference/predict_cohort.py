"""Predict: from raw CT and PET, or from a run's prepared test cases, to masks on the CT grid; and two baselines.

Beside each mask ``<ID>.nii.gz`` lies the record ``<ID>.json``, written last. It names what the mask was made from, and
a second call makes only what is missing or was made from something else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hnseg.cohort.cases import Case, discover_cases
from hnseg.cohort.checked_cohort import load_check
from hnseg.cohort.splits import load_splits
from hnseg.cohort.suv import read_suv
from hnseg.errors import CaseError, OptionError, WorkDirError
from hnseg.images.geometry import Grid
from hnseg.images.image_io import write_image
from hnseg.images.resample import resample
from hnseg.inference.baselines import empty_baseline, threshold_baseline
from hnseg.inference.mask_outputs import check_cohort_outputs, check_pair_outputs, disagreement_path, record_path
from hnseg.inference.predict_case import InferenceOptions, Segmentation, Segmenter, open_segmenter
from hnseg.inference.restore import restore_label
from hnseg.locks import hold, share_name
from hnseg.models.memory import is_out_of_memory
from hnseg.parallel import ParallelConfig, run_cases
from hnseg.preprocessing.crop.find_box import brain_in_box
from hnseg.preprocessing.harmonizer_store import cached_harmonizer, load_harmonizer
from hnseg.preprocessing.image_versions import FINAL
from hnseg.preprocessing.prepare_case import fingerprints, is_up_to_date, preprocess_case, settings_digest
from hnseg.preprocessing.prepared_case import open_case
from hnseg.progress import ProgressCallback, no_progress
from hnseg.provenance import sha256, versions
from hnseg.workdir import load_config, read_json, write_json

BASELINE_SUV = 4.0
RECORDED = ("settings", "files", "disagreement", "mask_sha256")  # what decides whether a mask is current
DEFAULTS = InferenceOptions()


def predict_cohort(
    work: Path,
    *,
    options: InferenceOptions = DEFAULTS,
    parallel: ParallelConfig | None = None,
    progress: ProgressCallback = no_progress,
) -> list[CaseError]:
    """Predict the test cases of a work directory into ``predictions/``, from their prepared form.

    Args:
        work: With prepared cases and trained models.
        options: How it is predicted.
        parallel: Where to run; one case after the other in this process without it.
        progress: Called after each case.

    Returns:
        The cases that could not be predicted; the others are.

    Raises:
        WorkDirError: A fold is untrained, or a model cannot be used.
        InUseError: Another process predicts the same share of the cases.
    """
    worker = _FromPrepared(work, open_segmenter(work, options, parallel))
    with hold(work, share_name("predict", parallel.shard if parallel else (1, 1)), "hnseg predict"):
        return run_cases(worker, load_splits(work).test, parallel=parallel, progress=progress)


def predict_cohort_from_files(
    work: Path,
    root: Path,
    out: Path,
    *,
    options: InferenceOptions = DEFAULTS,
    parallel: ParallelConfig | None = None,
    progress: ProgressCallback = no_progress,
) -> list[CaseError]:
    """Predict every case of a cohort from its CT and PET files, with the models of a work directory.

    Args:
        work: With trained models and the run's harmonization.
        root: See :func:`hnseg.cohort.cases.discover_cases`. Labels are not read.
        out: Folder of the masks, outside ``work`` and apart from the cohort's files.
        options, parallel, progress: As :func:`predict_cohort`.

    Returns:
        The cases that could not be predicted; the others are.

    Raises:
        CohortError, WorkDirError: The cohort as a whole, or a model, cannot be used.
        OutputPathError: A mask or what lies beside it would replace an input or a foreign file; nothing is written.
    """
    found = discover_cases(root)
    check_cohort_outputs(work, out, found, root, disagreement=options.disagreement)
    cases = [replace(case, label=None) for case in found]
    worker = _from_files(work, open_segmenter(work, options, parallel), out)
    out.mkdir(parents=True, exist_ok=True)
    with hold(out, share_name("predict", parallel.shard if parallel else (1, 1)), "hnseg predict"):
        return run_cases(worker, cases, case_id=lambda case: case.id, parallel=parallel, progress=progress)


def predict_pair(
    work: Path, ct: Path, pet: Path, out: Path, *, options: InferenceOptions = DEFAULTS, center: str = ""
) -> Path:
    """Predict one CT (HU) and PET (SUV) pair from files with the models of a work directory.

    Args:
        work: With trained models and the run's harmonization.
        ct: CT in HU.
        pet: PET in SUV.
        out: Mask to write, ``*.nii.gz``, outside ``work``; predicted at every call.
        options: How it is predicted.
        center: A center of the training cases that the scan comes from, for a run with ``spectrum-align``.

    Raises:
        CaseError: The images cannot be used; nothing is written.
        OptionError: The run does not use or does not know the center.
        OutputPathError: The mask or what lies beside it would replace an input or a foreign file; nothing is written.
    """
    check_pair_outputs(work, out, [ct, pet], disagreement=options.disagreement)
    if center:
        _check_center(work, center)
    case = Case(ct.name.split(".")[0], ct, pet, None, center)
    _from_files(work, open_segmenter(work, options), out.parent).predict(case, out)
    return out


def _check_center(work: Path, center: str) -> None:
    """Refuse a center that would change nothing: the harmonization ignores it, or no training case has it."""
    method = load_config(work).prepare.harmonization
    if method != "spectrum-align":
        raise OptionError(f"center {center!r}: {work} is harmonized with {method}, which is the same for all centers")
    test = set(load_splits(work).test)
    known = sorted({case.center for case in load_check(work).cases if case.id not in test})
    if center not in known:
        raise OptionError(f"center {center!r} is none of the training cases; known are {', '.join(known)}")


@dataclass(frozen=True)
class _FromPrepared:
    """Prepared cases of a work directory to its ``predictions``."""

    work: Path
    segmenter: Segmenter

    def __call__(self, case_id: str) -> None:
        folder = self.work / "prepared" / case_id
        if not (folder / "case.json").is_file():
            raise CaseError(
                case_id, "the case is not prepared: run `hnseg prepare`, which says why if it cannot", folder
            )
        case = open_case(folder)
        mask = self.work / "predictions" / f"{case_id}.nii.gz"
        settings = _settings(self.segmenter, case.record["settings"])
        files = {name: file for name, file in case.record["files"].items() if name != "label"}
        known = _read_record(mask)
        if known is not None and known["settings"] == settings and _contents(known["files"]) == _contents(files):
            return
        result = _segment(self.segmenter, case_id, case.image[:], case.grid("crop_grid"), case.grid("ct_grid"))
        _write(mask, result, case.grid("ct_grid"), self.segmenter, {"settings": settings, "files": files})


@dataclass(frozen=True)
class _FromFiles:
    """CT and PET files to a folder; what travels to a worker are paths and settings."""

    work: Path
    segmenter: Segmenter
    out: Path
    settings: str

    def __call__(self, case: Case) -> None:
        mask = self.out / f"{case.id}.nii.gz"
        known = _read_record(mask)
        if known is None or not is_up_to_date(known, case, self.settings):
            self.predict(case, mask)

    def predict(self, case: Case, mask: Path) -> None:
        harmonizer = cached_harmonizer(self.work, self.settings)
        made = preprocess_case(case, self.segmenter.config.prepare, harmonizer, is_new=True)
        ct_grid = made.cropped.ct_grid
        result = _segment(self.segmenter, case.id, made.images[FINAL], made.cropped.crop.grid, ct_grid)
        said = {name: made.record[name] for name in ("center", "suv_factor", "crop", "harmonization")}
        _write(mask, result, ct_grid, self.segmenter, {"settings": self.settings, "files": fingerprints(case), **said})


def _from_files(work: Path, segmenter: Segmenter, out: Path) -> _FromFiles:
    prepared = settings_digest(segmenter.config.prepare, load_harmonizer(work))
    return _FromFiles(work, segmenter, out, _settings(segmenter, prepared))


def _segment(segmenter: Segmenter, case_id: str, image: Any, crop_grid: Grid, ct_grid: Grid) -> Segmentation:
    try:
        return segmenter.segment(image, crop_grid, ct_grid)
    except (MemoryError, RuntimeError) as error:
        if is_out_of_memory(error):
            advice = "use fewer jobs, `--window auto --memory-gb`, or a machine with more memory"
            raise CaseError(case_id, f"not enough memory for a window of the network: {advice}") from error
        raise


def _settings(segmenter: Segmenter, prepared: str) -> str:
    """What a mask depends on beside the case's files."""
    return hashlib.sha256(f"{segmenter.digest}:{prepared}".encode()).hexdigest()[:16]


def _contents(files: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[Any, ...]]:
    return {name: (file["sha256"], file.get("suv_per_bqml")) for name, file in files.items()}


def _read_record(mask: Path) -> dict[str, Any] | None:
    """A mask's record, if all that it speaks of is there and the mask is the one that was written."""
    record, disagreement = record_path(mask), disagreement_path(mask)
    if not (mask.is_file() and record.is_file()):
        return None
    try:
        known = read_json(record, "predict")
    except WorkDirError:  # damaged: the mask is made anew
        return None
    if not set(RECORDED) <= set(known) or (known["disagreement"] and not disagreement.is_file()):
        return None
    return known if known["mask_sha256"] == sha256(mask) else None


def _write(mask: Path, result: Segmentation, grid: Grid, segmenter: Segmenter, made_from: Mapping[str, Any]) -> None:
    record, disagreement = record_path(mask), disagreement_path(mask)
    write_image(mask, result.mask, grid)
    if result.mutual_information_bits is not None:
        write_image(disagreement, result.mutual_information_bits, grid)
    tiling = result.tiling
    content = {
        "models": [str(model.relative_to(model.parents[2])) for model in segmenter.models[: result.models]],
        "removed": result.removed,
        "gtvp_ml": round(float((result.mask == 1).sum()) * grid.voxel_ml, 3),
        "gtvn_ml": round(float((result.mask == 2).sum()) * grid.voxel_ml, 3),
        "disagreement": result.mutual_information_bits is not None,
        "windows": {"window_zyx_vox": tiling.window, "count": tiling.count, "cost": round(tiling.cost, 3)},
        "predict": segmenter.config.predict.model_dump(mode="json"),
        **made_from,
        "mask_sha256": sha256(mask),
        "versions": versions(),
    }
    write_json(record, content)


def predict_baselines(work: Path, *, progress: ProgressCallback = no_progress) -> None:
    """Write the masks that a model has to beat: ``baselines/threshold`` and ``baselines/empty``.

    The threshold baseline sees the same crop box as the network, and is not asked to tell the brain from a tumor:
    it marks everything above SUV 4 in the box but the brain, the largest component as GTVp, the next ones as GTVn.
    A case that is not prepared is left out, as :func:`predict_cohort` reports.
    """
    cases = {checked.id: checked.as_case() for checked in load_check(work).cases}
    tests = load_splits(work).test
    for done, case_id in enumerate(tests, start=1):
        paths = {name: work / "baselines" / name / f"{case_id}.nii.gz" for name in ("threshold", "empty")}
        is_prepared = (work / "prepared" / case_id / "case.json").is_file()
        if is_prepared and not all(path.is_file() for path in paths.values()):
            prepared = open_case(work / "prepared" / case_id)
            crop_grid, ct_grid = prepared.grid("crop_grid"), prepared.grid("ct_grid")
            pet = read_suv(cases[case_id])
            suv = resample(pet.suv, prepared.grid("pet_grid"), crop_grid, outside=0.0)  # after registration
            brain = None if prepared.record["crop"]["fallback"] else brain_in_box(suv)
            marked = threshold_baseline(suv, brain=brain, voxel_ml=crop_grid.voxel_ml, threshold_suv=BASELINE_SUV)
            write_image(paths["threshold"], restore_label(marked, crop_grid, ct_grid), ct_grid)
            write_image(paths["empty"], empty_baseline(ct_grid.shape), ct_grid)
        progress(done, len(tests), case_id)
