"""The wheel of this checkout, built once for all tests and unpacked, and scripts that run with it alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.hnseg.fixtures import build_once

ROOT = Path(__file__).parents[1]
RUNNER = Path(__file__).with_name("run_scripts.py")


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with what the built wheel would install into ``site-packages``."""

    def build(folder: Path) -> None:
        folder.mkdir()
        code = f"from hatchling.build import build_wheel; build_wheel({str(folder.parent)!r})"
        # Not isolated: hatchling is installed for the tests, so that nothing is downloaded.
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)
        (path,) = folder.parent.glob("ssimh-*.whl")
        with zipfile.ZipFile(path) as archive:
            archive.extractall(folder)

    return build_once(tmp_path_factory, "wheel", build)


@dataclass(frozen=True)
class ScriptRun:
    """What scripts did in one process of their own.

    Attributes:
        outputs: what each script printed, by its name.
        modules: the file of every module of ssimh and hnseg that was loaded, and of their metadata.
    """

    outputs: dict[str, str]
    modules: dict[str, Path]


def run_scripts(
    wheel: Path, folder: Path, scripts: Sequence[Sequence[str | Path]], imports: Sequence[str]
) -> ScriptRun:
    """Run scripts one after the other in a process that has the wheel and no checkout; warnings in them are errors.

    Args:
        wheel: from the fixture.
        folder: working directory of the process, outside the checkout.
        scripts: path and arguments of each.
        imports: modules of other projects that are imported before, with warnings that are not ours.
    """
    task = {"wheel": str(wheel), "imports": list(imports), "scripts": [[*map(str, script)] for script in scripts]}
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    result = subprocess.run(
        [sys.executable, "-P", str(RUNNER)],
        input=json.dumps(task),
        cwd=folder,
        env={**environment, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    found = json.loads(result.stdout.splitlines()[-1])
    return ScriptRun(found["outputs"], {name: Path(place) for name, place in found["modules"].items()})
