"""Speed of spectrum swapping and its alternatives, as ratios of one run.

    python benchmarks/swap_speed.py                      # CPU table, about two minutes on two cores
    python benchmarks/swap_speed.py --quick              # without the peers that take seconds per volume
    python benchmarks/swap_speed.py --warning            # the cost of warn_above_hu in SpectrumSwap alone, seconds
    python benchmarks/swap_speed.py --device cuda        # batch of 8 volumes against a device-to-device copy
    python benchmarks/swap_speed.py --imports            # import time of ssimh against that of numpy and scipy

Every row is the fastest of its repetitions (as in timeit: slower ones include other work on the machine),
alternating with the plain copy and the others. The slow peers run once.
Rows whose package is not installed are left out and named below the table.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.fft

from ssimh import ReferenceSpectrum, swap_spectrum

SHAPES = ((310, 200, 200), (200, 512, 512))
COPY, SWAP, SWAP_OUT = "plain copy", "ssimh, stored reference", "ssimh, stored reference, out="
Job = Callable[[], Any]


def scan(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """A volume with CT-like values: an elliptic body in air, with noise."""
    rng = np.random.default_rng(seed)
    y, x = np.ogrid[-1 : 1 : shape[1] * 1j, -1 : 1 : shape[2] * 1j]
    body = np.where((y / 0.7) ** 2 + (x / 0.8) ** 2 < 1, 1040.0, 0.0)
    return (rng.normal(-1000.0, 20.0, shape) + body * (1 + 0.05 * seed * x)).astype(np.float32)


def vectorized_scipy(image: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """The direct implementation: two transforms, the corner, one inverse."""
    options = {"axes": (-2, -1), "norm": "ortho", "workers": 2}
    spectrum = scipy.fft.dctn(image, **options)
    spectrum[:, :3, :3] = scipy.fft.dctn(reference, **options)[:, :3, :3]
    return scipy.fft.idctn(spectrum, **options)


def scipy_slice_loop(image: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """The original code's structure: one slice after the other."""
    result = np.empty_like(image)
    for number, (one, other) in enumerate(zip(image, reference, strict=True)):
        spectrum = scipy.fft.dctn(one, norm="ortho")
        spectrum[:3, :3] = scipy.fft.dctn(other, norm="ortho")[:3, :3]
        result[number] = scipy.fft.idctn(spectrum, norm="ortho")
    return result


def peers(image: np.ndarray, reference: np.ndarray) -> tuple[dict[str, Job], list[str]]:
    """Slow alternatives by name, and the names of those that are not installed."""
    jobs: dict[str, Job] = {"scipy.fft, slice by slice": lambda: scipy_slice_loop(image, reference)}
    missing = []
    try:
        import torch
        import torch_dct

        tensor, donor = torch.from_numpy(image), torch.from_numpy(reference)

        def with_torch_dct() -> Any:
            spectrum = torch_dct.dct_2d(tensor, norm="ortho")
            spectrum[:, :3, :3] = torch_dct.dct_2d(donor, norm="ortho")[:, :3, :3]
            return torch_dct.idct_2d(spectrum, norm="ortho")

        jobs["torch-dct"] = with_torch_dct
    except ModuleNotFoundError:
        missing.append("torch-dct")
    try:
        from monai.transforms import HistogramNormalize

        normalize = HistogramNormalize()
        jobs["MONAI HistogramNormalize"] = lambda: normalize(image[None])
    except ModuleNotFoundError:
        missing.append("MONAI")
    try:
        import SimpleITK as sitk

        first, second = sitk.GetImageFromArray(image), sitk.GetImageFromArray(reference)
        jobs["SimpleITK HistogramMatching"] = lambda: sitk.HistogramMatching(first, second)
    except ModuleNotFoundError:
        missing.append("SimpleITK")
    try:
        from skimage.exposure import match_histograms

        jobs["scikit-image match_histograms"] = lambda: match_histograms(image, reference)
    except ModuleNotFoundError:
        missing.append("scikit-image")
    return jobs, missing


def with_and_without_warning(image: Any, stored: ReferenceSpectrum) -> dict[str, Job]:
    """The MONAI transform with and without a look at the soft tissue, and the look alone."""
    from ssimh import SpectrumSwap
    from ssimh.tissue_warning import warn_if_moved

    sample = image[None]
    loud, silent = (SpectrumSwap(stored, slice_axis=0, warn_above_hu=bound) for bound in (1e9, None))
    result = silent(sample)
    if isinstance(image, np.ndarray):
        result = result.numpy()
    return {
        "SpectrumSwap": lambda: loud(sample),
        "SpectrumSwap, silent": lambda: silent(sample),
        "warning": lambda: warn_if_moved(sample, result, 1e9, "HU", stacklevel=1),
    }


def seconds(job: Job) -> float:
    """One timed call."""
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


def in_turns(jobs: dict[str, Job], repeats: int) -> dict[str, float]:
    """Fastest time of every job; one call of each per round, after one round to warm up unless there is only one."""
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for number in range(repeats + (repeats > 1)):
        for name, job in jobs.items():
            taken = seconds(job)
            if number or repeats == 1:
                times[name].append(taken)
    return {name: min(values) for name, values in times.items()}


def extra_memory(job: Job, image: np.ndarray) -> float:
    """Peak of NumPy's allocations during the call, as a multiple of the image's size."""
    tracemalloc.start()
    job()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / image.nbytes


@dataclass(frozen=True)
class SwapFigures:
    """Figures of one shape.

    Attributes:
        shape: of the image, float32.
        seconds: of every method by its name; ``COPY`` is what the others are compared with.
        deviation_hu: largest from scipy's route in float64.
        allocated: peak during one call, as a multiple of the image's size.
        transform_swaps: time of the MONAI transform as a multiple of a swap's.
        warning_share: time of ``warn_above_hu`` as a share of the transform's.
        missing: packages that are not installed, so that their methods were not measured.
    """

    shape: tuple[int, ...]
    seconds: dict[str, float]
    deviation_hu: float
    allocated: float
    transform_swaps: float
    warning_share: float
    missing: tuple[str, ...]


def measure(shape: tuple[int, ...], quick: bool, repeats: int = 25) -> SwapFigures:
    """Measure every method on one shape, taking turns."""
    image, reference = scan(shape, 0), scan(shape, 1)
    stored = ReferenceSpectrum.from_image(reference)
    memory = np.zeros_like(image)

    def swap() -> np.ndarray:
        return swap_spectrum(image, stored)

    exact = vectorized_scipy(image.astype(np.float64), reference.astype(np.float64))
    error = float(np.abs(swap() - exact).max())
    del exact
    fast: dict[str, Job] = {
        COPY: image.copy,
        "plain copy, memory reused": lambda: np.copyto(memory, image),
        SWAP: swap,
        SWAP_OUT: lambda: swap_spectrum(image, stored, out=memory),
        "ssimh, reference image": lambda: swap_spectrum(image, reference),
        "ssimh, volume mode, reference image": lambda: swap_spectrum(image, reference, axes=(-3, -2, -1)),
        "scipy.fft, vectorized, workers=2": lambda: vectorized_scipy(image, reference),
    }
    times = in_turns(fast, repeats)
    looked = in_turns(with_and_without_warning(image, stored), repeats)
    missing: list[str] = []
    if not quick:
        slow, missing = peers(image, reference)
        times |= in_turns(slow, 1)
    silent = looked["SpectrumSwap, silent"]
    share = looked["warning"] / silent
    return SwapFigures(
        shape, times, error, extra_memory(swap, image), silent / times[SWAP], share, missing=tuple(missing)
    )


def on_cpu(quick: bool) -> None:
    """Print the table of one run."""
    for shape in SHAPES:
        found = measure(shape, quick)
        times, ours = found.seconds, found.seconds[SWAP]
        print(f"\n### {' × '.join(map(str, shape))} float32\n")
        print("| method | ms | × plain copy | × ssimh |\n|---|---:|---:|---:|")
        for name, taken in times.items():
            print(f"| {name} | {1e3 * taken:.1f} | {taken / times[COPY]:.2f} | {taken / ours:.1f} |")
        print(f"\nLargest deviation from scipy's float64 route: {found.deviation_hu:.1e} HU.")
        print(f"Peak allocation during one call: {found.allocated:.3f} × the image (the output is 1).")
        print(f"SpectrumSwap takes {found.transform_swaps:.2f} swaps, warn_above_hu {found.warning_share:.1%} of it.")
        if found.missing:
            print(f"Not installed, so not measured: {', '.join(found.missing)}.")


def warning_cost(repeats: int = 25) -> None:
    """Print the share that the look at the soft tissue has in the MONAI transform; also for a small crop."""
    for shape in (*SHAPES, (40, 96, 96)):
        stored = ReferenceSpectrum.from_image(scan(shape, 1))
        times = in_turns(with_and_without_warning(scan(shape, 0), stored), repeats)
        look, silent = times["warning"], times["SpectrumSwap, silent"]
        size = " × ".join(map(str, shape))
        print(f"{size}: SpectrumSwap {1e3 * silent:.2f} ms, warn_above_hu {1e3 * look:.2f} ms, {look / silent:.1%}")


def on_device(device: str) -> None:
    """Print the table of a batch of 8 volumes on an accelerator."""
    import torch

    image = torch.from_numpy(np.stack([scan(SHAPES[0], seed) for seed in range(8)])).to(device)
    stored = ReferenceSpectrum.from_image(scan(SHAPES[0], 9))
    torch.backends.cuda.matmul.fp32_precision = "tf32"
    target = torch.empty_like(image)

    def timed(job: Job) -> Job:
        def run() -> None:
            job()
            torch.cuda.synchronize()

        return run

    looked = with_and_without_warning(image[0], stored)
    times = in_turns(
        {
            "device-to-device copy": timed(lambda: target.copy_(image)),
            "ssimh, projection": timed(lambda: swap_spectrum(image, stored)),
            "ssimh, fft": timed(lambda: swap_spectrum(image, stored, method="fft")),
            **{f"one volume: {name}": timed(job) for name, job in looked.items()},
        },
        20,
    )
    copy = times["device-to-device copy"]
    print("| method | ms | × copy |\n|---|---:|---:|")
    for name, taken in times.items():
        print(f"| {name} | {1e3 * taken:.3f} | {taken / copy:.2f} |")
    expected = swap_spectrum(image.cpu(), stored)
    error = float((swap_spectrum(image, stored).cpu() - expected).abs().max())
    print(f"\nTF32 allowed by the application; largest deviation from the CPU: {error:.1e} HU.")


def import_seconds() -> tuple[float, float]:
    """Median time to import NumPy and SciPy in fresh interpreters, and of the same with ssimh."""

    def fresh(code: str) -> float:
        program = f"import time; start = time.perf_counter()\n{code}\nprint(time.perf_counter() - start)"
        found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        return float(found.stdout)

    codes = ("import numpy, scipy", "import numpy, scipy, ssimh")
    rounds = [[fresh(code) for code in codes] for _ in range(15)]
    base, ours = (statistics.median(values) for values in zip(*rounds, strict=True))
    return base, ours


def imports() -> None:
    """Print the median time of fresh interpreters with and without ssimh."""
    base, ours = import_seconds()
    print(
        f"import numpy, scipy: {1e3 * base:.1f} ms; with ssimh {1e3 * ours:.1f} ms; more: {1e3 * (ours - base):.1f} ms"
    )


def main() -> None:
    """Parse the command line and run the chosen measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="leave out the peers that take seconds")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--imports", action="store_true", help="measure import time instead")
    parser.add_argument("--warning", action="store_true", help="measure the cost of warn_above_hu instead")
    arguments = parser.parse_args()
    if arguments.imports:
        imports()
    elif arguments.warning:
        warning_cost()
    elif arguments.device == "cpu":
        on_cpu(arguments.quick)
    else:
        on_device(arguments.device)


if __name__ == "__main__":
    main()
