"""Harmonization of one scan to another with SimpleITK and ssimh alone: read, fit, swap, write with the same geometry.

The result and the reference beside it are new files; nothing that exists is overwritten.

    python examples/plain_simpleitk.py REFERENCE.nii.gz SCAN.nii.gz RESULT.nii.gz
    python examples/plain_simpleitk.py                    # the same on two small generated scans

Needs: pip install "ssimh[cli]"
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ssimh import compare, swap_spectrum
from ssimh.batch.swap_files import fit_reference, match_grid
from ssimh.files.output_guard import check_output
from ssimh.images.scan import read_scan, write_scan


def generated_scan(path: Path, brightness_hu: float, seed: int) -> None:
    """A cylinder of soft tissue in air, with a scanner offset of some HU."""
    y, x = np.ogrid[-1:1:64j, -1:1:64j]
    body = (x / 0.8) ** 2 + (y / 0.6) ** 2 < 1
    values = np.where(body, 40 + brightness_hu, -1000) + np.random.default_rng(seed).normal(0, 10, (20, 64, 64))
    image = sitk.GetImageFromArray(values.astype(np.int16))
    image.SetSpacing((2.0, 2.0, 3.0))
    sitk.WriteImage(image, str(path))


def harmonize(reference_path: Path, scan_path: Path, result_path: Path) -> float:
    """Write the harmonized scan; returns the mean absolute change of soft tissue in HU."""
    spectrum_path = result_path.with_name(f"{result_path.name.split('.')[0]}_reference.npz")
    for output in (result_path, spectrum_path):  # neither an input nor any file that exists
        check_output(output, inputs=[reference_path, scan_path], is_ours=lambda _: False)
    scan = read_scan(scan_path)  # (z, y, x); damaged files are refused, of which ITK reads a part without complaint
    reference = fit_reference([reference_path], threshold=3, unit="HU")
    reference.save(spectrum_path)  # a few kilobytes, for reuse
    fitting = match_grid(reference, scan, grid="same")  # turned if the scan lies in another direction
    after = swap_spectrum(scan.values, fitting, axes=fitting.axes, clip=(-1024, 3071), unit="HU")  # float32
    write_scan(result_path, after, scan)  # geometry and pixel type of the scan
    return compare(scan.values, after).soft_tissue_mean_abs_delta


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        paths = [Path(argument) for argument in sys.argv[1:]]
        if not paths:
            paths = [Path(name) / f"{file}.nii.gz" for file in ("reference", "scan", "result")]
            generated_scan(paths[0], brightness_hu=0, seed=0)
            generated_scan(paths[1], brightness_hu=25, seed=1)
        elif len(paths) != 3:
            sys.exit(__doc__)
        print(f"soft tissue changed by {harmonize(*paths):.1f} HU on average")
