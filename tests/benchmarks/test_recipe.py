"""benchmarks/recipe.py: the departures are all that lies between the two presets, one at a time."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pytest

import hnseg
from hnseg.settings.effects import find_changes, stale_stages

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import recipe

ARGUMENTS = argparse.Namespace(epochs=25, folds=3)
PAPER, RECOMMENDED = (recipe.coarse(hnseg.Config.from_preset(name), ARGUMENTS, 4) for name in ("paper", "recommended"))


def test_both_presets_have_the_same_grid_network_and_folds():
    changed = set(find_changes(PAPER, RECOMMENDED))
    assert changed <= {"preset", *find_changes(*(hnseg.Config.from_preset(n) for n in ("paper", "recommended")))}
    assert (PAPER.seed, PAPER.split.folds, PAPER.train.epochs, PAPER.train.validate_every) == (4, 3, 25, 5)
    assert PAPER.prepare.spacing_mm > 4


def test_departures_are_single_and_together_the_recommended_preset():
    variants = recipe.departures(PAPER, RECOMMENDED)
    whole = variants.pop("recommended")
    assert hnseg.build_config(whole, base=PAPER) == RECOMMENDED.model_copy(update={"preset": "paper"})
    assert variants.pop("harmonization=none") == {"prepare.harmonization": "none"}
    assert variants.pop("clip_ct_window=True") == {"prepare.clip_ct_window": True}
    together = {name: value for values in variants.values() for name, value in values.items()}
    assert together == {name: value for name, value in whole.items() if name != "train.patience"}
    assert all(len(values) == 1 for name, values in variants.items() if name != "thresholds in ml")
    assert all(values for values in variants.values())


@pytest.mark.parametrize("name", ["thresholds in ml", "decide_on=ct-grid"])
def test_departures_of_prediction_need_no_training(name):
    values = recipe.departures(PAPER, RECOMMENDED)[name]
    assert "train" not in stale_stages(PAPER, hnseg.build_config(values, base=PAPER))
