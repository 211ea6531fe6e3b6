"""The challenge container's entry point: a valid mask on the CT grid, whatever goes wrong, and why in the log."""

from __future__ import annotations

import argparse
import ast
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from hnseg.cohort.checked_cohort import load_check
from hnseg.errors import HnsegError, OutputPathError
from hnseg.images.geometry import Grid
from hnseg.images.image_io import read_grid, read_image, write_image
from hnseg.inference.ensemble import run_ensemble
from hnseg.inference.export import export_models
from hnseg.inference.predict_case import InferenceOptions
from hnseg.inference.predict_cohort import predict_pair
from hnseg.models.checkpoint import load_checkpoint, save_checkpoint
from tests.examples import spoiled_jobs
from tests.examples.loading import GRAND_CHALLENGE as ENTRY
from tests.examples.loading import load_script
from tests.facts import raises_naming
from tests.hnseg.processes import descendants, end_and_check, start

FOLDERS = {"2025": "tumor-lymph-node-segmentation", "2026": "head-neck-tumor-segmentation"}


@pytest.fixture(scope="module")
def entry():
    return load_script(ENTRY)


@pytest.fixture(scope="module")
def opinionated_run(trained_run, tmp_path_factory):
    """The tiny run, with a first model that sees GTVp everywhere, and a second one that sees GTVn twice as surely."""
    work = tmp_path_factory.mktemp("opinionated") / "work"
    shutil.copytree(trained_run, work)
    for fold, (value, logit) in enumerate([(1, 50.0), (2, 100.0)]):
        path = work / "models" / f"fold_{fold}" / "best.pt"
        content = load_checkpoint(path)
        for name in [name for name in content["network"] if name.endswith("head.bias")]:
            content["network"][name][value] += logit
        save_checkpoint(path, content)
    return work


@pytest.fixture(scope="module")
def model(opinionated_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "model"
    export_models(opinionated_run, folder)
    return folder


@pytest.fixture
def job(trained_run, tmp_path):
    """A case as the platform hands it in."""
    case = load_check(trained_run).cases[0].as_case()
    for kind, path in (("ct", case.ct), ("pet", case.pet)):
        values, grid = read_image(path, case.id)
        write_image(tmp_path / "input" / "images" / kind / "3f2b.mha", values, grid)
    (tmp_path / "input" / "ehr.json").write_text(json.dumps({"Age": 61, "Gender": 1}))
    return tmp_path


def handed_in(job, interface="2025"):
    """The mask, which must be valid: uint8, compressed, labels 0 to 2."""
    path = job / "output" / "images" / FOLDERS[interface] / "output.mha"
    assert [p for p in (job / "output").rglob("*") if p.is_file()] == [path]
    header = path.read_bytes()[:2000].split(b"ElementDataFile")[0]
    assert b"ElementType = MET_UCHAR" in header
    assert b"CompressedData = True" in header
    mask, grid = read_image(path, "mask", dtype=np.uint8)
    assert mask.max() <= 2
    return mask, grid


def arguments(job, model, *more):
    return ["--input", str(job / "input"), "--output", str(job / "output"), "--model", str(model), *more]


@pytest.fixture
def run(entry, job, model, monkeypatch, capsys):
    """Run both processes' parts in this one: the entry point with given arguments; exit status and log."""

    def run_until(command, deadline):
        monkeypatch.setattr(sys, "argv", command[1:])
        status = entry.main()
        return None if status == 0 else f"the predicting process ended with status {status}"

    def run(*more, model=model):
        monkeypatch.setattr(entry, "run_until", run_until)
        monkeypatch.setattr(entry, "STARTED", time.monotonic())
        monkeypatch.setattr(
            sys,
            "argv",
            [str(ENTRY), *arguments(job, model, *(("--device", "cpu") if "--device" not in more else ()), *more)],
        )
        status = entry.main()
        return status, capsys.readouterr().out

    return run


def test_a_case_in_two_processes_without_network_gets_the_mask_of_predict(job, model, opinionated_run):
    for path in (job / "input").rglob("*"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    command = [sys.executable, str(ENTRY), *arguments(job, model, "--device", "cpu", "--window", "patch")]
    offline = ["unshare", "-rn"] if subprocess.run(["unshare", "-rn", "true"], check=False).returncode == 0 else []
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*offline, *command], capture_output=True, text=True, env=environment, check=False, cwd="/")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "EMPTY" not in done.stdout, done.stdout + done.stderr
    mask, grid = handed_in(job)
    ct = job / "input" / "images" / "ct" / "3f2b.mha"
    assert grid == read_grid(ct, "ct")
    (job / "direct").mkdir()
    expected = predict_pair(
        opinionated_run,
        ct,
        job / "input" / "images" / "pet" / "3f2b.mha",
        job / "direct" / "m.nii.gz",
        options=InferenceOptions("cpu"),
    )
    np.testing.assert_array_equal(mask, read_image(expected, "m")[0])
    assert set(np.unique(mask)) == {0, 2}


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (spoiled_jobs.remove_pet, "PET"),
        (spoiled_jobs.fill_pet_with_garbage, "images/pet/3f2b.mha"),
        (spoiled_jobs.truncate_pet, "images/pet/3f2b.mha"),
        (spoiled_jobs.make_pet_constant, "images/pet/3f2b.mha"),
        (spoiled_jobs.move_pet_away, "overlap"),
        (spoiled_jobs.truncate_ct, "images/ct/3f2b.mha"),
    ],
)
def test_bad_images_lead_to_an_empty_mask_on_the_ct_grid(job, run, spoil, reason):
    expected = read_grid(job / "input" / "images" / "ct" / "3f2b.mha", "ct")
    spoil(job)
    status, log = run()
    assert status == 0, log
    mask, grid = handed_in(job)
    assert grid == expected
    assert not mask.any()
    assert reason in log
    assert "the mask is EMPTY" in log


def test_without_a_ct_the_mask_lies_on_the_pet_grid_and_without_both_there_is_none(job, run):
    expected = read_grid(job / "input" / "images" / "pet" / "3f2b.mha", "pet")
    (job / "input" / "images" / "ct" / "3f2b.mha").write_bytes(b"")
    status, log = run()
    assert status == 0
    mask, grid = handed_in(job)
    assert grid == expected
    assert not mask.any()
    assert "the CT has no header that can be read" in log
    shutil.rmtree(job / "output")
    spoiled_jobs.remove_pet(job)
    status, log = run()
    assert status == 1
    assert "no grid" in log
    assert not (job / "output").exists()


def test_a_damaged_model_leads_to_an_empty_mask(job, run, model, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(model, broken)
    path = broken / "models" / "fold_1" / "best.pt"
    path.write_bytes(path.read_bytes()[:-1000])
    status, log = run(model=broken)
    assert status == 0
    assert not handed_in(job)[0].any()
    assert "fold_1/best.pt is not a readable checkpoint" in log


def test_the_2026_folder(job, run):
    status, log = run("--interface", "2026")
    assert status == 0
    assert set(np.unique(handed_in(job, "2026")[0])) == {0, 2}
    assert "done" in log


def test_out_of_memory_leads_to_an_empty_mask(job, run, monkeypatch):
    def exhausted(*args, **kwargs):
        raise MemoryError

    monkeypatch.setattr("hnseg.inference.predict_case.run_ensemble", exhausted)
    status, log = run()
    assert status == 0
    assert not handed_in(job)[0].any()
    assert "out of memory" in log


def test_a_full_gpu_leaves_the_work_to_the_cpu(job, run, monkeypatch):
    asked = []

    def exhausted_on_the_gpu(*args, **kwargs):
        asked.append(args[3].device.type)
        if len(asked) == 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 4 GiB")
        return run_ensemble(*args, **kwargs)

    monkeypatch.setattr("hnseg.inference.predict_case.run_ensemble", exhausted_on_the_gpu)
    monkeypatch.setattr("hnseg.open_device", lambda device: argparse.Namespace(device=torch.device("cuda")))
    status, log = run("--device", "auto")
    assert status == 0
    assert "continuing on the CPU" in log
    assert asked == ["cpu", "cpu"]  # there is no GPU here
    assert set(np.unique(handed_in(job)[0])) == {0, 2}


def test_when_the_time_is_short_the_models_so_far_are_the_result(job, run):
    status, log = run("--limit-s", "20.001")  # nothing is left for a second model
    assert status == 0
    assert "1 of 2 models" in log
    assert set(np.unique(handed_in(job)[0])) == {0, 1}


def test_a_mask_left_before_the_end_is_handed_in(entry, job, model, monkeypatch, capsys):
    grid = read_grid(job / "input" / "images" / "ct" / "3f2b.mha", "ct")
    best = np.zeros(grid.shape, np.uint8)
    best[10:20, 10:20, 10:20] = 2

    def cut_off(command, deadline):
        write_image(Path(command[command.index("--left") + 1]), best, grid)
        return "the time is up"

    monkeypatch.setattr(entry, "run_until", cut_off)
    monkeypatch.setattr(sys, "argv", [str(ENTRY), *arguments(job, model)])
    assert entry.main() == 0
    np.testing.assert_array_equal(handed_in(job)[0], best)
    assert "not of all models, since the time is up" in capsys.readouterr().out

    best = best[:-1]
    grid = Grid((grid.size[0], grid.size[1], grid.size[2] - 1), grid.spacing_mm, grid.origin_mm, grid.direction)
    assert entry.main() == 0
    assert not handed_in(job)[0].any()
    assert "not a mask on the CT's grid" in capsys.readouterr().out


def test_the_other_process_is_ended_when_the_time_is_up(entry):
    began = time.monotonic()
    assert entry.run_until(["sleep", "60"], began) == "the time is up"
    assert time.monotonic() - began < 30
    assert "killed, most likely for its memory" in entry.run_until(["sh", "-c", "kill -9 $$"], began + 60)
    assert "status 3" in entry.run_until(["sh", "-c", "exit 3"], began + 60)
    assert entry.run_until(["true"], began + 60) is None


@pytest.mark.parametrize(
    ("name", "value"), [("HNSEG_INTERFACE", "2027"), ("HNSEG_INTERFACE", ""), ("HNSEG_WINDOW", "foo")]
)
def test_a_bad_environment_costs_no_mask(job, run, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    status, log = run()
    assert status == 0, log
    assert set(np.unique(handed_in(job)[0])) == {0, 2}  # as without the variable
    assert f"{name}={value!r}" in log


def test_the_environment_chooses_interface_and_window(job, run, monkeypatch):
    monkeypatch.setenv("HNSEG_INTERFACE", "2026")
    monkeypatch.setenv("HNSEG_WINDOW", "patch")
    status, log = run()
    assert (status, set(np.unique(handed_in(job, "2026")[0]))) == (0, {0, 2}), log


def test_a_limit_of_zero_seconds_is_a_limit(entry, job, model, monkeypatch, capsys):
    deadlines = []

    def run_until(command, deadline):
        deadlines.append(deadline)
        return "the time is up"

    monkeypatch.setattr(entry, "run_until", run_until)
    monkeypatch.setattr(sys, "argv", [str(ENTRY), *arguments(job, model, "--limit-s", "0")])
    assert entry.main() == 0
    assert deadlines == [entry.STARTED - entry.CLOSING_S]
    assert not handed_in(job)[0].any()


@pytest.mark.parametrize("limit", ["-1", "nan", "inf", "soon"])
def test_a_limit_is_a_number_of_seconds(entry, monkeypatch, limit, capsys):
    monkeypatch.setattr(sys, "argv", [str(ENTRY), "--limit-s", limit])
    with pytest.raises(SystemExit) as ended:
        entry.main()
    assert ended.value.code == 2


def test_several_images_are_told_of(entry, tmp_path, capsys):
    for name in ("b.mha", "a.mha", "notes.txt", "c.tif"):
        (tmp_path / name).touch()
    assert entry.find_image(tmp_path).name == "a.mha"
    assert "holds 3 images; a.mha is taken" in capsys.readouterr().out
    assert entry.find_image(tmp_path / "none") is None


def test_an_export_predicts_alike_and_holds_no_paths_and_images(opinionated_run, model, tmp_path):
    case = load_check(opinionated_run).cases[0].as_case()
    masks = [
        predict_pair(work, case.ct, case.pet, tmp_path / f"{k}.nii.gz", options=InferenceOptions("cpu"))
        for k, work in enumerate((opinionated_run, model))
    ]
    first, second = (read_image(path, "m")[0] for path in masks)
    np.testing.assert_array_equal(first, second)
    assert first.any()
    texts = "".join(path.read_text() for kind in ("json", "yaml") for path in model.rglob(f"*.{kind}"))
    assert str(case.ct.parent) not in texts
    assert str(case.ct.parents[2]) not in texts
    assert {path.suffix for path in model.rglob("*") if path.is_file()} == {".json", ".npz", ".pt", ".yaml"}
    with raises_naming(OutputPathError, model):
        export_models(opinionated_run, model)


def test_arguments_default_to_the_platforms_places(entry, monkeypatch):
    seen = {}
    monkeypatch.setattr(entry, "guard", lambda arguments: seen.update(vars(arguments)) or 0)
    monkeypatch.setattr(sys, "argv", [str(ENTRY)])
    assert entry.main() == 0
    assert (str(seen["input"]), str(seen["output"]), seen["interface"]) == ("/input", "/output", "2025")


@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.soak)])
def test_the_predicting_process_ends_with_the_guarding_one(job, model, number):
    """Both are in sessions of their own, so that a signal to one does not reach the other."""
    process = start([ENTRY, *arguments(job, model, "--device", "cpu")])
    output = job / "output" / "images" / FOLDERS["2025"] / "output.mha"
    end_and_check(process, lambda: output.is_file() and descendants(process.pid), number, least=1)


PROOFS = {  # the test that shows what an option changes
    **dict.fromkeys(("--input", "--output", "--model", "--device"), "test_the_2026_folder"),  # given in every run
    "--interface": "test_the_2026_folder",
    "--limit-s": "test_when_the_time_is_short_the_models_so_far_are_the_result",
    "--window": "test_the_window_and_the_center_reach_the_prediction",
    "--center": "test_the_window_and_the_center_reach_the_prediction",
    **dict.fromkeys(
        ("--left", "--deadline", "--guard-pid"), "test_a_case_in_two_processes_without_network_gets_the_mask_of_predict"
    ),
}


def test_every_option_has_a_proof():
    calls = [node for node in ast.walk(ast.parse(ENTRY.read_text())) if isinstance(node, ast.Call)]
    options = {ast.literal_eval(node.args[0]) for node in calls if getattr(node.func, "attr", "") == "add_argument"}
    assert options == set(PROOFS)
    assert all(callable(globals()[name]) for name in PROOFS.values())


def test_the_window_and_the_center_reach_the_prediction(job, run, monkeypatch):
    seen = []

    def open_segmenter(model, options):
        seen.append(options.window)
        raise HnsegError("far enough")

    monkeypatch.setattr("hnseg.open_segmenter", open_segmenter)
    for more in ((), ("--window", "patch")):
        assert run(*more)[0] == 0
    assert seen == ["auto", "patch"]
    monkeypatch.undo()
    cases = []

    def preprocess_case(case, *args, **kwargs):
        cases.append(case)
        raise HnsegError("far enough")

    monkeypatch.setattr("hnseg.preprocess_case", preprocess_case)
    assert run("--center", "ALFA")[0] == 0
    assert cases[0].center == "ALFA"
