"""Checkpoints: read back as written; damaged, foreign and dangerous ones are refused."""

from __future__ import annotations

import re

import pytest
import torch

from hnseg.errors import WorkDirError
from hnseg.models.checkpoint import load_checkpoint, save_checkpoint


def test_checkpoint_round_trip_and_damage(tmp_path):
    path = tmp_path / "last.pt"
    save_checkpoint(path, {"network": {"w": torch.arange(1000.0)}, "history": [{"loss": 1.5, "val": None}]})
    assert torch.equal(load_checkpoint(path)["network"]["w"], torch.arange(1000.0))
    assert [p.name for p in tmp_path.iterdir()] == ["last.pt"]
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(WorkDirError, match=re.escape(str(path))):
        load_checkpoint(path)
    torch.save({"network": {}}, path)
    with pytest.raises(WorkDirError, match=re.escape(str(path))):
        load_checkpoint(path)
    with pytest.raises(WorkDirError, match=r"other\.pt"):
        load_checkpoint(tmp_path / "other.pt")


def test_a_checkpoint_that_runs_code_is_refused(tmp_path, capsys):
    class Trap:
        def __reduce__(self):
            return print, ("code ran",)

    path = tmp_path / "trap.pt"
    torch.save({"format": 1, "trap": Trap()}, path)
    with pytest.raises(WorkDirError, match=re.escape(str(path))):
        load_checkpoint(path)
    assert capsys.readouterr().out == ""
