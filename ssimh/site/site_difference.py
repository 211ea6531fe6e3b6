"""How one site differs from another: in its field and its grain (CT), or in its resolution (PET)."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimh.site.difference_field import DifferenceField
from ssimh.site.field import FRAMES, grid_to_body, sampling_points
from ssimh.site.grain_difference import GrainDifference, differ_in_grain
from ssimh.site.mixture import SPACES
from ssimh.site.resolution import ResolutionDifference, differ_in_resolution
from ssimh.site.shrinkage import posterior_difference, spread
from ssimh.site.site_spectrum import SiteSpectrum

_LOG = logging.getLogger("ssimh")


@dataclass(frozen=True, eq=False)
class SiteDifference(DifferenceField):
    """Result of :func:`site_difference`: how one site differs from another, and how sure that is.

    Args:
        coefficients, space, tissue_window_hu, body_threshold_hu: as in :class:`DifferenceField`.
        raw: (10,) difference of the mean fields in body coordinates, before shrinkage.
        grid_frame_probability: probability that the difference lives with the grid and not with the body; 0 without
            shrinkage.
        raw_hu: root mean square of the raw difference over the body, HU at 0 HU.
        applied_hu: the same of what is applied.
        error_hu: standard error of the raw difference, HU: the spread between subjects, over their number.
        n_subjects: number of subjects of the source and of the target.
        resolution: how PET sites differ; None for CT. The field of PET is 0.
        grain: how CT sites differ in grain; None where it was not measured, and for PET.
    """

    raw: NDArray[np.float64]
    grid_frame_probability: float
    raw_hu: float
    applied_hu: float
    error_hu: float
    n_subjects: tuple[int, int]
    resolution: ResolutionDifference | None = None
    grain: GrainDifference | None = None

    @property
    def modality(self) -> str:
        """Of both sites, ``"CT"`` or ``"PT"``."""
        return "CT" if self.resolution is None else "PT"

    @property
    def shrinkage(self) -> float:
        """Share of the raw difference that shrinkage has held back, 0 … 1."""
        return max(0.0, 1 - self.applied_hu / self.raw_hu) if self.raw_hu > 0 else 0.0

    def __str__(self) -> str:
        if self.resolution is not None:
            return f"{self.n_subjects[0]} against {self.n_subjects[1]} subject(s): {self.resolution}"
        field = (
            f"{self.n_subjects[0]} against {self.n_subjects[1]} subject(s): sites differ by {self.raw_hu:.1f} ± "
            f"{self.error_hu:.1f} HU, {self.applied_hu:.1f} HU applied, {self.shrinkage:.0%} held back"
        )
        return field if self.grain is None else f"{field}; {self.grain}"


def site_difference(source: Any, target: Any, *, space: str = "log", shrink: bool = True) -> SiteDifference:
    """What the source site adds to its images in comparison with the target site.

    Args:
        source: :class:`SiteSpectrum` or the path of a saved one.
        target: the same.
        space: ``"log"``: a factor on HU + 1000, as gain, cupping and drift are; ``"linear"``: an offset in HU.
        shrink: weigh the difference by its evidence against the spread between subjects (empirical Bayes), choosing
            strength, degree and frame; without it, the plain difference of the mean fields in body coordinates. A
            difference in resolution (PET) or in grain (CT) is 0 unless there is good evidence for one.

    Raises:
        TypeError: neither a site nor a path.
        ValueError: sites fitted with another window, threshold or orientation; an unknown space.
        ReferenceFileError: a path that leads to something else than a site.

    >>> scan = np.full((12, 24, 24), -1000.0)
    >>> scan[:, 4:20, 4:20] = -100
    >>> scan[:, 7:17, 7:17] = 40
    >>> site = SiteSpectrum.fit([scan] * 3)
    >>> print(site_difference(site, site))
    3 against 3 subject(s): sites differ by 0.0 ± 8.8 HU, 0.0 HU applied, 0% held back
    """
    first, second = as_site(source, "source"), as_site(target, "target")
    first.check_comparable(second)
    check_space(space)
    if first.modality == "PT":
        difference = _differ_in_resolution(first, second, shrink)
    else:
        difference = replace(
            _differ_in_field(first, second, space, shrink),
            grain=differ_in_grain(first.subjects["grain_hu2mm2"], second.subjects["grain_hu2mm2"], shrink=shrink),
        )
    _LOG.info("site difference: %s", difference)
    return difference


def _differ_in_resolution(source: SiteSpectrum, target: SiteSpectrum, shrink: bool) -> SiteDifference:
    """The difference of two sites of PET."""
    power, noise = ((source.subjects[name], target.subjects[name]) for name in ("power_mm3", "noise_mm3"))
    return SiteDifference(
        coefficients=np.zeros((2, 10)),
        raw=np.zeros(10),
        space="log",
        tissue_window_hu=source.tissue_window_hu,
        body_threshold_hu=source.body_threshold_hu,
        grid_frame_probability=0.0,
        raw_hu=0.0,
        applied_hu=0.0,
        error_hu=0.0,
        n_subjects=(source.n_subjects, target.n_subjects),
        resolution=differ_in_resolution(power, noise, shrink=shrink),
    )


def _differ_in_field(first: SiteSpectrum, second: SiteSpectrum, space: str, shrink: bool) -> SiteDifference:
    """The difference of two sites of CT."""
    # Both directions are computed as one, so that they cancel to the last bit.
    sign = 1.0
    if first.content_hash > second.content_hash:
        first, second, sign = second, first, -1.0
    one, other = first.coefficients(space), second.coefficients(space)
    raw = one.mean(axis=0) - other.mean(axis=0)
    coefficients, likely = np.stack([raw, np.zeros_like(raw)]), np.array([1.0, 0.0])
    if shrink:
        coefficients, likely = posterior_difference(one, other, first.boxes, second.boxes)
    if first == second:
        coefficients = np.zeros_like(coefficients)
    boxes = np.concatenate([first.boxes, second.boxes])
    to_body = np.mean([grid_to_body(box) for box in boxes], axis=0)
    _, terms, _ = sampling_points()
    noise = spread([one, other]) * (1 / len(one) + 1 / len(other))
    sizes = (first.n_subjects, second.n_subjects)
    return SiteDifference(
        coefficients=sign * coefficients,
        raw=sign * raw,
        space=space,
        tissue_window_hu=first.tissue_window_hu,
        body_threshold_hu=first.body_threshold_hu,
        grid_frame_probability=float(likely[FRAMES.index("grid")]),
        raw_hu=_rms_hu(terms @ raw),
        applied_hu=_rms_hu(terms @ (coefficients[0] + to_body @ coefficients[1])),
        error_hu=1000 * float(np.sqrt(np.mean(np.sum((terms @ noise) * terms, axis=1)))),
        n_subjects=sizes if sign > 0 else sizes[::-1],
    )


def check_space(space: str) -> None:
    """Refuse an unknown space.

    Raises:
        ValueError: neither ``"log"`` nor ``"linear"``.
    """
    if space not in SPACES:
        raise ValueError(f"space must be one of {', '.join(SPACES)}; given {space!r}.")


def as_site(site: Any, name: str) -> SiteSpectrum:
    """The site, loaded if its path was given.

    Raises:
        TypeError: neither.
        ReferenceFileError: a path that leads to something else.
    """
    if isinstance(site, str | os.PathLike):
        return SiteSpectrum.load(site)
    if not isinstance(site, SiteSpectrum):
        raise TypeError(f"{name} must be a SiteSpectrum or the path of a saved one; given {type(site).__name__}.")
    return site


def _rms_hu(field: NDArray[np.float64]) -> float:
    return 1000 * float(np.sqrt(np.mean(field**2)))
