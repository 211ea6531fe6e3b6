"""Cost and scores of prediction windows: those of the training patch, ``--window auto``, and others.

    python benchmarks/predict_windows.py                       # the published network on the CPU: memory and time
    python benchmarks/predict_windows.py --scores WORK ...     # scores of trained runs, on newly generated cases

``--scores`` takes work directories of the demo preset, one training seed each. All of them predict the same new cases
of the generated cohort. A score's difference from the first row is averaged over the runs; its interval resamples
cases.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hnseg.cohort.cases import Case, discover_cases
from hnseg.inference.ensemble import find_models, load_network
from hnseg.inference.sliding_window import SlidingWindowAccumulator, choose_tiling
from hnseg.inference.tiling import Triple, tile
from hnseg.models.device import open_device
from hnseg.models.network import make_network, stride
from hnseg.phantom import generate_cohort
from hnseg.preprocessing.harmonizer_store import load_harmonizer
from hnseg.preprocessing.image_versions import FINAL
from hnseg.preprocessing.prepare_case import preprocess_case
from hnseg.settings.config import Config
from hnseg.workdir import load_config

SEED = 1000  # of the new cases; the demo's own come from seeds 0, 1, …
DRAWS = 2000
NAMES = ("GTVp", "GTVn")


def measure_windows() -> None:
    """Print memory of the published network per voxel of a window, and the time of both tilings, on the CPU."""
    config = Config.from_preset("paper")
    for precision in ("32-true", "bf16-mixed"):
        command = [sys.executable, __file__, "--child", precision]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        print(f"{precision}: {float(done.stdout):.0f} bytes a voxel, {config.train.filters} filters", flush=True)
    fabric = open_device("cpu", "auto")
    network = make_network(config.train).eval()
    x, y, z = config.prepare.box_vox
    settings = {
        "patch, overlap 0.5": config.predict.model_copy(update={"overlap": 0.5}),
        "auto": config.predict.model_copy(update={"window": "auto"}),
    }
    tilings = {name: choose_tiling((z, y, x), config.train, predict, fabric) for name, predict in settings.items()}
    fastest = dict.fromkeys(settings, float("inf"))
    for _ in range(2):  # alternating; the faster run counts, because the slower one includes other work
        for name, tiling in tilings.items():
            image = torch.rand(1, 2, *tiling.window).contiguous(memory_format=torch.channels_last_3d)
            began = time.perf_counter()
            with torch.inference_mode(), fabric.autocast():
                network(image)
            fastest[name] = min(fastest[name], time.perf_counter() - began)
    for name, tiling in tilings.items():
        windows = f"{tiling.count} windows of {tiling.window}, cost {tiling.cost:.2f}, {fastest[name]:.1f} s each"
        print(f"{name}: {windows}, {fastest[name] * tiling.count:.0f} s for a model")
    patch, auto = (fastest[name] * tiling.count for name, tiling in tilings.items())
    print(f"patch/auto {patch / auto:.2f}")


def window_child(precision: str) -> None:
    """Bytes that the published network needs for each voxel of a window, in this process."""
    fabric = open_device("cpu", precision)
    network = make_network(Config.from_preset("paper").train).eval()

    def peak_after(length: int) -> int:
        image = torch.rand(1, 2, length, length, length).contiguous(memory_format=torch.channels_last_3d)
        with torch.inference_mode(), fabric.autocast():
            network(image)
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    before = peak_after(32)
    print((peak_after(96) - before) / 96**3)


@dataclass(frozen=True)
class Setting:
    """Windows to score.

    Attributes:
        name: Title of its row.
        window: Size in voxels, (z, y, x).
        overlap: Share of the length that neighboring windows have in common, 0 … 1.
        zeros: Whether zeros fill the margin beyond the crop; otherwise the image's border is repeated, as in hnseg.
        hidden_vox: Voxels at each side, in plane, that the network does not see. The published crop is 200 voxels wide
            and its cheapest window 208, so 4 % of the window is padding; the demo's window is as wide as its crop, and
            one hidden voxel at each side gives the same share.
    """

    name: str
    window: Triple
    overlap: float
    zeros: bool = False
    hidden_vox: int = 0


def settings_of(config: Config, crop: Triple, fabric: Any) -> list[Setting]:
    """The windows to compare; the first one is the baseline."""
    patch, overlap = config.train.patch_zyx, config.predict.overlap
    predict = config.predict.model_copy(update={"window": "auto"})
    auto = choose_tiling(crop, config.train, predict, fabric).window

    multiple = stride(config.train)

    def grown(*factors: float) -> Triple:
        z, y, x = (round(n * factor / multiple) * multiple for n, factor in zip(patch, factors, strict=True))
        return z, y, x

    return [
        Setting("patch", patch, 0.5),
        Setting("patch, published overlap", patch, overlap),
        Setting("auto", auto, overlap),
        Setting("auto, 4 % made up", auto, overlap, hidden_vox=1),
        Setting("longer than auto takes", grown(1.33, 1, 1), overlap),
        Setting("the whole length", grown(1.5, 1, 1), overlap),
        Setting("a margin of 17 %", grown(1.17, 1.17, 1.17), overlap),
        Setting("the same, of zeros", grown(1.17, 1.17, 1.17), overlap, zeros=True),
    ]


def inputs(work: Path, config: Config, cases: list[Case]) -> Iterator[tuple[torch.Tensor, NDArray[np.uint8]]]:
    """Yield image (2, z, y, x) and label on the crop grid of cases that a run has not seen."""
    harmonizer = load_harmonizer(work)
    for case in cases:
        made = preprocess_case(case, config.prepare, harmonizer, is_new=True)
        assert made.cropped.label is not None  # generated cases have one
        yield torch.from_numpy(made.images[FINAL]), made.cropped.label


def count_run(
    work: Path, cases: list[Case], device: str
) -> tuple[list[Setting], dict[str, NDArray[np.float64]], dict[str, float]]:
    """Settings; overlaps and sizes (cases, 4) by setting: shared GTVp, GTVn, both masks' GTVp, GTVn; and seconds."""
    config = load_config(work)
    fabric = open_device(device, config.train.precision)
    x, y, z = config.prepare.box_vox
    settings = settings_of(config, (z, y, x), fabric)
    networks = [load_network(path, config.train, fabric) for path in find_models(work)]
    rows: dict[str, list[list[int]]] = {setting.name: [] for setting in settings}
    seconds = dict.fromkeys(rows, 0.0)
    for image, truth in inputs(work, config, cases):
        for setting in settings:
            began = time.perf_counter()
            mask = mask_by(networks, image, setting, fabric)
            seconds[setting.name] += time.perf_counter() - began
            shared = [int(((mask == v) & (truth == v)).sum()) for v in (1, 2)]
            sizes = [int((mask == v).sum() + (truth == v).sum()) for v in (1, 2)]
            rows[setting.name].append(shared + sizes)
    return settings, {name: np.array(found, float) for name, found in rows.items()}, seconds


def mask_by(networks: list[Any], image: torch.Tensor, setting: Setting, fabric: Any) -> NDArray[np.int64]:
    """Mask of the ensemble on the crop grid."""
    hidden = setting.hidden_vox
    image = image[:, :, hidden : image.shape[2] - hidden, hidden : image.shape[3] - hidden]
    _, *crop = image.shape
    over = [max(0, w - n) if setting.zeros else 0 for w, n in zip(setting.window, crop, strict=True)]
    before = [margin // 2 for margin in over]
    sides = [s for b, m in reversed(list(zip(before, over, strict=True))) for s in (b, m - b)]
    image = torch.nn.functional.pad(image.float(), sides)
    z, y, x = image.shape[1:]
    blend = SlidingWindowAccumulator(tile((z, y, x), setting.window, overlap=setting.overlap), fabric.device)
    for network in networks:
        blend.add(network, image, fabric)
    inside = tuple(slice(b, b + n) for b, n in zip(before, crop, strict=True))
    return np.pad(blend.mean().argmax(dim=0).cpu().numpy()[inside], [(0, 0), (hidden, hidden), (hidden, hidden)])


def dice_of(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean GTVp Dice and aggregated GTVn Dice (2, …) of counts (…, cases, 4); cases without any GTVp are left out."""
    gtvp = 2 * rows[..., 0] / np.where(rows[..., 2] > 0, rows[..., 2], np.nan)
    return np.stack([np.nanmean(gtvp, axis=-1), 2 * rows[..., 1].sum(-1) / rows[..., 3].sum(-1)])


def score_windows(works: list[Path], cases_per_center: int, device: str) -> None:
    """Print Dice on the crop grid of newly generated cases, by window."""
    with tempfile.TemporaryDirectory() as scratch:
        generate_cohort(Path(scratch), seed=SEED, cases_per_center=cases_per_center, jobs=2)
        cases = discover_cases(Path(scratch))
        runs = [count_run(work, cases, device) for work in works]
    settings = runs[0][0]
    if any(other != settings for other, _, _ in runs):
        raise SystemExit("the runs have different windows")
    draws = np.random.default_rng(0).integers(len(cases), size=(DRAWS, len(cases)))
    first = settings[0].name
    print(f"{len(cases)} new cases, {len(works)} run(s); differences from the first row with 95 % intervals over cases")
    for setting in settings:
        name = setting.name
        score = np.mean([dice_of(counts[name]) for _, counts, _ in runs], axis=0)
        by_run = np.array([dice_of(counts[name]) - dice_of(counts[first]) for _, counts, _ in runs])
        drawn = [dice_of(counts[name][draws]) - dice_of(counts[first][draws]) for _, counts, _ in runs]
        low, high = np.quantile(np.mean(drawn, axis=0), [0.025, 0.975], axis=1)
        slower = sum(seconds[name] for _, _, seconds in runs) / sum(seconds[first] for _, _, seconds in runs)
        print(f"{name}: {setting.window}, overlap {setting.overlap}, time {slower:.2f}")
        for number, what in enumerate(NAMES):
            each = ", ".join(f"{value:+.4f}" for value in by_run[:, number])
            difference = f"{by_run[:, number].mean():+.4f} ({low[number]:+.4f} to {high[number]:+.4f}); by run {each}"
            print(f"    {what} {score[number]:.4f}  {difference}")


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scores", type=Path, nargs="+", metavar="WORK", help="trained runs of the demo preset")
    parser.add_argument("--cases-per-center", type=int, default=15, help="new cases, with --scores")
    parser.add_argument("--device", default="cpu", help="with --scores")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        window_child(arguments.child)
    elif arguments.scores:
        score_windows(arguments.scores, arguments.cases_per_center, arguments.device)
    else:
        measure_windows()


if __name__ == "__main__":
    main()
