"""The two PET series of the shared data."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest

from hnseg.dicom.quiet import quiet_pydicom
from tests.facts import names_all
from tests.hnseg.dicom.pet.pet_headers import convert

pytestmark = pytest.mark.realdata


def read_headers(folder: Path):
    """Headers of the PET slices in a folder."""
    with quiet_pydicom():
        headers = [pydicom.dcmread(path, stop_before_pixels=True) for path in sorted(folder.rglob("*.dcm"))]
    return [header for header in headers if header.Modality == "PT"]


def test_whole_body_pet_in_six_beds(realdata_dir):
    """71 kg, 388.777472 MBq at 10:35:00, series at 11:20:11: 71000 / (388777472 × 2^(−2711 / 6588)) = 2.42903e-4."""
    found = convert(read_headers(realdata_dir / "dicom" / "STS_001_wholebody_FDG_PET_BQML"))
    assert len(found.factors) == 267
    assert found.factor == pytest.approx(2.42903e-4, rel=1e-6)
    assert (found.inputs["decay_s"], found.inputs["RadionuclideHalfLife"]) == (2711, 6588)
    assert found.is_converted
    assert [note for note in found.notes if "Decay" in note] == []  # the decay factors of the beds fit the series time


def test_pet_that_is_suv_already(realdata_dir):
    """GML, by body weight. Its administration is dated a day after the scan, which nothing here needs: that is noted.

    The note is that of its decay factor of 1.01268: 119.8 s at 6588 s, half of the frame of 240 s and not the hour
    since the administration, to which its values are corrected by DecayCorrection.
    """
    found = convert(read_headers(realdata_dir / "dicom" / "STS_002_CT_PET_RTSTRUCT"))
    assert (found.factor, found.is_converted, len(found.factors)) == (1.0, False, 48)
    (note,) = found.notes
    assert names_all(note, "ADMIN", "DecayFactor", "82381 s after")  # 14:57:59 to 13:51:00
