"""Every option of every command changes something, or is refused with exit status 2 where it would not.

``PROOFS`` names for each option the test that shows its effect; an option without an entry fails here.
"""

from __future__ import annotations

import ast
import json
import shutil
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from hnseg.cli.commands import app
from hnseg.cohort.splits import Splits, save_splits
from hnseg.errors import OptionError
from hnseg.inference.predict_case import InferenceOptions
from hnseg.inference.predict_cohort import predict_cohort, predict_pair
from hnseg.settings.config import Config
from hnseg.training.folds import train_folds
from hnseg.workdir import change_config, save_config, write_json
from tests.facts import raises_naming

TESTS = Path(__file__).parents[1]
HERE = "cli/test_options.py::"
RESULTS = "cli/test_results.py::"
COMPARE = f"{RESULTS}test_compare_of_two_runs_of_a_run_with_itself_and_of_folders"
REACHES = f"{HERE}test_an_option_reaches_the_library"
SETTINGS = "cli/test_settings.py::"
SET = f"{SETTINGS}test_a_command_changes_settings_that_it_reads"

PROOFS = {
    "phantom": {"--cases-per-center": REACHES, "--seed": REACHES, "--full-resolution": REACHES, "--jobs": REACHES},
    "init": {
        "--from": f"{SETTINGS}test_a_run_begun_from_another_shares_its_prepared_cases",
        "--data": f"{SETTINGS}test_init_begins_a_run_with_every_setting_in_a_file",
        "--preset": f"{SETTINGS}test_init_begins_a_run_with_every_setting_in_a_file",
        "--config": f"{SETTINGS}test_a_settings_file_and_assignments_are_laid_over_its_preset",
        **dict.fromkeys(
            ("--set", "--reference"), f"{SETTINGS}test_a_settings_file_and_assignments_are_laid_over_its_preset"
        ),
    },
    "config": dict.fromkeys(("--preset", "--against", "--all"), f"{SETTINGS}test_config_shows_what_differs"),
    "dicom": {
        **dict.fromkeys(
            (
                *("--layout", "--ids", "--suv", "--dose-in-mbq", "--tags", "--structures", "--keep-uids", "--jobs"),
                *("--ct-series", "--pet-series", "--structure-series", "--leave-out-series", "--pet-only"),
            ),
            "cli/test_dicom.py::test_an_option_reaches_the_conversion",
        ),
        "--show-names": "cli/test_dicom.py::test_names_of_structures_are_shown_on_request_alone",
    },
    "check": {
        "--preset": REACHES,
        "--set": REACHES,
        "--jobs": REACHES,
        "--viewer": "check/test_case_viewer.py::test_the_command_shows_as_many_cases_as_it_is_told",
    },
    "split": {
        **dict.fromkeys(
            ("--test", "--folds", "--leave-one-center-out"),
            "cli/test_cohort.py::test_the_command_splits_by_lists_and_by_center",
        ),
        "--set": SET,
    },
    "prepare": {**dict.fromkeys(("--jobs", "--memory-gb", "--shard", "--dask"), REACHES), "--set": SET},
    "train": {**dict.fromkeys(("--fold", "--device", "--jobs", "--init"), REACHES), "--set": SET},
    "plan": {
        "--device": REACHES,
        "--cases": REACHES,
        "--out": "training/test_plan.py::test_the_command_shows_and_writes_the_plan",
    },
    "tune": {
        **dict.fromkeys(("--device", "--jobs"), REACHES),
        "--seed": f"{HERE}test_the_seed_of_tune_reaches_its_resampling",
        "--set": SET,
    },
    "predict": {
        **dict.fromkeys(
            (
                *("--out", "--ct", "--pet", "--mask", "--center", "--site", "--window", "--flips", "--disagreement"),
                *("--memory-gb", "--jobs", "--shard", "--dask", "--device"),
                *("--dicom", "--form", "--tags", "--suv", "--dose-in-mbq", "--ct-series", "--pet-series"),
            ),
            REACHES,
        ),
        "--set": SET,
    },
    "fit-site": dict.fromkeys(("--out", "--center", "--jobs"), REACHES),
    "export": {
        "--bundle": "bundle/test_write_bundle.py::test_the_command_exports_one_thing_to_one_place",
        "--onnx": "inference/test_export_onnx.py::test_the_command_exports_onnx",
        **dict.fromkeys(
            ("--authors", "--copyright", "--license", "--data-source"),
            "bundle/test_write_bundle.py::test_what_the_exporter_states_is_in_the_bundle",
        ),
    },
    "evaluate": {
        "--rule": f"{RESULTS}test_rules_reach_the_counts",
        "--rules": f"{RESULTS}test_other_options_of_evaluate",
        **dict.fromkeys(("--missing", "--allow-extra"), f"{RESULTS}test_evaluate_says_what_it_left_out_or_made_up"),
        "--out": f"{RESULTS}test_out_of_a_work_directory_is_honored",
        "--jobs": REACHES,
    },
    "compare": {
        **dict.fromkeys(("--truth", "--method-b", "--out"), COMPARE),
        **dict.fromkeys(("--method-a", "--common", "--seed"), f"{HERE}test_options_of_compare_change_the_result"),
        "--jobs": f"{HERE}test_the_processes_of_compare_score_its_folders",
    },
    "report": {"--external": REACHES, "--viewer": REACHES, "--jobs": REACHES},
    "figures": dict.fromkeys(("--case", "--external", "--only"), REACHES),
    "view": dict.fromkeys(("--out", "--prediction", "--disagreement"), REACHES),
}


def commands() -> dict[str, typer.core.TyperCommand]:
    return typer.main.get_command(app).commands


def test_every_option_has_a_proof():
    flags = {
        name: {parameter.opts[0] for parameter in command.params if parameter.opts[0].startswith("--")} - {"--help"}
        for name, command in commands().items()
    }
    assert {name: set(proofs) for name, proofs in PROOFS.items()} == flags


@pytest.mark.parametrize("proof", sorted({proof for proofs in PROOFS.values() for proof in proofs.values()}))
def test_every_proof_exists(proof):
    path, function = proof.split("::")
    tree = ast.parse((TESTS / path).read_text(encoding="utf-8"))
    assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def run(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


class Spy:
    """Stands in for a public function; notes how it was called and ends the command."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, str]]] = []

    def put(self, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
        def called(*args: object, **kwargs: object) -> list[object]:
            named = {name: str(value) for name, value in kwargs.items() if name != "progress"}
            self.calls.append((place, {**{str(k): str(value) for k, value in enumerate(args)}, **named}))
            raise OptionError("the spy ends the command")

        monkeypatch.setattr(place, called)


PLACES = {
    "phantom": ("hnseg.phantom.generate_cohort",),
    "check": ("hnseg.cli.cohort.check_cohort",),
    "prepare": ("hnseg.preprocessing.prepare_cohort.prepare_cohort",),
    "train": ("hnseg.training.folds.train_folds",),
    "plan": ("hnseg.training.plan.make_plan",),
    "tune": ("hnseg.inference.out_of_fold.predict_out_of_fold",),
    "predict": tuple(
        f"hnseg.inference.{name}"
        for name in (
            "predict_cohort.predict_cohort",
            "predict_cohort.predict_cohort_from_files",
            "predict_cohort.predict_pair",
            "predict_study.predict_study",
        )
    ),
    "fit-site": ("hnseg.preprocessing.new_center.fit_new_center",),
    "evaluate": ("hnseg.cli.results.evaluate_workdir", "hnseg.cli.results.evaluate_folder"),
    "compare": ("hnseg.cli.results.evaluate_folder",),
    "report": ("hnseg.report.page.write_report", "hnseg.report.external_page.write_external_report"),
    "figures": ("hnseg.report.paper_figures.write_figures.write_figures",),
    "view": ("hnseg.report.view_page.write_view",),
}
STUDY = ("predict", "WORK", "--dicom", "STUDY", "--out", "seg.dcm")
PAIR = ("predict", "WORK", "--ct", "ct.nii.gz", "--pet", "pet.nii.gz", "--mask", "mask.nii.gz")
REACHING: list[tuple[tuple[str, ...], tuple[str, ...], str]] = [
    *(
        (("phantom", "ROOT"), more, value)
        for more, value in (
            (("--cases-per-center", "3"), "3"),
            (("--seed", "8"), "8"),
            (("--full-resolution",), "True"),
            (("--jobs", "2"), "2"),
        )
    ),
    (("check", "ROOT"), ("--jobs", "2"), "2"),
    (
        ("check", "ROOT"),
        ("--set", "prepare.crop=nvauto"),
        str(Config.from_preset("recommended").prepare.model_copy(update={"crop": "nvauto"})),
    ),
    (("check", "ROOT"), ("--preset", "demo"), str(Config.from_preset("demo").prepare)),
    (("prepare", "WORK"), ("--jobs", "3"), "jobs=3"),
    (("prepare", "WORK", "--jobs", "3"), ("--memory-gb", "7.5"), "memory_gb=7.5"),
    (("prepare", "WORK"), ("--shard", "2/8"), "shard=(2, 8)"),
    (("prepare", "WORK"), ("--dask", "tcp://a:1"), "dask='tcp://a:1'"),
    (("train", "WORK"), ("--fold", "1"), "[1]"),
    (("train", "WORK"), ("--device", "cpu"), "cpu"),
    (("train", "WORK", "--device", "cpu"), ("--jobs", "2"), "2"),
    (("train", "WORK"), ("--init", "best.pt"), "best.pt"),
    (("plan", "WORK"), ("--device", "mps"), "mps"),
    (("plan", "WORK"), ("--cases", "680"), "680"),
    (("tune", "WORK"), ("--device", "cpu"), "cpu"),
    (("tune", "WORK"), ("--jobs", "3"), "3"),
    (("predict", "WORK", "DATA"), ("--out", "masks"), "masks"),
    (PAIR[:6], PAIR[6:], "mask.nii.gz"),
    ((*PAIR[:2], *PAIR[4:]), PAIR[2:4], "ct.nii.gz"),
    ((*PAIR[:4], *PAIR[6:]), PAIR[4:6], "pet.nii.gz"),
    (PAIR, ("--center", "ALFA"), "ALFA"),
    (PAIR, ("--site", "new.json"), "sites=(PosixPath('new.json'),)"),
    (("fit-site", "WORK", "DATA"), ("--out", "new.json"), "new.json"),
    (("fit-site", "WORK", "DATA", "--out", "new.json"), ("--center", "NEW"), "NEW"),
    (("fit-site", "WORK", "DATA", "--out", "new.json"), ("--jobs", "3"), "3"),
    (("predict", "WORK", *STUDY[4:]), STUDY[2:4], "STUDY"),
    (STUDY, ("--form", "labelmap"), "labelmap"),
    (STUDY, ("--tags", "tags.csv"), "tags=PosixPath('tags.csv')"),
    (STUDY, ("--suv", "lbm"), "suv='lbm'"),
    (STUDY, ("--dose-in-mbq",), "dose_in_mbq=True"),
    (STUDY, ("--ct-series", "3"), "ct=(3,)"),
    (STUDY, ("--pet-series", "4"), "pet=(4,)"),
    (("predict", "WORK"), ("--window", "auto"), "window='auto'"),
    (("predict", "WORK"), ("--flips", "xy"), "flips='xy'"),
    (("predict", "WORK"), ("--disagreement",), "disagreement=True"),
    (("predict", "WORK", "--window", "auto"), ("--memory-gb", "7.5"), "memory_gb=7.5"),
    (("predict", "WORK"), ("--jobs", "3"), "jobs=3"),
    (("predict", "WORK"), ("--shard", "2/8"), "shard=(2, 8)"),
    (("predict", "WORK"), ("--dask", "tcp://a:1"), "dask='tcp://a:1'"),
    (("predict", "WORK"), ("--device", "cpu"), "device='cpu'"),
    (("evaluate", "WORK"), ("--jobs", "3"), "3"),
    (("report", "WORK"), ("--external", "OUT"), "OUT"),
    (("report", "WORK"), ("--viewer", "7"), "7"),
    (("report", "WORK"), ("--jobs", "3"), "3"),
    (("figures", "WORK"), ("--case", "A-1"), "A-1"),
    (("figures", "WORK"), ("--external", "OUT"), "OUT"),
    (("figures", "WORK"), ("--only", "1,5"), "[1, 5]"),
    (("view", "CT", "PET"), ("--out", "page.html"), "page.html"),
    (("view", "CT", "PET", "MASK"), ("--prediction", "OTHER"), "OTHER"),
    (("view", "CT", "PET", "MASK"), ("--disagreement", "MAP"), "MAP"),
]


def test_the_rows_are_those_that_the_proofs_name():
    shown = {(base[0], more[0]) for base, more, _ in REACHING}
    assert shown == {(name, flag) for name, proofs in PROOFS.items() for flag in proofs if proofs[flag] == REACHES}


@pytest.mark.parametrize(("base", "more", "value"), REACHING, ids=lambda row: " ".join(row) if row else "")
def test_an_option_reaches_the_library(tmp_path, monkeypatch, base, more, value):
    monkeypatch.chdir(tmp_path)
    write_json(tmp_path / "WORK" / "run.json", {"data_root": ""})
    save_config(Config.from_preset("demo"), tmp_path / "WORK")
    save_splits(Splits(0, ("A",), (("B",), ("C",)), None), tmp_path / "WORK")
    spy = Spy()
    for place in PLACES[base[0]]:
        spy.put(monkeypatch, place)
    run(*base)
    run(*base, *more)
    *before, after = [set(arguments.values()) for _, arguments in spy.calls]
    new = after - (before[0] if before else set())
    assert any(value in argument for argument in new), spy.calls


def test_the_seed_of_tune_reaches_its_resampling(run_of_its_own, monkeypatch):
    monkeypatch.setattr("hnseg.inference.out_of_fold.predict_out_of_fold", lambda *args, **kwargs: [])
    spy = Spy()
    spy.put(monkeypatch, "hnseg.inference.tune.tune_workdir")
    run("tune", run_of_its_own)
    run("tune", run_of_its_own, "--seed", "8")
    before, after = [arguments["seed"] for _, arguments in spy.calls]
    assert after == "8" != before


def test_options_of_compare_change_the_result(small_workdir, tmp_path, edit_json):
    assert run("evaluate", small_workdir).exit_code == 0
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(small_workdir / "metrics.json", other)

    def compared(*options: str) -> dict[str, object]:
        done = run(
            "compare", small_workdir, other, "--method-b", "threshold_baseline", "--out", tmp_path / "c.json", *options
        )
        assert done.exit_code == 0, done.output
        content = json.loads((tmp_path / "c.json").read_text())
        (tmp_path / "c.json").unlink()
        return content

    plain = compared()
    assert compared() == plain
    assert compared("--seed", "8") != plain
    assert compared("--method-a", "empty_baseline")["scores"] != plain["scores"]
    edit_json(other / "metrics.json", lambda content: content["threshold_baseline"]["cases"].pop())
    assert run("compare", small_workdir, other, "--method-b", "threshold_baseline").exit_code == 1
    assert compared("--common")["n_cases"] == plain["n_cases"] - 1


def test_the_processes_of_compare_score_its_folders(small_workdir, monkeypatch):
    spy = Spy()
    for place in PLACES["compare"]:
        spy.put(monkeypatch, place)
    folders = small_workdir / "predictions", small_workdir / "baselines" / "empty"
    run("compare", *folders, "--truth", small_workdir / "cohort", "--jobs", "3")
    assert spy.calls[0][1]["jobs"] == "3"


REFUSED = [
    (("check", "ROOT"), ("--viewer", "3")),
    (("split", "WORK", "--leave-one-center-out"), ("--folds", "f.json")),
    (("prepare", "WORK"), ("--memory-gb", "4")),
    (("prepare", "WORK", "--jobs", "2", "--dask", "tcp://a:1"), ("--memory-gb", "4")),
    (("train", "WORK", "--fold", "0"), ("--jobs", "2")),
    (("train", "WORK", "--device", "cuda"), ("--jobs", "2")),
    *((PAIR, more) for more in (("--out", "d"), ("--jobs", "2"), ("--shard", "1/2"), ("--dask", "tcp://a:1"))),
    (("predict", "WORK"), ("--center", "ALFA")),
    (("predict", "WORK"), ("--site", "new.json")),
    (("predict", "WORK", "DATA", "--out", "d"), ("--center", "ALFA")),
    (("predict", "WORK"), ("--out", "d")),
    (("predict", "WORK", "--dask", "tcp://a:1"), ("--jobs", "2")),
]


@pytest.mark.parametrize(("base", "more"), REFUSED, ids=lambda row: " ".join(row))
def test_an_option_that_would_change_nothing_is_refused(tmp_path, monkeypatch, base, more):
    monkeypatch.chdir(tmp_path)
    spy = Spy()
    for place in PLACES.get(base[0], ()):
        spy.put(monkeypatch, place)
    done = run(*base, *more)
    assert done.exit_code == 2
    assert more[0] in done.stderr
    assert spy.calls == []
    assert list(tmp_path.iterdir()) == []


def test_a_memory_budget_for_windows_of_the_patch_is_refused(trained_run):
    with pytest.raises(OptionError):
        predict_cohort(trained_run, options=InferenceOptions(device="cpu", memory_gb=4))
    with pytest.raises(OptionError):
        predict_cohort(trained_run, options=InferenceOptions(device="cpu", window="patch", memory_gb=4))


@pytest.fixture
def run_of_its_own(prepared_run, tmp_path):
    """The records of a run that may be changed."""
    work = tmp_path / "work"
    work.mkdir()
    for name in ("config.yaml", "run.json", "check.json", "splits.json"):
        shutil.copy(prepared_run / name, work / name)
    return work


def test_a_center_that_the_run_does_not_use_or_know_is_refused(run_of_its_own, tmp_path):
    work = run_of_its_own
    pair = (tmp_path / "ct.nii.gz", tmp_path / "pet.nii.gz", tmp_path / "mask.nii.gz")
    with raises_naming(OptionError, "center 'ALFA'", "spectrum-swap", path=work):
        predict_pair(work, *pair, center="ALFA")
    change_config(work, {"prepare.harmonization": "spectrum-align"})
    with raises_naming(OptionError, "center 'ALPHA'", "ALFA, BETA"):
        predict_pair(work, *pair, center="ALPHA")


def test_a_preset_for_a_run_that_has_its_settings_is_refused(run_of_its_own):
    done = run("check", run_of_its_own, "--preset", "demo")
    assert (done.exit_code, "--preset" in done.stderr) == (2, True)


def test_weights_for_a_fold_that_has_begun_are_refused(run_of_its_own):
    (run_of_its_own / "models" / "fold_1").mkdir(parents=True)
    (run_of_its_own / "models" / "fold_1" / "last.pt").write_bytes(b"x")
    with pytest.raises(OptionError, match="fold 1"):
        train_folds(run_of_its_own, device="cpu", init=run_of_its_own / "best.pt")
