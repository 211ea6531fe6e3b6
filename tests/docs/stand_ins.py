"""What stands in for the scans, cohorts and runs that the pages name: small generated ones under the same names."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hnseg.cohort.cases import discover_cases
from hnseg.cohort.splits import load_splits
from tests.ssimh.cli.commands import write
from tests.ssimh.necks import neck
from tests.ssimh.nnunet.datasets import make_case, make_dataset
from tests.ssimh.thighs import SHARP_MM, SMOOTH_MM, thigh
from tests.ssimh.uptakes import uptake

# Lines that run with something else in their place, and why.
BEGUN = "runs/first is a trained run here, and is not begun again"
SPLIT = "runs/first is split here, and is not split again"
REPLACED = {
    "hnseg prepare runs/first --jobs 16 --memory-gb 48": (
        "hnseg prepare runs/first",
        "the memory limits how many processes run, and all cases are prepared",
    ),
    "hnseg init runs/first --data DATA --preset recommended": (
        "hnseg init runs/begun --data DATA --preset recommended",
        BEGUN,
    ),
    "hnseg init runs/first --data COHORT": ("hnseg init runs/converted --data DATA", BEGUN),
    "hnseg split runs/first": ("hnseg split runs/checked", SPLIT),
    "hnseg split runs/first --folds splits_final.json --test test_ids.txt": (
        "hnseg split runs/checked --folds splits_final.json --test test_ids.txt",
        SPLIT,
    ),
    "hnseg split runs/first --leave-one-center-out": (
        "hnseg split runs/checked --leave-one-center-out --set prepare.harmonization=none",
        f"{SPLIT}; two centers are enough without harmonization",
    ),
    "hnseg init runs/tau5 --from runs/between --set prepare.swap_threshold=5": (
        "hnseg init runs/tau5 --from runs/first --set prepare.swap_threshold=5",
        "runs/between is begun only",
    ),
    "hnseg compare runs/first runs/aligned": (
        "hnseg compare runs/first runs/compared",
        "runs/aligned is begun only",
    ),
}
FEWER = {"--jobs": "1", "--device": "cpu"}  # values of options: every further process loads torch, and a GPU is rare
VARIABLES = {"nnUNet_raw": "raw", "SLURM_ARRAY_TASK_ID": "3"}
PYTHON = {  # parts of Python blocks: a cohort of the usual grid takes half a minute
    "cases_per_center=2": "cases_per_center=(1, 2), centers=DEFAULT_CENTERS[:2], pixel_mm=8",
    "import generate_cohort": "import DEFAULT_CENTERS, generate_cohort",
    "generate_case(index=9, seed=7)": "generate_case(index=9, seed=7, pixel_mm=8)",
}


@dataclass(frozen=True)
class Inputs:
    """What the tests have already made.

    Attributes:
        cohort: root of the small generated cohort.
        trained: its trained run.
    """

    cohort: Path
    trained: Path


def make_swap_files(folder: Path, inputs: Inputs) -> dict[str, object]:
    """Scans of two sites, and a dataset of nnU-Net."""
    rng = np.random.default_rng(0)
    for name in ("site_a/1", "site_a/2", "incoming/1", "donor"):
        write(folder / f"{name}.nii.gz", rng.normal(20, 60, (6, 24, 22)).astype(np.int16))
    for name, seed in (("hospital_a/1", 0), ("hospital_b/1", 1)):
        write(folder / f"{name}.nii.gz", neck(seed), spacing=(4.0, 4.0, 3.0))
    make_dataset(folder / "raw" / "Dataset001_HN")
    make_case(folder / "new_cases", "HN_9", 9)
    return {}


def make_sites(folder: Path, inputs: Inputs) -> dict[str, object]:
    """Names that the page of alignment takes as given."""
    here, there = ([neck(seed, factor=factor) for seed in range(3)] for factor in (1.05, 1.0))
    sharp, coarse = ([uptake(seed, mm2) for seed in range(2)] for mm2 in (6.0, 12.0))
    pets = {"pets_of_here": sharp, "pets_of_there": coarse, "pet": sharp[0]}
    grainy, smooth = ([thigh(first + n, mm) for n in range(2)] for first, mm in ((0, SHARP_MM), (20, SMOOTH_MM)))
    cts = {"cts_of_here": grainy, "cts_of_there": smooth, "ct": grainy[0]}
    return {"scans_of_here": here, "scans_of_there": there, "scan": here[0], **pets, **cts}


def make_runs(folder: Path, inputs: Inputs) -> dict[str, object]:
    """A trained run, the cohorts beside it, masks and lists of cases."""
    (folder / "runs").mkdir()
    shutil.copytree(inputs.trained, folder / "runs" / "first")
    for name in ("DATA", "HECKTOR2025"):
        (folder / name).symlink_to(inputs.cohort)
    first, *_ = cases = discover_cases(inputs.cohort)
    shutil.copytree(first.ct.parent, folder / "NEWDATA" / "Task 1" / first.id)
    for kind, source in (("ct", first.ct), ("pet", first.pet)):
        for name in (kind, kind.upper()):
            shutil.copy(source, folder / f"{name}.nii.gz")
    shutil.copy(first.label or first.ct, folder / "truth.nii.gz")
    for name in ("MASKS", "MASKS_A", "MASKS_B"):
        (folder / name).mkdir()
        for case in cases:
            assert case.label is not None
            shutil.copy(case.label, folder / name / f"{case.id}.nii.gz")
    splits = load_splits(inputs.trained)
    training = sorted(case_id for fold in splits.folds for case_id in fold)
    parts = [{"train": [name for name in training if name not in fold], "val": list(fold)} for fold in splits.folds]
    (folder / "splits_final.json").write_text(json.dumps(parts))
    (folder / "test_ids.txt").write_text("\n".join(splits.test))
    return {}


def make_demo(folder: Path, inputs: Inputs) -> dict[str, object]:
    """A trained run as the work directory of the demo."""
    shutil.copytree(inputs.trained, folder / "demo")
    return {}


def make_data(folder: Path, inputs: Inputs) -> dict[str, object]:
    """A cohort in the challenge's layout."""
    (folder / "DATA").symlink_to(inputs.cohort)
    return {}


def make_checked(folder: Path) -> None:
    """A run that is checked and not split."""
    folder.mkdir()
    for name in ("config.yaml", "run.json", "check.json"):
        shutil.copy(folder.parent / "first" / name, folder / name)


def make_compared(folder: Path) -> None:
    """A run with the scores of the first one."""
    shutil.copytree(folder.parent / "first", folder)


# Made afresh before each line that names them.
FRESH: dict[str, Callable[[Path], None]] = {"runs/checked": make_checked, "runs/compared": make_compared}
SETUPS: dict[str, Callable[[Path, Inputs], dict[str, object]]] = {
    "README.md": make_runs,
    "docs/hnseg/howto.md": make_runs,
    "docs/hnseg/paper.md": make_runs,
    "docs/ssimh/align.md": make_sites,
    "docs/ssimh/howto.md": make_swap_files,
    "docs/tutorials/challenge.md": make_data,
    "docs/tutorials/dicom_to_mask.md": make_demo,
}
