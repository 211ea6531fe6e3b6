"""Parts of the scanner-effect benchmark without a known truth: separability of sites, and preserved anatomy."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.ndimage
from scanner_effect_cohort import Subject

import ssimh
from ssimh.site.alignment import apply_difference
from ssimh.site.body import BODY_THRESHOLD_HU, find_body
from ssimh.site.site_difference import site_difference

STRUCTURES = {"brainstem": (4,), "parotids": (6, 7)}


def features(hu: np.ndarray) -> list[float]:
    """Features that identify a site: the modes of fat and muscle, and the mean HU of soft tissue in four regions."""
    body = find_body(hu, BODY_THRESHOLD_HU) & (hu > -300) & (hu < 300)
    counts = np.histogram(hu[body], 150, (-300, 300))[0].astype(float)
    smooth = np.convolve(counts, np.ones(5) / 5, mode="same")
    modes = [-300 + 4 * (lo + int(np.argmax(smooth[lo:hi]))) + 2 for lo, hi in ((40, 62), (70, 100))]
    z, y, x = np.nonzero(body & (hu > -20) & (hu < 120))
    values = hu[z, y, x]
    halves = [values[axis < np.median(axis)].mean() - values[axis >= np.median(axis)].mean() for axis in (z, y, x)]
    return [float(value) for value in (*modes, values.mean(), *halves)]


def separability(subjects: list[Subject]) -> dict[str, Any]:
    """Separability of the real groups, before and after each is aligned to all others together.

    Each group is aligned to the site of all other groups, so a group's own scans are never part of its target.
    """
    scans = {subject.name: subject.load() for subject in subjects}
    single = {name: ssimh.SiteSpectrum.fit([hu]) for name, hu in scans.items()}
    groups = sorted({subject.group for subject in subjects})
    before, after, labels, moved_hu, held = [], [], [], [], {}
    for group in groups:
        members = [subject.name for subject in subjects if subject.group == group]
        site = _sum([single[name] for name in members])
        rest = _sum([single[subject.name] for subject in subjects if subject.group != group])
        difference = site_difference(site, rest)
        held[group] = str(difference)
        for name in members:
            aligned = apply_difference(scans[name], difference)
            before.append(features(scans[name]))
            after.append(features(aligned))
            labels.append(group)
            tissue = (scans[name] > -150) & (scans[name] < 150)
            moved_hu.append(float(np.abs(aligned - scans[name])[tissue].mean()))
    smallest = min(labels.count(group) for group in groups)
    settings = {"n_neighbors": 3, "folds": min(4, smallest)}
    scores = {}
    for name, table in (("before", before), ("after", after)):
        found = ssimh.site_separability(table, labels, **settings)
        scores[name] = {"knn_accuracy": found.knn_accuracy, "chance": found.chance, "mmd": found.mmd}
    return {**scores, "tissue_moved_hu": float(np.mean(moved_hu)), "differences": held}


def texture(hu: np.ndarray) -> list[float]:
    """Features that identify a reconstruction kernel: the grain of soft tissue at the scale of a voxel and of three."""
    body = find_body(hu, BODY_THRESHOLD_HU) & (hu > -150) & (hu < 150)
    grains = [hu - scipy.ndimage.gaussian_filter(hu, (0, width, width)) for width in (0.7, 2.0)]
    fine, coarse = (float(np.percentile(np.abs(grain[body]), 50)) for grain in grains)
    return [fine, coarse, fine / coarse]


def kernels(scans: dict[str, np.ndarray]) -> dict[str, Any] | None:
    """Two real groups of one scanner model that differ in the kernel: SOFT aligned to STAN.

    Told apart by HU (``features``) and by grain (``texture``). None without the shared PET/CT cases.
    """
    if not scans:
        return None
    single = {name: ssimh.SiteSpectrum.fit([hu]) for name, hu in scans.items()}
    groups = {name: name.split("-")[0] for name in scans}
    sites = [_sum([single[name] for name in scans if groups[name] == group]) for group in ("SOFT", "STAN")]
    difference = site_difference(*sites)
    after = {name: apply_difference(hu, difference) if groups[name] == "SOFT" else hu for name, hu in scans.items()}
    result: dict[str, Any] = {"difference": str(difference)}
    for kind, measure in (("hu", features), ("grain", texture)):
        for when, images in (("before", scans), ("after", after)):
            table = [measure(images[name]) for name in scans]
            found = ssimh.site_separability(table, list(groups.values()), n_neighbors=3, folds=5)
            result[f"{kind}_{when}"] = {"knn_accuracy": found.knn_accuracy, "chance": found.chance, "mmd": found.mmd}
    return result


def anatomy(subjects: list[Subject], seed: int, splits: int = 5) -> dict[str, Any]:
    """Effect of alignment on two groups of one site: structures, edges, high frequencies, with the worst cases."""
    scans = {subject.name: subject.load() for subject in subjects}
    labels = {subject.name: subject.labels() for subject in subjects}
    single = {name: ssimh.SiteSpectrum.fit([hu]) for name, hu in scans.items()}
    names = sorted(scans)
    shifts: dict[str, list[float]] = {name: [] for name in STRUCTURES}
    energy, edges = [], []
    rng = np.random.default_rng(seed)
    for _ in range(splits):
        order = rng.permutation(names)
        source, target = order[: len(order) // 2], order[len(order) // 2 :]
        difference = site_difference(_sum([single[n] for n in source]), _sum([single[n] for n in target]))
        for name in source[:4]:
            hu = scans[name]
            aligned = apply_difference(hu, difference)
            energy.append(ssimh.compare(hu, aligned).high_frequency_energy_kept)
            edges.append(_edges_kept(hu, aligned))
            label = labels[name]
            for structure, numbers in STRUCTURES.items() if label is not None else ():
                inside = np.isin(label, numbers)
                if inside.any():
                    shifts[structure].append(float(np.abs(aligned - hu)[inside].mean()))
    return {
        "structure_moved_hu": {
            name: {"mean": float(np.mean(values)), "worst": float(np.max(values))}
            for name, values in shifts.items()
            if values
        },
        "high_frequency_energy_kept": {"lowest": float(np.min(energy)), "highest": float(np.max(energy))},
        "edge_voxels_kept": {"mean": float(np.mean(edges)), "lowest": float(np.min(edges))},
    }


def _edges_kept(before: np.ndarray, after: np.ndarray) -> float:
    """Share of the voxels at the body's surface and the airways (gradient above 200 HU) that are unchanged."""
    found = [np.hypot(*np.gradient(image, axis=(1, 2))) > 200 for image in (before, after)]
    return float((found[0] & found[1]).sum() / max(1, (found[0] | found[1]).sum()))


def _sum(sites: list[ssimh.SiteSpectrum]) -> ssimh.SiteSpectrum:
    total = sites[0]
    for site in sites[1:]:
        total = total + site
    return total
