"""What the transforms of MONAI and TorchIO give, and what their inverses give back."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torchio
from monai.data import MetaTensor

import ssimh
import ssimh.torchio
from tests.results.inputs import neck, uptake, volume
from tests.results.lock_file import Recipe
from tests.results.ssimh_core import PET_MM, affine, site


def channel_first(number: int, *, donor: bool = False) -> Any:
    """A volume as MONAI has it: (C, x, y, z), with its affine at every second input."""
    array = np.ascontiguousarray(volume(number, donor=donor).transpose(2, 1, 0)[None])
    matrix = torch.tensor(affine(number), dtype=torch.float64)[:, [2, 1, 0, 3]]
    return MetaTensor(torch.as_tensor(array), affine=matrix) if number % 2 else array


def swap_settings(number: int) -> dict[str, Any]:
    """Thresholds, modes, regions and grids by turns."""
    settings: dict[str, Any] = {"region": ("square", "triangle", "radial")[number % 3], "warn_above_hu": None}
    if number % 4 == 1:
        settings["mode"] = "volume"
    return {**settings, "threshold": 1 + number % 2}


def there_and_back(transform: Any, image: Any) -> dict[str, Any]:
    """The result, and the image that the inverse makes of it."""
    result = transform(image)
    return {"result": _values(result), "inverse": _values(transform.inverse(result))}


def there_and_back_in_samples(transform: Any, sample: dict[str, Any]) -> dict[str, Any]:
    """The same for a dictionary form."""
    result = transform(sample)
    return {"result": _values(result["image"]), "inverse": _values(transform.inverse(result)["image"])}


def swap(number: int) -> Any:
    """SpectrumSwap."""
    transform = ssimh.SpectrumSwap(channel_first(number, donor=True), **swap_settings(number))
    return there_and_back(transform, channel_first(number))


def swap_samples(number: int) -> Any:
    """SpectrumSwapd whose donor comes with the sample."""
    transform = ssimh.SpectrumSwapd("image", ssimh.FromSample("donor"), **swap_settings(number))
    sample = {"image": channel_first(number), "donor": channel_first(number, donor=True)}
    return there_and_back_in_samples(transform, sample)


def random_swap(number: int, *, samples: bool = False) -> Any:
    """RandSpectrumSwap(d) that always swaps; NumPy promises the stream of its legacy random state."""
    bank = [channel_first(number, donor=True), channel_first(number) * 0.5]
    settings = {"prob": 1.0, "threshold_range": (1, 2), "strength_range": (0.25, 1.0)}
    if samples:
        dictionary_form = ssimh.RandSpectrumSwapd("image", bank, **settings).set_random_state(seed=number)
        return there_and_back_in_samples(dictionary_form, {"image": channel_first(number)})
    return there_and_back(ssimh.RandSpectrumSwap(bank, **settings).set_random_state(seed=number), channel_first(number))


def random_resolution(number: int, *, samples: bool = False) -> Any:
    """RandResolution(d) that always blurs; the numbers are drawn from NumPy's legacy random state."""
    image = torch.as_tensor(np.ascontiguousarray(uptake(number)[None]))
    settings = {"prob": 1.0, "in_plane_range_mm": (3, 7), "spacing_mm": PET_MM, "axes_zyx": (-3, -2, -1)}
    if samples:
        dictionary_form = ssimh.RandResolutiond("image", None, **settings).set_random_state(seed=number)
        return _values(dictionary_form({"image": image})["image"])
    return _values(ssimh.RandResolution(None, **settings).set_random_state(seed=number)(image))


def align(number: int, *, samples: bool = False) -> Any:
    """SpectrumAlign(d) along (z, y, x)."""
    image = neck(number, gain_per_mille=40)[None]
    options = {"space": ("log", "linear")[number % 2], "axes_zyx": (-3, -2, -1)}
    if samples:
        dictionary_form = ssimh.SpectrumAlignd("image", site(number, 40), site(number + 1), **options)
        return there_and_back_in_samples(dictionary_form, {"image": image})
    return there_and_back(ssimh.SpectrumAlign(site(number, 40), site(number + 1), **options), image)


def match(number: int) -> Any:
    """HistogramMatch."""
    return _values(ssimh.HistogramMatch(channel_first(number, donor=True), strength=0.75)(channel_first(number)))


def match_samples(number: int) -> Any:
    """HistogramMatchd."""
    transform = ssimh.HistogramMatchd("image", channel_first(number, donor=True))
    return _values(transform({"image": channel_first(number)})["image"])


def subject(number: int, values: np.ndarray) -> Any:
    """A subject of TorchIO, (C, x, y, z)."""
    tensor = torch.as_tensor(np.ascontiguousarray(values.transpose(2, 1, 0)[None]))
    return torchio.Subject(image=torchio.ScalarImage(tensor=tensor, affine=np.diag([2.0, 2.0, 3.0, 1.0])))


def torchio_there_and_back(transform: Any, number: int, values: np.ndarray) -> dict[str, Any]:
    """The result in a subject, and what its history gives back."""
    result = transform(subject(number, values))
    return {"result": _values(result.image.data), "inverse": _values(result.apply_inverse_transform().image.data)}


def torchio_swap(number: int) -> Any:
    """SpectrumSwap of TorchIO."""
    donor = subject(number, volume(number, donor=True)).image
    return torchio_there_and_back(ssimh.torchio.SpectrumSwap(donor, threshold=1 + number % 2), number, volume(number))


def torchio_random_swap(number: int) -> Any:
    """RandomSpectrumSwap of TorchIO with one donor and fixed numbers: torch promises no stream of random numbers."""
    donor = subject(number, volume(number, donor=True)).image
    transform = ssimh.torchio.RandomSpectrumSwap([donor], p=1, threshold_range=2, strength_range=0.75)
    return torchio_there_and_back(transform, number, volume(number))


def torchio_align(number: int) -> Any:
    """SpectrumAlign of TorchIO."""
    transform = ssimh.torchio.SpectrumAlign(site(number, 40), site(number + 1))
    return torchio_there_and_back(transform, number, neck(number, gain_per_mille=40))


def _values(tensor: Any) -> np.ndarray:
    return np.asarray(torch.as_tensor(tensor).detach().cpu().numpy())


RECIPES: dict[str, Recipe] = {
    "ssimh.HistogramMatch": match,
    "ssimh.HistogramMatchd": match_samples,
    "ssimh.RandResolution": random_resolution,
    "ssimh.RandResolutiond": lambda number: random_resolution(number, samples=True),
    "ssimh.RandSpectrumSwap": random_swap,
    "ssimh.RandSpectrumSwapd": lambda number: random_swap(number, samples=True),
    "ssimh.SpectrumAlign": align,
    "ssimh.SpectrumAlignd": lambda number: align(number, samples=True),
    "ssimh.SpectrumSwap": swap,
    "ssimh.SpectrumSwapd": swap_samples,
    "ssimh.torchio.RandomSpectrumSwap": torchio_random_swap,
    "ssimh.torchio.SpectrumAlign": torchio_align,
    "ssimh.torchio.SpectrumSwap": torchio_swap,
}
