"""Results change only when CHANGELOG.md says so: every public function gives what ``tests/results.lock`` holds.

The message of a failure says which function gives something else, by how much, and what to write where.
"""

from __future__ import annotations

import importlib
import re
from dataclasses import replace

import numpy as np
import pytest

import ssimh
from tests.results.fingerprints import describe
from tests.results.inputs import COUNT, random_bits
from tests.results.left_out import LEFT_OUT
from tests.results.lock_file import (
    HEADING,
    LOCK,
    Lock,
    evaluate,
    explain,
    find_differences,
    read_announcements,
    read_lock,
    renew,
    write_lock,
)
from tests.results.recipes import GROUPS, find_missing, load_recipes

LOCKED = read_lock()
FEW = range(10)
MOVED_HU = 1e-3
# Functions whose results are HU, and where each recipe looks them up.
IN_HU = {
    "ssimh.swap_spectrum": (ssimh, "swap_spectrum"),
    "ssimh.align_spectrum": (ssimh, "align_spectrum"),
    "ssimh.match_histogram": (ssimh, "match_histogram"),
    "ssimh.from_low_frequency": (ssimh, "from_low_frequency"),
}


def recipes_of(group: str):
    """The recipes of a group; skipped where a package is not installed."""
    if missing := find_missing(group):
        pytest.skip(f"{', '.join(missing)} not installed")
    return load_recipes(group)


@pytest.mark.filterwarnings("ignore:the swap moved soft tissue")
@pytest.mark.parametrize("group", GROUPS)
def test_results_are_the_locked_ones(group):
    problems = []
    for name, recipe in recipes_of(group).items():
        assert name in LOCKED.functions, f"{name} is not in {LOCK.name}: python tests/write_results_lock.py"
        if differences := find_differences(LOCKED.functions[name], evaluate(recipe)):
            problems.append(explain(name, differences))
    if problems:
        pytest.fail("\n\n".join(problems), pytrace=False)


def test_every_public_function_is_locked_or_left_out_with_a_reason():
    for group in GROUPS:
        recipes_of(group)
    public = importlib.import_module("tests.results.public_names").find_public_names()
    recipes = {name for group in GROUPS for name in load_recipes(group)}
    assert recipes == set(LOCKED.functions), "python tests/write_results_lock.py"
    assert public - recipes - LEFT_OUT.keys() == set(), "write a recipe in tests/results, or a reason in left_out.py"
    assert LEFT_OUT.keys() - public == set(), "left_out.py names what is not public"
    assert recipes & LEFT_OUT.keys() == set()
    assert recipes - public == {"ssimh.SiteSpectrum"}  # what its properties state, beside its methods
    assert all(LEFT_OUT.values())


def test_each_function_is_locked_on_fifty_inputs():
    assert COUNT == 50
    assert all(sorted(results) == [f"{number:02}" for number in range(COUNT)] for results in LOCKED.functions.values())


def test_inputs_are_those_of_the_published_generator():
    assert [int(value) for value in random_bits(0, 3)] == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]


@pytest.mark.parametrize("name", IN_HU)
def test_a_thousandth_of_a_hu_in_one_function_fails(monkeypatch, name):
    module, attribute = IN_HU[name]
    original = getattr(module, attribute)
    monkeypatch.setattr(module, attribute, lambda *args, **kwargs: original(*args, **kwargs) + MOVED_HU)
    differences = find_differences(LOCKED.functions[name], evaluate(recipes_of("tests.results.ssimh_core")[name], FEW))
    assert {item.number for item in differences} == set(FEW)
    assert all(item.size is not None and item.size > 2 * item.allowed for item in differences)
    text = explain(name, differences)
    assert name in text
    assert f"`{name}`" in text
    assert HEADING in text
    assert "CHANGELOG.md" in text
    assert "tests/write_results_lock.py" in text
    assert float(re.findall(r"by ([\d.e-]+) at most", text)[0]) == pytest.approx(MOVED_HU, rel=5)


def test_a_thousandth_of_a_hu_in_the_kernel_fails_in_everything_that_swaps(monkeypatch):
    kernel = importlib.import_module("ssimh._kernels.numpy_kernel")
    original = kernel.swap

    def moved(*args, **kwargs):
        out, delta = original(*args, **kwargs)
        return out + out.dtype.type(MOVED_HU), delta

    monkeypatch.setattr(kernel, "swap", moved)
    recipes = recipes_of("tests.results.ssimh_core")
    assert find_differences(LOCKED.functions["ssimh.swap_spectrum"], evaluate(recipes["ssimh.swap_spectrum"], FEW))
    match = "ssimh.match_histogram"
    assert not find_differences(LOCKED.functions[match], evaluate(recipes[match], FEW))


@pytest.mark.parametrize("change", ["one voxel", "zero mean", "dtype", "shape", "nan"])
def test_other_changes_of_an_array_are_seen(change):
    values = np.linspace(-1000, 1000, 900).reshape(4, 15, 15)
    other = values.copy()
    if change == "one voxel":
        other[1, 2, 3] += MOVED_HU
    elif change == "zero mean":
        other[:2] += MOVED_HU
        other[2:] -= MOVED_HU
    elif change == "nan":
        other[0, 0, 0] = np.nan
    other = {"dtype": other.astype(np.float32), "shape": other.reshape(4, 25, 9)}.get(change, other)
    before, after = ({"00": {"result": describe(side)}} for side in (values, other))
    assert find_differences(before, after)
    assert not find_differences(before, before)


def test_rounding_is_not_a_change():
    values = np.linspace(-1000, 1000, 900)
    steps = {np.float64: 1e-12, np.float32: 5e-8}
    for kind, step in steps.items():
        signs = np.where(np.arange(900) % 3, 1, -1)
        sides = ((values * factor).astype(kind) for factor in (1.0, 1 + step * signs))
        before, after = ({"00": {"result": describe(side)}} for side in sides)
        assert not find_differences(before, after)


def test_a_changed_score_and_a_changed_text_are_seen():
    for first, second in ((0.5, 0.5 + 1e-6), ([1, 2], [1, 3]), ("a b", "a c"), (None, 0.0), (0.0, float("nan"))):
        before, after = ({"00": {"result": describe(side)}} for side in (first, second))
        assert find_differences(before, after)


CHANGED = f"""# Changelog

## Unreleased

### Added

- `f`

{HEADING}

- `f` and `g.h`: 2 HU brighter.

## 0.1.0 (2026-12-01)
"""


def lock_of(value: float, announced: dict[str, str] | None = None) -> Lock:
    """A lock of one function with one number."""
    return Lock({"f": {"00": {"result": ["numbers", value]}}}, announced or {})


def test_announcements_are_those_of_the_unreleased_part():
    assert set(read_announcements(CHANGED)) == {"f", "g.h"}
    assert read_announcements(CHANGED.replace("## Unreleased", "## 0.2.0 (2027-01-01)")) == {}
    assert read_announcements(CHANGED.replace(HEADING, "### Changed")) == {}


def test_the_lock_is_renewed_once_for_each_announcement():
    found = lock_of(2.0).functions
    _, missing = renew(lock_of(1.0), found, CHANGED.replace(HEADING, "### Changed"))
    assert missing == ["f"]
    lock, missing = renew(lock_of(1.0), found, CHANGED)
    assert missing == []
    assert lock.functions == found
    _, missing = renew(lock, lock_of(3.0).functions, CHANGED)  # a second change under the same line
    assert missing == ["f"]
    _, missing = renew(lock, lock_of(3.0).functions, CHANGED.replace("2 HU", "3 HU"))
    assert missing == []
    same, missing = renew(lock, found, "")
    assert missing == []
    assert same == lock
    new, missing = renew(Lock(), found, "")
    assert missing == []
    assert new.functions == found


def test_the_file_is_read_as_it_was_written(tmp_path):
    write_lock(LOCKED, tmp_path / "results.lock")
    assert read_lock(tmp_path / "results.lock") == LOCKED
    assert (tmp_path / "results.lock").read_bytes() == LOCK.read_bytes()


def test_an_unannounced_change_is_refused_by_the_script(monkeypatch, tmp_path, capsys):
    script = importlib.import_module("tests.write_results_lock")
    changed = replace(LOCKED, functions={"ssimh.cosine_basis": LOCKED.functions["ssimh.low_frequency"]})
    write_lock(changed, tmp_path / "results.lock")
    before = (tmp_path / "results.lock").read_bytes()
    monkeypatch.setattr(script, "LOCK", tmp_path / "results.lock")
    monkeypatch.setattr(script, "read_lock", lambda: read_lock(tmp_path / "results.lock"))
    monkeypatch.setattr(script, "GROUPS", {"tests.results.ssimh_core": ()})
    recipes = recipes_of("tests.results.ssimh_core")
    monkeypatch.setattr(script, "load_recipes", lambda group: {"ssimh.cosine_basis": recipes["ssimh.cosine_basis"]})
    assert script.main() == 1
    assert "`ssimh.cosine_basis`" in capsys.readouterr().err
    assert (tmp_path / "results.lock").read_bytes() == before
