"""Progress where there is no terminal: one line per step, with the time left."""

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from hnseg.progress import limit_rate, show_progress


def test_a_line_says_how_much_time_is_left(monkeypatch):
    """A resumed run: 10 of 20 steps were done before, so the pace is that of the steps made since the first report."""
    clock = iter([100.0, 101.0, 105.0, 109.0, 140.0])  # begin, then one look a line
    monkeypatch.setattr("hnseg.progress.time", SimpleNamespace(perf_counter=lambda: next(clock)))
    text = io.StringIO()
    with show_progress("train", Console(file=text, width=20)) as progress:
        for done in (10, 11, 12, 20):
            progress(done, 20, f"epoch {done}")
    lines = text.getvalue().splitlines()
    assert [line.partition(" s")[2].strip(" ,") for line in lines] == [
        "epoch 10",
        "36 s left  epoch 11",  # 4 s a step, 9 to go
        "32 s left  epoch 12",
        "epoch 20",
    ]


def test_a_report_before_the_first_step_is_done_does_not_shorten_it(monkeypatch):
    clock = iter([0.0, 30.0, 60.0])
    monkeypatch.setattr("hnseg.progress.time", SimpleNamespace(perf_counter=lambda: next(clock)))
    text = io.StringIO()
    with show_progress("train", Console(file=text)) as progress:
        progress(0, 3, "epoch 1, half of it")
        progress(1, 3, "epoch 1")
    assert "120 s left" in text.getvalue().splitlines()[1]  # two more of 60 s


@pytest.mark.parametrize("total", [0, 1])
def test_nothing_is_left_of_a_single_step(total):
    text = io.StringIO()
    with show_progress("check", Console(file=text)) as progress:
        progress(total, total, "case")
    assert "left" not in text.getvalue()


def test_steps_of_milliseconds_are_reported_once_a_second_and_at_the_end(monkeypatch):
    clock = {"now": 0.0}
    monkeypatch.setattr("hnseg.progress.time", SimpleNamespace(monotonic=lambda: clock["now"]))
    reported = []
    report = limit_rate(lambda done, total, what: reported.append(done))
    for done in range(1, 32):
        clock["now"] = done / 10
        report(done, 31, "file")
    assert reported == [10, 20, 30, 31]
