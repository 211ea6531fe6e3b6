"""The header of a NRRD file (``.nrrd``, ``.nhdr``), read strictly.

ITK takes a missing spacing for 1 mm, ignores units of length, and reads some compressed parts with a flipped bit
without complaint. Here every field that decides values or position must be there once and be understood.

The format: https://teem.sourceforge.net/nrrd/format.html
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ssimh.images.image_layout import Layout, Pose, check_size, parse_numbers, read_up_to, sibling_file

HEADER_BYTES = 2**20
DTYPES = {
    name: code
    for code, names in {
        "i1": ("signed char", "int8", "int8_t"),
        "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
        "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
        "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
        "i4": ("int", "signed int", "int32", "int32_t"),
        "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
        "i8": ("longlong", "long long", "long long int", "signed long long", "int64", "int64_t"),
        "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
        "f4": ("float",),
        "f8": ("double",),
    }.items()
    for name in names
}
ENCODINGS = {"raw": "none", "gzip": "gzip", "gz": "gzip"}
# Signs that bring (x, y, z) of a space to LPS.
SPACES = {
    "left-posterior-superior": (1.0, 1.0, 1.0),
    "lps": (1.0, 1.0, 1.0),
    "right-anterior-superior": (-1.0, -1.0, 1.0),
    "ras": (-1.0, -1.0, 1.0),
    "left-anterior-superior": (1.0, -1.0, 1.0),
    "las": (1.0, -1.0, 1.0),
}
# Fields that change neither values nor position; "content" and the like are text, the rest is for display or unused.
IGNORED = {
    *("content", "number", "min", "max", "old min", "oldmin", "old max", "oldmax", "sample units", "sampleunits"),
    *("thicknesses", "axis mins", "axismins", "axis maxs", "axismaxs", "labels", "units", "kinds", "centers"),
    *("centerings", "measurement frame", "block size", "blocksize"),
}
READ = {
    *("type", "dimension", "sizes", "encoding", "endian", "space", "space dimension", "space directions"),
    *("space origin", "space units", "spacings", "data file", "datafile"),
    *("line skip", "lineskip", "byte skip", "byteskip"),
}


def nrrd_layout(path: Path) -> Layout:
    """Where and how a NRRD file stores its voxels.

    Raises:
        ValueError: The header is damaged, incomplete or contradictory.
    """
    fields, start = _fields(read_up_to(path, HEADER_BYTES))
    n = parse_numbers(_field(fields, "dimension"), 1, "dimension", int)[0]
    size = check_size(parse_numbers(_field(fields, "sizes"), n, "sizes", int))
    kind = _field(fields, "type").lower()
    if kind not in DTYPES:
        raise ValueError(f"type is {kind[:40]!r}; allowed are {', '.join(sorted(DTYPES))}")
    encoding = _field(fields, "encoding").lower()
    if encoding not in ENCODINGS:
        raise ValueError(f"encoding is {encoding[:40]!r}; allowed are {', '.join(ENCODINGS)}")
    for name in ("line skip", "lineskip", "byte skip", "byteskip"):
        if fields.get(name, "0") != "0":
            raise ValueError(f"{name} is {fields[name][:40]!r}; only 0 is read")
    named = fields.get("data file", fields.get("datafile"))
    return Layout(
        data_path=path if named is None else sibling_file(path, named),
        size=size,
        dtype=np.dtype(_order(fields, DTYPES[kind]) + DTYPES[kind]),
        compression="gzip" if ENCODINGS[encoding] == "gzip" else "none",
        start=start if named is None else 0,
        offset=0,
        poses=(_pose(fields, n),),
    )


def _fields(head: bytes) -> tuple[dict[str, str], int]:
    """The lines ``field: value`` up to the blank line or the file's end, and where the voxels begin."""
    if not re.match(rb"NRRD000[1-5]\r?\n", head):
        raise ValueError("the file does not begin with NRRD and a version from 1 to 5")
    fields: dict[str, str] = {}
    start = head.find(b"\n") + 1
    while start < len(head):
        end = head.find(b"\n", start)
        end = len(head) if end < 0 else end
        line = head[start:end].decode("latin-1").rstrip("\r")
        start = end + 1
        if not line:
            return fields, start
        if line.startswith("#") or re.match(r"[^:]*:=", line):
            continue  # a comment, or a key and value of the writer's own
        name, separator, value = line.partition(": ")
        name = name.lower()
        if not separator or name not in READ | IGNORED:
            raise ValueError(f"the header's line {line[:40]!r} is no field of the format")
        if name in fields:
            raise ValueError(f"the header states {name} twice")
        fields[name] = value.strip()
    if not {"data file", "datafile"} & fields.keys():
        raise ValueError("the header has no end; the file is damaged or ends too early")
    return fields, start


def _order(fields: dict[str, str], code: str) -> str:
    if code.endswith("1"):
        return "|"
    endian = _field(fields, "endian").lower()
    if endian not in ("little", "big"):
        raise ValueError(f"endian is {endian[:20]!r}; allowed are little and big")
    return "<" if endian == "little" else ">"


def _pose(fields: dict[str, str], n: int) -> Pose:
    m = min(n, 3)  # further axes are of length one
    if "space directions" not in fields:
        spacing = parse_numbers(_field(fields, "spacings"), n, "spacings")[:m]
        return Pose(spacing, (0.0,) * m, np.eye(m))
    if ("space" in fields) == ("space dimension" in fields):
        raise ValueError("the header must state either space or space dimension")
    if any(unit not in ("mm", "") for unit in re.findall(r'"([^"]*)"', fields.get("space units", ""))):
        raise ValueError(f"space units are {fields['space units'][:40]!r}; only mm is read")
    signs = np.ones(m)
    if "space" in fields:
        name = fields["space"].lower()
        if name not in SPACES or n < 3:
            raise ValueError(f"space is {name[:40]!r} with {n} dimensions; allowed are {', '.join(SPACES)} with 3")
        signs = np.asarray(SPACES[name])
    axes = _vectors(fields["space directions"], n, "space directions")[:m, :m].T * signs[:, None]
    origin = _vectors(_field(fields, "space origin"), 1, "space origin")[0, :m] * signs
    with np.errstate(invalid="ignore", divide="ignore"):
        lengths = np.linalg.norm(axes, axis=0)
        return Pose(tuple(lengths.tolist()), tuple(origin.tolist()), axes / lengths)


def _field(fields: dict[str, str], name: str) -> str:
    if name not in fields:
        raise ValueError(f"the header does not state {name}")
    return fields[name]


def _vectors(text: str, count: int, name: str) -> NDArray[np.float64]:
    """``count`` vectors in parentheses, all of one length of at least ``count``, one a row."""
    parts = text.split()
    rows: list[tuple[float, ...]] = []
    for part in parts:
        inner = part[1:-1] if part.startswith("(") and part.endswith(")") else ""
        rows.append(parse_numbers(inner.replace(",", " "), inner.count(",") + 1, name) if inner else ())
    if len(rows) != count or len({len(row) for row in rows}) != 1 or not rows[0]:
        raise ValueError(f"{name} is {text[:60]!r}; {count} vectors (x,y,z) are needed")
    return np.asarray(rows, dtype=np.float64)
