"""CPU time of a network's window: torch as hnseg runs it, torch in float32, and the exported file in onnxruntime.

    python benchmarks/onnx_cpu.py            # windows of 48³ voxels, minutes
    python benchmarks/onnx_cpu.py --edge 32  # smaller ones

Random weights, which change no time. One thread each; the ways take turns, and what counts is the process's CPU time,
so that other work on the machine disturbs little. Printed are the medians of the ratios of the same round, and the
largest difference in probability from torch in float32. (The name is not onnx.py, which would hide the package from
every script in this folder.)
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from hnseg import Config, open_device
from hnseg.inference.export_onnx import IMAGE, LOGITS, load_onnx, write_onnx
from hnseg.models.network import make_network, stride
from hnseg.settings.train import TrainConfig

ROUNDS = 7
EDGES = {"demo": 48, "paper": 48}  # of the window by preset
BASE = "torch, float32"


def make_ways(train: TrainConfig, edge: int, folder: Path) -> dict[str, Callable[[], torch.Tensor]]:
    """Functions that give the logits of the same window, by name."""
    torch.manual_seed(0)
    network = make_network(train).eval()
    window = torch.rand(1, 2, edge, edge, edge).contiguous(memory_format=torch.channels_last_3d)
    path = folder / "network.onnx"
    write_onnx(network, path, patch_zyx=(edge, edge, edge), multiple=stride(train))
    _, onnxruntime = load_onnx()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    fabrics = {BASE: open_device("cpu", "32-true"), "torch, bfloat16": open_device("cpu", "bf16-mixed")}

    def run_torch(name: str) -> torch.Tensor:
        with torch.inference_mode(), fabrics[name].autocast():
            logits: torch.Tensor = network(window)
        return logits.float()

    ways: dict[str, Callable[[], torch.Tensor]] = {name: lambda name=name: run_torch(name) for name in fabrics}
    ways["onnxruntime, float32"] = lambda: torch.from_numpy(session.run([LOGITS], {IMAGE: window.numpy()})[0])
    return ways


def compare(preset: str, edge: int) -> None:
    """Print time and difference of each way."""
    train = Config.from_preset(preset).train
    with tempfile.TemporaryDirectory() as scratch:
        ways = make_ways(train, edge, Path(scratch))
        wanted = ways[BASE]().softmax(dim=1)
        difference = {name: float((way().softmax(dim=1) - wanted).abs().max()) for name, way in ways.items()}
        times: dict[str, list[float]] = {name: [] for name in ways}
        for _, (name, way) in itertools.product(range(ROUNDS), ways.items()):
            started = time.process_time()
            way()
            times[name].append(time.process_time() - started)
    print(f"\n{preset}: {train.filters} filters, blocks {train.blocks_down}, window {edge}³, one thread")
    for name in ways:
        ratio = statistics.median(a / b for a, b in zip(times[name], times[BASE], strict=True))
        print(f"{name:<24}{statistics.median(times[name]):>9.3f} s{ratio:>8.2f} times{difference[name]:>12.1e}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Compare the networks of both presets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--edge", type=int, help="of the window, in voxels; a multiple of the network's stride")
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    for preset, edge in EDGES.items():
        compare(preset, args.edge or edge)


if __name__ == "__main__":
    main()
