"""`ssimh fit --site` and `ssimh apply --align`, as a user types them."""

import json

import numpy as np
import pytest
import SimpleITK as sitk
from typer.testing import CliRunner

from ssimh import SiteSpectrum, align_spectrum
from ssimh.cli.commands import app
from tests.ssimh.necks import neck


def ssimh(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def write(path, values, flip=False):
    """The same anatomy, stored as it is or with the y axis reversed."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(values[:, ::-1] if flip else values))
    image.SetSpacing((4.0, 4.0, 3.0))
    image.SetDirection((1, 0, 0, 0, -1 if flip else 1, 0, 0, 0, 1))
    sitk.WriteImage(image, str(path))


@pytest.fixture
def folder(tmp_path):
    for name, factor, first in (("here", 0.96, 0), ("there", 1.0, 10)):
        (tmp_path / name).mkdir()
        for seed in range(3):
            write(tmp_path / name / f"{seed}.nii.gz", neck(first + seed, factor=factor), flip=seed == 1)
        result = ssimh("fit", tmp_path / f"{name}.npz", tmp_path / name, "--site")
        assert result.exit_code == 0, result.output
        assert "site of 3 scan(s)" in result.output
    return tmp_path


def test_files_are_aligned_as_arrays_are(folder):
    sites = [SiteSpectrum.load(folder / f"{name}.npz") for name in ("here", "there")]
    assert [site.orientation for site in sites] == ["SPL", "SPL"]
    assert (sites[0].body_ml > 100).all()
    expected = SiteSpectrum.fit((neck(seed, factor=0.96) for seed in range(3)), orientation="SPL")
    np.testing.assert_allclose(sites[0].coefficients(), expected.coefficients(), atol=1e-9)
    arguments = ("--align", folder / "here.npz", "--reference", folder / "there.npz", "--out", folder / "out")
    result = ssimh("apply", folder / "here", *arguments, "--pixel-type", "float32")
    assert result.exit_code == 0, result.output
    assert "held back" in result.output
    for seed in range(3):
        found = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "out" / f"{seed}.nii.gz")))
        found = found[:, ::-1] if seed == 1 else found
        np.testing.assert_allclose(found, align_spectrum(neck(seed, factor=0.96), *sites), atol=1e-2)
    manifest = json.loads((folder / "out" / "manifest.json").read_text())
    assert 0 <= manifest["reference"]["shrinkage"] <= 1
    assert "3 kept" in ssimh("apply", folder / "here", *arguments, "--pixel-type", "float32").output
    assert ssimh("report", folder / "out").exit_code == 0
    assert "Alignment to a site of 3" in (folder / "out" / "report.html").read_text()


def test_what_does_not_fit_is_one_line(folder):
    arguments = ("--align", folder / "here.npz", "--reference", folder / "there.npz", "--out", folder / "out")
    assert "are for swaps" in ssimh("apply", folder / "here", *arguments, "--regrid").output
    result = ssimh("apply", folder / "here", "--reference", folder / "there.npz", "--out", folder / "out")
    assert result.exit_code == 1
    assert "ssimh-reference" in result.output
    write(folder / "stored.nii.gz", neck(0) + 1024)
    result = ssimh("fit", folder / "bad.npz", folder / "stored.nii.gz", "--site")
    assert result.exit_code == 1
    assert "stored.nii.gz" in result.output
    assert not (folder / "bad.npz").exists()
