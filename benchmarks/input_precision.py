"""What rounding the network's input to bfloat16 loses, and what keeping it exact changes and costs.

    python benchmarks/input_precision.py            # two cores; trains the demo's network for two minutes
    python benchmarks/input_precision.py --quick    # random weights only

* levels: the values that CT between 0 and 100 HU takes as stored (float16) and as the first convolution sees it, and
  the PET z-score from which on all values are one;
* logits: the difference from float32 of the same weights, over the validation cases of a generated cohort, with random
  weights and after a short training: the input rounded as autocast does; exact, with the result of the first
  convolution rounded; and exact, with a result in float32, as hnseg computes it;
* cost: time of a training step and bytes that autograd keeps for the backward pass, rounded and exact in turns.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from hnseg import (
    Config,
    TrainConfig,
    check_cohort,
    choose_reference,
    generate_cohort,
    load_config,
    load_splits,
    make_splits,
    open_device,
    open_run,
    prepare_cohort,
    save_splits,
    train_folds,
)
from hnseg.inference.sliding_window import predict_logits
from hnseg.models.channels_last import ChannelsLastInstanceNorm3d
from hnseg.models.checkpoint import load_checkpoint
from hnseg.models.exact_input import ExactConv3d, RoundingInstanceNorm3d
from hnseg.models.network import make_network
from hnseg.preprocessing.normalize import normalize_ct
from hnseg.preprocessing.prepared_case import open_case
from hnseg.training.losses import SummedDiceCELoss
from hnseg.training.optimizer import make_optimizer

PRECISION = "bf16-mixed"
EPOCHS = 24
ROUNDS = 7
SIZES = {"demo": 48, "paper": 64}  # edge of the patch by preset


class RoundedOutput(ExactConv3d):
    """Exact input, and a result in half precision."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Convolve, then round."""
        return super().forward(input).to(torch.bfloat16)


@dataclass(frozen=True)
class Way:
    """How the network begins: its first convolution and its first normalization."""

    first: type[torch.nn.Conv3d]
    norm: type[torch.nn.InstanceNorm3d]


WAYS = {
    "input rounded": Way(torch.nn.Conv3d, ChannelsLastInstanceNorm3d),
    "exact, its result rounded": Way(RoundedOutput, ChannelsLastInstanceNorm3d),
    "exact, normalized in float32": Way(ExactConv3d, ChannelsLastInstanceNorm3d),
    "exact, as hnseg": Way(ExactConv3d, RoundingInstanceNorm3d),
}
HNSEG = "exact, as hnseg"


def make_variant(train: TrainConfig, way: Way) -> torch.nn.Module:
    """The network with another beginning, the same weights in each."""
    torch.manual_seed(0)
    network = make_network(train)
    network.encoder.conv_init.__class__ = way.first
    network.encoder.layers[0]["blocks"][0].norm1.__class__ = way.norm
    return network


def show_levels() -> None:
    """Print what is left of CT and PET."""
    hu = np.linspace(0, 100, 100_001)
    stored = torch.from_numpy(normalize_ct(hu, (-250.0, 250.0))).half()
    z = np.linspace(0, 12, 120_001).astype(np.float32)
    pet = torch.from_numpy(1 / (1 + np.exp(-z)))
    for name, see in (("float32", torch.Tensor.float), ("float16, stored", torch.Tensor.half)):
        report_levels(name, see(torch.from_numpy(normalize_ct(hu, (-250.0, 250.0)))), see(pet), z)
    report_levels("bfloat16, rounded", stored.bfloat16(), pet.half().bfloat16(), z)
    window = torch.from_numpy(normalize_ct(np.linspace(-250, 250, 500_001), (-250.0, 250.0))).half().bfloat16()
    print(f"{'bfloat16, whole window':<30}{len(window.unique()):>8} values of CT from -250 to 250 HU")


def report_levels(name: str, ct: torch.Tensor, pet: torch.Tensor, z: np.ndarray) -> None:
    """One line: values of CT, mean step, and where PET saturates."""
    count = len(ct.unique())
    step = f", a step of {100 / count:.1f} HU" if count < 1000 else ""
    ones = np.flatnonzero(pet.float().numpy() >= 1)
    full = f"PET is 1 from z = {z[ones[0]]:.1f}" if ones.size else "PET is below 1 up to z = 12"
    print(f"{name:<30}{count:>8} values of CT from 0 to 100 HU{step}; {full}")


def make_run(folder: Path) -> Path:
    """Eight generated cases, prepared as the demo's."""
    config = Config.from_preset("demo", folds=2)
    train = config.train.model_copy(update={"epochs": EPOCHS, "validate_every": EPOCHS, "precision": PRECISION})
    config = config.model_copy(update={"train": train})
    generate_cohort(folder / "cohort", seed=5, cases_per_center=2, pixel_mm=2.0)
    work = folder / "run"
    open_run(work, config, folder / "cohort", resume=False)
    check = check_cohort(folder / "cohort", config.prepare, work=work)
    reference = choose_reference(config.prepare, check, work)
    save_splits(make_splits(check.cases, config.split, config.seed, reference=reference), work)
    prepare_cohort(work)
    return work


def compare_logits(work: Path, weights: dict[str, torch.Tensor] | None, title: str) -> None:
    """Print the difference from float32 of every variant, over the validation cases of fold 0."""
    config = load_config(work)
    cases = [open_case(work / "prepared" / case_id, "fold_0") for case_id in load_splits(work).folds[0]]
    exact, half = open_device("cpu", "32-true"), open_device("cpu", PRECISION)
    networks = {name: make_variant(config.train, way).eval() for name, way in WAYS.items()}
    print(f"\n{title}: {len(cases)} validation cases, difference from float32")
    print(f"{'':<30}{'mean |Δ logit|':>16}{'largest':>10}{'other class':>14}")
    truth = networks[HNSEG]
    for network in networks.values():
        if weights is not None:
            network.load_state_dict(weights)
    images = [torch.from_numpy(case.image[:]) for case in cases]
    wanted = [predict_logits(truth, image, config.train, config.predict, exact) for image in images]
    for name, network in networks.items():
        found = [predict_logits(network, image, config.train, config.predict, half) for image in images]
        difference = [(a - b).abs() for a, b in zip(found, wanted, strict=True)]
        changed = sum(int((a.argmax(0) != b.argmax(0)).sum()) for a, b in zip(found, wanted, strict=True))
        lesion = sum(int((b.argmax(0) > 0).sum()) for b in wanted)
        print(
            f"{name:<30}{statistics.mean(float(d.mean()) for d in difference):>16.4f}"
            f"{max(float(d.max()) for d in difference):>10.3f}{changed:>8} voxels (of {lesion} lesion)"
        )


def make_step(train: TrainConfig, way: Way, edge: int) -> Callable[[], int]:
    """A training step on random numbers; it returns the bytes that autograd keeps."""
    fabric = open_device("cpu", PRECISION)
    network = make_variant(train, way).train()
    network, optimizer = fabric.setup(network, make_optimizer(network.parameters(), train))
    criterion = SummedDiceCELoss(train.head_weights)
    image = torch.rand(1, 2, edge, edge, edge).contiguous(memory_format=torch.channels_last_3d)
    label = torch.randint(0, 3, (1, 1, edge, edge, edge)).float()

    def step() -> int:
        kept: dict[int, int] = {}

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            loss = criterion(network(image), label)
        fabric.backward(loss)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return sum(kept.values())

    return step


def compare_cost(preset: str, edge: int) -> None:
    """Print CPU time of a step, in turns, and how much more is kept for its backward pass than with a rounded input."""
    train = Config.from_preset(preset).train
    steps = {name: make_step(train, way, edge) for name, way in WAYS.items()}
    kept = {name: step() for name, step in steps.items()}
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _, (name, step) in itertools.product(range(ROUNDS), steps.items()):
        started = time.process_time()
        step()
        times[name].append(time.process_time() - started)
    print(f"\na step of the {preset} network at {edge}³, {PRECISION}, {torch.get_num_threads()} threads")
    base = "input rounded"
    for name in steps:
        ratio = statistics.median(a / b for a, b in zip(times[name], times[base], strict=True))
        print(
            f"{name:<30}{statistics.median(times[name]):>8.3f} s, {ratio:.3f} times;"
            f" {(kept[name] - kept[base]) / edge**3:>+5.0f} bytes a voxel kept"
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Print levels, differences and costs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="without the training")
    args = parser.parse_args(arguments)
    show_levels()
    with tempfile.TemporaryDirectory() as scratch:
        work = make_run(Path(scratch))
        compare_logits(work, None, "random weights")
        if not args.quick:
            train_folds(work, [0], device="cpu")
            best = load_checkpoint(work / "models" / "fold_0" / "best.pt")["network"]
            compare_logits(work, best, f"after {EPOCHS} epochs")
    for preset, edge in SIZES.items():
        compare_cost(preset, edge)


if __name__ == "__main__":
    main()
