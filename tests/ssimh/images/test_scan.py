import numpy as np
import pytest
import SimpleITK as sitk

from ssimh.images.image_file import ImageFileError
from ssimh.images.scan import ScanError, find_scans, output_name, read_scan, write_scan

OBLIQUE = (0.0, -1.0, 0.0, 0.0, 0.0, -1.0, 1.0, 0.0, 0.0)  # slices stacked from left to right
FORMATS = [".nii", ".nii.gz", ".nrrd", ".mha"]


def write(path, values, direction=(1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0), metadata=()):
    image = sitk.GetImageFromArray(values)
    if values.ndim == 3:
        image.SetSpacing((0.9, 1.1, 3.0))
        image.SetOrigin((-100.5, 20.25, 7.125))
        image.SetDirection(direction)
    for key, value in dict(metadata).items():
        image.SetMetaData(key, value)
    sitk.WriteImage(image, str(path))
    return image


@pytest.fixture
def volume(rng):
    return rng.integers(-1000, 1500, (4, 6, 5)).astype(np.int16)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float32", "float64"])
def test_geometry_and_pixel_type_are_kept(tmp_path, volume, suffix, dtype):
    source = write(tmp_path / f"in{suffix}", volume.clip(0, 255).astype(dtype), OBLIQUE)
    scan = read_scan(tmp_path / f"in{suffix}")
    assert scan.values.dtype == dtype
    np.testing.assert_allclose(scan.spacing_mm, (3.0, 1.1, 0.9), rtol=1e-6)
    write_scan(tmp_path / f"out{suffix}", scan.values.astype(np.float64), scan)
    result = sitk.ReadImage(str(tmp_path / f"out{suffix}"))
    assert result.GetPixelID() == source.GetPixelID()
    for name in ("GetSize", "GetSpacing", "GetOrigin", "GetDirection"):
        np.testing.assert_allclose(getattr(result, name)(), getattr(source, name)(), atol=1e-5)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(result), scan.values)


def test_integers_are_rounded_and_limited_and_counted(tmp_path, volume):
    write(tmp_path / "in.nrrd", volume)
    scan = read_scan(tmp_path / "in.nrrd")
    values = np.zeros(volume.shape)
    values.flat[:4] = [40_000.0, -40_000.0, 1.6, -1.6]
    assert write_scan(tmp_path / "out.nrrd", values, scan) == 2
    written = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "out.nrrd")))
    assert written.ravel()[:4].tolist() == [32767, -32768, 2, -2]
    assert write_scan(tmp_path / "float.nrrd", values, scan, "float32") == 0
    written = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "float.nrrd")))
    assert written.dtype == np.float32
    np.testing.assert_allclose(written, values)


@pytest.mark.parametrize(
    ("direction", "letters", "axes"),
    [
        ((1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0), "SPL", (-2, -1)),
        ((-1.0, 0, 0, 0, -1.0, 0, 0, 0, 1.0), "SAR", (-2, -1)),
        # Columns of the matrix: x runs to +z (S), y to -x (R), z to -y (A); the array's order is (z, y, x).
        (OBLIQUE, "ARS", (-3, -2)),
        ((0.98, 0.0, 0.199, 0.0, 1.0, 0.0, -0.199, 0.0, 0.98), "SPL", (-2, -1)),
    ],
)
def test_orientation_is_read_off_the_direction(tmp_path, volume, direction, letters, axes):
    write(tmp_path / "in.mha", volume, direction)
    scan = read_scan(tmp_path / "in.mha")
    assert (scan.orientation, scan.slice_axes) == (letters, axes)


def test_units_come_from_the_file(tmp_path, volume):
    write(tmp_path / "pet.mha", volume, metadata={"0054|1001": "GML"})
    write(tmp_path / "ct.mha", volume, metadata={"0008|0060": "CT"})
    write(tmp_path / "other.mha", volume)
    assert [read_scan(tmp_path / f"{name}.mha").unit for name in ("pet", "ct", "other")] == ["GML", "HU", None]


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("folder", "unit"),
    [
        ("STS_001_wholebody_FDG_PET_BQML/image", "BQML"),
        ("STS_002_CT_PET_RTSTRUCT/PET/image", "GML"),
        ("STS_002_CT_PET_RTSTRUCT/CT/image", "HU"),
    ],
)
def test_a_dicom_folder_is_one_scan_and_says_what_it_is(realdata_dir, folder, unit):
    scan = read_scan(realdata_dir / "dicom" / folder)
    assert (scan.values.ndim, scan.unit) == (3, unit)


def test_two_dimensional_images(tmp_path, volume):
    write(tmp_path / "slice.tif", volume[0].clip(0, 255).astype(np.uint8))
    scan = read_scan(tmp_path / "slice.tif")
    assert (scan.values.shape, scan.orientation, scan.slice_axes) == ((6, 5), None, (-2, -1))


def test_a_file_that_is_no_scan_is_refused_by_name(tmp_path):
    (tmp_path / "text.nii.gz").write_text("no image")
    color = sitk.GetImageFromArray(np.zeros((4, 4, 4, 3), np.uint8), isVector=True)
    sitk.WriteImage(color, str(tmp_path / "color.mha"))
    (tmp_path / "empty").mkdir()
    for name in ("text.nii.gz", "missing.nii.gz", "color.mha", "empty"):
        with pytest.raises(ImageFileError) as caught:
            read_scan(tmp_path / name)
        assert caught.value.path == tmp_path / name


def test_a_failed_write_leaves_nothing(tmp_path, volume):
    write(tmp_path / "in.mha", volume)
    scan = read_scan(tmp_path / "in.mha")
    for name in ("out.unknown", "out.mhd"):
        with pytest.raises(ScanError, match=name):
            write_scan(tmp_path / name, volume.astype(float), scan)
    with pytest.raises(ValueError, match=r"\(2, 6, 5\).*\(4, 6, 5\)"):
        write_scan(tmp_path / "out.mha", volume[:2].astype(float), scan)
    with pytest.raises(ValueError, match="int4"):
        write_scan(tmp_path / "out.mha", volume.astype(float), scan, "int4")
    assert [path.name for path in tmp_path.iterdir()] == ["in.mha"]


def test_folders_are_searched_and_keep_their_structure(tmp_path, volume):
    root = tmp_path / "scans"
    (root / "a").mkdir(parents=True)
    for name in ("one.nii.gz", "a/two.nrrd", "a/notes.txt", ".hidden.nii"):
        (root / name).write_text("x")
    found = find_scans([root, root / "a" / "two.nrrd"])
    assert {str(target) for target in found} == {"one.nii.gz", "a/two.nrrd", "two.nrrd"}
    with pytest.raises(ScanError, match=r"one\.nii\.gz"):
        find_scans([root, root / "one.nii.gz"])
    (root / "One.NII.gz").write_text("x")
    with pytest.raises(ScanError, match=r"(?i)one\.nii\.gz.*one\.nii\.gz"):
        find_scans([root])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ScanError, match="empty"):
        find_scans([tmp_path / "empty"])
    with pytest.raises(FileNotFoundError, match="nowhere"):
        find_scans([tmp_path / "nowhere"])


def test_results_of_formats_with_two_files_take_one(tmp_path):
    names = {name: output_name(tmp_path / name) for name in ("a.mhd", "a.nhdr", "a.hdr", "a.dcm", "a.nii.gz")}
    assert list(names.values()) == ["a.mha", "a.nrrd", "a.nii", "a.nii.gz", "a.nii.gz"]
