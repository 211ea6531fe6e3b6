"""The command ``hnseg dicom``: studies in DICOM to a cohort."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hnseg.cli.app import Jobs, app, handle_errors, out, print_error, print_line
from hnseg.cohort.labels import LESION_CLASSES
from hnseg.errors import HnsegError, listed
from hnseg.progress import show_progress
from hnseg.suv.body_size import SuvKind

if TYPE_CHECKING:  # needs pydicom
    from hnseg.dicom.convert import DicomReport
    from hnseg.dicom.pair_studies import StudyPlan
    from hnseg.dicom.structures.structure_names import NamePattern
    from hnseg.dicom.tree_record import CaseState

Layout = Literal["hecktor", "nnunet"]
SUV = "SUV of all studies by body weight, lean body mass (Janmahasatian), body surface area, or ideal body weight."
IDS = "CSV file with the columns id, and folder or patient_id; without it, cases are numbered."
TAGS = (
    "CSV file with what headers lack or state wrongly for SUV, as suv_conversion_tags.csv of the 2026 challenge: pid "
    "(a case ID or PatientID), and one or more of bqml_to_suvbw_factor, patient_weight_kg, dose_for_suv_bq, "
    "patient_height_m, patient_sex, radionuclide_total_dose_bq, radionuclide_half_life_s, injection_time (HH:MM:SS, "
    "local, no date). Empty cells change nothing; commas separate columns, and the decimal separator is a point."
)
STRUCTURES = "PATTERN=LABEL: names of structures that are GTVp (1) or GTVn (2), in place of the usual names."
SERIES = "Number of the {} to take for its study, as dicom.json and messages name it; can be repeated."
LEAVE_OUT = "Number of a series that is not used, as structures that are refused; can be repeated."


@app.command()
def dicom(
    source: Annotated[Path, typer.Argument(metavar="IN", help="Folder with DICOM files, of any shape.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the cohort: new, or to be continued.")],
    layout: Annotated[Layout, typer.Option(help="Layout of the cohort.")] = "hecktor",
    ids: Annotated[Path | None, typer.Option(help=IDS)] = None,
    suv: Annotated[SuvKind, typer.Option(help=SUV)] = "bw",
    dose_in_mbq: Annotated[
        bool, typer.Option("--dose-in-mbq", help="The files of all studies state the dose in MBq, not Bq.")
    ] = False,
    tags: Annotated[Path | None, typer.Option(help=TAGS)] = None,
    structures: Annotated[list[str] | None, typer.Option(help=STRUCTURES)] = None,
    show_names: Annotated[
        bool, typer.Option("--show-names", help="Print the names of all structures, which may hold identifiers.")
    ] = False,
    ct_series: Annotated[list[int] | None, typer.Option(help=SERIES.format("CT series"))] = None,
    pet_series: Annotated[list[int] | None, typer.Option(help=SERIES.format("PET series"))] = None,
    structure_series: Annotated[list[int] | None, typer.Option(help=SERIES.format("RTSTRUCT or SEG"))] = None,
    leave_out_series: Annotated[list[int] | None, typer.Option(help=LEAVE_OUT)] = None,
    pet_only: Annotated[bool, typer.Option("--pet-only", help="Write a PET without CT alone.")] = False,
    keep_uids: Annotated[bool, typer.Option("--keep-uids", help="Record the UIDs of series.")] = False,
    jobs: Jobs = 1,
) -> None:
    """Convert studies of CT, PET and structures in DICOM to a cohort in SUV; nothing written identifies a patient.

    Exit status 1 if a study gives no case; the others are converted.
    """
    with handle_errors():
        try:
            from hnseg.dicom.convert import convert_dicom
        except ImportError as error:  # its message names the extra
            raise HnsegError(str(error)) from error
        from hnseg.dicom.case_record import list_notes
        from hnseg.dicom.options import DicomOptions, LoadOptions
        from hnseg.dicom.pair_studies import SeriesChoices
        from hnseg.dicom.structures.structure_names import NAME_PATTERNS, parse_name_patterns
        from hnseg.dicom.tree_record import why_no_mask

        patterns = parse_name_patterns(structures) if structures else NAME_PATTERNS
        numbers = ct_series, pet_series, structure_series, leave_out_series
        choices = SeriesChoices(*(tuple(chosen or ()) for chosen in numbers))
        load = LoadOptions(suv, dose_in_mbq, patterns)
        options = DicomOptions(layout, load, choices, pet_only, ids, tags, keep_uids)
        report = convert_dicom(source, target, options, jobs=jobs, progress=lambda stage: show_progress(stage, out))
        if show_names:
            _print_names(report, patterns)
    for state, plan in zip(report.states, report.plans, strict=True):
        if state.problem is None:
            print_line(_describe_case(state, why_no_mask(state, plan), plan))
            for note in (*list_notes(state.record or {}), *state.notes):
                print_line(f"  note: {note}")
    for series in report.damaged_series:
        print_line(f"not used: {series}")
    if files := report.index.unreadable:
        reasons = Counter(file.reason for file in files).most_common()
        print_line(f"files that are in no series: {'; '.join(f'{number} × {why}' for why, number in reasons)}")
    if report.other_cases:
        print_line(f"cases of earlier calls, whose studies are not in {source}: {listed(report.other_cases)}")
    print_line(f"what became of each series: {target / 'dicom.json'}")
    for failure in (*map(str, report.failures), *report.unused_rows):
        print_error(failure)
    if report.failures or report.unused_rows:
        raise typer.Exit(1)


def _describe_case(state: CaseState, no_mask: str | None, plan: StudyPlan) -> str:
    """A converted case in one line."""
    record = state.record or {}
    parts = [series.label for series in (plan.ct, plan.pet) if series is not None]
    if record["pet"]["is_converted"]:
        parts.append(f"SUV {record['pet']['suv_kind']}, {record['pet']['formula']}")
    else:
        parts.append("is SUV already")
    if label := record["label"]:
        parts += [_describe_lesion(c.name, label[f"{c.key}_ml"], label[f"{c.key}_suv_max"]) for c in LESION_CLASSES]
    else:
        parts.append(f"no mask: {no_mask}")
    happened = " (kept)" if state.state == "kept" else ""
    if state.changed:
        happened = f" (made again, changed: {', '.join(state.changed)})"
    return f"{state.case_id}: {', '.join(parts)}{happened}"


def _describe_lesion(name: str, volume_ml: float, suv_max: float | None) -> str:
    return f"{name} {volume_ml:.1f} ml" + ("" if suv_max is None else f" with SUVmax {suv_max:.2f}")


def _print_names(report: DicomReport, patterns: tuple[NamePattern, ...]) -> None:
    """The table of structures: what the files call them, and what that is taken for."""
    from hnseg.dicom.structure_table import list_structures

    print_line(f"names: {', '.join(f'{pattern.pattern}={pattern.label}' for pattern in patterns)}")
    for row in list_structures(report.plans, report.index, patterns):
        print_line(row)
