"""Image files with one mutation each, and the verdict on what a reader makes of them.

A seed and a number give one file: a small sound image, damaged as disks, networks, scripts and converters do it. A
reader may refuse it with its documented error, return the sound image, or return what the damaged file states: then an
independent parser (``stated_images.py``) must find the file without
contradiction and get the same values at the same place.

    python -m tests.damaged_files --seed 0 --count 10000

runs the readers of both packages under a limit of memory and prints the counts as JSON.
"""

from __future__ import annotations

import argparse
import collections
import gzip
import json
import math
import re
import resource
import struct
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from tests.stated_images import STATED, Image, place

CPU_LIMIT_S = 2.0  # of one file; they take a few milliseconds
MEMORY_SLACK = 2**28  # beyond what the process has when it begins: a file of a few kilobytes justifies far less


# --- sound files ------------------------------------------------------------------------------------------------------

KINDS = [
    (suffix, dtype, packed)
    for suffix, packing in ((".nii", (False,)), (".nii.gz", (True,)), (".mha", (True, False)), (".nrrd", (True, False)))
    for dtype in ("uint8", "int16", "float32")
    for packed in packing
]


@cache
def sound_file(number: int) -> tuple[str, bytes, Image]:
    """Suffix, bytes and content of sound file ``number`` (modulo the number of kinds)."""
    suffix, dtype, packed = KINDS[number % len(KINDS)]
    rng = np.random.default_rng(number % len(KINDS))
    values = rng.normal(0, 300, (4, 5, 6)).clip(0 if dtype == "uint8" else None, 250).astype(dtype)
    angle = 0.3 * (number % 2)
    direction = [math.cos(angle), -math.sin(angle), 0, math.sin(angle), math.cos(angle), 0, 0, 0, 1]
    image = sitk.GetImageFromArray(values)
    image.SetSpacing((0.9765625, 1.25, 3.0))
    image.SetOrigin((-120.5, 33.25, -700.0))
    image.SetDirection(direction)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"sound{suffix}"
        sitk.WriteImage(image, str(path), packed)
        raw = path.read_bytes()
    return suffix, raw, Image(values, place(image.GetSpacing(), image.GetOrigin(), direction))


# --- mutations --------------------------------------------------------------------------------------------------------

# Offset, format and number of values of the fields of a NIfTI-1 header.
FIELDS = [
    *((0, "i", 1), (40, "h", 8), (56, "f", 3), (68, "h", 1), (70, "h", 1), (72, "h", 1), (74, "h", 1), (76, "f", 8)),
    *((108, "f", 1), (112, "f", 1), (116, "f", 1), (120, "h", 1), (122, "B", 1), (123, "B", 1), (124, "f", 4)),
    *((148, "B", 80), (252, "h", 1), (254, "h", 1), (256, "f", 6), (280, "f", 12), (328, "B", 16), (344, "B", 4)),
]
INTEGERS = [0, 1, -1, 2, 3, 4, 5, 8, 16, 64, 128, 255, 256, 512, 1007, 1024, 32767, -32768]
FLOATS = [0.0, 1.0, -1.0, 0.5, 2.0, 1e-20, 1e20, 1e38, math.nan, math.inf, -math.inf, 352.0, 353.0, 100.0]
TOKENS = [b"0", b"-1", b"1", b"2", b"7", b"1e9", b"nan", b"inf", b"99999999999", b"1.5", b"x", b"", b"True", b"False"]


def flip_bits(raw: bytearray, rng: np.random.Generator, high: int | None = None) -> None:
    for _ in range(int(rng.integers(1, 4))):
        raw[int(rng.integers(min(high or len(raw), len(raw))))] ^= 1 << int(rng.integers(8))


def flip_header_bit(raw: bytearray, rng: np.random.Generator) -> None:
    flip_bits(raw, rng, 400)


def replace_byte(raw: bytearray, rng: np.random.Generator) -> None:
    raw[int(rng.integers(len(raw)))] = int(rng.integers(256))


def truncate(raw: bytearray, rng: np.random.Generator) -> None:
    del raw[int(rng.integers(len(raw))) :]


def append_garbage(raw: bytearray, rng: np.random.Generator) -> None:
    count = int(rng.integers(1, 2000))
    raw += [rng.bytes(count), bytes(count), bytes(raw[:count])][int(rng.integers(3))]


def remove_bytes(raw: bytearray, rng: np.random.Generator) -> None:
    start = int(rng.integers(len(raw)))
    del raw[start : start + int(rng.integers(1, 64))]


def insert_bytes(raw: bytearray, rng: np.random.Generator) -> None:
    start = int(rng.integers(len(raw)))
    raw[start:start] = rng.bytes(int(rng.integers(1, 64)))


def blank_block(raw: bytearray, rng: np.random.Generator) -> None:
    start, count = int(rng.integers(len(raw))), int(rng.integers(1, 512))
    raw[start : start + count] = bytes(len(raw[start : start + count]))


def edit_nifti(raw: bytearray, rng: np.random.Generator) -> None:
    offset, form, count = FIELDS[int(rng.integers(len(FIELDS)))]
    place_ = offset + struct.calcsize(form) * int(rng.integers(count))
    if form == "f":
        value: float = FLOATS[int(rng.integers(len(FLOATS)))] if rng.random() < 0.7 else float(rng.normal(0, 100))
    else:
        value = INTEGERS[int(rng.integers(len(INTEGERS)))]
        bits = 8 * struct.calcsize(form)
        value = value % 2**bits if form == "B" else value
    struct.pack_into(f"<{form}", raw, place_, value)


def edit_text(raw: bytearray, rng: np.random.Generator) -> None:
    """Change one token, or remove, repeat or move one line of a MetaImage or NRRD header."""
    end = max(raw.find(b"ElementDataFile"), raw.find(b"\n\n"))
    lines = bytes(raw[:end]).split(b"\n")
    number, other = (int(n) for n in rng.integers(len(lines), size=2))
    kind = int(rng.integers(6))
    if kind == 0:
        del lines[number]
    elif kind == 1:
        lines.insert(other, lines[number])
    elif kind == 2:
        lines[number], lines[other] = lines[other], lines[number]
    else:
        parts = re.split(rb"([ ,()])", lines[number])
        parts[int(rng.integers(len(parts)))] = TOKENS[int(rng.integers(len(TOKENS)))]
        lines[number] = b"".join(parts)
    raw[:end] = b"\n".join(lines)


ANYWHERE = [flip_bits, replace_byte, truncate, append_garbage, remove_bytes, insert_bytes, blank_block]


def damaged_file(number: int, seed: int) -> tuple[str, bytes, str, Image]:
    """Suffix and bytes of a damaged file, what was done to it, and the sound content."""
    rng = np.random.default_rng([seed, number])
    suffix, sound, image = sound_file(int(rng.integers(len(KINDS))))
    if suffix.startswith(".nii"):
        mutations = [*ANYWHERE, flip_header_bit, flip_header_bit, edit_nifti, edit_nifti, edit_nifti]
    else:
        mutations = [*ANYWHERE, flip_header_bit, flip_header_bit, edit_text, edit_text, edit_text]
    mutate = mutations[int(rng.integers(len(mutations)))]
    # What is inside a gzip file may be damaged before it was packed.
    inside = suffix == ".nii.gz" and (mutate in (edit_nifti, flip_header_bit) or rng.random() < 0.3)
    raw = bytearray(gzip.decompress(sound) if inside else sound)
    mutate(raw, rng)
    done = f"{mutate.__name__}{' inside' if inside else ''} of {suffix} {image.values.dtype}"
    return suffix, gzip.compress(bytes(raw), mtime=0) if inside else bytes(raw), done, image


def lying_files(folder: Path) -> list[Path]:
    """Files of a few kilobytes that claim, or unpack to, far more."""
    made = []

    def make(name: str, raw: bytes) -> None:
        (folder / name).write_bytes(raw)
        made.append(folder / name)

    sound = {KINDS[n][0]: sound_file(n)[1] for n in range(len(KINDS)) if KINDS[n][2] or KINDS[n][0] == ".nii"}
    for order, size in ((">", 1290), ("<", 1290), ("<", 32000)):
        raw = bytearray(sound[".nii"])
        if order == ">":
            raw[:352] = raw[:4][::-1] + raw[4:352]
        struct.pack_into(f"{order}3h", raw, 42, size, size, size)
        make(f"claims{len(made)}.nii", bytes(raw))
        make(f"claims{len(made)}.nii.gz", gzip.compress(bytes(raw)))
    bomb = gzip.decompress(sound[".nii.gz"]) + bytes(2**30)
    packer = zlib.compressobj(1, wbits=31)
    make("bomb.nii.gz", packer.compress(bomb) + packer.flush())
    make("forged.nii.gz", made[-1].read_bytes()[:-4] + struct.pack("<I", len(bomb) - 2**30))
    make("claims.mha", sound[".mha"].replace(b"DimSize = 6 5 4", b"DimSize = 1290 1290 1290"))
    make("compressed.mha", re.sub(rb"(CompressedDataSize = )\d+", rb"\g<1>9000000000", sound[".mha"]))
    make("claims.nrrd", sound[".nrrd"].replace(b"sizes: 6 5 4", b"sizes: 1290 1290 1290"))
    for name, offset, form in (("claims.png", 16, ">2I"), ("claims.tif", 0, "<2I")):
        sitk.WriteImage(sitk.Image(8, 8, sitk.sitkUInt8), str(folder / name))
        raw = bytearray((folder / name).read_bytes())
        if name.endswith("png"):
            struct.pack_into(form, raw, offset, 40000, 40000)
            struct.pack_into(">I", raw, 29, zlib.crc32(raw[12:29]))
        else:
            for tag in (256, 257):  # width and length; entries of 12 bytes
                entry = raw.find(struct.pack("<HHI", tag, 3, 1))
                struct.pack_into("<HHII", raw, entry, tag, 4, 1, 40000)
        make(name, bytes(raw))
    return made


# --- the verdict ------------------------------------------------------------------------------------------------------


def verdict(read: Callable[[Path], Image], documented: type[Exception], path: Path, sound: Image) -> str:
    """``refused``, ``equal``, ``stated`` (a change that the format cannot reveal), or what is wrong."""
    start = time.process_time()
    try:
        image = read(path)
    except documented as error:
        outcome = "refused" if "alloc" not in str(error).lower() else f"WRONG allocation: {error}"
    except BaseException as error:  # noqa: BLE001 - any other exception is what is looked for
        outcome = f"WRONG exception {type(error).__name__}: {error}"
    else:
        outcome = "equal" if image.equals(sound) else _compare_with_statement(path, image)
    spent = time.process_time() - start
    return outcome if spent <= CPU_LIMIT_S else f"WRONG time: {spent:.1f} s"


def _compare_with_statement(path: Path, image: Image) -> str:
    try:
        stated = STATED[path.suffix](path)
    except Exception as error:  # noqa: BLE001 - the independent parser refuses in its own ways
        return f"WRONG acceptance: {type(error).__name__}: {error}"
    return "stated" if any(image.equals(other) for other in stated) else "WRONG values or place"


def read_by_ssimh(path: Path) -> Image:
    from ssimh.images.scan import read_scan

    scan = read_scan(path)
    header = scan.header
    if scan.values.ndim != 3:
        raise AssertionError(f"{scan.values.ndim} dimensions")
    return Image(scan.values, place(header.spacing_mm, header.origin_mm, header.direction))


def read_by_hnseg(path: Path) -> Image:
    from hnseg.images.image_io import read_image

    values, grid = read_image(path, "ONE-001", dtype=None)
    return Image(values, place(grid.spacing_mm, grid.origin_mm, grid.direction))


def limit_memory() -> None:
    """Let the process grow by ``MEMORY_SLACK`` and no more (Linux)."""
    status = Path("/proc/self/statm")
    if status.is_file():
        now = int(status.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY_SLACK, resource.RLIM_INFINITY))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=300)
    arguments = parser.parse_args()
    from hnseg.errors import CaseError
    from ssimh.images.image_file import ImageFileError

    readers = {"ssimh": (read_by_ssimh, ImageFileError), "hnseg": (read_by_hnseg, CaseError)}
    counts = {name: collections.Counter[str]() for name in readers}
    wrong: list[str] = []
    for number in range(len(KINDS)):
        sound_file(number)
    with tempfile.TemporaryDirectory() as folder:
        lying = lying_files(Path(folder))
        limit_memory()
        for path in lying:
            for name, (read, documented) in readers.items():
                outcome = verdict(read, documented, path, sound_file(0)[2])
                if outcome != "refused":
                    wrong.append(f"{name}, {path.name}: {outcome}")
        for number in range(arguments.count):
            suffix, raw, done, sound = damaged_file(number, arguments.seed)
            path = Path(folder) / f"damaged{suffix}"
            print(number, file=sys.stderr, flush=True)  # the last one is the one at fault if this process dies
            path.write_bytes(raw)
            for name, (read, documented) in readers.items():
                outcome = verdict(read, documented, path, sound)
                counts[name][outcome.split(":")[0]] += 1
                if outcome.startswith("WRONG"):
                    wrong.append(f"{name}, file {number} ({done}): {outcome}")
            path.unlink()
    print(json.dumps({"counts": counts, "wrong": wrong}))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
