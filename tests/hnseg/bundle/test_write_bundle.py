"""A trained run as a MONAI Bundle: MONAI runs it, the mask is that of ``hnseg predict``, and nothing else is in it."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from unittest import mock

import monai.bundle
import numpy as np
import pytest
import torch
from monai.bundle import ConfigWorkflow
from monai.bundle.properties import MetaProperties
from monai.utils import BundleProperty, BundlePropertyConfig
from typer.testing import CliRunner

from hnseg.bundle.attribution import NOT_STATED, Attribution
from hnseg.bundle.fold_ensemble import FoldEnsemble, GaussianWindowInferer
from hnseg.bundle.write_bundle import export_bundle
from hnseg.cli.commands import app
from hnseg.cohort.cases import discover_cases
from hnseg.cohort.splits import load_splits
from hnseg.errors import CaseError, OptionError, OutputPathError, WorkDirError
from hnseg.images.image_io import read_image
from hnseg.inference.ensemble import ensemble_logits, find_models
from hnseg.inference.predict_case import InferenceOptions, open_segmenter
from hnseg.inference.predict_cohort import predict_pair
from hnseg.models.checkpoint import load_checkpoint, save_checkpoint
from hnseg.models.device import open_device
from hnseg.preprocessing.prepared_cohort import open_cohort
from hnseg.workdir import load_config
from ssimh.files.artifact_cache import hash_file
from tests.facts import raises_naming
from tests.hnseg.bundle.metadata_schema import SCHEMA

# MONAI warns that a configuration file runs code, and fire of its own arguments.
pytestmark = pytest.mark.filterwarnings("ignore:parsing config_file")


@pytest.fixture(scope="module")
def bundle(trained_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle") / "hn"
    export_bundle(trained_run, folder)
    return folder


@pytest.fixture(scope="module")
def case(small_cohort):
    return discover_cases(small_cohort)[0]


def run_bundle(bundle, **items):
    """As ``python -m monai.bundle run`` does."""
    monai.bundle.run(
        config_file=str(bundle / "configs" / "inference.json"),
        logging_file=False,
        bundle_root=str(bundle),
        device="cpu",
        **{name: str(value) for name, value in items.items()},
    )


SHARE = 0.03  # of the crop's voxels that each lesion class wins in the livelier networks


@pytest.fixture(scope="module")
def lively_run(trained_run, tmp_path_factory):
    """The trained run with other biases in its last layer: three epochs leave every mask empty, these do not."""
    work = tmp_path_factory.mktemp("lively") / "work"
    shutil.copytree(trained_run, work)
    cohort, config, fabric = open_cohort(work), load_config(work), open_device("cpu", "32-true")
    image = torch.from_numpy(cohort.open_case(cohort.splits.test[0]).image[:])
    for path in find_models(work):
        logits = ensemble_logits([path], image, config, fabric)
        content = load_checkpoint(path)
        bias = content["network"][f"up_layers.{len(config.train.blocks_down) - 2}.head.bias"]
        for label in (1, 2):
            bias[label] += (logits[0] - logits[label]).flatten().quantile(SHARE)
        save_checkpoint(path, {name: value for name, value in content.items() if name != "format"})
    return work


def test_monai_makes_the_mask_of_hnseg_predict(lively_run, small_cohort, tmp_path):
    bundle = tmp_path / "hn"
    export_bundle(lively_run, bundle)
    before = {path: path.read_bytes() for path in bundle.rglob("*") if path.is_file()}
    [test, *_] = load_splits(lively_run).test
    case = next(case for case in discover_cases(small_cohort) if case.id == test)
    run_bundle(bundle, ct=case.ct, pet=case.pet, output_dir=tmp_path / "masks")
    name = case.ct.name.split(".")[0]
    ours = predict_pair(lively_run, case.ct, case.pet, tmp_path / "ours.nii.gz", options=InferenceOptions("cpu"))
    (mask, grid), (wanted, wanted_grid) = (
        read_image(path, "mask", dtype=None) for path in (tmp_path / "masks" / f"{name}.nii.gz", ours)
    )
    assert set(np.unique(wanted)) == {0, 1, 2}
    assert grid == wanted_grid
    np.testing.assert_array_equal(mask, wanted)
    record = json.loads((tmp_path / "masks" / f"{name}.json").read_text())
    assert record["made_from"]["models"] == {
        f"models/fold_{fold}/best.pt": hash_file(bundle / f"models/fold_{fold}/best.pt") for fold in (0, 1)
    }
    assert {path: path.read_bytes() for path in bundle.rglob("*") if path.is_file()} == before


def test_the_inferer_gives_the_logits_of_hnseg_predict_bit_for_bit(bundle, trained_run):
    segmenter = open_segmenter(bundle, InferenceOptions("cpu"))
    cohort = open_cohort(trained_run)
    image = torch.from_numpy(cohort.open_case(cohort.splits.test[0]).image[:])
    [logits] = GaussianWindowInferer(segmenter)(image[None], FoldEnsemble(segmenter))
    fabric = open_device("cpu", segmenter.config.train.precision)
    torch.testing.assert_close(
        logits, ensemble_logits(find_models(trained_run), image, segmenter.config, fabric), rtol=0, atol=0
    )


def test_the_configuration_has_what_the_specification_asks_for(bundle, tmp_path):
    workflow = ConfigWorkflow(
        config_file=str(bundle / "configs" / "inference.json"),
        workflow_type="inference",
        logging_file=False,
        bundle_root=str(bundle),
        output_dir=str(tmp_path),
        device="cpu",
    )
    workflow.initialize()
    assert workflow.check_properties() == []


def test_monai_verifies_metadata_and_network(bundle, tmp_path):
    """With the specification's rules in the place of the schema that MONAI would download."""
    meta, config = (str(bundle / "configs" / name) for name in ("metadata.json", "inference.json"))

    def download(url, filepath, **_):
        assert url == json.loads(Path(meta).read_text())["schema"]
        Path(filepath).write_text(json.dumps(SCHEMA))

    with mock.patch("monai.bundle.scripts.download_url", download):
        monai.bundle.verify_metadata(meta_file=meta, filepath=str(tmp_path / "schema.json"))
        wrong = copy.deepcopy(json.loads(Path(meta).read_text()))
        del wrong["network_data_format"]["outputs"]["pred"]["num_channels"]
        (tmp_path / "wrong.json").write_text(json.dumps(wrong))
        with pytest.raises(ValueError, match="num_channels"):
            monai.bundle.verify_metadata(meta_file=str(tmp_path / "wrong.json"), filepath=str(tmp_path / "schema.json"))
    monai.bundle.verify_net_in_out(
        net_id="network_def", meta_file=meta, config_file=config, device="cpu", bundle_root=str(bundle)
    )


def test_a_bundle_says_what_it_was_made_from_and_nothing_of_the_patients_files(bundle, trained_run, small_cohort):
    made_from = json.loads((bundle / "configs" / "metadata.json").read_text())["made_from"]
    assert made_from["models"]["models/fold_1/best.pt"] == hash_file(bundle / "models/fold_1/best.pt")
    assert {"preparation", "predict", "split", "versions"} <= made_from.keys()
    texts = "".join(path.read_text() for path in bundle.rglob("*") if path.suffix in (".json", ".md", ".conf", ".yaml"))
    for place in (trained_run, small_cohort):
        assert str(place) not in texts
    files = json.loads(next((trained_run / "prepared").rglob("case.json")).read_text())["made_from"]["files"]
    for file in files.values():
        for name in ("name", "sha256", "modified_ns"):
            assert str(file[name]) not in texts
    assert "Apache License" in (bundle / "LICENSE").read_text()
    assert {path.name for path in bundle.parent.iterdir()} == {"hn"}  # nothing half-written beside it


def test_what_the_exporter_states_is_in_the_bundle(trained_run, tmp_path):
    stated = {
        "--authors": "A. One | B. Two",
        "--copyright": "Copyright 2026 One Hospital",
        "--license": "CC-BY-NC-4.0",
        "--data-source": "40 scans of One Hospital, by its ethics committee",
    }
    options = [word for pair in stated.items() for word in pair]
    done = CliRunner().invoke(app, ["export", str(trained_run), "--bundle", str(tmp_path / "hn"), *options])
    assert done.exit_code == 0, done.output
    assert "not stated" not in done.output
    metadata = json.loads((tmp_path / "hn" / "configs" / "metadata.json").read_text())
    keys = ("authors", "copyright", "weights_license", "data_source")
    assert [metadata[key] for key in keys] == list(stated.values())
    page = (tmp_path / "hn" / "docs" / "README.md").read_text()
    assert all(f": {text}\n" in page for text in stated.values())
    assert NOT_STATED not in page
    for wrong in ([str(tmp_path / "a"), *options[:2]], ["--onnx", str(tmp_path / "a"), *options[-2:]]):
        assert CliRunner().invoke(app, ["export", str(trained_run), *wrong]).exit_code == 2
    with raises_naming(OptionError, "authors"):
        Attribution(authors=" ")
    assert {path.name for path in tmp_path.iterdir()} == {"hn"}


def test_what_is_not_stated_is_marked(bundle):
    metadata = json.loads((bundle / "configs" / "metadata.json").read_text())
    assert [key for key, text in metadata.items() if text == NOT_STATED] == [
        *("authors", "copyright", "weights_license", "data_source")
    ]
    assert (bundle / "docs" / "README.md").read_text().count(NOT_STATED) == 4


def test_the_metadata_has_what_the_installed_monai_asks_for(bundle):
    """Beside the rules of the specification's text, MONAI's own list of required properties."""
    metadata = json.loads((bundle / "configs" / "metadata.json").read_text())
    required = [name for name, entry in MetaProperties.items() if entry[BundleProperty.REQUIRED]]
    assert len(required) >= 4
    for name in required:
        found = metadata
        for key in MetaProperties[name][BundlePropertyConfig.ID].split("::"):
            if key != "_meta_":
                found = found[key]
        assert found, name


def spoil(work, how):
    fold = work / "models" / "fold_1"
    if how == "only the last checkpoint":
        (fold / "best.pt").unlink()
    elif how == "no fold":
        shutil.rmtree(fold)
    elif how == "no log":
        (fold / "log.csv").unlink()
    else:
        (fold / "log.csv").write_text("".join((fold / "log.csv").read_text().splitlines(keepends=True)[:-1]))


@pytest.mark.parametrize(
    ("how", "name"),
    [
        ("only the last checkpoint", "best.pt"),
        ("no fold", "best.pt"),
        ("no log", "log.csv"),
        ("an epoch too few", "best.pt"),
    ],
)
def test_a_half_trained_run_is_refused(trained_run, tmp_path, how, name):
    shutil.copytree(trained_run, tmp_path / "work")
    spoil(tmp_path / "work", how)
    with raises_naming(WorkDirError, "`hnseg train`", tmp_path / "work" / "models" / "fold_1" / name):
        export_bundle(tmp_path / "work", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["work"]


@pytest.mark.parametrize("place", ["work/out", ".", "full", "full/file"])
def test_a_folder_that_is_none_for_a_bundle_is_refused(trained_run, tmp_path, place):
    (tmp_path / "work").symlink_to(trained_run)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("mine")
    before = sorted(trained_run.rglob("*"))
    with raises_naming(OutputPathError, tmp_path / place):
        export_bundle(tmp_path / "work", tmp_path / place)
    assert sorted(trained_run.rglob("*")) == before
    assert (tmp_path / "full" / "file").read_text() == "mine"


def test_a_run_of_the_bundle_refuses_what_it_cannot_write_or_read(bundle, case, tmp_path):
    ids = {"ct": case.ct, "pet": case.pet}
    foreign = tmp_path / f"{case.ct.name.split('.')[0]}.nii.gz"
    foreign.write_text("mine")
    twice = [{"ct": str(case.ct), "pet": str(case.pet)}] * 2
    for error, items in (
        (OptionError, ids),  # no output_dir
        (OptionError, {"ct": case.ct, "output_dir": tmp_path / "masks"}),
        (OptionError, {"cases": twice, "output_dir": tmp_path / "masks"}),
        (OutputPathError, {**ids, "output_dir": bundle / "eval"}),
        (OutputPathError, {**ids, "output_dir": tmp_path}),
        (CaseError, {"ct": tmp_path / "none.nii.gz", "pet": case.pet, "output_dir": tmp_path / "masks"}),
    ):
        assert _cause(bundle, items) is error
    assert foreign.read_text() == "mine"
    assert not (bundle / "eval").exists()


def _cause(bundle, items):
    """Type of the error; MONAI wraps those of constructors."""
    with pytest.raises((OptionError, OutputPathError, CaseError, RuntimeError)) as caught:
        monai.bundle.run(
            config_file=str(bundle / "configs" / "inference.json"),
            logging_file=False,
            bundle_root=str(bundle),
            device="cpu",
            **{name: value if isinstance(value, list) else str(value) for name, value in items.items()},
        )
    error = caught.value
    while type(error) is RuntimeError and error.__cause__ is not None:
        error = error.__cause__
    return type(error)


def test_the_ensemble_is_the_mean_of_its_folds_in_any_inferer(bundle):
    segmenter = open_segmenter(bundle, InferenceOptions("cpu"))
    network = FoldEnsemble(segmenter)
    image = torch.linspace(0, 1, 2 * 32**3).reshape(1, 2, 32, 32, 32)
    with torch.inference_mode():
        mean = (network.folds[0](image) + network.folds[1](image)) / 2
        torch.testing.assert_close(network(image), mean)
    with pytest.raises(TypeError):
        GaussianWindowInferer(segmenter)(image, network, 3)


def test_the_command_exports_one_thing_to_one_place(trained_run, tmp_path):
    work, folder, bundle = (str(path) for path in (trained_run, tmp_path / "plain", tmp_path / "bundle"))
    for wrong in ([work], [work, folder, "--bundle", bundle]):
        assert CliRunner().invoke(app, ["export", *wrong]).exit_code == 2
    assert list(tmp_path.iterdir()) == []
    assert CliRunner().invoke(app, ["export", work, "--bundle", bundle]).exit_code == 0
    assert (tmp_path / "bundle" / "configs" / "metadata.json").is_file()
    assert CliRunner().invoke(app, ["export", work, "--bundle", bundle]).exit_code == 1  # it is there
