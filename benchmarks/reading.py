"""Reading a compressed NIfTI file: the strict reader against Python's gzip, ITK and MONAI's readers, in one run.

    python benchmarks/reading.py

A generated CT of 150 × 512 × 512 voxels, int16, compressed as SimpleITK does. Every row is the fastest of its
repetitions, which take turns. MONAI's ITKReader is measured where the package ``itk`` is installed, and then arrays and
affines are compared with those of the strict reader, bit by bit.
"""

from __future__ import annotations

import gzip
import sys
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

sys.path.insert(0, str(Path(__file__).parent))
from swap_speed import Job, in_turns, scan

from ssimh.images import gzip_library
from ssimh.images.image_file import read_image_file
from ssimh.images.simpleitk import load_sitk

SHAPE = (150, 512, 512)
GZIP = "Python's gzip, unpacked alone"
STRICT = "strict reader of ssimh"
WITHOUT = "without isal"


@dataclass(frozen=True)
class ReadingFigures:
    """Figures of one file.

    Attributes:
        shape: of the image, int16.
        file_mb: size of the file, 10⁶ bytes.
        seconds: of every reader by its name; ``GZIP`` is what the others are compared with.
        missing: packages that are not installed, so that their readers were not measured.
        same_as_itk: whether MONAI's ITKReader gave the same array and affine; None where it is missing.
    """

    shape: tuple[int, ...]
    file_mb: float
    seconds: dict[str, float]
    missing: tuple[str, ...]
    same_as_itk: bool | None


def write_scan(path: Path, shape: tuple[int, ...]) -> None:
    """A generated CT in HU."""
    image = sitk.GetImageFromArray(np.rint(scan(shape, 0)).astype(np.int16))
    image.SetSpacing((0.98, 0.98, 3.0))
    image.SetOrigin((-250.0, -250.0, -600.0))
    sitk.WriteImage(image, str(path), True)


def unpack(path: Path) -> bytes:
    """The bytes of a file by Python's gzip, checksum verified."""
    with gzip.open(path) as file:
        return file.read()


def without_isal(job: Job) -> Job:
    """The job with Python's gzip and ITK, as where ``isal`` is not installed."""

    def run() -> Any:
        kept, gzip_library.igzip = gzip_library.igzip, None
        try:
            return job()
        finally:
            gzip_library.igzip = kept

    return run


def monai_loaders() -> tuple[dict[str, Callable[[Path], Any]], tuple[str, ...]]:
    """MONAI's LoadImage with each reader that is installed, and what is missing."""
    from monai.data import ITKReader, NibabelReader
    from monai.transforms import LoadImage
    from monai.utils import OptionalImportError

    import ssimh

    loaders: dict[str, Callable[[Path], Any]] = {}
    missing = []
    for reader, package in ((ssimh.StrictReader, "ssimh"), (NibabelReader, "nibabel"), (ITKReader, "itk")):
        try:
            loaders[f"LoadImage, {reader.__name__}"] = LoadImage(reader=reader())
        except OptionalImportError:
            missing.append(package)
    return loaders, tuple(missing)


def measure(shape: tuple[int, ...] = SHAPE, repeats: int = 8) -> ReadingFigures:
    """Measure every reader on one file, taking turns."""
    load_sitk()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # MONAI's, without NVIDIA's decoder
        path = Path(folder) / "ct.nii.gz"
        write_scan(path, shape)
        loaders, missing = monai_loaders()
        jobs: dict[str, Job] = {
            GZIP: lambda: unpack(path),
            "SimpleITK.ReadImage, nothing verified": lambda: sitk.ReadImage(str(path)),
        }
        strict: dict[str, Job] = {STRICT: lambda: read_image_file(path)}
        for name, load in loaders.items():
            (strict if "Strict" in name else jobs)[name] = lambda load=load: load(path)  # type: ignore[misc]
        for name, job in strict.items():
            jobs[f"{name}, {WITHOUT}"] = without_isal(job)
            if gzip_library.has_isal():
                jobs[f"{name}, with isal"] = job
        same = compare(loaders, path)
        seconds = in_turns(jobs, repeats)
        size = path.stat().st_size / 1e6
    absent = () if gzip_library.has_isal() else ("isal",)
    return ReadingFigures(shape, size, seconds, (*missing, *absent), same)


def compare(loaders: dict[str, Callable[[Path], Any]], path: Path) -> bool | None:
    """Whether MONAI's ITKReader gives the array and affine of the strict one; None where it is missing."""
    if "LoadImage, ITKReader" not in loaders:
        return None
    ours, theirs = (loaders[f"LoadImage, {name}"](path) for name in ("StrictReader", "ITKReader"))
    arrays = ours.dtype == theirs.dtype and np.array_equal(ours.numpy(), theirs.numpy())
    return bool(arrays and np.array_equal(ours.affine, theirs.affine))


def main() -> None:
    """Print the table of one run."""
    found = measure()
    print(f"{' × '.join(map(str, found.shape))} int16, {found.file_mb:.1f} MB\n")
    print("| reader | ms | × gzip |\n|---|---:|---:|")
    for name, taken in found.seconds.items():
        print(f"| {name} | {1e3 * taken:.0f} | {taken / found.seconds[GZIP]:.2f} |")
    if found.same_as_itk is not None:
        print(f"\nArray and affine are those of MONAI's ITKReader: {found.same_as_itk}.")
    if found.missing:
        print(f"\nNot installed, so not measured: {', '.join(found.missing)}.")


if __name__ == "__main__":
    main()
