"""Pictures of the page, as data URIs: numbers of every scan, spectra of the sites, and examples."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimh.site.site_spectrum import SiteSpectrum
from ssimh.site_benchmark.features import average_spectrum
from ssimh.site_benchmark.numbers import OF_SCANS
from ssimh.site_benchmark.records import ScanResult

try:
    from matplotlib.figure import Figure
except ModuleNotFoundError as error:
    if error.name != "matplotlib":
        raise
    raise ImportError('The page needs Matplotlib, which is not installed: pip install "ssimh[cli]"') from error

# Tol's bright scheme: told apart by readers with any color vision; then the markers differ.
COLORS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES = ("-", "--", ":", "-.")
WINDOWS = {"CT": (-160.0, 240.0), "PT": (0.0, 8.0)}
SPECTRUM_LABELS = {
    "grain": ("ln of the power (HU² mm²)", "Grain in soft tissue"),
    "spectrum": ("ln of the power, relative to the uptake (mm³)", "Uptake, in plane"),
}
_EXAMPLE_VOX = 220  # along the longer side


def draw_numbers(name: str, scans: Sequence[ScanResult], sites: Sequence[str]) -> str | None:
    """One number of every scan, before and after alignment side by side; None where no scan has it.

    Args:
        name: of :data:`ssimh.site_benchmark.numbers.OF_SCANS`.
        scans: all of them.
        sites: in the order of the columns.
    """
    columns = [[scan for scan in scans if scan.site == site] for site in sites]
    if all(scan.before.get(name) is None for scan in scans):
        return None
    figure = Figure(figsize=(8.5, 3.2), layout="constrained")
    both = figure.subplots(1, 2, sharey=True)
    for axes, title, when in zip(both, ("before", "after"), ("before", "after"), strict=True):
        for place, column in enumerate(columns):
            values = [value for scan in column if (value := getattr(scan, when).get(name)) is not None]
            spread = np.linspace(-0.2, 0.2, len(values)) if len(values) > 1 else np.zeros(len(values))
            color, marker = COLORS[place % len(COLORS)], MARKERS[place % len(MARKERS)]
            axes.plot(place + spread, values, marker, color=color, markersize=5, alpha=0.8, linestyle="none")
            if values:
                axes.plot([place - 0.3, place + 0.3], [np.mean(values)] * 2, color="black", linewidth=1.5)
        axes.set(title=title, xticks=range(len(sites)), xlim=(-0.6, len(sites) - 0.4))
        axes.set_xticklabels([_plain(site) for site in sites], rotation=30 if len(sites) > 4 else 0)
        axes.grid(axis="y", alpha=0.3)
    both[0].set_ylabel(OF_SCANS[name].title)
    return encode(figure)


def draw_spectra(part: str, before: Mapping[str, SiteSpectrum], after: Mapping[str, SiteSpectrum]) -> str | None:
    """Mean spectra of the sites before and after alignment; None where no site has one.

    Args:
        part: ``"grain"`` or ``"spectrum"``.
        before, after: the sites by name.
    """
    if all(average_spectrum(part, site)[0].size == 0 for site in before.values()):
        return None
    figure = Figure(figsize=(8.5, 3.4), layout="constrained")
    both = figure.subplots(1, 2, sharey=True)
    label, title = SPECTRUM_LABELS[part]
    for axes, sites, when in zip(both, (before, after), ("before", "after"), strict=True):
        for place, name in enumerate(sorted(sites)):
            k, power = average_spectrum(part, sites[name])
            style = LINES[(place // len(COLORS)) % len(LINES)]
            color, marker = COLORS[place % len(COLORS)], MARKERS[place % len(MARKERS)]
            axes.plot(k, power, style, marker=marker, markersize=4, color=color, label=_plain(name))
        axes.set(title=f"{title}, {when}", xlabel="frequency, cycles per mm")
        axes.grid(alpha=0.3)
    both[0].set_ylabel(label)
    both[1].legend(fontsize=8)
    return encode(figure)


def draw_example(before: NDArray[Any], after: NDArray[Any], spacing_mm: Sequence[float], modality: str) -> str:
    """Before, after and their difference: an axial slice of a CT, the coronal projection of a PET.

    Args:
        before, after: (z, y, x) towards the head, the back and the left.
        spacing_mm: voxel size along (z, y, x).
        modality: ``"CT"`` or ``"PT"``.
    """
    if modality == "CT":
        planes = [np.asarray(volume[len(volume) // 2], dtype=np.float32) for volume in (before, after)]
        aspect, gray = spacing_mm[1] / spacing_mm[2], "gray"
    else:
        planes = [np.asarray(volume.max(axis=1), dtype=np.float32)[::-1] for volume in (before, after)]
        aspect, gray = spacing_mm[0] / spacing_mm[2], "gray_r"
    step = max(1, max(planes[0].shape) // _EXAMPLE_VOX)
    planes = [plane[::step, ::step] for plane in planes]
    change = planes[1] - planes[0]
    limit = max(float(np.percentile(np.abs(change), 99.5)), 1e-3)
    height = 3.0 * planes[0].shape[0] * aspect / planes[0].shape[1]
    figure = Figure(figsize=(9.5, min(max(height, 1.5), 6.0) + 1.3), layout="constrained")
    low, high = WINDOWS[modality]
    for axes, plane, title in zip(figure.subplots(1, 3), (*planes, change), ("before", "after", "change"), strict=True):
        limits = (-limit, limit) if title == "change" else (low, high)
        shown = axes.imshow(
            plane, cmap="RdBu_r" if title == "change" else gray, vmin=limits[0], vmax=limits[1], aspect=aspect
        )
        axes.set(title=title, xticks=[], yticks=[])
        figure.colorbar(shown, ax=axes, location="bottom", fraction=0.05, pad=0.02)
    return encode(figure)


def encode(figure: Figure) -> str:
    """A figure as the address of a picture within the page."""
    stream = io.BytesIO()
    figure.savefig(stream, dpi=110, format="png", metadata={"Software": None})
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"


def _plain(name: str) -> str:
    """A name in which a dollar sign begins no formula."""
    return name.replace("$", r"\$")
