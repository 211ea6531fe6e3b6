"""Plan of a training: what fits on a device, what a run needs and how long it takes, estimated before it begins.

The network's activations and its time grow in proportion to the voxels of a batch, so one small patch is measured and
the others are computed from it: bytes that autograd keeps for the backward pass (counted by torch's own hooks, on any
device), seconds of a whole step, and seconds of a prediction. What is computed and not measured is marked as such.
Disk, memory and hours of the whole run follow from that and from the run's prepared cases:
:mod:`hnseg.training.run_needs`.
"""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from hnseg.cohort.labels import NUM_CLASSES
from hnseg.models.device import open_device
from hnseg.models.memory import free_memory_bytes
from hnseg.models.network import CHANNELS, make_network, stride
from hnseg.parallel import GB
from hnseg.preprocessing.prepared_cohort import open_cohort
from hnseg.settings.train import TrainConfig
from hnseg.training.cohort_size import CohortSize, measure_cohort
from hnseg.training.losses import SummedDiceCELoss
from hnseg.training.optimizer import make_optimizer
from hnseg.training.run_needs import RunNeeds, compute_needs
from hnseg.workdir import load_config

if TYPE_CHECKING:
    from lightning_fabric import Fabric

HEADROOM = 1.25  # what the allocator and the workspaces of the convolutions need on top of what autograd keeps
USABLE = 0.9  # of the free memory
LONGEST = {"cpu": 48, "cuda": 128}  # longest edge of the measured patch, in voxels
REPEATS = 3
PRECISIONS = ("32-true", "bf16-mixed")


@dataclass(frozen=True)
class TrainingOption:
    """One way to train, and what it costs; computed from the measured patch.

    Attributes:
        precision: Floating-point precision.
        patch_vox: Size of a patch, (x, y, z).
        batch_size: Patches of a step.
        memory_gb: Peak memory, in 10⁹ bytes, as ``--memory-gb`` takes it.
        seconds_per_step: Time of a step.
        hours_per_fold: Time of all steps, without validation, loading and augmentation.
        fits: Whether the memory is there.
        measured: Whether this is the patch that was measured.
    """

    precision: str
    patch_vox: tuple[int, int, int]
    batch_size: int
    memory_gb: float
    seconds_per_step: float
    hours_per_fold: float
    fits: bool
    measured: bool

    @property
    def settings(self) -> str:
        """The options that set these values, as ``hnseg init`` takes them.

        >>> TrainingOption("bf16-mixed", (128, 128, 96), 1, 9.0, 1.0, 1.0, True, False).settings
        '--set train.patch_vox=128,128,96 --set train.batch_size=1 --set train.precision=bf16-mixed'
        """
        values = {
            "patch_vox": ",".join(map(str, self.patch_vox)),
            "batch_size": self.batch_size,
            "precision": self.precision,
        }
        return " ".join(f"--set train.{name}={value}" for name, value in values.items())


@dataclass(frozen=True)
class TrainingPlan:
    """What fits on a device.

    Attributes:
        device: The device.
        free_gb: Its free memory.
        cohort: The prepared cases.
        options: Ways to train.
        wanted: The run's own settings.
        needs: What the run needs with them.
    """

    device: str
    free_gb: float
    cohort: CohortSize
    options: tuple[TrainingOption, ...]
    wanted: TrainingOption
    needs: RunNeeds

    @property
    def recommended(self) -> TrainingOption | None:
        """The largest patch that fits, in the precision that is quickest for it; None where nothing fits."""
        fitting = [option for option in self.options if option.fits]
        return max(fitting, key=lambda o: (math.prod(o.patch_vox) * o.batch_size, -o.seconds_per_step), default=None)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        best = self.recommended
        settings = {"recommended_settings": None if best is None else best.settings}
        return {**asdict(self), "recommended": None if best is None else asdict(best), **settings}


def make_plan(work: Path, *, device: str = "auto", cases: int | None = None) -> TrainingPlan:
    """Measure a small step on a device, and compute what the run's training and other settings would cost there.

    Args:
        work: With prepared cases.
        device: See :func:`hnseg.models.device.open_device`.
        cases: Extrapolate to so many labeled cases like those of the run; None: the run as it is.

    Raises:
        CaseError: A case is not prepared, or is out of date.
        WorkDirError: No case can be prepared, or the split does not fit the check.
        OptionError: Fewer ``cases`` than two a fold.
    """
    config = load_config(work)
    cohort = measure_cohort(open_cohort(work), config, cases)
    kind = open_device(device, "32-true").device
    free = free_memory_bytes(kind)
    wanted_precision = str(open_device(device, config.train.precision)._precision.precision)
    measured = {
        precision: _measure(config.train, device, precision)
        for precision in dict.fromkeys((*PRECISIONS, wanted_precision))
    }
    steps = cohort.training_cases * config.train.patches_per_case * config.train.epochs
    options = []
    for precision, cost in measured.items():
        for patch in _patches(config.train, cohort.largest_zyx):
            for batch in dict.fromkeys((config.train.batch_size, 1, 2)):
                options.append(_option(cost, precision, patch, batch, steps, free))
    wanted = next(
        o
        for o in options
        if (o.precision, o.patch_vox, o.batch_size)
        == (wanted_precision, config.train.patch_vox, config.train.batch_size)
    )
    cost = measured[wanted_precision]
    needs = compute_needs(cohort, config, cost.seconds / cost.voxels, cost.forward_seconds / cost.voxels)
    return TrainingPlan(str(kind), round(free / GB, 2), cohort, tuple(options), wanted, needs)


@dataclass(frozen=True)
class _Cost:
    """What one step of the measured patch costs."""

    voxels: int
    kept_bytes: int
    fixed_bytes: int
    seconds: float
    forward_seconds: float


def _patches(train: TrainConfig, shape_zyx: tuple[int, int, int]) -> list[tuple[int, int, int]]:
    """The run's patch, and smaller and larger ones of its shape, up to the largest case."""
    multiple, found = stride(train), [train.patch_vox]
    for factor in (1.5, 1.25, 0.83, 0.67, 0.5):
        edges = [max(multiple, round(n * factor / multiple) * multiple) for n in train.patch_vox]
        limit = [-(-n // multiple) * multiple for n in reversed(shape_zyx)]
        x, y, z = (min(edge, most) for edge, most in zip(edges, limit, strict=True))
        found.append((x, y, z))
    return list(dict.fromkeys(found))


def _measure(train: TrainConfig, device: str, precision: str) -> _Cost:
    """Run a few steps on random numbers.

    What autograd keeps is counted for two patches: its slope belongs to the activations, the rest (copies of the
    weights in half precision) to the network.
    """
    fabric = open_device(device, precision)
    multiple = stride(train)
    longest = max(2 * multiple, LONGEST.get(fabric.device.type, 64) // multiple * multiple)
    patch = [min(n, longest) for n in train.patch_zyx]
    half = [max(multiple, patch[0] // 2 // multiple * multiple), *patch[1:]]
    torch.manual_seed(0)
    network = make_network(train)
    fixed = sum(4 * p.numel() * p.element_size() for p in network.parameters())  # weights, gradients, two moments
    optimizer = make_optimizer(network.parameters(), train)
    network, optimizer = fabric.setup(network, optimizer)
    step = _Step(network, optimizer, SummedDiceCELoss(train.head_weights), fabric)
    (small, _), (large, first) = step.run(half), step.run(patch)
    times = [step.run(patch)[1] for _ in range(REPEATS)]
    forward = min(step.predict(patch) for _ in range(REPEATS + 1))
    if patch == half:
        return _Cost(math.prod(patch), max(large, 1), fixed, min(times, default=first), forward)
    per_voxel = (large - small) / (math.prod(patch) - math.prod(half))
    kept = int(per_voxel * math.prod(patch))
    return _Cost(math.prod(patch), max(kept, 1), fixed + max(0, large - kept), min(times, default=first), forward)


@dataclass(frozen=True)
class _Step:
    """One step of the bare network on random numbers."""

    network: torch.nn.Module
    optimizer: torch.optim.Optimizer
    criterion: SummedDiceCELoss
    fabric: Fabric

    def run(self, patch: list[int]) -> tuple[int, float]:
        """Bytes kept for the backward pass, and seconds."""
        device = self.fabric.device
        image = torch.rand(1, CHANNELS, *patch, device=device).contiguous(memory_format=torch.channels_last_3d)
        label = torch.randint(0, NUM_CLASSES, (1, 1, *patch), device=device).float()
        kept: dict[int, int] = {}

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            storage = tensor.untyped_storage()
            kept[storage.data_ptr()] = storage.nbytes()
            return tensor

        started = time.perf_counter()
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            loss = self.criterion(self.network(image), label)
        self.fabric.backward(loss)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        float(loss.detach())  # waits for the device
        return sum(kept.values()), time.perf_counter() - started

    def predict(self, patch: list[int]) -> float:
        """Seconds of a prediction."""
        image = torch.rand(1, CHANNELS, *patch, device=self.fabric.device)
        self.network.eval()
        started = time.perf_counter()
        with torch.inference_mode():
            logits = self.network(image.contiguous(memory_format=torch.channels_last_3d))
        float(logits[0, 0, 0, 0, 0])  # waits for the device
        self.network.train()
        return time.perf_counter() - started


def _option(
    cost: _Cost, precision: str, patch: tuple[int, int, int], batch: int, patches: int, free: int
) -> TrainingOption:
    ratio = math.prod(patch) * batch / cost.voxels
    memory = cost.fixed_bytes + HEADROOM * cost.kept_bytes * ratio
    seconds = cost.seconds * ratio
    return TrainingOption(
        precision,
        patch,
        batch,
        round(memory / GB, 2),
        round(seconds, 4),
        round(seconds * patches / batch / 3600, 3),
        memory <= USABLE * free,
        math.prod(patch) * batch == cost.voxels,
    )
