"""Export of the networks of a run for onnxruntime, one file for each fold, with their parity measured."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType

import torch

from hnseg.cohort.labels import LESION_CLASSES
from hnseg.cohort.splits import load_splits
from hnseg.errors import HnsegError
from hnseg.inference.ensemble import hash_models, load_network
from hnseg.inference.export import check_export_folder, find_finished_models
from hnseg.models.device import open_device
from hnseg.models.network import CHANNELS, stride
from hnseg.preprocessing.prepared_cohort import open_cohort
from hnseg.progress import ProgressCallback, no_progress
from hnseg.provenance import versions
from hnseg.settings.config import Config
from hnseg.workdir import load_config
from ssimh.files.artifact_cache import ArtifactCache
from ssimh.files.atomic import atomic_folder
from ssimh.files.json_object import JsonObject

IMAGE, LOGITS = "image", "logits"  # names of the input and the output
RECORD = "onnx.json"
OPSET = 17
MAX_DIFFERENCE = 1e-3  # in probability, between torch and onnxruntime
LARGEST_PROBE = 64  # edge of the windows that the parity is measured on, in voxels


@dataclass(frozen=True)
class WindowParity:
    """Largest absolute differences between torch and onnxruntime in one window.

    Attributes:
        window_zyx_vox: Its shape.
        logits: In the logits.
        probability: In the probabilities, their softmax.
    """

    window_zyx_vox: tuple[int, ...]
    logits: float
    probability: float


def export_onnx(work: Path, folder: Path, *, progress: ProgressCallback = no_progress) -> list[Path]:
    """Write the network of every fold as ``fold_<k>.onnx``, and ``onnx.json``, in float32.

    A network takes ``image``, (batch, 2, z, y, x) float32, CT and PET as the run prepares them, and gives ``logits``,
    (batch, 3, z, y, x). Batch and window are free; each length of the window is a multiple of the network's stride, at
    least two of it. The ensemble is the mean of the logits of all files. Preparation, sliding window and
    post-processing are not in the files. They appear whole or not at all.

    Every file is run by onnxruntime and compared with torch, both in float32 on the CPU, on two generated windows of
    different shapes. ``onnx.json`` holds the largest differences in logits and in probability, beside what the files
    were made from.

    Args:
        work: With trained models.
        folder: New or empty.
        progress: Called after each fold.

    Returns:
        The files of the networks.

    Raises:
        HnsegError: onnx or onnxruntime is missing, or a file differs from torch by more than 0.001 in probability.
        OutputPathError, WorkDirError: As :func:`hnseg.inference.export.export_models`.
    """
    onnx, _ = load_onnx()
    check_export_folder(work, folder)
    models = find_finished_models(work)
    config, fabric = load_config(work), open_device("cpu", "32-true")
    key = _made_from(work, models, config)
    files: dict[str, Path] = {}
    parity: dict[str, list[WindowParity]] = {}
    with atomic_folder(folder) as made:
        for fold, path in enumerate(models):
            network, file = load_network(path, config.train, fabric), made / f"fold_{fold}.onnx"
            write_onnx(network, file, patch_zyx=config.train.patch_zyx, multiple=stride(config.train))
            _add_origin(onnx, file, fold, key["models"][path.relative_to(work).as_posix()])
            parity[file.name] = measure_parity(network, file, probe_windows(config))
            files[file.name] = file
            largest = max(window.probability for window in parity[file.name])
            progress(fold + 1, len(models), f"fold {fold}: within {largest:.1e} in probability")
        ArtifactCache(made / RECORD, key, files).save({**_describe(config), "parity": _as_json(parity)})
    return [folder / name for name in files]


def load_onnx() -> tuple[ModuleType, ModuleType]:
    """The packages onnx and onnxruntime.

    Raises:
        HnsegError: One is not installed.
    """
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        raise HnsegError(f'ONNX needs {error.name}, which is not installed: pip install "ssimh[onnx]"') from error
    return onnx, onnxruntime


def write_onnx(network: torch.nn.Module, path: Path, *, patch_zyx: Sequence[int], multiple: int) -> None:
    """Write a network with free batch and window.

    By torch's older exporter, which traces: there is no control flow to miss in this network, the free lengths stay
    free, it needs neither onnxscript nor a recent torch, and it takes a tenth of the newer one's time.

    Args:
        network: In evaluation mode, on the CPU, in float32.
        path: File to write.
        patch_zyx: Window that it was trained on.
        multiple: Its stride.
    """
    free = {0: "batch", 2: "z", 3: "y", 4: "x"}
    lengths = [min(n, 2 * multiple) for n in patch_zyx]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]
        # Its statistics are those of the window also in evaluation mode, in torch and in ONNX.
        warnings.filterwarnings("ignore", "ONNX export mode is set to TrainingMode.EVAL, but operator 'instance_norm'")
        torch.onnx.export(
            network,
            (torch.zeros(1, CHANNELS, *lengths),),
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=[IMAGE],
            output_names=[LOGITS],
            dynamic_axes={IMAGE: free, LOGITS: free},
        )


def probe_windows(config: Config) -> list[torch.Tensor]:
    """Two generated windows (1, 2, z, y, x) of different shapes, in the range of the run's images: blobs and noise."""
    multiple = stride(config.train)
    longest = max(2 * multiple, LARGEST_PROBE // multiple * multiple)
    z, y, x = (min(n, longest) for n in config.train.patch_zyx)
    low, high = (0.0, 1.0) if config.prepare.sigmoid else (-1.0, 6.0)
    generator = torch.Generator().manual_seed(0)
    windows = []
    for shape in ((z, y, x), (z + multiple, y, x)):
        coarse = torch.rand((1, CHANNELS, *(max(2, n // 8) for n in shape)), generator=generator)
        blobs = torch.nn.functional.interpolate(coarse, size=shape, mode="trilinear")
        noise = torch.rand((1, CHANNELS, *shape), generator=generator)
        windows.append(low + (high - low) * (0.8 * blobs + 0.2 * noise))
    return windows


def measure_parity(network: torch.nn.Module, path: Path, windows: Sequence[torch.Tensor]) -> list[WindowParity]:
    """Compare a written network with torch.

    Args:
        network: The one that was written.
        path: Its file.
        windows: (batch, 2, z, y, x).

    Returns:
        For each window what was found.

    Raises:
        HnsegError: One differs by more than 0.001 in probability.
    """
    _, onnxruntime = load_onnx()
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found = []
    for window in windows:
        with torch.inference_mode():
            ours = network(window)
        theirs = torch.from_numpy(session.run([LOGITS], {IMAGE: window.numpy()})[0])
        logits = float((ours - theirs).abs().max())
        probability = float((ours.softmax(dim=1) - theirs.softmax(dim=1)).abs().max())
        found.append(WindowParity(tuple(window.shape[2:]), logits, probability))
        if not probability <= MAX_DIFFERENCE:
            raise HnsegError(
                f"{path.name}: onnxruntime {onnxruntime.__version__} differs from torch {torch.__version__} by "
                f"{probability:.2g} in probability; at most {MAX_DIFFERENCE:g} is allowed, so nothing is written"
            )
    return found


def _as_json(parity: Mapping[str, Sequence[WindowParity]]) -> JsonObject:
    return {name: [asdict(window) for window in windows] for name, windows in parity.items()}


def _made_from(work: Path, models: Sequence[Path], config: Config) -> JsonObject:
    onnx, onnxruntime = load_onnx()
    packages = {**versions(), "onnx": onnx.__version__, "onnxruntime": onnxruntime.__version__}
    return {
        "models": hash_models(work, models),
        "preparation": dict(open_cohort(work).preparation),
        "split": load_splits(work).digest,
        "train": config.train.model_dump(mode="json"),
        "opset": OPSET,
        "versions": packages,
    }


def _describe(config: Config) -> JsonObject:
    """What a reader of the files has to know."""
    return {
        "input": {"name": IMAGE, "shape": ["batch", "CT, PET", "z", "y", "x"], "dtype": "float32"},
        "output": {"name": LOGITS, "shape": ["batch", "class", "z", "y", "x"], "dtype": "float32"},
        "classes": {"0": "background", **{str(kind.value): kind.name for kind in LESION_CLASSES}},
        "window_multiple_vox": stride(config.train),
        "trained_window_zyx_vox": list(config.train.patch_zyx),
        "ensemble": "mean of the logits of all files, before the softmax",
    }


def _add_origin(onnx: ModuleType, path: Path, fold: int, sha256: str) -> None:
    """Write into the file itself which model it is, and let onnx check it."""
    model = onnx.load(str(path))
    onnx.helper.set_model_props(model, {"fold": str(fold), "model_sha256": sha256})
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
