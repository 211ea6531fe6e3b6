"""Which reference a run has: a case, a file, the best case, or none."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from hnseg.cohort.checked_cohort import CheckedCase, CohortCheck, Overview
from hnseg.cohort.reference import (
    BEST_CASE,
    NO_CASE,
    ReferenceChoice,
    choose_reference,
    drop_reference_folder,
    reference_path,
    resolve_reference,
)
from hnseg.errors import CohortError
from hnseg.settings.config import Config
from hnseg.settings.prepare import PrepareConfig
from tests.facts import names, raises_naming


def found():
    cases = [
        CheckedCase(name, "A", "ct", "pet", label, 1.0, 1.0, True, 1.0)
        for name, label in (("A-001", "label"), ("A-002", None))
    ]
    return CohortCheck(tuple(cases), (), (Overview("A-003", "A", False, None, None, None, None, None, None),))


def test_a_case_is_chosen_by_its_id_even_where_a_file_has_its_name(tmp_path):
    (tmp_path / "A-001").write_text("")
    assert choose_reference(PrepareConfig(reference="A-001"), found(), tmp_path) == ReferenceChoice(case_id="A-001")


def test_no_case_is_set_aside_for_a_file_nor_where_none_is_needed(tmp_path):
    (tmp_path / "mean.npz").write_text("")
    assert choose_reference(PrepareConfig(), found(), tmp_path) == BEST_CASE
    for name in ("mean.npz", str(tmp_path / "mean.npz")):
        config = PrepareConfig(reference=name)
        assert choose_reference(config, found(), tmp_path) == NO_CASE
        assert reference_path(tmp_path, config) == tmp_path / "mean.npz"
    for method in ("none", "spectrum-align"):
        assert choose_reference(PrepareConfig(harmonization=method), found(), tmp_path) == NO_CASE


@pytest.mark.parametrize("name", ["A-002", "A-003", "A-01", "mean.npz"])
def test_a_case_that_cannot_train_and_what_is_neither_case_nor_file_are_refused(tmp_path, name):
    facts = [name, "A-001"] if name == "A-01" else [name]
    with raises_naming(CohortError, "prepare.reference", *facts):
        choose_reference(PrepareConfig(reference=name), found(), tmp_path)


@pytest.mark.parametrize("method", ["none", "spectrum-align"])
def test_a_harmonization_without_a_reference_takes_none(method):
    with pytest.raises(ValidationError) as caught:
        PrepareConfig(harmonization=method, reference="A-001")
    assert all(names(str(caught.value), fact) for fact in ("A-001", method, "spectrum-swap"))


def test_the_path_of_a_file_is_kept_as_an_absolute_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mean.npz").write_text("")
    (tmp_path / "A-001").write_text("")
    for name, kept in (("mean.npz", str(tmp_path / "mean.npz")), ("A-001", "A-001"), ("", "")):
        config = Config(preset="demo", prepare=PrepareConfig(reference=name))
        assert resolve_reference(config, {"A-001"}).prepare.reference == kept
    with raises_naming(CohortError, "'A-002'", "A-001", path=tmp_path / "A-002"):
        resolve_reference(Config(preset="demo", prepare=PrepareConfig(reference="A-002")), {"A-001"})


@pytest.mark.parametrize(("name", "kept"), [("/data/private/mean.npz", "mean.npz"), ("A-001", "A-001"), ("", "")])
def test_an_export_has_no_folder_of_a_reference(name, kept):
    config = Config(preset="demo", prepare=PrepareConfig(reference=name))
    assert drop_reference_folder(config).prepare.reference == kept
