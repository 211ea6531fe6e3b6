"""Time and memory of predicting one case, by stage, beside the plain MONAI way of doing the same.

    python benchmarks/predict.py                     # a reduced case and the demo's network, on the CPU, minutes
    python benchmarks/predict.py --full              # 512 x 512 CT and the published network; wants a GPU, or hours

The case is generated; the weights are random, which changes neither time nor memory. Each way runs in a process of its
own, from the two files to the mask's file, with five models:

* published: `hnseg predict` with windows of the training patch, overlap 0.625;
* auto: `hnseg predict --window auto`, with five models and with two;
* plain MONAI: LoadImaged, Orientationd(RAS), Spacingd of the CT to the crop's spacing, ResampleToMatchd of the PET,
  ScaleIntensityRanged, NormalizeIntensityd, SlidingWindowInferer(training patch, overlap 0.625, Gaussian) over the
  whole volume by each of five networks that are all loaded, mean of the probabilities, Invertd, argmax, SaveImage. No
  crop, no harmonization, no post-processing.

Memory is the highest resident set of the process, the libraries (about 500 MB) included.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import pkgutil
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch

from hnseg.cohort.checked_cohort import CheckedCase, CohortCheck, save_check
from hnseg.cohort.splits import Splits, save_splits
from hnseg.images.image_io import write_image
from hnseg.inference.ensemble import find_models, load_network
from hnseg.inference.predict_case import InferenceOptions
from hnseg.inference.predict_cohort import predict_pair
from hnseg.models.checkpoint import save_checkpoint
from hnseg.models.device import open_device
from hnseg.models.model_origin import ModelOrigin
from hnseg.models.network import make_network
from hnseg.phantom import DEFAULT_CENTERS, generate_case
from hnseg.preprocessing.harmonizer_store import load_harmonizer, reference_cache
from hnseg.preprocessing.prepare_case import preparation_key
from hnseg.settings.config import Config
from hnseg.workdir import load_config, save_config, write_json
from ssimh.images.simpleitk import load_sitk

FOLDS = 5
FEW = 2  # the fewest that a run can have
WAYS = ("published", "auto", "auto, 2 models", "plain MONAI")
# Where the time of `predict_pair` goes: the functions that it calls, by stage.
STAGES = {
    "verify": ["hnseg.inference.predict_case.verify_models"],
    "read": ["hnseg.preprocessing.crop_case.read_image", "hnseg.preprocessing.crop_case.read_suv"],
    "crop": ["hnseg.preprocessing.crop_case.find_crop"],
    "resample": ["hnseg.preprocessing.crop_case.resample"],
    "harmonize": ["hnseg.preprocessing.harmonization.SwapToReference.harmonize"],
    "normalize": ["hnseg.preprocessing.prepare_case._channels"],
    "network": ["hnseg.inference.predict_case.run_ensemble"],
    "restore": ["hnseg.inference.predict_case.decide_label"],
    "post-process": ["hnseg.inference.predict_case.postprocess_label"],
    "write": ["hnseg.inference.mask_files.write_image"],
}


class Stages:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def time(self, stage: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - began

    def timed(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with self.time(stage):
                return function(*args, **kwargs)

        return call


def make_run(work: Path, preset: str, models: int) -> None:
    """A work directory as training leaves it, with random weights, and the case to predict."""
    import ssimh

    config = Config.from_preset("paper" if preset == "full" else "demo")
    write_json(work / "run.json", {"data_root": ""})
    save_config(config, work)
    splits = Splits(0, (), tuple((f"ALFA-{k:03d}",) for k in range(models)), "ALFA-100")
    save_splits(splits, work)
    checked = [CheckedCase(case_id, "ALFA", "", "", None, None, None, True, 1.0) for case_id in splits.all_ids()]
    save_check(CohortCheck(tuple(checked), ()), work)
    case = generate_case(DEFAULT_CENTERS[0], 1, seed=5, pixel_mm=None if preset == "full" else 1.95)
    write_image(work / "ct.nii.gz", case.ct, case.ct_grid)
    write_image(work / "pet.nii.gz", case.pet, case.pet_grid)
    x, y, z = config.prepare.box_vox
    mean = np.full((z, y, x), -700.0, np.float32)
    reference = reference_cache(work, checked[-1].as_case(), config.prepare)
    ssimh.ReferenceSpectrum.from_image(
        mean,
        threshold=config.prepare.swap_threshold,
        axes=(-2, -1),
        spacing_mm=(config.prepare.spacing_mm,) * 3,
        unit="HU",
    ).save(reference.outputs["reference"])
    reference.save({})
    preparation = preparation_key(config.prepare, load_harmonizer(work))
    for fold in range(models):
        torch.manual_seed(fold)
        origin = ModelOrigin(
            fold=fold,
            config=load_config(work),
            split=splits.digest,
            preparation=preparation,
            data="",
            training_cases=tuple(splits.train_ids(fold)),
            validation_cases=splits.folds[fold],
            versions={},
        )
        content = {"network": make_network(config.train).state_dict(), "origin": origin.model_dump(mode="json")}
        save_checkpoint(work / "models" / f"fold_{fold}" / "best.pt", content)


def by_hnseg(work: Path, window: str, device: str) -> dict[str, float]:
    """Seconds by stage of `hnseg predict` on the pair of files."""
    stages = Stages()
    with contextlib.ExitStack() as stack:
        for stage, names in STAGES.items():
            for name in names:
                stack.enter_context(mock.patch(name, stages.timed(stage, pkgutil.resolve_name(name))))
        load_sitk()  # importing is no stage of a case
        began = time.perf_counter()
        predict_pair(
            work,
            work / "ct.nii.gz",
            work / "pet.nii.gz",
            work.parent / f"{work.name}_masks" / "mask.nii.gz",
            options=InferenceOptions(device, window),
        )
        total = time.perf_counter() - began
    return {**stages.seconds, "other": total - sum(stages.seconds.values())}


def by_monai(work: Path, device: str) -> dict[str, float]:
    """Seconds by stage of the plain way, see the module's text."""
    import monai.transforms as mt
    from monai.data import decollate_batch
    from monai.inferers import SlidingWindowInferer

    config = load_config(work)
    fabric = open_device(device, config.train.precision)
    spacing, (low, high) = config.prepare.spacing_mm, config.prepare.ct_window_hu
    stages, both = Stages(), ("ct", "pet")
    resampling = mt.Compose(
        [
            mt.Orientationd(both, axcodes="RAS", labels=(("L", "R"), ("P", "A"), ("I", "S"))),
            mt.Spacingd("ct", pixdim=(spacing,) * 3, mode="bilinear"),
            mt.ResampleToMatchd("pet", key_dst="ct", mode="bilinear"),
        ]
    )
    with stages.time("read"):
        case = mt.LoadImaged(both, ensure_channel_first=True)({name: work / f"{name}.nii.gz" for name in both})
    with stages.time("resample"):
        case = resampling(case)
    with stages.time("normalize"):
        case = mt.ScaleIntensityRanged("ct", low, high, 0, 1, clip=True)(case)
        case = mt.NormalizeIntensityd("pet")(case)
        image = mt.ConcatItemsd(both, "image")(case)["image"][None].to(fabric.device)
    inferer = SlidingWindowInferer(config.train.patch_vox, 1, config.predict.overlap, mode="gaussian")
    with stages.time("network"), torch.inference_mode(), fabric.autocast():
        networks = [load_network(path, config.train, fabric) for path in find_models(work)]
        probabilities = sum(inferer(image, network).float().softmax(dim=1) for network in networks) / len(networks)
    with stages.time("restore"):
        case["pred"] = decollate_batch(probabilities.cpu())[0]
        case["pred"].applied_operations = case["ct"].applied_operations
        case = mt.Invertd("pred", transform=resampling, orig_keys="ct", nearest_interp=False)(case)
        mask = mt.AsDiscrete(argmax=True)(case["pred"])
    with stages.time("write"):
        mt.SaveImage(work / "out", output_dtype=np.uint8, separate_folder=False, print_log=False)(mask)
    return stages.seconds


def child(way: str, work: Path, device: str) -> None:
    """One way in this process; prints its seconds and its peak of memory."""
    warnings.simplefilter("ignore")
    (work / "out").mkdir(exist_ok=True)
    if way == "plain MONAI":
        seconds = by_monai(work, device)
    else:
        seconds = by_hnseg(work, "patch" if way == "published" else "auto", device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    gpu = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
    print(json.dumps({"seconds": seconds, "peak": peak, "gpu": gpu}))


def compare(preset: str, device: str) -> None:
    """All ways, one after the other, and their ratios."""
    rows = {}
    with tempfile.TemporaryDirectory() as scratch:
        for models in (FOLDS, FEW):
            (Path(scratch) / str(models)).mkdir()
            make_run(Path(scratch) / str(models), preset, models)
        for way in WAYS:
            work = Path(scratch) / str(FEW if way == "auto, 2 models" else FOLDS)
            command = [sys.executable, __file__, "--child", way, "--work", str(work), "--device", device]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(f"{way}:\n{done.stderr}")
            rows[way] = json.loads(done.stdout.splitlines()[-1])
    names = [*STAGES, "other"]
    print(f"{'seconds':14}" + "".join(f"{way:>16}" for way in rows))
    for name in names:
        print(f"{name:14}" + "".join(f"{row['seconds'].get(name, 0.0):16.2f}" for row in rows.values()))
    totals = {way: sum(row["seconds"].values()) for way, row in rows.items()}
    print(f"{'total':14}" + "".join(f"{total:16.2f}" for total in totals.values()))
    print(f"{'peak, MB':14}" + "".join(f"{row['peak'] / 2**20:16.0f}" for row in rows.values()))
    if any(row["gpu"] for row in rows.values()):
        print(f"{'peak GPU, MB':14}" + "".join(f"{row['gpu'] / 2**20:16.0f}" for row in rows.values()))
    for way in ("auto", "plain MONAI"):
        network = rows[way]["seconds"]["network"] / rows["published"]["seconds"]["network"]
        print(f"{way} / published: network {network:.2f}, whole case {totals[way] / totals['published']:.2f}")
    more = (rows["auto"]["peak"] - rows["auto, 2 models"]["peak"]) / 2**20
    print(f"five models take {more:+.0f} MB more than two")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--device", default=None, help="default: cpu, with --full auto")
    parser.add_argument("--child", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    device = arguments.device or ("auto" if arguments.full else "cpu")
    if arguments.child:
        child(arguments.child, arguments.work, device)
    else:
        compare("full" if arguments.full else "reduced", device)


if __name__ == "__main__":
    main()
