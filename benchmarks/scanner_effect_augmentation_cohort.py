"""Scans of the augmentation benchmark: real CTs with organs, at other scanners, on one grid around the brainstem."""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.ndimage
from scanner_effect import Effect, with_effect
from scanner_effect_augmentation_plot import AS_ACQUIRED
from scanner_effect_cohort import Subject

from hnseg.images.image_io import read_grid
from ssimh import SiteSpectrum
from ssimh.site.body import BODY_THRESHOLD_HU, body_box, find_body

SHAPE = (32, 40, 40)
STEP_MM = 4.0
BELOW_MM = 25.0  # the middle of the crop lies this far below the middle of the brainstem
ORGANS = {1: (4,), 2: (5,), 3: (6, 7)}  # class: numbers in the files
ORGAN_NAMES = ("brainstem", "cord", "parotids")
TRAINING_GROUPS = 4  # of seven

# Scanners on which no network of this benchmark is trained. The first is the scan as it is. Cone-beam CT shows cupping
# of a hundred HU; the last one is far beyond any CT; the others are those of scanner_effect.py.
SCANNERS = (
    Effect(AS_ACQUIRED, "grid"),
    Effect("gain + offset", "grid", lambda z, y, x: 0.96 + 0 * x, -8.0),
    Effect(
        "cupping + tilt",
        "body",
        lambda z, y, x: 1 + 0.7 * (0.05 * ((x - 0.1) ** 2 + (y + 0.1) ** 2 - 0.35) - 0.02 * x + 0.015 * y),
    ),
    Effect("combined", "body", lambda z, y, x: 1.03 * (1 + 0.7 * (0.02 * z - 0.03 * (x * x + y * y))), 12.0),
    Effect("like cone-beam CT", "body", lambda z, y, x: 0.95 * (1 + 0.12 * (x * x + y * y)), -20.0, 0.6, 30.0),
    Effect("strong cupping", "body", lambda z, y, x: 1 + 0.35 * (x * x + y * y - 0.35)),
)


def complete(subjects: Sequence[Subject]) -> list[Subject]:
    """The subjects on which all organs were drawn; an organ that is there but was not drawn would teach its absence."""
    needed = {number for numbers in ORGANS.values() for number in numbers}
    return [s for s in subjects if s.path is not None and needed <= set(np.unique(s.labels()).tolist())]


@dataclass(frozen=True)
class Split:
    """The scans of one seed: four groups for training but for one scan each, which is tested at home; three elsewhere.

    Attributes:
        training, home, away: Subjects; ``home`` is from the groups of ``training``, ``away`` from the others.
    """

    training: tuple[Subject, ...]
    home: tuple[Subject, ...]
    away: tuple[Subject, ...]

    @classmethod
    def draw(cls, subjects: Sequence[Subject], seed: int) -> Split:
        """The split of a seed.

        Raises:
            ValueError: Fewer groups than needed, or a group of one scan.
        """
        groups = sorted({subject.group for subject in subjects})
        members = {group: [s for s in subjects if s.group == group] for group in groups}
        if len(groups) <= TRAINING_GROUPS or min(len(found) for found in members.values()) < 2:
            raise ValueError(
                f"{len(subjects)} scans of the groups {''.join(groups)}; needed are more than {TRAINING_GROUPS} groups "
                "of two scans or more (the real CTs of openkbp_ct: set SSIMH_REALDATA)"
            )
        rng = np.random.default_rng([seed, 0])
        order = [groups[int(k)] for k in rng.permutation(len(groups))]
        training: list[Subject] = []
        home: list[Subject] = []
        for group in sorted(order[:TRAINING_GROUPS]):
            one = int(rng.integers(len(members[group])))
            home.append(members[group][one])
            training += [subject for k, subject in enumerate(members[group]) if k != one]
        away = [subject for group in sorted(order[TRAINING_GROUPS:]) for subject in members[group]]
        return cls(tuple(training), tuple(home), tuple(away))


@dataclass(frozen=True)
class Crop:
    """A scan at one scanner on the common grid.

    Attributes:
        name, group: Of the subject.
        hu: (z, y, x) float32.
        body: Mask of the body, found on the whole scan.
        label: (z, y, x) uint8, classes 1 … 3, 0 elsewhere.
    """

    name: str
    group: str
    hu: np.ndarray
    body: np.ndarray
    label: np.ndarray


class Scans:
    """Scans at the scanners; crops and rows of sites are made once and kept in memory."""

    def __init__(self) -> None:
        self._crops: dict[tuple[str, str], Crop] = {}
        self._rows: dict[tuple[str, str], SiteSpectrum] = {}

    def crop(self, subject: Subject, effect: Effect) -> Crop:
        """The scan at a scanner, on the common grid."""
        key = subject.name, effect.name
        if key not in self._crops:
            self._crops[key] = cut(subject, at_scanner(subject, effect))
        return self._crops[key]

    def site(self, subjects: Sequence[Subject], effect: Effect) -> SiteSpectrum:
        """The site of the subjects at a scanner, from the whole scans."""
        for subject in subjects:
            if (subject.name, effect.name) not in self._rows:
                row = SiteSpectrum.fit([at_scanner(subject, effect)])
                self._rows[subject.name, effect.name] = row
        return functools.reduce(operator.add, (self._rows[subject.name, effect.name] for subject in subjects))


def at_scanner(subject: Subject, effect: Effect) -> np.ndarray:
    """The whole scan at a scanner, on its own grid."""
    hu = subject.load()
    return with_effect(hu, effect, body_box(find_body(hu, BODY_THRESHOLD_HU)))


def cut(subject: Subject, hu: np.ndarray) -> Crop:
    """Scan, body and organs on the common grid around the brainstem, which is taken from the drawn organs."""
    organs = subject.labels()
    assert organs is not None
    assert subject.path is not None
    step = np.array(read_grid(subject.path, subject.name).spacing_mm[::-1])
    middle = np.argwhere(organs == ORGANS[1][0]).mean(axis=0) - (BELOW_MM / step[0], 0, 0)
    points = np.meshgrid(
        *((np.arange(n) - (n - 1) / 2) * STEP_MM / s + m for n, s, m in zip(SHAPE, step, middle, strict=True)),
        indexing="ij",
    )

    def sample(values: np.ndarray, outside: float) -> np.ndarray:
        sampled = scipy.ndimage.map_coordinates(values.astype(np.float32), points, order=1, cval=outside)
        return np.asarray(sampled, dtype=np.float32)

    label = np.zeros(SHAPE, np.uint8)
    for value, numbers in ORGANS.items():
        label[sample(np.isin(organs, numbers), 0.0) >= 0.5] = value
    body = sample(find_body(hu, BODY_THRESHOLD_HU), 0.0) >= 0.5
    return Crop(subject.name, subject.group, sample(hu, -1000.0), body, label)
