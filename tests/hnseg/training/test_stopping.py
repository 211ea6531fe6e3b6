"""When a fold is finished, and which of its epochs is the best."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import ValidationError

from hnseg.settings.train import TrainConfig
from hnseg.training.log import EpochRow
from hnseg.training.stopping import best_epoch, is_finished, stops_early

EACH = TrainConfig(validate_every=1)
BY_LOSS = TrainConfig(validate_every=1, monitor="val_loss", patience=2)


def history(*scores, monitor="val_score"):
    return [
        EpochRow(number, 1.0, 1e-3, 1.0, 1.0, 0.0, 1.0, **{monitor: score})
        for number, score in enumerate(scores, start=1)
    ]


def test_without_any_validation_score_the_latest_epoch_is_best():
    rows = history(None, 0.2, None, 0.4, 0.3)
    assert [best_epoch(rows[: i + 1], EACH) for i in range(5)] == [1, 2, 2, 4, 4]


def test_the_latest_of_equals_is_best():
    assert best_epoch(history(0.4, 0.4, 0.1), EACH) == 2


def test_the_loss_is_best_where_it_is_lowest_and_the_score_where_it_is_highest():
    rows = [replace(row, val_loss=loss) for row, loss in zip(history(0.1, 0.3, 0.2), (0.5, 0.9, 0.4), strict=True)]
    assert best_epoch(rows, EACH) == 2
    assert best_epoch(rows, BY_LOSS) == 3


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_is_never_the_best_and_counts_as_no_better(broken):
    assert best_epoch(history(broken, 0.9, broken, 0.95, monitor="val_loss"), BY_LOSS) == 2
    assert stops_early(history(0.9, broken, broken, monitor="val_loss"), BY_LOSS)
    assert not stops_early(history(broken, broken, broken, monitor="val_loss"), BY_LOSS)


def test_a_patience_counts_epochs_and_only_a_validation_can_be_better():
    """Validations in epochs 5, 10, 15: a patience of 7 ends in epoch 12, with one further validation."""
    config = TrainConfig(validate_every=5, patience=7, monitor="val_loss")
    losses = [None] * 4 + [0.5] + [None] * 4 + [0.6] + [None] * 5
    ends = [stops_early(history(*losses[:n], monitor="val_loss"), config) for n in range(1, 16)]
    assert ends.index(True) + 1 == 12


def test_a_patience_shorter_than_a_validation_is_refused():
    with pytest.raises(ValidationError) as caught:
        TrainConfig(patience=4, validate_every=5)
    assert "patience 4" in str(caught.value)
    assert TrainConfig(patience=5, validate_every=5).patience == 5


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
    config = TrainConfig(epochs=5, patience=patience, validate_every=1)
    assert is_finished(history(*scores), config) is expected
