"""Sliding-window logits of a whole crop, blended by Gaussians."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from monai.data.utils import compute_importance_map
from torch.nn.functional import pad

from hnseg.cohort.labels import NUM_CLASSES
from hnseg.inference.tiling import Tiling, Triple, cheapest_tiling, tile
from hnseg.models.memory import free_memory_bytes
from hnseg.models.network import CHANNELS, stride, window_bytes_per_voxel
from hnseg.settings.predict import PredictConfig
from hnseg.settings.train import TrainConfig

if TYPE_CHECKING:
    from lightning_fabric import Fabric

AXES = {"z": 1, "y": 2, "x": 3}  # of a tensor (channel, z, y, x)
MEMORY_SHARE = 0.7  # of what is free; the rest is for the volumes themselves and for the allocator's waste


def choose_tiling(
    shape: Triple, train: TrainConfig, predict: PredictConfig, fabric: Fabric, *, memory_bytes: float | None = None
) -> Tiling:
    """The windows for a crop, of the kind that ``predict.window`` names.

    Args:
        shape: The crop, (z, y, x).
        train: Patch and network.
        predict: Kind of window and overlap.
        fabric: Its device's free memory bounds the window of ``auto``.
        memory_bytes: Bounds it instead.
    """
    if predict.window == "patch":
        return tile(shape, train.patch_zyx, overlap=predict.overlap)
    memory = free_memory_bytes(fabric.device) * MEMORY_SHARE if memory_bytes is None else memory_bytes
    fitting = int(memory / window_bytes_per_voxel(train, _element_bytes(fabric)))
    return cheapest_tiling(shape, train.patch_zyx, multiple=stride(train), overlap=predict.overlap, max_voxels=fitting)


def _element_bytes(fabric: Fabric) -> int:
    """Bytes of an activation: 2 where the fabric computes in half precision."""
    kind = fabric.device.type
    with fabric.autocast():
        half = torch.is_autocast_enabled(kind)
        dtype = torch.get_autocast_dtype(kind) if half else torch.get_default_dtype()
    return dtype.itemsize


def predict_logits(
    network: torch.nn.Module,
    image: torch.Tensor,
    train: TrainConfig,
    predict: PredictConfig,
    fabric: Fabric,
    *,
    tiling: Tiling | None = None,
) -> torch.Tensor:
    """Logits of one image by one network.

    Args:
        network: In evaluation mode, on the fabric's device.
        image: (2, z, y, x) CT and PET, normalized; any device and floating dtype.
        train: Patch and network.
        predict: Kind of window, overlap and flips.
        fabric: Device and processes.
        tiling: By default :func:`choose_tiling`'s.

    Returns:
        (3, z, y, x) float32 logits, on the CPU.
    """
    z, y, x = image.shape[1:]
    blend = SlidingWindowAccumulator(tiling or choose_tiling((z, y, x), train, predict, fabric), fabric.device)
    blend.add(network, image, fabric, flips=predict.flips)
    return blend.mean().cpu()


class SlidingWindowAccumulator:
    """Weighted sum of the logits of windows, of as many networks as are added: memory does not grow with their number.

    Windows are weighted by a Gaussian around their middle (standard deviation an eighth of their length), as MONAI
    and nnU-Net do.

    Args:
        tiling: The windows.
        device: Where the sums are kept.
    """

    def __init__(self, tiling: Tiling, device: torch.device) -> None:
        self.tiling = tiling
        self.networks = 0
        self._sum = torch.zeros((NUM_CLASSES, *tiling.crop), device=device)
        self._weight = compute_importance_map(tiling.window, mode="gaussian", device=device)
        self._weights = torch.zeros(tiling.crop, device=device)
        for origin in tiling.origins:
            inside, kept = _clip(origin, tiling)
            self._weights[inside] += self._weight[kept]

    @torch.inference_mode()
    def add(self, network: torch.nn.Module, image: torch.Tensor, fabric: Fabric, *, flips: str = "") -> None:
        """Add the logits of one network, (2, z, y, x) in; the mean over all flips along ``flips``, e.g. ``"xy"``."""
        if tuple(image.shape) != (CHANNELS, *self.tiling.crop):
            raise ValueError(f"an image of shape {(CHANNELS, *self.tiling.crop)} is needed, got {tuple(image.shape)}")
        combinations = [
            axes for n in range(len(flips) + 1) for axes in itertools.combinations([AXES[name] for name in flips], n)
        ]
        for origin in self.tiling.origins:
            inside, kept = _clip(origin, self.tiling)
            window = _cut(image, origin, self.tiling).float().to(fabric.device)
            for axes in combinations:
                with fabric.autocast():
                    turned = window.flip(axes)[None].contiguous(memory_format=torch.channels_last_3d)
                    logits = network(turned)[0].flip(axes)
                self._sum[:, *inside].addcmul_(
                    logits[:, *kept].float(), self._weight[kept], value=1 / len(combinations)
                )
        self.networks += 1

    def mean(self) -> torch.Tensor:
        """Mean logits (3, z, y, x) of the networks added so far."""
        if not self.networks:
            raise ValueError("no network has been added")
        return self._sum / (self._weights * self.networks)

    def clear(self) -> None:
        """Begin again, for another network over the same windows."""
        self._sum.zero_()
        self.networks = 0


Slices = tuple[slice, slice, slice]


def _clip(origin: Triple, tiling: Tiling) -> tuple[Slices, Slices]:
    """The part of a window that lies inside the crop: where in the crop, and where in the window."""
    spans = [(max(o, 0), min(o + w, n)) for o, w, n in zip(origin, tiling.window, tiling.crop, strict=True)]
    z, y, x = (slice(low, high) for low, high in spans)
    c, b, a = (slice(low - o, high - o) for (low, high), o in zip(spans, origin, strict=True))
    return (z, y, x), (c, b, a)


def _cut(image: torch.Tensor, origin: Triple, tiling: Tiling) -> torch.Tensor:
    """A window of the image; what lies outside repeats the nearest voxel."""
    inside, kept = _clip(origin, tiling)
    margins = list(_margins(kept, tiling.window))
    window = image[:, *inside]
    return pad(window[None].float(), margins, mode="replicate")[0] if any(margins) else window


def _margins(kept: Slices, window: Triple) -> Iterator[int]:
    """Voxels to add before and after, last axis first, as torch wants them."""
    for part, length in reversed(list(zip(kept, window, strict=True))):
        yield from (part.start, length - part.stop)
