"""Five-fold cross-validation of hnseg beside nnU-Net v2, on the same cases, folds and crops, for the same CPU time.

    python -m venv NNUNET && NNUNET/bin/pip install -c constraints.txt nnunetv2
    python benchmarks/five_fold.py OUT --nnunet NNUNET/bin/python [--cohorts generated semireal] [--seeds 0 1]

Two cohorts: the generated one of the demo (40 cases, four centers) and the semi-real one (28 real CTs,
``semireal_cohort.py``; left out with a message where the real CTs are not). A seed decides the folds and the training.

Both sides get the crop of the demo preset (200 x 200 x 310 mm at 200/48 mm): hnseg prepares it as always, nnU-Net
gets CT in HU and PET in SUV on that grid and normalizes by itself. A fold is trained by hnseg first, on one thread, for
the given number of epochs; its CPU time is nnU-Net's budget for that fold, also on one thread. ``--jobs`` folds run at
once: one a core, or the wall-clock times mean nothing. Both keep the weights of the last step, so nothing is picked on
validation cases. Probabilities of both go the same way back to the CT's grid, and hnseg evaluate scores them there,
with and without hnseg's post-processing.

Everything is kept in OUT, and a run that was stopped continues. Ends with a table, also in OUT/five_fold.json.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from semireal_cohort import build_cohort

from hnseg.check.check_cohort import check_cohort
from hnseg.cohort.cases import Case
from hnseg.cohort.checked_cohort import load_check
from hnseg.cohort.open_run import open_run
from hnseg.cohort.reference import choose_reference
from hnseg.cohort.splits import load_splits, make_splits, save_splits
from hnseg.errors import CohortError
from hnseg.evaluation.compare import compare, read_scores
from hnseg.evaluation.evaluate import ReferenceLabels, evaluate_folder
from hnseg.images.image_io import write_image
from hnseg.inference.baselines import threshold_baseline
from hnseg.inference.out_of_fold import FOLDER, postprocess_out_of_fold, predict_out_of_fold
from hnseg.inference.postprocess import postprocess_label
from hnseg.inference.restore import restore_label, restore_probabilities
from hnseg.parallel import map_processes
from hnseg.phantom import generate_cohort
from hnseg.preprocessing.crop.find_box import brain_in_box
from hnseg.preprocessing.prepare_case import crop_case
from hnseg.preprocessing.prepare_cohort import prepare_cohort
from hnseg.preprocessing.prepared_case import open_case
from hnseg.provenance import provenance
from hnseg.settings.config import Config
from hnseg.settings.split import SplitConfig
from hnseg.workdir import load_config, write_json

HERE = Path(__file__).parent
FOLDS = 5
SCORES = {"gtvp_dice_mean": "GTVp Dice", "gtvn_dice_agg": "GTVn aggregated Dice", "gtvn_f1_agg": "GTVn F1"}
SYSTEMS = {
    "hnseg": "hnseg",
    "hnseg_raw": "hnseg, no post-processing",
    "nnunet": "nnU-Net v2, hnseg's post-processing",
    "nnunet_raw": "nnU-Net v2",
    "threshold": "everything above SUV 4 but the brain",
}
# One thread each; the rest keeps freed memory with the process, for both (see the Makefile).
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "MALLOC_TRIM_THRESHOLD_": "1073741824",
    "MALLOC_MMAP_THRESHOLD_": "1073741824",
    "nnUNet_n_proc_DA": "0",
    "nnUNet_compile": "f",
}


def make_data(name: str, root: Path, jobs: int) -> None:
    """The cohort's files."""
    if name == "semireal":
        build_cohort(root, seed=0, jobs=jobs)
    else:
        generate_cohort(root, seed=0, cases_per_center=10, jobs=jobs)


def settings(seed: int, epochs: int) -> Config:
    """The demo preset without a test set; validation only after the last epoch."""
    preset = Config.from_preset("demo", seed=seed, folds=FOLDS)
    train = preset.train.model_copy(update={"epochs": epochs, "validate_every": epochs})
    return preset.model_copy(update={"split": SplitConfig(folds=FOLDS, test_fraction=0.0), "train": train})


def prepare_run(data: Path, work: Path, config: Config, jobs: int) -> None:
    """hnseg's work directory up to the prepared cases."""
    open_run(work, config, data, resume=True)
    if not (work / "check.json").is_file():
        check_cohort(data, config.prepare, work=work, jobs=jobs)
    if not (work / "splits.json").is_file():
        check = load_check(work)
        reference = choose_reference(config.prepare, check, work)
        save_splits(make_splits(check.cases, config.split, config.seed, reference=reference), work)
    failures = prepare_cohort(work, jobs=jobs)
    if failures:
        raise CohortError(f"{len(failures)} cases of {data} cannot be prepared: {failures[0]}")


def export_crops(work: Path, home: Path, jobs: int) -> None:
    """The crops as an nnU-Net data set: CT in HU, PET in SUV, label."""
    raw = home / "nnUNet_raw" / "Dataset001_HeadNeck"
    if (raw / "dataset.json").is_file():
        return
    config = load_config(work).prepare

    def export(case: Case) -> None:
        cropped = crop_case(case, config)
        grid = cropped.crop.grid
        write_image(raw / "imagesTr" / f"{case.id}_0000.nii.gz", cropped.ct_hu, grid)
        write_image(raw / "imagesTr" / f"{case.id}_0001.nii.gz", cropped.pet_suv, grid)
        write_image(raw / "labelsTr" / f"{case.id}.nii.gz", cropped.label, grid)

    cases = [checked.as_case() for checked in load_check(work).cases]
    list(map_processes(export, cases, jobs))
    labels = {"background": 0, "GTVp": 1, "GTVn": 2}
    content = {"channel_names": {"0": "CT", "1": "PET"}, "labels": labels, "numTraining": len(cases)}
    write_json(raw / "dataset.json", {**content, "file_ending": ".nii.gz"})


class NnUnet:
    """nnU-Net in its own environment: its interpreter and its folders."""

    def __init__(self, python: Path, home: Path, plan: str, bf16: bool) -> None:
        self.python, self.home, self.plan, self.bf16 = python, home, plan, bf16
        self.name = f"nnunet_{plan}{'_bf16' if bf16 else ''}"
        self.environment = {
            name: str(home / (name if name == "nnUNet_raw" else f"{name}_{plan}"))
            for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")
        }

    def run(self, *arguments: str) -> None:
        """Call ``five_fold_nnunet.py``; its output goes to a log file."""
        self.home.mkdir(parents=True, exist_ok=True)
        with (self.home / f"log_{self.plan}.txt").open("a") as log:
            subprocess.run(
                [str(self.python), str(HERE / "five_fold_nnunet.py"), *arguments],
                env={**os.environ, **ENVIRONMENT, **self.environment},
                stdout=log,
                stderr=subprocess.STDOUT,
                check=True,
            )

    def prepare(self) -> None:
        """Plan and preprocess, once."""
        done = self.home / f"planned_{self.plan}"
        if not done.is_file():
            self.run("plan", *(["--small"] if self.plan == "small" else []))
            done.touch()


def train_pair(work: Path, home: Path, fold: int, nnunet: NnUnet | None) -> None:
    """Train a fold with hnseg, then with nnU-Net for as long; ``fold_<k>.json`` of each is written last."""
    ours = home / f"hnseg_fold_{fold}.json"
    if not ours.is_file():
        subprocess.run(
            [sys.executable, str(HERE / "five_fold_hnseg.py"), str(work), str(fold), str(ours)],
            env={**os.environ, **ENVIRONMENT},
            check=True,
        )
    if nnunet is None:
        return
    theirs = home / f"{nnunet.name}_fold_{fold}.json"
    if not theirs.is_file():
        masks = home / nnunet.name
        masks.mkdir(parents=True, exist_ok=True)
        budget = json.loads(ours.read_text(encoding="utf-8"))["cpu_s"]
        seed = load_config(work).seed
        values = {"splits": home / "splits_nnunet.json", "fold": fold, "cpu-seconds": budget, "seed": seed}
        flags = [part for k, v in {**values, "out": masks, "record": theirs}.items() for part in (f"--{k}", str(v))]
        nnunet.run("train", *flags, *(["--bf16"] if nnunet.bf16 else []))


def restore_masks(work: Path, masks: Path) -> None:
    """nnU-Net's probabilities back on the CT's grid, and the same after hnseg's post-processing."""
    predict = load_config(work).predict
    for path in sorted(masks.glob("*.npz")):
        case = open_case(work / "prepared" / path.stem)
        ct_grid = case.record.ct_grid
        raw = restore_probabilities(np.load(path)["probabilities"], case.record.crop_grid, ct_grid)
        write_image(masks / "raw" / f"{path.stem}.nii.gz", raw, ct_grid)
        kept, _ = postprocess_label(raw, ct_grid.spacing_zyx_mm, predict)
        write_image(masks / "post" / f"{path.stem}.nii.gz", kept, ct_grid)


def threshold_masks(work: Path, home: Path, case_ids: list[str]) -> None:
    """The baseline that a model has to beat, as ``hnseg predict`` makes it for test cases."""
    cases = {checked.id: checked.as_case() for checked in load_check(work).cases}
    config = load_config(work).prepare
    for case_id in case_ids:
        cropped = crop_case(cases[case_id], config)
        grid = cropped.crop.grid
        brain = None if cropped.crop.fallback else brain_in_box(cropped.pet_suv)
        marked = threshold_baseline(cropped.pet_suv, brain=brain, voxel_ml=grid.voxel_ml, threshold_suv=4.0)
        write_image(
            home / "threshold" / f"{case_id}.nii.gz", restore_label(marked, grid, cropped.ct_grid), cropped.ct_grid
        )


def score(work: Path, home: Path, folders: Mapping[str, Path], case_ids: list[str], jobs: int) -> dict[str, Any]:
    """Every system's out-of-fold scores, and hnseg against nnU-Net case by case."""
    cases = {checked.id: checked for checked in load_check(work).cases}
    labels = {case_id: Path(str(cases[case_id].label)) for case_id in case_ids}
    truths = ReferenceLabels(labels, {case_id: cases[case_id].center for case_id in case_ids})
    metrics = {name: evaluate_folder(folder, truths, jobs=jobs) for name, folder in folders.items()}
    for name, content in metrics.items():
        write_json(home / f"metrics_{name}.json", content.as_dict())
    result: dict[str, Any] = {
        name: {key: {"value": content[key], "interval": content.bootstrap.intervals[key]} for key in SCORES}
        for name, content in metrics.items()
    }
    for ours, theirs in (("hnseg", "nnunet"), ("hnseg_raw", "nnunet_raw")):
        if theirs in metrics:
            paired = compare(read_scores(metrics[theirs], "nnU-Net"), read_scores(metrics[ours], "hnseg"))
            rows = {key: paired.scores[key] for key in SCORES}
            result[f"{ours}_minus_{theirs}"] = {
                key: {"difference": row.difference, "interval": row.interval, "p": row.p} for key, row in rows.items()
            }
    return result


def run_seed(cohort: Path, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """One cross-validation of both sides."""
    home = cohort / f"seed_{seed}"
    work = home / "run"
    prepare_run(cohort / "data", work, settings(seed, args.epochs), args.jobs)
    splits = load_splits(work)
    nnunet = None
    if args.nnunet is not None:
        nnunet = NnUnet(args.nnunet, cohort / "nnunet", args.plan, args.nnunet_bf16)
        export_crops(work, nnunet.home, args.jobs)
        nnunet.prepare()
        folds = [{"train": splits.train_ids(k), "val": list(ids)} for k, ids in enumerate(splits.folds)]
        (home / "splits_nnunet.json").write_text(json.dumps(folds), encoding="utf-8")
    with ThreadPoolExecutor(args.jobs) as pool:
        list(pool.map(lambda fold: train_pair(work, home, fold, nnunet), range(FOLDS)))
    cases = predict_out_of_fold(work, device="cpu")
    postprocess_out_of_fold(work, cases)
    threshold_masks(work, home, cases)
    ours = {"hnseg": work / FOLDER, "hnseg_raw": work / FOLDER / "raw", "threshold": home / "threshold"}
    theirs = {}
    if nnunet is not None:
        masks = home / nnunet.name
        restore_masks(work, masks)
        theirs = {"nnunet": masks / "post", "nnunet_raw": masks / "raw"}
    kinds = ["hnseg", *([nnunet.name] if nnunet is not None else [])]
    training = {
        kind: [json.loads((home / f"{kind}_fold_{k}.json").read_text(encoding="utf-8")) for k in range(FOLDS)]
        for kind in kinds
    }
    scores = score(work, home, {**ours, **theirs}, cases, args.jobs)
    return {"cases": len(cases), "scores": scores, "training": training}


def show(results: Mapping[str, Mapping[str, Any]]) -> None:
    """Print one table a cohort and seed."""
    for name, result in results.items():
        print(f"\n{name}: {result['cases']} cases out of fold, 95 % intervals over cases")
        print(f"{'':<38}" + "".join(f"{title:>26}" for title in SCORES.values()))
        for system, title in SYSTEMS.items():
            if system in result["scores"]:
                print(f"{title:<38}" + "".join(f"{_told(result['scores'][system][key]):>26}" for key in SCORES))
        for pair in ("hnseg_minus_nnunet", "hnseg_raw_minus_nnunet_raw"):
            if pair in result["scores"]:
                rows = result["scores"][pair]
                cells = (f"{_told(rows[k], 'difference', '+')} p {rows[k]['p']:.3g}" for k in SCORES)
                print(f"{pair.replace('_', ' '):<38}" + "".join(f"{cell:>26}" for cell in cells))
        for kind, folds in result["training"].items():
            cpu, wall = (np.array([fold[key] for fold in folds]) for key in ("cpu_s", "wall_s"))
            steps = [fold.get("steps", fold.get("epochs")) for fold in folds]
            unit = "steps" if "steps" in folds[0] else "epochs"
            print(f"{kind}: {cpu.mean():.0f} s CPU, {wall.mean():.0f} s wall a fold, {unit} {steps}")


def _told(row: Mapping[str, Any], key: str = "value", sign: str = "") -> str:
    if row[key] is None:
        return "undefined"
    bounds = row["interval"]
    between = f" [{bounds[0]:{sign}.2f}, {bounds[1]:{sign}.2f}]" if bounds else ""
    return f"{row[key]:{sign}.3f}{between}"


def main() -> None:
    """Run what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--nnunet", type=Path, help="Python of an environment with nnunetv2; without it hnseg alone")
    parser.add_argument(
        "--plan", choices=("small", "own"), default="small", help="nnU-Net's plan, see five_fold_nnunet"
    )
    parser.add_argument("--nnunet-bf16", action="store_true", help="train nnU-Net in bfloat16, as hnseg trains here")
    parser.add_argument("--cohorts", nargs="+", choices=("generated", "semireal"), default=["generated", "semireal"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--epochs", type=int, default=12, help="of hnseg; they set the time of both")
    parser.add_argument("--jobs", type=int, default=2, help="folds trained at once, one thread each")
    args = parser.parse_args()
    table = args.out / "five_fold.json"
    results = json.loads(table.read_text(encoding="utf-8"))["results"] if table.is_file() else {}
    for name in args.cohorts:
        try:
            make_data(name, args.out / name / "data", args.jobs)
        except CohortError as error:
            print(f"{name}: left out: {error}", file=sys.stderr)
            continue
        for seed in args.seeds:
            against = ", nnU-Net in bfloat16" if args.nnunet_bf16 else ""
            results[f"{name}, seed {seed}{against}"] = run_seed(args.out / name, seed, args)
            write_json(table, {"results": results, "provenance": provenance()})
    show(results)


if __name__ == "__main__":
    main()
