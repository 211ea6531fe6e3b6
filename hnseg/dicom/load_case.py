"""The images of a case, from its series: CT in HU, PET in SUV, and the mask of its structures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hnseg.dicom.label_case import CaseLabel, label_case
from hnseg.dicom.options import LoadOptions
from hnseg.dicom.pair_studies import StudyPlan
from hnseg.dicom.pet.read_header import read_pet_header
from hnseg.dicom.quiet import quiet_pydicom
from hnseg.dicom.series.read_volume import read_volume
from hnseg.dicom.series.records import SeriesRecord
from hnseg.dicom.series.volume import SeriesVolume
from hnseg.errors import DicomError, HnsegError, SuvError
from hnseg.suv.conversion import SuvConversion, compute_suv_conversion
from hnseg.suv.overrides import PetOverrides
from hnseg.suv.plausibility import note_largest_suv


@dataclass(frozen=True)
class CaseVolumes:
    """Images of a case.

    Attributes:
        ct: CT in HU; None for a PET alone.
        pet: PET in SUV.
        conversion: From the values of the files to SUV.
        label: Mask on the grid of the CT (of a PET alone: of the PET).
    """

    ct: SeriesVolume | None
    pet: SeriesVolume
    conversion: SuvConversion
    label: CaseLabel


def load_case(
    plan: StudyPlan,
    records: Mapping[int, SeriesRecord],
    options: LoadOptions,
    overrides: PetOverrides | None = None,
) -> CaseVolumes:
    """Read the images of a case.

    Args:
        plan: Which series the case consists of.
        records: The series by their numbers.
        options: Kind of SUV, names of structures.
        overrides: Corrections to what the PET's header states.

    Raises:
        HnsegError: The plan gives no case.
        DicomError: A series cannot be read, the SUV cannot be computed, or structures cannot be drawn; names the
            series and the tag.
    """
    if plan.problem is not None or plan.pet is None:
        raise HnsegError(f"{plan.study.label}: {plan.problem or 'no PET'}")
    pet, conversion = load_pet(records[plan.pet.number], options, overrides)
    ct = read_volume(records[plan.ct.number]) if plan.ct is not None else None
    label = label_case(plan, records, ct or pet, options.patterns)
    return CaseVolumes(ct, pet, conversion, label)


def load_pet(
    record: SeriesRecord, options: LoadOptions, overrides: PetOverrides | None = None
) -> tuple[SeriesVolume, SuvConversion]:
    """A PET in SUV, float32 (z, y, x), and how its values were converted.

    Raises:
        DicomError: The series cannot be read, or its SUV cannot be computed.
    """
    volume = read_volume(record)
    try:
        with quiet_pydicom():
            header = read_pet_header(volume.headers, overrides)
        conversion = compute_suv_conversion(header, options.suv, dose_in_mbq=options.dose_in_mbq)
    except SuvError as error:
        raise DicomError(record.label, error.reason, error.tag) from error
    suv = apply_conversion(volume.values, conversion)
    note = note_largest_suv(float(suv.max()), is_converted=conversion.is_converted)
    if note is not None:
        conversion = replace(conversion, notes=(*conversion.notes, note))
    return SeriesVolume(suv, volume.grid, volume.headers, volume.warnings), conversion


def apply_conversion(values: NDArray[Any], conversion: SuvConversion) -> NDArray[Any]:
    """Values in SUV: float32 (z, y, x), each slice by its factor; values that are SUV are not changed."""
    suv = values.astype(np.float32)
    if conversion.is_converted:
        for plane, factor in zip(suv, conversion.factors, strict=True):
            plane *= np.float32(factor)
    return suv
