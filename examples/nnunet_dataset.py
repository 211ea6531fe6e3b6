"""nnU-Net dataset with a harmonized CT channel, and a new case harmonized as the training cases were.

    python examples/nnunet_dataset.py    # on a small generated dataset

The same on the command line:

    ssimh nnunet $nnUNet_raw/Dataset001_HN --reference donor.nii.gz --out $nnUNet_raw/Dataset101_HN --jobs 4
    nnUNetv2_plan_and_preprocess -d 101 --verify_dataset_integrity
    ssimh nnunet new_cases --as $nnUNet_raw/Dataset101_HN --out new_cases_swapped

Needs: pip install "ssimh[cli]"
"""

import json
import tempfile
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ssimh.batch.manifest import read_manifest
from ssimh.batch.swap_files import FileSwap, fit_reference
from ssimh.nnunet.conversion import plan_dataset, plan_new_cases
from ssimh.nnunet.dataset import read_dataset
from ssimh.nnunet.kept_settings import load_kept_settings


def generate_dataset(folder: Path) -> None:
    """Write three training cases and a test case of CT and PET."""
    rng = np.random.default_rng(0)
    for number, home in enumerate(["imagesTr"] * 3 + ["imagesTs"]):
        ct = 40 + 15 * number + rng.normal(0, 10, (12, 40, 40))
        files = {f"{home}/HN_{number}_0000": ct.astype(np.int16), f"{home}/HN_{number}_0001": ct.astype(np.float32)}
        if home == "imagesTr":
            files[f"labelsTr/HN_{number}"] = (ct > 60).astype(np.uint8)
        for name, values in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            sitk.WriteImage(sitk.GetImageFromArray(values), str(folder / f"{name}.nii.gz"))
    channels, labels = {"0": "CT", "1": "PET"}, {"background": 0, "tumor": 1}
    description = {"channel_names": channels, "labels": labels, "numTraining": 3, "file_ending": ".nii.gz"}
    (folder / "dataset.json").write_text(json.dumps(description))


with tempfile.TemporaryDirectory() as name:
    raw = Path(name)
    source, target = raw / "Dataset001_HN", raw / "Dataset101_HNswapped"
    generate_dataset(source)
    reference = fit_reference(sorted((source / "imagesTr").glob("*_0000.nii.gz")), unit="HU")
    for outcome in plan_dataset(read_dataset(source), target, FileSwap(reference, unit="HU"), channel=0).run():
        change = read_manifest(target).scans[outcome.target.as_posix()].scores.soft_tissue_mean_abs_delta
        print(f"{outcome.target}: mean change {change:.1f} HU {outcome.message}")
    list(plan_new_cases(source / "imagesTs", raw / "new", load_kept_settings(target)).run())
    pair = [sitk.ReadImage(str(path)) for path in (raw / "new/HN_3_0000.nii.gz", target / "imagesTs/HN_3_0000.nii.gz")]
    print("new case as the training cases:", np.array_equal(*map(sitk.GetArrayFromImage, pair)))
