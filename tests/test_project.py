"""The project's own files agree: versions, lowest dependencies, workflows and Makefile, and what a release needs."""

from __future__ import annotations

import importlib.util
import re
import shutil
import sys
import tomllib
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from ssimh._version import __version__

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DEVELOPERS = ("benchmarks", "dev", "docs", "peers", "test")  # extras that no user installs
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def load_script(name: str):
    """A script of .ci as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / ".ci" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make_targets(text: str) -> set[str]:
    """Targets that a Makefile names as phony."""
    (line,) = re.findall(r"^\.PHONY: ((?:.*\\\n)*.*)$", text, flags=re.MULTILINE)
    return set(line.replace("\\\n", " ").split())


def lowest_versions() -> dict[str, str]:
    """Lower bound of each dependency of users, over all extras."""
    extras = PROJECT["optional-dependencies"]
    lists = [PROJECT["dependencies"], *(rows for name, rows in extras.items() if name not in DEVELOPERS)]
    found = [re.match(r"([\w.-]+)>=([\d.]+)", row) for rows in lists for row in rows if not row.startswith("ssimh[")]
    assert None not in found, "a dependency without a lower bound"
    return {match[1]: match[2] for match in found if match}


def test_the_version_is_one_and_has_a_release_form():
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)
    assert f"\nversion: {__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert "version" in PROJECT["dynamic"]


def test_the_oldest_versions_are_the_lower_bounds():
    lines = (ROOT / "constraints-oldest.txt").read_text(encoding="utf-8").splitlines()
    pinned = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert pinned == lowest_versions()


def test_the_core_needs_numpy_and_scipy_alone():
    assert [re.split(r"\W", row)[0] for row in PROJECT["dependencies"]] == ["numpy", "scipy"]


def test_every_python_has_a_classifier_and_a_job():
    stated = {row.rsplit(" ", 1)[1] for row in PROJECT["classifiers"] if re.search(r"Python :: 3\.\d", row)}
    checks = YAML(typ="safe").load(ROOT / ".github" / "workflows" / "checks.yml")
    assert set(checks["jobs"]["tests"]["strategy"]["matrix"]["python"]) == stated
    assert PROJECT["requires-python"] == f">={min(stated, key=lambda version: int(version.split('.')[1]))}"


def test_targets_are_found():
    assert make_targets(".PHONY: a b \\\n    c\n\na:\n") == {"a", "b", "c"}


def test_every_phony_target_has_a_rule():
    rules = {name for line in re.findall(r"^([\w -]+):", MAKEFILE, flags=re.MULTILINE) for name in line.split()}
    assert make_targets(MAKEFILE) <= rules


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_run_targets_of_the_makefile_and_pinned_actions(path):
    """So every job runs anywhere; an action is named by its commit, since a tag can be moved."""
    workflow = YAML(typ="safe").load(path)
    assert workflow["permissions"] == {"contents": "read"}
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    assert steps
    for step in steps:
        if "run" in step:
            command, target = step["run"].split()
            assert command == "make"
            assert target in make_targets(MAKEFILE)
        else:
            assert re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", step["uses"])


def test_the_checks_are_all_there():
    text = "".join(path.read_text(encoding="utf-8") for path in WORKFLOWS)
    run = set(re.findall(r"run: make (\S+)", text))
    assert {
        "lint",
        "layers",
        "types",
        "tests",
        "docs",
        "test-oldest",
        "test-core",
        "test-wheel",
        "dist",
        "publish",
    } <= run


def test_only_publishing_may_identify_itself():
    workflows = [YAML(typ="safe").load(path) for path in WORKFLOWS]
    jobs = {name: job for workflow in workflows for name, job in workflow["jobs"].items()}
    assert [name for name, job in jobs.items() if "permissions" in job] == ["publish"]
    publish = jobs["publish"]
    assert publish["permissions"] == {"contents": "read", "id-token": "write"}
    assert (publish["needs"], publish["environment"]) == ("build", "pypi")


@pytest.fixture
def checkout(tmp_path):
    """The files that a release is checked by, as they are once it is ready."""
    for name in ("CITATION.cff", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "ssimh").mkdir()
    shutil.copy(ROOT / "ssimh" / "_version.py", tmp_path / "ssimh" / "_version.py")
    text = (tmp_path / "pyproject.toml").read_text(encoding="utf-8")
    addresses = "".join(f'{name} = "https://example.org"\n' for name in load_script("check_release").ADDRESSES)
    (tmp_path / "pyproject.toml").write_text(text.replace("[project.urls]\n", f"[project.urls]\n{addresses}"))
    (tmp_path / "CHANGELOG.md").write_text(f"# Changelog\n\n## Unreleased\n\n## {__version__} (2026-12-01)\n")
    return tmp_path


def test_a_release_that_is_ready_has_no_problem(checkout):
    find = load_script("check_release").find_problems
    assert find(checkout, f"v{__version__}") == []
    assert find(checkout, None) == []


@pytest.mark.parametrize(
    ("name", "old", "new", "fact"),
    [
        ("CHANGELOG.md", f"## {__version__} (2026-12-01)\n", "", "CHANGELOG.md"),
        ("CITATION.cff", f"version: {__version__}", "version: 0.0.9", "CITATION.cff"),
        ("pyproject.toml", "Repository =", "Other =", "Repository"),
        ("ssimh/_version.py", f'"{__version__}"', '"0.9.0.dev1"', "0.9.0.dev1"),
    ],
)
def test_what_a_release_lacks_is_named(checkout, name, old, new, fact):
    path = checkout / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    assert any(fact in problem for problem in load_script("check_release").find_problems(checkout, None))


def test_a_tag_of_another_version_is_refused(checkout):
    (problem,) = load_script("check_release").find_problems(checkout, "v9.9.9")
    assert "v9.9.9" in problem
    assert f"v{__version__}" in problem


def test_the_wheel_is_tried_with_blocks_that_the_tutorial_has(monkeypatch):
    script = load_script("try_wheel")
    kinds = [language for language, _ in script.read_blocks(script.TUTORIAL)]
    assert {"python", "console", "text"} == set(kinds)
    assert all((ROOT / "examples" / name).is_file() for _, names in script.STEPS for name in names)


def test_skipped_are_files_that_lack_an_optional_package_alone():
    from tests.skip_missing import OPTIONAL, find_missing

    assert find_missing("E   ModuleNotFoundError: No module named 'torch'") == "torch"
    assert find_missing("E   ModuleNotFoundError: No module named 'torch.nn'") == "torch"
    assert find_missing("E   ModuleNotFoundError: No module named 'ssimh.swop'") is None
    assert find_missing("E   NameError: name 'torch' is not defined") is None
    assert not OPTIONAL & {"numpy", "scipy", "ssimh", "hnseg", "tests", *sys.stdlib_module_names}
