"""Conversion of an nnU-Net dataset into a new one with a harmonized CT channel.

    python examples/nnunet_convert.py $nnUNet_raw/Dataset001_HN $nnUNet_raw/Dataset101_HNswapped --channel 0
    nnUNetv2_plan_and_preprocess -d 101 --verify_dataset_integrity
    python examples/nnunet_convert.py                      # the same on a small generated dataset

The reference is the mean spectrum of the training images of that channel, or a file given with --reference. All other
channels, the labels and dataset.json are copied. Images of other sizes or voxel sizes are refused; --regrid takes their
fields of view as the same. A channel that dataset.json names PET is refused; --allow-pet insists.
Needs: pip install "ssimh[cli]"
"""

import argparse
import json
import re
import shutil
import tempfile
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ssimh import ReferenceSpectrum
from ssimh.batch.harmonize_folder import State, harmonize_scans
from ssimh.batch.harmonize_scan import OutputOptions
from ssimh.batch.swap_files import FileSwap, fit_reference

IMAGE_FOLDERS = ("imagesTr", "imagesTs")


def channel_unit(description: dict, channel: int) -> str | None:
    """Unit of a channel by its name in dataset.json: "HU" for CT, "SUV" for PET, None for anything else.

    Raises:
        ValueError: dataset.json names no such channel.
    """
    names = description.get("channel_names", description.get("modality", {}))
    if str(channel) not in names:
        raise ValueError(f"dataset.json names no channel {channel}; it names {names}.")
    words = set(re.split(r"[^a-z]+", names[str(channel)].lower()))
    if words & {"pet", "pt", "suv", "fdg"}:
        return "SUV"
    return "HU" if "ct" in words else None


def convert(
    source: Path,
    target: Path,
    channel: int,
    reference: ReferenceSpectrum | None = None,
    *,
    regrid: bool = False,
    allow_pet: bool = False,
) -> int:
    """Write the harmonized dataset; returns the number of harmonized images.

    Args:
        source: nnU-Net dataset.
        target: folder to make; it must not exist, nor lie inside ``source``.
        channel: number of the channel to harmonize.
        reference: what to swap in; the mean of the training images if None.
        regrid: take the fields of view of all images as the same where their grids differ.
        allow_pet: swap a PET channel all the same; this changes uptake values.

    Raises:
        FileNotFoundError: ``source`` is no nnU-Net dataset, or has no training image of that channel.
        FileExistsError: ``target`` exists.
        ValueError: ``target`` lies inside ``source``, or the channel or its images cannot be swapped.
        RuntimeError: an image could not be harmonized; nothing is left of the target.
    """
    description = json.loads((source / "dataset.json").read_text())
    ending = f"_{channel:04d}{description['file_ending']}"
    training = sorted((source / "imagesTr").glob(f"*{ending}"))
    if not training:
        raise FileNotFoundError(f"{source / 'imagesTr'} holds no image of channel {channel} (*{ending}).")
    if target.exists():
        raise FileExistsError(f"{target} exists; name a new dataset.")
    if target.resolve().is_relative_to(source.resolve()):
        raise ValueError(f"{target} lies inside {source}; name a dataset beside it.")
    unit = channel_unit(description, channel)
    if unit == "SUV" and not allow_pet:
        raise ValueError(f"dataset.json names channel {channel} PET; a swap changes uptake, --allow-pet insists.")
    spectrum = reference or fit_reference(training, unit=unit, regrid=regrid)
    swap = FileSwap(
        spectrum,
        clip=(-1024, 3071) if unit == "HU" else None,
        unit=unit,
        allow_pet=unit == "SUV",
        regrid=regrid,
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".converting-") as name:
        building = Path(name) / target.name

        def harmonized_images(folder: str, names: list[str]) -> list[str]:
            is_images = Path(folder) in [source / images for images in IMAGE_FOLDERS]
            return [file for file in names if is_images and file.endswith(ending)]

        shutil.copytree(source, building, ignore=harmonized_images)
        count = 0
        for folder in IMAGE_FOLDERS:
            scans = {Path(path.name): path for path in sorted((source / folder).glob(f"*{ending}"))}
            results = Path(name) / f"harmonized_{folder}"  # nnU-Net expects images alone: no manifest beside them
            for outcome in harmonize_scans(scans, results, swap, OutputOptions(figures=False)):
                if outcome.state is State.FAILED:
                    raise RuntimeError(f"{outcome.target}: {outcome.message}")
                (results / outcome.target).rename(building / folder / outcome.target)
                count += 1
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
    parser.add_argument("--regrid", action="store_true", help="take all fields of view as the same")
    parser.add_argument("--allow-pet", action="store_true", help="swap a PET channel all the same")
    arguments = parser.parse_args()
    reference = None if arguments.reference is None else ReferenceSpectrum.load(arguments.reference)
    options = {"regrid": arguments.regrid, "allow_pet": arguments.allow_pet}
    if arguments.source is not None and arguments.target is not None:
        print(convert(arguments.source, arguments.target, arguments.channel, reference, **options), "images harmonized")
        return
    if arguments.source is not None:
        parser.error("give both datasets, or none for the generated one")
    with tempfile.TemporaryDirectory() as name:
        source, target = Path(name) / "Dataset001_HN", Path(name) / "Dataset101_HNswapped"
        generated_dataset(source)
        number = convert(source, target, arguments.channel, reference, **options)
        print(number, "images harmonized, files of the new dataset:")
        print(*sorted(path.relative_to(target).as_posix() for path in target.rglob("*.*")), sep="\n")


if __name__ == "__main__":
    main()
