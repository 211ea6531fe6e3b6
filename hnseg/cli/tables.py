"""Results as tables for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from hnseg.settings.assignments import format_value
from hnseg.settings.fields import list_fields

if TYPE_CHECKING:  # the modules of these types load torch and MONAI
    from hnseg.evaluation.compare import ComparisonResult
    from hnseg.evaluation.records import Interval
    from hnseg.inference.tune import TuningResult
    from hnseg.training.cohort_size import CohortSize
    from hnseg.training.plan import TrainingPlan
    from hnseg.training.run_needs import RunNeeds


def number(value: float | None, digits: int = 3, *, sign: bool = False) -> str:
    """A score, or a dash where it is undefined."""
    return "–" if value is None else f"{value:{'+' if sign else ''}.{digits}f}"


def bounds(interval: Interval | None) -> str:
    """An interval; an open bound is infinite."""
    if interval is None:
        return "–"
    low, high = interval
    return f"{'−∞' if low is None else number(low, sign=True)} … {'∞' if high is None else number(high, sign=True)}"


def comparison_table(result: ComparisonResult) -> Table:
    """What :func:`hnseg.evaluation.compare.compare` found, one row a score."""
    table = Table(title=f"A: {result.a}\nB: {result.b}", title_justify="left")
    table.add_column("", no_wrap=True)
    for title in ("A", "B", "B − A", "95 %", "p", "Holm", "Wilcoxon"):
        table.add_column(title, justify="right", no_wrap=title != "95 %")
    for name, row in result.scores.items():
        table.add_row(
            f"[bold]{name}[/]" if row.p_holm is not None else name,
            number(row.a),
            number(row.b),
            number(row.difference, sign=True),
            bounds(row.interval),
            number(row.p),
            number(row.p_holm),
            number(row.p_wilcoxon),
        )
    return table


def tuning_table(result: TuningResult) -> Table:
    """What :func:`hnseg.inference.tune.choose` found: the defaults, what was chosen, and the best of the grid."""
    table = Table(title=f"Post-processing, {result.n_cases} out-of-fold cases", title_justify="left")
    table.add_column("", no_wrap=True)
    for title in ("≥ GTVp ml", "≥ GTVn ml", "≤ mm", "objective", "GTVp Dice", "GTVn Dice", "GTVn F1"):
        table.add_column(title, justify="right", no_wrap=" " not in title)
    for name, settings in (("defaults", result.defaults), ("chosen", result.chosen), ("best", result.best)):
        setting = [f"{value:g}" for value in settings.values()]
        table.add_row(name, *setting, *(number(value) for value in result.scores[name].values()))
    return table


def plan_table(plan: TrainingPlan) -> Table:
    """What :func:`hnseg.training.plan.make_plan` found; the run's own settings in bold."""
    table = Table(title="Training on this device; computed from one measured patch (≈)", title_justify="left")
    for title in ("patch", "batch", "precision", "GB", "s/step", "h/fold", "fits"):
        table.add_column(title, justify="right", no_wrap=True)
    for option in plan.options:
        sign = "" if option.measured else "≈ "
        cells = [
            "×".join(map(str, option.patch_vox)),
            str(option.batch_size),
            option.precision,
            f"{sign}{option.memory_gb:.1f}",
            f"{sign}{option.seconds_per_step:.3g}",
            f"{sign}{option.hours_per_fold:.2g}",
            "yes" if option.fits else "no",
        ]
        table.add_row(*cells, style="bold" if option == plan.wanted else None)
    return table


def needs_table(cohort: CohortSize, needs: RunNeeds) -> Table:
    """What :func:`hnseg.training.run_needs.compute_needs` found, for the run's own settings."""
    table = Table(title=f"What {cohort.cases} cases need; computed", title_justify="left", show_header=False)
    table.add_column("", no_wrap=True)
    table.add_column("", justify="right", no_wrap=True)
    disk, hours = needs.disk, needs.hours
    rows = [
        ("disk: prepared cases, one version of the image", f"{disk.prepared:.3g} GB"),
        ("disk: prepared cases, spectrum-align", f"{disk.prepared_align:.3g} GB"),
        (f"disk: checkpoints of {needs.folds} folds", f"{disk.checkpoints:.3g} GB"),
        ("disk: out-of-fold masks", f"{disk.out_of_fold:.3g} GB"),
        ("memory: preparing, a process", f"{needs.preparing_gb:.3g} GB"),
        ("memory: decoded cases while training", f"{needs.cache_gb:.3g} GB"),
        (f"a fold: {hours.steps} steps", f"{hours.fold_training:.3g} h"),
        (f"a fold: {hours.validations} validated cases", f"{hours.fold_validation:.3g} h"),
        (f"{needs.folds} folds on one device", f"{hours.all_folds_one_device:.3g} h"),
        (f"{needs.folds} folds, a device each", f"{hours.all_folds_a_device_each:.3g} h"),
        *((f"a fold on {devices} devices, ideal", f"{value:.3g} h") for devices, value in hours.fold_on.items()),
    ]
    for row in rows:
        table.add_row(*row)
    return table


def settings_table(
    values: Mapping[str, object],
    others: Mapping[str, object],
    names: Sequence[str],
    *,
    against: str,
    tuned: Sequence[str] = (),
) -> Table:
    """Settings beside those of a preset.

    Args:
        values: By dotted name.
        others: The same of the preset.
        names: Settings to show.
        against: Name of the preset.
        tuned: Settings that ``hnseg tune`` has chosen.
    """
    table = Table()
    table.add_column("setting", no_wrap=True)
    for title in ("value", f"in {against}", "unit", "what it is"):
        table.add_column(title, overflow="fold")
    for name in names:
        field, value, other = list_fields()[name], format_value(values[name]), format_value(others[name])
        note = " (tuned)" if name in tuned else ""
        row = (name, value + note, "same" if value == other else other, field.unit, field.description)
        table.add_row(*(Text(cell) for cell in row), style="" if value == other else "bold")
    return table
