"""Prediction of one study in DICOM: CT and PET in, a DICOM SEG or RTSTRUCT on the CT's own grid out."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, get_args

from hnseg.cohort.labels import Label, read_label
from hnseg.cohort.suv import MADE_BY as MARKED_BY
from hnseg.cohort.suv_table import read_suv_overrides
from hnseg.dicom.assign_overrides import assign_overrides
from hnseg.dicom.case_files import smallest_exact
from hnseg.dicom.case_record import record_case
from hnseg.dicom.lesion_suv import measure_suv_max
from hnseg.dicom.load_case import CaseVolumes, load_case
from hnseg.dicom.options import LoadOptions
from hnseg.dicom.pair_studies import SeriesChoices, StudyPlan, pair_studies
from hnseg.dicom.quiet import quiet_pydicom
from hnseg.dicom.read_facts import describe_series, read_patient_ids
from hnseg.dicom.series.records import STRUCTURES, SeriesRecord
from hnseg.dicom.series.volume import SeriesVolume
from hnseg.dicom.series.walk import find_series
from hnseg.dicom.structures.source_headers import check_source
from hnseg.dicom.structures.write_rtstruct import write_rtstruct
from hnseg.dicom.structures.write_seg import write_segmentation
from hnseg.errors import CaseError, CohortError, DicomError, OptionError
from hnseg.images.image_io import write_image
from hnseg.inference.mask_outputs import check_study_outputs, record_path
from hnseg.inference.predict_case import InferenceOptions
from hnseg.inference.predict_cohort import check_center, predict_pair
from hnseg.preprocessing.new_center import read_new_centers
from hnseg.progress import ProgressCallback, limit_rate, no_progress
from hnseg.suv.body_size import SuvKind
from hnseg.workdir import write_json
from ssimh.files.artifact_cache import ArtifactCache, read_record
from ssimh.files.json_object import JsonObject

StudyForm = Literal["binary", "labelmap", "rtstruct"]
NOTICE = "For research; not for clinical use"
MADE_BY = "hnseg predict --dicom"
_OF_FILES = ("made_from", "outputs", "suv_factor")  # of the temporary files: of their SUV, no second conversion
_DEFAULTS = InferenceOptions()
_SUFFIX = ".dcm"


@dataclass(frozen=True)
class StudyReading:
    """How a study is read.

    Attributes:
        choices: Series that were chosen where the study has several.
        dose_in_mbq: The files state the dose in MBq where it must be in Bq.
        suv: Kind of SUV, that of the scans which the models were trained with.
        tags: Table of corrections to what the headers state for SUV, found by the patient's ID; see
            :func:`hnseg.cohort.suv_table.read_suv_overrides`.
    """

    choices: SeriesChoices = field(default_factory=SeriesChoices)
    dose_in_mbq: bool = False
    suv: SuvKind = "bw"
    tags: Path | None = None


def predict_study(
    work: Path,
    study: Path,
    target: Path,
    *,
    form: StudyForm = "binary",
    reading: StudyReading | None = None,
    options: InferenceOptions = _DEFAULTS,
    center: str = "",
    progress: ProgressCallback = no_progress,
) -> Path:
    """Predict one study in DICOM with the models of a work directory.

    The mask is the one that :func:`hnseg.inference.predict_cohort.predict_pair` makes of the study converted to files.
    For research; not for clinical use.

    Args:
        work: With trained models and the run's harmonization.
        study: Folder with the CT and the PET of one study, of any shape; structures in it are not read.
        target: File to write, ``*.dcm``, outside ``work`` and ``study``. It holds the identity of the patient, as it
            must to be filed with the study. ``*.json`` beside it, without identity, says how it was made: series, SUV
            conversion with every tag that was used, models, volumes.
        form: ``binary`` or ``labelmap`` (DICOM Segmentation), or ``rtstruct``.
        reading: How the study is read.
        options: Device, windows and flips.
        center: A center of the training cases, or of ``options.sites``, that the scan comes from, for a run with
            ``spectrum-align``.
        progress: Called at most once a second while files are looked at.

    Returns:
        The path of the JSON file.

    Raises:
        CohortError: ``study`` holds no study with a CT and a PET, or several.
        DicomError: A series cannot be read, its SUV cannot be computed, or a result cannot refer to it.
        CaseError: The images cannot be used.
        OptionError: An option does not exist or does not apply.
        OutputPathError: ``target`` or the JSON file exists, or lies in ``work`` or ``study``; nothing is written.
    """
    reading = reading or StudyReading()
    if form not in get_args(StudyForm):
        raise OptionError(f"form {form!r}; allowed are {', '.join(get_args(StudyForm))}")
    if options.disagreement:
        raise OptionError("disagreement: a map for pairs and cohorts of files; a study in DICOM gets a mask alone")
    record = target.with_suffix(".json")
    check_study_outputs(work, study, (target, record), suffix=_SUFFIX)
    if center:
        check_center(work, center, read_new_centers(work, options.sites))
    plan, records = _plan_study(study, reading.choices, progress)
    volumes = _load_study(plan, records, reading)
    ct = _check_ct(volumes, plan)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".writing-", dir=target.parent) as folder:
        made = _predict_files(work, Path(folder), ct, volumes.pet, plan.study.label, options, center)
    if form == "rtstruct":
        write_rtstruct(made.mask, ct.grid, ct.headers, target, name=_ct_label(plan))
    else:
        write_segmentation(made.mask, ct.grid, ct.headers, target, form=form, name=_ct_label(plan))
    content = record_case(plan, volumes, made.dtypes, keep_uids=False)
    label = made.record | measure_suv_max(made.mask, ct.grid, volumes.pet)
    content |= {"made_by": MADE_BY, "notice": NOTICE, "form": form, "label": label}
    write_json(record, content)
    return record


@dataclass(frozen=True)
class _Predicted:
    """A mask and how it came about, without the temporary files that it was made from."""

    mask: Label
    dtypes: dict[str, str]
    record: JsonObject


def _plan_study(
    study: Path, choices: SeriesChoices, progress: ProgressCallback
) -> tuple[StudyPlan, dict[int, SeriesRecord]]:
    """Which CT and PET of the one study are used; structures are not."""
    index = find_series(study, limit_rate(progress))
    facts = (describe_series(record) for record in index.series)
    readable = [s for s in facts if s.modality not in STRUCTURES or s.why_unusable is None]  # structures are not used
    plans = pair_studies(readable, choices, is_pet_only=True)
    if len(plans) != 1:
        raise CohortError(f"{study}: {len(plans)} studies with a CT or a PET in {index.n_files} files; one is needed")
    [plan] = plans
    if plan.problem is not None:
        raise CohortError(f"{study}: {plan.problem}")
    if plan.ct is None and plan.pet is not None:
        raise CohortError(f"{study}: PET without CT: {plan.pet.label} has none in its study, and the mask lies on it")
    return replace(plan, structures=()), {record.number: record for record in index.series}


def _load_study(plan: StudyPlan, records: Mapping[int, SeriesRecord], reading: StudyReading) -> CaseVolumes:
    """CT in HU and PET in SUV."""
    overrides = None
    if reading.tags is not None and plan.pet is not None:
        number, patient_ids = plan.study.number, read_patient_ids(records[plan.pet.number].files[0])
        own, _, _ = assign_overrides({number: patient_ids}, {}, read_suv_overrides(reading.tags), reading.tags)
        if number not in own:
            raise OptionError(f"{reading.tags}: no row has the ID of the patient of {plan.pet.label} (PatientID)")
        overrides = own[number]
    return load_case(plan, records, LoadOptions(reading.suv, reading.dose_in_mbq), overrides)


def _check_ct(volumes: CaseVolumes, plan: StudyPlan) -> SeriesVolume:
    """The CT, to whose images a result can refer: checked before the work of prediction."""
    if volumes.ct is None:
        raise CohortError(f"{plan.study.label}: no CT, whose grid the mask lies on")
    try:
        with quiet_pydicom():
            check_source(volumes.ct.headers, volumes.ct.grid, _ct_label(plan))
    except DicomError as error:
        way_out = "`hnseg dicom` and `hnseg predict --ct --pet --mask` give a mask in NIfTI"
        raise DicomError(error.series, f"{error.reason}; {way_out}", error.tag) from error
    return volumes.ct


def _ct_label(plan: StudyPlan) -> str:
    return plan.ct.label if plan.ct is not None else "CT series"


def _predict_files(
    work: Path,
    folder: Path,
    ct: SeriesVolume,
    pet: SeriesVolume,
    name: str,
    options: InferenceOptions,
    center: str,
) -> _Predicted:
    """Predict the pair by way of files, as a converted study is predicted."""
    stored = {"ct": smallest_exact(ct.values), "pet": pet.values}
    paths = {key: folder / f"{key}.nii.gz" for key in (*stored, "mask")}
    for key, grid in (("ct", ct.grid), ("pet", pet.grid)):
        write_image(paths[key], stored[key], grid)
    # As hnseg dicom marks it: in SUV, also where a hot bladder looks like Bq/ml.
    marked = ArtifactCache(folder / "ct.json", {}, {"pet": paths["pet"]})
    marked.save({"made_by": MARKED_BY, "pet": {"unit": "SUV"}})
    try:
        predict_pair(work, paths["ct"], paths["pet"], paths["mask"], options=options, center=center)
        mask, _ = read_label(paths["mask"], name)
    except CaseError as error:  # names temporary files
        raise CaseError(name, error.reason) from error
    known = read_record(record_path(paths["mask"])) or {}
    record = {key: value for key, value in known.items() if key not in _OF_FILES}
    return _Predicted(mask, {key: str(values.dtype) for key, values in stored.items()}, record)
