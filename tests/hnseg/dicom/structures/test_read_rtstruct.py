"""What a structure holds, and files that are none."""

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, RTStructureSetStorage, generate_uid

from hnseg.dicom.quiet import quiet_pydicom
from hnseg.dicom.structures.read_rtstruct import read_structures
from hnseg.errors import DicomError
from tests.hnseg.dicom.phantoms import make_ct
from tests.hnseg.dicom.structures.rtstructs import Roi, box, make_rtstruct


def test_structures_in_the_order_of_their_list():
    found = read_structures(make_rtstruct([Roi(" GTVp ", [box(1, 1, 4, 4)]), Roi("empty", [])]))
    assert [(s.number, s.name, len(s.contours)) for s in found] == [(1, "GTVp", 1), (2, "empty", 0)]
    np.testing.assert_array_equal(found[0].contours[0][1], [4, 1, 6])
    assert found[0].frame_of_reference_uid == "1.2.3"


def test_numbers_of_a_file_are_those_of_the_dataset(tmp_path):
    dataset = make_rtstruct([Roi("GTVp", [box(1.25, 1, 4, -4.5)])])
    expected = read_structures(dataset)[0].contours[0]
    path = tmp_path / "structures.dcm"
    write_file(dataset, path)
    np.testing.assert_array_equal(read_structures(path)[0].contours[0], expected)


def write_file(dataset, path):
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = RTStructureSetStorage, generate_uid()
    dataset.save_as(path, enforce_file_format=True)


def test_points_and_lines_are_left_out_and_named():
    kinds = ["POINT", "OPEN_PLANAR", "CLOSED_PLANAR", "CLOSEDPLANAR_XOR", "CLOSED_PLANAR"]
    points = [[(1, 1, 2)], box(1, 1, 4, 4), box(1, 1, 4, 4), box(5, 5, 7, 7), [(1, 1, 2), (2, 2, 2)]]
    structure = read_structures(make_rtstruct([Roi("GTVp", points, kinds)]))[0]
    assert len(structure.contours) == 2
    left_out = " ".join(structure.notes)
    assert all(kind in left_out for kind in ("POINT", "OPEN_PLANAR", "fewer than 3"))


@pytest.mark.parametrize("data", [["1", "2"], ["1", "2", "inf"], ["1", "2", "3", "nan", "5", "6"]])
def test_a_contour_of_no_triples_is_refused(data):
    dataset = make_rtstruct([Roi("GTVp", [box(1, 1, 4, 4)])])
    with quiet_pydicom():
        dataset.ROIContourSequence[0].ContourSequence[0].ContourData = data
    with pytest.raises(DicomError) as caught:
        read_structures(dataset, "RTSTRUCT series 3")
    assert (caught.value.series, caught.value.tag) == ("RTSTRUCT series 3", "ContourData")


def test_structures_with_one_number_are_refused():
    dataset = make_rtstruct([Roi("GTVp", []), Roi("GTVn", [])])
    dataset.StructureSetROISequence[1].ROINumber = 1
    with pytest.raises(DicomError) as caught:
        read_structures(dataset)
    assert caught.value.tag == "ROINumber"


def test_files_that_are_no_rtstruct_are_refused_without_their_names(tmp_path):
    make_ct(tmp_path / "ct", shape=(1, 4, 4))
    [ct] = (tmp_path / "ct").iterdir()
    text = tmp_path / "DOE JOHN.dcm"
    text.write_text("no DICOM")
    cut = tmp_path / "cut.dcm"
    cut.write_bytes(ct.read_bytes()[:200])
    for source in (ct, text, cut, tmp_path / "missing DOE", Dataset(), make_rtstruct([])):
        with pytest.raises(DicomError) as caught:
            read_structures(source)
        assert "DOE" not in str(caught.value)
