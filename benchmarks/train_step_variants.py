"""What ``train_step.py`` times: hnseg's step bare, with torch's layers and in its loop, and the plain MONAI way."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from monai.data import CacheDataset
from monai.data import DataLoader as MonaiLoader
from monai.losses import DeepSupervisionLoss, DiceCELoss
from monai.transforms import Compose, RandCropByLabelClassesd
from scipy import ndimage

from hnseg.cohort.labels import NUM_CLASSES
from hnseg.images.geometry import Grid
from hnseg.models import channels_last, exact_input
from hnseg.models.device import open_device
from hnseg.models.network import CHANNELS, make_network
from hnseg.preprocessing.crop.box import Crop
from hnseg.preprocessing.harmonization import HarmonizationRecord
from hnseg.preprocessing.prepared_case import CaseRecord, NormalizationRecord, PreparedCase, open_case, write_case
from hnseg.settings.config import Config
from hnseg.settings.train import TrainConfig
from hnseg.training.augmentation import Augmentation
from hnseg.training.state import TrainingState, setup_fold
from hnseg.training.step import train_step

Batch = dict[str, Any]


@dataclass(frozen=True)
class Variant:
    """Something to time: where batches come from, and what is done with one."""

    name: str
    batches: Iterator[Batch]
    step: Callable[[Batch], Any]


def write_cases(folder: Path, count: int, shape_zyx: tuple[int, int, int]) -> list[PreparedCase]:
    """Prepared cases of noise around smooth shapes, with a primary and two nodes; what is in them is not learned."""
    rng = np.random.default_rng(0)
    cases = []
    for number in range(count):
        home = folder / f"CASE-{number:03d}"
        if not home.is_dir():
            coarse = rng.standard_normal([2, *(max(n // 8, 2) for n in shape_zyx)])
            zoom = [1, *(n / c for n, c in zip(shape_zyx, coarse.shape[1:], strict=True))]
            image = 0.5 + 0.1 * ndimage.zoom(coarse, zoom, order=1) + 0.02 * rng.standard_normal((2, *shape_zyx))
            label = np.zeros(shape_zyx, np.uint8)
            for value in (1, 2, 2):
                center = [rng.integers(n // 4, 3 * n // 4) for n in shape_zyx]
                grid = np.ogrid[tuple(slice(0, n) for n in shape_zyx)]
                label[
                    sum((axis - c) ** 2 for axis, c in zip(grid, center, strict=True)) <= (shape_zyx[1] / 16) ** 2
                ] = value
            images = {"final": image.astype(np.float16)}
            write_case(home, images, label, make_record(home.name, shape_zyx), lambda path: path.write_bytes(b""))
        cases.append(open_case(home))
    return cases


def make_record(case_id: str, shape_zyx: tuple[int, int, int]) -> dict[str, Any]:
    """A valid ``case.json``; nothing of it is trained on."""
    grid = Grid(shape_zyx[::-1], (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    return CaseRecord(
        id=case_id,
        center="CASE",
        ct_grid=grid,
        pet_grid=grid,
        suv_factor=1.0,
        crop_grid=grid,
        crop=Crop(grid, "head", 1.0, "made for a benchmark", False, 1.0, 0.0),
        alignment=None,
        harmonization=HarmonizationRecord(method="none", soft_tissue_mean_abs_hu=0.0, soft_tissue_p95_abs_hu=0.0),
        normalization=NormalizationRecord(pet_mean_suv=1.0, pet_sd_suv=1.0),
        label_outside_box_ml=0.0,
        versions={},
    ).as_dict()


def forever(loader: Any) -> Iterator[Batch]:
    """Batches without end."""
    return (batch for _ in itertools.count() for batch in loader)


def make_run(config: Config, device: str, cases: list[PreparedCase]) -> TrainingState:
    """What a training holds in memory, as hnseg begins a fold."""
    run = setup_fold(config, 0, open_device(device, config.train.precision), cases)
    run.network.train()
    return run


def bare(config: Config, device: str, cases: list[PreparedCase]) -> Variant:
    """Forward, loss, backward and optimizer on one batch that lies on the device, in hnseg's precision and layout."""
    run = make_run(config, device, cases)
    image, label = fixed_batch(config.train, run.fabric.device)
    image = image.contiguous(memory_format=torch.channels_last_3d)

    def step(_: Batch) -> None:
        loss = run.criterion(run.network(image), label)
        run.fabric.backward(loss)
        run.optimizer.step()
        run.optimizer.zero_grad(set_to_none=True)

    return Variant("hnseg, bare step", itertools.repeat({}), step)


def torch_layers(config: Config, device: str, cases: list[PreparedCase]) -> Variant:
    """The bare step without the layers that a CPU computes faster (:mod:`hnseg.models.channels_last`)."""
    usual = bare(config, device, cases)

    def step(batch: Batch) -> None:
        with (
            patch.object(channels_last, "is_exporting", return_true),
            patch.object(exact_input, "is_exporting", return_true),
        ):
            usual.step(batch)

    return Variant("hnseg, torch's layers", usual.batches, step)


def return_true() -> bool:
    """In the place of ``is_exporting``: every layer falls back to torch's own."""
    return True


def full(config: Config, device: str, cases: list[PreparedCase]) -> Variant:
    """hnseg's own step on patches that are read, cut and augmented meanwhile."""
    run = make_run(config, device, cases)
    rate = config.train.learning_rate
    return Variant("hnseg, full loop", forever(run.loader), lambda batch: train_step(run, batch, rate))


def fixed_batch(train: TrainConfig, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """An image and a label of the patch's size."""
    image = torch.rand(train.batch_size, CHANNELS, *train.patch_zyx, device=device)
    label = torch.zeros(train.batch_size, 1, *train.patch_zyx, device=device)
    label[..., 8:16, 8:16, 8:16] = 1
    label[..., 20:28, 20:28, 20:28] = 2
    return image, label


def plain_step(config: Config, device: torch.device) -> Callable[[torch.Tensor, torch.Tensor], None]:
    """The same network and losses in float32 and MONAI's memory order, as a MONAI tutorial writes them."""
    train = config.train
    torch.manual_seed(0)
    network = make_network(train).to(device, memory_format=torch.contiguous_format)
    for module in network.modules():  # MONAI's own layers
        if isinstance(module, torch.nn.InstanceNorm3d):
            module.__class__ = torch.nn.InstanceNorm3d
        elif isinstance(module, torch.nn.Conv3d):
            module.__class__ = torch.nn.Conv3d
    head = DiceCELoss(include_background=False, to_onehot_y=True, softmax=True, squared_pred=True)
    criterion = DeepSupervisionLoss(head, weight_mode="same")
    optimizer = torch.optim.AdamW(network.parameters(), lr=train.learning_rate, weight_decay=train.weight_decay)
    network.train()

    def step(image: torch.Tensor, label: torch.Tensor) -> None:
        optimizer.zero_grad()
        criterion(network(image), label).backward()
        optimizer.step()

    return step


def plain_bare(config: Config, device: str, cases: list[PreparedCase]) -> Variant:
    """The plain way on one batch that lies on the device."""
    place = open_device(device, "32-true").device
    step = plain_step(config, place)
    image, label = fixed_batch(config.train, place)
    return Variant("plain MONAI, bare step", itertools.repeat({}), lambda _: step(image, label))


def plain_full(config: Config, device: str, cases: list[PreparedCase]) -> Variant:
    """CacheDataset, crops by class and the same augmentation in the loader's processes, then the plain step."""
    place = open_device(device, "32-true").device
    train = config.train
    data = [
        {"image": np.asarray(case.image[:], np.float32), "label": np.asarray(case.label[:], np.float32)[None]}
        for case in cases
        if case.label is not None
    ]
    crop = RandCropByLabelClassesd(
        ["image", "label"], "label", train.patch_zyx, list(train.class_weights), NUM_CLASSES, num_samples=1
    )
    transform = Compose([crop, Augmentation(train.augment, train.patch_zyx).transform])
    repeated = data * train.patches_per_case
    dataset = CacheDataset(repeated, transform, cache_num=0, progress=False)  # nothing before the crop could be cached
    workers = min(train.workers, os.cpu_count() or 1)
    loader = MonaiLoader(
        dataset, batch_size=train.batch_size, shuffle=True, num_workers=workers, pin_memory=place.type == "cuda"
    )
    step = plain_step(config, place)
    batches = forever(loader)
    return Variant(
        "plain MONAI, full loop",
        batches,
        lambda b: step(b["image"].to(place).as_tensor(), b["label"].to(place).as_tensor()),
    )


VARIANTS = {
    "bare": bare,
    "torch-layers": torch_layers,
    "full": full,
    "plain-bare": plain_bare,
    "plain-full": plain_full,
}
