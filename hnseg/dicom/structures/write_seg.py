"""A mask to a DICOM Segmentation object on the grid of its source series, by highdicom.

``binary`` is the Segmentation object that every viewer reads: one bit a voxel, frames of each segment. ``labelmap`` is
the Label Map Segmentation of Supplement 243: one byte a voxel, frames of all segments together. Neither is compressed,
and slices without a voxel have no frame, but for a mask that is empty altogether.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

import highdicom
import numpy as np
from highdicom.color import CIELabColor
from highdicom.seg import Segmentation, SegmentDescription
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from hnseg.cohort.labels import Label
from hnseg.dicom.quiet import quiet_pydicom
from hnseg.dicom.structures.segment_codes import SEGMENT_CODES, SegmentCode
from hnseg.dicom.structures.source_headers import (
    CONTENT_DESCRIPTION,
    MANUFACTURER,
    MODEL,
    SERIES_DESCRIPTION,
    SERIES_NUMBER,
    check_mask,
    check_source,
    copy_references,
)
from hnseg.errors import DicomError, OptionError
from hnseg.images.geometry import Grid
from ssimh._version import __version__
from ssimh.files.atomic import atomic_write

SegmentationForm = Literal["binary", "labelmap"]
DEVICE = "none"


def write_segmentation(
    mask: Label,
    grid: Grid,
    headers: Sequence[Dataset],
    target: Path,
    *,
    form: SegmentationForm = "binary",
    name: str = "CT series",
) -> None:
    """Write a mask as a DICOM Segmentation object, which refers to each image of the series.

    The file holds the patient and study of the series: it belongs into the same study. Both segments are described,
    also where one of them, or both, has no voxel.

    Args:
        mask: uint8 (z, y, x): 0 background, 1 GTVp, 2 GTVn.
        grid: Of the mask, which is that of the series.
        headers: Of the series, one for each slice in the order of z.
        target: File to write; a file there is replaced.
        form: ``binary`` or ``labelmap``.
        name: The series, for errors.

    Raises:
        DicomError: The headers are not those of the grid, or lack what a Segmentation object needs.
        OptionError: There is no such form.
        ValueError: The mask has another shape than the grid, or other values.
    """
    if form not in get_args(SegmentationForm):
        raise OptionError(f"form {form!r}; allowed are {', '.join(get_args(SegmentationForm))}")
    check_mask(mask, grid)
    with quiet_pydicom():
        check_source(headers, grid, name)
        try:
            made = _build(mask.astype(np.uint8, copy=False), grid, headers, form)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            # No text of the error: it may hold values of the header.
            reason = f"its headers cannot be taken over into a Segmentation object ({type(error).__name__})"
            raise DicomError(name, reason) from error
        with atomic_write(target) as temporary:
            made.save_as(temporary)


def _build(mask: Label, grid: Grid, headers: Sequence[Dataset], form: SegmentationForm) -> Segmentation:
    sources = [copy_references(headers[0], grid), *headers[1:]]  # patient and study are taken from the first
    instances: dict[str, tuple[str, str]] = {}
    if len({header.SOPInstanceUID for header in headers}) < len(headers):
        sources = [copy_references(header, grid) for header in headers]
        instances = _as_single_frames(sources)
    made = Segmentation(
        source_images=sources,
        pixel_array=mask,
        segmentation_type=form.upper(),
        segment_descriptions=[_describe_segment(code) for code in SEGMENT_CODES],
        series_instance_uid=generate_uid(),
        series_number=SERIES_NUMBER,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MODEL,
        software_versions=__version__,
        device_serial_number=DEVICE,
        content_label="HNSEG",
        content_description=CONTENT_DESCRIPTION,
        series_description=SERIES_DESCRIPTION,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        omit_empty_frames=bool(mask.any()),
    )
    if instances:
        _restore_references(made, instances)
    return made


def _describe_segment(code: SegmentCode) -> SegmentDescription:
    algorithm = highdicom.AlgorithmIdentificationSequence(
        name=MODEL, version=__version__, family=codes.DCM.ArtificialIntelligence
    )
    return SegmentDescription(
        segment_number=code.label,
        segment_label=code.name,
        segmented_property_category=code.category,
        segmented_property_type=code.type,
        algorithm_type="AUTOMATIC",
        algorithm_identification=algorithm,
        anatomic_regions=[code.region],
        display_color=CIELabColor.from_rgb(*bytes.fromhex(code.color.removeprefix("#"))),
    )


def _as_single_frames(sources: Sequence[Dataset]) -> dict[str, tuple[str, str]]:
    """Give each slice of a multi-frame image an instance of its own, as highdicom wants the images of a stack.

    Returns:
        SOP class and instance of the file, by the instance that stands for it.
    """
    stand_ins = {}
    for source in sources:
        own = str(source.SOPClassUID), str(source.SOPInstanceUID)
        source.SOPClassUID, source.SOPInstanceUID = CTImageStorage, generate_uid()
        stand_ins[str(source.SOPInstanceUID)] = own
    return stand_ins


def _restore_references(made: Segmentation, instances: dict[str, tuple[str, str]]) -> None:
    """Let every reference name the image of the file again; each file once in the lists of images."""
    for series in made.ReferencedSeriesSequence:
        series.ReferencedInstanceSequence = _restore(series.ReferencedInstanceSequence, instances)
    made.SourceImageSequence = _restore(made.SourceImageSequence, instances)
    for frame in made.PerFrameFunctionalGroupsSequence:
        for derivation in frame.get("DerivationImageSequence") or ():
            derivation.SourceImageSequence = _restore(derivation.SourceImageSequence, instances)


def _restore(items: Sequence[Dataset], instances: dict[str, tuple[str, str]]) -> list[Dataset]:
    restored: dict[str, Dataset] = {}
    for item in items:  # the lists share items: one may be restored already
        own = str(item.ReferencedSOPClassUID), str(item.ReferencedSOPInstanceUID)
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = instances.get(own[1], own)
        restored.setdefault(item.ReferencedSOPInstanceUID, item)
    return list(restored.values())
