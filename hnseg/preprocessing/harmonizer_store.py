"""The harmonizer of a run: fitted on its training cases, kept in the work directory, read back by prepare and predict.

Every file has a record of what it was fitted on (case, files, settings). :func:`fit_harmonizer` fits again what the run
would fit otherwise now, for instance after a new split; :func:`load_harmonizer` refuses it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel

import ssimh
from hnseg.cohort.cases import Case
from hnseg.cohort.reference import reference_path
from hnseg.cohort.splits import SplitCohort, load_split_cohort
from hnseg.errors import CaseError, WorkDirError
from hnseg.parallel import map_processes
from hnseg.preprocessing.case_key import Key, case_key
from hnseg.preprocessing.center_sites import ORIENTATION
from hnseg.preprocessing.crop_case import crop_case
from hnseg.preprocessing.harmonization import (
    AlignSites,
    Harmonizer,
    MatchToReference,
    NoHarmonization,
    SwapToReference,
    fit_subject,
)
from hnseg.preprocessing.image_versions import FINAL
from hnseg.preprocessing.pet_resolution import fit_pet
from hnseg.preprocessing.reference_file import (
    fit_reference_spectrum,
    read_reference_ct,
    read_reference_spectrum,
)
from hnseg.progress import ProgressCallback, no_progress
from hnseg.settings.prepare import PrepareConfig
from hnseg.workdir import load_config, read_record
from ssimh.files.artifact_cache import RECORD, ArtifactCache, InputFile
from ssimh.files.atomic import atomic_write
from ssimh.files.json_object import JsonObject

REFERENCE_SPECTRUM = "reference.npz"
REFERENCE_CT = "reference_ct.npy"
REFERENCE_FILES = {"spectrum-swap": REFERENCE_SPECTRUM, "histogram-match": REFERENCE_CT}
SITES = "sites"
COMPUTATION = 1  # of the same settings: one more makes every run fit its harmonizer again


class SiteSubject(BaseModel):
    """``sites/<ID>.json``: a training case as a subject of its center's site.

    Attributes:
        subject: Fields of :meth:`ssimh.SiteSpectrum.to_dicts`; None where there are none.
        reason: Why there are none.
        pet: The same of the PET; None where there are none, or the run leaves the PET alone.
        pet_reason: Why there are none.
    """

    subject: dict[str, Any] | None
    reason: str | None = None
    pet: dict[str, Any] | None = None
    pet_reason: str | None = None


def fit_harmonizer(work: Path, *, jobs: int = 1, progress: ProgressCallback = no_progress) -> Harmonizer:
    """Fit what the run's harmonization needs, as far as it is missing or was fitted on something else.

    Only training cases are read. ``spectrum-align`` crops each of them once more than ``prepare`` does.

    Args:
        work: Checked and split.
        jobs: Processes, for ``spectrum-align``.
        progress: Called after each training case of ``spectrum-align``.

    Raises:
        CaseError: The reference case cannot be used.
        WorkDirError: The run has not been checked or split, or the split does not fit the check; the reference does not
            train in every fold, or its file cannot be used.
    """
    config, cohort = load_config(work).prepare, load_split_cohort(work)
    if config.harmonization in REFERENCE_FILES:
        source = find_reference_source(work, cohort, config)
        cache = reference_cache(work, source, config)
        cache.get(functools.partial(_fit_reference, source, config, cache.outputs["reference"]))
    if config.harmonization == "spectrum-align":
        _fit_sites(work, cohort, config, jobs, progress)
    return load_harmonizer(work)


def load_harmonizer(work: Path) -> Harmonizer:
    """Read the run's harmonizer.

    Raises:
        WorkDirError: ``prepare`` has not fitted it, or has fitted it on something else than the run would now: another
            case, changed files, other settings.
    """
    config, cohort = load_config(work).prepare, load_split_cohort(work)
    if config.harmonization == "none":
        return NoHarmonization()
    if config.harmonization == "spectrum-align":
        return _load_sites(work, cohort, config)
    source = find_reference_source(work, cohort, config)
    cache, name = reference_cache(work, source, config, may_be_absent=True), _name(source)
    path = cache.outputs["reference"]
    _require_current(cache, path)
    if config.harmonization == "spectrum-swap":
        return SwapToReference(config, ssimh.ReferenceSpectrum.load(path), name)
    return MatchToReference(config, np.load(path, allow_pickle=False), name)


def list_harmonizer_caches(work: Path, folder: Path | None = None) -> list[ArtifactCache]:
    """The files of the run's harmonizer with their records, whether they are there or not.

    Args:
        work: Work directory of the run, checked and split.
        folder: Where they lie; None: in ``work``.

    Raises:
        WorkDirError: The run has not been checked or split, or the split does not fit the check.
    """
    config, cohort, folder = load_config(work).prepare, load_split_cohort(work), folder or work
    if config.harmonization in REFERENCE_FILES:
        return [reference_cache(folder, find_reference_source(work, cohort, config), config)]
    if config.harmonization == "spectrum-align":
        training = [cohort.cases[case_id].as_case() for case_id in cohort.splits.all_train_ids()]
        return [_site_cache(folder, case, config) for case in training]
    return []


def describe_pet_resolution(work: Path) -> list[str]:
    """What the run does to the PET of each center, in its final version; empty where it leaves the PET alone.

    Raises:
        WorkDirError: As :func:`load_harmonizer`.
    """
    if load_config(work).prepare.pet_resolution == "off":
        return []
    harmonizer = load_harmonizer(work)
    matching = harmonizer.pet if isinstance(harmonizer, AlignSites) else None
    return [] if matching is None else matching.describe(FINAL)


@functools.lru_cache(maxsize=1)
def cached_harmonizer(work: Path, digest: str) -> Harmonizer:
    """The run's harmonizer, read once a process; ``digest`` is its own and distinguishes one fit from the next."""
    return load_harmonizer(work)


def export_harmonizer(work: Path, folder: Path) -> None:
    """Copy the run's harmonizer without names, dates and hashes of patients' files.

    Args:
        work: With a harmonizer that :func:`load_harmonizer` reads.
        folder: Of the export; exists. Its settings name a reference file without its folder.
    """
    config, cohort = load_config(work).prepare, load_split_cohort(work)
    if config.harmonization in REFERENCE_FILES:
        source = find_reference_source(work, cohort, config)
        kept = reference_cache(work, source, config).outputs["reference"]
        nameless = Path() if isinstance(source, Path) else _without_files(source)
        copy = reference_cache(folder, nameless, config)
        copy.outputs["reference"].write_bytes(kept.read_bytes())
        copy.save({})
    if config.harmonization == "spectrum-align":
        for case_id in cohort.splits.all_train_ids():
            case = cohort.cases[case_id].as_case()
            site = _read_site(_site_cache(work, case, config).record)
            rows = site.model_dump(include={"subject", "pet"}) | {"reason": None, "pet_reason": None}
            _site_cache(folder, _without_files(case), config).save(rows)


def _without_files(case: Case) -> Case:
    return Case(case.id, Path(), Path(), None, case.center)


def _origin(case: Case, config: PrepareConfig, *, may_be_absent: bool = False) -> Key:
    """What the fit of one case depends on; its label is none of it."""
    return case_key(case, _preparation(config), may_be_absent=may_be_absent, label=False)


def _preparation(config: PrepareConfig) -> Key:
    """Settings without the reference, which is the case or the file beside them."""
    return {"settings": config.model_dump(mode="json", exclude={"reference"}), "computation": COMPUTATION}


def reference_cache(
    work: Path, source: Case | Path, config: PrepareConfig, *, may_be_absent: bool = False
) -> ArtifactCache:
    """The reference of a run, made from a case or a file, and its record."""
    path = work / REFERENCE_FILES[config.harmonization]
    if isinstance(source, Path):
        key: Key = {"file": InputFile(source, may_be_absent), **_preparation(config)}
    else:
        key = _origin(source, config, may_be_absent=may_be_absent)
    return ArtifactCache(path.with_suffix(".json"), key, {"reference": path})


def _site_cache(work: Path, case: Case, config: PrepareConfig, *, may_be_absent: bool = False) -> ArtifactCache:
    return ArtifactCache(work / SITES / f"{case.id}.json", _origin(case, config, may_be_absent=may_be_absent))


def _require_current(cache: ArtifactCache, path: Path) -> None:
    differences = cache.find_differences()
    if differences == (RECORD,):
        raise WorkDirError(f"{path} is missing or was not finished: run `hnseg prepare` first")
    if differences:
        raise WorkDirError(
            f"{path} was fitted on something else than this run now asks for ({', '.join(differences)} differ): run "
            "`hnseg prepare` to fit it again"
        )


def find_reference_source(work: Path, cohort: SplitCohort, config: PrepareConfig) -> Case | Path:
    """The case or the file that the run harmonizes to; an ID wins over a file of the same name.

    Raises:
        WorkDirError: The case does not train in every fold, so that a network would see a validation or test case
            through all others; or there is none.
    """
    named, splits = config.reference, cohort.splits
    if named and named not in cohort.cases:
        path = reference_path(work, config)
        if path.name in cohort.cases:
            raise WorkDirError(f"prepare.reference: the file {path} has the name of a case, which it is not: rename it")
        return path
    case_id = named or splits.reference
    again = f"remove {work / 'splits.json'} and run `hnseg split` again"
    if case_id is None:
        raise WorkDirError(f"the split has no reference case, which {config.harmonization} needs: {again}")
    if case_id not in (splits.reference, *splits.always_train):
        fold = next((k for k, ids in enumerate(splits.folds) if case_id in ids), None)
        place = "is a test case" if fold is None else f"is validated by fold {fold}"
        raise WorkDirError(
            f"prepare.reference: {case_id} {place}, and a reference trains in every fold: {again}, or name another case"
        )
    return cohort.cases[case_id].as_case()


def _name(source: Case | Path) -> str:
    return source.name if isinstance(source, Path) else source.id


def _fit_reference(source: Case | Path, config: PrepareConfig, path: Path) -> Mapping[str, Any]:
    if config.harmonization == "spectrum-swap":
        if isinstance(source, Path):
            read_reference_spectrum(source, config).save(path)
        else:
            fit_reference_spectrum(crop_case(source, config).ct_hu, config).save(path)
        return {}
    ct_hu = read_reference_ct(source, config) if isinstance(source, Path) else crop_case(source, config).ct_hu
    with atomic_write(path) as temporary:
        np.save(temporary, np.rint(ct_hu).astype(np.int16), allow_pickle=False)
    return {}


def _fit_sites(work: Path, cohort: SplitCohort, config: PrepareConfig, jobs: int, progress: ProgressCallback) -> None:
    cases = [cohort.cases[case_id].as_case() for case_id in cohort.splits.all_train_ids()]
    results = map_processes(functools.partial(_fit_site, work=work, config=config), cases, jobs)
    for done, (case, _) in enumerate(zip(cases, results, strict=True), start=1):
        progress(done, len(cases), f"site of {case.center}: {case.id}")
    _remove_other_sites(work, [case.id for case in cases])


def _remove_other_sites(work: Path, training: Sequence[str]) -> None:
    """Remove the subjects of cases that do not train, for instance of those that have become test cases."""
    for path in (work / SITES).glob("*.json"):
        if path.stem not in training:
            path.unlink()


def _fit_site(case: Case, work: Path, config: PrepareConfig) -> None:
    """Write the subject of a case, or why it has none."""
    cache = _site_cache(work, case, config)
    if cache.is_current():
        try:
            _read_site(cache.record)
            return
        except WorkDirError:
            cache.begin()  # of another shape
    cache.get(functools.partial(fit_rows, case, config))


def fit_rows(case: Case, config: PrepareConfig) -> Mapping[str, Any]:
    """The fields of :class:`SiteSubject` for one case; a case that cannot be measured has reasons."""
    try:
        cropped = crop_case(case, config)
    except CaseError as error:  # prepare reports it
        return SiteSubject(subject=None, reason=error.reason, pet_reason=error.reason).model_dump()
    spacing_zyx_mm = cropped.crop.grid.spacing_zyx_mm
    subject, reason = _row_or_reason(lambda: fit_subject(cropped.ct_hu, spacing_zyx_mm))
    pet, pet_reason = None, None
    if config.pet_resolution == "align":
        pet, pet_reason = _row_or_reason(lambda: fit_pet(cropped.pet_suv, spacing_zyx_mm))
    return SiteSubject(subject=subject, reason=reason, pet=pet, pet_reason=pet_reason).model_dump()


def _row_or_reason(fit: Callable[[], ssimh.SiteSpectrum]) -> tuple[JsonObject | None, str | None]:
    """The one subject of a site, or why it cannot be fitted."""
    try:
        (subject,) = fit().to_dicts()
    except ValueError as error:
        return None, str(error)
    return dict(subject), None


def _read_site(path: Path) -> SiteSubject:
    site = read_record(path, SiteSubject, "prepare")
    if site.subject is not None:
        _as_site(site.subject, path)
    if site.pet is not None:
        _as_site(site.pet, path, "PT")
    return site


def _as_site(subject: Mapping[str, Any], path: Path, modality: str = "CT") -> ssimh.SiteSpectrum:
    try:
        return ssimh.SiteSpectrum.from_dicts([subject], orientation=ORIENTATION, modality=modality)
    except (ValueError, TypeError) as error:
        name = "subject" if modality == "CT" else "pet"
        raise WorkDirError(f"{path}: {name}: {error}; remove it and run `hnseg prepare` again") from error


def _load_sites(work: Path, cohort: SplitCohort, config: PrepareConfig) -> AlignSites:
    subjects: dict[str, ssimh.SiteSpectrum] = {}
    pet_subjects: dict[str, ssimh.SiteSpectrum] = {}
    for case_id in cohort.splits.all_train_ids():
        cache = _site_cache(work, cohort.cases[case_id].as_case(), config, may_be_absent=True)
        _require_current(cache, cache.record)
        site = _read_site(cache.record)
        if site.subject is not None:
            subjects[case_id] = _as_site(site.subject, cache.record)
        if site.pet is not None:
            pet_subjects[case_id] = _as_site(site.pet, cache.record, "PT")
    centers = {case.id: case.center for case in cohort.cases.values()}
    follows = config.pet_resolution == "align"
    return AlignSites(config, cohort.splits, centers, subjects, pet_subjects if follows else None)
