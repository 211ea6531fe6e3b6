"""How well the resolution of PET sites is found from patients, and what alignment does to small lesions.

    python benchmarks/site_resolution.py --out docs/ssimh/site_resolution --work FOLDER [--draws 200]

Real anatomy (28 head-and-neck CTs) with simulated uptake, on scanners of known resolution with noise; other patients
of the generated cohort; and ten real PETs, to which a known blur is added. Writes OUT.json and OUT.txt. Everything
that is simulated is kept in FOLDER. ``--shape`` prints the shape of anatomy that ``ssimh/site/resolution.py`` uses.
"""

from __future__ import annotations

import argparse
import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import site_resolution_scans as scans
from scipy import ndimage
from site_resolution_scans import ANISOTROPIC, ISOTROPIC, NOISES, RINGING, SPACING_MM, Camera, Scanner

import ssimh
from ssimh import SiteSpectrum, site_difference
from ssimh.site import resolution
from ssimh.site.alignment import apply_difference
from ssimh.site.power_spectrum import FWHM_PER_SIGMA, bins
from ssimh.site.site_difference import SiteDifference
from ssimh.site.subjects import PET_SUBJECT

NO_NOISE = (0.0, 5.0)
EVERY = (*ISOTROPIC, *ANISOTROPIC, *RINGING)
COARSEST = ISOTROPIC[-1]
LESION_ML = (1.0, 5.0)
LESION_NOISE = NOISES[0]


def measure(work: Path) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """Spectra of every patient on every scanner, (patients, scanners, noises), and cut-outs of the lesions.

    The last of the noises is none.
    """
    path = work / "measured.npz"
    if not path.is_file():
        table, cuts = [], []
        for truth in scans.truths(work):
            camera, row = Camera(truth, work), []
            images = [camera.image(scanner) for scanner in EVERY]
            for number, image in enumerate(images):
                rng = np.random.default_rng([1, len(table), number])
                noisy = [scans.add_noise(image, *noise, rng) for noise in NOISES] + [image]
                site = [SiteSpectrum.fit([one], spacing_mm=SPACING_MM, modality="PT") for one in noisy]
                row.append(np.concatenate([one.subjects for one in site]))
                images[number] = np.stack([image, noisy[0]])
            table.append(np.stack(row))
            cuts.extend(_cut(truth, images))
            print(f"{truth.name}: {len(cuts)} lesions so far", flush=True)
        np.savez(path, table=np.stack(table), **{f"lesion_{n}": cut["images"] for n, cut in enumerate(cuts)})
        np.savez(work / "lesion_masks.npz", **{f"lesion_{n}": cut["mask"] for n, cut in enumerate(cuts)})
    held, masks = np.load(path), np.load(work / "lesion_masks.npz")
    near = (..., *(slice(3, -3),) * 3)
    lesions = [{"images": held[name][near], "mask": masks[name][near]} for name in masks.files]
    return held["table"], lesions


def _cut(truth: scans.Truth, images: list[np.ndarray]) -> list[dict[str, Any]]:
    """The surroundings of each lesion of 1 to 5 ml on every scanner, (scanners, with and without noise, z, y, x)."""
    found = []
    for number, volume_ml in enumerate(truth.volumes_ml, start=1):
        mask = np.pad(truth.lesions == number, ((0, 0), (10, 10), (10, 10)))[::2, ::2, ::2]
        if not LESION_ML[0] <= volume_ml <= LESION_ML[1] or mask.sum() < 4:
            continue
        middle = np.rint(np.argwhere(mask).mean(axis=0)).astype(int)
        box = tuple(slice(max(0, at - 14), at + 15) for at in middle)
        found.append({"images": np.stack([image[(slice(None), *box)] for image in images]), "mask": mask[box]})
    return found


def site(table: np.ndarray, people: np.ndarray, scanner: Scanner, noise: int) -> SiteSpectrum:
    """The site of some patients on a scanner."""
    rows = table[people, EVERY.index(scanner), noise]
    return SiteSpectrum(np.ascontiguousarray(rows, dtype=PET_SUBJECT), modality="PT")


def draw_pairs(
    table: np.ndarray, scanners: tuple[Scanner, ...], size: int, draws: int, *, alike: bool, seed: int
) -> list[tuple[Scanner, Scanner, SiteDifference]]:
    """Sites of other patients, each with its own noise, on two scanners drawn at random, or on the same."""
    rng = np.random.default_rng([seed, size])
    pairs = []
    for _ in range(draws):
        people = rng.permutation(len(table))
        one, other = (scanners[n] for n in rng.choice(len(scanners), 2, replace=False))
        other = one if alike else other
        noises = rng.integers(len(NOISES), size=2)
        pair = (site(table, people[:size], one, noises[0]), site(table, people[size : 2 * size], other, noises[1]))
        pairs.append((one, other, site_difference(*pair)))
    return pairs


def errors(pairs: list[tuple[Scanner, Scanner, SiteDifference]]) -> dict[str, Any]:
    """Error of the difference in FWHM, before and after shrinkage, mm."""
    truth, raw, applied, standard = [], [], [], []
    for one, other, difference in pairs:
        found = difference.resolution
        assert found is not None
        truth.append(np.subtract(one.fwhm_mm, other.fwhm_mm))
        widths = np.add(one.fwhm_mm, other.fwhm_mm)
        for values, mm2 in ((raw, found.raw_mm2), (applied, found.applied_mm2), (standard, found.error_mm2)):
            values.append(FWHM_PER_SIGMA**2 * np.array(mm2) / widths)
    result: dict[str, Any] = {"draws": len(pairs)}
    for name, values in (("measured", raw), ("applied", applied)):
        off = np.array(values) - np.array(truth)
        result[name] = {
            "rms_mm": np.sqrt(np.mean(off**2, axis=0)).round(3).tolist(),
            "within_0.5_mm": np.mean(np.abs(off) <= 0.5 + 1e-6, axis=0).round(3).tolist(),
            "within_0.8_mm": np.mean(np.abs(off) <= 0.8 + 1e-6, axis=0).round(3).tolist(),
            "bias_mm": np.mean(off * np.sign(truth), axis=0).round(3).tolist(),
        }
    largest = np.abs(applied).max(axis=1)
    result["nothing_applied"] = float(np.mean(largest == 0))
    result["at_most_0.3_mm_applied"] = float(np.mean(largest <= 0.3))
    result["standard_error_mm"] = np.median(standard, axis=0).round(3).tolist()
    result["error_over_standard_error"] = np.std((np.array(raw) - truth) / np.array(standard), axis=0).round(2).tolist()
    return result


def peaks(image: np.ndarray, mask: np.ndarray) -> tuple[float, float]:
    """SUVpeak (largest mean over a sphere of 1 ml about a voxel of the lesion) and SUVmax."""
    near = ndimage.binary_dilation(mask)
    spheres = ndimage.convolve(image.astype(np.float64), _sphere(), mode="nearest")
    return float(spheres[near].max()), float(image[near].max())


def _sphere() -> np.ndarray:
    """Share of each voxel of 4 mm in a sphere of 1 ml, over their sum."""
    fine = (np.arange(-2 * 10 - 5, 2 * 10 + 5) + 0.5) * 0.4
    inside = (fine[:, None, None] ** 2 + fine[:, None] ** 2 + fine**2) <= (3000 / (4 * np.pi)) ** (2 / 3)
    share = inside.reshape(5, 10, 5, 10, 5, 10).mean(axis=(1, 3, 5))
    return np.asarray(share / share.sum())


def lesion_spread(
    table: np.ndarray, lesions: list[dict[str, Any]], scanners: tuple[Scanner, ...], size: int, draws: int
) -> dict[str, Any]:
    """Spread of SUVpeak and SUVmax between scanners, relative to their mean, before and after alignment to 8 mm."""
    rng = np.random.default_rng([3, size])
    before = np.array([[[peaks(image, lesion["mask"]) for image in lesion["images"][EVERY.index(s)]]
                        for s in scanners] for lesion in lesions])  # fmt: skip
    kept, after_all, alike = [], [], []
    for _ in range(draws):
        after = np.empty_like(before)
        for place, scanner in enumerate(scanners):
            people, noises = rng.permutation(len(table)), rng.integers(len(NOISES), size=2)
            source = site(table, people[:size], scanner, noises[0])
            target = site(table, people[size : 2 * size], COARSEST, noises[1])
            difference = site_difference(source, target)
            for number, lesion in enumerate(lesions):
                images = apply_difference(
                    lesion["images"][EVERY.index(scanner)], difference, spacing_mm=SPACING_MM, unit="SUV"
                )
                sums = lesion["images"][EVERY.index(scanner)].sum(axis=(1, 2, 3), dtype=np.float64)
                kept.append(np.abs(images.sum(axis=(1, 2, 3), dtype=np.float64) / sums - 1).max())
                after[number, place] = [peaks(image, lesion["mask"]) for image in images]
            if scanner == COARSEST:
                alike.append(np.abs(after[:, place] / before[:, place] - 1).max())
        after_all.append(after)
    result: dict[str, Any] = {"lesions": len(lesions), "draws": draws, "largest_change_of_sum": float(np.max(kept))}
    for number, noise in enumerate(("without noise", "with noise")):
        for place, score in enumerate(("SUVpeak", "SUVmax")):
            spread = [np.mean(_relative_spread(v[:, :, number, place])) for v in (before, *after_all)]
            result[f"{score} {noise}"] = {
                "before": float(spread[0]), "after": float(np.mean(spread[1:])),
                "worst_draw": float(np.max(spread[1:])),
            }  # fmt: skip
    result["alike_within_1_percent"] = float(np.mean(np.array(alike) <= 0.01))
    return result


def _relative_spread(values: np.ndarray) -> np.ndarray:
    return np.asarray(values.std(axis=1, ddof=1) / values.mean(axis=1))


def known_blur() -> dict[str, Any]:
    """Variance found against variance added, mm², in real PET: the same patients with and without the blur."""
    cases = list(scans.real_pet())
    plain = SiteSpectrum.fit((v for _, v, _ in cases), spacing_mm=[s for *_, s in cases], modality="PT")
    rows = []
    for added in ((1.0, 1.0), (2.0, 2.0), (4.0, 4.0), (7.0, 7.0), (4.0, 1.0), (1.0, 4.0)):
        blurred = (scans.blur(values, spacing, *added) for _, values, spacing in cases)
        there = SiteSpectrum.fit((np.maximum(v, 0) for v in blurred), spacing_mm=[s for *_, s in cases], modality="PT")
        found = site_difference(there, plain, shrink=False).resolution
        assert found is not None
        rows.append({"added_mm2": added, "found_mm2": [round(v, 2) for v in found.raw_mm2]})
    coarse = [case for case in cases if case[2][1] > 5]
    fine = [case for case in cases if case[2][1] <= 5]
    sites = [SiteSpectrum.fit([v for _, v, _ in part], spacing_mm=[s for *_, s in part], modality="PT")
             for part in (coarse, fine)]  # fmt: skip
    return {"cases": len(cases), "rows": rows, "pixels_of_5.5_mm_against_smaller": str(site_difference(*sites))}


def generated(work: Path, draws: int, count: int = 16) -> dict[str, Any]:
    """Error of the difference between centers of generated patients, eight and four each."""
    widths = (5.5, 6.5, 8.0)
    path = work / "generated.npy"
    if not path.is_file():
        sites = [
            SiteSpectrum.fit([pet], spacing_mm=spacing, modality="PT")
            for mm, index in product(widths, range(1, count + 1))
            for pet, spacing in [scans.generated_pet(mm, index)]
        ]
        np.save(path, np.concatenate([site.subjects for site in sites]).reshape(len(widths), count))
    subjects = dict(zip(widths, np.load(path), strict=True))
    rng = np.random.default_rng(5)
    result = {}
    for size in (8, 4):
        pairs = []
        for _, (one, other) in product(range(draws), ((5.5, 6.5), (5.5, 8.0), (6.5, 8.0))):
            people = rng.permutation(count)
            chosen = (subjects[one][people[:size]], subjects[other][people[size : 2 * size]])
            difference = site_difference(*(SiteSpectrum(part, modality="PT") for part in chosen))
            pairs.append((Scanner(one, one), Scanner(other, other), difference))
        result[str(size)] = errors(pairs)
    return result


def shape(table: np.ndarray) -> list[float]:
    """Coefficients of :data:`ssimh.site.resolution.SHAPE`, from the patients on 6.5 mm without noise."""
    power = np.log(table[:, EVERY.index(Scanner(6.5, 6.5)), len(NOISES)]["power_mm3"]).mean(axis=0)
    found = bins()
    sharp = power + 4 * np.pi**2 * (resolution.SHAPE_FWHM_MM / FWHM_PER_SIGMA) ** 2 * found.k2
    slope, direction = np.log(np.sqrt(found.k2) / 0.05), found.axial2 / found.k2
    terms = np.stack([np.ones_like(slope), slope, direction, direction * slope, slope**2, direction**2], axis=-1)
    weight = np.sqrt(found.count).ravel()
    answer = np.linalg.lstsq(terms.reshape(-1, 6) * weight[:, None], sharp.ravel() * weight, rcond=None)[0]
    return [0.0, *(round(float(value), 3) for value in answer[1:])]


def text(results: dict[str, Any]) -> str:
    """Markdown tables."""
    lines = [
        f"Difference in resolution of two sites of other patients with other noise; {results['draws']} draws each; "
        "error of the difference in FWHM (root mean square, mm; in plane / axial).",
        "",
        "| scanners | scans per site | measured | standard error stated | applied | applied: within 0.5 mm | 0.8 mm |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in results["pairs"].items():
        scanners, size = name.rsplit(", ", 1)
        cells = [_pair(row["measured"]["rms_mm"]), _pair(row["standard_error_mm"]), _pair(row["applied"]["rms_mm"])]
        cells += [_percent(row["applied"][f"within_{mm}_mm"]) for mm in ("0.5", "0.8")]
        lines.append(f"| {scanners} | {size} | " + " | ".join(cells) + " |")
    lines += [
        "",
        "| sites that are alike | scans per site | nothing applied | at most 0.3 mm applied |",
        "|---|---|---|---|",
    ]
    for name, row in results["alike"].items():
        scanners, size = name.rsplit(", ", 1)
        lines.append(
            f"| {scanners} | {size} | {row['nothing_applied']:.1%} | {row['at_most_0.3_mm_applied']:.1%} of draws |"
        )
    first = next(iter(results["lesions"].values()))
    lines += [
        "", f"Spread between scanners (standard deviation over mean) of {first['lesions']} lesions of 1 to 5 ml, each "
        "aligned to the scanner of 8 mm.", "",
        "| scanners | scans per site | score | before | after | worst draw |", "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for name, row in results["lesions"].items():
        scanners, size = name.rsplit(", ", 1)
        for score in (key for key in row if key.startswith("SUV")):
            cells = [f"{row[score][key]:.1%}" for key in ("before", "after", "worst_draw")]
            lines.append(f"| {scanners} | {size} | {score} | " + " | ".join(cells) + " |")
    largest = max(row["largest_change_of_sum"] for row in results["lesions"].values())
    lines += [
        "",
        f"The sum over the image changes by {largest:.0e} at most. Where scanners are alike, no score of any lesion "
        f"changes by more than 1 % in {first['alike_within_1_percent']:.0%} of {first['draws']} draws.",
    ]
    blur = results["known_blur"]
    lines += ["", f"{blur['cases']} real PETs against themselves after a known blur: σ² in plane and axial, mm².", "",
              "| added | found |", "|---|---|"]  # fmt: skip
    lines += [f"| {_pair(row['added_mm2'], 1)} | {_pair(row['found_mm2'], 1)} |" for row in blur["rows"]]
    return "\n".join(lines) + "\n"


def _pair(values: list[float], digits: int = 2) -> str:
    return f"{values[0]:.{digits}f} / {values[1]:.{digits}f}"


def _percent(values: list[float]) -> str:
    return f"{values[0]:.0%} / {values[1]:.0%}"


def main() -> None:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="path without suffix: .json and .txt are written")
    parser.add_argument("--work", type=Path, required=True, help="folder for what is simulated")
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--shape", action="store_true", help="print the shape of anatomy and stop")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    table, lesions = measure(given.work)
    if given.shape or given.out is None:
        print(shape(table))
        return
    groups = {"Gaussian, isotropic": ISOTROPIC, "Gaussian, anisotropic": ANISOTROPIC, "Gaussian and ringing": (
        ISOTROPIC[0], ISOTROPIC[3], ISOTROPIC[6], *RINGING)}  # fmt: skip
    few = max(1, given.draws // 20)
    results: dict[str, Any] = {"version": ssimh.__version__, "draws": given.draws, "shape": shape(table)}
    pairs = results["pairs"] = {}
    for name, group in groups.items():
        for size in (8, 4):
            pairs[f"{name}, {size}"] = errors(draw_pairs(table, group, size, given.draws, alike=False, seed=1))
    results["alike"] = {f"all, {size}": errors(draw_pairs(table, EVERY, size, 2 * given.draws, alike=True, seed=2))
                        for size in (8, 4)}  # fmt: skip
    results["known_blur"] = known_blur()
    results["lesions"] = {}
    for name, scanners, size in (
        ("5 to 8 mm", ISOTROPIC, 8), ("5 to 8 mm", ISOTROPIC, 4),
        ("anisotropic", (*ANISOTROPIC, COARSEST), 8), ("ringing", (*RINGING, COARSEST), 8),
    ):  # fmt: skip
        results["lesions"][f"{name}, {size}"] = lesion_spread(table, lesions, scanners, size, few)
        write(results, given.out)
    for size, row in generated(given.work, given.draws // 3).items():
        pairs[f"generated patients, {size}"] = row
    write(results, given.out)
    print(text(results))


def write(results: dict[str, Any], out: Path) -> None:
    """Write what is measured so far."""
    out.with_suffix(".json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    out.with_suffix(".txt").write_text(text(results), encoding="utf-8")


if __name__ == "__main__":
    main()
