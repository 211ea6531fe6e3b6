"""Prediction: on the CT's exact grid, the mean of logits, baselines that see the same box."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from hnseg.cli.commands import app
from hnseg.cohort.checked_cohort import load_check
from hnseg.cohort.splits import Splits, load_splits, save_splits
from hnseg.errors import CaseError, HnsegError, WorkDirError
from hnseg.images.image_io import read_grid, read_image, write_image
from hnseg.inference.baselines import predict_baselines
from hnseg.inference.ensemble import Predicted, ensemble_logits, find_models, load_network
from hnseg.inference.out_of_fold import open_out_of_fold
from hnseg.inference.postprocess import postprocess_label
from hnseg.inference.predict_case import InferenceOptions, open_segmenter
from hnseg.inference.predict_cohort import predict_cohort, predict_cohort_from_files, predict_pair
from hnseg.inference.restore import restore_label
from hnseg.inference.sliding_window import predict_logits
from hnseg.inference.tiling import tile
from hnseg.models.device import open_device
from hnseg.parallel import ParallelConfig
from hnseg.preprocessing.prepared_case import open_case
from hnseg.preprocessing.prepared_cohort import open_cohort
from hnseg.settings.config import Config
from hnseg.workdir import load_config, read_json, save_config
from ssimh.files.artifact_cache import find_differences
from tests.facts import names, raises_naming

CPU = InferenceOptions(device="cpu")


@pytest.fixture(scope="module")
def predicted(trained_run, tmp_path_factory):
    work = tmp_path_factory.mktemp("predicted") / "work"
    shutil.copytree(trained_run, work)
    assert predict_cohort(work, options=CPU) == []
    predict_baselines(work)
    return work


def test_masks_lie_on_the_cts_exact_grid(predicted):
    cases = {case.id: case for case in load_check(predicted).cases}
    tests = load_splits(predicted).test
    assert tests
    for case_id in tests:
        ct = read_grid(cases[case_id].as_case().ct, case_id)
        for folder in ("predictions", "baselines/threshold", "baselines/empty"):
            mask, grid = read_image(predicted / folder / f"{case_id}.nii.gz", case_id)
            assert grid == ct
            assert set(np.unique(mask)) <= {0, 1, 2}
        record = read_json(predicted / "predictions" / f"{case_id}.json", "predict")
        assert record["models"] == ["models/fold_0/best.pt", "models/fold_1/best.pt"]


def test_the_ensemble_is_the_mean_of_logits(trained_run):
    config = load_config(trained_run)
    fabric = open_device("cpu", "32-true")
    models = find_models(trained_run)
    image = torch.from_numpy(open_case(trained_run / "prepared" / load_splits(trained_run).test[0]).image[:])
    single = [
        predict_logits(load_network(path, config.train, fabric), image, config.train, config.predict, fabric)
        for path in models
    ]
    both = ensemble_logits(models, image, config, fabric)
    torch.testing.assert_close(both, (single[0] + single[1]) / 2)
    assert not torch.allclose(single[0], single[1])


def test_sliding_windows_agree_with_one_window_where_it_fits(trained_run):
    config = load_config(trained_run)
    fabric = open_device("cpu", "32-true")
    network = load_network(find_models(trained_run)[0], config.train, fabric)
    image = torch.rand(2, 32, 32, 32)
    with torch.inference_mode():
        whole = network(image[None])[0]
    windows = predict_logits(network, image, config.train, config.predict, fabric)
    torch.testing.assert_close(windows, whole, atol=1e-4, rtol=1e-4)


def masks(folder):
    return sorted(folder.glob("*.nii.gz"))


def test_finished_predictions_are_left_alone_and_others_are_made_again(predicted, tmp_path):
    work = tmp_path / "work"
    shutil.copytree(predicted, work)
    first, second = masks(work / "predictions")[:2]

    def remade(options=CPU):
        before = {path: path.stat().st_mtime_ns for path in masks(work / "predictions")}
        assert predict_cohort(work, options=options) == []
        return {path for path in before if path.stat().st_mtime_ns > before[path]}

    assert remade() == set()
    (work / "predictions" / f"{first.name.removesuffix('.nii.gz')}.json").unlink()
    assert remade() == {first}
    second.unlink()
    assert remade() == set()
    assert second.is_file()
    for content in ("{", "{}"):
        (work / "predictions" / f"{first.name.removesuffix('.nii.gz')}.json").write_text(content)
        assert remade() == {first}
    record = work / "prepared" / first.name.removesuffix(".nii.gz") / "case.json"
    content = json.loads(record.read_text())
    content["made_from"]["files"]["pet"]["sha256"] = "0" * 64
    record.write_text(json.dumps(content))
    assert remade() == {first}
    assert remade(InferenceOptions(device="cpu", flips="x")) == {first, second}
    assert remade(InferenceOptions(device="cpu", flips="x", disagreement=True)) == {first, second}
    (work / "predictions" / "disagreement" / second.name).unlink()
    assert remade(InferenceOptions(device="cpu", flips="x", disagreement=True)) == {second}
    assert not list(work.rglob(".writing-*"))


def test_a_mask_that_was_edited_is_kept_and_named(predicted, tmp_path):
    work = tmp_path / "work"
    shutil.copytree(predicted, work)
    edited, other = masks(work / "predictions")[:2]
    edited.write_bytes(other.read_bytes())
    content = edited.read_bytes()
    for options in (CPU, InferenceOptions(device="cpu", flips="x")):
        (failure,) = predict_cohort(work, options=options)
        assert (failure.case_id, failure.path) == (edited.name.removesuffix(".nii.gz"), edited)
        assert edited.read_bytes() == content
    edited.unlink()
    assert predict_cohort(work, options=CPU) == []
    assert edited.read_bytes() == (predicted / "predictions" / edited.name).read_bytes()


def test_baselines_of_other_files_are_made_again(predicted, tmp_path):
    work = tmp_path / "work"
    shutil.copytree(predicted, work)
    case_id = load_splits(work).test[0]
    paths = masks(work / "baselines" / "threshold")
    before = {path: path.stat().st_mtime_ns for path in paths}
    predict_baselines(work)
    assert {path: path.stat().st_mtime_ns for path in paths} == before
    record = work / "baselines" / f"{case_id}.json"
    content = json.loads(record.read_text())
    content["made_from"]["prepared"]["files"]["pet"] = "0" * 64
    record.write_text(json.dumps(content))
    predict_baselines(work)
    assert [path.name for path in paths if path.stat().st_mtime_ns != before[path]] == [f"{case_id}.nii.gz"]


def test_disagreement_lies_on_the_ct_grid_in_bits(predicted, tmp_path):
    work = tmp_path / "work"
    shutil.copytree(predicted, work)
    assert predict_cohort(work, options=InferenceOptions(device="cpu", disagreement=True)) == []
    for path in masks(work / "predictions"):
        _, grid = read_image(path, path.name)
        bits, where = read_image(work / "predictions" / "disagreement" / path.name, path.name)
        assert where == grid
        assert bits.dtype == np.float32
        assert 0 <= bits.min() < bits.max() <= 1  # two models
        record = read_json(work / "predictions" / f"{path.name.removesuffix('.nii.gz')}.json", "predict")
        assert record["made_from"]["disagreement"]


def test_one_bad_case_does_not_stop_the_rest(predicted, tmp_path):
    work = tmp_path / "work"
    shutil.copytree(predicted, work)
    shutil.rmtree(work / "predictions")
    bad, good = load_splits(work).test[:2]
    shutil.rmtree(work / "prepared" / bad)
    (failure,) = predict_cohort(work, options=CPU)
    assert (failure.case_id, failure.path) == (bad, work / "prepared" / bad)
    assert names(failure.reason, "`hnseg prepare`")
    assert [path.name for path in masks(work / "predictions")] == [f"{good}.nii.gz"]
    shutil.rmtree(work / "baselines")
    predict_baselines(work)
    assert [path.name for path in masks(work / "baselines" / "empty")] == [f"{good}.nii.gz"]


def test_a_cohort_of_files_is_predicted_case_by_case(predicted, small_cohort, tmp_path):
    root, out = tmp_path / "cohort", tmp_path / "masks"
    tests = load_splits(predicted).test
    for case_id in (*tests, "ALFA-001"):
        shutil.copytree(small_cohort / "Task 1" / case_id, root / case_id, dirs_exist_ok=True)
    bad = next(case_id for case_id in ("ALFA-001", "BETA-001") if case_id not in tests)
    shutil.copytree(small_cohort / "Task 1" / bad, root / bad, dirs_exist_ok=True)
    (root / bad / f"{bad}__PT.nii.gz").unlink()
    seen = []
    (failure,) = predict_cohort_from_files(
        predicted, root, out, options=CPU, progress=lambda d, t, what: seen.append((d, t, what))
    )
    assert (failure.case_id, failure.path) == (bad, root / bad / f"{bad}__PT.nii.gz")
    assert [done for done, _, _ in seen] == list(range(1, len(seen) + 1))
    for case_id in tests:
        raw, _ = read_image(out / f"{case_id}.nii.gz", case_id)
        prepared, _ = read_image(predicted / "predictions" / f"{case_id}.nii.gz", case_id)
        np.testing.assert_array_equal(raw, prepared)
    assert not (out / f"{bad}.nii.gz").exists()

    before = {path: path.stat().st_mtime_ns for path in masks(out)}
    ct = root / tests[0] / f"{tests[0]}__CT.nii.gz"
    values, grid = read_image(ct, "x")
    write_image(ct, values + 1, grid)
    predict_cohort_from_files(predicted, root, out, options=CPU)
    assert {path.name for path in before if path.stat().st_mtime_ns > before[path]} == {f"{tests[0]}.nii.gz"}


def test_a_pair_of_files_gets_the_mask_of_the_cohort_run(predicted, tmp_path):
    case_id = load_splits(predicted).test[0]
    case = next(c for c in load_check(predicted).cases if c.id == case_id).as_case()
    out = predict_pair(predicted, case.ct, case.pet, tmp_path / "mask.nii.gz", options=CPU)
    alone, _ = read_image(out, case_id)
    together, _ = read_image(predicted / "predictions" / f"{case_id}.nii.gz", case_id)
    np.testing.assert_array_equal(alone, together)


def test_a_pair_that_cannot_be_used_leaves_nothing(predicted, tmp_path):
    case = load_check(predicted).cases[0].as_case()
    with raises_naming(CaseError, case_id=case.ct.name.split(".")[0], path=tmp_path / "no.nii.gz"):
        predict_pair(predicted, case.ct, tmp_path / "no.nii.gz", tmp_path / "mask.nii.gz", options=CPU)
    assert list(tmp_path.iterdir()) == []


def test_empty_baseline_is_empty_and_threshold_baseline_leaves_the_brain(predicted):
    assert load_splits(predicted).test
    for case_id in load_splits(predicted).test:
        empty, _ = read_image(predicted / "baselines/empty" / f"{case_id}.nii.gz", case_id)
        marked, grid = read_image(predicted / "baselines/threshold" / f"{case_id}.nii.gz", case_id)
        assert not empty.any()
        assert (marked > 0).sum() * grid.voxel_ml < 400  # a brain alone has more than 1,000 ml


def test_postprocessing_removes_specks_and_far_nodes(predicted):
    config = load_config(predicted)
    grid = read_grid(load_check(predicted).cases[0].as_case().ct, "x")
    mask = np.zeros(grid.shape, np.uint8)
    mask[60:66, 100:112, 100:112] = 1
    mask[60:64, 114:124, 100:110] = 2  # beside the tumor
    mask[2:6, 20:30, 20:30] = 2  # 170 mm below
    mask[70, 100, 100] = 1  # a speck
    kept, removed = postprocess_label(mask, grid.spacing_zyx_mm, config.predict)
    expected = mask.copy()
    expected[2:6] = 0
    expected[70] = 0
    np.testing.assert_array_equal(kept, expected)
    assert len(removed) == 2


def test_an_untrained_fold_is_named(run):
    with raises_naming(WorkDirError, "`hnseg train`", path=run / "models" / "fold_0" / "best.pt"):
        predict_cohort(run, options=CPU)


def test_a_model_of_another_network_is_refused(trained_run):
    config = load_config(trained_run)
    wide = config.train.model_copy(update={"filters": 8})
    with raises_naming(WorkDirError, "filters 8", "size", path=find_models(trained_run)[0]):
        load_network(find_models(trained_run)[0], wide, open_device("cpu", "32-true"))


def test_two_processes_and_shares_give_the_same_masks(predicted, forked_workers, tmp_path):
    work = tmp_path / "work"
    shutil.copytree(predicted, work)
    expected = {path.name: path.read_bytes() for path in masks(work / "predictions")}
    shutil.rmtree(work / "predictions")
    assert predict_cohort(work, options=CPU, parallel=ParallelConfig(shard=(2, 2))) == []
    assert [path.name for path in masks(work / "predictions")] == [f"{load_splits(work).test[1]}.nii.gz"]
    shutil.rmtree(work / "predictions")
    assert predict_cohort(work, options=CPU, parallel=ParallelConfig(jobs=2)) == []
    baselines = {path: path.read_bytes() for path in (work / "baselines").rglob("*.nii.gz")}
    shutil.rmtree(work / "baselines")
    predict_baselines(work, jobs=2)
    assert {path: path.read_bytes() for path in (work / "baselines").rglob("*.nii.gz")} == baselines
    assert {path.name: path.read_bytes() for path in masks(work / "predictions")} == expected


def test_a_run_without_test_cases_has_nothing_to_predict(tmp_path):
    save_splits(Splits(0, (), (("A-1",), ("A-2",)), None), tmp_path)
    save_config(Config.from_preset("paper"), tmp_path)
    done = CliRunner().invoke(app, ["predict", str(tmp_path)])
    assert (done.exit_code, "--out" in done.output, "hnseg tune" in done.output) == (0, True, True), done.output


def test_the_command_names_what_is_missing_and_predicts_a_cohort(predicted, small_cohort, tmp_path):
    def call(*arguments):
        return CliRunner().invoke(app, ["predict", str(predicted), *map(str, arguments)])

    case_id = load_splits(predicted).test[0]
    for arguments, code, named in (
        (("--ct", "a.nii.gz"), 2, ("--ct", "--pet", "--mask")),
        ((small_cohort,), 2, ("--out", str(small_cohort))),
        (("--out", tmp_path), 2, ("--out", "predictions")),
        (("--shard", "3/2"), 1, ("3/2",)),
        ((tmp_path / "none", "--out", tmp_path / "out"), 1, (str(tmp_path / "none"),)),
    ):
        done = call(*arguments)
        assert done.exit_code == code
        assert all(name in done.stderr for name in named)
    root = tmp_path / "cohort"
    shutil.copytree(small_cohort / "Task 1" / case_id, root / case_id)
    (root / "BAD-001").mkdir()
    (root / "BAD-001" / "BAD-001__CT.nii.gz").write_bytes(b"no image")
    done = call(
        root, "--out", tmp_path / "out", "--window", "auto", "--flips", "x", "--disagreement", "--device", "cpu"
    )
    assert done.exit_code == 1
    assert "BAD-001" in done.stderr
    assert case_id not in done.stderr
    assert (tmp_path / "out" / f"{case_id}.nii.gz").is_file()
    assert (tmp_path / "out" / "disagreement" / f"{case_id}.nii.gz").is_file()
    record = read_json(tmp_path / "out" / f"{case_id}.json", "predict")
    assert record["made_from"]["predict"]["window"] == "auto"
    assert record["harmonization"]["method"] == "spectrum-swap"


def test_a_class_decided_on_the_crop_is_another_result(predicted, monkeypatch):
    """Argmax on the crop, nearest neighbor to the CT grid, then the post-processing; ensemble and out of fold."""
    record = open_cohort(predicted).open_case(load_splits(predicted).test[0]).record
    logits = torch.zeros(3, *record.crop_grid.shape)
    logits[1, 20:31, 10:18, 12:21] = torch.linspace(-1, 2, 11)[:, None, None]
    tiling = tile(record.crop_grid.shape, (32, 32, 32), overlap=0.25)
    monkeypatch.setattr(
        "hnseg.inference.predict_case.run_ensemble", lambda *_, **__: Predicted(logits, None, 2, tiling)
    )
    there = open_segmenter(predicted, CPU)
    settings = there.config.predict.model_copy(update={"decide_on": "crop-grid"})
    crop = replace(there, config=there.config.model_copy(update={"predict": settings}))
    masks = [one.segment(np.zeros(0), record.crop_grid, record.ct_grid).mask for one in (there, crop)]
    label = logits.argmax(dim=0).numpy().astype(np.uint8)
    raw = restore_label(label, record.crop_grid, record.ct_grid)
    np.testing.assert_array_equal(masks[1], postprocess_label(raw, record.ct_grid.spacing_zyx_mm, settings)[0])
    assert masks[1].any()
    assert (masks[0] != masks[1]).any()
    assert find_differences(there.key, crop.key) == ("predict.decide_on",)
    folds = open_out_of_fold(predicted)
    fold, case_id = folds.cases[0]
    caches = [replace(folds, config=one.config).open_case(fold, case_id)[1] for one in (there, crop)]
    assert find_differences(caches[0].key, caches[1].key) == ("predict.decide_on",)


def test_options_that_do_not_exist_are_refused(predicted):
    with raises_naming(HnsegError, "flips", "zx", "'xyz'"):
        predict_cohort(predicted, options=InferenceOptions(device="cpu", flips="zx"))


def test_too_little_memory_is_one_cases_error(predicted, tmp_path, monkeypatch):
    def exhausted(*args, **kwargs):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr("hnseg.inference.predict_case.run_ensemble", exhausted)
    case = load_check(predicted).cases[0].as_case()
    with pytest.raises(CaseError) as caught:
        predict_pair(predicted, case.ct, case.pet, tmp_path / "mask.nii.gz", options=CPU)
    assert caught.value.case_id == case.ct.name.split(".")[0]
    assert names(caught.value.reason, "memory")
