"""Time of post-processing one case, compared with plain SciPy: ``python benchmarks/postprocess.py``.

The mask is 200 × 200 × 310 voxels of 1 mm (the published crop): a primary tumor of 25 ml, eight nodes of 0.5 to 14 ml
at 20 to 150 mm, and 200 specks. "plain" labels every class on the whole volume, counts each component by comparing the
whole volume with its number, and reads the Euclidean distance transform of the whole volume. Both give the same mask,
which is asserted. Times are the smallest of several runs; quote the ratio.
"""

from __future__ import annotations

import timeit
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hnseg.inference.postprocess import postprocess_label
from hnseg.settings.predict import PredictConfig

SHAPE = (310, 200, 200)
SPACINGS_MM = {"1 mm": (1.0, 1.0, 1.0), "3 x 0.98 x 0.98 mm": (3.0, 0.977, 0.977)}
SETTINGS = PredictConfig()
RUNS = 5


def make_mask(specks: int = 200) -> NDArray[np.uint8]:
    """A mask with a tumor, nodes and specks, from a fixed seed."""
    rng = np.random.default_rng(0)
    label = np.zeros(SHAPE, np.uint8)
    tumor = np.array([200, 100, 100])
    for radius, distance in ((5, 20), (8, 35), (6, 50), (15, 60), (7, 80), (9, 95), (11, 120), (6, 150)):
        angle = rng.uniform(0, 2 * np.pi)
        shift = np.array([-0.9 * distance, 0.3 * distance * np.cos(angle), 0.3 * distance * np.sin(angle)])
        draw(label, tumor + shift, radius, 2)
    draw(label, tumor, 18, 1)
    for _ in range(specks):
        z, y, x = (rng.integers(1, n - 1) for n in SHAPE)
        label[z, y, x : x + 2] = rng.integers(1, 3)
    return label


def draw(label: NDArray[np.uint8], center: NDArray[np.float64], radius: float, value: int) -> None:
    """Draw a ball."""
    grid = np.ogrid[tuple(slice(0, n) for n in SHAPE)]
    label[sum((axis - c) ** 2 for axis, c in zip(grid, center, strict=True)) <= radius**2] = value


def plain(label: NDArray[np.uint8], spacing: tuple[float, float, float]) -> NDArray[np.uint8]:
    """Post-processing with plain SciPy over the whole volume."""
    out, structure = label.copy(), np.ones((3, 3, 3))
    voxel_ml = float(np.prod(spacing)) / 1000
    for value, least_ml in ((1, SETTINGS.min_gtvp_ml), (2, SETTINGS.min_gtvn_ml)):
        parts, count = ndimage.label(label == value, structure)
        for number in range(1, count + 1):
            part = parts == number
            if part.sum() * voxel_ml < least_ml:
                out[part] = 0
    distance = ndimage.distance_transform_edt(out != 1, sampling=spacing)
    parts, count = ndimage.label(out == 2, structure)
    for number in range(1, count + 1):
        part = parts == number
        if distance[part].min() > SETTINGS.max_node_distance_mm:
            out[part] = 0
    return out


def main() -> None:
    """Print one row per spacing."""
    label = make_mask()
    print(f"{'spacing (z, y, x)':<20} {'hnseg':>9} {'plain':>9} {'ratio':>7}   components removed")
    for name, spacing in SPACINGS_MM.items():
        ours, removed = postprocess_label(label, spacing, SETTINGS)
        assert np.array_equal(ours, plain(label, spacing))
        times = timeit.repeat(partial(postprocess_label, label, spacing, SETTINGS), number=1, repeat=RUNS)
        fast = min(times)
        slow = timeit.timeit(partial(plain, label, spacing), number=1)
        print(f"{name:<20} {fast:>7.3f} s {slow:>7.1f} s {slow / fast:>6.0f}x   {len(removed)}")


if __name__ == "__main__":
    main()
