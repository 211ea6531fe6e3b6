"""Networks for onnxruntime: the same probabilities as torch, in windows of any shape, and refusals."""

from __future__ import annotations

import json
import shutil
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from typer.testing import CliRunner

from hnseg.cli.commands import app
from hnseg.cohort.splits import load_splits
from hnseg.errors import HnsegError, OutputPathError, WorkDirError
from hnseg.inference.ensemble import load_network
from hnseg.inference.export_onnx import MAX_DIFFERENCE, export_onnx, load_onnx, measure_parity, probe_windows
from hnseg.models.device import open_device
from hnseg.preprocessing.prepared_cohort import open_cohort
from hnseg.workdir import load_config
from ssimh.files.artifact_cache import hash_file
from tests.facts import raises_naming


@pytest.fixture(scope="module")
def exported(trained_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("onnx") / "hn"
    files = export_onnx(trained_run, folder)
    assert files == [folder / "fold_0.onnx", folder / "fold_1.onnx"]
    assert {path.name for path in folder.parent.iterdir()} == {"hn"}  # nothing half-written beside it
    return folder


@pytest.mark.parametrize("batch", [1, 2])
def test_onnxruntime_predicts_what_torch_does_on_a_prepared_case(exported, trained_run, batch):
    config, fabric = load_config(trained_run), open_device("cpu", "32-true")
    image = open_cohort(trained_run).open_case(load_splits(trained_run).test[0]).image[:]
    window = torch.from_numpy(np.asarray(image)).float()[None, :, :24, :32, :28].repeat(batch, 1, 1, 1, 1)
    for fold in (0, 1):
        network = load_network(trained_run / "models" / f"fold_{fold}" / "best.pt", config.train, fabric)
        [found] = measure_parity(network, exported / f"fold_{fold}.onnx", [window])
        assert found.window_zyx_vox == (24, 32, 28)
        assert found.probability <= MAX_DIFFERENCE


def test_the_record_says_what_the_files_are_and_were_made_from(exported, trained_run):
    record = json.loads((exported / "onnx.json").read_text())
    models = {name: hash_file(trained_run / name) for name in ("models/fold_0/best.pt", "models/fold_1/best.pt")}
    assert record["made_from"]["models"] == models
    assert record["outputs"] == {name: hash_file(exported / name) for name in ("fold_0.onnx", "fold_1.onnx")}
    assert record["window_multiple_vox"] == 4
    for name in ("fold_0.onnx", "fold_1.onnx"):
        shapes = [tuple(found["window_zyx_vox"]) for found in record["parity"][name]]
        assert len(set(shapes)) == 2
        assert all(0 < found["probability"] <= MAX_DIFFERENCE for found in record["parity"][name])
    properties = {item.key: item.value for item in onnx.load(str(exported / "fold_1.onnx")).metadata_props}
    assert properties == {"fold": "1", "model_sha256": models["models/fold_1/best.pt"]}
    [image] = onnxruntime.InferenceSession(
        str(exported / "fold_0.onnx"), providers=["CPUExecutionProvider"]
    ).get_inputs()
    assert (image.name, image.shape) == ("image", ["batch", 2, "z", "y", "x"])
    assert str(trained_run) not in (exported / "onnx.json").read_text()


def test_another_network_is_no_parity(exported, trained_run):
    config = load_config(trained_run)
    path = trained_run / "models" / "fold_0" / "best.pt"
    network = load_network(path, config.train, open_device("cpu", "32-true"))
    with torch.no_grad():
        network.encoder.conv_init.weight.copy_(network.encoder.conv_init.weight.flip(0))
    with raises_naming(HnsegError, "fold_0.onnx", "torch", "0.001"):
        measure_parity(network, exported / "fold_0.onnx", probe_windows(config)[:1])


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch, trained_run, tmp_path, package):
    monkeypatch.setitem(sys.modules, package, None)
    with raises_naming(HnsegError, package, 'pip install "ssimh[onnx]"'):
        load_onnx()
    with pytest.raises(HnsegError):
        export_onnx(trained_run, tmp_path / "onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_half_trained_run_and_a_folder_that_is_there_are_refused(exported, trained_run, tmp_path):
    with raises_naming(OutputPathError, exported):
        export_onnx(trained_run, exported)
    with raises_naming(OutputPathError, trained_run / "onnx"):
        export_onnx(trained_run, trained_run / "onnx")
    shutil.copytree(trained_run, tmp_path / "work")
    (tmp_path / "work" / "models" / "fold_0" / "best.pt").unlink()
    with raises_naming(WorkDirError, tmp_path / "work" / "models" / "fold_0" / "best.pt"):
        export_onnx(tmp_path / "work", tmp_path / "onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["work"]


def test_the_command_exports_onnx(trained_run, tmp_path):
    arguments = ["export", str(trained_run), "--onnx", str(tmp_path / "onnx")]
    assert CliRunner().invoke(app, [*arguments, "--bundle", str(tmp_path / "bundle")]).exit_code == 2
    assert list(tmp_path.iterdir()) == []
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert {path.name for path in (tmp_path / "onnx").iterdir()} == {"fold_0.onnx", "fold_1.onnx", "onnx.json"}
