"""A small synthetic work directory, in the layout of ``docs/hnseg/workdir.md``, for the tests that read one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hnseg.cohort.cases import Case
from hnseg.images.geometry import Grid
from hnseg.images.image_io import write_image
from hnseg.preprocessing.case_key import case_key
from hnseg.settings.config import Config
from hnseg.workdir import save_config
from ssimh.files.artifact_cache import ArtifactCache, hash_file

# The CT is anisotropic and turned in plane (patient's left to the left of the array), the PET coarser and elsewhere.
CT_GRID = Grid((36, 40, 24), (3.0, 3.0, 5.0), (52.0, 60.0, -60.0), (-1, 0, 0, 0, -1, 0, 0, 0, 1))
PET_GRID = Grid((30, 30, 26), (5.0, 5.0, 5.0), (-70.0, -72.0, -65.0))
CROP_GRID = Grid((24, 26, 36), (4.0, 4.0, 3.0), (-46.0, -50.0, -54.0))
TESTS = ("AAA-001", "AAA-002", "BBB-001", "BBB-002")
EXTERNAL = ("EXA-001", "EXA-002", "EXB-004", "EXB-005")  # CTs of one sum of letters would be equal
TRAINS = ("AAA-003", "AAA-004", "BBB-003", "BBB-004", "CCC-001")


def ball(grid: Grid, center_mm: tuple[float, float, float], radius_mm: float) -> np.ndarray:
    """Mask (z, y, x) of a ball in physical space."""
    k, j, i = np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij")
    points = grid.to_physical(np.stack([i, j, k], axis=-1))
    return np.linalg.norm(points - np.asarray(center_mm), axis=-1) <= radius_mm


def draw(grid: Grid, gtvp: list, gtvn: list) -> np.ndarray:
    label = np.zeros(grid.shape, np.uint8)
    for value, balls in ((2, gtvn), (1, gtvp)):
        for center, radius in balls:
            label[ball(grid, center, radius)] = value
    return label


# Truth and prediction of the test cases: a good one, a missed node and a false one, no GTVp, nothing at all.
P, N, M = (8.0, 0.0, 10.0), (-24.0, 5.0, -10.0), (26.0, 8.0, -20.0)
MASKS = {
    "AAA-001": (([(P, 14)], [(N, 10)]), ([(P, 13)], [(N, 10)])),
    "AAA-002": (([(P, 10)], [(N, 9), (M, 8)]), ([((14.0, 0.0, 10.0), 10)], [(N, 9), ((0.0, 30.0, -30.0), 7)])),
    "BBB-001": (([], [(N, 12)]), ([(M, 6)], [(N, 9)])),
    "BBB-002": (([], []), ([], [])),
}


def write_case(root: Path, case_id: str) -> dict:
    """CT, PET and label files of a case; its row of check.json."""
    rng = np.random.default_rng(sum(map(ord, case_id)))
    truth = draw(CT_GRID, *MASKS.get(case_id, MASKS["AAA-001"])[0])
    body = ball(CT_GRID, (0, 0, 0), 48)
    ct = np.where(body, 40, -1000) + rng.normal(0, 15, CT_GRID.shape)
    pet = np.where(ball(PET_GRID, (0, 0, 0), 48), 1.0, 0.05) + rng.gamma(1, 0.1, PET_GRID.shape)
    for center, radius in [b for group in MASKS.get(case_id, MASKS["AAA-001"])[0] for b in group]:
        pet[ball(PET_GRID, center, radius)] += 9
    paths = {kind: root / case_id / f"{case_id}{end}.nii.gz" for kind, end in (("ct", "__CT"), ("pet", "__PT"))}
    paths["label"] = root / case_id / f"{case_id}.nii.gz"
    write_image(paths["ct"], ct.astype(np.float32), CT_GRID)
    write_image(paths["pet"], pet.astype(np.float32), PET_GRID)
    write_image(paths["label"], truth, CT_GRID)
    files = {kind: str(path) for kind, path in paths.items()}
    lesions_ml = {"gtvp_ml": 1.0, "gtvn_ml": 1.0}
    return {"id": case_id, "center": case_id.split("-")[0], **files, **lesions_ml, "head_found": True, "in_view": 1.0}


def write_prepared(work: Path, case_id: str, *, fallback: bool) -> None:
    from matplotlib.figure import Figure

    folder = work / "prepared" / case_id
    folder.mkdir(parents=True)
    figure = Figure(figsize=(3, 2))
    figure.subplots().imshow(np.arange(12).reshape(3, 4))
    figure.savefig(folder / "qc.png")
    reason = "no brain in view: top of the scan" if fallback else "brain: 1300 ml, 97 % enclosed by bone"
    record = {
        "id": case_id,
        "center": case_id.split("-")[0],
        "ct_grid": CT_GRID.as_dict(),
        "pet_grid": PET_GRID.as_dict(),
        "crop_grid": CROP_GRID.as_dict(),
        "crop": {"method": "head", "confidence": 0.0 if fallback else 0.97, "reason": reason, "fallback": fallback},
        "harmonization": {
            "method": "spectrum-swap",
            "reference": "AAA-003",
            "soft_tissue_mean_abs_hu": 61.5 if fallback else 12.25,
            "soft_tissue_p95_abs_hu": 150.0 if fallback else 30.0,
        },
        "label_outside_box_ml": 1.5 if fallback else 0.0,
    }
    (folder / "case.json").write_text(json.dumps(record))


def write_models(work: Path) -> None:
    for fold in (0, 1):
        lines = ["epoch,loss,learning_rate,seconds,val_gtvp_dice,val_gtvn_dice,val_score"]
        for epoch in range(1, 9):
            scores = f"{0.1 * epoch:.3f},{0.08 * epoch:.3f},{0.09 * epoch:.3f}" if epoch % 4 == 0 else ",,"
            lines.append(f"{epoch},{3 / epoch + fold:.4f},{0.002 / epoch:.6f},11.5,{scores}")
        (work / "models" / f"fold_{fold}").mkdir(parents=True)
        (work / "models" / f"fold_{fold}" / "log.csv").write_text("\n".join(lines) + "\n")


def make_workdir(work: Path) -> Path:
    """Everything up to the predictions, two centers, four test cases."""
    from hnseg.inference.baselines import empty_baseline  # with torch, see tests/hnseg/fixtures.py

    root = work / "cohort" / "Task 1"
    cases = [write_case(root, case_id) for case_id in (*TESTS, *TRAINS)]
    finding = {
        "case_id": "BBB-001",
        "severity": "warning",
        "code": "no-head",
        "message": "the head is not in view <b>&</b>",
        "path": cases[2]["ct"],
    }
    config = Config.from_preset("demo", folds=2, seed=3)
    provenance = {"versions": {"python": "3.11", "ssimh": "0.1.0"}, "machine": "a test", "started_utc": "2026-01-01"}
    run = {"data_root": str(root.parent), "provenance": provenance}
    save_config(config, work)
    folds = [list(TRAINS[1:3]), list(TRAINS[3:])]
    (work / "run.json").write_text(json.dumps(run))
    (work / "check.json").write_text(json.dumps({"cases": cases, "findings": [finding], "overviews": []}))
    (work / "splits.json").write_text(
        json.dumps({"seed": 3, "test": list(TESTS), "folds": folds, "reference": TRAINS[0]})
    )
    write_models(work)
    for case_id in (*TESTS, *TRAINS):
        write_prepared(work, case_id, fallback=case_id == "BBB-001")
    for case_id in TESTS:
        pred = draw(CT_GRID, *MASKS[case_id][1])
        removed = [{"step": "island", "label": 2, "voxels": 2, "volume_ml": 0.09, "reason": "smaller than 0.2 ml"}]
        record = {"models": ["fold_0/best.pt", "fold_1/best.pt"], "removed": removed if case_id == "AAA-002" else []}
        write_image(work / "predictions" / f"{case_id}.nii.gz", pred, CT_GRID)
        (work / "predictions" / f"{case_id}.json").write_text(json.dumps(record))
        threshold = draw(CT_GRID, [(N, 12)], [(P, 10)])
        write_image(work / "baselines" / "threshold" / f"{case_id}.nii.gz", threshold, CT_GRID)
        write_image(work / "baselines" / "empty" / f"{case_id}.nii.gz", empty_baseline(CT_GRID.shape), CT_GRID)
    return work


def write_external(work: Path) -> tuple[Path, Path]:
    """A cohort of two other centers beside a run, and its masks as ``hnseg predict WORK DATA --out OUT`` leaves them.

    Returns:
        Folder of the masks, and root of the cohort.
    """
    out, root = work.parent / "external", work.parent / "external-data"
    models = {}
    for fold in (0, 1):
        model = work / "models" / f"fold_{fold}" / "best.pt"
        model.write_bytes(f"weights of fold {fold}".encode())
        models[f"models/fold_{fold}/best.pt"] = hash_file(model)
    for case_id, like in zip(EXTERNAL, TESTS, strict=True):
        row = write_case(root / "Task 1", case_id)
        mask = out / f"{case_id}.nii.gz"
        write_image(mask, draw(CT_GRID, *MASKS[like][1]), CT_GRID)
        key = case_key(Case(case_id, Path(row["ct"]), Path(row["pet"]), None), {"models": models}, label=False)
        fallback = case_id == EXTERNAL[2]
        ArtifactCache(out / f"{case_id}.json", key, {"mask": mask}).save(
            {
                "removed": [],
                "center": row["center"],
                "crop": {"method": "head", "confidence": 0.9, "reason": "no brain in view", "fallback": fallback},
                "harmonization": {"method": "spectrum-swap", "soft_tissue_mean_abs_hu": 12.0},
            }
        )
    return out, root


def copy_workdir(template: Path, work: Path) -> Path:
    """Copy a work directory; paths point into the copy."""
    shutil.copytree(template, work)
    for path in work.glob("*.json"):
        path.write_text(path.read_text().replace(str(template), str(work)))
    return work


@pytest.fixture(scope="session")
def _workdir_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_workdir(tmp_path_factory.mktemp("template") / "work")


@pytest.fixture
def small_workdir(_workdir_template: Path, tmp_path: Path) -> Path:
    """A fresh copy of a finished run's files, up to the predictions."""
    return copy_workdir(_workdir_template, tmp_path / "work")


@pytest.fixture
def edit_json() -> Callable[[Path, Callable[[dict], None]], None]:
    """Change a JSON file in place."""

    def edit(path: Path, change: Callable[[dict], None]) -> None:
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    return edit
