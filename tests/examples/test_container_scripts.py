"""The container's shell scripts with a stand-in for docker: what is given to them is never deleted."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Stands in for Python: `pip wheel` and `hnseg export WORK FOLDER`, which refuses a folder without models.
PYTHON = """#!/usr/bin/env bash
case "$*" in
    *"pip wheel"*) touch "${@: -2:1}/ssimh-0-py3-none-any.whl" ;;
    *"hnseg export"*) [ -f "${@: -2:1}/run.json" ] || exit 1; cp -r "${@: -2:1}" "${@: -1}" ;;
esac
"""


@pytest.fixture
def home(tmp_path):
    """A copy of the example's folder in a repository of its own, with stand-ins for docker and Python."""
    home = tmp_path / "repository" / "examples" / "grand_challenge"
    shutil.copytree(ROOT / "examples" / "grand_challenge", home)
    (tmp_path / "repository" / "constraints.txt").write_text("numpy==2\ntorch==2\n")
    (tmp_path / "bin").mkdir()
    for name, text in (("docker", '#!/usr/bin/env bash\necho docker "$@"\n'), ("python", PYTHON)):
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    return home


def run(home: Path, script: str, *arguments: Path) -> subprocess.CompletedProcess[str]:
    bin_folder = home.parents[2] / "bin"
    environment = {**os.environ, "PATH": f"{bin_folder}:{os.environ['PATH']}", "PYTHON": str(bin_folder / "python")}
    command = ["bash", str(home / script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=60)


@pytest.fixture
def model(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "run.json").write_text("{}")
    return tmp_path / "model"


pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="shell scripts")


def test_a_build_from_the_last_builds_models_keeps_them(home, model):
    for work in (model, home / "build" / "model"):
        done = run(home, "do_build.sh", work)
        assert done.returncode == 0, done.stderr
        assert {path.name for path in (home / "build").iterdir()} == {
            *("model", "constraints.txt", "ssimh-0-py3-none-any.whl")
        }
        assert (home / "build" / "model" / "run.json").is_file()
        assert (home / "build" / "constraints.txt").read_text() == "numpy==2\n"
    assert not list(home.glob(".build-*"))


def test_a_build_that_fails_keeps_the_last_one(home, model, tmp_path):
    assert run(home, "do_build.sh", model).returncode == 0
    (tmp_path / "empty").mkdir()
    assert run(home, "do_build.sh", tmp_path / "empty").returncode != 0
    assert (home / "build" / "model" / "run.json").is_file()
    assert not list(home.glob(".build-*"))


def test_a_work_directory_inside_the_build_is_refused(home, model):
    shutil.copytree(model, home / "build" / "work")
    done = run(home, "do_build.sh", home / "build" / "work")
    assert done.returncode == 1
    assert str(home / "build" / "work") in done.stderr
    assert (home / "build" / "work" / "run.json").is_file()


def test_a_test_run_keeps_the_scans_that_it_is_given(home, tmp_path):
    for name in ("ct.mha", "pet.mha"):
        (tmp_path / name).write_text(name)
    scans = tmp_path / "ct.mha", tmp_path / "pet.mha"
    again = home / "test" / "input" / "images" / "ct" / "ct.mha", home / "test" / "input" / "images" / "pet" / "pet.mha"
    for ct, pet in (scans, again):
        done = run(home, "do_test_run.sh", ct, pet)
        assert done.returncode == 0, done.stderr
        assert [path.read_text() for path in again] == ["ct.mha", "pet.mha"]
    elsewhere = home / "test" / "mine.mha"
    elsewhere.write_text("the only copy")
    done = run(home, "do_test_run.sh", elsewhere, scans[1])
    assert done.returncode == 1
    assert elsewhere.read_text() == "the only copy"
    assert not list(home.glob(".test-*"))
