"""What a viewer page shows: scans, masks, lesions, and how each of them is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Colormap = Literal["gray", "gray_r", "inferno", "RdBu_r", "purple"]


@dataclass(frozen=True)
class ScanLayer:
    """A scan of the case.

    Attributes:
        key: Short name within the case, as ``"ct"``.
        name: For people, as ``"CT"``.
        quantity: What its values are, as ``"HU"`` or ``"SUV"``; shown beside them.
        image: SimpleITK image, three-dimensional, on any grid.
        window: Values at the two ends of the color map.
        colormap: Of :data:`Colormap`, by Matplotlib's names; ``purple`` runs from transparent to purple.
        step: Smallest difference of values that is kept, > 0.
        digits: Decimals shown.
        rough_below: Where a case has to get smaller, values below the first number are rounded to multiples of the
            second one: of a CT the noise of air, which nobody looks at and which takes half of the space.
    """

    key: str
    name: str
    quantity: str
    image: Any
    window: tuple[float, float]
    colormap: Colormap = "gray"
    step: float = 1.0
    digits: int = 0
    rough_below: tuple[float, float] | None = None


@dataclass(frozen=True)
class MaskStyle:
    """How one value of a mask is outlined.

    Attributes:
        value: 1 to 255.
        name: For people, as ``"GTVp"``.
        color: CSS color.
        dash: Lengths of strokes and gaps in pixels; empty for a solid line. Styles differ in it, not in color alone.
    """

    value: int
    name: str
    color: str
    dash: tuple[float, ...] = ()


@dataclass(frozen=True)
class MaskLayer:
    """A mask of the case.

    Attributes:
        key: Short name within the case.
        name: For people, as ``"Truth"``.
        image: SimpleITK image of whole numbers 0 to 255, on any grid.
        styles: One for each value that is drawn.
    """

    key: str
    name: str
    image: Any
    styles: tuple[MaskStyle, ...]


@dataclass(frozen=True)
class Mode:
    """A way to look at the case: a scan, and another one laid over it.

    Attributes:
        name: On its button.
        base: Key of a scan.
        overlay: Key of the scan that is laid over it, or None.
        colormap: Of the base in this mode; None for the scan's own.
    """

    name: str
    base: str
    overlay: str | None = None
    colormap: Colormap | None = None


@dataclass(frozen=True)
class LesionMark:
    """A lesion of the table, which the views jump to.

    Attributes:
        label: Short, drawn beside its contour, as ``"N2"``.
        status: One word, as ``"found"``, ``"missed"`` or ``"false"``; empty where there is nothing to compare with.
        cells: Texts of its row, in the order of :attr:`ViewerCase.lesion_columns`.
        center_mm: A point inside it, (x, y, z), LPS.
        corners_mm: Points whose bounding box it fills, LPS.
    """

    label: str
    status: str
    cells: tuple[str, ...]
    center_mm: tuple[float, float, float]
    corners_mm: tuple[tuple[float, float, float], ...]


@dataclass(frozen=True)
class WindowPreset:
    """A window of the first scan by its name, as ``("Bone", -500, 1500)``."""

    name: str
    low: float
    high: float


@dataclass(frozen=True)
class ViewerCase:
    """A case of a viewer page.

    Attributes:
        name: Of the case; any text.
        scans: The first one gives the axes of the planes.
        modes: At least one.
        masks: Later ones are drawn on top.
        projected: Key of the scan of the projection that turns; None for none.
        projected_window: Window of the projection; None for that of the scan.
        presets: Windows of the first scan.
        lesion_columns: Headings of the table of lesions.
        lesions: Its rows.
        notes: Sentences for the page.
    """

    name: str
    scans: tuple[ScanLayer, ...]
    modes: tuple[Mode, ...]
    masks: tuple[MaskLayer, ...] = ()
    projected: str | None = None
    projected_window: tuple[float, float] | None = None
    presets: tuple[WindowPreset, ...] = ()
    lesion_columns: tuple[str, ...] = ()
    lesions: tuple[LesionMark, ...] = ()
    notes: tuple[str, ...] = ()
