"""Writing generated DICOM files in any transfer syntax."""

from __future__ import annotations

import copy
from pathlib import Path

from pydicom import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEGLSLossless, RLELossless


def write_dataset(dataset: Dataset, path: Path, transfer_syntax: UID) -> None:
    """Write a dataset with native pixel data in a transfer syntax; the dataset itself is left as it is.

    Raises:
        RuntimeError: GDCM cannot write it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = transfer_syntax
    if transfer_syntax in (RLELossless, JPEGLSLossless):
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        compressed = copy.deepcopy(dataset)
        compressed.compress(transfer_syntax, generate_instance_uid=False)
        compressed.save_as(path, enforce_file_format=True)
    elif transfer_syntax.is_compressed and transfer_syntax.is_encapsulated:
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.save_as(path, enforce_file_format=True)
        _compress_with_gdcm(path, transfer_syntax)
    else:
        written = dataset
        if not transfer_syntax.is_little_endian:
            written = copy.deepcopy(dataset)
            written.PixelData = swap_bytes(dataset.PixelData)
        written.save_as(path, enforce_file_format=True)


def swap_bytes(data: bytes) -> bytes:
    """16-bit words in the other order of bytes."""
    swapped = bytearray(len(data))
    swapped[0::2], swapped[1::2] = data[1::2], data[0::2]
    return bytes(swapped)


def _compress_with_gdcm(path: Path, transfer_syntax: UID) -> None:
    """Rewrite a file in another transfer syntax."""
    import gdcm  # the tests that need it say so

    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(str(transfer_syntax))))
    if not reader.Read():
        raise RuntimeError(f"GDCM cannot read {path.name}")
    change.SetInput(reader.GetImage())
    if not change.Change():
        raise RuntimeError(f"GDCM cannot compress to {transfer_syntax.name}")
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(path))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    if not writer.Write():
        raise RuntimeError(f"GDCM cannot write {path.name}")
