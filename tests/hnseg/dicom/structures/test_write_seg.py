"""A mask to a DICOM Segmentation object and back, by this package and by highdicom."""

import copy

import highdicom
import numpy as np
import pytest
from pydicom import dcmread

from hnseg.dicom.quiet import quiet_pydicom
from hnseg.dicom.series.read_volume import read_volume
from hnseg.dicom.series.walk import find_series
from hnseg.dicom.structures.read_seg import read_segments
from hnseg.dicom.structures.segment_codes import SEGMENT_CODES
from hnseg.dicom.structures.write_seg import write_segmentation
from hnseg.errors import DicomError, OptionError
from hnseg.images.geometry import Grid
from tests.hnseg.dicom.phantoms import AXIAL, CORONAL, FEET_FIRST, OBLIQUE, make_enhanced
from tests.hnseg.dicom.structures.sources import SHAPE, make_mask, make_source

FORMS = ("binary", "labelmap")


def assert_reads_back(path, mask, grid, headers):
    """Our reader and highdicom's find the same voxels."""
    segments = read_segments(path, grid)
    assert [segment.number for segment in segments] == [1, 2]
    for segment in segments:
        np.testing.assert_array_equal(segment.mask, mask == segment.number)
    with quiet_pydicom():
        found = highdicom.seg.segread(path).get_pixels_by_source_instance(
            [header.SOPInstanceUID for header in headers],
            combine_segments=True,
            assert_missing_frames_are_empty=True,
        )
    np.testing.assert_array_equal(found, mask)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("orientation", [AXIAL, CORONAL, FEET_FIRST, OBLIQUE])
def test_the_same_voxels_come_back(tmp_path, orientation, form):
    headers, grid = make_source(tmp_path / "ct", orientation=orientation, spacing_mm=(0.9, 0.9, 2.5))
    mask, path = make_mask(1, 2), tmp_path / "seg.dcm"
    write_segmentation(mask, grid, headers, path, form=form)
    assert_reads_back(path, mask, grid, headers)


@pytest.mark.parametrize("form", FORMS)
def test_slices_from_head_to_feet(tmp_path, form):
    headers, grid = make_source(tmp_path / "ct")
    turned = Grid(grid.size, grid.spacing_mm, tuple(headers[-1].ImagePositionPatient), (1, 0, 0, 0, 1, 0, 0, 0, -1))
    mask, path = make_mask(1, 2), tmp_path / "seg.dcm"
    write_segmentation(mask, turned, headers[::-1], path, form=form)
    assert_reads_back(path, mask, turned, headers[::-1])
    for segment in read_segments(path, grid):  # on the grid of growing z, slices in the other order
        np.testing.assert_array_equal(segment.mask, mask[::-1] == segment.number)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("labels", [(), (1,), (2,)])
def test_empty_labels_are_described_and_empty(tmp_path, form, labels):
    headers, grid = make_source(tmp_path / "ct")
    mask, path = make_mask(*labels), tmp_path / "seg.dcm"
    write_segmentation(mask, grid, headers, path, form=form)
    assert_reads_back(path, mask, grid, headers)
    assert [segment.name for segment in read_segments(path)] == ["GTVp", "GTVn"]


def test_without_a_grid_the_mask_is_on_the_slices_that_have_frames(tmp_path):
    headers, grid = make_source(tmp_path / "ct", orientation=OBLIQUE)
    mask, path = make_mask(1, 2), tmp_path / "seg.dcm"
    write_segmentation(mask, grid, headers, path)
    for segment in read_segments(path):
        np.testing.assert_array_equal(segment.mask, mask[1:5] == segment.number)
        assert segment.grid.matches(
            Grid((10, 9, 4), grid.spacing_mm, tuple(grid.to_physical((0, 0, 1))), grid.direction)
        )


@pytest.mark.parametrize(("form", "sop_class"), [("binary", "66.4"), ("labelmap", "66.7")])
def test_references_codes_and_identity(tmp_path, form, sop_class):
    headers, grid = make_source(tmp_path / "ct")
    before = copy.deepcopy(headers)
    path = tmp_path / "seg.dcm"
    write_segmentation(make_mask(1, 2), grid, headers, path, form=form)
    assert headers == before
    dataset, source = dcmread(path), headers[0]
    assert dataset.SOPClassUID == f"1.2.840.10008.5.1.4.1.1.{sop_class}"
    for keyword in ("PatientID", "PatientName", "StudyInstanceUID", "FrameOfReferenceUID", "PatientBirthDate"):
        assert dataset[keyword] == source[keyword]
    [series] = dataset.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == source.SeriesInstanceUID
    assert [
        (image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID) for image in series.ReferencedInstanceSequence
    ] == [(header.SOPClassUID, header.SOPInstanceUID) for header in headers]
    by_position = {tuple(header.ImagePositionPatient): header.SOPInstanceUID for header in headers}
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        [image] = frame.DerivationImageSequence[0].SourceImageSequence
        assert image.ReferencedSOPInstanceUID == by_position[tuple(frame.PlanePositionSequence[0].ImagePositionPatient)]
    assert dataset.SegmentSequence[0].SegmentAlgorithmType == "AUTOMATIC"
    assert "not for clinical use" in dataset.ContentDescription


def test_segments_have_the_codes_of_snomed_ct(tmp_path):
    headers, grid = make_source(tmp_path / "ct")
    write_segmentation(make_mask(), grid, headers, tmp_path / "seg.dcm", form="labelmap")
    found = [
        (segment.name, *((code.value, code.scheme_designator) for code in (segment.type, segment.region)))
        for segment in read_segments(tmp_path / "seg.dcm")
    ]
    assert found == [
        ("GTVp", ("372087000", "SCT"), ("774007", "SCT")),
        ("GTVn", ("14799000", "SCT"), ("312501005", "SCT")),
    ]
    assert {(code.category.value, code.category.meaning) for code in SEGMENT_CODES} == {
        ("49755003", "Morphologically Abnormal Structure")
    }


@pytest.mark.parametrize("form", FORMS)
def test_an_enhanced_image_is_referred_to_once(tmp_path, form):
    made = make_enhanced(tmp_path / "ct" / "image.dcm", "CT", shape=SHAPE, order=(3, 1, 0, 2, 5, 4))
    [series] = find_series(tmp_path / "ct").series
    volume = read_volume(series)
    mask, path = make_mask(1, 2), tmp_path / "seg.dcm"
    write_segmentation(mask, volume.grid, volume.headers, path, form=form)
    for segment in read_segments(path, volume.grid):
        np.testing.assert_array_equal(segment.mask, mask == segment.number)
    dataset = dcmread(path)
    images = [*dataset.ReferencedSeriesSequence[0].ReferencedInstanceSequence, *dataset.SourceImageSequence]
    assert [(image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID) for image in images] == 2 * [
        (made.SOPClassUID, made.SOPInstanceUID)
    ]


def test_a_mask_and_its_headers_must_agree(tmp_path):
    headers, grid = make_source(tmp_path / "ct")
    path = tmp_path / "seg.dcm"
    moved = Grid(grid.size, grid.spacing_mm, (grid.origin_mm[0] + 0.3, *grid.origin_mm[1:]))
    tilted, _ = make_source(tmp_path / "tilted", tilt_deg=10.0)
    unframed, _ = make_source(tmp_path / "unframed", tags={"FrameOfReferenceUID": None})
    for series, on, tag in (
        (headers[::-1], grid, "ImagePositionPatient"),
        (headers, moved, "ImagePositionPatient"),
        (tilted, grid, "ImagePositionPatient"),
        (unframed, grid, "FrameOfReferenceUID"),
        (headers[:-1], grid, None),
    ):
        with pytest.raises(DicomError) as caught:
            write_segmentation(make_mask(1), on, series, path, name="CT series 4")
        assert (caught.value.series, caught.value.tag) == ("CT series 4", tag)
    with pytest.raises(OptionError, match="fractional"):
        write_segmentation(make_mask(1), grid, headers, path, form="fractional")
    for mask in (make_mask(1) * 3, make_mask(1)[1:]):
        with pytest.raises(ValueError, match=r"3|\(5, 9, 10\)"):
            write_segmentation(mask, grid, headers, path)
    assert not path.exists()
