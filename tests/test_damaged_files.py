"""Both packages on damaged files: refused, equal, or as the damaged file states; see ``tests/damaged_files.py``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import SimpleITK as sitk

from tests.damaged_files import KINDS, sound_file, verdict
from tests.stated_images import Image, place

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


def fail(path: Path) -> Image:
    raise KeyError(path.name)


def test_the_verdict_can_be_bad(tmp_path):
    """Readers that repair, invent or break; ITK alone crashes on some of these files, so it is not asked."""
    suffix, raw, sound = sound_file(0)
    other = Image(sound.values + 1, sound.matrix)
    path = tmp_path / f"cut{suffix}"
    path.write_bytes(raw[:-1])
    verdicts = [verdict(read, OSError, path, sound) for read in (lambda _: other, fail)]
    path.write_bytes(raw)
    verdicts.append(verdict(lambda _: other, OSError, path, sound))
    expected = ["WRONG acceptance", "WRONG exception KeyError", "WRONG values or place"]
    assert [text.split(":")[0] for text in verdicts] == expected


def read_by_itk(path: Path) -> Image:
    image = sitk.ReadImage(str(path))
    matrix = place(image.GetSpacing(), image.GetOrigin(), image.GetDirection())
    return Image(sitk.GetArrayFromImage(image), matrix)


@pytest.mark.parametrize("number", range(len(KINDS)))
def test_sound_files_are_read_as_they_are(tmp_path, number):
    suffix, raw, sound = sound_file(number)
    path = tmp_path / f"sound{suffix}"
    path.write_bytes(raw)
    assert verdict(read_by_itk, RuntimeError, path, sound) == "equal"
