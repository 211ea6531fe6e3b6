"""pysuv as an oracle: 1,000 random headers; where the two differ, the reason is known and documented."""

from __future__ import annotations

from pathlib import Path

import pysuv
import pytest
from pysuv.core.suv_calculator import MissingPatientDataError
from pysuv.dicom.reader import MissingDICOMTagError

from hnseg.errors import SuvError
from tests.hnseg.dicom.pet.pet_headers import convert
from tests.hnseg.dicom.pet.random_headers import BOTH_AGREE, CLASSES, DISAGREE, draw_cases

DOCS = Path(__file__).parents[4] / "docs" / "hnseg" / "suv.md"
FAILURES = (ValueError, TypeError, pysuv.NACImageError, MissingDICOMTagError, MissingPatientDataError)


def find_ours(case):
    """Factor, or the attribute that the refusal names."""
    try:
        return convert([case.make_dataset()], kind=case.kind).factor
    except SuvError as error:
        return error.tag


def find_pysuv(case, timing="zrad"):
    """Factor, or None where it raises."""
    try:
        return pysuv.get_suv_factor(case.make_dataset(), case.kind, philips_timing=timing).suv_factor
    except FAILURES:
        return None


def is_close(found, expected):
    """Equal to 1e-9, or the same refusal."""
    return found == (pytest.approx(expected, rel=1e-9) if isinstance(expected, float) else expected)


def test_every_difference_from_pysuv_has_its_reason():
    """Both factors are what the trick of the header makes of them; only known tricks make them differ."""
    drawn = set()
    for name, case in draw_cases(1000, seed=2026):
        ours, theirs = find_ours(case), find_pysuv(case)
        assert is_close(ours, case.ours), (name, ours, case.ours)
        assert is_close(theirs, case.pysuv), (name, theirs, case.pysuv)
        assert isinstance(ours, float) or isinstance(theirs, float) or name not in DISAGREE
        assert is_close(ours, theirs) == (name in BOTH_AGREE), name
        drawn.add(name)
    assert drawn == set(CLASSES)


def test_philips_times_agree_with_pysuv_by_its_other_method():
    cases = [case for name, case in draw_cases(300, seed=7) if name == "Philips' frame reference time"]
    assert len(cases) > 3
    for case in cases:
        assert is_close(find_ours(case), find_pysuv(case, "3dslicer"))


def test_every_class_of_difference_is_in_the_documentation():
    text = DOCS.read_text(encoding="utf-8")
    assert [name for name in DISAGREE if f"| {name} |" not in text] == []
