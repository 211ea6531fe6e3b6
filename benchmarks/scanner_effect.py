"""Error of harmonizers under a known scanner effect on real CT, and without any effect.

    python benchmarks/scanner_effect.py --out docs/ssimh/scanner_effect

Real scans come from ``SSIMH_REALDATA`` or ``../shared/data`` (folder ``openkbp_ct``); without them a generated cohort
is used, and the results name it. Half of the subjects are the source site and carry the effect, the other half are the
target. The ground truth is the scan without the effect; the error is the mean absolute difference inside the body, over
all source subjects. Every repetition draws a new split. Writes a table (.txt, Markdown), all numbers (JSON) and a plot.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import scipy.ndimage
from scanner_effect_cohort import Subject, cohort, kernel_scans
from scanner_effect_plot import draw
from scanner_effect_real import anatomy, kernels, separability

import ssimh
from ssimh.site.body import BODY_THRESHOLD_HU, body_box, find_body
from ssimh.site.field import basis_at
from ssimh.site.flow import apply_flow
from ssimh.site.site_difference import SiteDifference, site_difference

SIZES = (1, 2, 4, 8, None)
SAMPLES = 3000


@dataclass(frozen=True)
class Effect:
    """HU' = (HU + 1000)·factor(u) - 1000 + offset, with u = (z, y, x) from -1 to 1 over the grid or the body.

    ``blur_vox`` and ``noise_hu`` are a softer kernel (in plane) and quantum noise, which no smooth field can undo.
    """

    name: str
    frame: str
    factor: Callable[[Any, Any, Any], Any] = lambda z, y, x: 1 + 0 * x
    offset: float = 0.0
    blur_vox: float = 0.0
    noise_hu: float = 0.0


def effects() -> Iterator[Effect]:
    """Cupping with tilt or off the axis, gain with offset, drift along z, several; each with the grid or the body."""
    for frame in ("grid", "body"):
        scale = 1.0 if frame == "grid" else 0.7  # a body fills part of the grid, so its edges are reached
        yield Effect(
            "cupping + tilt",
            frame,
            lambda z, y, x, s=scale: 1 + s * (0.05 * ((x - 0.1) ** 2 + (y + 0.1) ** 2 - 0.35) - 0.02 * x + 0.015 * y),
        )
        size, level = (0.064, 0.4) if frame == "grid" else (0.035, 0.6)
        yield Effect(
            "cupping off axis",
            frame,
            lambda z, y, x, s=size, c=level: 1 + s * ((x - 0.4) ** 2 + (y + 0.2) ** 2 - c),
        )
        yield Effect("drift along z", frame, lambda z, y, x: 1 + 0.035 * z)
        yield Effect(
            "combined", frame, lambda z, y, x, s=scale: 1.03 * (1 + s * (0.02 * z - 0.03 * (x * x + y * y))), 12.0
        )
    yield Effect("gain + offset", "grid", lambda z, y, x: 0.96 + 0 * x, -8.0)
    yield Effect("offset", "grid", offset=24.0)
    yield Effect("soft kernel", "grid", blur_vox=0.8)
    yield Effect("noise", "grid", noise_hu=25.0)
    yield Effect("none", "grid")


@dataclass(frozen=True)
class Measured:
    """One subject under one effect: its row of a site, and the voxels at which errors are taken."""

    site: ssimh.SiteSpectrum
    truth: np.ndarray
    given: np.ndarray
    terms: tuple[np.ndarray, np.ndarray]


def measure(subject: Subject, effect: Effect, seed: int) -> Measured:
    """Add the effect, fit the subject's site, sample voxels of the body."""
    hu = subject.load()
    body = find_body(hu, BODY_THRESHOLD_HU)
    box = body_box(body)
    changed = with_effect(hu, effect, box)
    where = np.argwhere(body & (hu > -900))
    where = where[np.random.default_rng(seed).choice(len(where), SAMPLES, replace=len(where) < SAMPLES)]
    grid = (where + 0.5) / hu.shape * 2 - 1
    inside = (grid - box.mean(axis=1)) / (box[:, 1] - box[:, 0]) * 2
    index = tuple(where.T)
    return Measured(
        ssimh.SiteSpectrum.fit([changed]),
        hu[index].astype(np.float64),
        changed[index].astype(np.float64),
        (basis_at(inside), basis_at(grid)),
    )


def with_effect(hu: np.ndarray, effect: Effect, box: np.ndarray) -> np.ndarray:
    """Scan with the effect; air stays as it is."""
    ends = np.array([[-1.0, 1.0]] * 3) if effect.frame == "grid" else box
    lines = [
        ((np.arange(size) + 0.5) / size * 2 - 1 - end.mean()) / (end[1] - end[0]) * 2
        for size, end in zip(hu.shape, ends, strict=True)
    ]
    z, y, x = lines[0][:, None, None], lines[1][:, None], lines[2]
    changed = (hu + 1000) * effect.factor(z, y, x) - 1000 + effect.offset
    if effect.blur_vox:
        changed = scipy.ndimage.gaussian_filter(changed, (0, effect.blur_vox, effect.blur_vox))
    if effect.noise_hu:
        changed = changed + np.random.default_rng(int(hu[hu > -900].sum()) % 2**32).normal(0, effect.noise_hu, hu.shape)
    return np.where(hu > -900, changed, hu).astype(np.float32)


def error_after(subject: Measured, difference: SiteDifference | None) -> float:
    """Mean absolute error at the sampled voxels; the same arithmetic as ``align_spectrum``, on voxels."""
    after = subject.given
    if difference is not None:
        shift = -(subject.terms[0] @ difference.coefficients[0] + subject.terms[1] @ difference.coefficients[1])
        after = np.where(
            after > difference.body_threshold_hu,
            apply_flow(after, shift, difference.space, difference.body_threshold_hu),
            after,
        )
    return float(np.abs(after - subject.truth).mean())


def merged(subjects: list[Measured]) -> ssimh.SiteSpectrum:
    """Site of several subjects."""
    site = subjects[0].site
    for subject in subjects[1:]:
        site = site + subject.site
    return site


def one_split(changed: list[Measured], plain: list[Measured], order: np.ndarray, size: int | None) -> dict[str, float]:
    """Errors of the aligners for one split of the subjects; ``size`` subjects per site are used.

    With one subject, every source scan is aligned on its own against the whole target site.
    """
    half = len(order) // 2
    source, target = [changed[i] for i in order[:half]], [plain[i] for i in order[half:]]
    result = {"nothing": float(np.mean([error_after(subject, None) for subject in source]))}
    for name, settings in (("SpectrumAlign", {}), ("without shrinkage", {"shrink": False})):
        if size == 1:
            site = merged(target)
            errors = [error_after(s, site_difference(s.site, site, **settings)) for s in source]
        else:
            difference = site_difference(merged(source[:size]), merged(target[:size]), **settings)
            errors = [error_after(subject, difference) for subject in source]
        result[name] = float(np.mean(errors))
    return result


def published(subjects: list[Subject], effect: Effect, order: np.ndarray) -> dict[str, float]:
    """Errors of the methods that take one reference subject, on full images."""
    half = len(order) // 2
    errors: dict[str, list[float]] = {"swap, b = 3": [], "swap, b = 1": [], "histogram matching": []}
    for number in range(half):
        hu, other = subjects[order[number]].load(), subjects[order[half + number]].load()
        body = find_body(hu, BODY_THRESHOLD_HU)
        changed = with_effect(hu, effect, body_box(body))
        inside = body & (hu > -900)
        there = find_body(other, BODY_THRESHOLD_HU)
        results = {"histogram matching": ssimh.match_histogram(changed, other, mask=body, reference_mask=there)}
        if hu.shape == other.shape:
            results |= {f"swap, b = {b}": ssimh.swap_spectrum(changed, other, threshold=b) for b in (1, 3)}
        for name, after in results.items():
            errors[name].append(float(np.abs(after - hu)[inside].mean()))
    return {name: float(np.mean(values)) for name, values in errors.items() if values}


def interval(values: list[float]) -> dict[str, float]:
    """Mean over splits, with a 95 % interval of that mean and the worst split."""
    spread = 1.96 * float(np.std(values, ddof=1)) / len(values) ** 0.5 if len(values) > 1 else float("nan")
    return {"mean": float(np.mean(values)), "half_width_95": spread, "worst": float(np.max(values))}


def controlled(subjects: list[Subject], splits: int, seed: int) -> list[dict[str, Any]]:
    """All effects × sizes × harmonizers."""
    plain = [measure(subject, Effect("none", "grid"), seed) for subject in subjects]
    rows = []
    for effect in effects():
        changed = plain if effect.name == "none" else [measure(subject, effect, seed) for subject in subjects]
        rng = np.random.default_rng(seed)
        orders = [rng.permutation(len(subjects)) for _ in range(splits)]
        for size in SIZES:
            found = [one_split(changed, plain, order, size) for order in orders]
            row: dict[str, Any] = {"effect": effect.name, "frame": effect.frame, "subjects_per_site": size}
            row |= {name: interval([entry[name] for entry in found]) for name in found[0]}
            if size is None:
                others = [published(subjects, effect, order) for order in orders[:2]]
                row |= {name: interval([entry[name] for entry in others]) for name in others[0]}
            rows.append(row)
            print(
                f"{effect.name:15} {effect.frame:5} n={size or 'all'!s:4}",
                *(f"{k} {v['mean']:.1f}±{v['half_width_95']:.1f}" for k, v in row.items() if isinstance(v, dict)),
                sep="  ",
                flush=True,
            )
    return rows


def main() -> None:
    """Run all parts and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="path without suffix: .json, .txt, .png are written")
    parser.add_argument("--splits", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    started = time.perf_counter()
    subjects, kind = cohort()
    print(f"{len(subjects)} subjects, {kind}")
    results = {
        "cohort": kind,
        "subjects": len(subjects),
        "splits": given.splits,
        "seed": given.seed,
        "controlled": controlled(subjects, given.splits, given.seed),
        "separability": separability(subjects),
        "kernels": kernels(kernel_scans()),
        "anatomy": anatomy(subjects, given.seed),
        "version": ssimh.__version__,
    }
    given.out.with_suffix(".json").write_text(json.dumps(results, indent=1) + "\n")
    draw(results, given.out)
    print(f"{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
