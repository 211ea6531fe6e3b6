"""ssimh on a TorchIO subject: the function gets the image's tensor, TorchIO keeps geometry and history.

    python examples/torchio_subject.py

Runs on small generated scans. Needs: pip install "ssimh[torch]" torchio
"""

import numpy as np
import torch
import torchio as tio

from ssimh import ReferenceSpectrum, swap_spectrum

# TorchIO stores (channel, x, y, z): axial slices are stacked along the last axis.
AXIAL_SLICES = (-3, -2)


def generated_scan(brightness_hu: float, seed: int) -> tio.ScalarImage:
    """A cylinder of soft tissue in air, with a scanner offset of some HU."""
    x, y = np.ogrid[-1:1:64j, -1:1:64j]
    body = (x / 0.8) ** 2 + (y / 0.6) ** 2 < 1
    values = np.where(body, 40 + brightness_hu, -1000)[..., None] + np.zeros(16)
    noise = np.random.default_rng(seed).normal(0, 10, values.shape)
    return tio.ScalarImage(tensor=torch.tensor(values + noise, dtype=torch.float32)[None])


class Harmonize:
    """Function for TorchIO's Lambda; a class, so that data-loader workers can pickle it."""

    def __init__(self, reference: ReferenceSpectrum) -> None:
        self.reference = reference

    def __call__(self, tensor: torch.Tensor) -> torch.Tensor:
        """Swapped tensor of the same shape; the input stays as it is."""
        return swap_spectrum(tensor, self.reference, axes=AXIAL_SLICES, clip=(-1024, 3071))


def main() -> None:
    """Harmonize a subject inside a TorchIO pipeline."""
    donor = generated_scan(0, seed=0)
    reference = ReferenceSpectrum.from_image(donor.data, axes=AXIAL_SLICES, unit="HU")
    labels = tio.LabelMap(tensor=torch.ones(1, 64, 64, 16, dtype=torch.uint8))
    subject = tio.Subject(ct=generated_scan(25, seed=1), label=labels)
    pipeline = tio.Compose([tio.Lambda(Harmonize(reference), types_to_apply=[tio.INTENSITY]), tio.Flip(axes=(0,))])
    result = pipeline(subject)

    def brightness(image: tio.ScalarImage) -> float:
        return float(image.data[image.data > -200].mean())

    print(f"soft tissue: reference {brightness(donor):.1f} HU, before {brightness(subject.ct):.1f} HU, ", end="")
    print(f"after {brightness(result.ct):.1f} HU; label unchanged: {bool((result.label.data == labels.data).all())}")


if __name__ == "__main__":
    main()
