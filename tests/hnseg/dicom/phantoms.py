"""Small valid DICOM series, written into a folder: CT, PET and enhanced multi-frame images of one generated patient.

Series of the same ``study`` share study, frame of reference and, unless stated otherwise, the center of their volumes.
UIDs follow from the names given, so that a test can write the same series twice. Names of files do not follow
positions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    UID,
    CTImageStorage,
    EnhancedCTImageStorage,
    EnhancedPETImageStorage,
    ExplicitVRLittleEndian,
    PositronEmissionTomographyImageStorage,
    generate_uid,
)

from tests.hnseg.dicom.phantom_files import write_dataset

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
FEET_FIRST = (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
OBLIQUE = (0.96, 0.28, 0.0, -0.168, 0.576, 0.8)  # a right angle apart, each of length 1
Edit = Callable[[Dataset, int], None]


@dataclass(frozen=True)
class Phantom:
    """How a series is written; every field is an option of :func:`make_ct`, :func:`make_pet` and :func:`make_enhanced`.

    Attributes:
        shape: (z, y, x).
        spacing_mm: (x, y, z); z between the positions of slices, along the axis of the table where there is a tilt.
        orientation: Direction of a row, then of a column (ImageOrientationPatient).
        center_mm: Center of the volume, LPS.
        tilt_deg: Gantry tilt about the rows: images lean, positions go on along the axis of the table.
        values: Values after rescaling, of ``shape``; None: a pattern without symmetry.
        slopes: Rescale slope, or one for each slice.
        intercept: Rescale intercept.
        signed: Pixel representation.
        bits_stored: Bits used of 16.
        missing: Slices that are not written.
        repeated: Slices that are written twice, the second time with an instance UID of their own.
        transfer_syntax: Of the files; compressed ones need a plugin.
        patient: Patient ID, and the name.
        study: What study and frame of reference are derived from.
        series: What series and instances are derived from.
        edit: Called with each dataset and its slice before it is written (0 for an enhanced image).
    """

    shape: tuple[int, int, int] = (12, 16, 16)
    spacing_mm: tuple[float, float, float] = (2.0, 2.0, 3.0)
    orientation: Sequence[float] = AXIAL
    center_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    tilt_deg: float = 0.0
    values: NDArray[Any] | None = None
    slopes: float | Sequence[float] = 1.0
    intercept: float = 0.0
    signed: bool = True
    bits_stored: int = 16
    missing: tuple[int, ...] = ()
    repeated: tuple[int, ...] = ()
    transfer_syntax: UID = ExplicitVRLittleEndian
    patient: str = "PHANTOM"
    study: str = "study"
    series: str = "series"
    edit: Edit | None = None

    @property
    def axes(self) -> NDArray[np.float64]:
        """Rows: direction along x, y of the images, and from slice to slice."""
        row, column = np.reshape(np.asarray(self.orientation, np.float64), (2, 3))
        normal = np.cross(row, column)
        angle = np.radians(self.tilt_deg)
        return np.stack([row, np.cos(angle) * column + np.sin(angle) * normal, normal])

    @property
    def origin_mm(self) -> NDArray[np.float64]:
        """Center of the first voxel of the first slice."""
        extent = (np.array(self.shape[::-1]) - 1) * self.spacing_mm
        return np.asarray(self.center_mm, np.float64) - extent / 2 @ self.axes

    def position_mm(self, z: int) -> NDArray[np.float64]:
        """Center of the first voxel of a slice (ImagePositionPatient)."""
        return self.origin_mm + z * self.spacing_mm[2] * self.axes[2]

    def slope(self, z: int) -> float:
        """Rescale slope of a slice."""
        return float(self.slopes) if isinstance(self.slopes, int | float) else float(self.slopes[z])

    def stored(self, z: int) -> NDArray[np.int64]:
        """Pixel values of a slice as they are stored."""
        values = pattern(self.shape) if self.values is None else self.values
        return np.rint((values[z] - self.intercept) / (self.slope(z) or 1.0)).astype(np.int64)


def pattern(shape: tuple[int, int, int]) -> NDArray[np.float64]:
    """Whole numbers from 0 to 1000 that differ along every axis and in every direction."""
    z, y, x = np.indices(shape)
    return (37 * z + 11 * y + 5 * x + z * y + (x > y)) % 1001.0


def uid(*parts: object) -> UID:
    """A valid UID that follows from some names."""
    return generate_uid(entropy_srcs=[repr(part) for part in parts])


def make_ct(folder: Path, *, tags: dict[str, Any] | None = None, **options: Any) -> list[Dataset]:
    """Write a CT, one file for each slice; return the datasets in the order of z (see :class:`Phantom`).

    Args:
        folder: Where the files go; made where it is missing.
        tags: Values by keyword, set at the end; None removes an attribute.
        **options: Fields of :class:`Phantom`.
    """
    phantom = Phantom(series="ct", intercept=-1024.0)
    phantom = replace(phantom, **options)
    if phantom.values is None:
        phantom = replace(phantom, values=pattern(phantom.shape) - 500.0)
    own = {"ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"], "KVP": "120", "AcquisitionNumber": 1, "RescaleType": "HU"}
    return _write_slices(phantom, folder, "CT", CTImageStorage, lambda z: own, tags or {})


def make_pet(folder: Path, *, tags: dict[str, Any] | None = None, **options: Any) -> list[Dataset]:
    """Write a PET in Bq/ml with another slope in every slice; see :func:`make_ct`.

    70 kg, 1.75 m, 350 MBq of F-18 at 09:00:00; series and acquisition at 10:00:00; corrected to the start of the scan.
    """
    phantom = replace(Phantom(series="pet", spacing_mm=(4.0, 4.0, 3.0)), **options)
    if phantom.values is None:
        phantom = replace(phantom, values=10.0 * pattern(phantom.shape))
    if "slopes" not in options:
        phantom = replace(phantom, slopes=[0.5 + 0.25 * (z % 3) for z in range(phantom.shape[0])])
    return _write_slices(
        phantom, folder, "PT", PositronEmissionTomographyImageStorage, lambda z: pet_tags(phantom, z), tags or {}
    )


def pet_tags(phantom: Phantom, z: int) -> dict[str, Any]:
    """Attributes of a PET slice."""
    return {
        "ImageType": ["ORIGINAL", "PRIMARY"],
        "SeriesType": ["WHOLE BODY", "IMAGE"],
        "Units": "BQML",
        "CountsSource": "EMISSION",
        "DecayCorrection": "START",
        "CorrectedImage": ["DECY", "ATTN", "SCAT", "DTIM", "RAN", "NORM"],
        "NumberOfSlices": phantom.shape[0],
        "ImageIndex": z + 1,
        "FrameReferenceTime": "0.0",
        "ActualFrameDuration": "120000",
        "DecayFactor": "1.0",
        "RadiopharmaceuticalInformationSequence": [radiopharmaceutical()],
    }


def radiopharmaceutical() -> Dataset:
    """350 MBq of FDG, injected at 09:00:00."""
    item = Dataset()
    item.Radiopharmaceutical = "FDG"
    item.RadiopharmaceuticalStartTime = "090000.00"
    item.RadiopharmaceuticalStartDateTime = "20200101090000.00"
    item.RadionuclideTotalDose = "350000000"
    item.RadionuclideHalfLife = "6586.2"
    item.RadionuclidePositronFraction = "0.97"
    item.RadionuclideCodeSequence = [coded("C-111A1", "SRT", "^18^Fluorine")]
    item.RadiopharmaceuticalCodeSequence = [coded("C-B1031", "SRT", "Fluorodeoxyglucose F^18^")]
    return item


def coded(value: str, scheme: str, meaning: str) -> Dataset:
    """An item of a code sequence."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def _write_slices(
    phantom: Phantom,
    folder: Path,
    modality: str,
    sop_class: UID,
    own_tags: Callable[[int], dict[str, Any]],
    tags: dict[str, Any],
) -> list[Dataset]:
    """Write one file for each slice that is not missing."""
    copies = [(z, 0) for z in range(phantom.shape[0]) if z not in phantom.missing]
    copies += [(z, 1) for z in phantom.repeated]
    written = []
    for z, copy in sorted(copies):
        dataset = new_dataset(phantom, modality, sop_class, (z, copy))
        for keyword, value in own_tags(z).items():
            setattr(dataset, keyword, value)
        dataset.InstanceNumber = z + 1 + copy * phantom.shape[0]
        dataset.ImageOrientationPatient = decimals(phantom.axes[:2].ravel())
        dataset.ImagePositionPatient = decimals(phantom.position_mm(z))
        dataset.SliceThickness = decimals([phantom.spacing_mm[2]])[0]
        dataset.PixelSpacing = decimals([phantom.spacing_mm[1], phantom.spacing_mm[0]])
        dataset.RescaleSlope, dataset.RescaleIntercept = decimals([phantom.slope(z), phantom.intercept])
        if phantom.tilt_deg:
            dataset.GantryDetectorTilt = decimals([phantom.tilt_deg])[0]
        set_pixels(dataset, phantom, phantom.stored(z))
        finish(dataset, phantom, tags, z)
        name = hashlib.sha256(dataset.SOPInstanceUID.encode()).hexdigest()[:12]
        write_dataset(dataset, folder / name, phantom.transfer_syntax)
        written.append(dataset)
    return written


def decimals(numbers: Iterable[float]) -> list[str]:
    """Decimal strings of at most 16 characters."""
    return [f"{number:.10g}"[:16] for number in numbers]


def new_dataset(phantom: Phantom, modality: str, sop_class: UID, instance: tuple[int, int]) -> Dataset:
    """Patient, study, series and instance."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.SOPClassUID = sop_class
    dataset.SOPInstanceUID = uid(phantom.study, phantom.series, *instance)
    dataset.StudyInstanceUID = uid("study", phantom.study)
    dataset.SeriesInstanceUID = uid("series", phantom.study, phantom.series)
    dataset.FrameOfReferenceUID = uid("frame", phantom.study)
    dataset.PatientID = phantom.patient
    dataset.PatientName = f"{phantom.patient}^Generated"
    dataset.PatientBirthDate, dataset.PatientSex = "19600101", "O"
    dataset.PatientWeight, dataset.PatientSize, dataset.PatientPosition = "70", "1.75", "HFS"
    for moment in ("Study", "Series", "Acquisition", "Content"):
        setattr(dataset, f"{moment}Date", "20200101")
        setattr(dataset, f"{moment}Time", "100000.00")
    for empty in ("AccessionNumber", "ReferringPhysicianName", "StudyID", "PositionReferenceIndicator"):
        setattr(dataset, empty, "")
    dataset.Modality, dataset.Manufacturer, dataset.SeriesNumber = modality, "Generated", 1
    return dataset


def set_pixels(dataset: Dataset, phantom: Phantom, stored: NDArray[np.int64]) -> None:
    """Pixel data of a slice (y, x) or of frames (z, y, x), and what describes them."""
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = stored.shape[-2:]
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, phantom.bits_stored, phantom.bits_stored - 1
    dataset.PixelRepresentation = int(phantom.signed)
    bits = stored & (2**phantom.bits_stored - 1)  # two's complement in the bits that are stored
    dataset.PixelData = bits.astype("<u2").tobytes()
    dataset["PixelData"].VR = "OW"


def finish(dataset: Dataset, phantom: Phantom, tags: dict[str, Any], z: int) -> None:
    """Set and remove what the caller asks for."""
    for keyword, value in tags.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    if phantom.edit is not None:
        phantom.edit(dataset, z)


def make_enhanced(
    path: Path,
    modality: str = "CT",
    *,
    order: Sequence[int] | None = None,
    tags: dict[str, Any] | None = None,
    **options: Any,
) -> Dataset:
    """Write an enhanced multi-frame CT or PET (``"PT"``) as one file.

    Orientation and spacing are shared by all frames; position and rescaling are each frame's own.

    Args:
        path: The file.
        modality: ``"CT"`` or ``"PT"``.
        order: Slices in the order of the frames; None: by position.
        tags: As in :func:`make_ct`, at the top level.
        **options: Fields of :class:`Phantom`.
    """
    phantom = replace(Phantom(series=f"enhanced {modality}"), **options)
    sop_class = EnhancedCTImageStorage if modality == "CT" else EnhancedPETImageStorage
    frames = [z for z in (range(phantom.shape[0]) if order is None else order) if z not in phantom.missing]
    dataset = new_dataset(phantom, modality, sop_class, (0, 0))
    dataset.InstanceNumber, dataset.NumberOfFrames = 1, len(frames)
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    dataset.AcquisitionDateTime = "20200101100000.00"
    if modality == "PT":
        for keyword in ("Units", "DecayCorrection", "RadiopharmaceuticalInformationSequence"):
            setattr(dataset, keyword, pet_tags(phantom, 0)[keyword])
        dataset.DecayCorrected = "YES"
        dataset.DecayCorrectionDateTime = "20200101100000.00"
    shared = Dataset()
    shared.PlaneOrientationSequence = [_item(ImageOrientationPatient=decimals(phantom.axes[:2].ravel()))]
    x, y, z = decimals(phantom.spacing_mm)
    shared.PixelMeasuresSequence = [_item(PixelSpacing=[y, x], SliceThickness=z)]
    dataset.SharedFunctionalGroupsSequence = [shared]
    dataset.PerFrameFunctionalGroupsSequence = [
        _frame(phantom, z, number, "HU" if modality == "CT" else "US") for number, z in enumerate(frames, 1)
    ]
    set_pixels(dataset, phantom, np.stack([phantom.stored(z) for z in frames]))
    finish(dataset, phantom, tags or {}, 0)
    write_dataset(dataset, path, phantom.transfer_syntax)
    return dataset


def _frame(phantom: Phantom, z: int, number: int, rescale_type: str) -> Dataset:
    """Functional groups of one frame."""
    frame = Dataset()
    frame.PlanePositionSequence = [_item(ImagePositionPatient=decimals(phantom.position_mm(z)))]
    slope, intercept = decimals([phantom.slope(z), phantom.intercept])
    rescale = _item(RescaleSlope=slope, RescaleIntercept=intercept, RescaleType=rescale_type)
    frame.PixelValueTransformationSequence = [rescale]
    content = _item(FrameReferenceDateTime="20200101100100.00", FrameAcquisitionDateTime="20200101100000.00")
    content.FrameAcquisitionDuration = 120000.0
    content.StackID, content.InStackPositionNumber, content.DimensionIndexValues = "1", z + 1, [1, number]
    frame.FrameContentSequence = [content]
    return frame


def _item(**values: Any) -> Dataset:
    """A dataset with some attributes."""
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item
