"""What finding and reading DICOM series costs beside pydicom alone: ``python benchmarks/dicom.py``.

* reading: a CT of 300 slices of 512 × 512 (uncompressed, and RLE) as a volume, against ``pydicom.dcmread`` and
  ``pixel_array`` of the same files: decoded and dropped ("alone"), and rescaled and stacked as float32 ("stacked"), in
  turns; the smallest processor time of several runs. Quote the ratios.
* walking: time for each file of a tree of 10,000 slices, against ``dcmread`` without pixels, and the peak of memory
  that Python allocates, in bytes for each file and as a multiple of the peak for 1,000 files (10: it grows with the
  number of files, and not with their size).
"""

from __future__ import annotations

import argparse
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, RLELossless, generate_uid

from hnseg.dicom.series.read_volume import read_volume
from hnseg.dicom.series.walk import find_series

RUNS = 3


def make_slice(size: int) -> pydicom.Dataset:
    """One slice of a CT, noise on a body."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    stored = np.where(x**2 + y**2 < 0.6, 1060, 0) + rng.integers(0, 60, (size, size))
    slice_ = pydicom.Dataset()
    slice_.file_meta = pydicom.dataset.FileMetaDataset()
    slice_.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    slice_.SOPClassUID, slice_.Modality, slice_.PatientID = CTImageStorage, "CT", "BENCHMARK"
    for name in ("Study", "Series", "FrameOfReference"):
        setattr(slice_, f"{name}{'Instance' * (name != 'FrameOfReference')}UID", generate_uid(entropy_srcs=[name]))
    slice_.ImageType, slice_.RescaleType = ["ORIGINAL", "PRIMARY", "AXIAL"], "HU"
    slice_.ImageOrientationPatient, slice_.PixelSpacing = [1, 0, 0, 0, 1, 0], [0.9765625, 0.9765625]
    slice_.RescaleSlope, slice_.RescaleIntercept = "1", "-1024"
    slice_.Rows = slice_.Columns = size
    slice_.SamplesPerPixel, slice_.PhotometricInterpretation, slice_.PixelRepresentation = 1, "MONOCHROME2", 1
    slice_.BitsAllocated, slice_.BitsStored, slice_.HighBit = 16, 16, 15
    slice_.PixelData = stored.astype("<i2").tobytes()
    slice_["PixelData"].VR = "OW"
    return slice_


def write_series(folder: Path, count: int, size: int, syntax: UID = ExplicitVRLittleEndian, *, per_folder: int) -> None:
    """Write a CT of ``count`` slices, 3 mm apart, as bytes of one file with other UIDs and positions."""
    slice_ = make_slice(size)
    slice_.SOPInstanceUID, slice_.ImagePositionPatient = "1.2.3.100000", ["-250", "-250", "00000.0 "]
    slice_.file_meta.MediaStorageSOPClassUID = CTImageStorage
    slice_.file_meta.MediaStorageSOPInstanceUID = slice_.SOPInstanceUID
    if syntax == RLELossless:
        slice_.compress(RLELossless, generate_instance_uid=False)
    template = folder / "template"
    slice_.save_as(template, enforce_file_format=True)
    data = template.read_bytes()
    template.unlink()
    for number in range(count):
        path = folder / f"{number // per_folder:03}" / f"IM{number:06}"
        path.parent.mkdir(exist_ok=True)
        own = data.replace(b"1.2.3.100000", f"1.2.3.1{number:05}".encode())
        path.write_bytes(own.replace(b"00000.0 ", f"{3 * number:05}.0 ".encode()))


def fastest(*actions: Callable[[], object]) -> list[float]:
    """Smallest time of each action, in turns, in seconds."""
    times = [[] for _ in actions]
    for _ in range(RUNS):
        for action, found in zip(actions, times, strict=True):
            started = time.process_time()
            action()
            found.append(time.process_time() - started)
    return [min(found) for found in times]


def measure_reading(count: int, size: int) -> None:
    """Print the time to read a volume beside that of pydicom."""
    for syntax in (ExplicitVRLittleEndian, RLELossless):
        with tempfile.TemporaryDirectory() as name:
            write_series(Path(name), count, size, syntax, per_folder=count)
            (series,) = find_series(name).series

            def decode(series=series) -> None:
                for path in series.files:
                    _ = pydicom.dcmread(path).pixel_array

            def stack(series=series) -> np.ndarray:
                read = [pydicom.dcmread(path) for path in series.files]
                values = [slice_.pixel_array * slice_.RescaleSlope + slice_.RescaleIntercept for slice_ in read]
                return np.stack(values, dtype=np.float32, casting="same_kind")

            ours, alone, stacked = fastest(lambda series=series: read_volume(series), decode, stack)
        print(f"reading {count} slices of {size}², {syntax.name:<26} {ours:6.2f} s", end="  ")
        print(f"pydicom alone ×{ours / alone:.2f}, stacked ×{ours / stacked:.2f}")


def peak_bytes(folder: Path) -> int:
    """Peak of the memory that Python allocates during a walk."""
    tracemalloc.start()
    find_series(folder)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def measure_walking(count: int, size: int) -> None:
    """Print time and memory for each file of a tree."""
    peaks = []
    for files in (count // 10, count):
        with tempfile.TemporaryDirectory() as name:
            write_series(Path(name), files, size, per_folder=250)
            paths = sorted(path for path in Path(name).rglob("*") if path.is_file())
            bytes_in_tree = sum(path.stat().st_size for path in paths)

            def read_headers(paths=paths) -> None:
                for path in paths:
                    pydicom.dcmread(path, stop_before_pixels=True)

            ours, theirs = fastest(lambda name=name: find_series(name), read_headers)
            peaks.append(peak_bytes(Path(name)))
        print(f"walking {files:>6} files of {size}²  {1000 * ours / files:.2f} ms a file", end="  ")
        print(f"dcmread without pixels ×{ours / theirs:.2f}", end="  ")
        print(f"peak {peaks[-1] / files:.0f} bytes a file, {peaks[-1] / bytes_in_tree:.4f} of the tree")
    print(f"peak for {count} files over that for {count // 10}: {peaks[1] / peaks[0]:.1f}")


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--files", type=int, default=10_000, help="of the tree that is walked")
    chosen = parser.parse_args()
    measure_reading(chosen.slices, chosen.size)
    measure_walking(chosen.files, 64)


if __name__ == "__main__":
    main()
