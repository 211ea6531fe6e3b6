"""The report's page: escaped text, quoted addresses, units as stated."""

import csv
import re
from dataclasses import replace
from urllib.parse import unquote

import numpy as np
import pytest

from ssimh.batch.manifest import Manifest, Recipe
from ssimh.batch.report import COLUMNS, make_report_rows, write_report
from ssimh.files.output_guard import OutputError
from tests.ssimh.batch.test_manifest import manifest  # noqa: F401  a fixture


@pytest.fixture
def odd(manifest):  # noqa: F811
    """Names that HTML, URLs and CSV take for something else."""
    record = manifest.scans["a.nrrd"]
    names = {"<b>&50%.nrrd": "HU", 'd/a#1?"x".nrrd': "SUV", "plain.nrrd": None}
    scans = {
        name: replace(record, unit=unit, figure=f"{name.rsplit('/', 1)[-1]}.png", figure_error=None)
        for name, unit in names.items()
    }
    recipe = Recipe("swap", "<script>alert(1)</script>", {"content_hash": ""}, {})
    return Manifest(recipe, scans, {"<i>": "<u>message</u>"})


def test_nothing_of_a_name_is_markup(odd, tmp_path):
    page = write_report(tmp_path, odd).read_text(encoding="utf-8")
    for text in ("<script", "<b>", "<i>", "<u>"):
        assert text not in page
    sources = re.findall(r'src="([^"]*)"', page)
    assert [unquote(source) for source in sources] == [f"{name}.png" for name in sorted(odd.scans)]
    assert all(re.fullmatch(r"[\w./%~-]+", source) for source in sources)


def test_each_row_has_its_unit(odd, tmp_path):
    write_report(tmp_path, odd)
    with (tmp_path / "report.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["scan"]: row["unit"] for row in rows} == {
        "<b>&50%.nrrd": "HU",
        'd/a#1?"x".nrrd': "SUV",
        "plain.nrrd": "not stated",
    }
    assert list(rows[0]) == list(COLUMNS)
    assert "HU" not in "".join(heading for heading, *_ in COLUMNS.values())


def test_changes_without_soft_tissue_are_shown(odd):
    name, record = next(iter(odd.scans.items()))
    odd.scans[name] = replace(record, scores=replace(record.scores, soft_tissue_mean_abs_delta=float("nan")))
    cells = next(row.cells() for row in make_report_rows(odd) if row.scan == name)
    assert cells[2] == "nan"


@pytest.mark.parametrize("name", ["report.html", "report.csv"])
def test_neither_file_is_written_over_one_of_somebody_else(odd, tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(OutputError):
        write_report(tmp_path, odd)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_the_figure_names_the_unit_of_the_scan(monkeypatch, tmp_path):
    from tests.ssimh.cli.commands import succeed, write

    titles = {}

    def record(before, after, reference, *, title, unit, **_):
        titles[unit] = title

    monkeypatch.setattr("ssimh.batch.plots.draw_qc_figure", record)
    monkeypatch.setattr("ssimh.batch.plots.save_figure", lambda figure, path: path.write_bytes(b"drawn"))
    values = np.random.default_rng(0).normal(0, 60, (6, 24, 22)).astype(np.float32)
    pet = write(tmp_path / "p$1.nrrd", values, metadata={"unit": "SUV"})
    plain = write(tmp_path / "b.nrrd", values)
    for scan in (pet, plain):
        succeed("fit", scan, "--out", tmp_path / "r.npz")
        options = ("--allow-pet",) if scan == pet else ()
        succeed("apply", scan, "--reference", tmp_path / "r.npz", "--out", tmp_path / f"out-{scan.stem}", *options)
    assert set(titles) == {"SUV", "unit not stated"}
    assert "SUV" in titles["SUV"]
    assert r"p\$1" in titles["SUV"]
    assert not any("HU" in title for title in titles.values())
