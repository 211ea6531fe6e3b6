"""What importing hnseg and starting its command may load, checked in fresh interpreters."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import hnseg
from hnseg.cli.main import EXTRA
from hnseg.settings.config import Config
from hnseg.workdir import RunRecord, save_config, save_run_record
from ssimh._version import __version__
from tests.interpreters import block, check_public_names, modules_loaded_by, run

ROOT = Path(__file__).parents[2]
HEAVY = {
    "torch",
    "monai",
    "SimpleITK",
    "skimage",
    "matplotlib",
    "typer",
    "rich",
    "sklearn",
    "pydantic",
    "zarr",
    "joblib",
}
MODULES = {"ruamel.yaml": "ruamel", "lightning-fabric": "lightning_fabric"}


def start_without(modules: set[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """``hnseg`` with some arguments where modules are missing."""
    start = 'import runpy; runpy.run_module("hnseg", run_name="__main__")'
    return run(f"{block(modules)}sys.argv = {['hnseg', *arguments]!r}\n{start}")


@pytest.mark.parametrize("code", ["import hnseg", "import hnseg; dir(hnseg); hnseg.__version__", "import hnseg.errors"])
def test_importing_the_package_loads_nothing_heavy(code):
    assert not modules_loaded_by(code) & HEAVY


def test_settings_load_no_torch_and_no_images():
    assert not modules_loaded_by("from hnseg import Config; Config.from_preset('paper')") & {
        "torch",
        "SimpleITK",
        "typer",
    }


def test_the_command_loads_what_the_given_one_needs():
    # Training in several processes is no work of the one that waits for them.
    loaded = modules_loaded_by("import hnseg.cli.commands, hnseg.training.folds")
    assert not loaded & {"torch", "monai", "lightning_fabric", "zarr"}


def test_this_test_can_fail():
    assert {"pydantic", "zarr", "matplotlib"} <= modules_loaded_by("from hnseg import prepare_cohort")


def test_public_names_are_sorted_and_exist():
    check_public_names(hnseg)


def test_names_for_the_type_checker_are_those_that_are_loaded():
    tree = ast.parse(Path(hnseg.__file__).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    assert {alias.name: node.module for node in imports for alias in node.names} == hnseg._HOME


def test_no_public_name_hides_a_room():
    rooms = {path.stem for path in (ROOT / "hnseg").iterdir() if path.suffix in ("", ".py")}
    assert not rooms & set(hnseg.__all__)


@pytest.mark.parametrize("blocked", [*({name} for name in ("typer", "pydantic", "joblib")), set(EXTRA)])
def test_without_its_extra_the_command_is_one_line(blocked):
    done = start_without(blocked, "--help")
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert 'pip install "ssimh[hnseg]"' in line


# A module of training alone is missed after those before it are loaded, which takes seconds: one of them is enough.
NEEDS = [
    ("torch", "train"),
    ("zarr", "prepare"),
    *[pytest.param(name, "train", marks=pytest.mark.soak) for name in ("monai", "lightning_fabric")],
]


@pytest.mark.parametrize(("blocked", "command"), NEEDS)
def test_what_only_one_command_needs_is_one_line_too(blocked, command, tmp_path):
    save_config(Config.from_preset("demo"), tmp_path)
    save_run_record(RunRecord(data_root=""), tmp_path)
    done = start_without({blocked}, command, str(tmp_path))
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert 'pip install "ssimh[hnseg]"' in line


@pytest.mark.parametrize(("blocked", "name"), [("pydantic", "Config"), ("ruamel", "read_config_file")])
def test_a_public_name_without_its_extra_says_what_to_install(blocked, name):
    done = run(f"{block({blocked})}from hnseg import {name}")
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: ")
    assert all(fact in last for fact in (f"hnseg.{name}", blocked, 'pip install "ssimh[hnseg]"'))


def test_a_missing_module_of_python_is_no_missing_extra():
    done = run(f"{block({'csv'})}from hnseg import check_cohort")
    assert done.stderr.strip().splitlines()[-1].startswith("ModuleNotFoundError: ")


def test_another_missing_module_keeps_its_traceback():
    done = start_without({"csv"}, "--help")
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_the_extra_is_the_one_of_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]

    def needed(extra: str) -> set[str]:
        names = set()
        for requirement in extras[extra]:
            name = requirement.split(">=")[0]
            if name.startswith("ssimh["):
                names |= {part for inner in name[6:-1].split(",") for part in needed(inner)}
            else:
                names.add(MODULES.get(name, name))
        return names

    assert set(EXTRA) == needed("hnseg")


@pytest.mark.parametrize("command", [["-m", "hnseg"], ["-m", "hnseg.cli.main"]])
def test_the_version_is_printed(command):
    done = subprocess.run([sys.executable, *command, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == __version__


def test_without_pydicom_the_dicom_rooms_name_their_extra():
    done = run(f"{block({'pydicom'})}import hnseg.dicom.series.walk")
    assert 'pip install "ssimh[dicom]"' in done.stderr.strip().splitlines()[-1]
