"""The one strict reader of image files: what is damaged, contradictory or unverifiable is refused, never repaired.

A file is read by ITK, but for gzip's voxels where ``isal`` is installed. What ITK does not notice is verified here:
existence, permission and emptiness; the header, parsed a second time and compared with ITK's view of it (size, type,
spacing, origin, direction); the size of the voxels against the size of the file, before anything is allocated;
checksums of compressed parts; NaN and infinite values.

Bits flipped in uncompressed voxels, or a header field changed into another legal one, cannot be noticed by anyone.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimh.images.dicom_series import read_series
from ssimh.images.gzip_library import has_isal
from ssimh.images.image_layout import Layout, Pose
from ssimh.images.metaimage_header import metaimage_layout
from ssimh.images.nifti_header import nifti_layout
from ssimh.images.nrrd_header import nrrd_layout
from ssimh.images.simpleitk import itk_reason, load_sitk, pixel_dtypes, to_array
from ssimh.images.voxel_integrity import (
    DEFLATE_RATIO,
    SLACK_BYTES,
    check_stored_size,
    check_voxels,
    unpack_voxels,
)

MAX_VOXELS = 2**31  # 2 Gi voxels: eight times a 1.3 m whole-body CT; a larger header is a broken header
GIPL_HEADER_BYTES = 256
# Formats whose header is parsed here, by their names in ITK.
LAYOUTS: dict[str, Callable[[Path], Layout]] = {
    "NiftiImageIO": nifti_layout,
    "MetaImageIO": metaimage_layout,
    "NrrdImageIO": nrrd_layout,
}
SUFFIX_FORMATS = {
    **dict.fromkeys((".nii", ".nii.gz", ".hdr", ".img"), "NiftiImageIO"),
    **dict.fromkeys((".mha", ".mhd"), "MetaImageIO"),
    **dict.fromkeys((".nrrd", ".nhdr"), "NrrdImageIO"),
}
# Formats that ITK itself refuses where they end too early. Of others it reads a part in silence.
CHECKED_BY_ITK = ("GDCMImageIO", "TIFFImageIO", "PNGImageIO", "JPEGImageIO", "JPEG2000ImageIO", "BMPImageIO")


class ImageFileError(ValueError):
    """An image file that cannot be used.

    Attributes:
        path: The file, or the folder of a DICOM series.
        reason: What is wrong, and what is allowed.
    """

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"{path}: {reason}")

    def __reduce__(self) -> tuple[type[ImageFileError], tuple[Path, str]]:
        return ImageFileError, (self.path, self.reason)


@dataclass(frozen=True)
class ImageHeader:
    """What an image file states about its voxels; physical values are (x, y, z) or (x, y), mm, LPS.

    Attributes:
        path: The file, or the folder of a DICOM series.
        size: Voxels along each axis.
        spacing_mm: Voxel size along each axis.
        origin_mm: Center of the first voxel.
        direction: Direction cosines, row-major; the columns are the image's axes.
        dtype: Of the values in memory, slope and intercept applied.
        metadata: Further fields of the file, by ITK's names.
    """

    path: Path
    size: tuple[int, ...]
    spacing_mm: tuple[float, ...]
    origin_mm: tuple[float, ...]
    direction: tuple[float, ...]
    dtype: np.dtype[Any]
    metadata: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array, (z, y, x) or (y, x)."""
        return self.size[::-1]

    @property
    def memory_bytes(self) -> int:
        """Bytes of the array in memory."""
        return math.prod(self.size) * self.dtype.itemsize


def read_image_header(path: str | os.PathLike[str]) -> ImageHeader:
    """The header of an image file; its voxels are not looked at.

    Raises:
        ImageFileError: As :func:`read_image_file`, as far as the header shows it.
    """
    return _open(Path(path), os.fspath(path))[1]


def read_image_file(path: str | os.PathLike[str]) -> tuple[NDArray[Any], ImageHeader]:
    """Read a scalar image of two or three dimensions, or a folder with one DICOM series.

    A trailing axis of length one is dropped: some writers store three-dimensional images as four-dimensional.

    Returns:
        ``(values, header)``: a (z, y, x) or (y, x) array in the file's own type, slope and intercept applied, held once
        and writable; and the image's header.

    Raises:
        ImageFileError: No such file, no permission, empty, of no format that can be verified, truncated, damaged,
            contradictory, sheared, of no or several values per voxel, larger than ``MAX_VOXELS``, or with values that
            are NaN or infinite. The message names the file.
    """
    source = Path(path)
    with _named_errors(source, "cannot be read to its end", "the file is damaged"):
        if source.is_dir():
            image = read_series(source)
            header = _header(source, image)
            values = to_array(image).reshape(header.shape)
        else:
            with _unambiguous_name(source) as name:
                reader, header, layout = _open(source, name)
                values = _read_voxels(reader, header, layout)
    if values.dtype.kind == "f" and (bad := values.size - int(np.count_nonzero(np.isfinite(values)))):
        raise ImageFileError(source, f"{bad} voxels are NaN or infinite; every value must be finite")
    return values, header


def _read_voxels(reader: Any, header: ImageHeader, layout: Layout | None) -> NDArray[Any]:
    """The verified voxels of the file that ITK's reader has open, in the shape of its header."""
    if layout is None:
        _check_ratio(header, header.path.stat().st_size)
        return to_array(reader.Execute()).reshape(header.shape)
    check_stored_size(layout)
    if layout.compression == "gzip" and has_isal():
        return unpack_voxels(layout, header.dtype).reshape(header.shape)
    values = to_array(reader.Execute()).reshape(header.shape)
    check_voxels(layout, values)
    return values


@contextmanager
def _named_errors(path: Path, unreadable: str, contradictory: str) -> Iterator[None]:
    """Turn the errors of ITK and of the checks here into an :class:`ImageFileError` that names the file.

    Args:
        path: The file.
        unreadable: What it means where ITK, or memory, gives up.
        contradictory: What it means where a check here fails.
    """
    try:
        yield
    except ImageFileError:
        raise
    except (RuntimeError, MemoryError) as error:
        raise ImageFileError(path, f"{unreadable}: {itk_reason(error)}") from error
    except ValueError as error:
        raise ImageFileError(path, f"{contradictory}: {error}") from error


@contextmanager
def _unambiguous_name(path: Path) -> Iterator[str]:
    """A name under which ITK finds this file's voxels.

    Of ``a.nii.gz`` beside ``a.nii``, ITK's NIfTI library reads the header of the first and the voxels of the second.
    """
    name = path.name.lower()
    if not (name.endswith(".nii.gz") and path.with_suffix("").exists()):
        yield os.fspath(path)
        return
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder) / "image.nii.gz"
        link.symlink_to(path.resolve())
        yield os.fspath(link)


def _open(path: Path, name: str) -> tuple[Any, ImageHeader, Layout | None]:
    """ITK's reader of a file under some ``name``, its header, and its layout where the format is verified here."""
    _check_readable(path)
    sitk = load_sitk()
    reader = sitk.ImageFileReader()
    with _named_errors(path, "not a readable image", "not a readable image"):
        form = _format(path)
        layout = LAYOUTS[form](path) if form in LAYOUTS else None
        reader.SetImageIO(form)
        reader.SetFileName(name)
        reader.ReadImageInformation()
        header = _header(path, reader)
        if layout is None and form == "GiplImageIO":
            layout = _gipl_layout(path, header)
        elif layout is not None:
            _check_agreement(layout, header)
    return reader, header, layout


def _check_readable(path: Path) -> None:
    if not path.is_file():
        reason = "this is a folder, a file is needed" if path.is_dir() else "the file does not exist"
        raise ImageFileError(path, reason)
    if not os.access(path, os.R_OK):
        raise ImageFileError(path, "there is no permission to read the file")
    if path.stat().st_size == 0:
        raise ImageFileError(path, "the file is empty (0 bytes)")


def _format(path: Path) -> str:
    """ITK's name of a file's format: by its suffix, and where that says nothing by its content."""
    name = path.name.lower()
    for suffix, form in SUFFIX_FORMATS.items():
        if name.endswith(suffix):
            return form
    form = load_sitk().ImageFileReader.GetImageIOFromFileName(str(path))
    if not form:
        raise ValueError("its beginning is damaged, or it is of no format that ITK reads")
    if form not in (*LAYOUTS, *CHECKED_BY_ITK, "GiplImageIO"):
        raise ValueError(f"ITK reads {form} files that end too early without complaint; save it as NIfTI, MHA or NRRD")
    return str(form)


def _header(path: Path, source: Any) -> ImageHeader:
    """Header of an ITK reader or image, refused where it is no scan's."""
    full = source.GetSize()
    size = full[:3] if all(length == 1 for length in full[3:]) else full
    components = source.GetNumberOfComponents() if hasattr(source, "GetNumberOfComponents") else None
    if components is None:
        components = source.GetNumberOfComponentsPerPixel()
    if len(size) not in (2, 3) or components != 1:
        raise ImageFileError(
            path,
            f"expected a scalar image of 2 or 3 dimensions, got size {tuple(full)} with {components} component(s)",
        )
    if math.prod(size) > MAX_VOXELS:
        raise ImageFileError(path, f"the header claims {tuple(size)} voxels, more than {MAX_VOXELS} are refused")
    kind = source.GetPixelID()
    # A NIfTI file with the intent "vector" and one component comes as a vector image.
    scalar = load_sitk().GetPixelIDValueAsString(kind).removeprefix("vector of ")
    dtypes = {load_sitk().GetPixelIDValueAsString(known): dtype for known, dtype in pixel_dtypes().items()}
    if scalar not in dtypes:
        raise ImageFileError(path, f"the pixel type is {scalar}; allowed are integer and floating types")
    n, m = len(full), len(size)
    direction = np.asarray(source.GetDirection()).reshape(n, n)[:m, :m]
    pose = Pose(source.GetSpacing()[:m], source.GetOrigin()[:m], direction)
    if fault := pose.fault():
        raise ImageFileError(path, fault)
    return ImageHeader(
        path,
        tuple(size),
        pose.spacing_mm,
        pose.origin_mm,
        tuple(direction.ravel().tolist()),
        dtypes[scalar],
        _metadata(source),
    )


def _metadata(source: Any) -> dict[str, str]:
    """The fields of an ITK reader or image that are text; bytes of another encoding decide nothing and are left out."""
    metadata: dict[str, str] = {}
    for key in source.GetMetaDataKeys():
        with suppress(TypeError, UnicodeError):
            text = source.GetMetaData(key)
            (key + text).encode()
            metadata[key] = text
    return metadata


def _check_agreement(layout: Layout, header: ImageHeader) -> None:
    """Refuse a file that ITK sees otherwise than its own header states."""
    m = len(header.size)
    if layout.size[:m] != header.size or any(length != 1 for length in layout.size[m:]):
        raise ValueError(f"the header has the size {layout.size}, ITK reads {header.size}")
    if not layout.is_scaled and layout.dtype.newbyteorder("=") != header.dtype:
        raise ValueError(f"the header has the type {layout.dtype}, ITK reads {header.dtype}")
    seen = Pose(header.spacing_mm, header.origin_mm, np.asarray(header.direction).reshape(m, m))
    for pose in layout.poses:
        if fault := pose.fault():
            raise ValueError(fault)
    if m == 3 and layout.poses and not any(pose.agrees(seen, header.size) for pose in layout.poses):
        apart = min(pose.distance_mm(seen, header.size) for pose in layout.poses)
        raise ValueError(f"ITK puts the image {apart:.2f} mm off the place that its header states")
    spacing = layout.poses[0].spacing_mm if layout.poses else header.spacing_mm
    if not np.allclose(header.spacing_mm, spacing[:m], rtol=1e-3):
        raise ValueError(f"the header has the spacing {spacing} mm, ITK reads {header.spacing_mm}")


def _gipl_layout(path: Path, header: ImageHeader) -> Layout:
    """GIPL's header is taken from ITK; it has a fixed length, so that the file's size can be verified."""
    packed = path.name.lower().endswith(".gz")
    order = header.dtype.newbyteorder(">")
    return Layout(path, header.size, order, "gzip" if packed else "none", 0, GIPL_HEADER_BYTES)


def _check_ratio(header: ImageHeader, stored_bytes: int) -> None:
    """Refuse a header that claims more than a file of its size can hold in any compression."""
    if header.memory_bytes > DEFLATE_RATIO * stored_bytes + SLACK_BYTES:
        raise ValueError(f"the header claims {header.memory_bytes} bytes of voxels, the file has {stored_bytes}")
