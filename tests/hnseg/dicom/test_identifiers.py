"""Of 10,000 identifiers in the files, none is in an output, a file name, a message, a log, or a warning."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import pydicom
import pytest
from pydicom import Dataset
from typer.testing import CliRunner

from hnseg.cli.commands import app
from tests.hnseg.dicom import phantoms, studies
from tests.hnseg.dicom.identifiers import STRINGS, Planter, find_identifiers, read_outputs

ATTRIBUTES = 2 + len(STRINGS) // 38  # of each of the files of two studies, so that every attribute has its turn


def plant_study(root: Path, planter: Planter, name: str, count: int, **options: object) -> None:
    """A study with identifiers in attributes, in names of folders and files, and behind the names of structures."""
    home = root / planter.token() / planter.token()
    patient = {"PatientID": planter.token(), "PatientName": f"{planter.token()}^{planter.token()}"}
    roi = planter.token()

    def edit(dataset: Dataset, _: int) -> None:
        for keyword, value in patient.items():
            setattr(dataset, keyword, value)
        planter.plant(dataset, count)

    names = () if options else (f"GTVp {roi}", planter.token())
    studies.make_study(home, name, structures=names, edit=edit, **options)
    for path in list(home.rglob("*")):
        if path.is_file():
            path.rename(path.with_name(f"{planter.token()}.dcm"))


@pytest.fixture(scope="module")
def planted(tmp_path_factory) -> tuple[Path, Planter]:
    """Studies that convert, and studies and files that do not, with identifiers where the fault is."""
    root, planter = tmp_path_factory.mktemp("planted"), Planter()
    planter.dates |= {"20200101", "19600101"}  # those of the generated studies
    for name in ("a", "b"):
        plant_study(root, planter, name, ATTRIBUTES)
    faults = {
        "units": {"pet": {"tags": {"Units": planter.token()}}},
        "decay": {"pet": {"tags": {"DecayCorrection": planter.token()}}},
        "corrected": {"pet": {"tags": {"CorrectedImage": [planter.token()]}}},
        "type": {"ct": {"tags": {"ImageType": [planter.token(), "LOCALIZER"]}}},
        "class": {"ct": {"tags": {"SOPClassUID": planter.value("UI")}}},
        "weight": {"pet": {"tags": {"PatientWeight": None}}},
        "frame": {"pet": {"tags": {"FrameOfReferenceUID": planter.value("UI")}}},
        "missing": {"ct": {"missing": (4,)}},
        "slope": {"pet": {"slopes": 0.0}},
    }
    for name, options in faults.items():
        short = {kind: {"shape": (6, 4, 4), **options.get(kind, {})} for kind in ("ct", "pet")}
        plant_study(root, planter, name, 1, **short)
    damaged = sorted((root / "x").glob("*")) or sorted(path for path in root.rglob("*.dcm"))[:2]
    for number, path in enumerate(damaged):
        content = path.read_bytes()
        (root / f"{planter.token()}.dcm").write_bytes(content[: len(content) // (2 + number)])
    (root / planter.token()).write_text(planter.token())
    edit_contours(root, planter)
    return root, planter


def edit_contours(root: Path, planter: Planter) -> None:
    """Two studies more: one whose contours have a type of their own, one whose contours lie elsewhere."""
    for name in ("kind", "outside"):
        home = root / planter.token()
        written = studies.make_study(home, name, structures=())

        def edit(dataset: Dataset, _: int, name: str = name) -> None:
            for contour in dataset.ROIContourSequence[0].ContourSequence:
                if name == "kind":
                    contour.ContourGeometricType = planter.token()
                else:
                    contour.ContourData = [str(float(value) + 1000) for value in contour.ContourData]

        studies.write_contours(home / planter.token(), written["ct"], [f"GTVp {planter.token()}"], edit=edit)


@pytest.mark.parametrize(
    ("options", "again"), [((), ()), (("--layout", "nnunet", "--structures", "GTVp*=2"), ("--structures", "none=1"))]
)
def test_no_identifier_is_written_or_shown(planted, tmp_path, caplog, options, again):
    root, planter = planted
    assert planter.count >= 10_000
    runner = CliRunner()
    out = tmp_path / "out"
    with caplog.at_level(logging.DEBUG), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        first = runner.invoke(app, ["dicom", str(root), str(out), *options])
        result = runner.invoke(app, ["dicom", str(root), str(out), *(again and options[:2]), *again])
    assert result.exit_code == 1, result.output
    assert "not foreseen" not in first.output + result.output
    assert ("made again, changed: --structures" if again else "(kept)") in result.output
    assert sum(path.name.endswith(".nii.gz") for path in out.rglob("*")) >= 6
    shown = [first.output, result.output, caplog.text, *(str(warning.message) for warning in caught)]
    everything = [*(("shown", text.encode()) for text in shown), *read_outputs(out)]
    leaks = {name: found for name, content in everything if (found := find_identifiers(content, planter.dates))}
    assert leaks == {}


def test_the_search_finds_what_is_there(planted, tmp_path):
    root, planter = planted
    path = next(path for path in root.rglob("*.dcm") if path.stat().st_size > 5_000)
    found = find_identifiers(path.read_bytes(), planter.dates)
    assert len(set(found)) > ATTRIBUTES
    assert phantoms.uid("study", "a").startswith(pydicom.uid.PYDICOM_ROOT_UID)
    assert find_identifiers(b"born 1960-01-01", planter.dates) == ["19600101"]
