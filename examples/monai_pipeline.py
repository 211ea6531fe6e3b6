"""ssimh in a MONAI pipeline: deterministic harmonization, random donors as augmentation, and the inverse.

    python examples/monai_pipeline.py

Runs on small generated scans; with files, put LoadImaged and EnsureChannelFirstd in front. Needs: pip install
"ssimh[monai]"
"""

import numpy as np
import torch
from monai.data import CacheDataset, DataLoader, MetaTensor, decollate_batch
from monai.transforms import Compose, RandFlipd, ScaleIntensityRanged

from ssimh import RandSpectrumSwapd, ReferenceSpectrum, SpectrumSwapd

AFFINE = np.diag([-2.0, -2.0, 3.0, 1.0])  # (x, y, z) in MONAI's RAS+: the axes run to the left, back and head


def generated_scan(brightness_hu: float, seed: int) -> MetaTensor:
    """A channel-first (C, x, y, z) cylinder of soft tissue in air, with a scanner offset of some HU."""
    x, y = np.ogrid[-1:1:64j, -1:1:64j]
    body = (x / 0.8) ** 2 + (y / 0.6) ** 2 < 1
    values = np.where(body, 40 + brightness_hu, -1000)[..., None] + np.zeros(16)
    noise = np.random.default_rng(seed).normal(0, 10, values.shape)
    return MetaTensor(torch.tensor(values + noise, dtype=torch.float32)[None], affine=AFFINE)


def main() -> None:
    """Build the pipeline, run a batch through it, and undo it."""
    # A reference of four scans of one hospital: streamed, averaged, a few kilobytes. Slices are stacked along z.
    site = (generated_scan(0, seed).as_tensor() for seed in range(4))
    reference = ReferenceSpectrum.from_images(site, axes=(-3, -2), orientation="LPS", unit="HU")
    donors = [
        ReferenceSpectrum.from_image(generated_scan(offset, 50).as_tensor(), axes=(-3, -2), orientation="LPS")
        for offset in (-20, 0, 20)
    ]
    pipeline = Compose(
        [
            SpectrumSwapd("ct", reference, slice_axis="axial", clip=(-1024, 3071)),
            RandSpectrumSwapd("ct", donors, prob=0.5, slice_axis="axial"),  # from here on not cached
            RandFlipd("ct", prob=0.5, spatial_axis=0),
            ScaleIntensityRanged("ct", -200, 300, 0.0, 1.0),
        ]
    ).set_random_state(seed=0)
    scans = [{"ct": generated_scan(30, seed)} for seed in range(10, 14)]
    dataset = CacheDataset(scans, pipeline, progress=False)
    for batch in DataLoader(dataset, batch_size=2):
        print(f"batch of shape {tuple(batch['ct'].shape)}, mean {float(batch['ct'].mean()):.3f}")

    # The sample carries the coefficients of the added field: Compose.inverse subtracts it.
    swap_only = Compose([SpectrumSwapd("ct", reference, slice_axis="axial")])
    batch = next(iter(DataLoader(CacheDataset(scans[:1], swap_only, progress=False), batch_size=1)))
    restored = swap_only.inverse(decollate_batch(batch)[0])["ct"]
    print(f"largest error after the inverse: {float((restored - scans[0]['ct']).abs().max()):.1e} HU")


if __name__ == "__main__":
    main()
