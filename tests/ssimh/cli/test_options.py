"""Every parameter of every command changes the result, or is refused where it cannot: no option does nothing.

A parameter without an entry in ``EFFECTS`` fails, so that a new option comes with its test.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import typer.main

import tests.ssimh.cli.benchmark_effects
import tests.ssimh.cli.nnunet_effects  # noqa: F401 - registers its entries
from ssimh import ReferenceSpectrum, SiteSpectrum
from ssimh.batch.manifest import MANIFEST, read_manifest
from ssimh.cli.app import app
from tests.ssimh.cli.commands import read, refuse, snapshot, ssimh, succeed, write
from tests.ssimh.cli.option_effects import EFFECTS, effect
from tests.ssimh.thighs import SHARP_MM, SMOOTH_MM, SPACING_MM, thigh, thigh_site
from tests.ssimh.uptakes import pet_site, uptake


def parameters() -> list[tuple[str, str]]:
    commands = typer.main.get_command(app).commands
    return [
        (name, parameter.name)
        for name, command in sorted(commands.items())
        for parameter in command.params
        if parameter.name != "help"
    ]


@pytest.mark.parametrize(("command", "parameter"), parameters())
def test_every_parameter_has_an_effect(command, parameter, request):
    assert (command, parameter) in EFFECTS, f"write the test of {command} {parameter}"
    fixture = "sites" if command in ("align", "fit-site") else "folder"
    EFFECTS[command, parameter](request.getfixturevalue(fixture))


def test_no_entry_is_left_of_a_parameter_that_is_gone():
    assert set(EFFECTS) == set(parameters())


def fit(folder: Path, *options: object, scans: str = "scans") -> ReferenceSpectrum:
    succeed("fit", folder / scans, "--out", folder / "fitted.npz", *options)
    return ReferenceSpectrum.load(folder / "fitted.npz")


@effect("fit", "scans")
def _(folder):
    assert fit(folder) != fit(folder, scans="donor.nii.gz")


@effect("fit", "out")
def _(folder):
    fit(folder)
    refuse("fit", folder / "scans", "--out", folder / "donor.nii.gz")


@effect("fit", "threshold")
def _(folder):
    assert fit(folder, "--threshold", 2).threshold == 2
    refuse("fit", folder / "scans", "--out", folder / "x.npz", "--threshold", 0)


@effect("fit", "mode")
def _(folder):
    assert fit(folder, "--mode", "volume").axes == (-3, -2, -1)
    write(folder / "flat.nrrd", read(folder / "donor.nii.gz")[0])
    refuse("fit", folder / "flat.nrrd", "--out", folder / "x.npz", "--mode", "volume")


@effect("fit", "region")
def _(folder):
    assert fit(folder, "--region", "triangle").region == "triangle"
    arguments = ("--reference", folder / "fitted.npz", "--no-figures")
    succeed("apply", folder / "donor.nii.gz", *arguments, "--out", folder / "triangle")
    fit(folder)
    succeed("apply", folder / "donor.nii.gz", *arguments, "--out", folder / "square")
    assert (read(folder / "triangle/donor.nii.gz") != read(folder / "square/donor.nii.gz")).any()
    refuse("fit", folder / "scans", "--out", folder / "x.npz", "--region", "triangle", "--threshold", 1)


@effect("fit", "statistic")
def _(folder):
    mean, median = fit(folder, "--statistic", "mean"), fit(folder, "--statistic", "median")
    assert mean == fit(folder)
    assert not np.allclose(mean.coefficients, median.coefficients)
    for statistic in ("mean", "median"):
        refuse("fit", folder / "donor.nii.gz", "--out", folder / "x.npz", "--statistic", statistic)
    two = (folder / "donor.nii.gz", folder / "scans/one.nii.gz")
    refuse("fit", *two, "--out", folder / "x.npz", "--statistic", "median")
    succeed("fit", *two, "--out", folder / "x.npz", "--statistic", "mean")


@effect("fit", "unit")
def _(folder):
    assert (fit(folder).unit, fit(folder, "--unit", "HU").unit) == (None, "HU")
    write(folder / "pet.nrrd", read(folder / "donor.nii.gz"), metadata={"unit": "SUV"})
    refuse("fit", folder / "pet.nrrd", "--out", folder / "x.npz", "--unit", "HU")


@effect("fit", "grid")
def _(folder):
    values = read(folder / "donor.nii.gz")
    write(folder / "finer.nrrd", np.zeros((6, 48, 44), np.int16), spacing=(0.5, 0.5, 2.5))
    write(folder / "smaller.nrrd", values, spacing=(0.5, 0.5, 2.5))
    scans = (folder / "donor.nii.gz", folder / "finer.nrrd")
    refuse("fit", *scans, "--out", folder / "x.npz")
    succeed("fit", *scans, "--out", folder / "ref.npz", "--grid", "field-of-view")
    reference = ReferenceSpectrum.load(folder / "ref.npz")
    assert (reference.n_subjects, reference.shape, reference.spacing_mm) == (2, values.shape, (2.5, 1.0, 1.0))
    other = (folder / "donor.nii.gz", folder / "smaller.nrrd", "--grid", "field-of-view")
    refuse("fit", *other, "--out", folder / "x.npz", naming=("smaller.nrrd",))
    refuse("fit", folder / "donor.nii.gz", "--out", folder / "x.npz", "--grid", "field-of-view")


@effect("fit-site", "modality")
def _modality(folder: Path) -> None:
    scan = write(folder / "pet.nrrd", uptake(), spacing=(4.0, 4.0, 4.0), metadata={"unit": "SUV"})
    succeed("fit-site", scan, "--out", folder / "pet.npz", "--modality", "PT")
    assert SiteSpectrum.load(folder / "pet.npz").modality == "PT"
    refuse("fit-site", scan, "--out", folder / "ct.npz", "--modality", "CT", naming=("SUV",))


@effect("fit-site", "scans")
def _(sites):
    assert SiteSpectrum.load(sites / "here.npz") != SiteSpectrum.load(sites / "there.npz")


@effect("fit-site", "out")
def _(sites):
    refuse("fit-site", sites / "here", "--out", sites / "here/0.nii.gz")


def apply(folder: Path, *options: object, out: str = "out", scans: str = "donor.nii.gz", reference: str = "other.npz"):
    """Voxels and record of the donor, swapped with the mean of the scans, which states no unit."""
    if not (folder / "other.npz").exists():
        succeed("fit", folder / "scans", "--out", folder / "other.npz")
    options = options if {"--figures", "--no-figures"} & set(options) else (*options, "--no-figures")
    succeed("apply", folder / scans, "--reference", folder / reference, "--out", folder / out, *options)
    name = next(iter(read_manifest(folder / out).scans))
    return read(folder / out / name), read_manifest(folder / out).scans[name]


@effect("apply", "scans", "out")
def _(folder):
    apply(folder, scans="scans", out="elsewhere")
    assert set(snapshot(folder / "elsewhere")) == {"one.nii.gz", "two.nii.gz", "b/three.nrrd", MANIFEST}


@effect("apply", "reference")
def _(folder):
    assert (apply(folder)[0] != apply(folder, reference="ref.npz")[0]).any()


@effect("apply", "strength")
def _(folder):
    before, half, whole = read(folder / "donor.nii.gz"), apply(folder, "--strength", 0.5)[0], apply(folder)[0]
    assert (before != half).any()
    assert (half != whole).any()
    np.testing.assert_allclose(half, (before.astype(float) + whole) / 2, atol=1)


@effect("apply", "clip")
def _(folder):
    values = apply(folder, "--clip", -50, 70)[0]
    assert (values.min(), values.max()) == (-50, 70)


@effect("apply", "unit")
def _(folder):
    assert (apply(folder)[1].unit, apply(folder, "--unit", "HU")[1].unit) == (None, "HU")
    arguments = ("--reference", folder / "other.npz", "--out", folder / "x")
    refuse("apply", folder / "donor.nii.gz", *arguments, "--unit", "SUV")
    write(folder / "ct.nrrd", read(folder / "donor.nii.gz"), metadata={"unit": "HU"})
    refuse("apply", folder / "ct.nrrd", *arguments, "--unit", "mm", naming=("HU", "mm"))


@effect("apply", "allow_pet")
def _(folder):
    write(folder / "pet.nrrd", read(folder / "donor.nii.gz"), metadata={"unit": "SUV"})
    assert apply(folder, "--allow-pet", scans="pet.nrrd")[1].unit == "SUV"
    refuse("apply", folder / "pet.nrrd", "--reference", folder / "other.npz", "--out", folder / "x")
    refuse("apply", folder / "pet.nrrd", "--reference", folder / "ref.npz", "--out", folder / "x", "--allow-pet")


@effect("apply", "grid")
def _(folder):
    write(folder / "finer.nrrd", np.zeros((6, 48, 44), np.int16), spacing=(0.5, 0.5, 2.5))
    assert apply(folder, "--grid", "field-of-view", scans="finer.nrrd")[0].shape == (6, 48, 44)
    write(folder / "larger.nrrd", np.zeros((6, 30, 22), np.int16))
    refuse("apply", folder / "larger.nrrd", "--reference", folder / "other.npz", "--out", folder / "x")
    in_box = apply(folder, "--grid", "physical", scans="larger.nrrd", out="box")[0]
    assert in_box[:, :24].any()
    assert not in_box[:, 24:].any()


@effect("apply", "background")
def _(folder):
    donor = read(folder / "donor.nii.gz")
    donor[:, :8] = -1024
    write(folder / "padded.nrrd", donor)
    moved = apply(folder, "--background", "-1024", scans="padded.nrrd")[0] != donor
    assert moved[:, 8:].any()
    assert not moved[:, :8].any()


@effect("apply", "mask")
def _(folder):
    pattern, body = "{folder}/{name}_mask.nii.gz", (np.indices((6, 24, 22))[1] >= 8).astype(np.uint8)
    before = read(write(folder / "in/a.nii.gz", read(folder / "donor.nii.gz")))
    refuse("apply", folder / "in", "--reference", folder / "ref.npz", "--out", folder / "x", "--mask", "{case}")
    write(folder / "in/a_mask.nii.gz", body)
    moved = apply(folder, "--mask", pattern, scans="in")[0] != before
    assert (moved[:, 8:].any(), moved[:, :8].any()) == (True, False)
    assert set(read_manifest(folder / "out").scans) == {"a.nii.gz"}  # the mask in the folder is no scan
    write(folder / "in/a_mask.nii.gz", 1 - body)
    assert (apply(folder, "--mask", pattern, scans="in")[0] != before)[:, :8].any()  # made again with another mask


@effect("apply", "pixel_type")
def _(folder):
    assert apply(folder)[0].dtype == np.int16
    assert apply(folder, "--pixel-type", "float32")[0].dtype == np.float32


@effect("apply", "figures")
def _(folder):
    apply(folder, "--figures", out="with")
    apply(folder, "--no-figures", out="without")
    assert (folder / "with/donor.nii.gz.png").is_file()
    assert not (folder / "without/donor.nii.gz.png").exists()


@effect("apply", "reference_image")
def _(folder):
    apply(folder, "--figures")
    drawn = (folder / "out/donor.nii.gz.png").read_bytes()
    for shown in ("one.nii.gz", "two.nii.gz"):
        apply(folder, "--figures", "--reference-image", folder / "scans" / shown)
        assert (folder / "out/donor.nii.gz.png").read_bytes() != drawn
        drawn = (folder / "out/donor.nii.gz.png").read_bytes()
    refuse(
        *("apply", folder / "donor.nii.gz", "--reference", folder / "other.npz", "--out", folder / "x"),
        *("--no-figures", "--reference-image", folder / "donor.nii.gz"),
    )


def started_processes(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> list[int]:
    """Sizes of the pools that a command starts."""
    import ssimh.batch.scan_pool as module

    sizes: list[int] = []
    original = module.ProcessPoolExecutor

    def start(workers: int, *rest: object):
        sizes.append(workers)
        return original(workers, *rest)

    monkeypatch.setattr(module, "ProcessPoolExecutor", start)
    succeed(*arguments)
    return sizes


@effect("apply", "jobs")
def _(folder):
    arguments = ("apply", folder / "scans", "--reference", folder / "ref.npz", "--no-figures")
    with pytest.MonkeyPatch.context() as patch:
        assert started_processes(patch, *arguments, "--out", folder / "one", "--jobs", 1) == []
        assert started_processes(patch, *arguments, "--out", folder / "two", "--jobs", 2) == [2]
    refuse(*arguments, "--out", folder / "x", "--jobs", 0)


def align(sites: Path, *options: object, source: str = "here", target: str = "there", out: str = "out"):
    """Voxels of one scan after alignment."""
    options = options if {"--figures", "--no-figures"} & set(options) else (*options, "--no-figures")
    files = ("--source", sites / f"{source}.npz", "--target", sites / f"{target}.npz", "--out", sites / out)
    succeed("align", sites / "here/0.nii.gz", *files, *options)
    return read(sites / out / "0.nii.gz")


@effect("align", "scans", "out")
def _(sites):
    align(sites, out="elsewhere")
    assert set(snapshot(sites / "elsewhere")) == {"0.nii.gz", MANIFEST}


@effect("align", "source", "target")
def _(sites):
    before, there = read(sites / "here/0.nii.gz"), align(sites)
    np.testing.assert_array_equal(align(sites, target="here"), before)
    np.testing.assert_array_equal(align(sites, source="there"), before)
    back = align(sites, source="there", target="here")
    assert np.mean(there - before) > 0 > np.mean(back - before)


@effect("align", "strength")
def _(sites):
    before = read(sites / "here/0.nii.gz")
    whole, half = align(sites) - before, align(sites, "--strength", 0.5) - before
    assert 0.3 < np.abs(half).mean() / np.abs(whole).mean() < 0.7


@effect("align", "clip")
def _(sites):
    values = align(sites, "--clip", -200, 60)
    assert (values.min(), values.max()) == (-200, 60)


@effect("align", "part", "allow_sharpening")
def _(sites):
    """A coarse PET towards a sharp site keeps its values unless it may be sharpened; the report states the noise."""
    scan = write(sites / "pet/a.nrrd", uptake(7, 13.0), spacing=(4.0, 4.0, 4.0), metadata={"unit": "SUV"})
    for name, mm2 in (("sharp", 5.0), ("coarse", 13.0)):
        pet_site(mm2, orientation="SPL").save(sites / f"{name}.npz")
    files = ("--source", sites / "coarse.npz", "--target", sites / "sharp.npz", "--no-figures", "--out")
    succeed("align", scan, *files, sites / "kept", "--part", "resolution")
    np.testing.assert_array_equal(read(sites / "kept/a.nrrd"), read(scan))
    succeed("align", scan, *files, sites / "sharpened", "--allow-sharpening", 1.5)
    assert read(sites / "sharpened/a.nrrd").max() > read(scan).max() + 0.1
    gain = read_manifest(sites / "sharpened").scans["a.nrrd"].noise_gain
    assert f"× {gain:.2f}" in succeed("report", sites / "sharpened").output
    assert gain != read_manifest(sites / "kept").scans["a.nrrd"].noise_gain == 1
    refuse("align", scan, *files, sites / "x", "--part", "field", naming=("field", "PT"))
    refuse("align", scan, *files, sites / "x", "--part", "shape", naming=("shape", "resolution"))
    refuse("align", scan, *files, sites / "x", "--allow-sharpening", 3, naming=("allow_sharpening", 3))
    ct = ("--source", sites / "here.npz", "--target", sites / "there.npz", "--out", sites / "x")
    refuse("align", sites / "here", *ct, "--allow-sharpening", 1.5, naming=("allow_sharpening", "CT"))
    assert not (sites / "x").exists()
    _align_grain(sites)


def _align_grain(sites):
    for name, sigma_mm, first in (("sharp", SHARP_MM, 0), ("smooth", SMOOTH_MM, 20)):
        thigh_site(sigma_mm, first=first).save(sites / f"{name}.npz")
    scan = write(sites / "thigh.nii.gz", thigh(7), spacing=SPACING_MM[::-1])
    files = ("--source", sites / "sharp.npz", "--target", sites / "smooth.npz", "--no-figures", "--out")
    succeed("align", scan, *files, sites / "grain", "--part", "grain", "--part", "field")
    succeed("align", scan, *files, sites / "plain")
    assert (read(sites / "grain/thigh.nii.gz") - read(sites / "plain/thigh.nii.gz")).std() > 5
    gains = [read_manifest(sites / out).scans["thigh.nii.gz"].noise_gain for out in ("grain", "plain")]
    assert 0 < gains[0] < 0.8
    assert gains[1] is None


@effect("align", "pixel_type")
def _(sites):
    write(sites / "here/0.nii.gz", read(sites / "here/0.nii.gz").astype(np.int16), spacing=(4, 4, 3))
    assert align(sites).dtype == np.int16
    assert align(sites, "--pixel-type", "float32").dtype == np.float32


@effect("align", "figures", "reference_image")
def _(sites):
    align(sites)
    assert not (sites / "out/0.nii.gz.png").exists()
    align(sites, "--figures")
    drawn = (sites / "out/0.nii.gz.png").read_bytes()
    align(sites, "--figures", "--reference-image", sites / "there/0.nii.gz")
    assert (sites / "out/0.nii.gz.png").read_bytes() != drawn
    assert ssimh(
        *("align", sites / "here", "--source", sites / "here.npz", "--target", sites / "there.npz"),
        *("--out", sites / "x", "--no-figures", "--reference-image", sites / "there/0.nii.gz"),
    ).exit_code
    assert not (sites / "x").exists()


@effect("align", "jobs")
def _(sites):
    arguments = ("align", sites / "here", "--source", sites / "here.npz", "--target", sites / "there.npz")
    with pytest.MonkeyPatch.context() as patch:
        arguments = (*arguments, "--no-figures", "--out", sites / "out")
        assert started_processes(patch, *arguments, "--jobs", 2) == [2]


@effect("report", "viewer")
def _(folder):
    apply(folder)
    for number in (1, 0):
        succeed("report", folder / "out", "--viewer", number)
        assert len(list((folder / "out/report_files").glob("*.js"))) == number


@effect("report", "folder")
def _(folder):
    apply(folder)
    succeed("report", folder / "out")
    assert (folder / "out/report.html").is_file()
    refuse("report", folder / "scans")
