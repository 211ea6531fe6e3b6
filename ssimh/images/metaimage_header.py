"""The header of a MetaImage file (``.mha``, ``.mhd``), read strictly.

ITK takes a missing or misspelled ``ElementSpacing`` for 1 mm, a number for as much of it as it understands, and a
compressed part with a flipped bit for sound. Here every field that decides values or position must be there once and be
understood; other fields are metadata.

The format: https://itk.org/Wiki/ITK/MetaIO/Documentation
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ssimh.images.image_layout import Layout, Pose, check_size, parse_numbers, read_up_to, sibling_file

HEADER_BYTES = 2**20
DTYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
TRUTH = {"True": True, "False": False}
# Fields with more than one name, the usual one first.
BYTE_ORDER = ("BinaryDataByteOrderMSB", "ElementByteOrderMSB")
SPACING = ("ElementSpacing", "ElementSize")
ORIGIN = ("Offset", "Position", "Origin")
DIRECTION = ("TransformMatrix", "Rotation", "Orientation")
# Fields that ITK ignores although they change what a value means: only what changes nothing is allowed.
MUST_BE = {"HeaderSize": "0", "ElementToIntensityFunctionSlope": "1", "ElementToIntensityFunctionOffset": "0"}


def metaimage_layout(path: Path) -> Layout:
    """Where and how a MetaImage file stores its voxels.

    Raises:
        ValueError: The header is damaged, incomplete or contradictory.
    """
    fields, start = _fields(read_up_to(path, HEADER_BYTES))
    if fields.get("ObjectType") != "Image":
        raise ValueError(f"ObjectType is {fields.get('ObjectType')!r}; it must be 'Image'")
    n = _numbers(fields, ("NDims",), 1, int)[0]
    if not 1 <= n <= 10:
        raise ValueError(f"NDims is {n}; 1 to 10 are allowed")
    size = check_size(_numbers(fields, ("DimSize",), n, int))
    for name, value in MUST_BE.items():
        if fields.get(name, value) != value:
            raise ValueError(f"{name} is {fields[name]!r}; only {value!r} is read")
    if not _truth(fields, ("BinaryData",)):
        raise ValueError("BinaryData is False; only binary voxels are read")
    kind = _one_of(fields, ("ElementType",))
    if kind not in DTYPES:
        raise ValueError(f"ElementType is {kind!r}; allowed are {', '.join(DTYPES)}")
    order = ">" if _truth(fields, BYTE_ORDER) else "<"
    local = fields["ElementDataFile"] in ("LOCAL", "Local", "local")
    data = path if local else sibling_file(path, fields["ElementDataFile"])
    start = start if local else 0
    stored = data.stat().st_size - start
    if "CompressedDataSize" in fields and _numbers(fields, ("CompressedDataSize",), 1, int)[0] != stored:
        # ITK allocates what is stated.
        raise ValueError(f"CompressedDataSize is {fields['CompressedDataSize']!r}, the file holds {stored} bytes")
    return Layout(
        data_path=data,
        size=size,
        dtype=np.dtype(order + DTYPES[kind]),
        compression="zlib" if "CompressedData" in fields and _truth(fields, ("CompressedData",)) else "none",
        start=start,
        offset=0,
        poses=(_pose(fields, n),),
    )


def _fields(head: bytes) -> tuple[dict[str, str], int]:
    """The lines ``Key = Value`` up to the one that announces the voxels, and where the voxels begin."""
    fields: dict[str, str] = {}
    start = 0
    while "ElementDataFile" not in fields:
        end = head.find(b"\n", start)
        if end < 0:
            raise ValueError("the header has no line ElementDataFile; its end is damaged or missing")
        name, separator, value = head[start:end].decode("latin-1").partition("=")
        if not separator:
            raise ValueError(f"the header's line {name[:40]!r} is not of the form Key = Value")
        if name.strip() in fields:
            raise ValueError(f"the header states {name.strip()} twice")
        fields[name.strip()] = value.strip()
        start = end + 1
    return fields, start


def _pose(fields: dict[str, str], n: int) -> Pose:
    # Row i of the matrix is the direction of axis i.
    matrix = np.asarray(_numbers(fields, DIRECTION, n * n)).reshape(n, n).T
    m = min(n, 3)  # further axes are of length one
    return Pose(_numbers(fields, SPACING, n)[:m], _numbers(fields, ORIGIN, n)[:m], matrix[:m, :m])


def _one_of(fields: dict[str, str], names: tuple[str, ...]) -> str:
    found = [name for name in names if name in fields]
    if len(found) != 1:
        raise ValueError(f"the header states {' and '.join(found) or 'no'} {names[0]}; it must be stated once")
    return fields[found[0]]


def _numbers(fields: dict[str, str], names: tuple[str, ...], count: int, kind: type = float) -> tuple[Any, ...]:
    return parse_numbers(_one_of(fields, names), count, names[0], kind)


def _truth(fields: dict[str, str], names: tuple[str, ...]) -> bool:
    text = _one_of(fields, names)
    if text not in TRUTH:
        raise ValueError(f"{names[0]} is {text[:20]!r}; allowed are True and False")
    return TRUTH[text]
