"""The figures of a run for a paper, written to ``figures/``.

hnseg figures WORK
hnseg figures WORK --only 1,5 --case CHUM-001
hnseg figures WORK --external OUT
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hnseg.errors import OptionError
from hnseg.locks import hold
from hnseg.preprocessing.prepared_cohort import PreparedCohort, open_cohort
from hnseg.progress import ProgressCallback, no_progress
from hnseg.report.paper_figures.figure_case import FigureCase, open_figure_case
from hnseg.report.paper_figures.figure_files import DrawnFigure, check_figure_files, save_figures
from hnseg.report.paper_figures.harmonized_case import (
    choose_changed_case,
    draw_harmonized_case,
    find_reason_without_harmonization,
)
from hnseg.report.paper_figures.pipeline_overview import draw_pipeline_overview
from hnseg.report.paper_figures.scanner_and_crop import draw_scanner_and_crop
from hnseg.report.paper_figures.score_comparison import draw_score_comparison
from hnseg.report.paper_figures.style import paper_style
from hnseg.report.paper_figures.triplanar import draw_triplanar

CROP, HARMONIZATION, PIPELINE, SCORES, PREDICTION = NUMBERS = (1, 2, 3, 4, 5)
OF_A_CASE = (CROP, HARMONIZATION, PREDICTION)


@dataclass(frozen=True)
class WrittenFigures:
    """What was written.

    Attributes:
        paths: PNG and PDF of every figure, in their order.
        cases: The case that a figure shows, by number.
        left_out: Why a figure was not made, by number.
    """

    paths: tuple[Path, ...]
    cases: dict[int, str] = field(default_factory=dict)
    left_out: dict[int, str] = field(default_factory=dict)


def write_figures(
    work: Path,
    *,
    case_id: str | None = None,
    external: Path | None = None,
    only: Sequence[int] | None = None,
    progress: ProgressCallback = no_progress,
) -> WrittenFigures:
    """Write the paper's figures of a run as PNG and PDF, and ``figures.json``.

    1 shows a case in scanner coordinates beside its crop, 2 what harmonization did to a case, 3 the pipeline with the
    run's settings and numbers, 4 the scores of validation and test, 5 a case's prediction in three planes. All is
    drawn before anything is written. Without harmonization figure 2 is left out, with the reason.

    Args:
        work: Prepared; for figure 3 trained, for figure 4 evaluated with out-of-fold masks, for figure 5 predicted.
        case_id: The case of figures 1, 2 and 5; None: see :mod:`hnseg.report.paper_figures.figure_case`. Figure 2 then
            shows another one where harmonization leaves that case as it is.
        external: Folder of an external cohort's masks with its ``metrics.json``, for figure 4.
        only: Numbers of the figures; None: all.
        progress: Called after each figure.

    Raises:
        OptionError: A number that is none of 1 to 5, figure 2 alone of a run without harmonization, or an argument that
            none of the figures uses.
        CaseError: The case is none of the run, has no mask, or is out of date.
        WorkDirError: An earlier stage is missing, or what it made is out of date.
        OutputPathError: A file there was changed since, or hnseg did not write it.
        InUseError: Another process writes the figures.
    """
    numbers = _check_options(only, case_id, external)
    left_out = _leave_out(work, numbers, only)
    wanted = [number for number in numbers if number not in left_out]
    with hold(work, "figures", "hnseg figures"), paper_style():
        check_figure_files(work, numbers)
        artist = _Artist(work, open_cohort(work), case_id, external, needs_mask=PREDICTION in wanted)
        drawn = []
        for done, number in enumerate(wanted, start=1):
            drawn.append(artist.draw(number))
            progress(done, len(wanted), f"figure {number}: {drawn[-1].title}")
        paths = save_figures(work, drawn, left_out)
    cases = {figure.number: figure.case_id for figure in drawn if figure.case_id is not None}
    return WrittenFigures(tuple(paths), cases, left_out)


def parse_numbers(text: str) -> list[int]:
    """The numbers in ``1,5``.

    Raises:
        OptionError: Something else.

    >>> parse_numbers("1, 5")
    [1, 5]
    """
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        known = ", ".join(map(str, NUMBERS))
        raise OptionError(f"--only {text}: give numbers of figures with commas between them, of {known}") from error


def _check_options(only: Sequence[int] | None, case_id: str | None, external: Path | None) -> list[int]:
    """The figures to make, in their order."""
    numbers = sorted(set(NUMBERS if only is None else only))
    unknown = [str(number) for number in numbers if number not in NUMBERS]
    if unknown or not numbers:
        raise OptionError(f"figure {', '.join(unknown) or '(none)'}: choose from {', '.join(map(str, NUMBERS))}")
    if external is not None and SCORES not in numbers:
        raise OptionError(f"external {external}: it is for figure {SCORES}, which is not among those to make")
    if case_id is not None and not set(numbers) & set(OF_A_CASE):
        raise OptionError(f"case {case_id}: it is for figures {', '.join(map(str, OF_A_CASE))}; none is to be made")
    return numbers


def _leave_out(work: Path, numbers: Sequence[int], only: Sequence[int] | None) -> dict[int, str]:
    """Figures that this run does not have, with the reason; refused where they were asked for by number."""
    reason = find_reason_without_harmonization(work)
    if reason is None or HARMONIZATION not in numbers:
        return {}
    if only is not None:
        raise OptionError(f"figure {HARMONIZATION}: {reason}")
    return {HARMONIZATION: reason}


@dataclass(frozen=True)
class _Artist:
    """Draws figures of one run; the case is opened once, when the first figure needs it."""

    work: Path
    cohort: PreparedCohort
    case_id: str | None
    external: Path | None
    needs_mask: bool
    _opened: dict[str, FigureCase] = field(default_factory=dict)

    def draw(self, number: int) -> DrawnFigure:
        if number == PIPELINE:
            return draw_pipeline_overview(self.work, self.cohort)
        if number == SCORES:
            return draw_score_comparison(self.work, self.external)
        case = self._open(self.case_id, needs_mask=self.needs_mask)
        if number == CROP:
            return draw_scanner_and_crop(case)
        if number == PREDICTION:
            return draw_triplanar(case)
        if self.case_id is None:
            case = self._open(choose_changed_case(self.cohort, case.id), needs_mask=False)
        return draw_harmonized_case(self.work, self.cohort, case)

    def _open(self, case_id: str | None, *, needs_mask: bool) -> FigureCase:
        key = case_id or ""
        if key not in self._opened:
            case = open_figure_case(self.work, self.cohort, case_id, needs_mask=needs_mask)
            self._opened.update({key: case, case.id: case})
        return self._opened[key]
