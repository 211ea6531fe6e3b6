"""Names of structures: the first pattern that matches says the label."""

import pytest

from hnseg.dicom.structures.structure_names import NamePattern, match_structure_names, parse_name_patterns
from hnseg.errors import OptionError


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("GTVp", 1),
        ("GTVP1", 1),
        (" gtvp_left", 1),
        ("GTV_Mass", 1),
        ("GTV Mass PET", 1),
        ("GTV-T", 1),
        ("GTV primary", 1),
        ("GTVn", 2),
        ("GTVn_R", 2),
        ("gtv node 3", 2),
        ("GTV_Edema", None),
        ("GTV", None),
        ("CTVp", None),
        ("xGTVp", None),
        ("", None),
    ],
)
def test_default_patterns(name, label):
    assert match_structure_names([name])[0].label == label


def test_first_of_two_patterns_counts_and_the_other_is_named():
    patterns = [NamePattern("*node*", 2), NamePattern("GTV*", 1), NamePattern("*node 1", 2)]
    match = match_structure_names(["GTV node 1"], patterns)[0]
    assert (match.label, match.pattern, match.other_patterns) == (2, "*node*", ("GTV*",))


def test_brackets_are_sets_in_which_a_hyphen_is_a_range():
    pattern = NamePattern("GTV-[a-p]", 1)
    assert [pattern.is_match(name) for name in ("GTV p", "gtv_a", "GTV-q", "GTV--")] == [True, True, False, False]


def test_patterns_from_texts():
    assert parse_name_patterns(["A=b*=GTVn", "T*=1"]) == (NamePattern("A=b*", 2), NamePattern("T*", 1))


@pytest.mark.parametrize("text", ["GTVp", "=1", "GTVp*=3", "GTVp*="])
def test_texts_that_are_no_patterns(text):
    with pytest.raises(OptionError) as caught:
        parse_name_patterns([text])
    assert repr(text) in str(caught.value)
