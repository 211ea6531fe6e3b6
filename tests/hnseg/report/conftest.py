"""Fixtures of the report's tests."""

from __future__ import annotations

import pytest

from hnseg.evaluation.evaluate import evaluate_workdir
from hnseg.pictures.encoding import Picture
from tests.hnseg.workdirs import copy_workdir


@pytest.fixture(scope="session")
def _scored_template(_workdir_template, tmp_path_factory):
    work = copy_workdir(_workdir_template, tmp_path_factory.mktemp("scored") / "work")
    evaluate_workdir(work)
    return work


@pytest.fixture
def scored(_scored_template, tmp_path):
    """A fresh copy of a run that has been evaluated."""
    return copy_workdir(_scored_template, tmp_path / "work")


@pytest.fixture
def no_pictures(monkeypatch):
    """Leave overlays out and charts empty, which take most of the time; their files are still read."""
    monkeypatch.setattr("hnseg.report.page_parts.draw_overlays", lambda case_id, images: [])
    monkeypatch.setattr(
        "hnseg.report.plots.encode_png", lambda figure, alt: Picture("data:image/png;base64,", 2, 2, alt)
    )
