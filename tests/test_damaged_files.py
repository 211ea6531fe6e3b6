"""Both packages on damaged files: refused, equal, or as the damaged file states; see ``tests/damaged_files.py``."""

from __future__ import annotations

import collections
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import SimpleITK as sitk

from tests.damaged_files import KINDS, Image, damaged_file, place, sound_file, verdict

ROOT = Path(__file__).parents[1]


def run(count: int, seed: int) -> dict[str, dict[str, int]]:
    """Outcomes of both readers on ``count`` files, in a process whose memory is limited."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-m", "tests.damaged_files", "--seed", str(seed), "--count", str(count)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=7200, check=False)
    assert done.stdout, f"the process died of the file after number {done.stderr[-200:]}"
    result = json.loads(done.stdout)
    assert not result["wrong"], "\n".join(result["wrong"])
    return result["counts"]


def check(counts: dict[str, dict[str, int]], count: int) -> None:
    assert counts["ssimh"] == counts["hnseg"]
    assert sum(counts["ssimh"].values()) == count
    assert set(counts["ssimh"]) == {"refused", "equal", "stated"}
    # Most damage shows; what does not is in metadata, or is a change that the format cannot reveal.
    assert counts["ssimh"]["refused"] > 0.6 * count
    assert counts["ssimh"]["equal"] > 0.1 * count


def test_a_few_hundred_damaged_files_and_some_that_lie():
    check(run(400, seed=0), 400)


@pytest.mark.soak
def test_ten_thousand_damaged_files():
    check(run(10_000, seed=1), 10_000)


def read_by_itk(path: Path) -> Image:
    image = sitk.ReadImage(str(path))
    matrix = place(image.GetSpacing(), image.GetOrigin(), image.GetDirection())
    return Image(sitk.GetArrayFromImage(image), matrix)


def test_this_test_can_fail(tmp_path):
    """ITK alone lets pass what the strict reader must not."""
    outcomes: collections.Counter[str] = collections.Counter()
    for number in range(200):
        suffix, raw, _, sound = damaged_file(number, seed=0)
        path = tmp_path / f"damaged{suffix}"
        path.write_bytes(raw)
        outcomes[verdict(read_by_itk, RuntimeError, path, sound).split(":")[0]] += 1
    assert outcomes["WRONG acceptance"] + outcomes["WRONG values or place"] > 30


@pytest.mark.parametrize("number", range(len(KINDS)))
def test_sound_files_are_read_as_they_are(tmp_path, number):
    suffix, raw, sound = sound_file(number)
    path = tmp_path / f"sound{suffix}"
    path.write_bytes(raw)
    assert verdict(read_by_itk, RuntimeError, path, sound) == "equal"
