"""Figure 3: the run's own settings and numbers, in boxes that hold their text."""

from __future__ import annotations

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import FancyBboxPatch

from hnseg.cohort.splits import load_splits
from hnseg.models.checkpoint import load_checkpoint
from hnseg.preprocessing.prepared_cohort import open_cohort
from hnseg.report.paper_figures.pipeline_facts import Pipeline, Step, read_pipeline
from hnseg.report.paper_figures.pipeline_overview import draw_pipeline
from hnseg.report.paper_figures.style import measure_text, paper_style, wrap_text
from hnseg.training.log import read_log
from hnseg.workdir import load_config


@pytest.fixture(scope="module")
def pipeline(scored_run):
    return read_pipeline(scored_run, open_cohort(scored_run))


def test_the_overview_states_the_settings_and_numbers_of_the_run(scored_run, pipeline):
    config, splits = load_config(scored_run), load_splits(scored_run)
    before, training, after = ("\n".join(line for step in lane for line in (step.title, *step.lines)) for lane in (
        pipeline.preprocessing, pipeline.training, pipeline.inference))  # fmt: skip
    for fact in (
        "8 cases of 2 centers",
        "200×200×310 mm",
        "6.25 mm",
        "32×32×50 voxels",
        f"reference {splits.reference}",
    ):
        assert fact in before
    assert f"τ = {config.prepare.swap_threshold}" in before
    kept = [load_checkpoint(scored_run / f"models/fold_{fold}/best.pt")["history"][-1]["epoch"] for fold in (0, 1)]
    done = [len(read_log(scored_run, fold)) for fold in (0, 1)]
    assert f"{done[0]}\u00a0({kept[0]}), {done[1]}\u00a0({kept[1]})" in training
    assert f"of {config.train.epochs}" in training
    assert "32×32×32 voxels" in training
    assert "32×32×32 voxels, overlap 0.25" in after
    assert "below 0.2 ml" in after
    assert f"{len(splits.test)} of {len(splits.test)} test cases" in after
    assert f"{sum(map(len, splits.folds))} out-of-fold masks" in after


def test_no_text_leaves_its_box(pipeline):
    long = Step(
        "A title that is longer than its box by far", ("words " * 30, "epochs " + ", ".join(["300\u00a0(240)"] * 12))
    )
    longer = Pipeline((*pipeline.preprocessing[:3], long), (*pipeline.training, long), pipeline.inference)
    for shown in (pipeline, longer):
        with paper_style():
            figure = draw_pipeline(shown)
            renderer = FigureCanvasAgg(figure).get_renderer()
            (axes,) = figure.axes
            boxes = [patch.get_window_extent(renderer) for patch in axes.patches if isinstance(patch, FancyBboxPatch)]
            page = figure.bbox
            for text in axes.texts:
                place = text.get_window_extent(renderer)
                assert any(
                    box.x0 <= place.x0 and place.x1 <= box.x1 and box.y0 <= place.y0 and place.y1 <= box.y1
                    for box in boxes
                ), text.get_text()
            assert all(page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 for box in boxes)


def test_text_is_broken_by_its_width():
    lines = wrap_text("one two three four five six seven", 0.6, 6.0)
    assert len(lines) > 1
    assert " ".join(lines) == "one two three four five six seven"
    assert all(measure_text(line, 6.0) <= 0.6 for line in lines)
    assert wrap_text("unbreakable", 0.1, 6.0) == ["unbreakable"]
