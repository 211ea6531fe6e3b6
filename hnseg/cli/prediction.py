"""Commands of prediction: a run's test cases, a cohort of files, one pair or one study in DICOM, and export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hnseg.cli.app import (
    Dask,
    Device,
    Jobs,
    Shard,
    Work,
    app,
    handle_errors,
    out,
    print_error,
    print_line,
    refuse_options,
)
from hnseg.cli.set_option import Assignments, set_settings
from hnseg.cohort.splits import load_splits
from hnseg.errors import CaseError, HnsegError, OptionError
from hnseg.parallel import ParallelConfig, parse_shard
from hnseg.progress import show_progress
from hnseg.settings.predict import WindowMethod
from hnseg.suv.body_size import SuvKind
from hnseg.workdir import read_json

if TYPE_CHECKING:  # loads torch and MONAI
    from hnseg.inference.predict_case import InferenceOptions

FLIPS = "Average over flips along these axes: x, y, z, xy, … xyz. Each axis doubles the network's work."
WINDOW = "Windows: patch (the training patch, as published) or auto (the cheapest). Default: as the run says."

BUNDLE = "New folder for a MONAI Bundle, which `python -m monai.bundle run` predicts with; `predict` takes it, too."
ONNX = "New folder for the networks alone, one file for each fold, for onnxruntime; parity is measured and kept there."
DICOM = "Folder with the CT and the PET of one study in DICOM; --out is then the DICOM file to write."
FORM = "What --dicom writes: a Segmentation object (binary or labelmap) or an RTSTRUCT. Default: binary."
TAGS = "CSV file with what the PET's header lacks or states wrongly for SUV; a row is found by the patient's ID."
SUV = "Kind of SUV to convert the PET of --dicom to: that of the scans which the models were trained with."
SERIES = "Number of the series to take, where the study of --dicom has several, as messages name it."
StudyForm = Literal["binary", "labelmap", "rtstruct"]
PAIR_OPTIONS = ("ct", "pet", "mask")
COHORT_OPTIONS = ("jobs", "shard", "dask")
STUDY_OPTIONS = ("form", "tags", "suv", "dose_in_mbq", "ct_series", "pet_series")
SITE = "File of a center that did not train, written by `hnseg fit-site`; may be repeated. For spectrum-align."
MEMORY = "Memory for the windows of --window auto, of all processes together; with --dask, of each worker."


@app.command()
def predict(
    context: typer.Context,
    work: Work,
    data: Annotated[Path | None, typer.Argument(help="A cohort of CT and PET files. Default: the test cases.")] = None,
    target: Annotated[
        Path | None, typer.Option("--out", help="Folder for the cohort's masks, or file for --dicom.")
    ] = None,
    ct: Annotated[Path | None, typer.Option(help="A CT in HU, for one pair of files.")] = None,
    pet: Annotated[Path | None, typer.Option(help="Its PET in SUV.")] = None,
    mask: Annotated[Path | None, typer.Option(help="Mask of the pair to write, *.nii.gz.")] = None,
    dicom: Annotated[Path | None, typer.Option(help=DICOM)] = None,
    form: Annotated[StudyForm, typer.Option(help=FORM)] = "binary",
    tags: Annotated[Path | None, typer.Option(help=TAGS)] = None,
    suv: Annotated[SuvKind, typer.Option(help=SUV)] = "bw",
    dose_in_mbq: Annotated[
        bool, typer.Option("--dose-in-mbq", help="The PET states the dose in MBq, not Bq; for --dicom.")
    ] = False,
    ct_series: Annotated[int | None, typer.Option(help=SERIES)] = None,
    pet_series: Annotated[int | None, typer.Option(help=SERIES)] = None,
    center: Annotated[str, typer.Option(help="The pair's center, of those that trained or of --site.")] = "",
    site: Annotated[list[Path] | None, typer.Option(help=SITE)] = None,
    window: Annotated[WindowMethod | None, typer.Option(help=WINDOW)] = None,
    flips: Annotated[str | None, typer.Option(help=FLIPS)] = None,
    disagreement: Annotated[bool, typer.Option("--disagreement", help="Also map where the models disagree.")] = False,
    memory_gb: Annotated[float | None, typer.Option(min=0.1, help=MEMORY)] = None,
    jobs: Jobs = 1,
    shard: Shard = "1/1",
    dask: Dask = None,
    device: Device = "auto",
    assignments: Assignments = None,
) -> None:
    """Predict with the ensemble. Exit status 1 if a case could not be predicted; the others are.

    Masks that were made from the same files with the same models and settings are kept. A file that hnseg did not
    write is never replaced.
    """
    from hnseg.inference.predict_case import InferenceOptions
    from hnseg.inference.predict_cohort import predict_cohort_from_files, predict_pair

    options = InferenceOptions(device, window, flips, disagreement, memory_gb, tuple(site or ()))
    failures: list[CaseError] = []
    with handle_errors():
        if dask is not None:
            refuse_options(context, ["jobs"], "processes of this machine; the Dask workers have their own")
        parallel = ParallelConfig(jobs, parse_shard(shard), dask)
        _check_way(context)
        set_settings(work, assignments, "predict")
        if dicom is not None and target is not None:
            _predict_study(work, dicom, target, form, (ct_series, pet_series), dose_in_mbq, suv, tags, options, center)
        elif ct is not None and pet is not None and mask is not None:
            predict_pair(work, ct, pet, mask, options=options, center=center)
            print_line(f"mask: {mask}")
        elif data is not None and target is not None:
            with show_progress("predict", out) as progress:
                failures = predict_cohort_from_files(
                    work, data, target, options=options, parallel=parallel, progress=progress
                )
        else:
            failures = _predict_test_cases(work, options, parallel)
    for failure in failures:
        print_error(str(failure))
    if failures:
        raise typer.Exit(1)


def _check_way(context: typer.Context) -> None:
    """Refuse options that do not belong to the way of predicting: a study, a pair, a cohort, or the test cases.

    Raises:
        OptionError: One that would change nothing, or one that is missing.
    """
    given = context.params
    data, target, pair = given["data"], given["target"], [given[name] for name in PAIR_OPTIONS]
    if given["dicom"] is not None:
        refuse_options(context, ["data", *PAIR_OPTIONS, "disagreement", *COHORT_OPTIONS], "not for a study in DICOM")
        if target is None:
            raise OptionError("--out is required with --dicom: the file to write, *.dcm")
        return
    refuse_options(context, STUDY_OPTIONS, "for a study in DICOM, with --dicom")
    if any(path is not None for path in pair):
        if None in pair or data is not None:
            raise OptionError("one pair needs --ct, --pet and --mask, and no cohort")
        refuse_options(context, ["target", *COHORT_OPTIONS], "for a cohort, not for one pair of files")
        return
    refuse_options(context, ["center"], "for one pair of files; a cohort names the center of each case")
    if data is None:
        place = Path(given["work"]) / "predictions"  # a text in the context of an older typer
        refuse_options(context, ["target"], f"for a cohort; the test cases' masks go to {place}")
        refuse_options(context, ["site"], "for new scans; the test cases are prepared with the centers that train")
    elif target is None:
        raise OptionError(f"--out is required when predicting the cohort {data}")


def _predict_study(
    work: Path,
    study: Path,
    target: Path,
    form: StudyForm,
    series: tuple[int | None, int | None],
    dose_in_mbq: bool,
    suv: SuvKind,
    tags: Path | None,
    options: InferenceOptions,
    center: str,
) -> None:
    try:
        import highdicom  # noqa: F401
        import pydicom  # noqa: F401
    except ImportError as error:
        raise HnsegError(f'--dicom needs {error.name}: pip install "ssimh[dicom]"') from error
    from hnseg.dicom.case_record import list_notes
    from hnseg.dicom.pair_studies import SeriesChoices
    from hnseg.inference.predict_study import MADE_BY, StudyReading, predict_study

    choices = SeriesChoices(*(() if number is None else (number,) for number in series))
    reading = StudyReading(choices, dose_in_mbq, suv, tags)
    with show_progress("walk", out) as progress:
        record = predict_study(
            work, study, target, form=form, reading=reading, options=options, center=center, progress=progress
        )
    print_line(f"mask: {target}, how it was made: {record}; for research, not for clinical use")
    for note in list_notes(read_json(record, MADE_BY)):
        print_line(f"  note: {note}")


def _predict_test_cases(work: Path, options: InferenceOptions, parallel: ParallelConfig) -> list[CaseError]:
    """The run's test cases, and the baselines with the first share of them."""
    from hnseg.inference.baselines import predict_baselines
    from hnseg.inference.predict_cohort import predict_cohort

    if not load_splits(work).test:
        print_line(
            f"no test case: {work / 'splits.json'} holds none out. Predict new scans with "
            f"`hnseg predict {work} DATA --out OUT`; the out-of-fold masks are made by `hnseg tune {work}`"
        )
        return []
    with show_progress("predict", out) as progress:
        failures = predict_cohort(work, options=options, parallel=parallel, progress=progress)
    if parallel.shard[0] == 1:  # a tenth of a second a case: not worth sharing
        with show_progress("baselines", out) as progress:
            predict_baselines(work, jobs=parallel.jobs, progress=progress)
    return failures


@app.command()
def fit_site(
    work: Work,
    data: Annotated[Path, typer.Argument(help="Scans of the center: a cohort of CT and PET files; labels not needed.")],
    target: Annotated[Path, typer.Option("--out", help="File to write, *.json: no image, no case ID.")],
    center: Annotated[str, typer.Option(help="Which center of the scans, where they have several.")] = "",
    jobs: Jobs = 1,
) -> None:
    """Fit the site of a center that did not train, for `predict --site`: its CT field, and its PET resolution."""
    from hnseg.preprocessing.new_center import fit_new_center

    with handle_errors(), show_progress("fit-site", out) as progress:
        fitted = fit_new_center(work, data, target, center=center, jobs=jobs, progress=progress)
    parts = [f"{name} of {site.n_subjects} scan(s)" for name, site in (("CT", fitted.ct), ("PET", fitted.pet)) if site]
    if fitted.pet is not None:
        in_plane, axial = fitted.pet.resolution.fwhm_mm
        parts.append(
            f"PET resolution (FWHM) about {in_plane:.1f} mm in plane and {axial:.1f} mm axial on the crop grid"
        )
    print_line(f"{target}: site of center {fitted.name}; {'; '.join(parts)}")


@app.command()
def export(
    context: typer.Context,
    work: Work,
    folder: Annotated[Path | None, typer.Argument(help="New folder, which `predict` takes in place of a run.")] = None,
    bundle: Annotated[Path | None, typer.Option(help=BUNDLE)] = None,
    onnx: Annotated[Path | None, typer.Option(help=ONNX)] = None,
    authors: Annotated[str | None, typer.Option(help="With --bundle: who trained the networks.")] = None,
    copyright_notice: Annotated[
        str | None, typer.Option("--copyright", help="With --bundle: copyright notice of the weights.")
    ] = None,
    license_name: Annotated[
        str | None, typer.Option("--license", help="With --bundle: license of the weights, as CC-BY-NC-4.0.")
    ] = None,
    data_source: Annotated[str | None, typer.Option(help="With --bundle: training data, and their terms.")] = None,
) -> None:
    """Copy the trained models with what predicting new scans needs, without images and paths."""
    from hnseg.bundle.attribution import Attribution
    from hnseg.bundle.write_bundle import export_bundle
    from hnseg.inference.export import export_models
    from hnseg.inference.export_onnx import export_onnx

    ways = {"FOLDER": folder, "--bundle": bundle, "--onnx": onnx}
    given = {name: target for name, target in ways.items() if target is not None}
    with handle_errors():
        if len(given) != 1:
            names = " and ".join(given) or "nothing"
            raise OptionError(f"one of {', '.join(ways)} says what to export and where to; given is {names}")
        [target] = given.values()
        if target is not bundle:
            refuse_options(context, ["authors", "copyright_notice", "license_name", "data_source"], "for --bundle")
        attribution = Attribution(authors, copyright_notice, data_source, license_name)
        if target is onnx:
            with show_progress("export", out) as progress:
                models = export_onnx(work, target, progress=progress)
        elif target is bundle:
            models = export_bundle(work, target, attribution)
        else:
            models = export_models(work, target)
    print_line(f"{len(models)} models: {target}")
    if target is bundle and attribution.missing:
        print_line(f"not stated, and marked in configs/metadata.json: {', '.join(attribution.missing)}")
