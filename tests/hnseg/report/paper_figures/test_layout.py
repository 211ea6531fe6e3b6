"""Text lands beside other text and on the page, whatever the shape of the scan and of the crop."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from hnseg.pictures.planes import PLANES, frame
from hnseg.report.paper_figures.panels import Cut
from hnseg.report.paper_figures.scanner_and_crop import FusedPlane, ScannerAndCrop, draw_planes
from hnseg.report.paper_figures.style import WIDTH_IN, Note, paper_style
from tests.hnseg.report.paper_figures.overlaps import find_overlaps


def test_overlaps_are_found():
    figure = Figure(figsize=(2, 2))
    figure.text(0.1, 0.5, "one text")
    figure.text(0.3, 0.5, "another")
    figure.text(0.8, 0.1, "outside")
    figure.text(0.1, 0.7, "upright", rotation=90)
    assert set(find_overlaps(figure, least=4)) == {"outside", ("one text", "another")}


@pytest.mark.parametrize("size_mm", [(700.0, 700.0, 300.0), (500.0, 500.0, 1050.0), (180.0, 160.0, 170.0)])
def test_a_scan_of_any_shape_fits_beside_its_crop(size_mm):
    box = frame(np.array([-1100.0, -90.0, -1310.0]), np.array([-900.0, 110.0, -1000.0]), 5.0)
    low = np.array([-1000.0, 10.0, -1000.0]) - np.array(size_mm) * (0.5, 0.5, 1.0)
    seen = frame(np.minimum(low, box.bounds_mm()[0]), np.maximum(low + size_mm, box.bounds_mm()[1]), 10.0)
    planes = []
    for grid in (seen, box):
        cuts = [Cut(plane, float(np.mean(grid.bounds_mm(), axis=0)[plane.across]), grid) for plane in PLANES[1:]]
        shapes = [(grid.size[2], grid.size[1 - cut.plane.across]) for cut in cuts]
        planes.append(
            [FusedPlane(cut, np.zeros(shape), np.full(shape, 5.0)) for cut, shape in zip(cuts, shapes, strict=True)]
        )
    with paper_style():
        figure = draw_planes(ScannerAndCrop(box, *planes), Note("A case with a name. " * 12))
        assert find_overlaps(figure) == []
    assert figure.get_figwidth() == WIDTH_IN
    assert figure.get_figheight() < 7.6  # the text height of LNCS
