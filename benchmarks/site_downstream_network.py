"""The small network of ``site_downstream.py``: its input, its training and its score."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from monai.losses import DiceCELoss
from monai.networks.nets import UNet
from site_downstream_cohort import CROP, FWHM_MM, Patient, ScannerName, inner
from site_resolution_scans import SPACING_MM

from hnseg.evaluation.overlap import dice
from hnseg.models.channels_last import keep_channels_last
from hnseg.preprocessing.normalize import normalize_ct, normalize_pet
from ssimh import RandResolution

CT_WINDOW_HU = (-250.0, 250.0)
SUV_SCALE = 5.0  # fixed SUV over this is of the order of a z-score
STEPS, BATCH, PATCH, RATE = 500, 2, 32, 3e-3
FILTERS = (8, 16, 32, 64)
ON_LESION = 0.7  # share of patches about a voxel of a lesion
BLUR_PROBABILITY, GAIN_RANGE = 0.7, (0.8, 1.25)
# The widest blur is that from one scanner of the range to the other.
WIDEST_BLUR_MM = float(np.sqrt(FWHM_MM["coarser"] ** 2 - FWHM_MM["finer"] ** 2))

Treatment = Literal["z-score", "SUV", "augmented", "aligned", "blurred"]
View = Callable[[Patient], np.ndarray]
"""PET of a patient with its margin, in SUV."""


@dataclass(frozen=True)
class Network:
    """Which network.

    Attributes:
        scanner: On which it is trained.
        treatment: What its PET is: z-scores, fixed SUV, or z-scores of PET that was blurred and scaled at random,
            aligned to the unseen center, or blurred by what the scanners really differ in.
    """

    scanner: ScannerName
    treatment: Treatment

    @property
    def scale(self) -> Literal["z-score", "suv"]:
        """How its PET is scaled."""
        return "suv" if self.treatment == "SUV" else "z-score"


def as_input(patient: Patient, pet_suv: np.ndarray, scale: Literal["z-score", "suv"]) -> torch.Tensor:
    """(2, z, y, x) CT and PET of the crop, scaled as the network sees them.

    Args:
        patient: Whose CT.
        pet_suv: PET of the crop.
        scale: z-score over the crop, or fixed SUV.
    """
    pet = normalize_pet(pet_suv, scale=scale, sigmoid=False)
    if scale == "suv":
        pet = pet / np.float32(SUV_SCALE)
    return torch.from_numpy(np.stack([normalize_ct(patient.ct_hu, CT_WINDOW_HU, sigmoid=False), pet]))


class Augmentation:
    """A random blur, in plane and axial apart, and a random calibration; both before the z-score.

    Args:
        seed: Of all draws.
    """

    def __init__(self, seed: int) -> None:
        self._blur = RandResolution(
            None, prob=BLUR_PROBABILITY, in_plane_range_mm=(0.0, WIDEST_BLUR_MM), spacing_mm=SPACING_MM
        )
        self._blur.set_random_state(seed=seed)
        self._rng = np.random.default_rng([seed, 3])

    def __call__(self, pet_suv: np.ndarray) -> np.ndarray:
        """Another PET, with its margin."""
        gain = np.exp(self._rng.uniform(*np.log(GAIN_RANGE)))
        return np.asarray(self._blur(pet_suv[None]))[0] * np.float32(gain)


def make_network() -> UNet:
    """The network, with random weights."""
    network = UNet(3, 2, 2, FILTERS, (2,) * (len(FILTERS) - 1), num_res_units=1, norm="INSTANCE")
    keep_channels_last(network)
    network.to(memory_format=torch.channels_last_3d)
    return network


def train(which: Network, patients: Sequence[Patient], view: View, seed: int, steps: int = STEPS) -> UNet:
    """A network after the given steps; weights, patches and flips are drawn from the seed alone.

    Args:
        which: Treatment of the PET.
        patients: Trained on.
        view: Their PET.
        seed: All networks of a seed share it.
        steps: Of the optimizer.
    """
    torch.manual_seed(seed)
    network, rng = make_network(), np.random.default_rng([seed, 1])
    optimizer = torch.optim.AdamW(network.parameters(), RATE, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    criterion = DiceCELoss(softmax=True, to_onehot_y=True)
    pets = [view(patient) for patient in patients]
    plain = [as_input(patient, inner(pet), which.scale) for patient, pet in zip(patients, pets, strict=True)]
    augment = Augmentation(seed) if which.treatment == "augmented" else None
    for _ in range(steps):
        images, labels = [], []
        for number in (int(k) for k in rng.choice(len(patients), BATCH, replace=False)):
            patient = patients[number]
            image = plain[number]
            if augment is not None:
                image = as_input(patient, inner(augment(pets[number])), which.scale)
            where = draw_patch(patient.lesion, rng)
            flips = [axis for axis in (1, 2, 3) if rng.random() < 0.5]
            images.append(image[(slice(None), *where)].flip(flips))
            labels.append(torch.from_numpy(patient.lesion[where])[None].float().flip(flips))
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(torch.stack(images).to(memory_format=torch.channels_last_3d))
        criterion(logits.float(), torch.stack(labels)).backward()
        optimizer.step()
        schedule.step()
    return network.eval()


def draw_patch(lesion: np.ndarray, rng: np.random.Generator) -> tuple[slice, slice, slice]:
    """Where a patch lies in the crop: about a random voxel of a lesion, or anywhere."""
    voxels = np.argwhere(lesion)
    middle = rng.integers(0, CROP)
    if len(voxels) and rng.random() < ON_LESION:
        middle = voxels[rng.integers(len(voxels))] + rng.integers(-PATCH // 4, PATCH // 4 + 1, 3)
    z, y, x = (int(low) for low in np.clip(middle - PATCH // 2, 0, np.array(CROP) - PATCH))
    return slice(z, z + PATCH), slice(y, y + PATCH), slice(x, x + PATCH)


@torch.inference_mode()
def score(network: UNet, which: Network, patient: Patient, pet_suv: np.ndarray) -> float:
    """Dice of all lesions of the patient together.

    Args:
        network: Trained.
        which: Treatment of the PET.
        patient: With a lesion.
        pet_suv: PET of the crop.
    """
    with torch.autocast("cpu", torch.bfloat16):
        logits = network(as_input(patient, pet_suv, which.scale)[None].to(memory_format=torch.channels_last_3d))
    value = dice(logits[0].argmax(dim=0).numpy() == 1, patient.lesion)
    assert value is not None
    return value
