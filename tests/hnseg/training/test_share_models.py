"""Models that a run would train again are shared with the run that it was begun from; no others are."""

from __future__ import annotations

import pytest

from hnseg.models.checkpoint import load_checkpoint, save_checkpoint
from hnseg.preprocessing.reuse_prepared import begin_run_from
from hnseg.training.folds import train_folds
from hnseg.training.share_models import share_models
from hnseg.workdir import load_config
from ssimh.files.hard_link import is_linked


@pytest.fixture
def begin(trained_run, tmp_path):
    """Begin a run from the trained one, with some values of a section changed."""

    def begin_run(section, **values):
        config = load_config(trained_run, tuned=False)
        changed = getattr(config, section).model_copy(update=values)
        begin_run_from(trained_run, tmp_path / "new", config.model_copy(update={section: changed}))
        return tmp_path / "new"

    return begin_run


def test_a_run_that_predicts_differently_shares_the_models(trained_run, begin):
    new = begin("predict", overlap=0.5)
    assert share_models(trained_run, new) == (0, 1)
    assert share_models(trained_run, new) == ()  # nothing is left to do
    names = [f"models/fold_{fold}/{name}" for fold in (0, 1) for name in ("best.pt", "last.pt", "log.csv")]
    assert all(is_linked(trained_run / name, new / name) for name in names)
    before = (trained_run / names[0]).read_bytes()
    assert train_folds(new, device="cpu") == [new / names[0], new / names[3]]  # finished: nothing is trained
    content = load_checkpoint(new / names[0])
    content.pop("format", None)
    save_checkpoint(new / names[0], content | {"note": 1})
    assert (trained_run / names[0]).read_bytes() == before


def test_a_run_that_trains_differently_shares_none(trained_run, begin):
    new = begin("train", learning_rate=1e-3)
    assert share_models(trained_run, new) == ()
    assert not (new / "models").exists()
