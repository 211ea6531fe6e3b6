"""The log: written, read back, and refused when it is damaged."""

from __future__ import annotations

import pytest

from hnseg.errors import WorkDirError
from hnseg.training.log import COLUMNS, EpochRow, as_csv, format_epoch, read_log

ROWS = [
    EpochRow(1, 1.5, 1e-3, 2.0, 3.0, 0.1, 0.5),
    EpochRow(2, 1.25, 5e-4, 2.0, 3.0, 0.1, 0.5, 1.1, 0.6, None, 0.25, 0.4, 2),
    EpochRow(3, 1.25, 5e-4, 2.0, 3.0, 0.1, 0.5, kept_epoch=2, stopped_early=1),
]


def write(work, text):
    path = work / "models" / "fold_0" / "log.csv"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return path


def test_a_log_is_read_as_it_was_written(tmp_path):
    assert read_log(tmp_path, 0) == []
    write(tmp_path, as_csv(ROWS))
    assert read_log(tmp_path, 0) == ROWS


@pytest.mark.parametrize(
    "text",
    [
        "epoch,loss\n1,2\n",
        f"{','.join(COLUMNS)}\nthree,4\n",
        f"{','.join(COLUMNS)}\n,1,1,1,1,1,1,,,,,,,\n",
        f"{','.join(COLUMNS)}\n1,1,1,1,1,1,1,,,,,,9,,9,9\n",
    ],
)
def test_a_damaged_log_is_named(tmp_path, text):
    path = write(tmp_path, text)
    with pytest.raises(WorkDirError, match=str(path)):
        read_log(tmp_path, 0)


def test_a_line_shows_the_scores_that_there_are():
    assert "GTVp 0.600, F1 0.250" in format_epoch(3, ROWS[1])
    assert "fold 3 epoch 1 " in format_epoch(3, ROWS[0])
    assert "GTV" not in format_epoch(3, ROWS[0])


def test_a_line_says_which_epoch_is_kept_and_that_a_fold_stops():
    assert "validation loss 1.100" in format_epoch(0, ROWS[1])
    assert "epoch 2" in format_epoch(0, ROWS[1]).rpartition("  ")[2]
    assert "stops early" in format_epoch(0, ROWS[2])
    assert not any("stops early" in format_epoch(0, row) for row in ROWS[:2])
