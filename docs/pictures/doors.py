"""Pictures of the first page: one for each of its three doors."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.patheffects import withStroke
from people import WHOLE, generate_person, neck_here, neck_there, primary_slice
from scheme import COLUMN_INCHES, CT_WINDOW_HU, Scheme, add_label, add_panel, add_text, new_figure, show_ct

from hnseg.images.resample import resample
from hnseg.pictures.palette import FUSED_COLORMAP, Color
from ssimh import swap_spectrum

DOOR_INCHES = (3.6, 2.23)


def draw_harmonize(scheme: Scheme) -> Figure:
    """One person's neck: hospital A, hospital B, and B harmonized to A."""
    here, there = neck_here(), neck_there()
    z = primary_slice()
    harmonized = swap_spectrum(there, here, clip=(-1024.0, 3071.0))
    figure = new_figure(COLUMN_INCHES, COLUMN_INCHES * 0.37)
    panels = ((here, "hospital A"), (there, "hospital B"), (harmonized, "hospital B, harmonized"))
    for column, (scan, name) in enumerate(panels):
        axes = add_panel(figure, (column / 3 + 0.004, 0.1, 1 / 3 - 0.008, 0.9))
        show_ct(axes, scan[z, 10:192, 19:201])  # without the table below
        add_text(axes, scheme, 0.5, -0.07, name, size=9.5)
        if not column:
            low, high = (f"{hu:g}".replace("-", "−") for hu in CT_WINDOW_HU)
            add_label(axes, f"all: {low} to {high} HU")
    return figure


def draw_door_harmonize(scheme: Scheme) -> Figure:
    """A neck of hospital B: left half as scanned, right half harmonized."""
    there, here, z = neck_there(), neck_here(), primary_slice()
    both = swap_spectrum(there, here, clip=(-1024.0, 3071.0))[z]
    both[:, :110] = there[z][:, :110]
    figure = new_figure(*DOOR_INCHES)
    axes = add_panel(figure, (0, 0, 1, 1))
    show_ct(axes, both[42:178])
    axes.set_aspect("equal", adjustable="datalim")
    axes.axvline(109.5, color="white", linewidth=1.2)
    add_label(axes, "before")
    axes.text(0.97, 0.03, "after", transform=axes.transAxes, fontsize=8, color="white", ha="right", va="bottom")
    axes.set_facecolor("black")
    figure.patch.set_facecolor("black")
    figure.patch.set_alpha(1)
    return figure


def draw_door_pipeline(scheme: Scheme) -> Figure:
    """Boxes from left to right: your loader, the swap, your transforms, your network."""
    figure = new_figure(*DOOR_INCHES)
    axes = add_panel(figure, (0, 0, 1, 1))
    axes.set_xlim(0, 42)
    axes.set_ylim(0, 26)
    steps = (("LoadImaged", False), ("SpectrumSwapd", True), ("CropForegroundd", False), ("SegResNet", False))
    for row, (name, ours) in enumerate(steps):
        y = 20.6 - 6.2 * row
        edge = scheme.orange if ours else scheme.soft
        axes.add_patch(
            FancyBboxPatch(
                (16.5, y),
                23.5,
                4.1,
                boxstyle="round,pad=0,rounding_size=0.9",
                facecolor=scheme.ground,
                edgecolor=edge,
                linewidth=2.2 if ours else 1.0,
            )
        )
        axes.text(
            28.25,
            y + 2.0,
            name,
            ha="center",
            va="center",
            fontsize=10,
            family="DejaVu Sans Mono",
            color=scheme.ink,
            weight="bold" if ours else "normal",
        )
        if row:
            axes.add_patch(
                FancyArrowPatch(
                    (28.25, y + 6.2),
                    (28.25, y + 4.1),
                    arrowstyle="-|>",
                    mutation_scale=9,
                    color=scheme.soft,
                    shrinkA=1,
                    shrinkB=1,
                )
            )
    z = primary_slice()
    harmonized = swap_spectrum(neck_there(), neck_here(), clip=(-1024.0, 3071.0))
    for y, scan in ((0.52, neck_there()), (0.02, harmonized)):
        inset = add_panel(figure, (0.02, y, 0.3, 0.47))
        show_ct(inset, scan[z, 42:178, 42:178])
    return figure


def draw_door_segment(scheme: Scheme) -> Figure:
    """PET over CT, axial and coronal, with the contours of tumor and lymph node."""
    case = generate_person(WHOLE, 3, 1.5)
    pet = resample(case.pet, case.pet_grid, case.ct_grid, outside=0.0)
    z = int((case.label == 1).sum(axis=(1, 2)).argmax())
    y = int((case.label == 1).sum(axis=(0, 2)).argmax())
    figure = new_figure(*DOOR_INCHES)
    figure.patch.set_facecolor("black")
    figure.patch.set_alpha(1)
    cuts = (
        ((0.0, 0.0, 0.56, 1.0), slice(z, z + 1), slice(105, 228), slice(109, 225), False),
        ((0.56, 0.0, 0.44, 1.0), slice(18, 118), slice(y, y + 1), slice(109, 225), True),
    )
    for box, k, j, i, head_up in cuts:
        axes = add_panel(figure, box)
        ct, suv, label = (np.squeeze(array[k, j, i]) for array in (case.ct, pet, case.label))
        if head_up:
            ct, suv, label = ct[::-1], suv[::-1], label[::-1]
        aspect = 2.0 if head_up else 1.0  # slices are 3 mm apart, pixels 1.5 mm
        axes.imshow(ct, cmap="gray", vmin=-160, vmax=240, aspect=aspect, interpolation="bilinear")
        opacity = np.clip(suv / 6, 0, 1) * 0.75
        axes.imshow(suv, cmap=FUSED_COLORMAP, vmin=0, vmax=12, alpha=opacity, aspect=aspect, interpolation="bilinear")
        for value, color, style in ((1, Color.GTVP, "solid"), (2, Color.GTVN, "dashed")):
            if (label == value).any():
                lines = axes.contour(label == value, [0.5], colors=[str(color)], linewidths=1.5, linestyles=[style])
                lines.set_path_effects([withStroke(linewidth=2.4, foreground="#000000a0")])
    add_label(figure.axes[0], "GTVp solid, GTVn dashed", size=7.5)
    return figure
