"""A center that did not train, as a site: fitted on some of its scans, kept in one file, and used to predict others.

The file holds a few hundred bytes per scan, no image and no case ID. It was measured on the crops of a run, and fits
runs that crop alike and no others.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

import ssimh
from hnseg.cohort.cases import Case, discover_cases
from hnseg.cohort.splits import load_split_cohort
from hnseg.errors import CohortError, OptionError
from hnseg.outputs import check_output_file, is_json_with
from hnseg.parallel import map_processes
from hnseg.preprocessing.center_sites import ORIENTATION
from hnseg.preprocessing.harmonization import AlignSites, Harmonizer
from hnseg.preprocessing.harmonizer_store import COMPUTATION, SiteSubject, fit_rows
from hnseg.progress import ProgressCallback, no_progress
from hnseg.provenance import versions
from hnseg.settings.prepare import PrepareConfig
from hnseg.workdir import load_config, read_record, write_json
from ssimh.files.json_object import JsonObject

MADE_BY = "hnseg fit-site"
# Settings that decide about the rows.
_MEASURED_WITH = ("spacing_mm", "box_mm", "crop", "interpolation", "registration", "valid_hu", "pet_resolution")


class CenterFile(BaseModel):
    """What the file of a center holds.

    Attributes:
        made_by: Always the same.
        center: Its name.
        settings: Of preparation, as far as the rows depend on them.
        computation: Version of the fit.
        subjects, pet: Rows of CT and PET, see :meth:`ssimh.SiteSpectrum.to_dicts`.
        left_out: Why scans have no row.
        versions: Of the packages that change numbers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    made_by: str
    center: str
    settings: dict[str, Any]
    computation: int
    subjects: list[dict[str, Any]]
    pet: list[dict[str, Any]]
    left_out: list[str]
    versions: dict[str, str]


@dataclass(frozen=True)
class NewCenter:
    """The sites of a center that did not train; None where no scan could be measured or the run does not align it."""

    name: str
    ct: ssimh.SiteSpectrum | None
    pet: ssimh.SiteSpectrum | None

    @property
    def digest(self) -> str:
        """Content hash of both sites."""
        hashes = [None if site is None else site.content_hash for site in (self.ct, self.pet)]
        return hashlib.sha256(json.dumps(hashes).encode()).hexdigest()


def fit_new_center(
    work: Path, root: Path, out: Path, *, center: str = "", jobs: int = 1, progress: ProgressCallback = no_progress
) -> NewCenter:
    """Fit the site of a center that did not train, and write its file.

    Args:
        work: Checked and split, or an export; harmonized with ``spectrum-align``.
        root: Scans of the center, see :func:`hnseg.cohort.cases.discover_cases`. Labels are not read.
        out: File to write, ``*.json``.
        center: Which of the centers in ``root``; empty where there is one.
        jobs: Processes.
        progress: Called after each scan.

    Raises:
        OptionError: The run uses no sites, or the center trained, or ``root`` has several and none is chosen.
        CohortError: ``root`` cannot be used, has no case of the center, or none that can be measured.
        OutputPathError: ``out`` is a file of another origin.
    """
    config = load_config(work).prepare
    _require_sites(work, config)
    found = discover_cases(root)
    name = _choose_center(found, root, center)
    if name in known_centers(work):
        raise OptionError(f"center {name!r} trained in {work}: its site is that of its training cases")
    cases = [replace(case, label=None) for case in found if case.center == name]
    inputs = [path for case in cases for path in (case.ct, case.pet) if path is not None]
    check_output_file(
        out, inputs=inputs, suffixes=(".json",), is_ours=partial(is_json_with, keys=CenterFile.model_fields)
    )
    rows = []
    for done, row in enumerate(map_processes(partial(_fit, config=config), cases, jobs), start=1):
        progress(done, len(cases), f"site of {name}: {cases[done - 1].id}")
        rows.append(row)
    reasons = [reason for row in rows for reason in (row.reason, row.pet_reason) if reason is not None]
    content = CenterFile(
        made_by=MADE_BY,
        center=name,
        settings=_measured_with(config),
        computation=COMPUTATION,
        subjects=[row.subject for row in rows if row.subject is not None],
        pet=[row.pet for row in rows if row.pet is not None],
        left_out=reasons,
        versions=versions(),
    )
    if not content.subjects and not content.pet:
        raise CohortError(f"{root}: no scan of center {name} can be measured: {reasons[0]}")
    write_json(out, content.model_dump())
    return _as_center(content)


def _fit(case: Case, config: PrepareConfig) -> SiteSubject:
    return SiteSubject.model_validate(fit_rows(case, config))


def _require_sites(work: Path, config: PrepareConfig) -> None:
    if config.harmonization != "spectrum-align":
        raise OptionError(
            f"{work} is harmonized with {config.harmonization}, which uses no sites of centers; spectrum-align does"
        )


def _choose_center(cases: Sequence[Case], root: Path, center: str) -> str:
    names = sorted({case.center for case in cases})
    if center and center not in names:
        raise CohortError(f"{root}: no case of center {center!r}; there are {', '.join(names)}")
    if not center and len(names) > 1:
        raise OptionError(f"{root} has the centers {', '.join(names)}; choose one with --center")
    return center or names[0]


def _measured_with(config: PrepareConfig) -> JsonObject:
    return config.model_dump(mode="json", include=set(_MEASURED_WITH))


def known_centers(work: Path) -> list[str]:
    """Centers of the training cases of a run."""
    cohort = load_split_cohort(work)
    return sorted({cohort.cases[case_id].center for case_id in cohort.splits.all_train_ids()})


def read_new_centers(work: Path, files: Sequence[Path]) -> dict[str, NewCenter]:
    """The centers of some files that :func:`fit_new_center` has written, by name.

    Raises:
        OptionError: The run uses no sites; a center trained, is given twice, or was measured with other settings.
        WorkDirError: A file that is missing, damaged, or of another origin.
    """
    if not files:
        return {}
    config, known = load_config(work).prepare, known_centers(work)
    _require_sites(work, config)
    centers: dict[str, NewCenter] = {}
    for path in files:
        content = read_record(path, CenterFile, "fit-site")
        wanted = _measured_with(config)
        differing = [name for name in wanted if content.settings.get(name) != wanted[name]]
        if differing or content.computation != COMPUTATION:
            reason = f"other settings ({', '.join(differing)})" if differing else "another version of the fit"
            raise OptionError(f"{path} was measured with {reason} than {work} uses: run `hnseg fit-site` for this run")
        if content.center in (*known, *centers):
            why = "trained" if content.center in known else "is given twice"
            raise OptionError(f"{path}: center {content.center!r} {why}")
        centers[content.center] = _as_center(content)
    return centers


def _as_center(content: CenterFile) -> NewCenter:
    def site(rows: Sequence[Mapping[str, Any]], modality: str) -> ssimh.SiteSpectrum | None:
        if not rows:
            return None
        return ssimh.SiteSpectrum.from_dicts(rows, orientation=ORIENTATION, modality=modality)

    return NewCenter(content.center, site(content.subjects, "CT"), site(content.pet, "PT"))


def add_new_centers(harmonizer: Harmonizer, centers: Mapping[str, NewCenter]) -> Harmonizer:
    """The harmonizer of a run that also knows these centers, in the final version alone."""
    if not centers or not isinstance(harmonizer, AlignSites):
        return harmonizer

    def known(select: Callable[[NewCenter], ssimh.SiteSpectrum | None]) -> dict[str, ssimh.SiteSpectrum]:
        return {name: site for name, center in centers.items() if (site := select(center)) is not None}

    return replace(harmonizer, new_sites=known(lambda c: c.ct), new_pet_sites=known(lambda c: c.pet))
