"""Entry point of the challenge container: always a mask in /output for the case in /input.

    python inference.py --model MODEL --input /input --output /output

There are two processes. This one reads the CT's header, writes an empty mask at once, and waits. The other one
predicts, and writes its mask to a separate folder after the first model and again after the last. When it has finished,
failed, run out of memory or out of time, its last mask is checked and replaces the empty one. The last line of the log
gives the reason for an empty mask or one of fewer models.

Exit status 0: a valid mask lies in /output. 1: neither the CT nor the PET has a readable header, so there is no
grid for a mask; nothing is written.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from hnseg import Case, Grid, HnsegError, read_grid, write_image
from hnseg.cohort.labels import LESION_CLASSES, read_label
from ssimh.processes import end_with_parent

STARTED = time.monotonic()
# Folder of the mask below /output/images, and seconds: the challenge stops a job after 10 (2026: 25) minutes, of which
# starting the container takes some.
INTERFACES = {"2025": ("tumor-lymph-node-segmentation", 540.0), "2026": ("head-neck-tumor-segmentation", 1440.0)}
WINDOWS = ("patch", "auto")
MODEL_PLACES = (Path("/opt/ml/model"), Path("/opt/app/model"))  # uploaded beside the image (2026), or inside it
ENDINGS = (".mha", ".mhd", ".nii.gz", ".nii", ".nrrd", ".tif", ".tiff")
MAX_VOXELS = 10**9  # of a mask for a damaged CT
CLOSING_S = 20.0  # for checking and compressing the last mask
LEFT = "mask.mha"  # in the predicting process's folder


def say(text: str) -> None:
    """A line of the log, with the seconds since the start."""
    print(f"[{time.monotonic() - STARTED:6.1f} s] {text}", flush=True)


def find_image(folder: Path) -> Path | None:
    """The first image of a folder, by name; None where there is none."""
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    found = [path for ending in ENDINGS for path in files if path.name.lower().endswith(ending)]
    if len(found) > 1:
        say(f"{folder} holds {len(found)} images; {found[0].name} is taken")
    return found[0] if found else None


def find_grid(ct: Path | None, pet: Path | None) -> Grid | None:
    """Grid of the CT; of the PET if the CT has no readable header; None if neither has one."""
    for name, path in (("CT", ct), ("PET", pet)):
        try:
            if path is None:
                raise HnsegError("there is no file")
            try:
                grid = read_grid(path, path.name)
            except HnsegError as error:
                grid = read_damaged_grid(path)
                say(f"the {name} is damaged, but its header can be read: {error}")
        except Exception as error:  # noqa: BLE001 - anything may be wrong with a header, and the next one may be right
            say(f"the {name} has no header that can be read: {error}")
            continue
        if name == "PET":
            say("the mask will lie on the PET's grid, the only one that is known")
        return grid
    return None


def read_damaged_grid(path: Path) -> Grid:
    """Grid of a file whose voxels are damaged, as its header states it.

    Raises:
        HnsegError: The header states no grid that a mask could lie on.
        RuntimeError: ITK cannot read the header.
    """
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    if reader.GetDimension() != 3 or not 0 < math.prod(reader.GetSize()) <= MAX_VOXELS:
        raise HnsegError(f"{path}: a mask of {reader.GetSize()} voxels is refused")
    if not all(0 < length < math.inf for length in reader.GetSpacing()):
        raise HnsegError(f"{path}: spacing {reader.GetSpacing()} mm")
    return Grid(reader.GetSize(), reader.GetSpacing(), reader.GetOrigin(), reader.GetDirection())


def check_mask(path: Path, grid: Grid) -> np.ndarray:
    """Read the mask of a file, if it is valid for submission.

    Raises:
        HnsegError: It is not a mask on the CT's grid.
    """
    mask, where = read_label(path, "mask")
    if not where.matches(grid):
        raise HnsegError(f"{path} is not a mask on the CT's grid")
    return mask


def guard(arguments: argparse.Namespace) -> int:
    """Write an empty mask, let the other process make a better one, and make sure that a valid one remains."""
    folder, default_limit_s = INTERFACES[arguments.interface]
    limit_s = default_limit_s if arguments.limit_s is None else arguments.limit_s
    out = arguments.output / "images" / folder / "output.mha"
    ct, pet = (find_image(arguments.input / "images" / name) for name in ("ct", "pet"))
    grid = find_grid(ct, pet)
    if grid is None:
        say("failed: there is no grid that a mask could lie on")
        return 1
    write_image(out, np.zeros(grid.shape, np.uint8), grid)
    say(f"an empty mask of {grid.size} voxels is written to {out}; now to a better one")
    try:
        improve(out, grid, STARTED + limit_s - CLOSING_S)
    except Exception:  # noqa: BLE001 - a valid mask is there already, and the log says why it is no better
        say(f"the mask is EMPTY:\n{traceback.format_exc()}")
    return 0


def improve(out: Path, grid: Grid, deadline: float) -> None:
    """Let the other process predict, and replace the empty mask with its result."""
    with tempfile.TemporaryDirectory() as scratch:
        left = Path(scratch) / LEFT
        command = [sys.executable, __file__, *sys.argv[1:], "--left", str(left), "--deadline", str(deadline)]
        command += ["--guard-pid", str(os.getpid())]
        reason = run_until(command, deadline)
        if not left.is_file():
            say(f"the mask is EMPTY: {reason or 'the predicting process left none'}")
            return
        mask = check_mask(left, grid)
    write_image(out, mask, grid)
    volumes = [f"{c.name} {np.count_nonzero(mask == c.value) * grid.voxel_ml:.1f} ml" for c in LESION_CLASSES]
    say(f"{', '.join(volumes)}: " + ("done" if reason is None else f"not of all models, since {reason}"))


def run_until(command: list[str], deadline: float) -> str | None:
    """Run a command; returns why it failed, or None."""
    process = subprocess.Popen(command, start_new_session=True)
    try:
        status = process.wait(timeout=max(1.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return "the time is up"
    finally:  # also after Ctrl-C
        if process.poll() is None:
            # Its loading processes and threads go with it.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if status == 0:
        return None
    if status == -signal.SIGKILL:
        return "the predicting process was killed, most likely for its memory"
    return f"the predicting process ended with status {status}, see above"


def predict(arguments: argparse.Namespace) -> int:
    """The other process: predict, and write the mask after the first model and after the last."""
    end_with_parent(arguments.guard_pid)
    with contextlib.suppress(OSError):  # if memory runs out, this process goes and the guarding one stays
        Path("/proc/self/oom_score_adj").write_text("1000")
    from hnseg import InferenceOptions, load_harmonizer, open_device, open_segmenter, preprocess_case
    from hnseg.models.memory import is_out_of_memory
    from hnseg.preprocessing.image_versions import FINAL

    ct, pet = (find_image(arguments.input / "images" / name) for name in ("ct", "pet"))
    if ct is None:
        raise HnsegError(f"there is no CT in {arguments.input / 'images' / 'ct'}")
    model = arguments.model or next(
        (place for place in MODEL_PLACES if (place / "run.json").is_file()), MODEL_PLACES[-1]
    )
    on_cpu = open_device(arguments.device).device.type == "cpu"
    segmenter = open_segmenter(
        model, InferenceOptions(arguments.device, arguments.window or ("auto" if on_cpu else "patch"))
    )
    case = Case(ct.name.split(".")[0], ct, pet, None, arguments.center)
    made = preprocess_case(case, segmenter.config.prepare, load_harmonizer(model), is_new=True)
    say(f"crop: {made.record.crop.reason}")
    say(f"harmonization: {made.record.harmonization.fallback or made.record.harmonization.method}")
    began = time.monotonic()
    ct_grid = made.cropped.ct_grid

    def leave(mask: np.ndarray) -> None:
        write_image(arguments.left, mask, ct_grid)

    def after_model(done: int, mask: Callable[[], np.ndarray]) -> bool:
        per_model_s = (time.monotonic() - began) / done
        if done == 1:
            leave(mask())
        say(f"model {done} of {len(segmenter.models)}, {per_model_s:.1f} s each")
        # A tenth more than the last ones took; without time for another the mean of these is the result.
        return time.monotonic() + 1.1 * per_model_s > arguments.deadline

    image, crop_grid = made.images[FINAL], made.cropped.crop.grid
    try:
        result = segmenter.segment(image, crop_grid, ct_grid, after_model=after_model)
    except RuntimeError as error:
        if on_cpu or not is_out_of_memory(error):
            raise
        say(f"the GPU has too little memory, continuing on the CPU: {error}")
        segmenter = open_segmenter(model, InferenceOptions("cpu", "auto"))
        result = segmenter.segment(image, crop_grid, ct_grid, after_model=after_model)
    leave(result.mask)
    say(f"{result.models} of {len(segmenter.models)} models, {result.tiling.count} windows of {result.tiling.window}")
    return 0


def from_environment(name: str, allowed: Collection[str], default: str | None) -> str | None:
    """Value of an environment variable; the default, and a line in the log, where it is none of those allowed."""
    value = os.environ.get(name)
    if value is None or value in allowed:
        return default if value is None else value
    say(f"{name}={value!r} is not allowed, choose {' or '.join(allowed)}; it counts as {default or 'not set'}")
    return default


def seconds(text: str) -> float:
    """A finite number of seconds that is not negative."""
    value = float(text)
    if not 0 <= value < math.inf:
        raise ValueError(text)
    return value


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--input", type=Path, default=Path("/input"))
    parser.add_argument("--output", type=Path, default=Path("/output"))
    parser.add_argument("--model", type=Path, help="folder made by `hnseg export`")
    parser.add_argument("--interface", choices=INTERFACES, help="edition of the challenge; default: HNSEG_INTERFACE")
    parser.add_argument("--limit-s", type=seconds, help="whole time for the case, in seconds")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--window", choices=WINDOWS, help="default: HNSEG_WINDOW, or auto on a CPU")
    parser.add_argument("--center", default="", help="where the scan comes from, if known")
    parser.add_argument("--left", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--deadline", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--guard-pid", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.interface = arguments.interface or from_environment("HNSEG_INTERFACE", INTERFACES, "2025")
    arguments.window = arguments.window or from_environment("HNSEG_WINDOW", WINDOWS, None)
    if arguments.left is None:
        return guard(arguments)
    try:
        return predict(arguments)
    except HnsegError as error:
        say(f"cannot predict: {error}")
    except MemoryError:
        say("cannot predict: out of memory")
    except Exception:  # noqa: BLE001 - the log must say what happened
        say(f"cannot predict:\n{traceback.format_exc()}")
    return 3


if __name__ == "__main__":
    sys.exit(main())
