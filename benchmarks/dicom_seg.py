"""Time of writing and reading a DICOM Segmentation object: ``python benchmarks/dicom_seg.py``.

A mask of 512 × 512 × 300 voxels with two tumors, far larger than real ones: voxels in 184 slices. "raw bytes" is the
voxels' own cost: the mask, one byte a voxel, to a file and back. Each form is written for the 300 headers of a CT and
read back onto the CT's grid as two masks, and the masks are compared. Rounds alternate; times are the smallest of all
rounds. ``--cpu`` counts the time of the process, for a machine that is busy with other work.
"""

from __future__ import annotations

import argparse
import functools
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import CTImageStorage, generate_uid

from hnseg.dicom.structures.read_seg import read_segments
from hnseg.dicom.structures.write_seg import write_segmentation
from hnseg.images.geometry import Grid

Clock = Callable[[], float]
FORMS = ("binary", "labelmap")


def make_mask(shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Two ellipsoids."""
    mask = np.zeros(shape, np.uint8)
    z, y, x = np.ogrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j, -1 : 1 : shape[2] * 1j]
    mask[(z / 0.4) ** 2 + ((y + 0.2) / 0.2) ** 2 + ((x + 0.2) / 0.2) ** 2 < 1] = 1
    mask[((z + 0.3) / 0.53) ** 2 + ((y - 0.4) / 0.2) ** 2 + ((x - 0.2) / 0.2) ** 2 < 1] = 2
    return mask


def make_headers(grid: Grid) -> list[Dataset]:
    """Headers of a CT on a grid."""
    common = {
        "SOPClassUID": CTImageStorage,
        "StudyInstanceUID": generate_uid(),
        "SeriesInstanceUID": generate_uid(),
        "FrameOfReferenceUID": generate_uid(),
        "Modality": "CT",
        "PatientID": "1",
        "PatientName": "Benchmark^Case",
        "Rows": grid.size[1],
        "Columns": grid.size[0],
        "PixelSpacing": list(grid.spacing_mm[1::-1]),
        "SliceThickness": grid.spacing_mm[2],
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
    }
    headers = []
    for k in range(grid.size[2]):
        header = Dataset()
        for keyword, value in common.items():
            setattr(header, keyword, value)
        header.SOPInstanceUID = generate_uid()
        header.ImagePositionPatient = [round(float(v), 3) for v in grid.to_physical((0, 0, k))]
        headers.append(header)
    return headers


def seconds(job: Callable[[], Any], clock: Clock) -> tuple[float, Any]:
    """Time of a job, and its result."""
    begin = clock()
    result = job()
    return clock() - begin, result


def measure(
    mask: NDArray[np.uint8], grid: Grid, folder: Path, rounds: int, clock: Clock = time.perf_counter
) -> dict[str, tuple[float, float, int]]:
    """Smallest times of writing and of reading, and the bytes of the file, by form."""
    headers = make_headers(grid)
    times: dict[str, list[tuple[float, float, int]]] = defaultdict(list)
    for _ in range(rounds):
        path = folder / "raw"
        written, _ = seconds(lambda path=path: path.write_bytes(mask.data), clock)
        read, _ = seconds(lambda path=path: np.fromfile(path, np.uint8).reshape(mask.shape), clock)
        times["raw bytes"].append((written, read, path.stat().st_size))
        for form in FORMS:
            path = folder / f"{form}.dcm"
            write = functools.partial(write_segmentation, mask, grid, headers, path, form=form)
            written, _ = seconds(write, clock)
            read, segments = seconds(lambda path=path: read_segments(path, grid), clock)
            assert all(np.array_equal(segment.mask, mask == segment.number) for segment in segments)
            times[form].append((written, read, path.stat().st_size))
    return {
        name: (min(w for w, _, _ in found), min(r for _, r, _ in found), found[0][2]) for name, found in times.items()
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, nargs=3, default=(512, 512, 300), help="x, y, z")
    parser.add_argument("--cpu", action="store_true", help="CPU time of the process instead of the clock")
    options = parser.parse_args()
    grid = Grid(tuple(options.size), (0.9, 0.9, 3.0), (-230.0, -230.0, -450.0))
    mask = make_mask(grid.shape)
    with tempfile.TemporaryDirectory() as folder:
        results = measure(
            mask, grid, Path(folder), options.rounds, time.process_time if options.cpu else time.perf_counter
        )
    raw_write, raw_read, _ = results["raw bytes"]
    print(f"{' × '.join(map(str, options.size))}, {np.count_nonzero(mask.any(axis=(1, 2)))} slices with voxels")
    print(f"{'':12}{'written s':>10}{'above raw':>10}{'read s':>10}{'above raw':>10}{'MB':>8}")
    for name, (written, read, size) in results.items():
        print(
            f"{name:12}{written:10.2f}{written - raw_write:10.2f}{read:10.2f}{read - raw_read:10.2f}{size / 1e6:8.1f}"
        )


if __name__ == "__main__":
    main()
