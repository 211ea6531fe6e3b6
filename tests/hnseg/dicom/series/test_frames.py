"""Frames of enhanced images have the attributes of classic slices."""

from __future__ import annotations

import pytest
from pydicom import Dataset

from hnseg.dicom.series.frames import flatten_frames
from tests.hnseg.dicom.phantoms import make_enhanced


def first_frame(tmp_path, edit=None, **tags) -> Dataset:
    """The first frame of an enhanced PET."""
    dataset = make_enhanced(tmp_path / "file", "PT", shape=(2, 2, 2), tags=tags, edit=edit)
    return next(flatten_frames(dataset))


def test_times_of_a_frame_are_those_of_a_slice(tmp_path):
    frame = first_frame(tmp_path)
    assert (frame.AcquisitionDate, frame.AcquisitionTime) == ("20200101", "100000.000000")
    assert frame.ActualFrameDuration == 120000
    assert float(frame.FrameReferenceTime) == 60000  # 10:01:00 in a series of 10:00:00
    assert float(frame.RescaleSlope) == 1
    assert not any(keyword in frame for keyword in ("PixelData", "NumberOfFrames", "PerFrameFunctionalGroupsSequence"))


@pytest.mark.parametrize(
    ("corrected", "moment", "expected"),
    [
        ("YES", "20200101090000.00", "ADMIN"),
        ("YES", "20200101100000.00", "START"),
        ("YES", "20200101120000.00", None),
        ("YES", None, None),
        ("NO", None, "NONE"),
    ],
)
def test_decay_correction_follows_from_its_time(tmp_path, corrected, moment, expected):
    tags = {"DecayCorrection": None, "DecayCorrected": corrected, "DecayCorrectionDateTime": moment}
    assert first_frame(tmp_path, **tags).get("DecayCorrection") == expected


@pytest.mark.parametrize(
    ("code", "units", "suv_type"),
    [("Bq/ml", "BQML", None), ("{SUVbw}g/ml", "GML", "BW"), ("{SUVlbm}g/ml", "GML", "LBM"), ("mm", None, None)],
)
def test_units_are_those_of_the_real_world_values(tmp_path, code, units, suv_type):
    def map_values(dataset, _):
        unit, mapping = Dataset(), Dataset()
        unit.CodeValue, mapping.MeasurementUnitsCodeSequence = code, [unit]
        dataset.RealWorldValueMappingSequence = [mapping]

    frame = first_frame(tmp_path, map_values, Units=None)
    assert (frame.get("Units"), frame.get("SUVType")) == (units, suv_type)


def test_invalid_times_are_left_out(tmp_path):
    def damage(dataset, _):
        content = dataset.PerFrameFunctionalGroupsSequence[0].FrameContentSequence[0]
        content.FrameAcquisitionDateTime = ""
        del content.FrameReferenceDateTime

    frame = first_frame(tmp_path, damage, AcquisitionTime=None)
    assert "AcquisitionTime" not in frame
    assert "FrameReferenceTime" not in frame


def test_attributes_of_converted_images_are_in_groups_of_their_own(tmp_path):
    def convert(dataset, _):
        common, own = Dataset(), Dataset()
        common.ConvolutionKernel, own.InstanceNumber = "B30f", 77
        dataset.SharedFunctionalGroupsSequence[0].UnassignedSharedConvertedAttributesSequence = [common]
        dataset.PerFrameFunctionalGroupsSequence[0].UnassignedPerFrameConvertedAttributesSequence = [own]

    frame = first_frame(tmp_path, convert)
    assert frame.ConvolutionKernel == "B30f"
    assert frame.InstanceNumber == 1
