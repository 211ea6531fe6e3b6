"""Colors and gray-value windows of all figures and pages; each color has one meaning.

What a picture or a chart shows has a color of Okabe and Ito (2008, "Color Universal Design", jfly.uni-koeln.de/color)
or of Tol's muted scheme (personal.sron.nl/~pault), which color-blind readers tell apart; folds are six steps of cividis
(Nuñez et al. 2018, doi 10.1371/journal.pone.0199239). No color is the only carrier of a meaning: contours differ in
style, points in shape, severities in their word.
"""

from __future__ import annotations

import enum

LineStyle = str | tuple[float, tuple[float, ...]]


@enum.unique
class Color(enum.StrEnum):
    """A color by what it means; two meanings never share one."""

    # contours on a scan
    TRUTH = "#009e73"
    PREDICTION = "#d55e00"  # also of the ensemble, which made it, in charts
    GTVP = "#e69f00"
    GTVN = "#56b4e9"
    CROP_BOX = "#f0e442"
    DISAGREEMENT = "#cc79a7"  # between the models of an ensemble
    # charts
    CENTER = "#0072b2"  # what is summed up over a center
    TRAINING_CASES = "#332288"  # also of validation, which scores them out of fold
    TEST_CASES = "#882255"
    EXTERNAL_CASES = "#ddaa33"  # of another cohort than the run's
    THRESHOLD_BASELINE = "#4d4d4d"
    EMPTY_BASELINE = "#999999"
    FOLD_0 = "#00224e"
    FOLD_1 = "#35456c"
    FOLD_2 = "#666970"
    FOLD_3 = "#948e77"
    FOLD_4 = "#c8b866"
    FOLD_5 = "#fee838"
    # stages of the pipeline, each with the ground of its boxes
    PREPROCESSING_STAGE = "#4477aa"
    PREPROCESSING_GROUND = "#e6eef6"
    TRAINING_STAGE = "#117733"
    TRAINING_GROUND = "#e5f2e6"
    INFERENCE_STAGE = "#ee7733"
    INFERENCE_GROUND = "#fdefe4"
    # severities of findings, each with the ground behind its word
    ERROR = "#b2182b"
    ERROR_GROUND = "#fdecee"
    WARNING = "#8a6d00"
    WARNING_GROUND = "#fff6e0"
    INFO = "#3b5b8c"
    INFO_GROUND = "#eaf0f7"
    # the page itself
    INK = "#1d2530"
    SOFT = "#5a6675"
    LINE = "#dfe4ea"
    PALE = "#f5f7f9"
    PAPER = "#ffffff"
    DARK = "#000000"  # behind a scan
    LINK = "#1f4e79"
    SHADOW = "#1d253038"  # at the edge of a table that goes on
    HEAD = "#1d25300b"  # behind the names of columns
    HALO = "#000000a0"  # around a contour


LESION_COLORS = {"gtvp": Color.GTVP, "gtvn": Color.GTVN}  # by the key of a lesion class, see hnseg.cohort.labels
FOLD_COLORS = tuple(Color[f"FOLD_{k}"] for k in (0, 3, 1, 4, 2, 5))  # far apart where there are few folds
COLOR_NAMES = {  # for legends in words
    Color.TRUTH: "green",
    Color.PREDICTION: "vermilion",
    Color.GTVP: "orange",
    Color.GTVN: "light blue",
    Color.CROP_BOX: "yellow",
    Color.DISAGREEMENT: "purple",
}
# By mask, then by class, what tells contours apart without a color: on and off, in px of a line of 2.2 px; none: solid.
DASHES: dict[str, dict[str, tuple[float, ...]]] = {
    "truth": {"gtvp": (), "gtvn": (7.0, 4.0)},
    "prediction": {"gtvp": (2.5, 2.5), "gtvn": (8.0, 3.0, 2.5, 3.0)},
}
DASHED_LINE_PX = 2.2
CHANGE_COLORMAP, CHANGE_LIMIT_HU = "RdBu_r", 200.0  # of a difference of two CTs; 0 is white
FUSED_COLORMAP = "inferno"  # of PET laid over CT; its lightness rises throughout


def line_style(mask: str, lesion: str) -> LineStyle:
    """The line style of Matplotlib for a mask (truth, prediction) and the key of a lesion class.

    >>> line_style("truth", "gtvp"), line_style("prediction", "gtvn")[1][0]
    ('solid', 3.64)
    """
    dashes = DASHES[mask][lesion]
    return (0.0, tuple(round(length / DASHED_LINE_PX, 2) for length in dashes)) if dashes else "solid"


def css_variables() -> str:
    """The palette as custom properties of CSS: ``--truth``, ``--gtvp``, ``--error-ground``, …

    >>> "--truth: #009e73;" in css_variables()
    True
    """
    lines = (f"--{color.name.lower().replace('_', '-')}: {color.value};" for color in Color)
    return f":root {{ {' '.join(lines)} }}"
