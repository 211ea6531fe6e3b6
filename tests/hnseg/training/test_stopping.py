"""When a fold is finished, and which of its epochs is the best."""

from __future__ import annotations

import pytest

from hnseg.settings.train import TrainConfig
from hnseg.training.log import EpochRow
from hnseg.training.stopping import best_epoch, is_finished


def history(*scores):
    return [
        EpochRow(number, 1.0, 1e-3, 1.0, 1.0, 0.0, 1.0, val_score=score) for number, score in enumerate(scores, start=1)
    ]


def test_without_any_validation_score_the_latest_epoch_is_best():
    rows = history(None, 0.2, None, 0.4, 0.3)
    assert [best_epoch(rows[: i + 1]) for i in range(5)] == [1, 2, 2, 4, 4]


def test_the_latest_of_equals_is_best():
    assert best_epoch(history(0.4, 0.4, 0.1)) == 2


@pytest.mark.parametrize(
    ("scores", "patience", "expected"),
    [
        ((), None, False),
        ((), 1, False),
        ((0.1, 0.2, 0.3), None, False),
        ((0.1,) * 5, None, True),
        ((0.3, 0.2), 2, False),
        ((0.3, 0.2, 0.1), 2, True),
        ((0.3, None, None), 2, True),
        ((None, None, None), 2, False),
    ],
)
def test_a_fold_ends_with_its_epochs_or_its_patience(scores, patience, expected):
    assert is_finished(history(*scores), TrainConfig(epochs=5, patience=patience)) is expected
