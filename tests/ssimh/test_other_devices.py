"""Every function that takes tensors, on a device that is no CPU; ``tests/fake_gpu.py`` stands in for one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import ssimh.transforms

SCRIPT = """
import fake_gpu

DEVICE = fake_gpu.install()
import warnings

import numpy as np
import torch

import ssimh
from ssimh.tissue_warning import warn_if_moved
from tests.ssimh.uptakes import pet_site

rng = np.random.default_rng(0)
scan, donor = (torch.tensor(rng.normal(mean, 30, (12, 20, 16)), dtype=torch.float32) for mean in (20, 50))
for image in (scan, donor):
    image[:, :, :4] = -1000.0  # air beside the body
stored = ssimh.ReferenceSpectrum.from_image(donor, threshold=3)
sites = [ssimh.SiteSpectrum.fit([image.numpy()] * 2, spacing_mm=[(3, 4, 4)] * 2) for image in (scan, donor)]
pet = [pet_site(mm2) for mm2 in (5.0, 13.0)]


def there_and_back(align, image):
    record = {}
    align.push_transform = lambda result, extra_info: record.update(extra_info)  # MetaTensors are off here
    aligned = align(image)
    torch.testing.assert_close(align._undo(aligned, record), image, atol=1e-3, rtol=1e-3)
    return aligned


calls = {
    "stored reference": lambda image: ssimh.swap_spectrum(image, stored),
    "by FFT": lambda image: ssimh.swap_spectrum(image, stored, method="fft"),
    "reference on the device": lambda image: ssimh.swap_spectrum(image, donor.to(image.device)),
    "reference on the CPU": lambda image: ssimh.swap_spectrum(image, donor),
    "volume, clipped": lambda image: ssimh.swap_spectrum(image, donor, axes=(0, 1, 2), clip=(-50, 90)),
    "half": lambda image: ssimh.swap_spectrum(image.half(), stored),
    "coefficients": lambda image: ssimh.low_frequency(image, threshold=3),
    "histogram": lambda image: ssimh.match_histogram(image, donor),
    "histogram inside masks": lambda image: ssimh.match_histogram(
        image, donor, mask=image > -900, reference_mask=donor > -900, strength=0.7, clip=(-500, 300)
    ),
    "stored quantiles": lambda image: ssimh.HistogramMatch(donor, mask=scan > -900)(image),
    "whole numbers": lambda image: ssimh.match_histogram(image.short(), donor.short()),
    "sites": lambda image: ssimh.align_spectrum(image, *sites),
    "sites, other axes": lambda image: ssimh.align_spectrum(image.mT, *sites, axes_zyx=(0, 2, 1), space="linear"),
    "sites, transform": lambda image: there_and_back(ssimh.SpectrumAlign(*sites), image[None]),
    "sites, inside a mask": lambda image: ssimh.SpectrumAlign(*sites, mask=image > -900, clip=(-200, 300))(image[None]),
    "sites, without air": lambda image: ssimh.align_spectrum(image[..., 4:], *sites),
    "PET": lambda image: ssimh.align_spectrum(image.clamp(min=0) / 10, *pet, spacing_mm=(12.0, 8.0, 8.0)),
    "transform": lambda image: ssimh.SpectrumSwap(donor[None], slice_axis=0, warn_above_hu=None)(image[None]),
    "augmentation": lambda image: ssimh.RandSpectrumSwap(
        [donor[None]], prob=1.0, slice_axis=0, threshold_range=3, strength_range=1.0
    )(image[None]),
    "random blur": lambda image: ssimh.RandResolution(
        None, prob=1.0, in_plane_range_mm=6.0, spacing_mm=(3.0, 2.0, 2.0)
    )(image[None]),
}
for name, call in calls.items():
    expected = call(scan)
    fake_gpu.READ.clear()
    with fake_gpu.FakeGpu():
        found = call(scan.to(DEVICE))
        assert found.device == DEVICE, name
        # The host reads numbers, never voxels; what a swap keeps for its inverse are coefficients.
        assert max(fake_gpu.READ, default=0) <= 12 * 3 * 3, (name, fake_gpu.READ)
        torch.testing.assert_close(found.cpu(), torch.as_tensor(expected), atol=1e-3, rtol=1e-3, msg=name)
with fake_gpu.FakeGpu(), warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    image = scan.to(DEVICE)[None]
    fake_gpu.WAITS.clear()
    for shift in (80, 10):
        warn_if_moved(image, image + shift, 50.0, None, stacklevel=1)
    assert not caught and not fake_gpu.WAITS, (caught, fake_gpu.WAITS)
    ssimh.flush_tissue_warnings()
    ssimh.flush_tissue_warnings()
    assert ["80 HU" in str(warning.message) for warning in caught] == [True], caught
print(len(calls))
"""


@pytest.mark.skipif(
    not hasattr(torch.utils.backend_registration, "_setup_privateuseone_for_python_backend"),
    reason=f"torch {torch.__version__} lets no device be written in Python",
)
def test_results_stay_on_the_device_and_are_those_of_the_cpu():
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == ["20"]


def test_every_transform_is_among_the_calls():
    arrays = {name for name in ssimh.transforms.__all__ if f"{name}d" in ssimh.transforms.__all__}
    assert {name for name in arrays if f"ssimh.{name}(" in SCRIPT} == arrays
