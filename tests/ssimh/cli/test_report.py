"""``ssimh report``."""

import csv

import numpy as np
import pytest

from ssimh.batch.manifest import MANIFEST
from tests.ssimh.cli.commands import refuse, succeed, write


@pytest.fixture
def out(folder):
    succeed("apply", folder / "scans", "--reference", folder / "ref.npz", "--out", folder / "out")
    return folder / "out"


def test_report_summarizes_a_run(out):
    for _ in range(2):  # a second report replaces the first
        succeed("report", out)
    with (out / "report.csv").open(encoding="utf-8") as stream:
        table = list(csv.DictReader(stream))
    assert [row["scan"] for row in table] == ["b/three.nrrd", "one.nii.gz", "two.nii.gz"]
    assert {row["unit"] for row in table} == {"HU"}
    assert 30 < float(table[0]["soft_tissue_mean_abs_delta"]) < 60  # the donor is 40 HU brighter
    assert float(table[0]["high_frequency_energy_kept"]) == pytest.approx(1.0, abs=1e-3)
    assert 'src="b/three.nrrd.png"' in (out / "report.html").read_text(encoding="utf-8")


def test_alignment_has_a_report_too(sites):
    succeed(
        "align", sites / "here", "--source", sites / "here.npz", "--target", sites / "there.npz", "--out", sites / "o"
    )
    succeed("report", sites / "o")
    assert "What alignment changed" in (sites / "o/report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["report.csv", "report.html"])
def test_a_report_of_somebody_else_stays(out, name):
    (out / name).write_text("my notes")
    refuse("report", out, naming=(name,))
    assert (out / name).read_text() == "my notes"


def test_names_with_brackets_are_shown_as_they_are(folder):
    for name in ("[red]a.nii.gz", "[b.nii.gz"):
        write(folder / "odd" / name, np.zeros((6, 24, 22), np.int16))
    (folder / "odd/[bold]bad.nii.gz").write_text("no image")
    refuse(
        *("apply", folder / "odd", "--reference", folder / "ref.npz", "--out", folder / "[dim]out", "--no-figures"),
        naming=("[bold]bad.nii.gz", "[dim]out"),
    )
    output = succeed("report", folder / "[dim]out").output
    assert all(name in output for name in ("[red]a", "[b.nii", "[bold]bad"))


@pytest.mark.parametrize("content", [None, "no JSON", "[]", "{}", '{"format": "ssimh-manifest"}'])
def test_a_folder_without_a_good_manifest_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / MANIFEST).write_text(content)
    refuse("report", tmp_path, naming=(tmp_path, MANIFEST))
    assert not (tmp_path / "report.html").exists()
