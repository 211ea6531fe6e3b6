"""What each parameter of ``ssimh benchmark`` changes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import ssimh.site_benchmark.run_benchmark as module
from tests.ssimh.cli.commands import refuse, succeed
from tests.ssimh.cli.option_effects import effect
from tests.ssimh.site_benchmark.benchmark_folders import write_pet_sites


@effect("benchmark", "folder", "out")
def _paths(folder: Path) -> None:
    pets = write_pet_sites(folder / "pets")
    succeed("benchmark", pets, "--out", folder / "elsewhere", "--modality", "PT")
    assert json.loads((folder / "elsewhere/benchmark.json").read_text())["folder"] == str(pets)
    refuse("benchmark", folder / "scans", "--out", folder / "x", naming=("scans",))
    refuse("benchmark", pets, "--out", pets / "x", "--modality", "PT", naming=("pets",))


@effect("benchmark", "modality")
def _modality(folder: Path) -> None:
    pets = write_pet_sites(folder / "pets")
    refuse("benchmark", pets, "--out", folder / "ct", "--modality", "CT", naming=("SUV",))


@effect("benchmark", "jobs")
def _jobs(folder: Path) -> None:
    sizes: list[int] = []

    class Pool:
        def __init__(self, workers: int, *rest: object) -> None:
            sizes.append(workers)

        def __enter__(self) -> Pool:
            return self

        def __exit__(self, *error: object) -> None:
            pass

        map = staticmethod(map)

    pets = write_pet_sites(folder / "pets")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "ProcessPoolExecutor", Pool)
        succeed("benchmark", pets, "--out", folder / "out", "--modality", "PT", "--jobs", 2)
    assert sizes == [2, 2]
    refuse("benchmark", pets, "--out", folder / "x", "--jobs", 0)
