"""Plan of a training: what fits on a device and how long it takes, estimated before it begins.

The network's activations and its time grow in proportion to the voxels of a batch, so one small patch is measured and
the others are computed from it: bytes that autograd keeps for the backward pass (counted by torch's own hooks, on any
device), and seconds of a whole step. What is computed and not measured is marked as such.
"""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from hnseg.cohort.labels import NUM_CLASSES
from hnseg.errors import WorkDirError
from hnseg.models.device import open_device
from hnseg.models.memory import free_memory_bytes
from hnseg.models.network import CHANNELS, make_network, stride
from hnseg.parallel import GB
from hnseg.preprocessing.prepared_cohort import open_cohort
from hnseg.settings.config import Config
from hnseg.settings.train import TrainConfig
from hnseg.training.dataset import fits_in_cache
from hnseg.training.losses import SummedDiceCELoss
from hnseg.training.optimizer import make_optimizer
from hnseg.workdir import load_config

if TYPE_CHECKING:
    from lightning_fabric import Fabric

HEADROOM = 1.25  # what the allocator and the workspaces of the convolutions need on top of what autograd keeps
USABLE = 0.9  # of the free memory
LONGEST = {"cpu": 48, "cuda": 128}  # longest edge of the measured patch, in voxels
REPEATS = 3
PRECISIONS = ("32-true", "bf16-mixed")


@dataclass(frozen=True)
class CohortSize:
    """The prepared cases of a run.

    Attributes:
        cases: How many there are.
        training_cases: Training cases of the largest fold.
        largest_zyx: Longest axes of any of them, in voxels.
        decoded_gb: Size of all images in memory.
        cached: Whether training keeps the cases decoded in memory.
    """

    cases: int
    training_cases: int
    largest_zyx: tuple[int, int, int]
    decoded_gb: float
    cached: bool


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


@dataclass(frozen=True)
class TrainingPlan:
    """What fits on a device.

    Attributes:
        device: The device.
        free_gb: Its free memory.
        cohort: The prepared cases.
        options: Ways to train.
        wanted: The run's own settings.
    """

    device: str
    free_gb: float
    cohort: CohortSize
    options: tuple[TrainingOption, ...]
    wanted: TrainingOption

    @property
    def recommended(self) -> TrainingOption | None:
        """The largest patch that fits, in the precision that is quickest for it; None where nothing fits."""
        fitting = [option for option in self.options if option.fits]
        return max(fitting, key=lambda o: (math.prod(o.patch_vox) * o.batch_size, -o.seconds_per_step), default=None)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        best = self.recommended
        return {**asdict(self), "recommended": None if best is None else asdict(best)}


def make_plan(work: Path, *, device: str = "auto") -> TrainingPlan:
    """Measure a small step on a device, and compute what the run's training and other settings would cost there.

    Args:
        work: With prepared cases.
        device: See :func:`hnseg.models.device.open_device`.

    Raises:
        CaseError: A case is not prepared, or is out of date.
        WorkDirError: No case can be prepared, or the split does not fit the check.
    """
    config = load_config(work)
    cohort = _read_cohort(work, config)
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
    return TrainingPlan(str(kind), round(free / GB, 2), cohort, tuple(options), wanted)


@dataclass(frozen=True)
class _Cost:
    """What one step of the measured patch costs."""

    voxels: int
    kept_bytes: int
    fixed_bytes: int
    seconds: float


def _read_cohort(work: Path, config: Config) -> CohortSize:
    cohort = open_cohort(work)
    cases = cohort.open_cases(list(cohort.cases))
    if not cases:
        raise WorkDirError(f"{work} holds no prepared case: run `hnseg prepare` first")
    shapes = [case.image.shape[1:] for case in cases]
    size = sum(case.image.nbytes for case in cases)
    longest = tuple(max(shape[axis] for shape in shapes) for axis in range(3))
    largest = max(len(cohort.splits.train_ids(fold)) for fold in range(config.split.folds))
    cached = fits_in_cache(size, config.train.workers)
    return CohortSize(len(cases), largest, (longest[0], longest[1], longest[2]), round(size / GB, 3), cached)


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
    if patch == half:
        return _Cost(math.prod(patch), max(large, 1), fixed, min(times, default=first))
    per_voxel = (large - small) / (math.prod(patch) - math.prod(half))
    kept = int(per_voxel * math.prod(patch))
    return _Cost(math.prod(patch), max(kept, 1), fixed + max(0, large - kept), min(times, default=first))


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
