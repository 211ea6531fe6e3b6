"""DICOM headers of PET slices without pixels, as dictionaries of keywords, for tests of their SUV.

The base is 70 kg, and 350 MBq of 18F at 09:00:00; series and first bed position at 10:49:46.2, one half-life later:
2e-4 SUV per Bq/ml at the administration, 4e-4 at the scan.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydicom import Dataset

from hnseg.dicom.pet.read_header import read_pet_header
from hnseg.dicom.quiet import quiet_pydicom
from hnseg.suv.conversion import SuvConversion, compute_suv_conversion
from hnseg.suv.overrides import PetOverrides
from tests.hnseg.dicom.phantoms import coded

HALF_LIFE_S = 6586.2
AT_INJECTION = 2e-4
AT_SCAN = 4e-4
Tags = Mapping[str, Any]

SERIES: Tags = {
    "Units": "BQML",
    "DecayCorrection": "START",
    "CorrectedImage": ["DECY", "ATTN", "SCAT", "DTIM", "RAN", "NORM"],
    "PatientWeight": "70",
    "PatientSize": "1.75",
    "PatientSex": "M",
    "SeriesDate": "20200101",
    "SeriesTime": "104946.200000",
}
BED: Tags = {
    "AcquisitionDate": "20200101",
    "AcquisitionTime": "104946.200000",
    "ActualFrameDuration": "120000",
}
ADMINISTRATION: Tags = {
    "RadiopharmaceuticalStartTime": "090000.00",
    "RadiopharmaceuticalStartDateTime": "20200101090000.00",
    "RadionuclideTotalDose": "350000000",
    "RadionuclideHalfLife": "6586.2",
    "RadionuclideCodeSequence": [coded("C-111A1", "SRT", "^18^Fluorine")],
}
PHILIPS = (0x7053, "Philips PET Private Group")
GE = (0x0009, "GEMS_PETD_01")


def make_slices(
    series: Tags | None = None,
    administration: Tags | None = None,
    beds: Sequence[Tags] = ({},),
    private: Sequence[tuple[tuple[int, str], int, str, Any]] = (),
) -> list[Dataset]:
    """One dataset for each bed.

    Args:
        series: Attributes of the series beside the base; None as a value removes one.
        administration: The same for the item of RadiopharmaceuticalInformationSequence.
        beds: The same for each slice.
        private: ``(PHILIPS or GE, element, VR, value)``; a list as the value has one for each slice.
    """
    with quiet_pydicom():
        return _make_slices(series or {}, administration or {}, beds, private)


def _make_slices(
    series: Tags,
    administration: Tags,
    beds: Sequence[Tags],
    private: Sequence[tuple[tuple[int, str], int, str, Any]],
) -> list[Dataset]:
    """As :func:`make_slices`."""
    item = fill(Dataset(), {**ADMINISTRATION, **administration})
    slices = []
    for index, bed in enumerate(beds):
        dataset = Dataset()
        dataset.RadiopharmaceuticalInformationSequence = [item]
        fill(dataset, {**SERIES, **BED, **series, **bed})
        for (group, creator), element, vr, value in private:
            own = value[index] if isinstance(value, list) else value
            dataset.private_block(group, creator, create=True).add_new(element, vr, own)
        slices.append(dataset)
    return slices


def fill(dataset: Dataset, tags: Tags) -> Dataset:
    """Set attributes by keyword; None removes one."""
    for keyword, value in tags.items():
        if value is not None:
            setattr(dataset, keyword, value)
        elif keyword in dataset:
            delattr(dataset, keyword)
    return dataset


def convert(slices: Sequence[Dataset], overrides: PetOverrides | None = None, **options: Any) -> SuvConversion:
    """Conversion of a series, from its datasets."""
    return compute_suv_conversion(read_pet_header(slices, overrides), **options)
