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
from hnseg.errors import CohortError, HnsegError, WorkDirError
from hnseg.images.geometry import Grid
from hnseg.images.image_io import read_image, write_image
from hnseg.settings.config import Config
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
    """In the checksum: a bit of the data may change nothing, such as from where in a run of zeros zeros are copied."""
    place = len(raw) - 6
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
HUGE = (32000, 32000, 32000)
CT, PET, LABEL = "__CT", "__PT", ""
# What is wrong, with which file, how, the finding's code (that of the file's role where it cannot be read), and facts
# that its message must state.
CASES: list[tuple[str, str, Damage, str, list[object]]] = [
    ("missing CT", CT, Path.unlink, "ct", []),
    ("missing PET", PET, Path.unlink, "pet", []),
    ("a folder in its place", CT, a_folder, "ct", ["folder"]),
    ("a link to nowhere", PET, a_lost_link, "pet", []),
    ("zero bytes", CT, content(lambda raw: b""), "ct", ["0 bytes"]),
    ("not an image", CT, content(lambda raw: b"not an image " * 99), "ct", ["gzip"]),
    ("not gzip inside", PET, content(lambda raw: gzip.compress(b"x" * 999)), "pet", ["NIfTI"]),
    ("truncated", PET, content(lambda raw: raw[: len(raw) // 2]), "pet", []),
    ("truncated inside", CT, content(lambda r: gzip.compress(gzip.decompress(r)[:9000])), "ct", [86752, 9000]),
    ("gzip trailer lost", CT, content(lambda raw: raw[:-8]), "ct", []),
    ("a flipped bit", LABEL, content(flipped_bit), "label", []),
    ("two-dimensional", CT, image(lambda: sitk.GetImageFromArray(CUBE[0])), "ct", [(8, 8)]),
    ("4-D", PET, image(lambda: sitk.JoinSeries([sitk.GetImageFromArray(CUBE)] * 2)), "pet", [(8, 8, 8, 2)]),
    ("RGB", CT, image(lambda: sitk.GetImageFromArray(np.zeros((4, 4, 4, 3), "u1"), isVector=True)), "ct", [3]),
    ("complex", PET, image(lambda: sitk.GetImageFromArray(CUBE.astype(np.complex64))), "pet", ["complex"]),
    ("zero spacing", CT, header(84, "<f", 0.0), "ct", ["4, 0, 5 mm"]),
    ("negative spacing", PET, header(88, "<f", -6.0), "pet", ["5, 5, -6 mm"]),
    ("spacing not a number", CT, header(80, "<f", float("nan")), "ct", ["nan, 4, 5 mm"]),
    ("spacing in meters", CT, header(123, "<B", 1), "extent", ["160000 × 144000 × 150000 mm", "20 to 3000"]),
    ("size of zero", CT, header(42, "<h", 0), "ct", [(0, 36, 30)]),
    ("absurd size", CT, header(42, "<3h", *HUGE), "ct", [HUGE, 2**31]),
    ("size beyond the file", PET, header(42, "<h", 3400), "pet", [352 + 3400 * 32 * 26 * 4]),
    ("sheared", CT, header(252, "<2h12x12f", 0, 1, *([0] * 3), *(4, 2, 0, 0), *(0, 4, 0, 0), *(0,)), "ct", ["0.4472"]),
    ("NaN", PET, values(set_first(np.nan)), "pet", [1, "NaN"]),
    ("infinite", CT, values(set_first(np.inf)), "ct", [1, "infinite"]),
    ("constant CT", CT, values(lambda a: np.full_like(a, -1000)), "ct-units", [-1000]),
    ("constant PET", PET, values(lambda a: np.full_like(a, 1.5)), "pet", [1.5]),
    ("PET without a positive value", PET, values(lambda a: -a), "pet", []),
    ("PET normalized", PET, values(lambda a: (a - a.mean()) / a.std()), "pet", [-0.1]),
    ("PET in Bq/ml without a factor", PET, values(lambda a: a * 4000), "pet", ["Bq/ml", 50]),
    ("PET converted twice", PET, values(lambda a: a * 2.4e-4), "pet", []),
    ("CT with its offset", CT, values(lambda a: a + 1024), "ct-units", [106, "0 to 60"]),
    ("CT of 8 bits", CT, values(lambda a: ((a + 1000) // 8).astype("u1")), "ct-units", ["0 to 130"]),
    ("no overlap", PET, moved(5000.0), "overlap", []),
    ("foreign label value", LABEL, values(lambda a: a * 3), "label", ["3, 6", 0, 1, 2]),
    ("label of fractions", LABEL, values(lambda a: a * np.float32(0.5)), "label", [0.5]),
    ("negative label", LABEL, values(lambda a: -a.astype("i2")), "label", ["-2, -1"]),
    ("label NaN", LABEL, values(set_first(np.nan)), "label", [1, "NaN"]),
    ("label of another size", LABEL, image(lambda: sitk.GetImageFromArray(CUBE)), "label", [(8, 8, 8), (40, 36, 30)]),
    ("label moved", LABEL, moved(5.0), "label", ["-80, -70, 15", "-80, -70, 10"]),
]


@pytest.mark.parametrize(("what", "suffix", "damage", "code", "facts"), CASES, ids=[row[0] for row in CASES])
def test_a_bad_case(make_case, tmp_path, what, suffix, damage, code, facts):
    root, work = make_case(), tmp_path / "work"
    bad = root / "Task 1" / "ONE-001" / f"ONE-001{suffix}.nii.gz"
    damage(bad)
    before = sorted(root.rglob("*"))
    with pytest.raises(CohortError) as caught:
        check_cohort(root, PREPARE, work=work)
    found = load_check(work)
    (error,) = (error for error in found.errors if error.code == code)
    assert (error.case_id, error.path) == ("ONE-001", str(bad))
    assert [fact for fact in facts if str(fact) not in error.message] == []
    assert str(error) in str(caught.value)
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
    with pytest.raises(CohortError, match="ONE-001") as caught:
        check_cohort(root, PREPARE)
    assert str(ct) in str(caught.value)


def test_a_folder_that_may_not_be_entered_is_a_finding(make_case, monkeypatch):
    make_case("ONE-001")
    root = make_case("ONE-002")

    def refuse(self: Path) -> bool:
        if self.name == "ONE-001__CT.nii.gz":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))
        return os.path.isfile(self)

    monkeypatch.setattr(Path, "is_file", refuse)
    result = check_cohort(root, PREPARE)
    assert [case.id for case in result.cases] == ["ONE-002"]
    (error,) = result.errors
    assert error.case_id == "ONE-001"
    assert os.strerror(errno.EACCES) in error.message


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


# A root, how it is made, and the names and values that the message must state.
ROOTS: list[tuple[str, Callable[[Path], Path], list[str]]] = [
    ("nowhere", lambda home: home / "nowhere", ["nowhere"]),
    ("a file", lambda home: folder("image.nii.gz")(home) / "image.nii.gz", ["image.nii.gz", "CSV"]),
    ("an empty folder", folder(), ["root"]),
    ("folders without images", folder("Task 1/A-001/notes.txt"), ["root"]),
    ("two layouts", folder("Task 1/", "imagesTr/"), ["Task 1", "nnU-Net"]),
    ("a folder that is no ID", folder("Task 1/A 1/A 1__CT.nii.gz"), ["'A 1'"]),
    ("nnU-Net without channel", folder("imagesTr/A-001.nii.gz"), ["A-001.nii.gz", "<ID>_<channel>"]),
    ("a channel twice", folder("imagesTr/A_0000.nii.gz", "imagesTr/A_0000.mha"), ["0000 of A"]),
    ("training and test", folder("imagesTr/A_0000.mha", "imagesTs/A_0000.mha"), ["ID A"]),
    ("a description damaged", folder("imagesTr/A_0000.mha", "dataset.json"), ["dataset.json"]),
    ("a table without columns", table("name,scan\nA,a\n"), ["id and ct", "name, scan"]),
    ("an empty table", table(""), ["cases.csv", "id and ct"]),
    ("a table of no case", table("id,ct\n"), ["cases.csv"]),
    ("a table that is no text", binary_table, ["cases.csv"]),
    ("a path as an ID", table("id,ct\n../x,a.nii.gz\n"), ["line 2", "'../x'"]),
    ("an ID twice", table("id,ct\nA-1,a\nB-1,b\nA-1,c\n"), ["A-1"]),
    ("IDs that differ by case", table("id,ct\nA-1,a\na-1,b\n"), ["A-1", "a-1"]),
    ("a slip in a column", table("id,ct,labels\nA,a,b\n"), ["'labels'", "'label'"]),
    ("a table that points to nothing", table("id,ct,pet\nA,a.mha,b.mha\n"), ["A: ", "a.mha]"]),
    ("a table with a lost label", table("id,ct,label\nA,a.mha,c.mha\n"), ["A: ", "c.mha]"]),
    ("a table without PET", table("id,ct\nA,a.mha\n"), ["A: ", "PET"]),
    (
        "a bad table of factors",
        folder("Task 1/A/A__CT.nii.gz", "suv_conversion_tags.csv"),
        ["suv_conversion_tags"],
    ),
]


@pytest.mark.parametrize(("what", "make", "facts"), ROOTS, ids=[row[0] for row in ROOTS])
def test_a_bad_root(tmp_path, what, make, facts):
    root, work = make(tmp_path), tmp_path / "work"
    with pytest.raises(CohortError) as caught:
        check_cohort(root, PREPARE, work=work)
    assert [fact for fact in facts if fact not in str(caught.value)] == []
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


# A file of a run, its new content (None: it is lost), who reads it, and the command that writes it again.
RUNS: list[tuple[str, str, str | None, Callable[[Path], object], str]] = [
    ("check.json cut off", "check.json", '{"cases": [', load_check, "hnseg check"),
    ("check.json of a list", "check.json", "[]", load_check, "hnseg check"),
    ("check.json of others", "check.json", '{"cases": [{"name": 1}]}', load_check, "hnseg check"),
    ("check.json lost", "check.json", None, load_check, "hnseg check"),
    ("run.json cut off", "run.json", '{"data_root"', load_config, "hnseg init"),
    ("config.yaml lost", "config.yaml", None, load_config, "hnseg init"),
    ("splits.json cut off", "splits.json", '{"seed"', load_splits, "hnseg split"),
    ("splits.json of others", "splits.json", '{"seed": 1}', load_splits, "hnseg split"),
]


@pytest.mark.parametrize(("what", "name", "text", "use", "command"), RUNS, ids=[row[0] for row in RUNS])
def test_a_bad_run(started, what, name, text, use, command):
    _, work = started
    if text is None:
        (work / name).unlink()
    else:
        (work / name).write_text(text)
    with pytest.raises(WorkDirError) as caught:
        use(work)
    assert name in str(caught.value)
    assert command in str(caught.value)


def test_a_full_disk_leaves_the_old_files_and_says_so(started, monkeypatch):
    _, work = started
    before = {path: path.read_bytes() for path in work.rglob("*") if path.is_file()}

    def full(self: Path, *args: object, **options: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self))

    monkeypatch.setattr(Path, "write_text", full)
    result = CliRunner().invoke(app, ["check", str(work)])
    assert result.exit_code == 1
    assert os.strerror(errno.ENOSPC) in result.stderr
    assert {path: path.read_bytes() for path in work.rglob("*") if path.is_file()} == before


def test_a_work_directory_that_holds_other_things(make_case, tmp_path):
    root, work = make_case(), tmp_path / "work"
    work.mkdir()
    (work / "thesis.tex").write_text("")
    with pytest.raises(HnsegError, match=str(work)):
        open_run(work, Config.from_preset("demo"), root, resume=False)
    assert [path.name for path in work.iterdir()] == ["thesis.tex"]


def test_data_that_are_away_for_a_while_cost_no_run(started):
    root, work = started
    before = (work / "check.json").read_bytes()
    shutil.move(root, root.with_name("away"))
    result = CliRunner().invoke(app, ["check", str(work)])
    assert (result.exit_code, str(root) in result.stderr) == (1, True)
    assert (work / "check.json").read_bytes() == before
