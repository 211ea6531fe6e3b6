"""Studies that cannot be converted: a message names series and attribute of each, and the others are converted."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset

from hnseg.dicom.convert import DicomReport, convert_dicom
from tests.hnseg.dicom import phantoms, studies
from tests.hnseg.dicom.damages import move_contours, repeat_uid, truncate, truncate_contours, without


def injection(**values: Any) -> dict[str, Any]:
    """Options of a PET whose administration has other values; None removes an attribute."""
    sequence = phantoms.radiopharmaceutical()
    for keyword, value in values.items():
        if value is None:
            delattr(sequence, keyword)
        else:
            setattr(sequence, keyword, value)
    return {"pet": {"tags": {"RadiopharmaceuticalInformationSequence": [sequence]}}}


def header(**tags: Any) -> dict[str, Any]:
    """Options of a PET with other attributes; None removes one."""
    return {"pet": {"tags": tags}}


# Fault: options of the study, what the message names.
FAULTS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "missing-slice": ({"ct": {"missing": (4,)}}, ("CT series", "ImagePositionPatient")),
    "slope-0": ({"pet": {"slopes": 0.0}}, ("PET series", "RescaleSlope")),
    "weight-0": (header(PatientWeight="0"), ("PET series", "PatientWeight")),
    "weight-7000": (header(PatientWeight="7000"), ("PET series", "PatientWeight", "7000")),
    "no-weight": (header(PatientWeight=None), ("PET series", "PatientWeight")),
    "no-dose": (injection(RadionuclideTotalDose=None), ("PET series", "RadionuclideTotalDose")),
    "dose-in-mbq": (injection(RadionuclideTotalDose="350"), ("PET series", "RadionuclideTotalDose", "dose-in-mbq")),
    "no-half-life": (injection(RadionuclideHalfLife=None), ("PET series", "RadionuclideHalfLife")),
    "injection-after-scan": (
        injection(RadiopharmaceuticalStartTime="110000.00", RadiopharmaceuticalStartDateTime="20200101110000.00"),
        ("PET series", "RadiopharmaceuticalStart"),
    ),
    "no-unit": (header(Units=None), ("PET series", "Units")),
    "propcps": (header(Units="PROPCPS"), ("PET series", "Units", "PROPCPS")),
    "not-corrected": (header(CorrectedImage=["DECY", "NORM"]), ("PET series", "CorrectedImage")),
    "other-patient": (header(PatientID="other"), ("2 patients", "PatientID")),
    "other-frame": (header(FrameOfReferenceUID="1.2.3"), ("PET series", "CT series", "FrameOfReferenceUID")),
    "elsewhere": ({"pet": {"center_mm": (0.0, 0.0, 900.0)}}, ("PET series", "CT series", "ImagePositionPatient")),
}


DAMAGES: dict[str, tuple[Callable[[Path, dict[str, list[Dataset]]], None], tuple[str, ...]]] = {
    "no-ct": (without("ct"), ("PET series", "PET without CT", "--pet-only")),
    "no-pet": (without("pet"), ("CT without PET",)),
    "truncated": (truncate, ("PET series", "truncated", "PixelData")),
    "truncated-contours": (truncate_contours, ("RTSTRUCT series", "truncated", "--leave-out-series")),
    "repeated-uid": (repeat_uid, ("CT series", "SOPInstanceUID")),
    "contours-outside": (move_contours, ("RTSTRUCT series", "ContourData", "--leave-out-series")),
}


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> DicomReport:
    """One tree with all of them, and two studies in one folder."""
    root = tmp_path_factory.mktemp("bad")
    for name, (options, _) in FAULTS.items():
        small = {kind: {"shape": (7, 4, 4), **options.get(kind, {})} for kind in ("ct", "pet")}
        studies.make_study(root / f"{name}", name, structures=(), **small)
    for name, (damage, _) in DAMAGES.items():
        damage(root / name, studies.make_study(root / name, name))
    for name in ("one", "two"):
        written = studies.make_study(root / name, name)
        for part in ("ct", "pet", "rt"):
            (root / "mixed").mkdir(exist_ok=True)
            for path in (root / name / part).iterdir():
                path.rename(root / "mixed" / f"{name}-{path.name}")
        assert written
        shutil.rmtree(root / name)
    return convert_dicom(root, tmp_path_factory.mktemp("out") / "out")


def names(report: DicomReport) -> list[str]:
    """Name of the study of each state, from the folder of its first series."""
    folders = {r.number: r.files[0].parent for r in report.index.series}
    found = []
    for plan in report.plans:
        folder = folders[plan.study.series[0].number]
        found.append(folder.name if folder.name == "mixed" else folder.parent.name)
    return found


@pytest.mark.parametrize("fault", [*FAULTS, *DAMAGES])
def test_a_message_names_series_and_attribute(report, fault):
    facts = {**FAULTS, **DAMAGES}[fault][1]
    state = report.states[names(report).index(fault)]
    assert state.problem is not None
    assert [fact for fact in facts if fact not in state.problem] == [], state.problem


def test_two_studies_in_one_folder_are_converted_beside_the_bad_ones(report):
    found = list(zip(names(report), (state.state for state in report.states), strict=True))
    assert [name for name, state in found if state == "done"] == ["mixed", "mixed"]
    assert len(found) == len(FAULTS) + len(DAMAGES) + 2
    assert len({state.case_id for state in report.states}) == len(found)
