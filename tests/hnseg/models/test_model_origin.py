"""A run uses only models that it would have trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hnseg.cohort.splits import Splits
from hnseg.errors import WorkDirError
from hnseg.models.model_origin import InitialWeights, ModelOrigin, check_origin, find_config_changes, read_origin
from hnseg.settings.config import Config

PATH = Path("models/fold_0/best.pt")
CONFIG = Config.from_preset("demo", folds=2)
SPLITS = Splits(0, ("T-1", "T-2"), (("A-1",), ("A-2",)), "R-1")
PREPARATION = {"settings": {"spacing_mm": 1.0}, "harmonizer": "R-1:12ab", "computation": 3}


@pytest.fixture
def origin():
    return ModelOrigin(
        fold=0,
        config=CONFIG,
        split=SPLITS.digest,
        preparation=PREPARATION,
        data="",
        training_cases=("A-2", "R-1"),
        validation_cases=("A-1",),
        versions={},
    )


def check(origin, **changes):
    now = {"fold": 0, "config": CONFIG, "splits": SPLITS, "preparation": PREPARATION, **changes}
    check_origin(origin, PATH, **now)


def test_a_model_of_the_run_is_used_and_survives_its_file(origin):
    check(origin)
    assert read_origin({"origin": origin.model_dump(mode="json")}, PATH) == origin
    faster = CONFIG.model_copy(update={"train": CONFIG.train.model_copy(update={"workers": 7})})
    check(origin, config=faster)  # the number of loading processes changes nothing


@pytest.mark.parametrize(
    ("changes", "fact"),
    [
        ({"fold": 1}, "fold 1"),
        ({"config": Config.from_preset("demo", folds=2, seed=4)}, "seed"),
        ({"splits": replace(SPLITS, folds=(("A-2",), ("A-1",)))}, "splits.json"),
        ({"splits": replace(SPLITS, test=("T-1", "R-1"), reference="T-2")}, "R-1"),
        ({"splits": replace(SPLITS, test=("T-1", "A-1"), folds=(("T-2",), ("A-2",)))}, "A-1"),
        ({"preparation": {**PREPARATION, "harmonizer": "other"}}, "harmonizer"),
        ({"preparation": {**PREPARATION, "settings": {"spacing_mm": 2.0}}}, "settings.spacing_mm"),
    ],
)
def test_a_model_of_another_run_is_refused_with_what_differs(origin, changes, fact):
    with pytest.raises(WorkDirError) as caught:
        check(origin, **changes)
    assert fact in str(caught.value)
    assert str(PATH) in str(caught.value)
    assert "hnseg train" in str(caught.value)


def test_test_cases_seen_by_the_initial_weights_count(origin):
    init = InitialWeights(file="a.pt", sha256="0" * 64, training_cases=("T-2",))
    with pytest.raises(WorkDirError, match=r"T-2"):
        check(origin.model_copy(update={"init": init}))


@pytest.mark.parametrize("content", [{}, {"origin": 3}, {"origin": {}}, {"origin": {"fold": "x"}}])
def test_a_checkpoint_that_does_not_state_its_origin_is_refused(content):
    with pytest.raises(WorkDirError) as caught:
        read_origin(content, PATH)
    assert str(PATH) in str(caught.value)
    assert "origin" in str(caught.value)


def test_settings_that_differ_are_named():
    other = Config.from_preset("demo", folds=3, seed=1)
    assert find_config_changes(CONFIG, other) == ("seed", "split.folds")
