"""Checkpoints, settings, splits and prepared cases of strangers: nothing in them acts or leads elsewhere."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numcodecs
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from hnseg.cli.commands import app
from hnseg.errors import HnsegError, WorkDirError
from hnseg.models.checkpoint import FORMAT, load_checkpoint
from hnseg.preprocessing.prepared_case import open_case
from hnseg.settings.config_file import read_config_file
from hnseg.workdir import write_json
from tests.ssimh.files.test_hostile_reference import Actor


@pytest.mark.parametrize("zipped", [True, False])
def test_a_checkpoint_is_not_unpickled(tmp_path, zipped):
    path, trace = tmp_path / "best.pt", tmp_path / "trace"
    content = {"format": FORMAT, "network": Actor(trace)}
    if zipped:
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content, protocol=2))
    with pytest.raises(WorkDirError, match=r"best\.pt"):
        load_checkpoint(path)
    assert not trace.exists()


@pytest.mark.parametrize(
    "text",
    [
        "seed: !!python/object/apply:os.mkdir ['{trace}']",
        "seed: !!python/object/new:os.mkdir ['{trace}']",
        "!!python/object/apply:os.mkdir ['{trace}']",
        "train: {{epochs: !!python/name:os.mkdir }}",
    ],
)
def test_settings_hold_no_code(tmp_path, text):
    path, trace = tmp_path / "config.yaml", tmp_path / "trace"
    path.write_text(text.format(trace=trace))
    with pytest.raises(HnsegError):
        read_config_file(path)
    assert not trace.exists()


@pytest.mark.parametrize("case_id", ["../../elsewhere", "/tmp/elsewhere", "a/../../elsewhere", "..", ""])
def test_the_names_of_a_split_do_not_lead_out_of_the_work_directory(run, case_id):
    path = run / "splits.json"
    content = json.loads(path.read_text())
    first = content["folds"][0][0]
    path.write_text(path.read_text().replace(json.dumps(first), json.dumps(case_id)))
    before = {item for item in run.parent.rglob("*") if run not in item.parents}
    for command in ("prepare", "train", "predict", "tune"):
        done = CliRunner().invoke(app, [command, str(run)])
        assert done.exit_code in (1, 2)
        assert "Traceback" not in done.output
        assert isinstance(done.exception, SystemExit), done.exception
    assert {item for item in run.parent.rglob("*") if run not in item.parents} == before


def test_a_prepared_case_is_not_unpickled(run, tmp_path):
    """Zarr can run arrays through pickle, in its second format and by codecs; both are refused."""
    home = next(path for path in sorted((run / "prepared").iterdir()) if path.is_dir())
    (array,) = [path for path in home.rglob("zarr.json") if '"codecs"' in path.read_text() and "image" in str(path)][:1]
    trace, values = tmp_path / "trace", np.empty(1, dtype=object)
    values[0] = Actor(trace)
    content = json.loads(array.read_text())
    content["codecs"] = [
        {"name": "bytes", "configuration": {"endian": "little"}},
        {"name": "numcodecs.pickle", "configuration": {}},
    ]
    array.write_text(json.dumps(content))
    for chunk in (path for path in array.parent.rglob("*") if path.is_file() and path != array):
        chunk.write_bytes(numcodecs.Pickle().encode(values))
    with pytest.raises(WorkDirError, match="damaged"):
        open_case(home).image[:]
    assert not trace.exists()


def test_a_link_in_the_place_of_a_result_is_replaced_and_not_followed(tmp_path):
    outside, link = tmp_path / "outside.json", tmp_path / "metrics.json"
    outside.write_text("mine")
    link.symlink_to(outside)
    write_json(link, {"a": 1})
    assert outside.read_text() == "mine"
    assert not link.is_symlink()
    assert json.loads(Path(link).read_text()) == {"a": 1}
