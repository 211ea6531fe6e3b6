"""The command as a user types it, in-process where possible and once in a fresh interpreter."""

import csv
import json
import subprocess
import sys

import numpy as np
import pytest
import SimpleITK as sitk
from typer.testing import CliRunner

from ssimh import ReferenceSpectrum, swap_spectrum
from ssimh.cli.commands import app
from tests.ssimh.test_imports import BLOCK, run


def ssimh(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def write(path, values, direction=None):
    image = sitk.GetImageFromArray(values)
    image.SetSpacing((1.0, 1.0, 2.5))
    if direction is not None:
        image.SetDirection(direction)
    sitk.WriteImage(image, str(path))


@pytest.fixture
def folder(tmp_path, rng):
    """Three scans on one grid and the reference scan."""
    (tmp_path / "scans" / "b").mkdir(parents=True)
    for name in ("one.nii.gz", "two.nii.gz", "b/three.nrrd", "../donor.nii.gz"):
        values = rng.normal(0, 60, (6, 24, 22)) + (40 if "donor" in name else 0)
        write(tmp_path / "scans" / name, values.astype(np.int16))
    result = ssimh("fit", tmp_path / "ref.npz", tmp_path / "donor.nii.gz", "--unit", "HU")
    assert result.exit_code == 0, result.output
    return tmp_path


def read(path):
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def test_fit_writes_a_reference_that_states_everything(folder):
    reference = ReferenceSpectrum.load(folder / "ref.npz")
    assert reference.header() == {
        "threshold": 3,
        "axes": [-2, -1],
        "region": "square",
        "shape": [6, 24, 22],
        "spacing_mm": [2.5, 1.0, 1.0],
        "orientation": "SPL",
        "unit": "HU",
        "n_subjects": 1,
        "statistic": "mean",
    }


def test_fit_averages_folders(folder):
    result = ssimh("fit", folder / "mean.npz", folder / "scans", "--mode", "volume", "--threshold", 2)
    assert result.exit_code == 0, result.output
    assert "3 scan(s)" in result.output
    reference = ReferenceSpectrum.load(folder / "mean.npz")
    expected = ReferenceSpectrum.from_images(
        (read(path) for path in sorted((folder / "scans").rglob("*.n*"))), 2, axes=(-3, -2, -1)
    )
    np.testing.assert_allclose(reference.coefficients, expected.coefficients, atol=1e-3)


def test_apply_harmonizes_a_folder_and_a_second_run_keeps_it(folder):
    out = folder / "out"
    arguments = ("apply", folder / "scans", "--reference", folder / "ref.npz", "--out", out)
    result = ssimh(*arguments)
    assert result.exit_code == 0, result.output
    assert "3 harmonized, 0 kept" in result.output
    for name in ("one.nii.gz", "b/three.nrrd"):
        expected = np.rint(swap_spectrum(read(folder / "scans" / name), read(folder / "donor.nii.gz")))
        np.testing.assert_array_equal(read(out / name), expected.astype(np.int16))
        assert (out / f"{name}.png").stat().st_size > 10_000
    manifest = json.loads((out / "manifest.json").read_text())
    assert set(manifest["scans"]) == {"one.nii.gz", "two.nii.gz", "b/three.nrrd"}
    assert manifest["reference"]["content_hash"] == ReferenceSpectrum.load(folder / "ref.npz").content_hash

    (out / "two.nii.gz").unlink()
    assert "1 harmonized, 2 kept" in ssimh(*arguments).output
    write(folder / "scans" / "one.nii.gz", np.zeros((6, 24, 22), np.int16))
    assert "1 harmonized, 2 kept" in ssimh(*arguments).output
    assert "3 harmonized, 0 kept" in ssimh(*arguments, "--strength", 0.5, "--no-figures").output


def test_apply_options_reach_the_function(folder):
    result = ssimh(
        *("apply", folder / "scans" / "one.nii.gz", "--reference", folder / "ref.npz", "--out", folder / "out"),
        *("--strength", 0.5, "--clip", -50, 70, "--pixel-type", "float32", "--no-figures"),
    )
    assert result.exit_code == 0, result.output
    one, donor = read(folder / "scans" / "one.nii.gz"), read(folder / "donor.nii.gz")
    expected = swap_spectrum(one, donor, strength=0.5, clip=(-50, 70))
    np.testing.assert_allclose(read(folder / "out" / "one.nii.gz"), expected, atol=1e-3)
    assert not list((folder / "out").glob("*.png"))


def test_jobs_do_the_same(folder):
    for out, jobs in (("alone", 1), ("together", 2)):
        result = ssimh(
            *("apply", folder / "scans", "--reference", folder / "ref.npz", "--out", folder / out),
            *("--jobs", jobs, "--no-figures"),
        )
        assert result.exit_code == 0, result.output
    for name in ("one.nii.gz", "two.nii.gz", "b/three.nrrd"):
        np.testing.assert_array_equal(read(folder / "alone" / name), read(folder / "together" / name))


def test_one_bad_scan_does_not_stop_the_others(folder):
    (folder / "scans" / "bad.nii.gz").write_text("no image")
    write(folder / "scans" / "large.nii.gz", np.zeros((6, 30, 22), np.int16))
    out = folder / "out"
    result = ssimh("apply", folder / "scans", "--reference", folder / "ref.npz", "--out", out)
    assert result.exit_code == 1
    assert "3 harmonized, 0 kept from an earlier run, 2 failed" in result.output
    assert "bad.nii.gz: " in result.output
    assert "has shape (6, 30, 22), the reference was fitted on (6, 24, 22)" in result.output
    assert set(json.loads((out / "manifest.json").read_text())["failed"]) == {"bad.nii.gz", "large.nii.gz"}
    assert not (out / "bad.nii.gz").exists()
    assert not list(out.rglob(".writing-*"))
    again = ssimh("apply", folder / "scans", "--reference", folder / "ref.npz", "--out", folder / "all", "--regrid")
    assert "4 harmonized" in again.output


def test_scans_on_other_orientations_get_the_turned_reference(folder):
    values = read(folder / "scans" / "one.nii.gz")
    write(folder / "turned.nii.gz", values[:, ::-1, ::-1], (-1.0, 0, 0, 0, -1.0, 0, 0, 0, 1.0))
    for name in ("turned.nii.gz", "scans/one.nii.gz"):
        result = ssimh("apply", folder / name, "--reference", folder / "ref.npz", "--out", folder / "out")
        assert result.exit_code == 0, result.output
    np.testing.assert_array_equal(
        read(folder / "out" / "turned.nii.gz")[:, ::-1, ::-1], read(folder / "out" / "one.nii.gz")
    )


def test_report_summarizes_a_run(folder):
    out = folder / "out"
    ssimh("apply", folder / "scans", "--reference", folder / "ref.npz", "--out", out)
    result = ssimh("report", out)
    assert result.exit_code == 0, result.output
    with (out / "report.csv").open() as stream:
        table = list(csv.DictReader(stream))
    assert [row["scan"] for row in table] == ["b/three.nrrd", "one.nii.gz", "two.nii.gz"]
    assert 30 < float(table[0]["soft_tissue_mean_abs_delta"]) < 60  # the donor is 40 HU brighter
    assert float(table[0]["high_frequency_energy_kept"]) == pytest.approx(1.0, abs=1e-3)
    page = (out / "report.html").read_text()
    assert 'src="b/three.nrrd.png"' in page
    assert "three.nrrd" in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("fit", "out.npz", "missing.nii.gz"), "no such file or folder: missing.nii.gz"),
        (("fit", "nowhere/out.npz", "{f}/donor.nii.gz"), "the folder nowhere does not exist"),
        (("fit", "{f}/x.npz", "{f}/donor.nii.gz", "--threshold", "23"), "threshold=23 is outside 0 … 22"),
        (("apply", "{f}/scans", "--reference", "missing.npz", "--out", "{f}/o"), "no reference file at missing.npz"),
        (("apply", "{f}/scans", "--reference", "{f}/donor.nii.gz", "--out", "{f}/o"), "not a readable reference"),
        (("apply", "{f}/scans", "--reference", "{f}/ref.npz", "--out", "{f}/scans"), "lies inside the output folder"),
        (("apply", "{f}/scans", "--reference", "{f}/ref.npz", "--out", "{f}/o", "--unit", "SUV"), "declared as PET"),
        (("report", "{f}/scans"), "holds no manifest.json"),
    ],
)
def test_mistakes_give_one_clear_message_and_status_1(folder, arguments, message):
    result = ssimh(*(argument.format(f=folder) for argument in arguments))
    assert result.exit_code == 1
    assert message in result.output
    assert "Traceback" not in result.output


def test_help_and_version_in_a_fresh_interpreter():
    import ssimh as package

    command = [sys.executable, "-m", "ssimh.cli.main"]
    version = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    assert version.stdout.strip() == package.__version__
    text = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True).stdout
    assert all(name in text for name in ("fit", "apply", "report"))


@pytest.mark.parametrize("missing", ["typer", "rich", "SimpleITK"])
def test_a_missing_extra_is_named(missing):
    result = run(
        BLOCK.format(blocked=[missing])
        + "import sys; sys.argv = ['ssimh', '--help']\nimport ssimh.cli.main; ssimh.cli.main.main()"
    )
    assert result.returncode == 1
    assert missing in result.stderr
    assert 'pip install "ssimh[cli]"' in result.stderr
    assert "Traceback" not in result.stderr
