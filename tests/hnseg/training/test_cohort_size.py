"""Size of the prepared cases: as it is on disk, and extrapolated."""

from __future__ import annotations

import pytest

from hnseg.errors import OptionError
from hnseg.preprocessing.prepared_cohort import open_cohort
from hnseg.settings.config import Config
from hnseg.training.cohort_size import measure_cohort
from hnseg.workdir import load_config
from tests.facts import raises_naming


def test_it_is_what_lies_on_disk(prepared_run):
    size = measure_cohort(open_cohort(prepared_run), load_config(prepared_run))
    files = [path for path in (prepared_run / "prepared").glob("*/**/*") if path.is_file()]
    assert size.cases * (size.case.image + size.case.rest) == pytest.approx(sum(path.stat().st_size for path in files))
    assert (size.cases, size.measured_cases) == (8, 8)
    assert size.largest_zyx == (50, 32, 32)
    assert size.case.decoded == 50 * 32 * 32 * (2 * 2 + 1)
    assert size.case.mask > 0
    assert size.case.preparing > 1e8
    assert size.cached


def test_a_larger_cohort_is_split_as_the_settings_say(prepared_run):
    cohort, paper = open_cohort(prepared_run), Config.from_preset("paper")
    config = paper.model_copy(update={"prepare": load_config(prepared_run).prepare})
    measured = measure_cohort(cohort, load_config(prepared_run))
    size = measure_cohort(cohort, config, 680)
    assert (size.cases, size.measured_cases, size.training_cases, size.validation_cases) == (680, 8, 544, 136)
    assert size.case == measured.case
    assert size.decoded_gb == pytest.approx(680 * size.case.decoded / 1e9, abs=1e-3)
    demo = Config.from_preset("demo")  # a fifth is for the test
    assert measure_cohort(cohort, demo, 50).validation_cases == 10
    assert not measure_cohort(cohort, config, 100_000).cached
    with raises_naming(OptionError, "cases 9", "10"):
        measure_cohort(cohort, config, 9)
