"""How a tree of DICOM files becomes a cohort."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from hnseg.dicom.case_files import Layout
from hnseg.dicom.pair_studies import SeriesChoices
from hnseg.dicom.structures.structure_names import NAME_PATTERNS, NamePattern
from hnseg.suv.body_size import SuvKind


@dataclass(frozen=True)
class LoadOptions:
    """How the images of a case are read.

    Attributes:
        suv: Kind of SUV: body weight, lean body mass (Janmahasatian), body surface area, ideal body weight.
        dose_in_mbq: The files state the dose in MBq where it must be in Bq.
        patterns: Names of structures and their labels; the first that matches counts.
    """

    suv: SuvKind = "bw"
    dose_in_mbq: bool = False
    patterns: tuple[NamePattern, ...] = NAME_PATTERNS


@dataclass(frozen=True)
class DicomOptions:
    """How a tree of DICOM files becomes a cohort.

    Attributes:
        layout: Of the cohort.
        load: How the images of a case are read.
        choices: Series that were chosen where a study has several.
        pet_only: A PET without a CT is written alone.
        ids: Table of IDs; None numbers the cases.
        tags: Table of what counts in place of headers, see :func:`hnseg.cohort.suv_table.read_suv_overrides`.
        keep_uids: Record the UIDs of series.
    """

    layout: Layout = "hecktor"
    load: LoadOptions = field(default_factory=LoadOptions)
    choices: SeriesChoices = field(default_factory=SeriesChoices)
    pet_only: bool = False
    ids: Path | None = None
    tags: Path | None = None
    keep_uids: bool = False
