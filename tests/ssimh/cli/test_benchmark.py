"""``ssimh benchmark``."""

from __future__ import annotations

import json

import numpy as np

from tests.ssimh.cli.commands import refuse, succeed, write
from tests.ssimh.site_benchmark.benchmark_folders import write_pet_sites


def test_it_states_what_was_found_and_where_the_page_is(tmp_path):
    pets, out = write_pet_sites(tmp_path / "pets"), tmp_path / "out"
    output = succeed("benchmark", pets, "--out", out, "--modality", "PT").output
    lines = [line for line in output.splitlines() if line.strip()]
    assert lines[0].startswith("Resolution: nearest site right in 100% of scans before")
    assert lines[-1] == str(out / "benchmark.html")
    (pets / "sharp/[bad].nrrd").write_text("no image")
    failed = refuse("benchmark", pets, "--out", out, "--modality", "PT", naming=("sharp/[bad].nrrd",))
    assert failed.exit_code == 1
    assert json.loads((out / "benchmark.json").read_text())["failed"].keys() == {"sharp/[bad].nrrd"}


def test_what_cannot_be_compared_is_one_line(tmp_path):
    write(tmp_path / "pets/scan.nrrd", np.zeros((4, 4, 4)))
    refuse("benchmark", tmp_path / "pets", "--out", tmp_path / "out", naming=("scan.nrrd", "folder"))
    refuse("benchmark", tmp_path / "none", "--out", tmp_path / "out", naming=("none",))
    assert not (tmp_path / "out").exists()
