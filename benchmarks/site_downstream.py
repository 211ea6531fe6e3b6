"""What a PET scanner of another resolution costs a network, and how much of it alignment brings back.

    python benchmarks/site_downstream.py --out docs/ssimh/site_downstream --work FOLDER

A small U-Net segments the lesions in CT and PET. It is trained on half of the patients at one scanner and tested on the
others at a center where nobody trains, whose PET is finer (5 mm) or coarser (8 mm) than the training's and calibrated
otherwise. A tested patient is seen by both scanners, so that what the scanner costs is known: the Dice at the scanner
of the training less that at the unseen one. Every seed draws patients and first weights. Ways to treat the unseen
center:

* nothing: fixed SUV in training and test;
* z-score: over the crop, as ``hnseg`` does; all others have it, too;
* histogram: PET of the crop matched to all training crops together;
* augmentation: in training a random blur as wide as the scanners' range, and a random calibration;
* alignment: the site of the unseen center is its test scans without labels; the finer of the two sites is brought to
  the coarser: the test scans where these are finer, else the training scans, on which another network is trained;
* alignment + augmentation: aligned test scans, and the network of "augmentation";
* known blur: as alignment, by what the scanners really differ in, in place of the estimate;
* sharpened: test scans of the coarser center sharpened (gain up to 1.5), the network of "z-score";
* trained there: the same patients trained at the unseen center's scanner, which nobody has: a bound.

Semi-real patients need the real CTs (``SSIMH_REALDATA`` or ``../shared/data``). About 30 minutes of one core; an
interrupted run continues: networks and scores are kept. Writes a table (.txt, Markdown), all numbers (.json) and a plot
(.png).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import monai
import numpy as np
import torch
from monai.networks.nets import UNet
from site_downstream_cohort import COHORTS, FWHM_MM, SCANNERS, CohortName, Patient, ScannerName, inner, patients, site
from site_downstream_network import STEPS, Network, View, make_network, score, train
from site_downstream_summary import BlockResult, draw, pooled, summarize, table
from site_resolution_scans import SPACING_MM

import ssimh
from ssimh import match_histogram, site_difference
from ssimh.files.atomic import atomic_write
from ssimh.site.alignment import apply_difference
from ssimh.site.power_spectrum import FWHM_PER_SIGMA
from ssimh.site.resolution_alignment import filter_image
from ssimh.site.resolution_filter import ResolutionFilter

LARGEST_GAIN = 1.5
KNOWN_MM2 = (FWHM_MM["coarser"] ** 2 - FWHM_MM["finer"] ** 2) / FWHM_PER_SIGMA**2


@dataclass(frozen=True, eq=False)
class Split:
    """Training and test patients of a seed."""

    training: tuple[Patient, ...]
    tested: tuple[Patient, ...]

    @classmethod
    def draw(cls, people: Sequence[Patient], seed: int) -> Split:
        """Half and half."""
        order = np.random.default_rng([seed, 0]).permutation(len(people))
        half = len(people) // 2
        return cls(tuple(people[k] for k in order[:half]), tuple(people[k] for k in order[half:]))


class Views:
    """PET of the patients as each arm sees it, where the unseen center is the finer or the coarser one.

    Args:
        split: Its test patients at the unseen scanner make the unseen site.
        unseen: The unseen center's scanner; the training's is the other one.
    """

    def __init__(self, split: Split, unseen: ScannerName) -> None:
        self.unseen, self.home = unseen, other_scanner(unseen)
        self._here, self._there = site(split.training, self.home), site(split.tested, unseen)
        self._donors = np.stack([inner(patient.pet_suv(self.home, unseen=False)) for patient in split.training])

    @property
    def difference_mm(self) -> str:
        """The difference of the unseen from the training site, in words."""
        return str(site_difference(self._there, self._here))

    def as_at_home(self, patient: Patient) -> np.ndarray:
        """At the training's scanner."""
        return patient.pet_suv(self.home, unseen=False)

    def as_scanned(self, patient: Patient) -> np.ndarray:
        """At the unseen center."""
        return patient.pet_suv(self.unseen, unseen=True)

    def histogram(self, patient: Patient) -> np.ndarray:
        """At the unseen center, the crop matched to all training crops together."""
        box = self.as_scanned(patient).copy()
        inner(box)[...] = match_histogram(inner(box), self._donors, unit="SUV", allow_pet=True)
        return box

    def aligned(self, patient: Patient) -> np.ndarray:
        """At the unseen center, brought to the training's resolution where it is finer."""
        difference = site_difference(self._there, self._here)
        return np.asarray(apply_difference(self.as_scanned(patient), difference, spacing_mm=SPACING_MM))

    def training_aligned(self, patient: Patient) -> np.ndarray:
        """At the training's scanner, brought to the resolution of the unseen center where that is coarser."""
        difference = site_difference(self._here, self._there)
        return np.asarray(apply_difference(self.as_at_home(patient), difference, spacing_mm=SPACING_MM))

    def sharpened(self, patient: Patient) -> np.ndarray:
        """At the unseen center, sharpened towards the training's resolution where it is coarser."""
        difference = site_difference(self._there, self._here)
        pet = self.as_scanned(patient)
        sharp = apply_difference(pet, difference, spacing_mm=SPACING_MM, allow_sharpening=LARGEST_GAIN)
        return np.asarray(sharp)

    def blurred(self, patient: Patient) -> np.ndarray:
        """At the unseen center, blurred by what the scanners really differ in."""
        return filter_image(self.as_scanned(patient), ResolutionFilter((KNOWN_MM2, KNOWN_MM2), SPACING_MM))

    def training_blurred(self, patient: Patient) -> np.ndarray:
        """At the training's scanner, blurred by what the scanners really differ in."""
        return filter_image(self.as_at_home(patient), ResolutionFilter((KNOWN_MM2, KNOWN_MM2), SPACING_MM))


def other_scanner(scanner: ScannerName) -> ScannerName:
    """The scanner that is not this one."""
    return "coarser" if scanner == "finer" else "finer"


def plan(views: Views) -> dict[str, tuple[Network, View]]:
    """For each arm the network, and the test scans."""
    home, unseen = views.home, views.unseen
    plain, fixed, augmented = (Network(home, treatment) for treatment in ("z-score", "SUV", "augmented"))
    arms: dict[str, tuple[Network, View]] = {
        "home, fixed SUV": (fixed, views.as_at_home),
        "home": (plain, views.as_at_home),
        "home, augmentation": (augmented, views.as_at_home),
        "nothing": (fixed, views.as_scanned),
        "z-score": (plain, views.as_scanned),
        "histogram": (plain, views.histogram),
        "augmentation": (augmented, views.as_scanned),
        "trained there": (Network(unseen, "z-score"), views.as_scanned),
    }
    if unseen == "finer":
        arms["alignment"] = (plain, views.aligned)
        arms["alignment + augmentation"] = (augmented, views.aligned)
        arms["known blur"] = (plain, views.blurred)
    else:
        arms["alignment"] = (Network(home, "aligned"), views.as_scanned)
        arms["known blur"] = (Network(home, "blurred"), views.as_scanned)
        arms["sharpened"] = (plain, views.sharpened)
    return arms


@dataclass(frozen=True)
class Kept:
    """Networks of one seed and cohort, kept in files.

    Attributes:
        work: Folder.
        seed, cohort: Which.
        split: Patients.
        steps: Of the training.
    """

    work: Path
    seed: int
    cohort: CohortName
    split: Split
    steps: int

    def network(self, which: Network) -> UNet:
        """The trained network."""
        path = self.work / f"{self.cohort}-seed-{self.seed}-{which.scanner}-{which.treatment}.pt"
        if path.is_file():
            network = make_network()
            network.load_state_dict(torch.load(path, weights_only=True))
            return network.eval()
        views = Views(self.split, other_scanner(which.scanner))
        treated = {"aligned": views.training_aligned, "blurred": views.training_blurred}
        view = treated.get(which.treatment, views.as_at_home)
        network = train(which, self.split.training, view, self.seed, self.steps)
        with atomic_write(path) as scratch:
            torch.save(network.state_dict(), scratch)
        return network


def run_block(kept: Kept, unseen: ScannerName) -> BlockResult:
    """All arms of one seed and cohort at one unseen center; kept in a file."""
    path = kept.work / f"{kept.cohort}-seed-{kept.seed}-unseen-{unseen}.json"
    if path.is_file():
        return BlockResult(**json.loads(path.read_text()))
    begin, views = time.process_time(), Views(kept.split, unseen)
    scores = {}
    for arm, (which, view) in plan(views).items():
        network = kept.network(which)
        scores[arm] = {
            patient.name: score(network, which, patient, inner(view(patient))) for patient in kept.split.tested
        }
    result = BlockResult(kept.cohort, unseen, kept.seed, views.difference_mm, scores, time.process_time() - begin)
    with atomic_write(path) as scratch:
        scratch.write_text(json.dumps(asdict(result), indent=1) + "\n")
    means = (f"{arm} {np.mean(list(scores[arm].values())):.3f}" for arm in scores)
    print(f"{kept.cohort}, seed {kept.seed}, unseen {unseen}, {result.seconds:.0f} s:", *means, flush=True)
    return result


def main() -> None:
    """Run all arms of all seeds and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="path without suffix: .json, .txt, .png are written")
    parser.add_argument("--work", type=Path, default=Path("site_downstream"), help="where patients and networks go")
    parser.add_argument("--cohorts", nargs="+", choices=COHORTS, default=COHORTS)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=STEPS)
    given = parser.parse_args()
    work = given.work / f"{given.steps}-steps"  # networks of other settings are not continued
    work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    people = {name: patients(name, given.work) for name in given.cohorts}
    results = []
    for seed, name in product(range(given.seeds), given.cohorts):
        kept = Kept(work, seed, name, Split.draw(people[name], seed), given.steps)
        results += [run_block(kept, unseen) for unseen in SCANNERS]
    rows = summarize([*results, *pooled(results)])
    versions = {"ssimh": ssimh.__version__, "torch": torch.__version__, "monai": monai.__version__}
    versions |= {"numpy": np.__version__, "python": platform.python_version()}
    content = {
        "versions": versions,
        "steps": given.steps,
        "blocks": [asdict(result) for result in results],
        "summary": [asdict(row) for row in rows],
    }
    given.out.with_suffix(".json").write_text(json.dumps(content) + "\n")
    given.out.with_suffix(".txt").write_text(table(rows, given.seeds))
    draw(rows, given.out.with_suffix(".png"))
    print(table(rows, given.seeds))


if __name__ == "__main__":
    main()
