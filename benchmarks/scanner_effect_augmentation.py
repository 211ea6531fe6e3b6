"""Effect of RandSpectrumSwap as augmentation (Fourier domain adaptation) on a network that is tested at other scanners.

    python benchmarks/scanner_effect_augmentation.py --out docs/ssimh/scanner_effect_augmentation

Twenty-seven real head-and-neck CTs of seven groups, which stand for institutions (``SSIMH_REALDATA`` or
``../shared/data``, folder ``openkbp_ct``; one of 28 lacks an organ). A small U-Net segments brainstem, cord and
parotids in CT alone. It is trained on four groups but for one scan of each, and tested on these four, and on all scans
of the three other groups: as they are, and at five scanners with a known effect, so that a patient is its own control.
Every seed draws groups, scans and first weights; the arms of a seed share them, and patches and turns of every step:

* none: turns, scaling and flips alone, as in all arms;
* swap: RandSpectrumSwap as it comes, donors from the other training groups;
* swap, body, 3-D: the same three-dimensional, and inside the body alone;
* swap, test scanners: donors are the scans that are tested, without their labels, as in Fourier domain adaptation;
* intensity: MONAI's scaling, shift, bias field and contrast;
* intensity + swap: both.

The network of "none" is also tested on scans aligned with SpectrumAlign, with the site of the scanner's other test
scans. Intervals resample patients, with all their repetitions. About 20 minutes of one core; an interrupted run
continues. Writes a table (.txt, Markdown), all numbers (.json) and a plot (.png).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import monai
import numpy as np
import torch
from monai.losses import DiceCELoss
from monai.networks.nets import UNet
from monai.transforms import (
    Compose,
    Lambda,
    RandAdjustContrast,
    RandAffined,
    RandBiasField,
    RandFlipd,
    Randomizable,
    RandScaleIntensity,
    RandShiftIntensity,
)
from monai.utils import convert_to_tensor
from scanner_effect_augmentation_cohort import (
    ORGAN_NAMES,
    ORGANS,
    SCANNERS,
    Crop,
    Scans,
    Split,
    at_scanner,
    complete,
    cut,
)
from scanner_effect_augmentation_plot import ALIGNED, HOME, ArmResult, Scores, case_means, draw, summarize, table
from scanner_effect_cohort import cohort

import ssimh
from hnseg.evaluation.overlap import dice
from hnseg.preprocessing.normalize import normalize_ct
from ssimh import RandSpectrumSwap, align_spectrum
from ssimh.files.atomic import atomic_write

ARMS = ("none", "swap", "intensity", "swap, body, 3-D", "swap, test scanners", "intensity + swap")
PROBABILITY = 0.5
WINDOW_HU = (-250.0, 250.0)
STEPS, BATCH = 400, 2
NORMS = ("INSTANCE", "BATCH")
RATE = 3e-3
FILTERS = (8, 16, 32, 64)


class ArmAugmentation:
    """Random intensity of one arm, from HU to the input of the network.

    Args:
        arm: One of :data:`ARMS`.
        training: Crops that are trained on.
        tested: Crops at the test scanners; their images alone are used.
        seed: Of all draws.

    Attributes:
        moved_hu: Mean absolute change of the body of each crop that was swapped.
    """

    def __init__(self, arm: str, training: Sequence[Crop], tested: Sequence[Crop], seed: int) -> None:
        self.moved_hu: list[float] = []
        self._masked = "body" in arm
        self._swaps: dict[str, RandSpectrumSwap] = {}
        if "swap" in arm:
            for group in sorted({crop.group for crop in training}):
                donors = tested if "test scanners" in arm else [crop for crop in training if crop.group != group]
                self._swaps[group] = RandSpectrumSwap(
                    [crop.hu[None] for crop in donors],
                    prob=PROBABILITY,
                    mode="volume" if self._masked else "slice",
                    slice_axis=0,
                )
        self._intensity = intensity() if "intensity" in arm else None
        own: list[Randomizable] = [*self._swaps.values(), *([self._intensity] if self._intensity else [])]
        for number, transform in enumerate(own):
            transform.set_random_state(seed=seed * 100 + number)

    def __call__(self, crop: Crop) -> torch.Tensor:
        """(1, z, y, x) input of the network."""
        hu, body = torch.from_numpy(crop.hu)[None], torch.from_numpy(crop.body)
        if crop.group in self._swaps:
            after = self._swaps[crop.group](hu, mask=body if self._masked else None)
            moved = float((after - hu)[0][body].abs().mean())
            self.moved_hu += [moved] if moved else []
            hu = after
        changed = as_input(hu) if self._intensity is None else self._intensity(hu)
        return convert_to_tensor(changed, dtype=torch.float32, track_meta=False)


def intensity() -> Compose:
    """MONAI's random intensity, HU in and the input of the network out."""
    return Compose(
        [
            Lambda(lambda hu: hu / 1000 + 1),  # air 0, water 1: a gain is a factor
            RandScaleIntensity(factors=0.1, prob=PROBABILITY),
            RandShiftIntensity(offsets=0.05, prob=PROBABILITY),
            RandBiasField(degree=3, coeff_range=(-0.05, 0.05), prob=PROBABILITY),
            Lambda(lambda water_is_one: as_input((water_is_one - 1) * 1000)),
            RandAdjustContrast(prob=PROBABILITY, gamma=(0.7, 1.5)),
        ]
    )


def as_input(hu: torch.Tensor) -> torch.Tensor:
    """The CT window as 0 … 1."""
    return torch.from_numpy(normalize_ct(np.asarray(hu), WINDOW_HU, sigmoid=False))


def geometry(seed: int) -> Compose:
    """Turns, scaling and flips, the same for all arms of a seed."""
    keys, modes = ("image", "label"), ("bilinear", "nearest")
    turned = RandAffined(
        keys,
        prob=1.0,
        rotate_range=(0.1, 0.1, 0.1),
        scale_range=(0.1, 0.1, 0.1),
        translate_range=(3, 3, 3),
        mode=modes,
        padding_mode="border",
    )
    transform = Compose([RandFlipd(keys, prob=0.5, spatial_axis=2), turned])
    transform.set_random_state(seed=seed)
    return transform


@dataclass(frozen=True)
class Setup:
    """What all arms of a run share.

    Attributes:
        steps: Steps of the training.
        norm: Normalization of the network's feature maps, one of :data:`NORMS`.
    """

    steps: int = STEPS
    norm: str = NORMS[0]


def make_network(setup: Setup) -> UNet:
    """The network, with random weights."""
    network = UNet(3, 1, 1 + len(ORGANS), FILTERS, (2,) * (len(FILTERS) - 1), num_res_units=1, norm=setup.norm)
    network.to(memory_format=torch.channels_last_3d)
    return network


def train(augment: Callable[[Crop], torch.Tensor], crops: Sequence[Crop], seed: int, setup: Setup) -> UNet:
    """A network after the given steps; batches are drawn from the seed alone."""
    torch.manual_seed(seed)
    network = make_network(setup)
    optimizer = torch.optim.AdamW(network.parameters(), RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=setup.steps)
    criterion, turn, rng = DiceCELoss(softmax=True, to_onehot_y=True), geometry(seed), np.random.default_rng([seed, 1])
    for _ in range(setup.steps):
        batch = []
        for number in rng.choice(len(crops), BATCH, replace=False):
            crop = crops[int(number)]
            batch.append(turn({"image": augment(crop), "label": torch.from_numpy(crop.label)[None].float()}))
        images, labels = (torch.stack([item[key].as_tensor() for item in batch]) for key in ("image", "label"))
        optimizer.zero_grad(set_to_none=True)
        criterion(network(images), labels).backward()
        optimizer.step()
        schedule.step()
    return network.eval()


@torch.inference_mode()
def score(network: UNet, crop: Crop) -> dict[str, float]:
    """Dice of each organ that the case has."""
    found = network(as_input(torch.from_numpy(crop.hu))[None, None]).argmax(dim=1)[0].numpy()
    values = {name: dice(found == value, crop.label == value) for value, name in enumerate(ORGAN_NAMES, start=1)}
    present = {name for value, name in enumerate(ORGAN_NAMES, start=1) if (crop.label == value).any()}
    return {name: value for name, value in values.items() if value is not None and name in present}


def score_all(network: UNet, split: Split, scans: Scans) -> Scores:
    """At home, and at every scanner of the other groups."""
    places = {HOME: [scans.crop(subject, SCANNERS[0]) for subject in split.home]}
    places |= {effect.name: [scans.crop(subject, effect) for subject in split.away] for effect in SCANNERS}
    return {place: {crop.name: score(network, crop) for crop in crops} for place, crops in places.items()}


def score_aligned(network: UNet, split: Split, scans: Scans) -> Scores:
    """As :func:`score_all`, on scans aligned to the training site; at home nothing is aligned.

    A scanner at which SpectrumAlign refuses a scan is left out.
    """
    there = scans.site(split.training, SCANNERS[0])
    found: Scores = {HOME: {s.name: score(network, scans.crop(s, SCANNERS[0])) for s in split.home}}
    for effect in SCANNERS:
        try:
            here = scans.site(split.away, effect)
        except ValueError as error:
            print(f"{effect.name}: not aligned, {error}", flush=True)
            continue
        found[effect.name] = {
            subject.name: score(network, cut(subject, align_spectrum(at_scanner(subject, effect), here, there)))
            for subject in split.away
        }
    return found


def run_arm(work: Path, arm: str, seed: int, setup: Setup, scans: Scans) -> ArmResult:
    """Train and score one arm of a seed; result and network are kept in files."""
    path = work / f"seed-{seed}-{arm.replace(', ', '-').replace(' ', '-')}.json"
    if path.is_file():
        return ArmResult(**json.loads(path.read_text()))
    begin = time.process_time()
    split = Split.draw(complete(cohort()[0]), seed)
    training = [scans.crop(subject, SCANNERS[0]) for subject in split.training]
    if arm == ALIGNED:
        network, moved = make_network(setup), 0.0
        network.load_state_dict(torch.load(work / f"seed-{seed}-none.pt", weights_only=True))
        scores = score_aligned(network.eval(), split, scans)
    else:
        places = SCANNERS if "test scanners" in arm else ()
        augment = ArmAugmentation(arm, training, [scans.crop(s, e) for e in places for s in split.away], seed)
        network = train(augment, training, seed, setup)
        with atomic_write(path.with_suffix(".pt")) as scratch:
            torch.save(network.state_dict(), scratch)
        moved = float(np.mean(augment.moved_hu)) if augment.moved_hu else 0.0
        scores = score_all(network, split, scans)
    result = ArmResult(scores, moved, time.process_time() - begin)
    with atomic_write(path) as scratch:
        scratch.write_text(json.dumps(asdict(result), indent=1) + "\n")
    means = [f"{place} {np.mean(list(case_means(result, place).values())):.3f}" for place in scores]
    print(f"seed {seed}: {arm}: moved {moved:.0f} HU, {result.seconds:.0f} s;", *means, flush=True)
    return result


def main() -> None:
    """Run all arms of all seeds and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="path without suffix: .json, .txt, .png are written")
    parser.add_argument("--work", type=Path, default=Path("augmentation"), help="where the results of each arm go")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--arms", nargs="+", choices=(*ARMS, ALIGNED), default=(*ARMS, ALIGNED), help="none is needed")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--norm", choices=NORMS, default=NORMS[0], help="normalization of the network's feature maps")
    given = parser.parse_args()
    work = given.work / f"{given.steps}-steps-{given.norm.lower()}"  # results of other settings are not continued
    work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    scans, setup = Scans(), Setup(given.steps, given.norm)
    seeds: list[dict[str, ArmResult]] = [{} for _ in range(given.seeds)]
    for arm, (seed, found) in product(given.arms, enumerate(seeds)):
        found[arm] = run_arm(work, arm, seed, setup, scans)
    rows = summarize(seeds)
    versions = {"ssimh": ssimh.__version__, "torch": torch.__version__, "monai": monai.__version__}
    versions |= {"numpy": np.__version__, "python": platform.python_version()}
    content = {
        "versions": versions,
        "setup": asdict(setup),
        "seeds": [{name: asdict(result) for name, result in seed.items()} for seed in seeds],
        "summary": [asdict(row) for row in rows],
    }
    given.out.with_suffix(".json").write_text(json.dumps(content) + "\n")
    given.out.with_suffix(".txt").write_text(table(rows, len(seeds)))
    draw(rows, given.out.with_suffix(".png"))
    print(table(rows, len(seeds)))


if __name__ == "__main__":
    main()
