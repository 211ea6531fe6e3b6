"""DICOM attributes to values: numbers strictly, nuclides by code, and no text of the file in a message."""

from __future__ import annotations

from copy import deepcopy
from datetime import datetime

import pytest
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.sr._cid_dict import cid_concepts
from pydicom.sr._concepts_dict import concepts
from pydicom.tag import Tag

from hnseg.dicom.pet.read_header import read_pet_header
from hnseg.errors import SuvError
from hnseg.suv.conversion import compute_suv_conversion
from hnseg.suv.nuclides import HALF_LIVES_S
from hnseg.suv.overrides import PetOverrides
from tests.hnseg.dicom.pet.pet_headers import AT_SCAN, GE, PHILIPS, convert, make_slices
from tests.hnseg.dicom.phantoms import coded

TOKEN = "ZQTOKEN7"
PET_NUCLIDES = 4020  # context group of PS3.16


def nuclide(*code):
    return read_pet_header(make_slices(administration={"RadionuclideCodeSequence": [coded(*code)]})).nuclide


def test_codes_of_nuclides_are_those_of_the_standard():
    """By code alone, against pydicom's copy of the context group; nuclides without a half-life here stay unknown."""
    found = {}
    for name in cid_concepts[PET_NUCLIDES]["SCT"]:
        for value, (meaning, _) in concepts["SCT"][name].items():
            _, mass, element = meaning.split("^")
            symbols = {"Fluorine": "F", "Carbon": "C", "Nitrogen": "N", "Oxygen": "O", "Gallium": "Ga", "Copper": "Cu"}
            symbols |= {"Rubidium": "Rb", "Zirconium": "Zr", "Iodine": "I"}
            expected = f"{mass}{symbols.get(element)}"
            assert nuclide(value, "SCT", "") == (expected if expected in HALF_LIVES_S else None), meaning
            found[expected] = value
    assert set(HALF_LIVES_S) <= set(found)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (("C-111A1", "99SDM", "18F"), "18F"),  # as GE writes it
        (("F-18", "99LOCAL", "F-18"), "18F"),
        (("X", "99LOCAL", "Fluorine 18"), "18F"),
        (("X", "99LOCAL", "^68^Gallium"), "68Ga"),
        (("X", "99LOCAL", "Technetium 99m"), None),
        (("X", "99LOCAL", TOKEN), None),
    ],
)
def test_nuclides_of_other_codes_go_by_their_meaning(code, expected):
    assert nuclide(*code) == expected


def test_numbers_and_times_of_slices():
    beds = [{"FrameReferenceTime": "61300", "DecayFactor": "1.0063", "ActualFrameDuration": "120000"}]
    private = [(PHILIPS, 0x00, "DS", "0.0005"), (PHILIPS, 0x09, "DS", "1.5"), (GE, 0x0D, "DT", "20200101104900.00")]
    header = read_pet_header(make_slices(beds=beds, private=private))
    (part,) = header.slices
    assert (part.frame_reference_time_s, part.decay_factor, part.frame_duration_s) == (61.3, 1.0063, 120.0)
    assert (part.philips_suv_factor, part.philips_activity_factor) == (0.0005, 1.5)
    assert part.acquisition_time == header.series_time == datetime(2020, 1, 1, 10, 49, 46, 200_000)
    assert header.private_scan_time == datetime(2020, 1, 1, 10, 49)
    assert (header.weight_kg, header.height_m, header.sex, header.nuclide) == (70.0, 1.75, "M", "18F")


@pytest.mark.parametrize("keyword", ["PatientWeight", "ActualFrameDuration", "FrameReferenceTime", "DecayFactor"])
@pytest.mark.parametrize("value", ["nan", "inf", "-Infinity", TOKEN, "1,5"])
def test_what_is_no_finite_number_is_refused_and_not_repeated(keyword, value):
    with pytest.raises(SuvError) as caught:
        read_pet_header(raw_slices(keyword, value))
    assert caught.value.tag == keyword
    assert TOKEN not in str(caught.value)


def raw_slices(keyword, value):
    """A slice with a text that pydicom does not check."""
    (dataset,) = make_slices()
    dataset[keyword] = _raw_element(keyword, value)
    return [dataset]


def _raw_element(keyword, value):
    tag = Tag(tag_for_keyword(keyword))
    data = value.encode()
    return RawDataElement(tag, dictionary_VR(tag), len(data), data, 0, False, True)


def test_a_table_replaces_an_unusable_weight():
    header = read_pet_header(raw_slices("PatientWeight", TOKEN), PetOverrides(weight_kg=80.0))
    assert header.weight_kg == 80.0
    assert header.notes
    assert TOKEN not in " ".join(header.notes)


TEXTS = (
    "Units",
    "DecayCorrection",
    "SUVType",
    "CorrectedImage",
    "PatientSex",
    "SeriesTime",
    "SeriesDate",
    "AcquisitionTime",
    "AcquisitionDate",
    "TimezoneOffsetFromUTC",
    "Manufacturer",
)
NESTED = ("RadiopharmaceuticalStartTime", "RadiopharmaceuticalStartDateTime", "Radiopharmaceutical")


@pytest.mark.parametrize("keyword", [*TEXTS, *NESTED])
@pytest.mark.parametrize("units", ["BQML", "GML", "CNTS"])
def test_no_text_of_the_file_is_repeated(keyword, units):
    """Neither in a refusal nor in a conversion."""
    (dataset,) = make_slices({"Units": units, "SUVType": "BW"})
    target = dataset.RadiopharmaceuticalInformationSequence[0] if keyword in NESTED else dataset
    target[keyword] = _raw_element(keyword, TOKEN)
    try:
        found = repr(compute_suv_conversion(read_pet_header([dataset])))
    except SuvError as error:
        found = str(error)
    assert TOKEN.lower() not in found.lower()


def test_slices_of_two_patients_are_refused():
    with pytest.raises(SuvError) as caught:
        read_pet_header(make_slices(beds=[{}, {"PatientSex": "F"}]))
    assert caught.value.tag == "PatientSex"


@pytest.mark.parametrize(
    ("keyword", "value", "overrides"),
    [
        ("RadionuclideTotalDose", "190000000", PetOverrides(dose_bq=3e8)),
        ("RadionuclideHalfLife", "6580", PetOverrides(half_life_s=6586.0)),
        ("RadiopharmaceuticalStartTime", "070000", PetOverrides(suv_factor=1e-4)),
        ("RadiopharmaceuticalStartTime", "070000", PetOverrides(injection_time="09:00:00")),
    ],
)
def test_slices_that_state_different_administrations_are_refused_unless_a_table_decides(keyword, value, overrides):
    slices = make_slices(beds=({}, {}))
    (item,) = deepcopy(slices[1].RadiopharmaceuticalInformationSequence)
    setattr(item, keyword, value)
    slices[1].RadiopharmaceuticalInformationSequence = [item]
    with pytest.raises(SuvError) as caught:
        read_pet_header(slices)
    assert caught.value.tag == keyword
    assert read_pet_header(slices, overrides)
    del slices[1].RadiopharmaceuticalInformationSequence
    with pytest.raises(SuvError, match="1 of 2"):
        read_pet_header(slices)


def test_an_offset_of_the_administration_alone_needs_its_local_time():
    stated = {"RadiopharmaceuticalStartDateTime": "20200101090000+0530", "RadiopharmaceuticalStartTime": None}
    with pytest.raises(SuvError) as caught:
        read_pet_header(make_slices(administration=stated))
    assert caught.value.tag == "TimezoneOffsetFromUTC"


@pytest.mark.parametrize("stated", [{}, {"RadiopharmaceuticalStartDateTime": "x"}])
def test_a_table_gives_a_time_of_administration_that_is_missing_or_unusable(stated):
    none = {"RadiopharmaceuticalStartDateTime": None, "RadiopharmaceuticalStartTime": None}
    slices = make_slices(administration=none)
    for keyword, value in stated.items():
        slices[0].RadiopharmaceuticalInformationSequence[0][keyword] = _raw_element(keyword, value)
    with pytest.raises(SuvError) as caught:
        convert(slices)
    assert caught.value.tag == "RadiopharmaceuticalStartDateTime"
    assert convert(slices, PetOverrides(injection_time="09:00:00")).factor == pytest.approx(AT_SCAN)


def test_a_zone_that_leads_out_of_the_calendar_is_refused():
    for keyword, target in (("RadiopharmaceuticalStartDateTime", "item"), ("AcquisitionDateTime", "slice")):
        (dataset,) = make_slices({"TimezoneOffsetFromUTC": "-1200", "AcquisitionTime": None})
        item = dataset.RadiopharmaceuticalInformationSequence[0]
        (item if target == "item" else dataset)[keyword] = _raw_element(keyword, "00010101000000+1400")
        with pytest.raises(SuvError) as caught:
            read_pet_header([dataset])
        assert caught.value.tag == keyword


def test_values_that_are_suv_do_not_fail_for_dose_and_times_which_they_do_not_need():
    for units, is_refused in (("GML", False), ("BQML", True)):
        (dataset,) = make_slices({"Units": units, "SUVType": "BW"})
        dataset.RadiopharmaceuticalInformationSequence = [*dataset.RadiopharmaceuticalInformationSequence] * 2
        if is_refused:
            with pytest.raises(SuvError):
                convert([dataset])
        else:
            (note,) = convert([dataset]).notes
            assert "RadiopharmaceuticalInformationSequence" in note
