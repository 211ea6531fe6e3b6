"""Folder trees of any shape become series; what is none is left out and said, and the walk goes on."""

from __future__ import annotations

import os
import pickle
import shutil

import pydicom
import pytest
from pydicom.uid import MRImageStorage, SecondaryCaptureImageStorage

from hnseg.dicom.series.walk import find_series, is_same_content
from hnseg.errors import CohortError
from tests.facts import names, names_all
from tests.hnseg.dicom.phantoms import CORONAL, make_ct, make_enhanced, make_pet, uid


def labels(index) -> list[str]:
    return [series.label for series in index.series]


def test_series_of_a_tree_are_found_and_named_without_identifiers(tmp_path):
    make_ct(tmp_path / "a" / "b" / "DOE^JOHN")
    make_pet(tmp_path / "a", shape=(10, 8, 9))
    make_enhanced(tmp_path / "c.jpg", shape=(3, 4, 5))
    steps = []
    index = find_series(tmp_path, lambda done, total, what: steps.append((done, total)))
    assert labels(index) == ["CT series 1 (5 × 4 × 3)", "PET series 2 (9 × 8 × 10)", "CT series 3 (16 × 16 × 12)"]
    assert [series.modality for series in index.series] == ["CT", "PT", "CT"]
    assert steps == [(number, 23) for number in range(1, 24)]
    assert index.n_files == 23
    assert index.unreadable == ()
    assert pickle.loads(pickle.dumps(index)) == index


def test_one_file_is_a_tree(tmp_path):
    make_enhanced(tmp_path / "file")
    (series,) = find_series(tmp_path / "file").series
    assert series.files == (tmp_path / "file",)
    assert len(series.slices) == 12


def test_nothing_there_is_an_error(tmp_path):
    with pytest.raises(CohortError):
        find_series(tmp_path / "missing")


def test_studies_and_patients_are_kept_apart(tmp_path):
    make_ct(tmp_path, patient="A", study="1")
    make_ct(tmp_path, patient="A", study="2")
    make_ct(tmp_path, patient="B", study="3")
    by_study = {series.study_uid: series for series in find_series(tmp_path).series}
    one, two, three = (by_study[uid("study", name)] for name in "123")
    assert one.patient_key == two.patient_key != three.patient_key
    assert "A" not in one.patient_key


def test_patient_keys_mean_nothing_outside_of_a_walk(tmp_path):
    make_ct(tmp_path, shape=(2, 2, 2))
    assert find_series(tmp_path).series[0].patient_key != find_series(tmp_path).series[0].patient_key


def test_two_patients_under_one_series_uid_are_kept_apart_and_it_is_said(tmp_path):
    make_ct(tmp_path / "1", shape=(4, 2, 2), patient="A")
    make_ct(
        tmp_path / "2",
        shape=(4, 2, 2),
        patient="B",
        edit=lambda dataset, z: setattr(dataset, "SOPInstanceUID", uid("other", z)),
    )
    one, two = find_series(tmp_path).series
    assert one.uid == two.uid
    assert one.patient_key != two.patient_key
    assert (len(one.slices), len(two.slices)) == (4, 4)
    assert all(names(series.notes[0], "SeriesInstanceUID") for series in (one, two))


def test_the_same_file_twice_is_used_once(tmp_path):
    make_ct(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    index = find_series(tmp_path)
    assert labels(index) == ["CT series 1 (16 × 16 × 12)"]
    assert [file.number for file in index.unreadable] == list(range(13, 25))
    assert not any(file.is_damaged for file in index.unreadable)


def test_the_same_instance_in_another_transfer_syntax_is_used_once(tmp_path):
    make_ct(tmp_path / "a", shape=(2, 4, 4))
    make_ct(tmp_path / "b", shape=(2, 4, 4), transfer_syntax=pydicom.uid.ImplicitVRLittleEndian)
    assert labels(find_series(tmp_path)) == ["CT series 1 (4 × 4 × 2)"]


def test_a_file_that_cannot_be_compared_counts_as_different(tmp_path):
    (tmp_path / "there").touch()
    assert not is_same_content(tmp_path / "there", tmp_path / "missing")


def test_other_content_under_one_instance_uid_is_refused(tmp_path):
    make_ct(tmp_path / "a", shape=(3, 4, 4))
    make_ct(tmp_path / "b", shape=(3, 4, 4), intercept=-1000.0)
    make_pet(tmp_path / "c", shape=(3, 4, 4))
    ct, pet = find_series(tmp_path).series
    assert ct.unusable_tag == "SOPInstanceUID"
    assert names(ct.why_unusable, 6)
    assert pet.why_unusable is None


@pytest.mark.parametrize(
    ("tags", "tag"),
    [
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "ImageType"),
        ({"ImageType": ["DERIVED", "SECONDARY", "MIP"]}, "ImageType"),
        ({"SOPClassUID": SecondaryCaptureImageStorage}, "SOPClassUID"),
        ({"SOPClassUID": MRImageStorage}, "SOPClassUID"),
        ({"SOPClassUID": "1.2.3.4"}, "SOPClassUID"),
        ({"SamplesPerPixel": 3}, "SamplesPerPixel"),
        ({"NumberOfFrames": 3}, "NumberOfFrames"),
        ({"ImagePositionPatient": None}, "ImagePositionPatient"),
        ({"ImageOrientationPatient": None}, "ImageOrientationPatient"),
        ({"PixelSpacing": None}, "PixelSpacing"),
    ],
)
def test_what_is_no_volume_says_why(tmp_path, tags, tag):
    make_ct(tmp_path, shape=(3, 4, 4), tags=tags)
    (series,) = find_series(tmp_path).series
    assert series.unusable_tag == tag
    assert "1.2.3.4" not in series.why_unusable
    assert series.grid is None


def test_a_localizer_beside_a_volume_is_a_series_of_its_own(tmp_path):
    make_ct(tmp_path / "a")
    make_ct(
        tmp_path / "b",
        shape=(1, 32, 16),
        orientation=CORONAL,
        tags={"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"], "SOPInstanceUID": uid("localizer")},
    )
    volume, localizer = find_series(tmp_path).series
    assert (volume.part, volume.parts, localizer.part, localizer.parts) == (1, 2, 2, 2)
    assert (volume.why_unusable, volume.notes, localizer.notes) == (None, (), ())
    assert localizer.unusable_tag == "ImageType"


def test_files_of_structures_under_one_series_uid_are_no_volumes(tmp_path):
    for number in (1, 2):
        tags = {"SOPClassUID": pydicom.uid.RTStructureSetStorage, "SOPInstanceUID": uid("structures", number)}
        make_ct(tmp_path / str(number), shape=(1, 2, 2), tags=tags)
    assert [(series.modality, series.notes) for series in find_series(tmp_path).series] == [("RTSTRUCT", ())] * 2


def test_a_slice_of_another_size_is_not_lost_in_silence(tmp_path):
    make_ct(tmp_path / "a", missing=(11,))
    make_ct(tmp_path / "b", shape=(12, 8, 8), missing=range(11))
    volume, slice_ = find_series(tmp_path).series
    assert (len(volume.slices), volume.why_unusable, slice_.unusable_tag) == (11, None, "ImagePositionPatient")
    assert names_all(volume.notes[0], 2, "geometry")


def test_a_missing_slice_is_known_after_the_walk(tmp_path):
    make_ct(tmp_path, missing=(4,))
    (series,) = find_series(tmp_path).series
    assert series.unusable_tag == "ImagePositionPatient"


def test_bounds_hold_the_whole_volume(tmp_path):
    make_ct(tmp_path)
    (series,) = find_series(tmp_path).series
    lower, upper = series.bounds_mm
    assert lower == pytest.approx((-16, -16, -18))
    assert upper == pytest.approx((16, 16, 18))


def test_attenuation_correction_is_known_and_separates(tmp_path):
    make_pet(tmp_path / "a", shape=(3, 4, 4))
    without = {"CorrectedImage": ["DECY", "NORM"]}
    make_pet(
        tmp_path / "b",
        shape=(3, 4, 4),
        tags=without,
        edit=lambda dataset, z: setattr(dataset, "SOPInstanceUID", uid("uncorrected", z)),
    )
    assert [series.is_attenuation_corrected for series in find_series(tmp_path).series] == [True, False]


def test_links_in_a_circle_end(tmp_path):
    make_ct(tmp_path / "a")
    os.symlink(tmp_path, tmp_path / "a" / "loop")
    os.symlink(tmp_path / "itself", tmp_path / "itself")
    index = find_series(tmp_path)
    assert labels(index) == ["CT series 1 (16 × 16 × 12)"]
    assert len(index.unreadable) == 1
