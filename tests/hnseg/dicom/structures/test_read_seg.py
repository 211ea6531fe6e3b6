"""Segmentation objects of others: other orders and directions, overlap, fractions, and damage."""

import highdicom
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid

from hnseg.dicom.quiet import quiet_pydicom
from hnseg.dicom.structures.read_seg import read_segments
from hnseg.dicom.structures.write_seg import write_segmentation
from hnseg.errors import DicomError
from hnseg.images.geometry import Grid
from tests.hnseg.dicom.structures.sources import SHAPE, make_mask, make_source


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Headers and grid of a CT, shared: nothing changes them."""
    return make_source(tmp_path_factory.mktemp("source") / "ct")


@pytest.fixture
def dataset(source, tmp_path):
    """A label map of both labels, as a dataset to change."""
    headers, grid = source
    write_segmentation(make_mask(1, 2), grid, headers, tmp_path / "seg.dcm", form="labelmap")
    return dcmread(tmp_path / "seg.dcm")


def make_foreign(source, pixels, kind, names):
    """A Segmentation object as other software makes one."""
    segments = [
        highdicom.seg.SegmentDescription(
            number, name, codes.SCT.MorphologicallyAbnormalStructure, codes.SCT.Neoplasm, "MANUAL"
        )
        for number, name in enumerate(names, 1)
    ]
    with quiet_pydicom():
        return highdicom.seg.Segmentation(
            source[0], pixels, kind, segments, generate_uid(), 5, generate_uid(), 1, "A", "B", "1", "C"
        )


def test_voxels_are_placed_whatever_the_direction_of_the_axes(source, dataset):
    _, grid = source
    # x and z of the file are z and x here, y turns round: index (i, j, k) here is (k, 8 − j, i) there.
    origin = tuple(grid.to_physical((0, SHAPE[1] - 1, 0)))
    sx, sy, sz = grid.spacing_mm
    exchanged = Grid((SHAPE[0], SHAPE[1], SHAPE[2]), (sz, sy, sx), origin, (0, 0, 1, 0, -1, 0, 1, 0, 0))
    for segment in read_segments(dataset, exchanged):
        expected = (make_mask(1, 2) == segment.number).transpose(2, 1, 0)[:, ::-1]
        np.testing.assert_array_equal(segment.mask, expected)


def test_a_smaller_grid_takes_what_has_voxels_in_it_only(source, dataset):
    _, grid = source
    few = Grid((10, 9, 4), grid.spacing_mm, tuple(grid.to_physical((0, 0, 1))))
    for segment in read_segments(dataset, few):
        np.testing.assert_array_equal(segment.mask, make_mask(1, 2)[1:5] == segment.number)
    with pytest.raises(DicomError) as caught:
        read_segments(dataset, Grid((10, 9, 3), grid.spacing_mm, grid.origin_mm))
    assert caught.value.tag == "ImagePositionPatient"


@pytest.mark.parametrize(
    "grid",
    [
        Grid((10, 9, 6), (2.0, 2.0, 3.0), (-8.0, -8.0, -7.5)),  # half a voxel away
        Grid((10, 9, 6), (2.5, 2.0, 3.0), (-9.0, -8.0, -7.5)),
        Grid((10, 9, 6), (2.0, 2.0, 3.0), (-9.0, -8.0, -7.5), (0.8, -0.6, 0, 0.6, 0.8, 0, 0, 0, 1)),
    ],
)
def test_another_grid_is_refused(dataset, grid):
    with pytest.raises(DicomError) as caught:
        read_segments(dataset, grid, "SEG series 2")
    assert (caught.value.series, caught.value.tag) == ("SEG series 2", "ImagePositionPatient")


def test_segments_may_overlap(source):
    pixels = np.zeros((*SHAPE, 2), dtype=np.uint8)
    pixels[2:4, 2:6, 2:6, 0] = 1
    pixels[3:5, 4:8, 4:8, 1] = 1
    made = make_foreign(source, pixels, "BINARY", ["Tumor", "Node"])
    for index, segment in enumerate(read_segments(made, source[1])):
        np.testing.assert_array_equal(segment.mask, pixels[..., index] == 1)
        assert segment.name == ("Tumor", "Node")[index]


def test_fractions_need_a_threshold(source):
    fractions = np.zeros(SHAPE, dtype=np.float64)
    fractions[2, 2] = np.linspace(0, 0.9, 10)
    made = make_foreign(source, fractions, "FRACTIONAL", ["Tumor"])
    with pytest.raises(DicomError) as caught:
        read_segments(made, source[1])
    assert caught.value.tag == "SegmentationType"
    [segment] = read_segments(made, source[1], threshold=0.5)
    np.testing.assert_array_equal(segment.mask, fractions >= 0.5)
    with pytest.raises(DicomError):
        read_segments(made, source[1], threshold=0.0)


def damage(keyword):
    """Changes of a valid file, by the attribute that the error must name."""

    def move(dataset):
        dataset.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence[0].ImagePositionPatient[0] += 1.0

    def double(dataset):
        first, second = dataset.PerFrameFunctionalGroupsSequence[:2]
        second.PlanePositionSequence = first.PlanePositionSequence

    changes = {
        "SegmentSequence": lambda d: d.SegmentSequence.clear(),
        "SegmentNumber": lambda d: setattr(d.SegmentSequence[-1], "SegmentNumber", 1),
        "SegmentationType": lambda d: setattr(d, "SegmentationType", "DOE"),
        "PerFrameFunctionalGroupsSequence": lambda d: d.PerFrameFunctionalGroupsSequence.pop(),
        "PixelData": lambda d: setattr(d, "PixelData", d.PixelData[:-100]),
        "ImagePositionPatient": move,
        "PlanePositionSequence": double,
        "ImageOrientationPatient": lambda d: d.SharedFunctionalGroupsSequence[0].pop("PlaneOrientationSequence"),
        "PixelSpacing": lambda d: d.SharedFunctionalGroupsSequence[0].pop("PixelMeasuresSequence"),
        "Modality": lambda d: setattr(d, "Modality", "DOE"),
    }
    return changes[keyword]


@pytest.mark.parametrize(
    "keyword",
    [
        "SegmentSequence",
        "SegmentNumber",
        "SegmentationType",
        "PerFrameFunctionalGroupsSequence",
        "PixelData",
        "ImagePositionPatient",
        "PlanePositionSequence",
        "ImageOrientationPatient",
        "PixelSpacing",
        "Modality",
    ],
)
def test_damaged_files_are_refused_without_their_values(dataset, keyword):
    with quiet_pydicom():
        damage(keyword)(dataset)
    with pytest.raises(DicomError) as caught:
        read_segments(dataset)
    assert caught.value.tag == keyword
    assert "DOE" not in str(caught.value)


def test_voxels_of_a_segment_that_is_not_described_are_refused(dataset):
    del dataset.SegmentSequence[-1]
    with pytest.raises(DicomError) as caught:
        read_segments(dataset)
    assert str(int((make_mask(1, 2) == 2).sum())) in caught.value.reason
