"""A training step, bare and in its loop, beside the plain MONAI way of writing it.

    python benchmarks/train_step.py                  # a GPU at full size (192³, bf16), else the CPU at the demo's size
    python benchmarks/train_step.py --device cpu     # the CPU although there is a GPU
    python benchmarks/train_step.py --preset paper --patch 64     # the published network on smaller patches
    python benchmarks/train_step.py --preset paper --peak-of bare  # peak memory of one variant (GB), and nothing else

Five variants take turns, round by round, and medians over the rounds are printed:

* bare: forward, loss, backward and optimizer on one batch that lies on the device already, as hnseg computes it;
* torch-layers: the same step with torch's own convolution and normalization, which a CPU computes more slowly;
* full: the loop of hnseg train, with patches that are read, cut and augmented meanwhile;
* plain MONAI, bare and full: float32, MONAI's memory order, CacheDataset, crops by class and augmentation on the CPU.

"waiting" is the share of the time in which the device has nothing to do because the next batch is not there. Peak
memory is taken in a process of its own for each variant: allocated on a GPU, resident on a CPU. The prepared cases are
noise: they cost what real ones cost to read. The time of the published run is that of its steps in hnseg's loop, and of
the windows of its validations, without scoring. The last line is ``full/bare R``, hnseg's loop over its bare step.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from train_step_variants import VARIANTS, Variant, bare, write_cases

import hnseg.training.dataset
from hnseg.models.device import open_device
from hnseg.models.network import CHANNELS, make_network
from hnseg.parallel import GB
from hnseg.preprocessing.prepared_case import PreparedCase
from hnseg.settings.config import Config
from hnseg.settings.train import TrainConfig
from hnseg.training.validation import validation_windows

CASES = 8
EPOCH_STEPS = 512  # about the 435 patches of the paper's epoch
PAPER_STEPS = 544 * 300  # cases times epochs: the published run, one patch a case
PAPER_VALIDATED = 109 * 60  # a fifth of the cases, every fifth epoch
FULL_GRID_ZYX, DEMO_GRID_ZYX = (310, 200, 200), (75, 48, 48)
PROBE_VOX = 64  # edge of the patch from which the paper's step is computed where it does not fit the time
VARIABLES = {"OMP_NUM_THREADS": str(os.cpu_count()), "OMP_WAIT_POLICY": "PASSIVE"}


@dataclass(frozen=True)
class Taken:
    """What a round took: seconds a step, and the share of them in which the device waited."""

    seconds: float
    waiting: float


class Clock:
    """Begin and end of every step as the device sees them: events on a GPU, else the time of day."""

    def __init__(self, on_gpu: bool) -> None:
        self.on_gpu = on_gpu
        self.marks: list[Any] = []

    def mark(self) -> None:
        """Note the moment at which the device comes by."""
        if not self.on_gpu:
            self.marks.append(time.perf_counter())
            return
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        self.marks.append(event)

    def read(self) -> Taken:
        """From the end of the first step, which is not counted, to the end of the last."""
        if self.on_gpu:
            torch.cuda.synchronize()
            times = [self.marks[0].elapsed_time(mark) / 1000 for mark in self.marks]
        else:
            times = self.marks
        ends, begins = times[1::2], times[2::2]
        total = ends[-1] - ends[0]
        idle = sum(begin - end for begin, end in zip(begins, ends[:-1], strict=True))
        return Taken(total / (len(ends) - 1), idle / total)


def measure(variant: Variant, steps: int, warm: int, on_gpu: bool) -> Taken:
    """Run ``warm`` steps, then time ``steps``."""
    for batch in itertools.islice(variant.batches, warm):
        variant.step(batch)
    clock = Clock(on_gpu)
    for batch in itertools.islice(variant.batches, steps + 1):
        clock.mark()
        variant.step(batch)
        clock.mark()
    return clock.read()


def setting(args: argparse.Namespace) -> tuple[Config, tuple[int, int, int]]:
    """The preset, by default the published recipe on a GPU and the demo's on a CPU; the grid that patches lie in."""
    preset = args.preset or ("paper" if on_gpu(args) else "demo")
    config = Config.from_preset(preset)
    changes: dict[str, Any] = {"patches_per_case": EPOCH_STEPS // CASES}
    if args.patch:
        changes["patch_vox"] = (args.patch,) * 3
    train = TrainConfig.model_validate(config.train.model_dump() | changes)
    grid = FULL_GRID_ZYX if preset == "paper" else DEMO_GRID_ZYX
    return config.model_copy(update={"train": train}), grid


def on_gpu(args: argparse.Namespace) -> bool:
    """Whether a GPU is measured."""
    return bool(args.device.startswith("cuda"))


def make_cases(scratch: Path, grid_zyx: tuple[int, int, int]) -> list[PreparedCase]:
    """Cases on disk; at full size they are read patch by patch, as the published cohort has to be."""
    if grid_zyx == FULL_GRID_ZYX:
        hnseg.training.dataset.CACHE_BYTES = 0
    return write_cases(scratch, CASES, grid_zyx)


def peak_gb(gpu: bool) -> float:
    """Peak memory of this process.

    Linux gives a new process its parent's ``ru_maxrss``, so the peak of its own address space is read where there is
    one to read.
    """
    if gpu:
        return torch.cuda.max_memory_allocated() / GB
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / GB
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return (peak if sys.platform == "darwin" else peak * 1024) / GB


def memory_of(name: str, scratch: Path) -> float:
    """Peak memory of a variant, in a process of its own."""
    command = [sys.executable, __file__, *sys.argv[1:], "--peak-of", name, "--scratch", str(scratch)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"train_step: {name} failed:\n{done.stderr}")
    return float(json.loads(done.stdout.splitlines()[-1]))


def paper_seconds(device: str, cases: list[PreparedCase]) -> float:
    """Seconds of the published recipe's bare step, computed from a smaller patch."""
    paper = Config.from_preset("paper")
    train = paper.train.model_copy(update={"patch_vox": (PROBE_VOX,) * 3, "workers": 0})
    probe = bare(paper.model_copy(update={"train": train}), device, cases)
    return measure(probe, 3, 1, device.startswith("cuda")).seconds * (192 / PROBE_VOX) ** 3


def validation_seconds(device: str) -> float:
    """Seconds that the windows of one case take at the published recipe's validation; on a CPU from a smaller one."""
    paper = Config.from_preset("paper")
    fabric = open_device(device, paper.train.precision)
    network = make_network(paper.train).to(fabric.device).eval()
    tiling = validation_windows(FULL_GRID_ZYX, paper)
    gpu = fabric.device.type == "cuda"
    window = tiling.window if gpu else (PROBE_VOX,) * 3
    image = torch.rand(1, CHANNELS, *window, device=fabric.device).contiguous(memory_format=torch.channels_last_3d)

    def step(_: Any) -> None:
        with torch.inference_mode(), fabric.autocast():
            network(image)

    taken = measure(Variant("a window", itertools.repeat({}), step), 3, 1, gpu)
    return taken.seconds * tiling.count * math.prod(tiling.window) / math.prod(window)


def show(rows: dict[str, dict[str, float]], batch: int) -> None:
    """Print a row a variant."""
    print(f"{'':<24}{'s/step':>10}{'images/s':>10}{'waiting':>10}{'peak GB':>10}")
    for name, row in rows.items():
        speed = batch / row["seconds"]
        print(f"{name:<24}{row['seconds']:>10.4f}{speed:>10.2f}{row['waiting']:>10.1%}{row['peak_gb']:>10.2f}")


def run(args: argparse.Namespace, scratch: Path) -> None:
    """Time all variants and print what came out."""
    config, grid = setting(args)
    cases, train, gpu = make_cases(scratch, grid), config.train, on_gpu(args)
    place = torch.cuda.get_device_name() if gpu else f"CPU, {torch.get_num_threads()} threads"
    print(f"{place}; torch {torch.__version__}; patch {train.patch_vox} of {grid[::-1]}, batch {train.batch_size}, "
          f"{train.filters} filters, {train.workers} loading processes", flush=True)  # fmt: skip
    peaks = {name: memory_of(name, scratch) for name in VARIANTS}
    variants = {name: make(config, args.device, cases) for name, make in VARIANTS.items()}
    taken = take_turns(variants, args, train.workers)
    rows = {
        variants[name].name: {
            "seconds": statistics.median(one.seconds for one in found),
            "waiting": statistics.median(one.waiting for one in found),
            "peak_gb": peaks[name],
        }
        for name, found in taken.items()
    }
    show(rows, train.batch_size)
    loop = ratio(taken, "full", "bare")
    if (train.filters, train.patch_vox) == (32, (192, 192, 192)):
        step, how = statistics.median(one.seconds for one in taken["full"]), "measured"
    else:
        step, how = loop * paper_seconds(args.device, cases), f"computed from a bare step at {PROBE_VOX}³"
    validation = validation_seconds(args.device) * PAPER_VALIDATED
    print(f"the paper's run, {PAPER_STEPS} steps at 192³: {step * PAPER_STEPS / 3600:.1f} h a fold ({how}), "
          f"and {validation / 3600:.1f} h for {PAPER_VALIDATED} cases to validate")  # fmt: skip
    print(f"torch's layers/hnseg, bare step {ratio(taken, 'torch-layers', 'bare'):.2f}")
    print(f"plain/hnseg, bare step {ratio(taken, 'plain-bare', 'bare'):.2f}")
    print(f"plain/hnseg, full loop {ratio(taken, 'plain-full', 'full'):.2f}")
    print(f"full/bare {loop:.2f}")


def take_turns(variants: dict[str, Variant], args: argparse.Namespace, workers: int) -> dict[str, list[Taken]]:
    """Round by round; the first round warms up and does not count."""
    # What the loading processes have made in advance while others had their turn is used up before the clock starts.
    warm = {name: 2 * workers + 2 if name.endswith("full") else 2 for name in variants}
    taken: dict[str, list[Taken]] = {name: [] for name in variants}
    for number in range(args.rounds + 1):
        for name, variant in variants.items():
            found = measure(variant, args.steps, warm[name], on_gpu(args))
            if number:
                taken[name].append(found)
    return taken


def ratio(taken: dict[str, list[Taken]], above: str, below: str) -> float:
    """Median over the rounds of one variant's time over another's."""
    return statistics.median(a.seconds / b.seconds for a, b in zip(taken[above], taken[below], strict=True))


def main() -> None:
    """Parse the command line; with ``--peak-of`` run one variant for its memory alone."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cpu or cuda")
    parser.add_argument("--preset", choices=("paper", "demo"), help="network and grid; paper on a GPU, demo on a CPU")
    parser.add_argument("--patch", type=int, help="edge of the patch in voxels, instead of the preset's")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=16, help="timed steps of a variant in a round")
    parser.add_argument("--peak-of", choices=sorted(VARIANTS), help="only the peak memory of this variant, in GB")
    parser.add_argument("--scratch", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if not set(VARIABLES) <= set(os.environ):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**VARIABLES, **os.environ})
    with tempfile.TemporaryDirectory() as scratch:
        if args.peak_of is None:
            run(args, Path(scratch))
            return
        config, grid = setting(args)
        cases = make_cases(args.scratch or Path(scratch), grid)
        measure(VARIANTS[args.peak_of](config, args.device, cases), 3, 1, on_gpu(args))
        print(json.dumps(peak_gb(on_gpu(args))))


if __name__ == "__main__":
    main()
