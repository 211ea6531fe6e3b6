"""Table and figure of the scanner-effect benchmark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

METHODS = ("SpectrumAlign", "without shrinkage", "swap, b = 1", "swap, b = 3", "histogram matching")
_COLORS = {"SpectrumAlign": "#0b6e4f", "without shrinkage": "#e08e0b", "nothing": "#666666"}


def draw(results: dict[str, Any], out: Path) -> None:
    """Write the table beside the JSON file, and the figure."""
    out.with_suffix(".txt").write_text(table(results))
    figure(results).savefig(out.with_suffix(".png"), dpi=80)


def table(results: dict[str, Any]) -> str:
    """Markdown: one line per effect and number of subjects, mean absolute error in HU with its 95 % interval."""
    lines = [
        f"{results['subjects']} {results['cohort']} scans, {results['splits']} random splits; mean absolute error "
        "inside the body, HU, ± 95 % of the mean over splits. Swaps and histogram matching take one reference subject "
        "per scan and were run on two splits.",
        "",
        "| effect (fixed to) | subjects per site | nothing | " + " | ".join(METHODS) + " |",
        "|---|---|---|" + "---|" * len(METHODS),
    ]
    for row in results["controlled"]:
        size = row["subjects_per_site"] or f"all ({results['subjects'] // 2})"
        name = f"{row['effect']} ({row['frame']})" if row["effect"] != "none" else "none: two groups of one site"
        cells = [_cell(row.get(method)) for method in ("nothing", *METHODS)]
        lines.append(f"| {name} | {size} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(value: dict[str, float] | None) -> str:
    if value is None:
        return ""
    if value["mean"] >= 30:
        return f"{value['mean']:.0f}"
    return f"{value['mean']:.1f} ± {value['half_width_95']:.1f}" if value["mean"] else "0"


def figure(results: dict[str, Any]) -> Figure:
    """Error against the number of subjects, one panel per effect."""
    rows = results["controlled"]
    effects = list(dict.fromkeys((row["effect"], row["frame"]) for row in rows))
    columns = 7
    chart = Figure(figsize=(19.5, 6.2), layout="constrained")
    panels = chart.subplots(2, columns, sharex=True).ravel()
    for panel, (effect, frame) in zip(panels, effects, strict=False):
        mine = [row for row in rows if (row["effect"], row["frame"]) == (effect, frame)]
        sizes = [row["subjects_per_site"] or results["subjects"] // 2 for row in mine]
        places = np.arange(len(sizes))
        for method, color in _COLORS.items():
            means = [row[method]["mean"] for row in mine]
            halves = [row[method]["half_width_95"] for row in mine]
            style = "--" if method == "nothing" else "-"
            panel.errorbar(places, means, halves, color=color, label=method, capsize=3, linestyle=style)
        panel.set_xticks(places, [str(size) for size in sizes])
        panel.set(title=f"{effect}\nfixed to the {frame}" if effect != "none" else "none: two groups of one site")
        panel.set_ylim(0, None)
        panel.grid(alpha=0.3)
    for panel in panels[len(effects) :]:
        panel.set_axis_off()
    for panel in panels[::columns]:
        panel.set_ylabel("error inside the body, HU")
    for panel in panels[columns:][: len(effects) - columns]:
        panel.set_xlabel("subjects per site")
    panels[0].legend()
    return chart
