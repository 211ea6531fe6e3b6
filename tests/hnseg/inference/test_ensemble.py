"""The ensemble: one model at a time, disagreement as defined, and models that cannot predict."""

from __future__ import annotations

import json
import resource
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from hnseg.errors import WorkDirError
from hnseg.inference.ensemble import ensemble_logits, load_network, run_ensemble, verify_models
from hnseg.models.checkpoint import load_checkpoint, save_checkpoint
from hnseg.models.device import open_device
from hnseg.models.network import make_network
from hnseg.settings.config import Config
from hnseg.settings.predict import PredictConfig
from hnseg.settings.train import TrainConfig
from tests.facts import raises_naming
from tests.hnseg.processes import fork

TRAIN = TrainConfig(filters=4, blocks_down=(1, 1, 1), heads=2, patch_vox=(16, 16, 16))
CONFIG = Config(preset="demo", train=TRAIN, predict=PredictConfig(overlap=0.25))


@pytest.fixture(scope="module")
def fabric():
    return open_device("cpu", "32-true")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    paths = []
    for seed in range(3):
        torch.manual_seed(seed)
        paths.append(folder / f"{seed}.pt")
        save_checkpoint(paths[-1], {"network": make_network(TRAIN).state_dict()})
    return paths


@pytest.fixture
def image():
    return torch.rand(2, 20, 16, 24, generator=torch.Generator().manual_seed(0))


def test_a_loaded_network_is_the_saved_one_in_channels_last(models, fabric, image):
    network = load_network(models[1], TRAIN, fabric)
    fresh = make_network(TRAIN).eval()
    fresh.load_state_dict(load_checkpoint(models[1])["network"])
    window = image[None, :, :16, :, :16]
    with torch.inference_mode():
        torch.testing.assert_close(network(window), fresh(window))
    weight = network.state_dict()["encoder.conv_init.weight"]
    assert weight.is_contiguous(memory_format=torch.channels_last_3d)


def test_the_mean_is_of_logits_and_is_told_of_after_every_model(models, fabric, image):
    single = [ensemble_logits([path], image, CONFIG, fabric) for path in models]
    on_model_done = []
    predicted = run_ensemble(
        models,
        image,
        CONFIG,
        fabric,
        after_model=lambda done, mean: on_model_done.append((done, mean.clone())) or False,
    )
    torch.testing.assert_close(predicted.logits, sum(single) / 3, atol=1e-5, rtol=1e-5)
    assert [done for done, _ in on_model_done] == [1, 2]
    torch.testing.assert_close(on_model_done[1][1], (single[0] + single[1]) / 2, atol=1e-5, rtol=1e-5)
    stopped = run_ensemble(models, image, CONFIG, fabric, after_model=lambda done, mean: done == 2)
    assert stopped.models == 2
    torch.testing.assert_close(stopped.logits, on_model_done[1][1])


def test_disagreement_is_the_mutual_information_in_bits(models, fabric, image):
    predicted = run_ensemble(models, image, CONFIG, fabric, disagreement=True)
    torch.testing.assert_close(
        predicted.logits, run_ensemble(models, image, CONFIG, fabric).logits, atol=1e-5, rtol=1e-5
    )
    logits = np.stack([ensemble_logits([path], image, CONFIG, fabric).numpy() for path in models]).astype(np.float64)
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)

    def entropy(q):
        return -(q * np.log2(q)).sum(axis=-4)

    expected = entropy(p.mean(axis=0)) - entropy(p).mean(axis=0)
    np.testing.assert_allclose(predicted.mutual_information_bits, expected, atol=1e-5)
    assert expected.max() > 0.01  # the test can fail


class _Certain(torch.nn.Module):
    def __init__(self, value):
        super().__init__()
        self.value = value

    def forward(self, window):
        logits = torch.zeros(1, 3, *window.shape[2:])
        logits[:, self.value] = 40.0
        return logits


@pytest.mark.parametrize(("says", "bits"), [((1, 1), 0.0), ((0, 1), 1.0), ((0, 1, 2), 1.58496)])
def test_certain_models_disagree_by_whole_bits(monkeypatch, fabric, image, says, bits):
    monkeypatch.setattr("hnseg.inference.ensemble.load_network", lambda path, config, fabric: _Certain(path))
    predicted = run_ensemble(says, image, CONFIG, fabric, disagreement=True)
    torch.testing.assert_close(predicted.mutual_information_bits, torch.full(image.shape[1:], bits), atol=1e-4, rtol=0)


def test_one_model_has_no_disagreement(models, fabric, image):
    with raises_naming(WorkDirError, 1, "one", "two"):
        run_ensemble(models[:1], image, CONFIG, fabric, disagreement=True)
    stopped = run_ensemble(models, image, CONFIG, fabric, disagreement=True, after_model=lambda done, mean: True)
    assert stopped.mutual_information_bits is None


def test_bad_models_are_named_before_any_work(models, tmp_path):
    verify_models(models, TRAIN)
    with raises_naming(WorkDirError, "one model"):
        verify_models([], TRAIN)
    whole = models[0].read_bytes()

    def check_damaged(name: str, content: bytes, cause: type[Exception] | None, *facts: str) -> None:
        path = tmp_path / name
        path.write_bytes(content)
        with raises_naming(WorkDirError, *facts, path=path) as caught:
            verify_models([models[1], path], TRAIN)
        assert type(caught.value.__cause__) is (cause or type(None))

    check_damaged("truncated.pt", whole[: len(whole) // 2], zipfile.BadZipFile)
    check_damaged("empty.pt", b"", zipfile.BadZipFile)
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    check_damaged("flipped.pt", flipped, None, "checksum", "/data/")
    with raises_naming(WorkDirError, "`hnseg train`", path=tmp_path / "none.pt"):
        verify_models([tmp_path / "none.pt"], TRAIN)


def test_a_model_of_another_architecture_is_named_with_the_difference(models, tmp_path):
    other = tmp_path / "other.pt"
    wide = TRAIN.model_copy(update={"filters": 8})
    save_checkpoint(other, {"network": make_network(wide).state_dict()})
    with raises_naming(WorkDirError, "filters 4", "size", path=other):
        verify_models([models[0], other], TRAIN)


def test_weights_that_are_not_numbers_are_refused(models, tmp_path):
    state = load_checkpoint(models[0])["network"]
    next(iter(state.values()))[0, 0, 0, 0, 0] = float("nan")
    save_checkpoint(tmp_path / "nan.pt", {"network": state})
    with raises_naming(WorkDirError, "NaN", next(iter(state)), path=tmp_path / "nan.pt"):
        verify_models([tmp_path / "nan.pt"], TRAIN)


def write_peaks(config: Config, model: Path, out: Path) -> None:
    """Peak memory in kB after an ensemble of one model and after one of five."""
    peaks = []
    for count in (1, 5):
        ensemble_logits([model] * count, torch.rand(2, 32, 32, 32), config, open_device("cpu", "32-true"))
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    out.write_text(json.dumps(peaks))


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_models(tmp_path):
    """Weights of 74 MB a model: five of them may not take as much as one more."""
    train = TrainConfig(filters=24, blocks_down=(1, 1, 1, 1, 1), heads=1, patch_vox=(32, 32, 32))
    path = tmp_path / "model.pt"
    save_checkpoint(path, {"network": make_network(train).state_dict()})
    size_mb = path.stat().st_size / 2**20
    assert size_mb > 50
    config = Config(preset="demo", train=train, predict=PredictConfig(overlap=0.0))
    process = fork(write_peaks, config, path, tmp_path / "peaks.json")
    process.join(300)
    peaks_mb = [peak / 1024 for peak in json.loads((tmp_path / "peaks.json").read_text())]
    assert peaks_mb[1] - peaks_mb[0] < size_mb
