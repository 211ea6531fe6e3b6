"""Conversion of an nnU-Net dataset into a new one with a harmonized CT channel.

    python examples/nnunet_convert.py $nnUNet_raw/Dataset001_HN $nnUNet_raw/Dataset101_HNswapped --channel 0
    nnUNetv2_plan_and_preprocess -d 101 --verify_dataset_integrity
    python examples/nnunet_convert.py                      # the same on a small generated dataset

The reference is the mean spectrum of the training images of that channel, or a file given with --reference. All other
channels, the labels and dataset.json are copied. Needs: pip install "ssimh[cli]"
"""

import argparse
import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ssimh import ReferenceSpectrum
from ssimh.files.batch import Settings, run
from ssimh.files.scan import read_scan


def fit(images: list[Path]) -> ReferenceSpectrum:
    """Mean spectrum of the training images on the grid of the first, one image in memory at a time."""

    def spectra():
        shape = None
        for path in images:
            scan = read_scan(path)
            spectrum = ReferenceSpectrum.from_image(
                scan.values, axes=scan.slice_axes, orientation=scan.orientation, unit="HU"
            )
            shape = shape or spectrum.shape
            yield spectrum.for_grid(shape)

    return ReferenceSpectrum.average(spectra())


def convert(source: Path, target: Path, channel: int, reference: ReferenceSpectrum | None) -> int:
    """Write the harmonized dataset; returns the number of harmonized images.

    Raises:
        FileNotFoundError: ``source`` is no nnU-Net dataset, or has no training image of that channel.
        FileExistsError: ``target`` exists.
        RuntimeError: an image could not be harmonized; nothing is left of the target.
    """
    description = json.loads((source / "dataset.json").read_text())
    ending = f"_{channel:04d}{description['file_ending']}"
    training = sorted((source / "imagesTr").glob(f"*{ending}"))
    if not training:
        raise FileNotFoundError(f"{source / 'imagesTr'} holds no image of channel {channel} (*{ending}).")
    if target.exists():
        raise FileExistsError(f"{target} exists; name a new dataset.")
    spectrum = reference or fit(training)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".converting-") as name:
        building = Path(name) / target.name
        shutil.copytree(source, building, ignore=shutil.ignore_patterns(f"*{ending}"))
        count = 0
        for folder in ("imagesTr", "imagesTs"):
            scans = {Path(path.name): path for path in sorted((source / folder).glob(f"*{ending}"))}
            settings = Settings(clip=(-1024, 3071), regrid=True, figures=False)
            for image, state, message in run(scans, building / folder, spectrum, settings):
                if state == "failed":
                    raise RuntimeError(f"{image}: {message}")
                count += 1
            (building / folder / "manifest.json").unlink(missing_ok=True)  # nnU-Net expects images alone
        spectrum.save(building / "harmonization_reference.npz")
        building.rename(target)
    return count


def generated_dataset(folder: Path) -> None:
    """Write four cases of CT and PET with labels, in nnU-Net's layout."""
    for name in ("imagesTr", "labelsTr"):
        (folder / name).mkdir(parents=True)
    y, x = np.ogrid[-1:1:40j, -1:1:40j]
    body = ((x / 0.8) ** 2 + (y / 0.6) ** 2 < 1)[None] & np.ones((24, 1, 1), bool)
    label = np.zeros(body.shape, np.uint8)
    label[8:14, 16:24, 16:24] = 1
    for number in range(4):
        rng = np.random.default_rng(number)
        ct = np.where(body, 40 + 15 * number, -1000) + 40 * label + rng.normal(0, 10, body.shape)
        pet = np.where(body, 1.0, 0.0) + 6 * label + rng.normal(0, 0.1, body.shape)
        for values, path, dtype in (
            (ct, f"imagesTr/HN_{number:03d}_0000.nii.gz", np.int16),
            (pet, f"imagesTr/HN_{number:03d}_0001.nii.gz", np.float32),
            (label, f"labelsTr/HN_{number:03d}.nii.gz", np.uint8),
        ):
            image = sitk.GetImageFromArray(values.astype(dtype))
            image.SetSpacing((2.0, 2.0, 3.0))
            sitk.WriteImage(image, str(folder / path))
    description = {
        "channel_names": {"0": "CT", "1": "PET"},
        "labels": {"background": 0, "tumor": 1},
        "numTraining": 4,
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(description))


def main() -> None:
    """Convert the dataset named on the command line, or a generated one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, nargs="?", help="dataset to read")
    parser.add_argument("target", type=Path, nargs="?", help="dataset to write")
    parser.add_argument("--channel", type=int, default=0, help="number of the CT channel")
    parser.add_argument("--reference", type=Path, help="file written by `ssimh fit`")
    arguments = parser.parse_args()
    reference = None if arguments.reference is None else ReferenceSpectrum.load(arguments.reference)
    if arguments.source is not None and arguments.target is not None:
        print(convert(arguments.source, arguments.target, arguments.channel, reference), "images harmonized")
        return
    if arguments.source is not None:
        parser.error("give both datasets, or none for the generated one")
    with tempfile.TemporaryDirectory() as name:
        source, target = Path(name) / "Dataset001_HN", Path(name) / "Dataset101_HNswapped"
        generated_dataset(source)
        print(convert(source, target, arguments.channel, reference), "images harmonized, files of the new dataset:")
        print(*sorted(path.relative_to(target).as_posix() for path in target.rglob("*.*")), sep="\n")


if __name__ == "__main__":
    main()
