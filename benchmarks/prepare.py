"""Speed and memory of preparing a case, as ratios of one run.

    python benchmarks/prepare.py            # about two minutes on two cores

A generated head and trunk: a CT of 512 × 512 × 300 voxels of 0.98 × 0.98 × 3 mm and a PET of 200³ voxels of 4 mm become
the 200 × 200 × 310 mm box at 1 mm. Times are the fastest of the repetitions; memory is the largest resident size of a
separate process, minus that of one that has prepared a tiny case (interpreter, ITK, SciPy, Zarr, Matplotlib).
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import timeit
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hnseg.cohort.cases import Case
from hnseg.images.geometry import Grid
from hnseg.images.image_io import to_sitk, write_image
from hnseg.images.resample import resample
from hnseg.preprocessing.crop.find_box import find_crop
from hnseg.preprocessing.crop_case import crop_case
from hnseg.preprocessing.harmonization import NoHarmonization
from hnseg.preprocessing.prepare_case import prepare_case, preprocess_case
from hnseg.settings.prepare import PrepareConfig
from ssimh.images.simpleitk import load_sitk

CONFIG = PrepareConfig(harmonization="none")
REPEATS = 3


def scan(grid: Grid, kind: str, seed: int) -> NDArray[Any]:
    """A head with skull and brain on a trunk, centered in the grid, with its vertex 15 mm below the top."""
    rng = np.random.default_rng(seed)
    top = grid.bounds_mm()[1][2] - 15
    x, y, z = (grid.to_physical(np.eye(3)[axis] * np.arange(grid.size[axis])[:, None])[:, axis] for axis in range(3))
    xx, yy, zz = x[None, None], y[None, :, None], z[:, None, None]
    ball = (xx / 75) ** 2 + (yy / 95) ** 2 + ((zz - top + 100) / 100) ** 2
    neck = (xx / 60) ** 2 + (yy / 60) ** 2 + np.where(zz < top - 120, 0, 9)
    trunk = (xx / 190) ** 2 + (yy / 110) ** 2 + np.where(zz < top - 270, 0, 9)
    body = (ball < 1) | (neck < 1) | (trunk < 1)
    if kind == "pet":
        image = np.where(body, 1.0, 0.02) + np.where(ball < 0.7, 8.0, 0.0)
        return (image * rng.gamma(20.0, 0.05, grid.shape)).astype(np.float32)
    if kind == "label":
        label = np.zeros(grid.shape, np.uint8)
        for value, (cx, cz) in ((1, (10.0, top - 190)), (2, (45.0, top - 215))):
            label[(xx - cx) ** 2 + yy**2 + (zz - cz) ** 2 < 14**2] = value
        return label
    noise = rng.normal(0, 15, (8, *grid.shape[1:])).astype(np.float32)  # eight slices of noise, repeated
    image = np.full(grid.shape, -1000, np.int16)
    for k in range(grid.size[2]):
        plane = np.where(body[k], 40.0, -1000.0) + np.where((ball[k] < 1) & (ball[k] > 0.85), 900.0, 0.0)
        image[k] = plane + noise[k % 8]
    return image


def make_case(folder: Path, name: str, slices: int, slice_mm: float, ending: str = ".nii.gz") -> Case:
    """Write a case."""
    length = slices * slice_mm
    ct_grid = Grid((512, 512, slices), (0.977, 0.977, slice_mm), (-249.6, -249.6, -length / 2))
    tall = min(200, int(length / 4)) if length < 1000 else int(length / 4)
    pet_grid = Grid((200, 200, tall), (4.0, 4.0, 4.0), (-398.0, -398.0, length / 2 - 4 * tall))
    paths = [folder / f"{name}{suffix}{ending}" for suffix in ("__CT", "__PT", "")]
    for path, grid, kind in zip(paths, (ct_grid, pet_grid, ct_grid), ("ct", "pet", "label"), strict=True):
        write_image(path, scan(grid, kind, seed=len(kind)), grid)
    return Case(name, *paths)


def fastest(job: Callable[[], Any], repeats: int = REPEATS) -> float:
    """Seconds of the fastest call."""
    return min(timeit.repeat(job, number=1, repeat=repeats))


def whole_first(ct: NDArray[Any], ct_grid: Grid, pet: NDArray[Any], pet_grid: Grid, box: Grid) -> NDArray[Any]:
    """The usual order: resample both images to 1 mm over the CT's whole extent, find the head, then crop.

    The 1 mm grid is laid so that ``box`` lies on it: the results can be compared voxel by voxel.
    """
    sitk = load_sitk()
    low, high = ct_grid.bounds_mm()
    steps = np.floor(np.asarray(box.origin_mm) - low).astype(int)
    origin = tuple(np.asarray(box.origin_mm) - steps)
    size = [int(n) for n in np.floor(high - origin)]
    lattice = (size, sitk.Transform(), sitk.sitkLinear, origin, (1.0, 1.0, 1.0))
    direction = np.eye(3).ravel().tolist()
    whole = [
        sitk.GetArrayFromImage(sitk.Resample(to_sitk(a, g), *lattice, direction, value, sitk.sitkFloat32))
        for a, g, value in ((ct, ct_grid, -1024.0), (pet, pet_grid, 0.0))
    ]
    top = whole[1][int(0.75 * size[2]) :]
    np.argwhere(top > top.mean() + top.std()).mean(axis=0)  # the head, as nvauto finds it
    cut = tuple(slice(max(0, start), start + n) for start, n in zip(steps[::-1], box.shape, strict=True))
    return np.stack([image[cut] for image in whole])


def straight(ct: NDArray[Any], ct_grid: Grid, pet: NDArray[Any], pet_grid: Grid) -> tuple[Grid, NDArray[Any]]:
    """The order of ``hnseg prepare``: find the head at low resolution, then interpolate each image once."""
    box = find_crop(ct, ct_grid, pet, pet_grid, box_vox=CONFIG.box_vox, spacing_mm=1.0).grid
    images = [resample(ct, ct_grid, box, outside=-1024.0), resample(pet, pet_grid, box, outside=0.0)]
    return box, np.stack(images)


def compute(case: Case) -> None:
    """Print the time of the computation, compared with resampling everything first."""
    sitk = load_sitk()
    images = [sitk.ReadImage(str(path)) for path in (case.ct, case.pet)]
    arrays = [sitk.GetArrayFromImage(image) for image in images]
    grids = [Grid(i.GetSize(), i.GetSpacing(), i.GetOrigin(), i.GetDirection()) for i in images]
    del images
    given = (arrays[0], grids[0], arrays[1], grids[1])
    box, ours = straight(*given)
    theirs = whole_first(*given, box)
    covered = theirs.shape == ours.shape
    difference = float(np.abs(ours - theirs).max()) if covered else float("nan")
    fast, slow = fastest(lambda: straight(*given)), fastest(lambda: whole_first(*given, box), 1)
    print(f"| compute: everything at 1 mm first | {slow:.2f} s | {slow / fast:.1f} × ours ({fast:.2f} s) |")
    print(f"| largest difference between the two | {difference:.1e} HU or SUV | |")


def whole_case(case: Case, folder: Path) -> None:
    """Print the time of a case from file to file, compared with reading its two images."""
    sitk = load_sitk()
    reading = fastest(lambda: [sitk.ReadImage(str(path)) for path in (case.ct, case.pet)])
    cropping = fastest(lambda: crop_case(case, CONFIG))
    memory = fastest(lambda: preprocess_case(case, CONFIG, NoHarmonization()))
    names = iter(range(REPEATS))  # each time into a new folder: an old one would have to be removed
    stored = fastest(lambda: prepare_case(case, CONFIG, folder / f"{next(names)}" / case.id, NoHarmonization()))
    print(f"| reading CT and PET | {reading:.2f} s | 1 |")
    print(f"| reading, checking, crop, resampling, alignment | {cropping:.2f} s | {cropping / reading:.2f} × reading |")
    print(f"| … and normalized, in memory | {memory:.2f} s | {memory / reading:.2f} × reading |")
    print(f"| … and stored: the whole case | {stored:.2f} s | {stored / reading:.2f} × reading |")


def peak_bytes(folder: Path, case: Case) -> int:
    """Largest resident size of a process that prepares a case."""
    command = [sys.executable, __file__, "--child", str(folder / "peak"), *map(str, (case.ct, case.pet, case.label))]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def child(folder: str, ct: str, pet: str, label: str) -> None:
    """Prepare, then print the largest resident size in bytes; runs in a separate process."""
    case = Case("PEAK-001", Path(ct), Path(pet), Path(label))
    box = PrepareConfig(harmonization="none", spacing_mm=10.0) if "tiny" in ct else CONFIG
    prepare_case(case, box, Path(folder) / case.id, NoHarmonization())
    print(resident_peak())


def resident_peak() -> int:
    """Largest resident size of this process in bytes; ``ru_maxrss`` alone would include the parent's."""
    status = Path("/proc/self/status")
    if status.is_file():
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def tiny_case(folder: Path) -> Case:
    """Write a case of a few voxels, to measure what the process needs without images."""
    grid = Grid((40, 40, 60), (10.0, 10.0, 10.0), (-195.0, -195.0, -300.0))
    paths = [folder / f"tiny{suffix}.nii.gz" for suffix in ("__CT", "__PT", "")]
    for path, kind in zip(paths, ("ct", "pet", "label"), strict=True):
        write_image(path, scan(grid, kind, seed=1), grid)
    return Case("tiny", *paths)


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        usual = make_case(folder, "USUAL-001", 300, 3.0)
        print("| step | | ratio |\n|---|---:|---:|")
        compute(usual)
        whole_case(usual, folder)
        base = peak_bytes(folder, tiny_case(folder))
        decoded = 512 * 512 * 300 * 2
        peak = peak_bytes(folder, usual)
        print(f"| peak memory of a process that prepares a tiny case | {base / 1e6:.0f} MB | |")
        ratio = f"{(peak - base) / decoded:.2f} × the decoded CT ({decoded / 1e6:.0f} MB)"
        print(f"| peak memory above it for the case | {(peak - base) / 1e6:.0f} MB | {ratio} |")
        long = make_case(folder, "LONG-001", 1300, 1.0, ".nii")
        decoded = 512 * 512 * 1300 * 2
        peak = peak_bytes(folder, long)
        print(f"| peak memory for a CT of 1,300 mm in 1 mm slices | {peak / 1e9:.2f} GB | {peak / decoded:.2f} × it |")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        main()
