"""Identifiers planted into DICOM files: a unique one in every attribute that holds a string, and a search for them.

A token is ``QX00001ZV``; where a string has a form, it is a unique date, date and time, time, UID, or number.
"""

from __future__ import annotations

import datetime
import gzip
import re
from collections.abc import Iterator
from pathlib import Path

from pydicom import DataElement, Dataset
from pydicom.datadict import DicomDictionary
from pydicom.uid import PYDICOM_ROOT_UID

TEXT = {"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"}
FORMED = {"DA", "DT", "TM", "UI"}
# What the conversion reads, and what relates files to each other: a token there gives another study, or an error.
NEEDED = {
    *("SpecificCharacterSet", "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"),
    *("FrameOfReferenceUID", "ImageType", "Units", "DecayCorrection", "CorrectedImage", "SUVType", "PatientSex"),
    *("SeriesDate", "SeriesTime", "AcquisitionDate", "AcquisitionTime", "AcquisitionDateTime", "PatientID"),
    *("PatientName", "PatientBirthDate", "IssuerOfPatientID", "PhotometricInterpretation", "Modality"),
    *("TimezoneOffsetFromUTC", "RescaleType", "StackID", "TriggerTime", "ConvolutionKernel", "SeriesType"),
    *("DecayCorrectionDateTime", "RadiopharmaceuticalStartTime", "RadiopharmaceuticalStartDateTime"),
    *("ROIName", "ContourGeometricType", "TransferSyntaxUID", "CodeValue", "CodingSchemeDesignator"),
    *("ReferencedSOPClassUID", "ReferencedSOPInstanceUID", "ReferencedFrameOfReferenceUID", "PixelDataProviderURL"),
}
STRINGS = sorted(
    (tag, entry[0], entry[4])
    for tag, entry in DicomDictionary.items()
    if entry[0] in TEXT | FORMED and entry[4] not in NEEDED and 0x0008 <= tag >> 16 < 0x7FE0
)
FIRST_DAY = datetime.date(1921, 1, 1)


class Planter:
    """Plants identifiers that are never the same twice.

    Attributes:
        count: How many were planted.
        dates: Those that are dates.
    """

    def __init__(self) -> None:
        self.count = 0
        self.dates: set[str] = set()
        self._next = 0  # attribute of the dictionary

    def token(self) -> str:
        """A new token."""
        self.count += 1
        return f"QX{self.count:05d}ZV"

    def value(self, vr: str) -> str:
        """A new identifier of a value representation."""
        token = self.token()
        if vr in TEXT:
            return token
        date = f"{FIRST_DAY + datetime.timedelta(days=self.count):%Y%m%d}"
        if vr in ("DA", "DT"):
            self.dates.add(date)
        time = f"1311{self.count % 60:02d}.{self.count:06d}"
        return {"DA": date, "TM": time, "DT": f"{date}{time}", "UI": f"{PYDICOM_ROOT_UID}{self.count}"}[vr]

    def plant(self, dataset: Dataset, count: int) -> None:
        """Plant into ``count`` attributes of a dataset, into private ones, and into all that it and its items have."""
        for _ in range(count):
            tag, vr, _ = STRINGS[self._next % len(STRINGS)]
            self._next += 1
            dataset[tag] = DataElement(tag, vr, self.value(vr))
        self._replace(dataset)
        inner = Dataset()
        self._fill(inner)
        outer = Dataset()
        self._fill(outer)
        outer.IssuerOfPatientIDQualifiersSequence = [inner]
        dataset.OtherPatientIDsSequence = [outer]
        for group in (0x0009, 0x0019, 0x7053):
            block = dataset.private_block(group, self.token(), create=True)
            for element, vr in enumerate(("LO", "PN", "DA", "UI", "UT", "SH")):
                block.add_new(0x60 + element, vr, self.value(vr))

    def _replace(self, dataset: Dataset) -> None:
        for element in list(dataset):
            if element.VR == "SQ":
                for part in element.value:
                    self._replace(part)
            elif element.VR in TEXT | FORMED and element.keyword not in NEEDED and not element.tag.is_private:
                element.value = self.value(element.VR)

    def _fill(self, dataset: Dataset) -> None:
        for keyword in ("PatientID", "PatientName", "PatientBirthDate", "StudyInstanceUID", "PatientComments"):
            setattr(dataset, keyword, "")
            dataset[keyword].value = self.value(dataset[keyword].VR)


def find_identifiers(content: bytes, dates: set[str]) -> list[str]:
    """Planted identifiers in some bytes: tokens, times, UIDs by the root of generated ones, dates in two forms."""
    text = content.decode("latin-1")
    found = re.findall(r"(?i)QX\d{5}ZV", text) + re.findall(re.escape(PYDICOM_ROOT_UID) + r"\d*", text)
    found += re.findall(r"1311\d\d\.?\d{6}", text)
    plain = re.findall(r"(?=(\d{8}))", text) + ["".join(date) for date in re.findall(r"(\d{4})-(\d\d)-(\d\d)", text)]
    return found + [date for date in plain if date in dates]


def read_outputs(root: Path) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of all files below a folder; compressed ones also decompressed."""
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        yield name, name.encode()
        if path.is_file():
            content = path.read_bytes()
            yield name, content
            if name.endswith(".gz"):
                yield name, gzip.decompress(content)
