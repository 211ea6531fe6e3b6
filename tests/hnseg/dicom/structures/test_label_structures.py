"""Structures to one label image; the shared real structures."""

import numpy as np
import pytest

from hnseg.dicom.series.read_volume import read_volume
from hnseg.dicom.series.walk import find_series
from hnseg.dicom.structures.label_structures import NamedMask, label_masks, label_structures
from hnseg.dicom.structures.rasterize import rasterize
from hnseg.dicom.structures.read_rtstruct import read_structures
from hnseg.dicom.structures.read_seg import read_segments
from hnseg.dicom.structures.structure_names import NamePattern
from hnseg.dicom.structures.write_rtstruct import write_rtstruct
from hnseg.dicom.structures.write_seg import write_segmentation
from hnseg.errors import DicomError
from hnseg.images.image_io import read_image
from tests.hnseg.dicom.structures.rtstructs import STRAIGHT, Roi, box, make_rtstruct


def test_union_of_a_label_and_gtvp_before_gtvn():
    rois = [
        Roi("GTVn_L", [box(0.5, 0.5, 4.5, 4.5)]),
        Roi("GTVp", [box(2.5, 0.5, 6.5, 4.5)]),
        Roi("GTVn_R", [box(5.5, 0.5, 8.5, 4.5)]),
        Roi("Brainstem of DOE", [box(90, 90, 99, 99)]),  # outside the image, and not drawn
        Roi("GTVp2", []),
    ]
    made = label_structures(read_structures(make_rtstruct(rois)), STRAIGHT)
    assert list(made.label[2, 2, :10]) == [0, 2, 2, 1, 1, 1, 1, 2, 2, 0]
    assert [match.label for match in made.matches] == [2, 1, 2, None, 1]
    notes = " ".join(made.notes)
    assert f"{(2 + 1) * 4 * 0.003:.3g} ml" in notes  # x = 3, 4 and x = 6, four rows of voxels of 3 mm³
    assert "structure 5" in notes
    assert "DOE" not in notes


def test_a_name_that_two_labels_match_leaves_a_note():
    masks = [NamedMask(7, "GTV node", np.ones(STRAIGHT.shape, dtype=bool))]
    made = label_masks(masks, STRAIGHT, [NamePattern("*node", 2), NamePattern("GTV*", 1)])
    assert (made.label == 2).all()
    assert "structure 7" in made.notes[0]
    assert "GTV*" in made.notes[0]


def test_no_matching_name_is_an_error_without_the_names():
    with pytest.raises(DicomError) as caught:
        label_structures(read_structures(make_rtstruct([Roi("DOE", [])])), STRAIGHT)
    assert "DOE" not in str(caught.value)
    assert "GTVp*" in str(caught.value)


def read_series(folder):
    """The one series of a folder."""
    [series] = find_series(folder).series
    return read_volume(series)


@pytest.mark.realdata
def test_mass_of_a_whole_body_pet(realdata_dir):
    folder = realdata_dir / "dicom" / "STS_001_wholebody_FDG_PET_BQML"
    pet = read_series(folder / "image")
    values, grid = pet.values, pet.grid
    made = label_structures(read_structures(folder / "mask" / "1-1.dcm"), grid)
    assert [match.label for match in made.matches] == [1, None]  # GTV_Mass, GTV_Edema
    assert made.label.sum() * grid.voxel_ml == pytest.approx(365, abs=3)
    assert values[made.label == 1].max() * 2.42903e-4 == pytest.approx(7.91, abs=0.005)


@pytest.mark.realdata
def test_mass_of_a_cropped_pair_is_the_one_prepared_by_others(realdata_dir):
    folder = realdata_dir / "dicom" / "STS_002_CT_PET_RTSTRUCT"
    pet = read_series(folder / "PET" / "image")
    [structure] = read_structures(folder / "PET" / "mask" / "RS.dcm")
    assert pet.values[rasterize(structure, pet.grid)].max() == pytest.approx(21.68, abs=0.005)

    grid = read_series(folder / "CT" / "image").grid
    mask = label_structures(read_structures(folder / "CT" / "mask" / "RS.dcm"), grid).label == 1
    truth, truth_grid = read_image(realdata_dir / "sts_petct" / "Task 1" / "STAN-002" / "STAN-002.nii.gz", "STAN-002")
    inside = np.argwhere(truth == 1)[:, ::-1]
    found = np.rint(grid.to_index(truth_grid.to_physical(inside))).astype(int)
    np.testing.assert_allclose(grid.to_index(truth_grid.to_physical(inside)), found, atol=0.05)  # the same voxels
    shared = mask[tuple(found.T[::-1])].sum()
    assert 2 * shared / (mask.sum() + len(inside)) >= 0.999


@pytest.mark.realdata
def test_the_mask_of_a_real_ct_comes_back_from_every_form(realdata_dir, tmp_path):
    folder = realdata_dir / "dicom" / "STS_002_CT_PET_RTSTRUCT" / "CT"
    ct = read_series(folder / "image")
    label = label_structures(read_structures(folder / "mask" / "RS.dcm"), ct.grid).label
    assert label.any()
    for form in ("binary", "labelmap"):
        write_segmentation(label, ct.grid, ct.headers, tmp_path / "seg.dcm", form=form)
        masks = [NamedMask(s.number, s.name, s.mask) for s in read_segments(tmp_path / "seg.dcm", ct.grid)]
        np.testing.assert_array_equal(label_masks(masks, ct.grid).label, label)
    write_rtstruct(label, ct.grid, ct.headers, tmp_path / "rtstruct.dcm")
    made = label_structures(read_structures(tmp_path / "rtstruct.dcm"), ct.grid)
    np.testing.assert_array_equal(made.label, label)
