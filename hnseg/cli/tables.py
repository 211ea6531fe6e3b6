"""Results as tables for the terminal."""

from __future__ import annotations

from rich.table import Table

from hnseg.evaluation.compare import ComparisonResult
from hnseg.evaluation.records import Interval
from hnseg.inference.tune import TuningResult
from hnseg.training.plan import TrainingPlan


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
    for title in ("patch", "batch size", "precision", "GB", "s per step", "h per fold", "fits"):
        table.add_column(title, justify="right", no_wrap=True)
    for option in plan.options:
        sign = "" if option.measured else "≈ "
        cells = [
            " × ".join(map(str, option.patch_vox)),
            str(option.batch_size),
            option.precision,
            f"{sign}{option.memory_gb:.1f}",
            f"{sign}{option.seconds_per_step:.3g}",
            f"{sign}{option.hours_per_fold:.2g}",
            "yes" if option.fits else "no",
        ]
        table.add_row(*cells, style="bold" if option == plan.wanted else None)
    return table
