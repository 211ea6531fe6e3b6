"""ssimh in a TorchIO pipeline: harmonized, augmented, loaded with workers, and undone by the subject's history.

    python examples/torchio_subject.py

Runs on small generated scans. Needs: pip install "ssimh[torchio]"
"""

import numpy as np
import torch
import torchio as tio

from ssimh.torchio import RandomSpectrumSwap, SpectrumSwap


def generated_scan(brightness_hu: float, seed: int) -> tio.ScalarImage:
    """A cylinder of soft tissue in air, with a scanner offset of some HU."""
    x, y = np.ogrid[-1:1:64j, -1:1:64j]
    body = (x / 0.8) ** 2 + (y / 0.6) ** 2 < 1
    values = np.where(body, 40 + brightness_hu, -1000)[..., None] + np.zeros(16)
    noise = np.random.default_rng(seed).normal(0, 10, values.shape)
    return tio.ScalarImage(tensor=torch.tensor(values + noise, dtype=torch.float32)[None], unit="HU")


def brightness(image: tio.ScalarImage) -> float:
    """Mean of soft tissue, HU."""
    return float(image.data[image.data > -200].mean())


def main() -> None:
    """Harmonize subjects to one scanner, then vary the scanner at random as an augmentation."""
    donor = generated_scan(0, seed=0)  # or the path of an image, or of a reference saved by `ssimh fit`
    bank = [generated_scan(offset, seed=1) for offset in (-30, 0, 30)]
    body = tio.LabelMap(tensor=(donor.data > -500).to(torch.uint8))
    subjects = [tio.Subject(ct=generated_scan(25, seed=seed), body=body) for seed in (2, 3)]

    harmonize = SpectrumSwap(donor, mask="body", clip=(-1024, 3071))  # outside the body nothing moves
    result = harmonize(subjects[0])
    print(f"soft tissue: reference {brightness(donor):.1f} HU, before {brightness(subjects[0].ct):.1f} HU, ", end="")
    print(f"after {brightness(result.ct):.1f} HU; label unchanged: {bool((result.body.data == body.data).all())}")

    augment = RandomSpectrumSwap(bank, mask="body", threshold_range=(1, 3), p=0.8)
    pipeline = tio.Compose([harmonize, augment, tio.RandomFlip(axes=(0,))])
    varied = pipeline(subjects[1])
    print("history:", ", ".join(step.name for step in varied.history))
    restored = varied.apply_inverse_transform()
    print(f"inverse: {float((restored.ct.data - subjects[1].ct.data).abs().max()):.1e} HU at most")

    loader = tio.SubjectsLoader(tio.SubjectsDataset(subjects, transform=pipeline), batch_size=2, num_workers=2)
    print("batch of shape", *(tuple(batch["ct"][tio.DATA].shape) for batch in loader))


if __name__ == "__main__":
    main()
