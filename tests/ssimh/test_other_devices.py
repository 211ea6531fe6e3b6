"""Every function that takes tensors, on a device that is no CPU; ``tests/fake_gpu.py`` stands in for one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = """
import fake_gpu

DEVICE = fake_gpu.install()
import numpy as np
import torch

import ssimh

rng = np.random.default_rng(0)
scan, donor = (torch.tensor(rng.normal(mean, 30, (12, 20, 16)), dtype=torch.float32) for mean in (20, 50))
for image in (scan, donor):
    image[:, :, :4] = -1000.0  # air beside the body
stored = ssimh.ReferenceSpectrum.from_image(donor, threshold=3)
sites = [ssimh.SiteSpectrum.fit([image.numpy()] * 2, spacing_mm=[(3, 4, 4)] * 2) for image in (scan, donor)]
calls = {
    "stored reference": lambda image: ssimh.swap_spectrum(image, stored),
    "by FFT": lambda image: ssimh.swap_spectrum(image, stored, method="fft"),
    "reference on the device": lambda image: ssimh.swap_spectrum(image, donor.to(image.device)),
    "reference on the CPU": lambda image: ssimh.swap_spectrum(image, donor),
    "volume, clipped": lambda image: ssimh.swap_spectrum(image, donor, axes=(0, 1, 2), clip=(-50, 90)),
    "half": lambda image: ssimh.swap_spectrum(image.half(), stored),
    "coefficients": lambda image: ssimh.low_frequency(image, threshold=3),
    "histogram": lambda image: ssimh.match_histogram(image, donor),
    "sites": lambda image: ssimh.align_spectrum(image, *sites),
    "transform": lambda image: ssimh.SpectrumSwap(donor[None], slice_axis=0, warn_above_hu=None)(image[None]),
}
for name, call in calls.items():
    expected = call(scan)
    with fake_gpu.FakeGpu():
        found = call(scan.to(DEVICE))
        assert found.device == DEVICE, name
        torch.testing.assert_close(found.cpu(), torch.as_tensor(expected), atol=1e-3, rtol=1e-3, msg=name)
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
    assert done.stdout.split() == ["10"]
