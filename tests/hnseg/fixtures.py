"""Shared fixtures of the hnseg tests: small hand-made cases, and a generated cohort that several tests read.

Torch and MONAI are imported where they are needed: the process that only distributes the tests needs neither.
"""

from __future__ import annotations

import os
import shutil
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from hnseg.cohort.open_run import open_run
from hnseg.cohort.reference import choose_reference
from hnseg.cohort.splits import make_splits, save_splits
from hnseg.images.geometry import Grid
from hnseg.images.image_io import write_image
from hnseg.phantom import DEFAULT_CENTERS, generate_cohort
from hnseg.settings.config import Config
from hnseg.settings.predict import PredictConfig
from hnseg.settings.prepare import PrepareConfig
from hnseg.settings.split import SplitConfig
from hnseg.settings.train import TrainConfig
from ssimh.files.lock import hold_lock
from tests.hnseg.processes import ForkedPool

MakeCase = Callable[..., Path]


def ball(grid: Grid, center_mm: tuple[float, float, float], radius_mm: float) -> np.ndarray:
    """Boolean ball (z, y, x) on a grid."""
    index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.size), indexing="ij"), axis=-1)
    distance = np.linalg.norm(grid.to_physical(index) - np.asarray(center_mm), axis=-1)
    return (distance <= radius_mm).transpose(2, 1, 0)


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """A generator of this test alone, the same at every run and in every order of the tests."""
    return np.random.default_rng(zlib.crc32(request.node.name.encode()))


@pytest.fixture
def make_case(tmp_path: Path) -> MakeCase:
    """Write a small case (a ball of water with a hot lesion, no head) below ``tmp_path/cohort`` and return the root."""

    def make(case_id: str = "ONE-001", *, root: Path | None = None, **replace: tuple[np.ndarray, Grid]) -> Path:
        home = (root or tmp_path / "cohort") / "Task 1" / case_id
        ct_grid = Grid((40, 36, 30), (4.0, 4.0, 5.0), (-80.0, -70.0, 10.0))
        pet_grid = Grid((34, 32, 26), (5.0, 5.0, 6.0), (-83.0, -77.0, 8.0))
        middle, lesion = (0.0, 0.0, 80.0), (10.0, -5.0, 90.0)
        ct = np.where(ball(ct_grid, middle, 60.0), 40, -1000).astype(np.int16)
        pet = np.where(ball(pet_grid, middle, 60.0), 1.0, 0.05).astype(np.float32)
        pet[ball(pet_grid, lesion, 15.0)] = 8.0
        label = ball(ct_grid, lesion, 15.0).astype(np.uint8)
        label[ball(ct_grid, (-30.0, 0.0, 60.0), 12.0)] = 2
        images = {"ct": (ct, ct_grid), "pet": (pet, pet_grid), "label": (label, ct_grid), **replace}
        for name, suffix in (("ct", "__CT"), ("pet", "__PT"), ("label", "")):
            write_image(home / f"{case_id}{suffix}.nii.gz", *images[name])
        return home.parent.parent

    return make


def build_once(factory: pytest.TempPathFactory, name: str, build: Callable[[Path], object]) -> Path:
    """A folder that one of the test processes builds and all of them read; the second waits for the first."""
    home = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        home = home.parent
    finished = home / f"{name}-finished"
    with hold_lock(home / f".{name}.lock", "build for all tests", wait=True):
        if not finished.exists():
            build(home / name)
            finished.touch()
    return home / name


@pytest.fixture(scope="session")
def small_cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight coarse phantom cases of two centers; read-only."""

    def build(root: Path) -> None:
        generate_cohort(root, seed=3, cases_per_center=4, centers=DEFAULT_CENTERS[:2], pixel_mm=4.0)

    return build_once(tmp_path_factory, "small-cohort", build)


TINY_TRAIN = TrainConfig(
    filters=4,
    blocks_down=(1, 1, 1),
    heads=2,
    patch_vox=(32, 32, 32),
    epochs=3,
    learning_rate=3e-3,
    warmup_epochs=0,
    validate_every=2,
    workers=0,
)


@pytest.fixture(scope="session")
def prepared_run(small_cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small cohort, checked, split and prepared on a 6.25 mm grid; copy it before changing anything."""
    from hnseg.check.check_cohort import check_cohort
    from hnseg.preprocessing.prepare_cohort import prepare_cohort

    config = Config(
        preset="demo",
        seed=1,
        split=SplitConfig(folds=2, test_fraction=0.25),
        prepare=PrepareConfig(spacing_mm=6.25),
        train=TINY_TRAIN,
        predict=PredictConfig(overlap=0.25),
    )

    def build(work: Path) -> None:
        open_run(work, config, small_cohort, resume=False)
        check = check_cohort(small_cohort, config.prepare, work=work)
        reference = choose_reference(config.prepare, check, work)
        save_splits(make_splits(check.cases, config.split, config.seed, reference=reference), work)
        assert prepare_cohort(work) == []

    work = tmp_path_factory.mktemp("run") / "work"
    shutil.copytree(build_once(tmp_path_factory, "prepared-run", build), work)
    return work


@pytest.fixture
def run(prepared_run: Path, tmp_path: Path) -> Path:
    """A prepared run of one's own."""
    shutil.copytree(prepared_run, tmp_path / "work")
    return tmp_path / "work"


@contextmanager
def without_pictures() -> Iterator[None]:
    """Check and prepare without pictures, which take more than half of their time here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hnseg.check.check_case.draw_case", lambda *_: ())
        patch.setattr("hnseg.preprocessing.prepare_case.draw_qc", lambda path, **_: path.write_bytes(b"picture"))
        yield


@pytest.fixture
def no_pictures() -> Iterator[None]:
    """For tests of what else is in a prepared case."""
    with without_pictures():
        yield


@pytest.fixture
def forked_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that need not load torch; joblib's own are those of test_evaluate.py and test_parallel.py."""
    monkeypatch.setattr("hnseg.parallel.joblib.Parallel", ForkedPool)


@pytest.fixture(scope="session")
def trained_run(prepared_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The prepared run with both folds trained; read-only."""

    def build(work: Path) -> None:
        from hnseg.training.loop import train_fold

        shutil.copytree(prepared_run, work)
        for fold in range(2):
            train_fold(work, fold, device="cpu")

    work = tmp_path_factory.mktemp("trained") / "work"
    shutil.copytree(build_once(tmp_path_factory, "trained-run", build), work)
    return work
