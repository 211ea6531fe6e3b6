"""Figure 2: what harmonization did to a case: reference, source, harmonized, difference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hnseg.cohort.cases import Case
from hnseg.cohort.splits import SplitCohort
from hnseg.errors import WorkDirError
from hnseg.images.geometry import Grid
from hnseg.images.image_io import to_sitk
from hnseg.pictures.palette import CHANGE_COLORMAP
from hnseg.pictures.planes import CT, PLANES
from hnseg.preprocessing.crop_case import crop_case
from hnseg.preprocessing.harmonization import (
    AXIAL,
    HarmonizationRecord,
    Harmonizer,
    MatchToReference,
    SwapToReference,
)
from hnseg.preprocessing.harmonizer_store import find_reference_source, load_harmonizer
from hnseg.preprocessing.image_versions import FINAL
from hnseg.preprocessing.prepared_cohort import PreparedCohort
from hnseg.preprocessing.reference_file import SPECTRUM_SUFFIX, read_reference_ct
from hnseg.report.paper_figures.figure_case import FigureCase
from hnseg.report.paper_figures.figure_files import DrawnFigure
from hnseg.report.paper_figures.panels import (
    Cut,
    describe_convention,
    describe_window,
    draw_color_bar,
    draw_letters,
    draw_scale_bar,
    format_mm,
    show_image,
)
from hnseg.report.paper_figures.style import MARGIN_IN, NOTE_PT, TITLE_PT, WIDTH_IN, Note, make_figure, place_axes
from hnseg.settings.prepare import PrepareConfig
from hnseg.workdir import load_config
from ssimh import swap_spectrum
from ssimh.site.body import BODY_THRESHOLD_HU

SHOWN = PLANES[:2]  # axial and coronal
UNCHANGED_HU = 0.05  # mean change of soft tissue, as it is rounded in case.json
LEAST_LIMIT_HU = 5.0  # of the color scale of the difference
LIMIT_PERCENTILE = 99.0  # of the change within the body
LIMIT_STEPS = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
FINAL_NOTE = "Shown is the version of test cases; that of a fold is fitted without the cases that the fold validates."
GAP_IN, HEAD_IN, BARS_IN = 0.04, 0.36, 0.38
TICK_IN = 0.08  # by which the numbers at the ends of a color bar stick out
Volume = NDArray[np.float32]


@dataclass(frozen=True)
class Panel:
    """One column of the figure: a volume on the crop grid, and the values at the ends of its color scale."""

    title: str
    subtitle: str
    volume: Volume
    window: tuple[float, float]
    colormap: str


@dataclass(frozen=True)
class HarmonizedCase:
    """What the figure shows.

    Attributes:
        panels: The columns; the last one is the difference.
        grid: Of all volumes.
        record: What harmonization did.
    """

    panels: tuple[Panel, ...]
    grid: Grid
    record: HarmonizationRecord


def find_reason_without_harmonization(work: Path) -> str | None:
    """Why a run has no figure 2; None where it has one."""
    if load_config(work).prepare.harmonization == "none":
        return "the run does not harmonize (prepare.harmonization = none)"
    return None


def choose_changed_case(cohort: PreparedCohort, case_id: str) -> str:
    """A case that harmonization changes: the given one, or else the one of median change in soft tissue.

    The reference itself, and with ``spectrum-align`` the cases of the target center, stay as they are.

    Args:
        cohort: Of the run.
        case_id: The case that the other figures show.
    """
    if _change(cohort, case_id) > UNCHANGED_HU:
        return case_id
    known = [name for name in cohort.splits.all_ids() if cohort.failure(name) is None]
    changed = sorted((change, name) for name in known if (change := _change(cohort, name)) > UNCHANGED_HU)
    return changed[(len(changed) - 1) // 2][1] if changed else case_id


def _change(cohort: PreparedCohort, case_id: str) -> float:
    return cohort.open_case(case_id).record.harmonization.soft_tissue_mean_abs_hu


def harmonize_case(work: Path, cohort: PreparedCohort, case: FigureCase) -> HarmonizedCase:
    """Crop a case and harmonize it as test cases and new scans are, and collect what the figure shows.

    Raises:
        WorkDirError: The harmonizer is missing or was fitted on something else than the run would now.
        CaseError: The case or the reference cannot be read.
    """
    harmonizer, config = load_harmonizer(work), load_config(work).prepare
    cropped = case.cropped
    made = harmonizer.harmonize(cropped.ct_hu, cropped.scanned, None, case.case.center)[FINAL]
    record, difference = made.record, made.ct_hu - cropped.ct_hu
    columns = []
    reference = _find_reference(work, harmonizer, cohort, config)
    if reference is not None:
        columns.append(reference)
    source = case.id if record.source is None else f"{case.id}, center {case.case.center}"
    after = {"spectrum-swap": "spectrum swapped", "histogram-match": "histogram matched"}.get(record.method)
    body = cropped.ct_hu > BODY_THRESHOLD_HU
    limit = _round_limit(float(np.percentile(np.abs(difference[body]), LIMIT_PERCENTILE)) if body.any() else 0.0)
    columns += [
        Panel("source", source, cropped.ct_hu, CT.window, CT.colormap),
        Panel("harmonized", after or f"to center {record.target}", made.ct_hu, CT.window, CT.colormap),
        Panel("difference", "after − before", difference, (-limit, limit), CHANGE_COLORMAP),
    ]
    return HarmonizedCase(tuple(columns), case.record.crop_grid, record)


def _find_reference(work: Path, harmonizer: Harmonizer, cohort: PreparedCohort, config: PrepareConfig) -> Panel | None:
    """The reference subject or file; of a saved spectrum its low frequencies; None with a method that has none."""
    if not isinstance(harmonizer, SwapToReference | MatchToReference):
        return None
    source = find_reference_source(work, SplitCohort(cohort.cases, cohort.splits), config)
    if isinstance(source, Case):
        volume = crop_case(source, config).ct_hu
    elif isinstance(harmonizer, MatchToReference):
        volume = harmonizer.reference_hu.astype(np.float32)
    elif source.is_file() and source.suffix != SPECTRUM_SUFFIX:
        volume = read_reference_ct(source, config)
    else:
        return _show_spectrum(harmonizer, config)
    return Panel("reference", harmonizer.reference_id, volume, CT.window, CT.colormap)


def _show_spectrum(harmonizer: SwapToReference, config: PrepareConfig) -> Panel:
    """The image that the swapped coefficients alone make; it has gray values of its own."""
    nothing = np.zeros(config.box_vox[::-1], np.float32)
    field = swap_spectrum(nothing, harmonizer.reference, threshold=config.swap_threshold, axes=AXIAL)
    low, high = (float(end) for end in np.percentile(field, [1, 99]))
    subtitle = f"low frequencies, {format_mm(low)} to {format_mm(high)} HU"
    return Panel("reference", subtitle, field, (low, max(high, low + 1)), CT.colormap)


def _round_limit(change_hu: float) -> float:
    """The end of the color scale: a round number of HU that is not less than the change.

    >>> [_round_limit(change) for change in (0.0, 12.0, 50.0, 180.0, 520.0)]
    [5.0, 15.0, 50.0, 200.0, 600.0]
    """
    if change_hu <= LEAST_LIMIT_HU:
        return LEAST_LIMIT_HU
    power = 10.0 ** math.floor(math.log10(change_hu))
    return next(step * power for step in LIMIT_STEPS if step * power >= change_hu * (1 - 1e-9))


def draw_harmonized_case(work: Path, cohort: PreparedCohort, case: FigureCase) -> DrawnFigure:
    """Draw figure 2.

    Raises:
        WorkDirError: The run does not harmonize, or as :func:`harmonize_case`.
    """
    reason = find_reason_without_harmonization(work)
    if reason is not None:
        raise WorkDirError(f"{work}: no figure 2: {reason}")
    shown = harmonize_case(work, cohort, case)
    cuts = [Cut(plane, case.find_lesion(shown.grid, plane), shown.grid) for plane in SHOWN]
    method = describe_method(shown.record, load_config(work).prepare)
    note = Note(
        f"{case.id} ({case.place.description}), {' and '.join(cut.name for cut in cuts)}, on the crop grid "
        f"({shown.grid.spacing_mm[0]:.3g} mm).",
        f"{method}; soft tissue changes by {shown.record.soft_tissue_mean_abs_hu:.1f} HU on average "
        f"(95th percentile {shown.record.soft_tissue_p95_abs_hu:.1f} HU).",
        f"Fallback: {shown.record.fallback}." if shown.record.fallback else "",
        FINAL_NOTE if shown.record.method == "spectrum-align" and case.place.part != "test" else "",
        describe_convention(SHOWN),
    )
    return DrawnFigure(
        2, "CT harmonization", _caption(shown, case, method), _draw(shown, cuts, note), case.id, case.inputs
    )


def describe_method(record: HarmonizationRecord, config: PrepareConfig) -> str:
    """The harmonization of a case in words, with its reference or its two centers."""
    if record.method == "spectrum-swap":
        return f"Spectrum swap, slice by slice, τ = {config.swap_threshold}, reference {record.reference}"
    if record.method == "histogram-match":
        return f"Histogram matching to the reference {record.reference}"
    counts = "" if record.subjects is None else f" ({' and '.join(map(str, record.subjects))} subjects)"
    centers = f"center {record.source} to the target center {record.target}{counts}"
    return f"Spectrum alignment of {centers}; no reference subject"


def _caption(shown: HarmonizedCase, case: FigureCase, method: str) -> str:
    names = [panel.title for panel in shown.panels]
    listed = ", ".join(f"({number}) {name}" for number, name in enumerate(names, start=1))
    return f"CT harmonization of {case.id}. From left to right: {listed} (after − before). {method}."


def _draw(shown: HarmonizedCase, cuts: Sequence[Cut], note: Note) -> Figure:
    count = len(shown.panels)
    width = (WIDTH_IN - 2 * MARGIN_IN - (count - 1) * GAP_IN) / count
    heights = [width * cut.height_mm / cut.width_mm for cut in cuts]
    bars = HEAD_IN + sum(heights) + GAP_IN * len(cuts)
    figure = make_figure(bars + BARS_IN + note.height_in)
    scales: dict[str, ScalarMappable] = {}
    for column, panel in enumerate(shown.panels):
        left = MARGIN_IN + column * (width + GAP_IN)
        image, top = to_sitk(panel.volume, shown.grid), HEAD_IN
        for cut, height in zip(cuts, heights, strict=True):
            axes = place_axes(figure, left, top, width, height)
            values = cut.values(image, outside=panel.window[0])
            scales[panel.colormap] = show_image(axes, values, cut, panel.colormap, panel.window)
            if column == 0:
                draw_letters(axes, cut.plane)
                draw_scale_bar(axes)
            top += height + GAP_IN
        middle = (left + width / 2) / WIDTH_IN
        for text, size_pt, down in ((panel.title, TITLE_PT, 0.1), (panel.subtitle, NOTE_PT, 0.25)):
            place = (middle, 1 - down / figure.get_figheight())
            figure.text(*place, text, fontsize=size_pt, ha="center", va="center")
    grays = MARGIN_IN + (count - 1) * (width + GAP_IN) - GAP_IN
    draw_color_bar(figure, scales[CT.colormap], describe_window(CT), (MARGIN_IN, bars, grays - MARGIN_IN - 0.1))
    change, limit = scales[CHANGE_COLORMAP], shown.panels[-1].window[1]
    end = (grays + GAP_IN + TICK_IN, bars, width - 2 * TICK_IN)
    draw_color_bar(figure, change, "change, HU", end, ticks=(-limit, 0.0, limit))
    note.write(figure)
    return figure
