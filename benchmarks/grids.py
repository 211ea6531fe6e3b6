"""What ``grid="physical"`` changes and costs beside ``grid="same"``.

    python benchmarks/grids.py CT REFERENCE     # two CT files on any grids
    python benchmarks/grids.py                  # a generated head and neck, twice

* equality: largest difference of the change of a voxel when the image is flipped, permuted, padded (the same voxels)
  or resampled (the field at the same points), and from ``grid="same"`` on the reference's own grid;
* bound: what no slice-by-slice method falls below when the slices are doubled, see :func:`slice_bound`;
* crops: mean absolute difference of the change within the crop from that of the whole image, in soft tissue
  (-150 … 150 HU), for crops of the field of view around the center;
* cost: time in turns on one image of 310 × 200 × 200 float32, as a multiple of ``grid="same"``.
"""

from __future__ import annotations

import argparse
import statistics
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy.ndimage
import scipy.optimize

from ssimh import ReferenceSpectrum, cosine_basis, swap_spectrum
from ssimh._kernels.least_squares import add_in_box
from ssimh._kernels.settings import SwapSettings
from ssimh.box import resize_affine, turn_affine
from ssimh.box_swap import Placement
from ssimh.swap import swap_with_delta

ROUNDS = 7
SHARES = (0.95, 0.9, 0.75, 0.5)
AXES = {"slice": (-2, -1), "volume": (-3, -2, -1)}


def read(paths: list[Path]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Image and affine of two CT files, or of a generated neck."""
    if paths:
        from ssimh.images.scan import read_scan

        scans = [read_scan(path) for path in paths]
        return [(scan.values.astype(np.float64), scan.affine) for scan in scans]
    affine = np.array([[0.0, 0, -2, 128], [0, -2, 0, 128], [3, 0, 0, -90], [0, 0, 0, 1]])
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in (60, 128, 128)), indexing="ij")
    found = []
    for seed, width in ((0, 0.6), (1, 0.65)):
        body = (x / width) ** 2 + (y / (0.55 + 0.1 * z)) ** 2 < 1
        values = np.where(body, 40 + 20 * x * y + 10 * seed, -1000.0)
        values = np.where(x**2 + (y - 0.2) ** 2 < 0.01, 600.0, values)
        found.append((values + np.random.default_rng(seed).normal(0, 15, values.shape), affine))
    return found


def change(image: np.ndarray, affine: np.ndarray, reference: ReferenceSpectrum) -> np.ndarray:
    """What the swap adds to each voxel."""
    return swap_spectrum(image, reference, axes=reference.axes, grid="physical", affine=affine) - image


def measure_equality(image: np.ndarray, affine: np.ndarray, reference: ReferenceSpectrum) -> dict[str, float]:
    """Largest differences in HU."""
    whole, shape = change(image, affine, reference), image.shape
    turned = []
    for order, flips in (
        ((2, 1, 0), (1, 0, 1)),
        ((1, 2, 0), (0, 1, 1)),
        ((0, 1, 2), (1, 1, 1)),
        ((1, 0, 2), (0, 0, 1)),
    ):
        steps = tuple(slice(None, None, -1 if flip else 1) for flip in flips)
        view = image.transpose(order)[steps]
        back = change(view, turn_affine(affine, shape, order, flips), reference)[steps].transpose(np.argsort(order))
        turned.append(np.abs(back - whole).max())
    margins = ((3, 2), (11, 4), (0, 17))
    moved = affine.copy()
    moved[:3, 3] -= affine[:3, :3] @ [low for low, _ in margins]
    padded = change(np.pad(image, margins, constant_values=-1024.0), moved, reference)
    inner = tuple(slice(low, low + n) for (low, _), n in zip(margins, shape, strict=True))
    settings = SwapSettings(axes=reference.axes, grid="physical")
    field = swap_with_delta(image, reference, settings, Placement(affine))[1]
    result = {"flipped, permuted": max(turned), "padded": np.abs(padded[inner] - whole).max()}
    for name, factors in (
        ("in plane × 1.5", (1, 1.5, 1.5)),
        ("in plane × 0.75", (1, 0.75, 0.75)),
        ("slices × 2", (2, 1, 1)),
    ):
        sizes = tuple(round(n * factor) for n, factor in zip(shape, factors, strict=True))
        points = [(np.arange(n) + 0.5) * old / n - 0.5 for n, old in zip(sizes, shape, strict=True)]
        other = scipy.ndimage.map_coordinates(image, np.meshgrid(*points, indexing="ij"), order=1, mode="nearest")
        swapped, its = swap_with_delta(other, reference, settings, Placement(resize_affine(affine, shape, sizes)))
        axes = its.axes
        expected = field.delta if len(axes) == 3 else _slices(field, its, shape, sizes)
        result[f"resampled {name}"] = np.abs(add_in_box(other, expected, its.box, None, axes) - swapped).max()
    return result


def _slices(field, its, shape, sizes):  # type: ignore[no-untyped-def]
    """The first field's coefficients at the slices of the second image, by linear interpolation."""
    axis = next(number for number in (-3, -2, -1) if number not in its.axes)
    place = field.box[axis + 3]
    first = place.positions(shape[axis])[place.centered(shape[axis])]
    places = its.box[axis + 3].positions(sizes[axis])[its.box[axis + 3].centered(sizes[axis])]
    order = np.argsort(first)
    rows = np.moveaxis(field.delta, axis, -1)
    found = np.apply_along_axis(lambda row: np.interp(places, first[order], row[order]), -1, rows)
    return np.moveaxis(found, -1, axis)


def slice_bound(reference: ReferenceSpectrum, points: int = 9) -> float:
    """Least error in HU of any method for twice as many slices, given that it is exact on the reference's own slices.

    Two images of zeros, one on the reference's slices and one half a slice off, are the same image once their slices
    are doubled. The change of the first is the reference itself. So what the second one changes by, whatever it is,
    must lie between its slices where the reference lies between its own: a linear program for each voxel of a slice.
    Its optimum is twice the error, because both images may deviate from what they have in common.

    Args:
        reference: Of slices along the first axis.
        points: Voxels along each axis of a slice.
    """
    numbers, (n, rows, columns) = np.asarray(reference.coefficients), reference.shape
    y, x = (
        cosine_basis(size, numbers.shape[-1])[:, np.linspace(0, size - 1, points).astype(int)]
        for size in (rows, columns)
    )
    places = np.arange(0.75, n - 1.25, 0.5)  # without the outermost, where nothing lies on the other side
    own = _hat(places, np.arange(n)) @ np.einsum("zkl,ky,lx->zyx", numbers, y, x).reshape(n, -1)
    other = _hat(places, np.arange(n - 1) + 0.5)
    reach = np.ones((len(places), 1))
    limits = np.block([[other, -reach], [-other, -reach]])
    cost, free = np.r_[np.zeros(n - 1), 1.0], [(None, None)] * n
    optima = [
        scipy.optimize.linprog(cost, limits, np.r_[column, -column], bounds=free, method="highs").fun
        for column in own.T
    ]
    return max(optima) / 2


def _hat(places: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """Weights (places, knots) of linear interpolation between knots one apart."""
    return np.maximum(0.0, 1.0 - np.abs(places[:, None] - knots))


def measure_crops(image: np.ndarray, affine: np.ndarray, reference: ReferenceSpectrum) -> dict[float, float]:
    """Mean absolute difference in soft tissue, HU, by the share of the field of view along x and y."""
    whole, found = change(image, affine, reference), {}
    for share in SHARES:
        low = [0, *(round(n * (1 - share) / 2) for n in image.shape[1:])]
        part = tuple(slice(first, n - first) for first, n in zip(low, image.shape, strict=True))
        moved = affine.copy()
        moved[:3, 3] += affine[:3, :3] @ low
        tissue = np.abs(image[part]) < 150
        found[share] = float(np.abs(change(image[part], moved, reference) - whole[part])[tissue].mean())
    return found


def measure_cost() -> dict[str, float]:
    """Median time as a multiple of that of ``grid="same"``."""
    rng = np.random.default_rng(0)
    image = rng.normal(0, 300, (310, 200, 200)).astype(np.float32)
    affine = np.diag([3.0, 1, 1, 1])
    y, x = np.meshgrid(*[np.linspace(-1, 1, 200)] * 2, indexing="ij")
    mask = np.broadcast_to((x / 0.8) ** 2 + (y / 0.6) ** 2 < 1, image.shape).copy()
    reference = ReferenceSpectrum.from_image(image[::-1], affine=affine)
    ways: dict[str, Callable[[], object]] = {
        "same": lambda: swap_spectrum(image, reference),
        "same, mask": lambda: swap_spectrum(image, reference, mask=mask),
        "physical": lambda: swap_spectrum(image, reference, grid="physical", affine=affine),
        "physical, mask": lambda: swap_spectrum(image, reference, grid="physical", affine=affine, mask=mask),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            begin = time.process_time()
            way()
            times[name].append(time.process_time() - begin)
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, way in ways.items():
        tracemalloc.start()
        way()
        print(f"{name}: peak allocation {tracemalloc.get_traced_memory()[1] / image.nbytes:.2f} × the image")
        tracemalloc.stop()
    return {name: value / medians["same"] for name, value in medians.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="*", type=Path)
    parser.add_argument("--no-cost", action="store_true")
    arguments = parser.parse_args()
    (image, affine), (donor, donor_affine) = read(arguments.paths)
    for mode, axes in AXES.items():
        reference = ReferenceSpectrum.from_image(donor, axes=axes, affine=donor_affine)
        middle = affine[:3, :3] @ ((np.array(image.shape) - 1) / 2) + affine[:3, 3]
        own = ReferenceSpectrum.from_image(image[:, ::-1], axes=axes, affine=affine)
        same = np.abs(change(image, affine, own) + image - swap_spectrum(image, own, axes=axes)).max()
        print(f"{mode}: on the own grid, from grid='same': {same:.1e} HU")
        center = donor_affine[:3, :3] @ ((np.array(donor.shape) - 1) / 2) + donor_affine[:3, 3]
        placed = affine.copy()
        placed[:3, 3] += center - middle  # the centers of both images coincide
        for name, value in measure_equality(image, placed, reference).items():
            print(f"{mode}: {name}: {value:.2g} HU")
        if mode == "slice":
            print(f"{mode}: resampled slices × 2, no method below: {slice_bound(reference):.2g} HU")
        for share, value in measure_crops(image, placed, reference).items():
            print(f"{mode}: crop to {share:.0%} in x and y: {value:.1f} HU")
    if not arguments.no_cost:
        print("CPU time, multiples of grid='same':", {name: round(v, 1) for name, v in measure_cost().items()})


if __name__ == "__main__":
    main()
