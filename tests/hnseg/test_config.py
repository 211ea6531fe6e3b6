"""The presets say what they promise, and settings are checked when they are made."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from hnseg.config import Config, PrepareConfig, TrainConfig


def test_paper_preset_is_the_published_recipe():
    paper = Config.from_preset("paper")
    assert paper.prepare.spacing_mm == 1.0
    assert paper.prepare.box_mm == (200.0, 200.0, 310.0)
    assert (paper.prepare.harmonization, paper.prepare.swap_threshold) == ("spectrum-swap", 3)
    assert paper.train.patch_vox == (192, 192, 192)
    assert (paper.train.filters, paper.train.blocks_down, paper.train.heads) == (32, (1, 2, 2, 4, 4), 4)
    assert paper.train.class_weights == (0.10, 0.45, 0.45)
    assert paper.split.folds == 5


def test_demo_differs_from_paper_in_numbers_alone():
    demo, paper = (Config.from_preset(name).model_dump() for name in ("demo", "paper"))
    assert demo["prepare"]["harmonization"] == paper["prepare"]["harmonization"]
    assert demo["prepare"]["crop"] == paper["prepare"]["crop"]
    assert demo["split"] == paper["split"]
    assert demo["train"]["class_weights"] == paper["train"]["class_weights"]
    assert demo["train"]["augment"] == paper["train"]["augment"]


def test_survives_json():
    config = Config.from_preset("demo", seed=7)
    assert Config.model_validate_json(config.model_dump_json()) == config
    assert config.digest() != Config.from_preset("demo", seed=8).digest()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Config.from_preset("tiny"), "choose 'demo' or 'paper'"),
        (lambda: TrainConfig(patch_vox=(100, 192, 192)), "multiple of 16"),
        (lambda: TrainConfig(heads=5), "at most 4"),
        (lambda: TrainConfig(class_weights=(0.5, 0.5, 0.5)), "sum to 1"),
        (lambda: TrainConfig(epoch=3), "Extra inputs are not permitted"),
        (lambda: PrepareConfig(spacing_mm=0), "greater than 0"),
        (lambda: PrepareConfig(harmonization="magic"), "spectrum-swap"),
        (lambda: Config.from_preset("demo", seed=-1), "greater than or equal to 0"),
    ],
)
def test_refusals(make, message):
    with pytest.raises((ValidationError, ValueError), match=message):
        make()
