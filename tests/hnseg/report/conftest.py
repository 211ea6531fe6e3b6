"""Fixtures of the report's tests."""

from __future__ import annotations

import pytest

from hnseg.evaluation.evaluate import evaluate_workdir


@pytest.fixture
def scored(small_workdir):
    evaluate_workdir(small_workdir)
    return small_workdir


@pytest.fixture
def no_views(monkeypatch):
    """Leave the overlays out, which take most of the time; their files are still read."""
    monkeypatch.setattr("hnseg.report.page_parts.draw_overlays", lambda case_id, images: [])
