"""The benchmark as a whole: what it writes, what it keeps, what it refuses, and that no scan aligns itself."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest

from ssimh import SiteSpectrum
from ssimh.files.output_guard import OutputError
from ssimh.images.scan import read_scan
from ssimh.site.site_difference import site_difference
from ssimh.site_benchmark.run_benchmark import JSON_NAME, PAGE_NAME, run_benchmark
from ssimh.site_benchmark.site_folders import BenchmarkError
from tests.facts import raises_naming
from tests.ssimh.cli.commands import snapshot, write
from tests.ssimh.site_benchmark.benchmark_folders import SPACING_XYZ_MM, write_ct_sites, write_pet, write_pet_sites


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    home = tmp_path_factory.mktemp("benchmark")
    write_pet_sites(home / "pets")
    steps = []
    result = run_benchmark(home / "pets", home / "out", modality="PT", progress=lambda *step: steps.append(step))
    return home, result, steps


@pytest.fixture
def finished(template, tmp_path):
    """A finished benchmark of one's own."""
    shutil.copytree(template[0], tmp_path, dirs_exist_ok=True)
    path = tmp_path / "out" / JSON_NAME
    path.write_text(path.read_text().replace(str(template[0]), str(tmp_path)))
    return tmp_path


def part(result, name):
    return next(found for found in result.parts if found.part == name)


def test_sites_are_told_apart_before_and_not_after(template):
    _, result, _ = template
    found = part(result, "resolution")
    assert found.target == "coarse"
    assert (found.before.accuracy, found.before.judged) == (1.0, 6)
    assert found.after.accuracy < 1
    for pair in result.pairs:
        assert (pair.first, pair.second) == ("coarse", "sharp")
        assert pair.before > 2 * pair.before_error
        assert abs(pair.after) < 0.4 * pair.before
    assert result.failed == {}
    assert {scan.site for scan in result.scans if scan.is_aligned} == {"sharp"}
    assert all(scan.before == scan.after for scan in result.scans if scan.site == "coarse")


def test_progress_counts_up_to_all_scans_and_those_that_are_aligned(template):
    _, _, steps = template
    assert [done for done, _, _ in steps] == list(range(1, 10))
    assert steps[-1][:2] == (9, 9)
    assert "sharp/2.nrrd" in steps[-1][2]


def test_the_json_names_inputs_versions_and_settings(template):
    home, result, _ = template
    content = json.loads((home / "out" / JSON_NAME).read_text())
    assert (content["format"], content["modality"], content["finished"]) == ("ssimh-benchmark", "PT", True)
    assert {"python", "ssimh", "numpy"} <= set(content["versions"])
    assert content["settings"]["targets"] == {"resolution": "coarse"}
    assert [scan["name"] for scan in content["scans"]] == ["0.nrrd", "1.nrrd", "2.nrrd"] * 2
    assert all(re.fullmatch("[0-9a-f]{64}", scan["sha256"][scan["name"]]) for scan in content["scans"])
    assert content["scans"][0]["spacing_mm"] == [4, 4, 4]
    assert content["pairs"][0]["before"] == result.pairs[0].before


def test_the_page_is_one_file_that_asks_for_nothing(template):
    home, _, _ = template
    text = (home / "out" / PAGE_NAME).read_text(encoding="utf-8")
    assert "default-src 'none'" in text
    sources = re.findall(r'(?:src|href)="([^"]*)"', text)
    assert len(sources) == 4  # two numbers, the spectra, an example
    assert all(source.startswith("data:image/png;base64,") for source in sources)


def test_a_second_run_measures_nothing_again(finished, monkeypatch):
    before = snapshot(finished / "out")
    for name in ("fit_scan", "apply_difference"):
        monkeypatch.setattr(f"ssimh.site_benchmark.measure.{name}", None)
    assert run_benchmark(finished / "pets", finished / "out", modality="PT").failed == {}
    after = snapshot(finished / "out")
    assert {name for name in after if after[name] != before.get(name)} <= {PAGE_NAME}  # it names the folder


def test_a_changed_scan_is_measured_again_and_aligns_the_others_anew(finished):
    before = snapshot(finished / "out")
    write_pet(finished / "pets/sharp/0.nrrd", 6.0, 90)
    run_benchmark(finished / "pets", finished / "out", modality="PT")
    after = snapshot(finished / "out")
    changed = {name for name in after if after[name] != before.get(name)}
    assert {"measured/sharp/0.nrrd.json", "aligned/sharp/1.nrrd.json", "aligned/sharp/2.nrrd.json"} <= changed
    # The scan itself takes no part in what it is aligned by.
    steps = [json.loads(each["aligned/sharp/0.nrrd.json"])["made_from"]["steps"] for each in (before, after)]
    assert steps[0] == steps[1]


def test_no_scan_takes_part_in_its_own_estimate(finished):
    rows = {
        path: SiteSpectrum.fit([read_scan(path).values], spacing_mm=(4, 4, 4), modality="PT", orientation="SPL")
        for path in sorted((finished / "pets").rglob("*.nrrd"))
    }
    sharp = [row for path, row in rows.items() if path.parent.name == "sharp"]
    coarse = [row for path, row in rows.items() if path.parent.name == "coarse"]
    source, target = sharp[1] + sharp[2], coarse[0] + coarse[1] + coarse[2]
    (step,) = json.loads((finished / "out/aligned/sharp/0.nrrd.json").read_text())["made_from"]["steps"]
    assert step == ["resolution", f"{source.content_hash} {target.content_hash}"]
    assert site_difference(source, target).resolution.blur_mm2[0] > 0


def test_ct_is_compared_by_field_and_grain(tmp_path):
    result = run_benchmark(write_ct_sites(tmp_path / "cts"), tmp_path / "out")
    field, grain = part(result, "field"), part(result, "grain")
    assert (field.target, field.before.accuracy) == ("here", 1.0)
    (pair,) = [pair for pair in result.pairs if pair.name == "field_hu"]
    assert pair.before > 30
    assert pair.after < 0.4 * pair.before
    assert grain.before.accuracy is None  # pixels of 4 mm
    assert all(scan.before["grain_ln"] is None for scan in result.scans)
    assert "not judged" in (tmp_path / "out" / PAGE_NAME).read_text()
    assert any("no unit" in note for note in result.notes)


def test_bad_scans_are_left_out_and_named(finished):
    sharp = finished / "pets/sharp"
    values = read_scan(sharp / "0.nrrd").values
    write_pet(sharp / "counts.nrrd", 5.0, 3, unit="CNTS")
    write_pet(sharp / "bq.nrrd", 5.0, 3, factor=5000.0, unit=None)
    write(sharp / "small.nrrd", values[:8], spacing=SPACING_XYZ_MM)
    write(sharp / "flat.nrrd", values[8], spacing=SPACING_XYZ_MM)
    write(sharp / "thick.nrrd", values, spacing=(4.0, 4.0, 8.0))
    write(sharp / "ct.nrrd", values, spacing=SPACING_XYZ_MM, metadata={"unit": "HU"})
    (sharp / "text.nrrd").write_text("no image")
    noise = np.random.default_rng(0).gamma(2, 0.5, values.shape).astype(np.float32)
    write(sharp / "noise.nrrd", noise, spacing=SPACING_XYZ_MM)
    result = run_benchmark(finished / "pets", finished / "out", modality="PT")
    facts = {
        "counts": "CNTS",
        "bq": "Bq/ml",
        "small": "32",
        "flat": "two dim",
        "thick": "8",
        "ct": "HU",
        "text": "text",
        "noise": "noise",
    }
    assert set(result.failed) == {f"sharp/{name}.nrrd" for name in facts}
    for name, fact in facts.items():
        assert fact in result.failed[f"sharp/{name}.nrrd"], result.failed
    assert len(result.scans) == 6
    page = (finished / "out" / PAGE_NAME).read_text()
    assert all(f"sharp/{name}.nrrd" in page for name in facts)


def test_what_limits_the_comparison_is_noted(finished):
    """A site of one scan is neither aligned nor judged; slices of 5 mm lie beside others of 2 mm."""
    write_pet(finished / "pets/alone/0.nrrd", 5.0, 50)
    thin = read_scan(write_pet(finished / "pets/sharp/thin.nrrd", 5.0, 60)).values
    write(finished / "pets/sharp/thin.nrrd", thin, spacing=(4.0, 4.0, 1.9), metadata={"unit": "SUV"})
    result = run_benchmark(finished / "pets", finished / "out", modality="PT")
    (scan,) = [scan for scan in result.scans if scan.site == "alone"]
    assert not scan.is_aligned
    assert part(result, "resolution").before.judged == len(result.scans) - 1
    assert any("alone" in note and "one scan" in note for note in result.notes)
    assert any("along z" in note and "1.9" in note for note in result.notes)


def test_too_few_sites_or_scans_are_refused(tmp_path):
    write_pet(tmp_path / "one/a/0.nrrd", 5.0, 0)
    with raises_naming(BenchmarkError, "1 folder", "a"):
        run_benchmark(tmp_path / "one", tmp_path / "out", modality="PT")
    write_pet(tmp_path / "one/b/0.nrrd", 5.0, 1)
    with raises_naming(BenchmarkError, "one scan"):
        run_benchmark(tmp_path / "one", tmp_path / "out", modality="PT")
    with raises_naming(BenchmarkError, "two are needed", "SUV"):
        run_benchmark(tmp_path / "one", tmp_path / "other", modality="CT")
    with raises_naming(BenchmarkError, "MR", "CT, PT"):
        run_benchmark(tmp_path / "one", tmp_path / "out", modality="MR")


def test_other_folders_are_never_written_into(finished):
    pets, mine = finished / "pets", finished / "mine"
    mine.mkdir()
    (mine / "notes.txt").write_text("mine")
    before = snapshot(finished)
    for out, fact in (
        (mine, "mine"),
        (mine / "notes.txt", "notes.txt"),
        (pets / "out", "within"),
        (finished, "within"),
    ):
        with raises_naming(OutputError, fact):
            run_benchmark(pets, out, modality="PT")
    with raises_naming(OutputError, "modality", "PT"):
        run_benchmark(pets, finished / "out", modality="CT")
    assert snapshot(finished) == before
    page = finished / "out" / PAGE_NAME
    page.write_text("my page")
    with raises_naming(OutputError, path=page):
        run_benchmark(pets, finished / "out", modality="PT")
    assert page.read_text() == "my page"


@pytest.mark.realdata
def test_two_real_kernels_are_told_apart_by_grain_before_and_not_after(realdata_dir, tmp_path):
    """Soft-tissue and standard reconstructions of ten other patients."""
    for path in sorted((realdata_dir / "sts_petct" / "Task 1").glob("*/*__CT.nii.gz")):
        target = tmp_path / "cts" / path.name[:4] / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    result = run_benchmark(tmp_path / "cts", tmp_path / "out")
    grain = part(result, "grain")
    assert grain.before.accuracy >= 0.8
    assert grain.after.accuracy <= 0.6
