"""``ssimh align``."""

import numpy as np
import pytest

from ssimh import SiteSpectrum, align_spectrum
from ssimh.batch.manifest import read_manifest
from tests.ssimh.cli.commands import read, refuse, succeed, write
from tests.ssimh.necks import neck
from tests.ssimh.uptakes import pet_site, uptake


def command(sites, *options):
    files = ("--source", sites / "here.npz", "--target", sites / "there.npz", "--out", sites / "out")
    return ("align", sites / "here", *files, *options)


def test_files_are_aligned_as_arrays_are(sites):
    models = [SiteSpectrum.load(sites / f"{name}.npz") for name in ("here", "there")]
    assert [model.orientation for model in models] == ["SPL", "SPL"]
    assert (models[0].body_ml > 100).all()
    expected = SiteSpectrum.fit((neck(seed, factor=0.96) for seed in range(2)), orientation="SPL")
    np.testing.assert_allclose(models[0].coefficients(), expected.coefficients(), atol=1e-9)
    succeed(*command(sites, "--pixel-type", "float32", "--no-figures"))
    for seed in range(2):
        found = read(sites / "out" / f"{seed}.nii.gz")[:, :: 1 - 2 * seed]
        np.testing.assert_allclose(found, align_spectrum(neck(seed, factor=0.96), *models), atol=1e-2)
    reference = read_manifest(sites / "out").recipe.reference
    assert 0 <= reference["shrinkage"] <= 1
    assert "2 kept" in succeed(*command(sites, "--pixel-type", "float32", "--no-figures")).output


def test_source_and_target_are_not_exchanged(sites):
    """The source site attenuates 4 % less, so its muscle is brighter afterwards."""
    succeed(*command(sites, "--no-figures"))
    before, after = read(sites / "here/0.nii.gz"), read(sites / "out/0.nii.gz")
    muscle = (before > -50) & (before < 50)
    assert np.mean(after[muscle] - before[muscle]) > 5


@pytest.mark.parametrize("option", ["--unit", "--allow-pet", "--grid", "--reference", "--threshold", "--mode"])
def test_options_of_swaps_do_not_exist(sites, option):
    assert refuse(*command(sites, option)).exit_code == 2


def test_a_reference_is_no_site(sites):
    succeed("fit", sites / "here/0.nii.gz", "--out", sites / "swap.npz")
    refuse(*command(sites, "--source", sites / "swap.npz"), naming=("swap.npz",))
    refuse("apply", sites / "here", "--reference", sites / "here.npz", "--out", sites / "out", naming=("here.npz",))
    assert not (sites / "out").exists()


@pytest.mark.parametrize("options", [("--clip", 9, -9), ("--strength", -0.1)])
def test_what_cannot_be_used_is_refused_once_before_the_work(sites, options):
    refuse(*command(sites, *options), naming=(options[0].strip("-"),))
    assert not (sites / "out").exists()


def test_pet_is_fitted_and_aligned_in_suv(tmp_path):
    """Files state x to the left and y to the back, as sites do; a unit of counts is refused."""
    values = uptake(7, 5.0).astype(np.float32)
    scan = write(tmp_path / "in" / "pet.nrrd", values, spacing=(4.0, 4.0, 4.0), metadata={"unit": "SUV"})
    counts = write(tmp_path / "counts.nrrd", values, spacing=(4.0, 4.0, 4.0), metadata={"unit": "CNTS"})
    output = succeed("fit-site", scan, "--modality", "PT", "--out", tmp_path / "one.npz").output
    assert "1 scan(s)" in output
    assert "mm axial" in " ".join(output.split())
    site = SiteSpectrum.load(tmp_path / "one.npz")
    assert site == SiteSpectrum.fit([values], spacing_mm=(4, 4, 4), modality="PT", orientation="SPL")
    refuse("fit-site", counts, "--modality", "PT", "--out", tmp_path / "bad.npz", naming=("counts.nrrd", "CNTS"))
    refuse("fit-site", scan, "--out", tmp_path / "bad.npz", naming=("pet.nrrd", "SUV"))
    sites = [pet_site(mm2, orientation="SPL") for mm2 in (5.0, 13.0)]
    for name, model in zip(("sharp", "coarse"), sites, strict=True):
        model.save(tmp_path / f"{name}.npz")
    files = ("--source", tmp_path / "sharp.npz", "--target", tmp_path / "coarse.npz", "--out", tmp_path / "out")
    succeed("align", tmp_path / "in", *files, "--no-figures")
    expected = align_spectrum(values, *sites, spacing_mm=(4, 4, 4))
    np.testing.assert_allclose(read(tmp_path / "out" / "pet.nrrd"), expected, atol=1e-4)
    assert np.abs(expected - values).max() > 0.5
