"""Bad input, one row each: the message names case, file, what was given and what is allowed; nothing is half-written.

The rows of ``CASES`` damage one case's files, those of ``ROOTS`` are cohorts that cannot be used at all, those of
``RUNS`` are damaged work directories.
"""

from __future__ import annotations

import errno
import gzip
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from typer.testing import CliRunner

from hnseg.check.check_cohort import check_cohort
from hnseg.cli.commands import app
from hnseg.cohort.checked_cohort import load_check
from hnseg.cohort.open_run import open_run
from hnseg.cohort.splits import load_splits
from hnseg.config import Config
from hnseg.errors import CohortError, HnsegError, WorkDirError
from hnseg.images.geometry import Grid
from hnseg.images.image_io import read_image, write_image
from hnseg.workdir import load_config

PREPARE = Config.from_preset("demo").prepare
Damage = Callable[[Path], None]


def values(change: Callable[[np.ndarray], np.ndarray]) -> Damage:
    """Change the voxels of a file, of any dtype."""

    def damage(path: Path) -> None:
        array, grid = read_image(path, "ONE-001", dtype=None)
        write_image(path, np.ascontiguousarray(change(array)), grid)

    return damage


def header(offset: int, kind: str, *fields: float) -> Damage:
    """Overwrite fields of the NIfTI-1 header."""

    def damage(path: Path) -> None:
        raw = bytearray(gzip.decompress(path.read_bytes()))
        struct.pack_into(kind, raw, offset, *fields)
        path.write_bytes(gzip.compress(bytes(raw)))

    return damage


def content(change: Callable[[bytes], bytes]) -> Damage:
    """Change the bytes of a file."""
    return lambda path: path.write_bytes(change(path.read_bytes())) and None


def image(make: Callable[[], sitk.Image]) -> Damage:
    """Put another image in the file's place."""
    return lambda path: sitk.WriteImage(make(), str(path))


def moved(shift_mm: float) -> Damage:
    """Move an image along z."""

    def damage(path: Path) -> None:
        array, grid = read_image(path, "ONE-001", dtype=None)
        x, y, z = grid.origin_mm
        write_image(path, array, Grid(grid.size, grid.spacing_mm, (x, y, z + shift_mm), grid.direction))

    return damage


def flipped_bit(raw: bytes) -> bytes:
    place = len(raw) - 40
    return raw[:place] + bytes([raw[place] ^ 8]) + raw[place + 1 :]


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_lost_link(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.with_name("elsewhere.nii.gz"))


def set_first(value: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(array: np.ndarray) -> np.ndarray:
        array = array.astype(np.float32)
        array[0, 0, 0] = value
        return array

    return change


CUBE = np.zeros((8, 8, 8), np.int16)
NOISE = np.random.default_rng(0).integers(-1000, 1000, (64, 64, 64)).astype(np.int16)
HUGE = (32000, 32000, 32000)
CT, PET, LABEL = "__CT", "__PT", ""
# What is wrong, with which file, how, and what the message must say.
CASES: list[tuple[str, str, Damage, str]] = [
    ("missing CT", CT, Path.unlink, "the file does not exist"),
    ("missing PET", PET, Path.unlink, "the file does not exist"),
    ("a folder in its place", CT, a_folder, "this is a folder, a file is needed"),
    ("a link to nowhere", PET, a_lost_link, "the file does not exist"),
    ("zero bytes", CT, content(lambda raw: b""), r"the file is empty \(0 bytes\)"),
    ("not an image", CT, content(lambda raw: b"not an image " * 99), "not a readable image: .*Not a gzipped file"),
    ("not gzip inside", PET, content(lambda raw: gzip.compress(b"x" * 999)), "the file has no NIfTI header"),
    ("truncated", PET, content(lambda raw: raw[: len(raw) // 2]), "damaged|end too early|holds"),
    ("truncated inside", CT, content(lambda r: gzip.compress(gzip.decompress(r)[:9000])), "asks for .* holds 9000"),
    ("gzip trailer lost", CT, content(lambda raw: raw[:-8]), "damaged or end too early"),
    ("a flipped bit", LABEL, content(flipped_bit), "damaged"),
    ("two-dimensional", CT, image(lambda: sitk.GetImageFromArray(CUBE[0])), r"expected a scalar 3-D image, got .*8, 8"),
    (
        "4-D",
        PET,
        image(lambda: sitk.JoinSeries([sitk.GetImageFromArray(CUBE)] * 2)),
        r"\(8, 8, 8, 2\)",
    ),
    (
        "RGB",
        CT,
        image(lambda: sitk.GetImageFromArray(np.zeros((4, 4, 4, 3), "u1"), isVector=True)),
        r"3 component\(s\)",
    ),
    ("complex", PET, image(lambda: sitk.GetImageFromArray(CUBE.astype(np.complex64))), "complex"),
    ("zero spacing", CT, header(84, "<f", 0.0), "spacing 4, 0, 5 mm; each must be a positive number"),
    ("negative spacing", PET, header(88, "<f", -6.0), "spacing 5, 5, -6 mm; each must be a positive number"),
    ("spacing not a number", CT, header(80, "<f", float("nan")), "spacing nan, 4, 5 mm"),
    ("spacing in meters", CT, header(123, "<B", 1), "160000 × 144000 × 150000 mm large; expected are 20 to 3000"),
    ("size of zero", CT, header(42, "<h", 0), r"size \(0, 36, 30\); every length must be ≥ 1"),
    ("absurd size", CT, header(42, "<3h", *HUGE), "more than 2147483648 are refused"),
    ("size beyond the file", PET, header(42, "<h", 3400), "the header asks for .* bytes"),
    (
        "sheared",
        CT,
        header(252, "<2h12x12f", 0, 1, *([0] * 3), *(4, 2, 0, 0), *(0, 4, 0, 0), *(0,)),
        "sheared or singular",
    ),
    ("NaN", PET, values(set_first(np.nan)), "1 voxels are NaN or infinite"),
    ("infinite", CT, values(set_first(np.inf)), "1 voxels are NaN or infinite"),
    ("constant CT", CT, values(lambda a: np.full_like(a, -1000)), "the CT is -1000 everywhere"),
    ("constant PET", PET, values(lambda a: np.full_like(a, 1.5)), r"the PET is 1\.5 everywhere"),
    ("PET without a positive value", PET, values(lambda a: -a), "none is positive"),
    ("PET normalized", PET, values(lambda a: (a - a.mean()) / a.std()), r"of the PET is below -0\.1"),
    ("PET in Bq/ml without a factor", PET, values(lambda a: a * 4000), "looks like Bq/ml, not SUV: .* above 50"),
    ("PET converted twice", PET, values(lambda a: a * 2.4e-4), "hottest voxel .* converted twice"),
    ("CT with its offset", CT, values(lambda a: a + 1024), r"not HU: soft tissue lies near 106\d where HU has 0 to 60"),
    ("CT of 8 bits", CT, values(lambda a: ((a + 1000) // 8).astype("u1")), "CT values from 0 to 130 are not HU"),
    ("no overlap", PET, moved(5000.0), "do not overlap"),
    ("foreign label value", LABEL, values(lambda a: a * 3), "label value 3, 6 found; allowed are 0 background, 1 GTVp"),
    ("label of fractions", LABEL, values(lambda a: a * np.float32(0.5)), r"label value 0\.5 found; allowed are"),
    ("negative label", LABEL, values(lambda a: -a.astype("i2")), "label value -2, -1 found"),
    ("label NaN", LABEL, values(set_first(np.nan)), "1 voxels are NaN or infinite"),
    (
        "label of another size",
        LABEL,
        values(lambda a: a) and image(lambda: sitk.GetImageFromArray(CUBE)),
        "not on the CT",
    ),
    ("label moved", LABEL, moved(5.0), r"the label is not on the CT grid: .*origin \(-80, -70, 15\) mm against"),
]


@pytest.mark.parametrize(("what", "suffix", "damage", "message"), CASES, ids=[row[0] for row in CASES])
def test_a_bad_case(make_case, tmp_path, what, suffix, damage, message):
    root, work = make_case(), tmp_path / "work"
    bad = root / "Task 1" / "ONE-001" / f"ONE-001{suffix}.nii.gz"
    damage(bad)
    before = sorted(root.rglob("*"))
    with pytest.raises(CohortError, match=message) as caught:
        check_cohort(root, PREPARE, work=work)
    assert "ONE-001: " in str(caught.value)
    assert str(bad) in str(caught.value)
    found = load_check(work)
    assert (found.cases, found.unusable) == ((), ("ONE-001",))
    assert {path.name for path in work.iterdir()} == {"check.json", "check.html"}
    assert sorted(root.rglob("*")) == before


def test_there_are_enough_kinds():
    assert len({row[0] for row in CASES}) == len(CASES) >= 25


def test_a_file_that_may_not_be_read(make_case, monkeypatch):
    root = make_case()
    ct = root / "Task 1" / "ONE-001" / "ONE-001__CT.nii.gz"
    ct.chmod(0)
    if os.access(ct, os.R_OK):  # root may read everything
        allowed = os.access
        monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != ct and allowed(path, mode))
    with pytest.raises(CohortError, match="ONE-001: there is no permission to read the file") as caught:
        check_cohort(root, PREPARE)
    assert str(ct) in str(caught.value)


def test_a_folder_that_may_not_be_entered_is_a_finding(make_case, monkeypatch):
    make_case("ONE-001")
    root = make_case("ONE-002")

    def refuse(self: Path) -> bool:
        if self.name == "ONE-001__CT.nii.gz":
            raise PermissionError(errno.EACCES, "Permission denied", str(self))
        return os.path.isfile(self)

    monkeypatch.setattr(Path, "is_file", refuse)
    result = check_cohort(root, PREPARE)
    assert [case.id for case in result.cases] == ["ONE-002"]
    assert [(f.case_id, f.message) for f in result.errors] == [("ONE-001", "Permission denied")]


def table(text: str) -> Callable[[Path], Path]:
    def make(home: Path) -> Path:
        (home / "cases.csv").write_text(text)
        return home / "cases.csv"

    return make


def folder(*names: str) -> Callable[[Path], Path]:
    """A root with these empty files and, where a name ends with a slash, folders."""

    def make(home: Path) -> Path:
        (home / "root").mkdir()
        for name in names:
            path = home / "root" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir() if name.endswith("/") else path.write_bytes(b"x")
        return home / "root"

    return make


def binary_table(home: Path) -> Path:
    (home / "cases.csv").write_bytes(b"\xff\xfe\x00id,ct\n")
    return home / "cases.csv"


ROOTS: list[tuple[str, Callable[[Path], Path], str]] = [
    ("nowhere", lambda home: home / "nowhere", "nowhere does not exist; expected is a folder"),
    ("a file", lambda home: folder("image.nii.gz")(home) / "image.nii.gz", "is not a folder and no CSV file"),
    ("an empty folder", folder(), "no case found in"),
    ("folders without images", folder("Task 1/A-001/notes.txt"), "no case found in"),
    ("two layouts", folder("Task 1/", "imagesTr/"), "holds both `Task 1` and nnU-Net folders"),
    ("a folder that is no ID", folder("Task 1/A 1/A 1__CT.nii.gz"), "'A 1' is no case ID; allowed are"),
    ("nnU-Net without channel", folder("imagesTr/A-001.nii.gz"), "expected <ID>_<channel>"),
    ("a channel twice", folder("imagesTr/A_0000.nii.gz", "imagesTr/A_0000.mha"), "two files are 0000 of A"),
    ("training and test", folder("imagesTr/A_0000.mha", "imagesTs/A_0000.mha"), "two cases have the ID A"),
    ("a description damaged", folder("imagesTr/A_0000.mha", "dataset.json"), "not an nnU-Net data set description"),
    ("a table without columns", table("name,scan\nA,a\n"), "lacks the column id and ct; it has name, scan; known are"),
    ("an empty table", table(""), "lacks the column id and ct; it has none"),
    ("a table of no case", table("id,ct\n"), "no case found in"),
    ("a table that is no text", binary_table, "is not a readable CSV file"),
    ("a path as an ID", table("id,ct\n../x,a.nii.gz\n"), r"line 2: '\.\./x' is no case ID; allowed are letters"),
    ("an ID twice", table("id,ct\nA-1,a\nB-1,b\nA-1,c\n"), r"two cases have the ID A-1: \S*a and \S*c"),
    ("IDs that differ by case", table("id,ct\nA-1,a\na-1,b\n"), "differ by more than upper and lower case"),
    ("a slip in a column", table("id,ct,labels\nA,a,b\n"), "column 'labels': is 'label' meant"),
    (
        "a table that points to nothing",
        table("id,ct,pet\nA,a.mha,b.mha\n"),
        r"A: the file does not exist \[\S*a\.mha\]",
    ),
    ("a table with a lost label", table("id,ct,label\nA,a.mha,c.mha\n"), r"the file does not exist \[\S*c\.mha\]"),
    ("a table without PET", table("id,ct\nA,a.mha\n"), "A: the case has no PET: the cohort names none"),
    ("a bad table of factors", folder("Task 1/A/A__CT.nii.gz", "suv_conversion_tags.csv"), "has the columns x; needed"),
]


@pytest.mark.parametrize(("what", "make", "message"), ROOTS, ids=[row[0] for row in ROOTS])
def test_a_bad_root(tmp_path, what, make, message):
    root, work = make(tmp_path), tmp_path / "work"
    with pytest.raises(CohortError, match=message):
        check_cohort(root, PREPARE, work=work)
    written = {path.name for path in work.iterdir()} if work.exists() else set()
    assert written in (set(), {"check.json", "check.html"})
    result = CliRunner().invoke(app, ["check", str(root)])
    assert result.exit_code == 1
    assert "error:" in result.stderr
    assert "Traceback" not in result.output


@pytest.fixture
def started(make_case, tmp_path) -> tuple[Path, Path]:
    """A root and a run that has been checked."""
    root, work = make_case(), tmp_path / "work"
    open_run(work, Config.from_preset("demo"), root, resume=False)
    check_cohort(root, PREPARE, work=work)
    return root, work


def damaged(name: str, text: str) -> Callable[[Path], None]:
    return lambda work: (work / name).write_text(text) and None


RUNS: list[tuple[str, Callable[[Path], object], Callable[[Path], object], str]] = [
    ("check.json cut off", damaged("check.json", '{"cases": ['), load_check, r"check\.json.*hnseg check"),
    ("check.json of a list", damaged("check.json", "[]"), load_check, r"check\.json.*hnseg check"),
    ("check.json of others", damaged("check.json", '{"cases": [{"name": 1}]}'), load_check, r"cases\.0\..*hnseg check"),
    ("check.json lost", lambda work: (work / "check.json").unlink(), load_check, "missing: run `hnseg check` first"),
    ("run.json cut off", damaged("run.json", '{"config"'), load_config, r"run\.json.*hnseg check"),
    ("splits.json cut off", damaged("splits.json", '{"seed"'), load_splits, r"splits\.json.*hnseg split"),
    ("splits.json of others", damaged("splits.json", '{"seed": 1}'), load_splits, r"test.*hnseg split"),
]


@pytest.mark.parametrize(("what", "damage", "use", "message"), RUNS, ids=[row[0] for row in RUNS])
def test_a_bad_run(started, what, damage, use, message):
    _, work = started
    damage(work)
    with pytest.raises(WorkDirError, match=message):
        use(work)


def test_a_full_disk_leaves_the_old_files_and_says_so(started, monkeypatch):
    root, work = started
    before = {path: path.read_bytes() for path in work.iterdir()}

    def full(self: Path, *args: object, **options: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_text", full)
    result = CliRunner().invoke(app, ["check", str(root), str(work), "--preset", "demo"])
    assert result.exit_code == 1
    assert "No space left on device" in result.stderr
    assert {path: path.read_bytes() for path in work.iterdir()} == before


def test_a_work_directory_that_holds_other_things(make_case, tmp_path):
    root, work = make_case(), tmp_path / "work"
    work.mkdir()
    (work / "thesis.tex").write_text("")
    with pytest.raises(HnsegError, match="is not empty and holds no run"):
        open_run(work, Config.from_preset("demo"), root, resume=False)
    assert [path.name for path in work.iterdir()] == ["thesis.tex"]


def test_data_that_are_away_for_a_while_cost_no_run(started):
    root, work = started
    before = (work / "check.json").read_bytes()
    shutil.move(root, root.with_name("away"))
    result = CliRunner().invoke(app, ["check", str(root), str(work), "--preset", "demo"])
    assert (result.exit_code, "does not exist" in result.stderr) == (1, True)
    assert (work / "check.json").read_bytes() == before
