"""Pictures of the concepts of ssimh: the nine cosines, the swap, what it does to a neck, and what a site is."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from people import F32, GAIN, NECK_HERE, TILT, generate_person, neck_here, neck_there, primary_slice
from scheme import COLUMN_INCHES, Scheme, add_label, add_panel, add_text, new_figure, show_ct, style_chart

from hnseg.pictures.palette import CHANGE_COLORMAP, CHANGE_LIMIT_HU
from ssimh import SiteSpectrum, align_spectrum, compare, cosine_basis, from_low_frequency, low_frequency, swap_spectrum

VALID_HU = (-1024.0, 3071.0)
MIDDLE = slice(10, 210)  # rows and columns of a neck that are shown
SITE_PEOPLE = 6
SITE_PIXEL_MM = 2.2


def draw_cosines(scheme: Scheme) -> Figure:
    """The nine basis images of τ = 3, from -1 (blue) to 1 (red)."""
    basis = cosine_basis(96, 3)
    figure = new_figure(COLUMN_INCHES * 0.62, COLUMN_INCHES * 0.66)
    for ky in range(3):
        for kx in range(3):
            axes = add_panel(figure, (0.06 + kx * 0.315, 0.64 - ky * 0.315, 0.3, 0.29))
            wave = np.outer(basis[ky], basis[kx])
            axes.imshow(wave / np.abs(wave).max(), cmap=CHANGE_COLORMAP, vmin=-1.1, vmax=1.1)
            if ky == 0:
                add_text(axes, scheme, 0.5, 1.1, f"$k_x = {kx}$")
            if kx == 0:
                add_text(axes, scheme, -0.12, 0.5, f"$k_y = {ky}$", rotation=90)
    return figure


def show_change(axes: Axes, change_hu: F32) -> None:
    """Draw a difference of two CT slices, white where nothing changed."""
    axes.imshow(change_hu, cmap=CHANGE_COLORMAP, vmin=-CHANGE_LIMIT_HU, vmax=CHANGE_LIMIT_HU, interpolation="lanczos")


def draw_four(scheme: Scheme, panels: list[tuple[F32, str]], change: int = 3) -> Figure:
    """Four panels, two by two, each with its name below; number ``change`` is drawn as a difference in HU."""
    figure = new_figure(COLUMN_INCHES, COLUMN_INCHES * 1.1)
    for number, (image, name) in enumerate(panels):
        row, column = divmod(number, 2)
        axes = add_panel(figure, (0.005 + 0.5 * column, 0.56 - 0.5 * row, 0.49, 0.44))
        axes.set_anchor("S")
        (show_change if number == change else show_ct)(axes, image[MIDDLE, MIDDLE])
        add_text(axes, scheme, 0.5, -0.06, name, size=10)
        if number == change:
            edge = CHANGE_LIMIT_HU
            axes.text(
                0.97, 0.03, f"blue −{edge:.0f} HU, red +{edge:.0f} HU", transform=axes.transAxes, fontsize=8.5,
                color="#1d2530", ha="right", va="bottom",
            )  # fmt: skip
    return figure


@functools.cache
def swap_panels(*, same_person: bool) -> list[tuple[F32, str]]:
    """A slice of a scan, of the reference, of the result, and the change with its mean in soft tissue."""
    scan, reference = (neck_there(), neck_here()) if same_person else (neck_here(1), neck_here(2))
    depth, z = min(len(scan), len(reference)), primary_slice()
    scan, reference = scan[:depth], reference[:depth]
    result = swap_spectrum(scan, reference, clip=VALID_HU)
    moved = compare(scan, result, reference).soft_tissue_mean_abs_delta
    return [
        (scan[z], "scan"),
        (reference[z], f"reference: {'the same' if same_person else 'another'} neck"),
        (result[z], "scan after the swap"),
        (result[z] - scan[z], f"change: {moved:.0f} HU in soft tissue"),
    ]


def draw_swap_same(scheme: Scheme) -> Figure:
    """The published case: the same anatomy in both scans, so that only the scanner differs."""
    return draw_four(scheme, swap_panels(same_person=True))


def draw_swap_other(scheme: Scheme) -> Figure:
    """The same scanner twice, and two people: all that the swap changes is anatomy."""
    return draw_four(scheme, swap_panels(same_person=False))


def draw_swap_steps(scheme: Scheme) -> Figure:
    """A slice, its nine cosines, those of the reference, and the slice with these in place of its own."""
    z = primary_slice()
    scan, reference = neck_there()[z], neck_here()[z]
    own, other = (from_low_frequency(low_frequency(image), image.shape) for image in (scan, reference))
    names = ("scan $X$", "its nine cosines", "those of the reference", "$X$ with those in place of its own")
    panels = [*zip((scan, own, other, scan - own + other), names, strict=True)]
    figure = draw_four(scheme, panels, change=-1)
    for axes in figure.axes[1:3]:
        axes.images[0].set_clim(-1100, 100)
        add_label(axes, "−1100 to 100 HU", size=8.5)
    return figure


def draw_swap_profile(scheme: Scheme) -> Figure:
    """The row through the middle of two necks: CT and low frequencies of both."""
    z, row = primary_slice(), 118
    figure = new_figure(COLUMN_INCHES, COLUMN_INCHES * 0.56)
    axes = figure.add_axes((0.16, 0.2, 0.82, 0.72))
    curves = ((neck_here(1)[z], scheme.blue, "scan", "solid"), (neck_here(2)[z], scheme.orange, "reference", "dashed"))
    for image, color, name, style in curves:
        smooth = from_low_frequency(low_frequency(image), image.shape)
        axes.plot(image[row], color=color, linewidth=0.8, alpha=0.75, linestyle=style)
        axes.plot(smooth[row], color=color, linewidth=2.4, linestyle=style, label=f"nine cosines of the {name}")
    axes.set_ylim(-1100, 400)
    style_chart(axes, scheme, "place in the row, mm", "HU")
    axes.legend(fontsize=8, labelcolor=scheme.ink, frameon=False, loc="lower center")
    return figure


@functools.cache
def site_scans(first: int, seed_gain: float) -> tuple[F32, ...]:
    """Coarse necks of six people; attenuation times ``GAIN`` and tilted where ``seed_gain`` is 1."""
    center = replace(NECK_HERE, ct_matrix=100, ct_pixel_mm=SITE_PIXEL_MM)
    scans = []
    for index in range(first, first + SITE_PEOPLE):
        scan = generate_person(center, index, None).ct.astype(np.float32)
        gain = 1 + seed_gain * (GAIN - 1 + TILT * np.linspace(1, -1, scan.shape[-1], dtype=np.float32))
        scans.append(np.maximum((scan + 1000) * gain - 1000, -1024))
    return tuple(scans)


@functools.cache
def align_site() -> F32:
    """The first scan of hospital B, aligned to hospital A."""
    there, here = SiteSpectrum.fit(site_scans(1, 1.0)), SiteSpectrum.fit(site_scans(11, 0.0))
    return align_spectrum(site_scans(1, 1.0)[0], there, here)


def draw_site(scheme: Scheme) -> Figure:
    """Three people of each of two hospitals, the field in which the hospitals differ, and a scan that is aligned."""
    there, here = site_scans(1, 1.0), site_scans(11, 0.0)
    scan, truth, aligned = there[0], site_scans(1, 0.0)[0], align_site()
    z = len(scan) // 2
    body = truth > -500
    before, after = (float(np.abs(image - truth)[body].mean()) for image in (scan, aligned))
    figure = new_figure(COLUMN_INCHES, COLUMN_INCHES * 1.12)
    for row, (scans, name) in enumerate(((there, "hospital B"), (here, "hospital A"))):
        for column in range(3):
            axes = add_panel(figure, (column / 3 + 0.005, 0.685 - row * 0.315, 1 / 3 - 0.01, 0.31))
            show_ct(axes, scans[column][z])
            if column == 0:
                add_label(axes, f"{name}, {SITE_PEOPLE} people")
    last = (
        (show_change, scan[z] - truth[z], f"effect: {before:.0f} HU"),
        (show_change, scan[z] - aligned[z], "removed by alignment"),
        (show_ct, aligned[z], f"aligned, {after:.0f} HU left"),
    )
    for column, (show, image, name) in enumerate(last):
        axes = add_panel(figure, (column / 3 + 0.005, 0.055, 1 / 3 - 0.01, 0.31))
        show(axes, image)
        add_text(axes, scheme, 0.5, -0.08, name, size=8)
    return figure
