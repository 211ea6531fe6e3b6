"""What an image can be used as, from its class and its type."""

from __future__ import annotations

from collections.abc import Iterable

from pydicom.uid import (
    UID,
    CTImageStorage,
    EnhancedCTImageStorage,
    EnhancedPETImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
    LegacyConvertedEnhancedPETImageStorage,
    MediaStorageDirectoryStorage,
    PositronEmissionTomographyImageStorage,
    RTStructureSetStorage,
    SegmentationStorage,
)

from hnseg.dicom.series.records import Modality

LABEL_MAP_STORAGE = UID("1.2.840.10008.5.1.4.1.1.66.7")  # Supplement 243
DIRECTORY = MediaStorageDirectoryStorage
ENHANCED = {
    EnhancedCTImageStorage,
    EnhancedPETImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
    LegacyConvertedEnhancedPETImageStorage,
}
MODALITIES: dict[str, Modality] = {
    CTImageStorage: "CT",
    EnhancedCTImageStorage: "CT",
    LegacyConvertedEnhancedCTImageStorage: "CT",
    PositronEmissionTomographyImageStorage: "PT",
    EnhancedPETImageStorage: "PT",
    LegacyConvertedEnhancedPETImageStorage: "PT",
    RTStructureSetStorage: "RTSTRUCT",
    SegmentationStorage: "SEG",
    LABEL_MAP_STORAGE: "SEG",
}
# Terms of ImageType that may be shown; a term of an image that is no volume of the patient, with what it is.
NO_VOLUMES = {
    "LOCALIZER": "a localizer",
    "SCOUT": "a localizer",
    "TOPOGRAM": "a localizer",
    "SCANOGRAM": "a localizer",
    "SURVIEW": "a localizer",
    "SCREEN SAVE": "a picture of a screen",
    "SCREENSAVE": "a picture of a screen",
    "DOSE_INFO": "a dose report",
    "MIP": "a projection",
    "MAX_IP": "a projection",
    "PROJECTION IMAGE": "a projection",
    "VRT": "a rendered picture",
    "FUSION": "a rendered picture",
    "FUSED": "a rendered picture",
}
UNITS = {"BQML", "CNTS", "CPS", "GML", "CM2ML", "PROPCNTS", "PROPCPS", "PCNT", "NONE"}  # of a PET; may be shown, too
NO_VOLUME_TAGS = ("SOPClassUID", "ImageType", "SamplesPerPixel", "NumberOfFrames")  # what reason_against goes by
TERMS = {"ORIGINAL", "DERIVED", "PRIMARY", "SECONDARY", "AXIAL", "REFORMATTED", "MPR", "VOLUME", "MIXED", *NO_VOLUMES}


def modality_of(sop_class: str) -> Modality:
    """What instances of a class are."""
    return MODALITIES.get(sop_class, "OTHER")


def known_terms(image_type: Iterable[object]) -> tuple[str, ...]:
    """The terms of ImageType in the list of this module; others could hold anything."""
    return tuple(term for value in image_type if (term := str(value).strip().upper()) in TERMS)


def reason_against(sop_class: str, image_type: tuple[str, ...], *, samples: int, frames: int) -> tuple[str, str] | None:
    """Why an image cannot be a volume, and the attribute that says so; None if it can."""
    if modality_of(sop_class) == "OTHER":
        name = UID(sop_class).name if UID(sop_class).keyword else "an unknown class"
        return f"neither CT, PET, RTSTRUCT nor SEG, but {name}", "SOPClassUID"
    for term in image_type:
        if term in NO_VOLUMES:
            return f"{NO_VOLUMES[term]}, and no volume", "ImageType"
    if modality_of(sop_class) in ("CT", "PT") and samples != 1:
        return f"an image in color ({samples} samples per pixel); allowed is 1", "SamplesPerPixel"
    if modality_of(sop_class) in ("CT", "PT") and frames != 1:
        return f"{frames} frames without a position for each", "NumberOfFrames"
    return None
