"""Where the texts of a figure land on the page."""

from __future__ import annotations

import itertools

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.transforms import Bbox


def find_overlaps(figure, least=10):
    """Texts that leave the page, and pairs of texts that overlap."""
    places, draw = [], RendererAgg.draw_text

    def note_and_draw(renderer, gc, x, y, text, font, angle, *args, **kwargs):
        width, height, descent = renderer.get_text_width_height_descent(text, font, ismath=False)
        lowest = renderer.height - y - (0 if angle else descent)  # a text that stands upright begins at its right edge
        bounds = (x - height, lowest, height, width) if angle else (x, lowest, width, height)
        places.append((text, Bbox.from_bounds(*bounds)))
        draw(renderer, gc, x, y, text, font, angle, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RendererAgg, "draw_text", note_and_draw)
        FigureCanvasAgg(figure).draw()
    assert len(places) >= least
    page = figure.bbox.padded(1)
    outside = [name for name, place in places if not (page.containsx(place.x0) and page.containsx(place.x1))]
    outside += [name for name, place in places if not (page.containsy(place.y0) and page.containsy(place.y1))]
    inner = [(name, place.shrunk(0.9, 0.9)) for name, place in places]
    return outside + [(a, b) for (a, one), (b, other) in itertools.combinations(inner, 2) if one.overlaps(other)]
