"""nnU-Net's part of ``five_fold.py``; runs in nnU-Net's own environment and knows nothing of hnseg.

    python five_fold_nnunet.py plan --small
    python five_fold_nnunet.py train --splits SPLITS --fold 0 --cpu-seconds 120 --seed 0 --out MASKS --record FOLD.json

The folders come from ``nnUNet_raw``, ``nnUNet_preprocessed`` and ``nnUNet_results`` as usual. Changed against nnU-Net
v2 as released: the length of the training is a budget of CPU seconds, counted from the start of the process, and the
polynomial decay of the learning rate runs along it; there is no online validation, no checkpoint and no progress
figure in between; augmentation happens in the training process. Network, loss, optimizer, augmentation, oversampling,
sliding window and mirroring at test time are nnU-Net's own. ``--small`` changes the plan: see :func:`shrink`.
``--bf16`` trains in bfloat16, which nnU-Net as released never does on a CPU.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from nnunetv2.experiment_planning.plan_and_preprocess_api import extract_fingerprints, plan_experiments, preprocess
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

DATASET_ID, DATASET = 1, "Dataset001_HeadNeck"
PLANS, CONFIGURATION = "nnUNetPlans", "3d_fullres"
PATCH, FEATURES = (48, 48, 48), (8, 16, 32, 64)


def cpu_seconds() -> float:
    """CPU time of this process and the processes it has ended, since its start."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def shrink(configuration: dict[str, Any]) -> None:
    """Make a plan as small as hnseg's demo preset: its patch, and four stages of 8 to 64 features.

    nnU-Net's own plan (32 to 320 features on the whole crop) makes too few steps on a CPU to learn anything.
    """
    stages = len(FEATURES)
    architecture = configuration["architecture"]["arch_kwargs"]
    architecture["n_stages"] = stages
    architecture["features_per_stage"] = list(FEATURES)
    architecture["kernel_sizes"] = [[3, 3, 3]] * stages
    architecture["strides"] = [[1, 1, 1]] + [[2, 2, 2]] * (stages - 1)
    architecture["n_conv_per_stage"] = [2] * stages
    architecture["n_conv_per_stage_decoder"] = [2] * (stages - 1)
    configuration["patch_size"] = list(PATCH)
    configuration["batch_size"] = 2


def plan(small: bool) -> None:
    """Fingerprint, plan and preprocess the data set."""
    # The planner takes this for its number of threads, and training's 0 is no such number.
    os.environ["nnUNet_n_proc_DA"] = "1"  # noqa: SIM112 - nnU-Net's own spelling
    extract_fingerprints([DATASET_ID], num_processes=1, check_dataset_integrity=False)
    plan_experiments([DATASET_ID])
    path = folder("nnUNet_preprocessed") / DATASET / f"{PLANS}.json"
    plans = json.loads(path.read_text())
    if small:
        shrink(plans["configurations"][CONFIGURATION])
        path.write_text(json.dumps(plans, indent=1))
    preprocess([DATASET_ID], PLANS, configurations=[CONFIGURATION], num_processes=[1])


class BudgetTrainer(nnUNetTrainer):
    """nnU-Net's trainer, for so many CPU seconds."""

    budget_s = 0.0
    bf16 = False
    splits: Any = None

    def do_split(self) -> tuple[list[str], list[str]]:
        """Cases to train on and to validate on."""
        fold = self.splits[self.fold]
        return fold["train"], fold["val"]

    def plot_network_architecture(self) -> None:
        """No picture."""

    def train_step(self, batch: dict[str, Any]) -> dict[str, Any]:
        """nnU-Net's step, with the learning rate of the moment."""
        left = max(1 - cpu_seconds() / self.budget_s, 0.0)
        for group in self.optimizer.param_groups:
            group["lr"] = self.initial_lr * left**0.9
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.bf16):
            return super().train_step(batch)

    def run_training(self) -> list[float]:
        """Train until the budget is spent; returns the loss of every step."""
        self.on_train_start()
        self.on_train_epoch_start()
        losses = []
        while cpu_seconds() < self.budget_s:
            losses.append(float(self.train_step(next(self.dataloader_train))["loss"]))
        return losses


def train(args: argparse.Namespace) -> None:
    """Train a fold, predict its validation cases, and say what it took."""
    started = time.perf_counter()
    torch.set_num_threads(1)
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(args.seed * 1000 + args.fold)
    home = folder("nnUNet_preprocessed") / DATASET
    plans = json.loads((home / f"{PLANS}.json").read_text())
    plans["continue_training"] = False
    description = json.loads((folder("nnUNet_raw") / DATASET / "dataset.json").read_text())
    BudgetTrainer.budget_s = args.cpu_seconds
    BudgetTrainer.bf16 = args.bf16
    BudgetTrainer.splits = json.loads(args.splits.read_text())
    trainer = BudgetTrainer(plans, CONFIGURATION, args.fold, description, torch.device("cpu"))
    losses = trainer.run_training()
    record = {
        "wall_s": round(time.perf_counter() - started, 1),
        "cpu_s": round(cpu_seconds(), 1),
        "steps": len(losses),
        "batch": trainer.batch_size,
        "parameters": sum(p.numel() for p in trainer.network.parameters()),
        "loss_first_tenth": float(np.mean(losses[: max(len(losses) // 10, 1)])),
        "loss_last_tenth": float(np.mean(losses[-max(len(losses) // 10, 1) :])),
    }
    predict(trainer, BudgetTrainer.splits[args.fold]["val"], args.out)
    args.record.write_text(json.dumps(record, indent=1))


def predict(trainer: BudgetTrainer, cases: list[str], out: Path) -> None:
    """Class probabilities of cases, (3, z, y, x) on the grid of their images."""
    trainer.set_deep_supervision_enabled(False)
    trainer.network.eval()
    predictor = nnUNetPredictor(device=torch.device("cpu"), allow_tqdm=False)
    predictor.manual_initialization(
        trainer.network,
        trainer.plans_manager,
        trainer.configuration_manager,
        [trainer.network.state_dict()],
        trainer.dataset_json,
        type(trainer).__name__,
        trainer.inference_allowed_mirroring_axes,
    )
    images = folder("nnUNet_raw") / DATASET / "imagesTr"
    for case in cases:
        image, properties = SimpleITKIO().read_images([str(images / f"{case}_000{c}.nii.gz") for c in (0, 1)])
        _, probabilities = predictor.predict_single_npy_array(image, properties, save_or_return_probabilities=True)
        np.savez_compressed(out / f"{case}.npz", probabilities=probabilities.astype(np.float16))


def folder(name: str) -> Path:
    """A folder that nnU-Net reads from the environment."""
    return Path(os.environ[name])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("plan").add_argument("--small", action="store_true")
    trained = commands.add_parser("train")
    for name, kind in (
        ("splits", Path),
        ("fold", int),
        ("cpu-seconds", float),
        ("seed", int),
        ("out", Path),
        ("record", Path),
    ):
        trained.add_argument(f"--{name}", type=kind, required=True)
    trained.add_argument("--bf16", action="store_true")
    chosen = parser.parse_args()
    if chosen.command == "plan":
        plan(chosen.small)
    else:
        train(chosen)
