"""``ssimh fit`` and ``ssimh fit-site``."""

import numpy as np
import pytest

from ssimh import ReferenceSpectrum, SiteSpectrum
from tests.ssimh.cli.commands import read, refuse, snapshot, succeed, write
from tests.ssimh.necks import neck


def test_fit_writes_a_reference_that_states_everything(folder):
    reference = ReferenceSpectrum.load(folder / "ref.npz")
    settings = {"threshold": 3, "axes": [-2, -1], "region": "square"}
    grid = {"shape": [6, 24, 22], "spacing_mm": [2.5, 1.0, 1.0], "orientation": "SPL", "unit": "HU"}
    # (z, y, x) to RAS+: ITK's identity runs towards the left and the back.
    affine = [[0, 0, -1, 0], [0, -1, 0, 0], [2.5, 0, 0, 0], [0, 0, 0, 1]]
    assert reference.header() == {**settings, **grid, "affine": affine, "n_subjects": 1, "statistic": "mean"}


def test_fit_averages_folders(folder):
    succeed("fit", folder / "scans", "--out", folder / "mean.npz", "--mode", "volume", "--threshold", 2)
    reference = ReferenceSpectrum.load(folder / "mean.npz")
    expected = ReferenceSpectrum.from_images(
        (read(path) for path in sorted((folder / "scans").rglob("*.n*"))), threshold=2, axes=(-3, -2, -1)
    )
    assert reference.n_subjects == 3
    np.testing.assert_allclose(reference.coefficients, expected.coefficients, atol=1e-3)


def test_scans_in_other_directions_are_averaged_as_they_lie(folder):
    """The same anatomy, stored with two axes reversed, has the same mean."""
    values = read(folder / "scans/one.nii.gz")
    write(folder / "turned.nii.gz", values[:, ::-1, ::-1], direction=(-1.0, 0, 0, 0, -1.0, 0, 0, 0, 1.0))
    succeed("fit", folder / "scans/one.nii.gz", folder / "turned.nii.gz", "--out", folder / "both.npz")
    succeed("fit", folder / "scans/one.nii.gz", "--out", folder / "alone.npz")
    both, alone = (ReferenceSpectrum.load(folder / f"{name}.npz") for name in ("both", "alone"))
    np.testing.assert_allclose(both.coefficients, alone.coefficients, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("command", ["fit", "fit-site"])
class TestNothingIsOverwritten:
    def test_an_input_is_no_output(self, folder, command):
        before = snapshot(folder)
        first, second = folder / "scans/one.nii.gz", folder / "scans/two.nii.gz"
        refuse(command, first, second, "--out", first, naming=(first, ".npz"))
        assert snapshot(folder) == before

    def test_two_positional_scans_are_two_inputs(self, folder, command):
        """``ssimh fit a.nii.gz b.nii.gz`` wrote a reference over the scan a.nii.gz."""
        before = snapshot(folder)
        refuse(command, folder / "scans/one.nii.gz", folder / "scans/two.nii.gz", naming=("--out",))
        assert snapshot(folder) == before

    def test_a_file_of_somebody_else_stays(self, folder, command):
        np.savez(folder / "foreign.npz", data=np.arange(3))
        before = snapshot(folder)
        refuse(command, folder / "scans", "--out", folder / "foreign.npz", naming=(folder / "foreign.npz",))
        assert snapshot(folder) == before

    def test_an_image_named_npz_is_no_output(self, folder, command):
        path = (folder / "donor.nii.gz").rename(folder / "donor.npz")
        before = path.read_bytes()
        refuse(command, path, "--out", path, naming=(path,))
        assert path.read_bytes() == before

    @pytest.mark.parametrize("out", ["x.nii.gz", "x", "x.npy"])
    def test_the_suffix_is_checked_before_the_work(self, folder, command, out):
        refuse(command, folder / "missing-is-not-read.nii.gz", "--out", folder / out)
        refuse(command, folder / "scans", "--out", folder / out, naming=(out, ".npz"))
        assert not (folder / out).exists()

    def test_a_missing_folder_is_named_before_the_work(self, folder, command):
        refuse(command, folder / "scans", "--out", folder / "nowhere" / "x.npz", naming=(folder / "nowhere",))


def test_each_command_replaces_its_own_kind_only(folder, sites):
    succeed("fit", folder / "scans", "--out", folder / "ref.npz")
    assert ReferenceSpectrum.load(folder / "ref.npz").n_subjects == 3
    succeed("fit-site", sites / "there", "--out", sites / "here.npz")
    assert SiteSpectrum.load(sites / "here.npz") == SiteSpectrum.load(sites / "there.npz")
    refuse("fit", folder / "scans", "--out", sites / "here.npz", naming=("here.npz",))
    refuse("fit-site", sites / "there", "--out", folder / "ref.npz", naming=("ref.npz",))


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        (("missing.nii.gz", "--out", "{f}/o.npz"), ("missing.nii.gz",)),
        (("{f}/donor.nii.gz", "--out", "{f}/o.npz", "--threshold", "23"), ("donor.nii.gz", "23", "0 … 22")),
        (("{f}/donor.nii.gz", "--out", "{f}/o.npz", "--threshold", "0"), ("--threshold", "1")),
        (("{f}/pet.nrrd", "--out", "{f}/o.npz", "--unit", "HU"), ("pet.nrrd", "SUV", "HU")),
        (("{f}/donor.nii.gz", "{f}/pet.nrrd", "--out", "{f}/o.npz"), ("pet.nrrd", "SUV")),
        (("{f}/flat.nrrd", "--out", "{f}/o.npz", "--mode", "volume"), ("flat.nrrd", "volume")),
        (("{f}/donor.nii.gz", "--out", "{f}/o.npz", "--region", "radial", "--threshold", "1"), ("radial", "1")),
        (("{f}/donor.nii.gz", "{f}/finer.nrrd", "--out", "{f}/o.npz"), ("finer.nrrd", "0.5", "--grid")),
        (("{f}/donor.nii.gz", "{f}/larger.nrrd", "--out", "{f}/o.npz"), ("larger.nrrd", "(6, 30, 22)", "--grid")),
    ],
)
def test_what_does_not_fit_is_one_line(folder, arguments, facts):
    values = read(folder / "donor.nii.gz")
    write(folder / "pet.nrrd", values, metadata={"unit": "SUV"})
    write(folder / "flat.nrrd", values[0])
    write(folder / "finer.nrrd", values, spacing=(0.5, 0.5, 2.5))
    write(folder / "larger.nrrd", np.zeros((6, 30, 22), np.int16))
    refuse("fit", *(argument.format(f=folder) for argument in arguments), naming=facts)
    assert not (folder / "o.npz").exists()


def test_stored_values_are_no_site(sites):
    write(sites / "stored.nii.gz", neck(0) + 1024)
    refuse("fit-site", sites / "stored.nii.gz", "--out", sites / "bad.npz", naming=("stored.nii.gz",))
    assert not (sites / "bad.npz").exists()
