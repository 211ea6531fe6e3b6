"""Every setting concerns the stages that really depend on it: held against the keys of their results."""

from __future__ import annotations

import pytest

from hnseg.check.check_case import check_case
from hnseg.cohort.cases import discover_cases
from hnseg.errors import OptionError
from hnseg.models.model_origin import BY_CONTENT, SPEED_ONLY, find_config_changes
from hnseg.preprocessing.harmonization import NoHarmonization
from hnseg.preprocessing.prepare_case import preparation_key
from hnseg.settings import effects
from hnseg.settings.building import flatten
from hnseg.settings.config import Config
from hnseg.settings.effects import STAGES, check_settable, find_changes, stages_reading, stale_stages
from hnseg.settings.prepare import PrepareConfig
from tests.facts import raises_naming

BASE = Config.from_preset("demo")
NAMES = list(flatten(BASE))


def other_value(value):
    """A value that differs; it need not be allowed."""
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str():
            return f"{value}x"
        case tuple():
            return (*value[1:], other_value(value[0]))
        case None:
            return 1
    raise AssertionError(f"a new kind of value: {value!r}")


def change(config, name):
    """The same settings with another value of one of them."""
    head, _, rest = name.partition(".")
    value = getattr(config, head)
    return config.model_copy(update={head: change(value, rest) if rest else other_value(value)})


def test_all_settings_are_walked():
    assert len(NAMES) == len(set(NAMES)) > 60
    assert {"preset", "seed", "split.folds", "prepare.crop", "train.augment.flip_p", "predict.flips"} <= set(NAMES)
    assert set(effects.READ_BY) <= set(NAMES)
    assert effects.SPEED_ONLY == SPEED_ONLY


@pytest.mark.parametrize("name", NAMES)
def test_a_changed_setting_outdates_what_depends_on_it(name):
    now = change(BASE, name)
    assert find_changes(BASE, now) == (name,)
    stale = stale_stages(BASE, now)
    keys = [preparation_key(config.prepare, NoHarmonization()) for config in (BASE, now)]
    splits_again = (BASE.seed, BASE.split) != (now.seed, now.split)
    by_content = name in BY_CONTENT  # in the harmonizer's digest, which is that of no harmonization here
    assert ("prepare" in stale) == (keys[0] != keys[1] or splits_again or by_content)
    assert ("train" in stale) == (bool(find_config_changes(BASE, now)) or by_content)
    tuned = BASE.predict != now.predict
    assert ("tune" in stale) == ("predict" in stale) == ("evaluate" in stale) == ("train" in stale or tuned)


@pytest.mark.parametrize("name", NAMES)
def test_a_stage_that_reads_a_setting_may_set_it_and_none_after_the_last(name):
    reading = stages_reading(name)
    last = STAGES.index(reading[-1]) if reading else -1
    for position, stage in enumerate(STAGES):
        if position <= last:
            check_settable([name], stage)
        else:
            with raises_naming(OptionError, name, stage, *reading, "hnseg init"):
                check_settable([name], stage)


def test_the_check_reads_what_it_is_said_to_read(make_case):
    read = set()

    class Watched(PrepareConfig):
        def __getattribute__(self, name):
            read.add(name)
            return super().__getattribute__(name)

    (case,) = discover_cases(make_case())
    config = Watched(spacing_mm=6.25)
    read.clear()  # what validation has read
    check_case(case, config, pictures=False)
    named = {name.removeprefix("prepare.") for name in NAMES if "check" in stages_reading(name)}
    assert read & set(PrepareConfig.model_fields) == named


def with_prepare(**values):
    return BASE.model_copy(update={"prepare": PrepareConfig(**values)})


@pytest.mark.parametrize(
    ("before", "now", "splits"),
    [
        ({"harmonization": "none"}, {"harmonization": "spectrum-swap"}, True),
        ({"harmonization": "spectrum-swap"}, {"harmonization": "none"}, False),
        ({"harmonization": "spectrum-swap"}, {"harmonization": "histogram-match"}, False),
        ({"reference": "A-1"}, {"reference": "A-2"}, True),
        ({"crop": "head"}, {"crop": "center"}, False),
    ],
)
def test_the_split_is_made_again_for_a_reference_that_it_has_not_set_aside(before, now, splits):
    assert ("split" in stale_stages(with_prepare(**before), with_prepare(**now))) is splits


def test_an_unknown_section_is_refused():
    with raises_naming(OptionError, "trian.epochs", "train"):
        stages_reading("trian.epochs")
