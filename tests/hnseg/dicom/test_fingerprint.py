"""What a study is recognized by follows from its images and from nothing that identifies a patient."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import ImplicitVRLittleEndian

from hnseg.dicom.fingerprint import hash_source
from hnseg.dicom.series.walk import find_series
from tests.hnseg.dicom import phantoms

VALUES = np.random.default_rng(1).integers(0, 1000, (12, 6, 5)).astype(np.float32)


def hashes(folder: Path, **options: object) -> tuple[str, str]:
    phantoms.make_ct(folder, **{"shape": VALUES.shape, "values": VALUES, "signed": False, **options})
    (record,) = find_series(folder).series
    return hash_source(record)


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> tuple[str, str]:
    return hashes(tmp_path_factory.mktemp("plain") / "ct")


@pytest.mark.parametrize(
    "options",
    [
        {"tags": {"PatientWeight": "80"}},
        {"patient": "other", "study": "other"},
        {"transfer_syntax": ImplicitVRLittleEndian},
    ],
)
def test_a_header_changes_the_file_and_not_the_images(plain, tmp_path, options):
    images, file = hashes(tmp_path, **options)
    assert images == plain[0]
    assert file != plain[1]


@pytest.mark.parametrize("options", [{"values": VALUES + 1}, {"spacing_mm": (4.0, 4.0, 5.0)}, {"center_mm": (1, 0, 0)}])
def test_other_pixels_and_another_place_are_another_study(plain, tmp_path, options):
    assert hashes(tmp_path, **options)[0] != plain[0]


def test_empty_slices_at_the_ends_are_not_looked_at(tmp_path):
    """Two studies of one scanner, whose outer slices are equal and empty."""
    inner = np.zeros_like(VALUES)
    inner[3:9] = VALUES[3:9]
    other = inner.copy()
    other[3:9] += 1
    assert hashes(tmp_path / "a", values=inner)[0] != hashes(tmp_path / "b", values=other)[0]
