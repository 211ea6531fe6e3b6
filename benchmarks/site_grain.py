"""How well alignment matches the grain of CT kernels, and what it leaves as it is.

    python benchmarks/site_grain.py --out docs/ssimh/site_grain --work FOLDER [--draws 400]

Ten real CTs with two kernels, each left out of its own site's estimate; real anatomy (28 head-and-neck CTs) behind
simulated kernels; and the ten CTs against themselves behind a known blur. Writes OUT.json and OUT.txt. What takes long
is kept in FOLDER.
"""

from __future__ import annotations

import argparse
import json
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import scipy.ndimage
import site_grain_scans as scans
from scanner_effect_real import texture
from site_grain_scans import KERNELS, PAIRS, REAL_SPACING_MM, SPACING_MM

import ssimh
from ssimh.site.grain_difference import GrainDifference, differ_in_grain
from ssimh.site.grain_filter import filter_volume
from ssimh.site.grain_spectrum import grain_spectrum, shells_per_mm
from ssimh.site.site_spectrum import TISSUE_WINDOW_HU

FAT_HU, MUSCLE_HU = (-130.0, -70.0), (20.0, 90.0)  # of the scan under a Gaussian of 3 pixels
SURFACE_HU = -300.0
FEWEST_VOXELS = 1000  # of a tissue, for its mean
HIGHEST_PER_MM = 0.4
TITLES = {
    "fat_hu": "mean HU of fat",
    "muscle_hu": "mean HU of muscle",
    "surface_within_3_mm_hu": "HU within 3 mm of the body's surface, mean absolute change",
    "surface_moved_mm": "place of the body's surface (-300 HU), mm, 999 of 1000 places",
    "airway_within_3_mm_hu": "HU within 3 mm of air in the body, mean absolute change",
    "airway_moved_mm": "place of the wall of air in the body, mm, 999 of 1000 places",
}


def spectrum(values: np.ndarray, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """(16,) power of one scan."""
    return grain_spectrum(values, spacing_mm, TISSUE_WINDOW_HU)


def align(values: np.ndarray, difference: GrainDifference, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """The scan with the grain of the target."""
    filtering = difference.filter(1.0, (spacing_mm[1], spacing_mm[2]))
    return values if filtering.is_identity else filter_volume(values, filtering)


def differ(source: np.ndarray, target: np.ndarray, shrink: bool = True) -> GrainDifference:
    """The difference of two tables of powers."""
    found = differ_in_grain(source, target, shrink=shrink)
    assert found is not None
    return found


def nearest_neighbor(features: np.ndarray, labels: np.ndarray) -> float:
    """Share of the scans whose nearest other scan has the same kernel."""
    distances = np.linalg.norm(features[:, None] - features, axis=2)
    np.fill_diagonal(distances, np.inf)
    return float(np.mean(labels[distances.argmin(axis=1)] == labels))


def separability(logs: np.ndarray, textures: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """How often the kernel is named, by level, shape and both of the spectrum, and by texture of another kind."""
    level = logs.mean(axis=1, keepdims=True)
    scores = {"level": level, "shape": logs - level, "level and shape": logs}
    scores["texture"] = (textures - textures.mean(axis=0)) / textures.std(axis=0)
    return {name: nearest_neighbor(values, labels) for name, values in scores.items()}


def kernels() -> dict[str, Any]:
    """Two real kernels: every scan is aligned to the other site, and left out of its own."""
    found = scans.real()
    names, labels = list(found), np.array([name.split("-")[0] for name in found])
    powers = np.array([spectrum(found[name], REAL_SPACING_MM) for name in names])
    logs, textures, kept = [], [], []
    for number, name in enumerate(names):
        own = labels == labels[number]
        own[number] = False
        difference = differ(powers[own], powers[labels != labels[number]])
        after = align(found[name], difference, REAL_SPACING_MM)
        logs.append(np.log(np.maximum(spectrum(after, REAL_SPACING_MM), 1e-30)))
        textures.append(texture(after))
        kept.append({"name": name, "alike": difference.alike_probability, **preserved(found[name], after)})
    used = np.all(powers > 0, axis=0)
    before, after_logs = np.log(powers[:, used]), np.array(logs)[:, used]
    site = [
        (part[labels == "STAN"].mean(axis=0) - part[labels == "SOFT"].mean(axis=0)).round(3).tolist()
        for part in (before, after_logs)
    ]
    return {
        "scans": len(names),
        "frequencies_per_mm": shells_per_mm()[used].round(3).tolist(),
        "difference_of_all": str(differ(powers[labels == "STAN"], powers[labels == "SOFT"])),
        "before": separability(before, np.array([texture(found[name]) for name in names]), labels),
        "after": separability(after_logs, np.array(textures), labels),
        "one_kernel_nothing_applied": _splits(powers, labels),
        "log_difference_before": site[0],
        "log_difference_after": site[1],
        "preserved": kept,
    }


def _splits(powers: np.ndarray, labels: np.ndarray) -> float:
    """How often nothing is applied between two and three scans of one kernel, over all splits."""
    alike = []
    for kernel in np.unique(labels):
        own = powers[labels == kernel]
        for chosen in combinations(range(len(own)), 2):
            alike.append(differ(own[list(chosen)], np.delete(own, chosen, axis=0)).is_alike)
    return float(np.mean(alike))


def preserved(before: np.ndarray, after: np.ndarray) -> dict[str, float]:
    """Change of the mean HU of fat and muscle, of HU near air, and of the place of the body's surface and airways."""
    change = after - before
    smooth = scipy.ndimage.gaussian_filter(before, (0, 3, 3))
    # Under a Gaussian of 3 pixels skin passes through the HU of fat, and so does muscle beside bone.
    strong = np.abs(scipy.ndimage.uniform_filter(before, (1, 3, 3))) > 300
    pure = ~scipy.ndimage.maximum_filter(strong, (1, 11, 11))
    result = {}
    for name, (low, high) in {"fat_hu": FAT_HU, "muscle_hu": MUSCLE_HU}.items():
        values = change[pure & (smooth > low) & (smooth < high)]
        result[name] = float(values.mean()) if values.size >= FEWEST_VOXELS else np.nan
    result["tissue_rms_hu"] = float(np.sqrt(np.mean(change[(smooth > -150) & (smooth < 150)] ** 2)))
    pixel_mm = REAL_SPACING_MM[1]
    open_air = scipy.ndimage.binary_opening(before < -500, np.ones((1, 3, 3), bool))
    outside = np.stack([_reaches_the_border(plane) for plane in open_air])
    for name, air in {"surface": outside, "airway": open_air & ~outside}.items():
        away_mm = np.stack([scipy.ndimage.distance_transform_edt(~plane) for plane in air]) * pixel_mm
        near = (away_mm > 0) & (away_mm <= 3) & (before > SURFACE_HU) & air.any(axis=(1, 2))[:, None, None]
        result[f"{name}_within_3_mm_hu"] = float(np.abs(change[near]).mean()) if near.any() else 0.0
        result[f"{name}_moved_mm"] = _displacement(before, after, air, pixel_mm)
    return result


def _reaches_the_border(air: np.ndarray) -> np.ndarray:
    """(y, x) air that is connected to the border of the slice."""
    labels, _ = scipy.ndimage.label(air)
    border = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    return np.asarray(np.isin(labels, border[border > 0]))


def _displacement(before: np.ndarray, after: np.ndarray, air: np.ndarray, pixel_mm: float) -> float:
    """How far edges of some air move: 999 of 1000 places, between a voxel of air and tissue two away, cross -300 HU."""
    moves = [np.zeros(1)]
    for axis in (1, 2):
        for direction in (1, -1):
            lines = [np.moveaxis(part, axis, -1)[..., ::direction] for part in (before, after, air)]
            # The voxel between air and tissue is partly filled: the edge crosses -300 HU beside it.
            for first in (0, 1):
                a, b, c, d = _pairs(lines, first)
                crossing = lines[2][..., :-2] & (lines[0][..., 2:] > -200) & (a < SURFACE_HU) & (b >= SURFACE_HU)
                was, now = ((SURFACE_HU - low[crossing]) / np.maximum(high[crossing] - low[crossing], 1.0)
                            for low, high in ((a, b), (c, d)))  # fmt: skip
                moves.append(np.abs(np.clip(now, -1, 2) - was) * pixel_mm)
    return float(np.percentile(np.concatenate(moves), 99.9))


def _pairs(lines: list[np.ndarray], first: int) -> list[np.ndarray]:
    """Neighbors along the last axis, before and after; the first or the second pair of every three voxels."""
    length = lines[0].shape[-1]
    return [part[..., first + step : length - 2 + first + step] for part in lines[:2] for step in (0, 1)]


def simulate(work: Path) -> dict[str, np.ndarray]:
    """Powers of every person behind every kernel, and after alignment between the sites of all people."""
    path = work / "grain.npz"
    if path.is_file():
        return dict(np.load(path))
    truths = [scans.anatomy(subject) for subject in scans.people()]
    powers = {}
    for kernel in KERNELS:
        rows = [spectrum(scans.scan(truth, kernel, n), SPACING_MM) for n, truth in enumerate(truths)]
        powers[kernel.name] = np.array(rows)
        print(kernel.name, flush=True)
    aligned = {}
    for source, target in PAIRS:
        difference = differ(powers[source.name], powers[target.name])
        rows = []
        for n, truth in enumerate(truths):
            before = scans.scan(truth, source, n)
            after = align(before, difference, SPACING_MM)
            kept = preserved(before, after)
            rows.append([*spectrum(after, SPACING_MM), *kept.values()])
        aligned[f"{source.name} to {target.name}"] = np.array(rows)
        print(source.name, target.name, flush=True)
    np.savez(path, names=np.array(list(kept)), **powers, **aligned)
    return dict(np.load(path))


def simulated(table: dict[str, np.ndarray], draws: int) -> dict[str, Any]:
    """Power after alignment over that of the target, people kept; and errors with sites of other people."""
    k = shells_per_mm()
    used = (k <= HIGHEST_PER_MM) & np.all(table[KERNELS[0].name] > 0, axis=0)
    result: dict[str, Any] = {"people": len(table[KERNELS[0].name]), "frequencies_per_mm": k[used].round(3).tolist()}
    rng = np.random.default_rng(5)
    for source, target in PAIRS:
        rows = table[f"{source.name} to {target.name}"]
        before, goal = (np.log(table[kernel.name][:, used]) for kernel in (source, target))
        error = np.log(rows[:, :16][:, used]) - goal
        kept = dict(zip(table["names"], rows[:, 16:].T, strict=True))
        row: dict[str, Any] = {
            "before": np.exp((before - goal).mean(axis=0)).round(3).tolist(),
            "after": np.exp(error.mean(axis=0)).round(3).tolist(),
            "within_10_percent": float(np.mean(np.abs(np.exp(error) - 1) <= 0.1)),
            "kept": {
                name: {"mean": float(np.nanmean(v)), "worst": float(np.nanmax(np.abs(v)))} for name, v in kept.items()
            },
        }
        for size in (14, 8, 4):
            row[f"other_people_{size}"] = _other_people(table, source.name, target.name, size, draws, rng, used)
        result[f"{source.name} to {target.name}"] = row
    alike = {}
    for size in (8, 4):
        hits = []
        for _ in range(draws):
            kernel = KERNELS[rng.integers(len(KERNELS))].name
            order = rng.permutation(len(table[kernel]))
            hits.append(differ(table[kernel][order[:size]], table[kernel][order[size : 2 * size]]).is_alike)
        alike[str(size)] = float(np.mean(hits))
    return {**result, "alike_nothing_applied": alike}


def _other_people(
    table: dict[str, np.ndarray],
    source: str,
    target: str,
    size: int,
    draws: int,
    rng: np.random.Generator,
    used: np.ndarray,
) -> dict[str, float]:
    """Error of the difference in power (logarithm) that is applied, and how often nothing is."""
    errors, nothing = [], []
    truth = np.log(table[source][:, used] / table[target][:, used]).mean(axis=0)
    for _ in range(draws):
        order = rng.permutation(len(table[source]))
        found = differ(table[source][order[:size]], table[target][order[size : 2 * size]])
        errors.append(np.array(found.applied)[: len(truth)] - truth)
        nothing.append(found.is_alike)
    return {"rms": float(np.sqrt(np.mean(np.square(errors)))), "nothing_applied": float(np.mean(nothing))}


def known_blur() -> list[dict[str, Any]]:
    """Power after alignment over that behind a known blur: ten real CTs, the same at both sites."""
    plain = scans.real()
    powers = np.array([spectrum(values, REAL_SPACING_MM) for values in plain.values()])
    rows = []
    for sigma_mm in (0.5, 0.8):
        goal = np.array([spectrum(values, REAL_SPACING_MM) for _, values in scans.blurred(sigma_mm)])
        difference = differ(powers, goal, shrink=False)
        after = [spectrum(align(values, difference, REAL_SPACING_MM), REAL_SPACING_MM) for values in plain.values()]
        used = (shells_per_mm() <= HIGHEST_PER_MM) & np.all(goal > 0, axis=0)
        raw, ratios = (np.log(part[:, used] / goal[:, used]) for part in (powers, np.array(after)))
        rows.append({
            "sigma_mm": sigma_mm,
            "before": np.exp(raw.mean(axis=0)).round(3).tolist(),
            "after": np.exp(ratios.mean(axis=0)).round(3).tolist(),
            "within_10_percent": float(np.mean(np.abs(np.exp(ratios) - 1) <= 0.1)),
        })  # fmt: skip
    return rows


def text(results: dict[str, Any]) -> str:
    """Markdown tables."""
    real = results["kernels"]
    lines = [
        f"{real['scans']} real CTs with two kernels, each left out of its own site; a nearest neighbor names the "
        "kernel by",
        "",
        "| | level of the power | its shape | both | texture |", "|---|---|---|---|---|",
    ]  # fmt: skip
    for when in ("before", "after"):
        cells = [f"{real[when][name]:.0%}" for name in ("level", "shape", "level and shape", "texture")]
        lines.append(f"| {when} | " + " | ".join(cells) + " |")
    frequencies = " | ".join(f"{k:.2f}" for k in real["frequencies_per_mm"])
    lines += ["", "Standard over soft kernel, power at frequencies per mm:", "", f"| | {frequencies} |",
              "|---|" + "---|" * len(real["frequencies_per_mm"])]  # fmt: skip
    for when in ("before", "after"):
        lines.append(f"| {when} | " + " | ".join(f"{np.exp(v):.2f}" for v in real[f"log_difference_{when}"]) + " |")
    lines += ["", "Between two and three scans of one kernel nothing is applied in "
              f"{real['one_kernel_nothing_applied']:.0%} of the splits."]  # fmt: skip
    changed = [row for row in real["preserved"] if row["tissue_rms_hu"] > 0]
    lines += [
        "", f"What stays in the {len(changed)} scans that changed (by "
        f"{np.mean([row['tissue_rms_hu'] for row in changed]):.0f} HU, root mean square of soft tissue):", "",
        "| | mean | worst scan |", "|---|---|---|",
    ]  # fmt: skip
    for key, title in TITLES.items():
        values = np.array([row[key] for row in changed])
        lines.append(f"| {title} | {np.nanmean(values):.2f} | {values[np.nanargmax(np.abs(values))]:.2f} |")
    lines += _simulated_lines(results["simulated"])
    blur = results["known_blur"]
    lines += ["", "The ten CTs against themselves behind a known Gaussian, without shrinkage: power over that of the "
              "target before → after:", "",
              "| σ, mm | " + " | ".join(f"{k:.2f}" for k in real["frequencies_per_mm"][: len(blur[0]["after"])]) + " |",
              "|---|" + "---|" * len(blur[0]["after"])]  # fmt: skip
    for row in blur:
        cells = [f"{b:.2f} → {a:.2f}" for b, a in zip(row["before"], row["after"], strict=True)]
        lines.append(f"| {row['sigma_mm']} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _simulated_lines(found: dict[str, Any]) -> list[str]:
    frequencies = found["frequencies_per_mm"]
    lines = ["", f"{found['people']} CTs behind simulated kernels, the same people at both sites: power over that of "
             "the target before → after, at frequencies per mm; scans and frequencies within 10 % after.", "",
             "| kernels | " + " | ".join(f"{k:.2f}" for k in frequencies) + " | within 10 % |",
             "|---|" + "---|" * (len(frequencies) + 1)]  # fmt: skip
    pairs = [name for name in found if " to " in name]
    for name in pairs:
        row = found[name]
        cells = [f"{b:.2f} → {a:.2f}" for b, a in zip(row["before"], row["after"], strict=True)]
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {row['within_10_percent']:.0%} |")
    lines += ["", "Sites of other people: error of the power that is applied (root mean square of the logarithm), "
              "and draws in which nothing is applied.", "",
              "| kernels | 14 scans each | 8 | 4 |", "|---|---|---|---|"]  # fmt: skip
    for name in pairs:
        cells = [found[name][f"other_people_{size}"] for size in (14, 8, 4)]
        lines.append(f"| {name} | " + " | ".join(f"{c['rms']:.2f}, {c['nothing_applied']:.0%}" for c in cells) + " |")
    alike = found["alike_nothing_applied"]
    lines += ["", "Sites with the same kernel and other people: nothing is applied in "
              f"{alike['8']:.1%} of the draws with 8 scans each, {alike['4']:.1%} with 4."]  # fmt: skip
    lines += [
        "",
        "What stays there: largest mean over the scans of one pair, and the worst scan of all.",
        "",
        "| | mean | worst scan |",
        "|---|---|---|",
    ]
    for key, title in TITLES.items():
        kept = [found[name]["kept"][key] for name in pairs]
        mean, worst = (max((row[name] for row in kept), key=abs) for name in ("mean", "worst"))
        lines.append(f"| {title} | {mean:.2f} | {worst:.2f} |")  # fmt: skip
    return lines


def main() -> None:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="path without suffix: .json and .txt are written")
    parser.add_argument("--work", type=Path, required=True, help="folder for what is simulated")
    parser.add_argument("--draws", type=int, default=400)
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {"version": ssimh.__version__, "draws": given.draws, "kernels": kernels()}
    results["known_blur"] = known_blur()
    results["simulated"] = simulated(simulate(given.work), given.draws)
    given.out.with_suffix(".json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    given.out.with_suffix(".txt").write_text(text(results), encoding="utf-8")
    print(text(results))


if __name__ == "__main__":
    main()
