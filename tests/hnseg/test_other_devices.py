"""Training and prediction on a device that is no CPU, and on which tensors of the CPU are not welcome.

A GPU is not at hand everywhere; ``fake_gpu.py`` stands in for one. It runs in a process of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from hnseg.images.image_io import read_image
from hnseg.inference.predict_case import InferenceOptions
from hnseg.inference.predict_cohort import predict_cohort
from hnseg.models import channels_last, exact_input
from hnseg.models.checkpoint import load_checkpoint
from hnseg.models.device import _best_precision
from hnseg.training import loop as train
from hnseg.training import state
from hnseg.training.optimizer import make_optimizer
from hnseg.workdir import change_config

pytestmark = pytest.mark.skipif(
    not hasattr(torch.utils.backend_registration, "_setup_privateuseone_for_python_backend"),
    reason=f"torch {torch.__version__} lets no device be written in Python",
)

SCRIPT = """
import json, sys
from pathlib import Path

import fake_gpu

DEVICE = fake_gpu.install()
import hnseg.inference.predict_case
from hnseg.training import loop as train
from hnseg.inference.predict_cohort import predict_cohort
from hnseg.inference.predict_case import InferenceOptions

whole, still = map(Path, sys.argv[1:])
train.open_device = hnseg.inference.predict_case.open_device = fake_gpu.open_fake


def stop(done, total, what):
    if done == 1:
        raise KeyboardInterrupt


waits = {whole: [], still: []}
step = train.train_step


def watch(work):
    def watched(run, batch, rate):
        before = len(fake_gpu.WAITS)
        loss = step(run, batch, rate)
        assert loss.device == run.raw.state_dict()[next(iter(run.raw.state_dict()))].device == DEVICE
        waits[work].append(fake_gpu.WAITS[before:])
        return loss

    train.train_step = watched


with fake_gpu.FakeGpu():
    watch(still)
    train.train_fold(still, 0)
    watch(whole)
    try:
        train.train_fold(whole, 0, progress=stop)
    except KeyboardInterrupt:
        pass
    train.train_fold(whole, 0)
    train.train_fold(whole, 1)
    failures = predict_cohort(whole, options=InferenceOptions(window="auto", flips="x", disagreement=True))
waits = [waits[work] for work in (whole, still)]
print(json.dumps({"waits": waits, "failures": [str(failure) for failure in failures]}))
"""
SETTINGS = {"augment_on": "device", "ema_decay": 0.5, "epochs": 2, "precision": "32-true"}
RANDOM = ("affine_p", "elastic_p", "ct_scale_p", "ct_shift_p", "ct_noise_p", "ct_blur_p")
# Nothing random but flips, which need no number on the host; torch's average waits once a step.
STILL = {"ema_decay": 0.0, "epochs": 1, "augment.flip_p": 0.5, **{f"augment.{name}": 0.0 for name in RANDOM}}


@dataclass(frozen=True)
class Trained:
    """What was trained there: with everything random, and with nothing that a step must wait for.

    Attributes:
        work: Two folds, the first one interrupted and resumed, and the predicted test cases.
        waits: What each step of it waited for.
        still_waits: The same of one fold with the settings ``STILL``.
        failures: Of the prediction.
    """

    work: Path
    waits: list[list[str]]
    still_waits: list[list[str]]
    failures: list[str]


@pytest.fixture(scope="module")
def trained(prepared_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """One process for both, since each loads torch and MONAI."""
    works = [tmp_path_factory.mktemp("there") / name for name in ("whole", "still")]
    for work, more in zip(works, ({}, STILL), strict=True):
        shutil.copytree(prepared_run, work)
        change_config(work, {f"train.{name}": value for name, value in {**SETTINGS, **more}.items()})
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", SCRIPT, *map(str, works)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    said = json.loads(done.stdout.splitlines()[-1])
    return Trained(works[0], *said["waits"], said["failures"])


@pytest.mark.parametrize(("in_hardware", "precision"), [(True, "bf16-mixed"), (False, "16-mixed")])
def test_a_gpu_that_only_emulates_bf16_computes_in_fp16(monkeypatch, in_hardware, precision):
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation or in_hardware
    )
    assert _best_precision("cuda") == precision


@pytest.mark.slow
def test_there_as_on_the_cpu(run, trained, monkeypatch):
    # The CPU's own layers and its fused AdamW add in another order; they have tests of their own.
    for module in (channels_last, exact_input):
        monkeypatch.setattr(module, "is_exporting", lambda: True)
    monkeypatch.setattr(state, "make_optimizer", lambda parameters, config, fused: make_optimizer(parameters, config))
    elsewhere = trained.work
    assert trained.failures == []
    assert any(trained.waits)  # MONAI and the average wait, and are seen to
    shutil.copyfile(elsewhere / "config.yaml", run / "config.yaml")
    for fold in range(2):
        train.train_fold(run, fold, device="cpu")
        here, there = (load_checkpoint(work / "models" / f"fold_{fold}" / "last.pt") for work in (run, elsewhere))
        for kind in ("weights", "average"):
            for name, value in here[kind].items():
                torch.testing.assert_close(there[kind][name], value, atol=1e-4, rtol=1e-3)
        losses = [[row["loss"] for row in state["history"]] for state in (here, there)]
        assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert (
        predict_cohort(run, options=InferenceOptions(device="cpu", window="auto", flips="x", disagreement=True)) == []
    )
    folders = [work / "predictions" / "disagreement" for work in (run, elsewhere)]
    names = [path.name for path in sorted(folders[0].glob("*.nii.gz"))]
    assert names
    for name in names:
        one, other = (read_image(folder / name, name)[0] for folder in folders)
        assert one.max() > 0
        np.testing.assert_allclose(one, other, atol=1e-3)


@pytest.mark.slow
def test_a_step_waits_for_the_device_only_where_random_changes_do(trained):
    assert len(trained.still_waits) >= 3
    assert [wait for waits in trained.still_waits for wait in waits] == []
