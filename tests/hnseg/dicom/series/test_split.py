"""Several volumes under one series UID."""

from __future__ import annotations

import pytest

from hnseg.dicom.series.read_volume import read_volume
from hnseg.dicom.series.walk import find_series
from tests.facts import names
from tests.hnseg.dicom.phantoms import CORONAL, make_ct, make_enhanced, make_pet, uid

SHAPE = (4, 6, 8)


def make_again(make, folder, number, tags=None, **options):
    """Another volume of the same series: instances of their own."""

    def edit(dataset, z):
        dataset.SOPInstanceUID = uid("again", number, z)

    make(folder / str(number), tags=tags, edit=edit, **{"shape": SHAPE, **options})


@pytest.mark.parametrize(
    ("options", "sizes"),
    [
        ({"orientation": CORONAL}, {(8, 6, 4)}),
        ({"shape": (4, 6, 6)}, {(8, 6, 4), (6, 6, 4)}),
        ({"spacing_mm": (2.0, 2.5, 3.0)}, {(8, 6, 4)}),
    ],
)
def test_orientation_size_and_spacing_separate(tmp_path, options, sizes):
    make_again(make_ct, tmp_path, 1)
    make_again(make_ct, tmp_path, 2, **options)
    series = find_series(tmp_path).series
    assert [(record.part, record.parts) for record in series] == [(1, 2), (2, 2)]
    assert {record.grid.size for record in series} == sizes
    assert len({record.uid for record in series}) == 1


@pytest.mark.parametrize(
    ("keyword", "values"),
    [
        ("AcquisitionNumber", (1, 2, 3)),
        ("TemporalPositionIdentifier", (1, 2, 3)),
        ("TriggerTime", ("0", "400", "800")),
        ("FrameReferenceTime", ("1000", "61000", "121000")),
        ("AcquisitionTime", ("100000", "100100", "100200")),
        ("ImageType", (["ORIGINAL", "PRIMARY", name] for name in ("A", "B", "C"))),
    ],
)
def test_time_points_gates_and_reconstructions_are_told_apart(tmp_path, keyword, values):
    for number, value in enumerate(values):
        make_again(make_pet, tmp_path, number, {keyword: value})
    series = find_series(tmp_path).series
    assert [record.part for record in series] == [1, 2, 3]
    assert all(names(record.notes[0], keyword) for record in series)
    assert all(read_volume(record).values.shape == SHAPE for record in series)


def test_two_attributes_may_be_needed(tmp_path):
    for number in range(4):
        tags = {"AcquisitionNumber": number // 2, "TriggerTime": str(number % 2)}
        make_again(make_pet, tmp_path, number, tags)
    series = find_series(tmp_path).series
    assert len(series) == 4
    assert names(series[0].notes[0], "AcquisitionNumber, TriggerTime")


def test_bed_positions_of_one_volume_stay_together(tmp_path):
    def later(dataset, z):
        dataset.AcquisitionTime, dataset.AcquisitionNumber = f"10{z // 3:02}00", z // 3

    make_pet(tmp_path, edit=later)
    (series,) = find_series(tmp_path).series
    assert series.parts == 1
    assert read_volume(series).values.shape == (12, 16, 16)


def test_other_units_and_frames_of_reference_separate(tmp_path):
    make_again(make_pet, tmp_path, 1)
    make_again(make_pet, tmp_path, 2, {"Units": "GML"})
    make_again(make_pet, tmp_path, 3, {"Units": "DOE JOHN"})
    make_again(make_pet, tmp_path, 4, {"FrameOfReferenceUID": uid("another")})
    assert [record.units for record in find_series(tmp_path).series] == ["BQML", "GML", "", "BQML"]


def test_stacks_of_an_enhanced_image_are_volumes(tmp_path):
    def two_stacks(dataset, _):
        for number, frame in enumerate(dataset.PerFrameFunctionalGroupsSequence):
            frame.FrameContentSequence[0].StackID = str(number % 2)
            frame.PlanePositionSequence[0].ImagePositionPatient = [0, 0, number // 2]

    make_enhanced(tmp_path / "file", edit=two_stacks)
    one, two = find_series(tmp_path).series
    assert [part.frame for part in one.slices] == [0, 2, 4, 6, 8, 10]
    assert read_volume(two).headers[0].InstanceNumber == 2
