"""Every MONAI transform of the library, as the contract test and its workers build them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor

import ssimh
from tests.ssimh.necks import neck
from tests.ssimh.uptakes import pet_site

SHAPE = (1, 14, 12, 6)
AFFINE = np.array([[-1.5, 0, 0, 70.0], [0, -1.5, 0, 60.0], [0, 0, 3.0, -40.0], [0, 0, 0, 1]])


def image(dtype: torch.dtype = torch.float32, seed: int = 0, offset: float = 0.0) -> MetaTensor:
    """A channel-first (C, x, y, z) scan with metadata."""
    values = np.random.default_rng(seed).normal(offset, 40.0, SHAPE).clip(-100, 100)
    meta = {"filename_or_obj": f"case{seed}.nii.gz"}
    return MetaTensor(torch.tensor(values).to(dtype), affine=AFFINE, meta=meta)


def donor() -> MetaTensor:
    """Another scan on the same grid."""
    return image(torch.float64, seed=99, offset=30.0)


def donor_spectrum() -> ssimh.ReferenceSpectrum:
    """Its coefficients as a transform fits them: slices stacked along z, directions from the affine."""
    return ssimh.ReferenceSpectrum.from_image(donor().as_tensor(), axes=(-3, -2), orientation="LPS")


def site(factor: float) -> ssimh.SiteSpectrum:
    """A site of three generated necks whose attenuation is scaled."""
    return ssimh.SiteSpectrum.fit(neck(seed, factor=factor) for seed in range(3))


@dataclass(frozen=True)
class Case:
    """One transform: how its array and dictionary forms are built, and what it promises."""

    name: str
    settings: dict[str, Any]
    random: bool = False
    invertible: bool = True
    masked: bool = True
    volumes_only: bool = False

    def array(self, **more: Any) -> Any:
        return getattr(ssimh, self.name)(**{**self.settings, **more})

    def dictionary(self, keys: Any = ("ct",), **more: Any) -> Any:
        return getattr(ssimh, f"{self.name}d")(keys, **{**self.settings, **more})

    def bundle_settings(self, folder: Path) -> dict[str, Any]:
        """The same settings as JSON: images are replaced by the path of their saved spectrum."""
        spectrum, values = folder / "reference.npz", folder / "reference.npy"
        donor_spectrum().save(spectrum)
        sites = {name: folder / f"{name}.npz" for name in ("source", "target")}
        for name, where in sites.items():
            if name in self.settings:
                self.settings[name].save(where)
        for number, one in enumerate(self.settings.get("sites", ())):
            one.save(folder / f"site{number}.npz")
        np.save(values, donor().numpy())
        path = str(values if self.name == "HistogramMatch" else spectrum)
        replacement = {
            "reference": path,
            "references": [path, path],
            "sites": [str(folder / f"site{number}.npz") for number in range(2)],
            **{name: str(where) for name, where in sites.items()},
        }
        return {name: replacement.get(name, value) for name, value in self.settings.items()}


CASES = [
    # Unsigned integers wrap in these tests, which moves "tissue" by 96 HU.
    Case("SpectrumSwap", {"reference": donor(), "warn_above_hu": None}),
    Case(
        "SpectrumAlign",
        {"source": site(1.05), "target": site(1.0), "axes_zyx": [-1, -2, -3]},
        volumes_only=True,
    ),
    Case("HistogramMatch", {"reference": donor()}, invertible=False),
    Case("RandSpectrumSwap", {"references": [donor_spectrum(), donor()], "prob": 1.0}, random=True),
    Case(
        "RandResolution",
        {
            "sites": [pet_site(5.0), pet_site(12.0)],
            "prob": 1.0,
            "strength_range": [0.2, 1.0],
            "axes_zyx": [-1, -2, -3],
            "spacing_mm": [3.0, 1.5, 1.5],
        },
        random=True,
        invertible=False,
        masked=False,
        volumes_only=True,
    ),
]
IDS = [case.name for case in CASES]
