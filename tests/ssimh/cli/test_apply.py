"""``ssimh apply``: what is written, what is kept, and what is never overwritten."""

import json
import locale
import os
import shutil

import numpy as np
import pytest
import SimpleITK as sitk

from ssimh import ReferenceSpectrum, swap_spectrum
from ssimh.batch.manifest import MANIFEST, read_manifest
from tests.ssimh.cli.commands import read, refuse, snapshot, ssimh, succeed, write

SCANS = {"one.nii.gz", "two.nii.gz", "b/three.nrrd"}


def command(folder, *options, scans="scans", out="out", reference="ref.npz"):
    return ("apply", folder / scans, "--reference", folder / reference, "--out", folder / out, *options)


def counts(result):
    """Harmonized, kept, failed."""
    words = result.output.replace(",", "").replace(";", "").split()
    return tuple(int(words[words.index(word) - 1]) for word in ("harmonized", "kept", "failed"))


def test_a_folder_is_harmonized_and_a_second_run_keeps_it(folder):
    out = folder / "out"
    assert counts(succeed(*command(folder))) == (3, 0, 0)
    for name in ("one.nii.gz", "b/three.nrrd"):
        expected = np.rint(swap_spectrum(read(folder / "scans" / name), read(folder / "donor.nii.gz")))
        np.testing.assert_array_equal(read(out / name), expected.astype(np.int16))
        assert (out / f"{name}.png").stat().st_size > 10_000
    manifest = read_manifest(out)
    assert set(manifest.scans) == SCANS
    assert not manifest.failed
    assert not manifest.pending
    assert manifest.recipe.reference["content_hash"] == ReferenceSpectrum.load(folder / "ref.npz").content_hash

    before = snapshot(out)
    assert counts(succeed(*command(folder))) == (0, 3, 0)
    assert snapshot(out) == before
    (out / "two.nii.gz").unlink()
    assert counts(succeed(*command(folder))) == (1, 2, 0)
    (out / "b/three.nrrd.png").unlink()
    assert counts(succeed(*command(folder))) == (1, 2, 0)
    assert {name: snapshot(out)[name] for name in SCANS} == {name: before[name] for name in SCANS}


def test_a_changed_input_is_made_again_a_copied_one_is_not(folder):
    succeed(*command(folder, "--no-figures"))
    os.utime(folder / "scans/two.nii.gz", ns=(1, 1))
    assert counts(succeed(*command(folder, "--no-figures"))) == (0, 3, 0)
    write(folder / "scans/one.nii.gz", np.zeros((6, 24, 22), np.int16))
    assert counts(succeed(*command(folder, "--no-figures"))) == (1, 2, 0)


def test_the_voxels_of_a_header_with_a_data_file_count(folder):
    write(folder / "split/a.mhd", read(folder / "donor.nii.gz"))
    succeed(*command(folder, "--no-figures", scans="split"))
    voxels = folder / "split" / "a.raw"
    voxels.write_bytes(voxels.read_bytes()[::-1])
    os.utime(voxels, ns=(1, 1))
    assert counts(succeed(*command(folder, "--no-figures", scans="split"))) == (1, 0, 0)


def write_slice(path, values, number):
    image = sitk.GetImageFromArray(values)
    for key, value in {
        "0008|0060": "CT",
        "0020|000d": "1.2.3",
        "0020|000e": "1.2.3.4",
        "0008|0018": f"1.2.3.4.{number + 1}",
        "0020|0013": str(number),
        "0020|0032": f"0\\0\\{2.5 * number}",
        "0020|0037": "1\\0\\0\\0\\1\\0",
    }.items():
        image.SetMetaData(key, value)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    writer.SetFileName(str(path))
    before = locale.setlocale(locale.LC_ALL)
    writer.Execute(image)
    locale.setlocale(locale.LC_ALL, before)  # writing DICOM leaves "C" behind, with which text files are ASCII


def test_a_dicom_folder_is_kept_until_a_slice_changes(folder):
    (folder / "series").mkdir()
    slices = read(folder / "donor.nii.gz")
    for number, values in enumerate(slices):
        write_slice(folder / f"series/{number}.dcm", values, number)
    succeed("fit", folder / "series", "--out", folder / "dicom.npz")
    arguments = command(folder, "--no-figures", scans="series", reference="dicom.npz")
    assert counts(succeed(*arguments)) == (1, 0, 0)
    assert counts(succeed(*arguments)) == (0, 1, 0)
    write_slice(folder / "series/0.dcm", slices[0] + 1, 0)
    assert counts(succeed(*arguments)) == (1, 0, 0)


def test_jobs_do_the_same(folder):
    for out, jobs in (("alone", 1), ("together", 2)):
        succeed(*command(folder, "--jobs", jobs, "--no-figures", out=out))
    for name in SCANS:
        np.testing.assert_array_equal(read(folder / "alone" / name), read(folder / "together" / name))


def test_one_bad_scan_does_not_stop_the_others(folder):
    (folder / "scans/bad.nii.gz").write_text("no image")
    write(folder / "scans/large.nii.gz", np.zeros((6, 30, 22), np.int16))
    result = ssimh(*command(folder, "--no-figures"))
    assert result.exit_code == 1
    assert counts(result) == (3, 0, 2)
    failed = read_manifest(folder / "out").failed
    assert set(failed) == {"bad.nii.gz", "large.nii.gz"}
    assert "(6, 30, 22)" in failed["large.nii.gz"]
    assert not (folder / "out/bad.nii.gz").exists()
    assert not list((folder / "out").rglob(".writing-*"))


def test_damaged_scans_are_not_harmonized(folder):
    """Each of them was, before one strict reader served both packages."""
    values = read(folder / "donor.nii.gz")
    nan = values.astype(np.float32)
    nan[0, 0, 0] = np.nan
    for name, content in (("cut.nii", values), ("cut.nii.gz", values), ("nan.nii", nan), ("flat.nii", values)):
        write(folder / "scans" / name, content)
    for name in ("cut.nii", "cut.nii.gz"):
        raw = (folder / "scans" / name).read_bytes()
        (folder / "scans" / name).write_bytes(raw[: len(raw) // 2])
    raw = bytearray((folder / "scans/flat.nii").read_bytes())
    raw[84:88] = bytes(4)  # the spacing along y
    (folder / "scans/flat.nii").write_bytes(raw)
    result = ssimh(*command(folder, "--no-figures"))
    damaged = {"cut.nii", "cut.nii.gz", "nan.nii", "flat.nii"}
    assert (result.exit_code, counts(result)) == (1, (3, 0, 4))
    assert set(read_manifest(folder / "out").failed) == damaged
    assert not damaged & {path.name for path in (folder / "out").iterdir()}


def test_failures_of_scans_that_are_not_named_again_stay_on_record(folder):
    (folder / "scans/bad.nii.gz").write_text("no image")
    assert ssimh(*command(folder, "--no-figures")).exit_code == 1
    succeed(*command(folder, "--no-figures", scans="scans/one.nii.gz"))
    assert set(read_manifest(folder / "out").failed) == {"bad.nii.gz"}
    write(folder / "scans/bad.nii.gz", read(folder / "donor.nii.gz"))
    succeed(*command(folder, "--no-figures"))
    assert not read_manifest(folder / "out").failed


def test_scans_in_other_directions_get_the_turned_reference(folder):
    values = read(folder / "scans/one.nii.gz")
    write(folder / "turned.nii.gz", values[:, ::-1, ::-1], direction=(-1.0, 0, 0, 0, -1.0, 0, 0, 0, 1.0))
    for name in ("turned.nii.gz", "scans/one.nii.gz"):
        succeed(*command(folder, scans=name))
    np.testing.assert_array_equal(read(folder / "out/turned.nii.gz")[:, ::-1, ::-1], read(folder / "out/one.nii.gz"))


def test_another_voxel_size_on_the_same_matrix_is_not_swapped_silently(folder):
    write(folder / "fine/a.nii.gz", read(folder / "donor.nii.gz"), spacing=(0.5, 0.5, 2.5))
    result = ssimh(*command(folder, "--no-figures", scans="fine"))
    assert counts(result) == (0, 0, 1)
    message = read_manifest(folder / "out").failed["a.nii.gz"]
    assert all(fact in message for fact in ("a.nii.gz", "0.5", "--grid"))
    over_the_same_field = command(folder, "--no-figures", "--grid", "field-of-view", scans="fine", out="other")
    assert counts(ssimh(*over_the_same_field)) == (0, 0, 1)


class TestOtherSettings:
    """A folder holds results of one reference and one set of settings."""

    def test_all_scans_are_made_again(self, folder):
        succeed(*command(folder))
        result = succeed(*command(folder, "--strength", 0.5, "--no-figures"))
        assert counts(result) == (3, 0, 0)
        assert set(snapshot(folder / "out")) == {*SCANS, MANIFEST}

    def test_results_that_would_stay_are_refused(self, folder):
        succeed(*command(folder, "--no-figures"))
        before = snapshot(folder / "out")
        arguments = command(folder, "--no-figures", "--strength", 0.5, scans="scans/one.nii.gz")
        refuse(*arguments, naming=("strength", "b/three.nrrd", "two.nii.gz", folder / "out"))
        assert snapshot(folder / "out") == before

    def test_another_reference_and_another_version_count(self, folder, monkeypatch):
        succeed(*command(folder, "--no-figures"))
        succeed("fit", folder / "scans", "--out", folder / "ref.npz", "--unit", "HU")
        assert counts(succeed(*command(folder, "--no-figures"))) == (3, 0, 0)
        content = (folder / "out" / MANIFEST).read_text()
        version = read_manifest(folder / "out").recipe.ssimh_version
        (folder / "out" / MANIFEST).write_text(content.replace(json.dumps(version), '"0.0.0"'))
        assert counts(succeed(*command(folder, "--no-figures"))) == (3, 0, 0)

    def test_a_scan_that_fails_leaves_no_older_result(self, folder):
        succeed(*command(folder))
        (folder / "scans/one.nii.gz").write_text("no image")
        assert counts(ssimh(*command(folder, "--strength", 0.5))) == (2, 0, 1)
        assert set(read_manifest(folder / "out").scans) == SCANS - {"one.nii.gz"}
        assert not list((folder / "out").glob("one*"))


class TestNothingIsOverwritten:
    @pytest.mark.parametrize("name", ["one.nii.gz", "one.nii.gz.png", "b/three.nrrd"])
    def test_a_file_of_somebody_else_stays(self, folder, name):
        path = folder / "out" / name
        path.parent.mkdir(parents=True)
        path.write_text("precious")
        refuse(*command(folder), naming=(path,))
        assert snapshot(folder / "out") == {name: b"precious"}

    @pytest.mark.parametrize("content", [b"", b"x", None])
    def test_a_result_that_was_changed_since_is_noticed(self, folder, content):
        succeed(*command(folder, "--no-figures"))
        path = folder / "out/two.nii.gz"
        data = path.read_bytes()
        path.write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:] if content is None else content)
        before = snapshot(folder / "out")
        refuse(*command(folder, "--no-figures"), naming=(path,))
        assert snapshot(folder / "out") == before
        path.unlink()
        assert counts(succeed(*command(folder, "--no-figures"))) == (1, 2, 0)

    @pytest.mark.parametrize("out", ["scans", "scans/h1", "scans/b", "link/h1"])
    def test_the_output_folder_is_not_within_an_input_folder(self, folder, out):
        (folder / "link").symlink_to(folder / "scans")
        before = snapshot(folder)
        refuse(*command(folder, out=out), naming=(folder / out, folder / "scans"))
        assert snapshot(folder) == before
        assert not (folder / "scans/h1").exists()

    def test_an_input_is_not_within_the_output_folder(self, folder):
        before = snapshot(folder)
        refuse(*command(folder, out="."), naming=("scans",))
        (folder / "out").mkdir()
        (folder / "out/one.nii.gz").symlink_to(folder / "scans/one.nii.gz")
        refuse(*command(folder, scans="out/one.nii.gz"), naming=("one.nii.gz",))
        assert (folder / "out/one.nii.gz").is_symlink()
        (folder / "out/one.nii.gz").unlink()
        assert snapshot(folder) == before

    def test_scans_beside_the_output_folder_resume(self, folder):
        arguments = command(folder, "--no-figures", scans="scans/one.nii.gz", out="scans/h1")
        assert counts(succeed(*arguments)) == (1, 0, 0)
        assert counts(succeed(*arguments)) == (0, 1, 0)

    def test_results_below_an_input_folder_are_not_harmonized_again(self, folder):
        succeed(*command(folder, "--no-figures", scans="scans/one.nii.gz", out="scans/h1"))
        refuse(*command(folder, "--no-figures"), naming=(folder / "scans/h1",))
        assert not (folder / "out").exists()

    def test_a_manifest_of_another_program_stays(self, folder):
        (folder / "out").mkdir()
        (folder / "out" / MANIFEST).write_text('{"name": "a web app"}')
        refuse(*command(folder), naming=(folder / "out" / MANIFEST,))
        assert snapshot(folder / "out") == {MANIFEST: b'{"name": "a web app"}'}

    def test_names_that_differ_in_case_alone_are_refused(self, folder):
        shutil.copy(folder / "scans/one.nii.gz", folder / "scans/ONE.nii.gz")
        refuse(*command(folder), naming=("one.nii.gz", "ONE.nii.gz"))


class TestFigures:
    def test_the_reference_image_is_read_first(self, folder):
        refuse(*command(folder, "--reference-image", folder / "nope.nii.gz"), naming=("nope.nii.gz",))
        assert not (folder / "out").exists()

    def test_a_figure_that_fails_is_no_failure(self, folder, monkeypatch):
        def fail(*_, **__):
            raise RuntimeError("no canvas")

        monkeypatch.setattr("ssimh.batch.plots.save_figure", fail)
        result = succeed(*command(folder))
        assert counts(result) == (3, 0, 0)
        assert "no canvas" in result.output
        manifest = read_manifest(folder / "out")
        assert not manifest.failed
        assert {record.figure for record in manifest.scans.values()} == {None}
        monkeypatch.undo()
        assert counts(succeed(*command(folder))) == (3, 0, 0)
        assert (folder / "out/one.nii.gz.png").is_file()


@pytest.mark.parametrize(
    ("options", "facts"),
    [
        (("--clip", 5, 5), ("clip", "5.0")),
        (("--clip", 9, -9), ("clip", "9.0")),
        (("--strength", 1.5), ("strength", "1.5")),
        (("--strength", "nan"), ("strength", "nan")),
        (("--unit", "SUV"), ("SUV",)),
        (("--unit", "BQML", "--allow-pet"), ("BQML", "HU")),
        (("--allow-pet",), ("allow_pet", "HU")),
        (("--reference-image", "{f}/donor.nii.gz", "--no-figures"), ("reference_image",)),
        (("--jobs", 0), ()),
        (("--reference", "missing.npz"), ("missing.npz",)),
        (("--reference", "{f}/donor.nii.gz"), ("donor.nii.gz",)),
    ],
)
def test_what_cannot_be_used_is_refused_once_before_the_work(folder, options, facts):
    texts = [str(option).format(f=folder) for option in options]
    result = refuse(*command(folder, *texts), naming=facts)
    assert "harmonized" not in result.output
    assert not (folder / "out").exists()


def test_a_unit_that_contradicts_the_file_fails_for_this_scan(folder):
    write(folder / "scans/pet.nrrd", read(folder / "donor.nii.gz"), metadata={"unit": "BQML"})
    result = ssimh(*command(folder, "--unit", "HU", "--no-figures"))
    assert counts(result) == (3, 0, 1)
    assert "BQML" in read_manifest(folder / "out").failed["pet.nrrd"]
