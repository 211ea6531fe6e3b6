"""A mask to contours and back: the same voxels."""

import numpy as np
import pytest
from pydicom import dcmread

from hnseg.dicom.structures.label_structures import label_structures
from hnseg.dicom.structures.read_rtstruct import read_structures
from hnseg.dicom.structures.write_rtstruct import trace_contours, write_rtstruct
from hnseg.errors import DicomError
from tests.hnseg.dicom.phantoms import AXIAL, FEET_FIRST, OBLIQUE
from tests.hnseg.dicom.structures.sources import SHAPE, make_mask, make_source


@pytest.mark.parametrize("orientation", [AXIAL, FEET_FIRST, OBLIQUE])
def test_the_same_voxels_come_back(tmp_path, orientation):
    headers, grid = make_source(tmp_path / "ct", orientation=orientation, spacing_mm=(0.9, 0.9, 2.5))
    noise = np.random.default_rng(3).integers(0, 3, SHAPE).astype(np.uint8)  # holes, diagonals, all four borders
    path = tmp_path / "rtstruct.dcm"
    write_rtstruct(noise, grid, headers, path)
    made = label_structures(read_structures(path), grid)
    np.testing.assert_array_equal(made.label, noise)
    assert [match.name for match in made.matches] == ["GTVp", "GTVn"]
    assert made.notes == ()


def test_a_block_with_a_hole_is_two_contours_half_way_between_centers():
    mask = np.zeros((3, 7, 8), dtype=bool)
    mask[1, 1:6, 2:7] = True
    mask[1, 3, 4] = False
    contours = dict(enumerate(sorted((points for _, points in trace_contours(mask)), key=len)))
    assert len(contours) == 2
    assert {tuple(point) for point in contours[0]} == {(4, 2.5), (4, 3.5), (3.5, 3), (4.5, 3)}
    assert contours[1].min(axis=0).tolist() == [1.5, 0.5]
    assert contours[1].max(axis=0).tolist() == [6.5, 5.5]


def test_references_and_what_is_empty(tmp_path):
    headers, grid = make_source(tmp_path / "ct")
    path = tmp_path / "rtstruct.dcm"
    write_rtstruct(make_mask(2), grid, headers, path)
    dataset = dcmread(path)
    [gtvp, gtvn] = read_structures(path)
    assert gtvp.contours == ()
    assert gtvn.series_uids == (headers[0].SeriesInstanceUID,)
    assert gtvn.frame_of_reference_uid == headers[0].FrameOfReferenceUID
    assert gtvn.instance_uids == {headers[k].SOPInstanceUID for k in (1, 2, 4)}
    assert (dataset.PatientID, dataset.StudyInstanceUID) == (headers[0].PatientID, headers[0].StudyInstanceUID)
    assert [item.RTROIInterpretedType for item in dataset.RTROIObservationsSequence] == ["GTV", "GTV"]
    assert dataset.ApprovalStatus == "UNAPPROVED"
    assert "not for clinical use" in dataset.StructureSetDescription


def test_a_series_elsewhere_is_refused(tmp_path):
    headers, grid = make_source(tmp_path / "ct")
    with pytest.raises(DicomError):
        write_rtstruct(make_mask(1), grid, headers[::-1], tmp_path / "rtstruct.dcm")
