"""The TorchIO transforms as the contract tests build them, and the subjects that they get."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torchio as tio

import ssimh
import ssimh.torchio
from tests.ssimh.necks import SHAPE as NECK
from tests.ssimh.necks import neck

SHAPE = (1, *NECK[::-1])  # (C, x, y, z)
AFFINE = np.array([[-1.5, 0, 0, 30.0], [0, -1.5, 0, 30.0], [0, 0, 3.0, -40.0], [0, 0, 0, 1]])  # LPS


def scan(seed: int = 0, factor: float = 1.0, dtype: torch.dtype = torch.float32, **entries: Any) -> tio.ScalarImage:
    """A generated neck whose index grows towards left, back and head."""
    values = torch.from_numpy(neck(seed, factor=factor).T[None].copy())
    return tio.ScalarImage(tensor=values.to(dtype), affine=AFFINE, **entries)


def subject(dtype: torch.dtype = torch.float32) -> tio.Subject:
    """Two scans, a label map and an entry that is no image."""
    labels = tio.LabelMap(tensor=(scan().data > -500).to(torch.uint8), affine=AFFINE)
    return tio.Subject(ct=scan(1, 1.05, dtype), second=scan(2, 1.05, dtype), body=labels, age=60)


def site(factor: float) -> ssimh.SiteSpectrum:
    """A site of three generated necks whose attenuation is scaled, in the directions of :data:`AFFINE`."""
    return ssimh.SiteSpectrum.fit((neck(seed, factor=factor) for seed in range(3)), orientation="SPL")


@dataclass(frozen=True)
class Case:
    """One transform: how it is built, and the deterministic one that its history holds."""

    name: str
    settings: dict[str, Any]
    recorded: str
    random: bool = False

    def __call__(self, **more: Any) -> tio.Transform:
        build: Callable[..., tio.Transform] = getattr(ssimh.torchio, self.name)
        return build(**{**self.settings, **more})


CASES = [
    Case("SpectrumSwap", {"reference": scan(9), "warn_above_hu": None}, "SpectrumSwap"),
    Case("SpectrumAlign", {"source": site(1.05), "target": site(1.0)}, "SpectrumAlign"),
    Case("RandomSpectrumSwap", {"references": [scan(8), scan(9)]}, "SpectrumSwap", random=True),
]
