"""The learning rate: warm-up, then a fall."""

from __future__ import annotations

import pytest

from hnseg.settings.train import TrainConfig
from hnseg.training.learning_rate import learning_rate


def test_schedule_rises_then_falls():
    config = TrainConfig(epochs=10, warmup_epochs=1, learning_rate=1.0)
    rates = [learning_rate(config, step, 10) for step in range(100)]
    assert rates[9] == rates[10] == 1.0
    assert rates[:10] == sorted(rates[:10])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert 0 < rates[0] <= 0.1
    assert 0 <= rates[-1] < 0.001
    assert learning_rate(config.model_copy(update={"warmup_epochs": 0}), 0, 10) == 1.0
    poly = [learning_rate(config.model_copy(update={"schedule": "poly"}), step, 10) for step in range(10, 100)]
    assert poly == sorted(poly, reverse=True)
    assert poly[45] == pytest.approx(0.5**0.9)
