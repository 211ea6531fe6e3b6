"""What long work says of itself where there is no terminal."""

import io

import pytest
from rich.console import Console

from hnseg.progress import shown


def test_a_line_says_how_much_time_is_left(monkeypatch):
    """A resumed run: 10 of 20 steps were done before, so the pace is that of the steps made since the first report."""
    clock = iter([100.0, 101.0, 105.0, 109.0, 140.0])  # begin, then one look a line
    monkeypatch.setattr("hnseg.progress.time.perf_counter", lambda: next(clock))
    text = io.StringIO()
    with shown("train", Console(file=text, width=20)) as progress:
        for done in (10, 11, 12, 20):
            progress(done, 20, f"epoch {done}")
    lines = text.getvalue().splitlines()
    assert [line.partition(" s")[2].strip(" ,") for line in lines] == [
        "epoch 10",
        "36 s left  epoch 11",  # 4 s a step, 9 to go
        "32 s left  epoch 12",
        "epoch 20",
    ]


@pytest.mark.parametrize("total", [0, 1])
def test_nothing_is_left_of_a_single_step(total):
    text = io.StringIO()
    with shown("check", Console(file=text)) as progress:
        progress(total, total, "case")
    assert "left" not in text.getvalue()
