"""Attributes of a PET series that all of its slices share, read strictly."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hnseg.errors import SuvError
from hnseg.suv.nuclides import HALF_LIVES_S

if TYPE_CHECKING:
    from pydicom import Dataset

_ELEMENTS = {
    "c": "C", "carbon": "C", "n": "N", "nitrogen": "N", "o": "O", "oxygen": "O", "f": "F", "fluorine": "F",
    "fluoride": "F", "cu": "Cu", "copper": "Cu", "ga": "Ga", "gallium": "Ga", "rb": "Rb", "rubidium": "Rb",
    "zr": "Zr", "zirconium": "Zr", "i": "I", "iodine": "I",
}  # fmt: skip
# Codes of PS3.16 CID 4020 with those of SNOMED-RT and of older files; the rest is known by its meaning.
_CODES = {
    "77004003": "18F", "C-111A1": "18F", "40565003": "11C", "C-105A1": "11C", "21576001": "13N", "C-107A1": "13N",
    "129504001": "15O", "C-B1038": "15O", "35337001": "68Ga", "C-131A3": "68Ga", "3932008": "64Cu", "C-127A2": "64Cu",
    "79197006": "82Rb", "C-159A2": "82Rb", "63360001": "89Zr", "C-168A4": "89Zr", "40937006": "124I", "C-114A5": "124I",
}  # fmt: skip


def read_text(dataset: Dataset, keyword: str) -> str:
    """An attribute as text without padding; several values are joined by backslashes; empty if it is missing.

    Raises:
        SuvError: pydicom cannot read it as a value of its kind.
    """
    try:
        value = dataset.get(keyword)
    except (ValueError, TypeError, OverflowError) as error:
        raise SuvError(keyword, "the value is not one of its kind") from error
    if value is None:
        return ""
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        return _decode(value)
    return "\\".join(_decode(part) for part in value)


def _decode(value: Any) -> str:
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    return text.strip(" \x00")


def read_number(dataset: Dataset, keyword: str) -> float | None:
    """An attribute as a finite number; None if it is missing or empty.

    Raises:
        SuvError: It is no finite number.
    """
    return parse_number(read_text(dataset, keyword), keyword)


def parse_number(text: str, keyword: str) -> float | None:
    """A decimal string as a finite number; None if it is empty.

    Raises:
        SuvError: It is no finite number.
    """
    if not text:
        return None
    try:
        value = float(text)
    except ValueError as error:
        raise SuvError(keyword, "the value is not a number") from error
    if not math.isfinite(value):
        raise SuvError(keyword, "the value is not a finite number")
    return value


def read_shared_text(slices: Sequence[Dataset], keyword: str) -> str:
    """The text that all slices state.

    Raises:
        SuvError: They state different ones.
    """
    stated = {read_text(part, keyword) for part in slices}
    if len(stated) > 1:
        raise SuvError(keyword, f"the slices of the series state {len(stated)} different values")
    return stated.pop()


def read_shared_number(slices: Sequence[Dataset], keyword: str) -> float | None:
    """The number that all slices state.

    Raises:
        SuvError: They state different ones, or it is none.
    """
    return parse_number(read_shared_text(slices, keyword), keyword)


def read_private_number(dataset: Dataset, group: int, creator: str, element: int) -> float | None:
    """A number in a vendor's private block; None without the block or the element.

    Raises:
        SuvError: It is no finite number.
    """
    text = read_private_text(dataset, group, creator, element)
    return parse_number(text, f"({group:04x},10{element:02x}) of {creator}")


def read_private_text(dataset: Dataset, group: int, creator: str, element: int) -> str:
    """A text in a vendor's private block; empty without the block or the element."""
    try:
        value = dataset.private_block(group, creator)[element].value
    except KeyError:
        return ""
    return "" if value is None else _decode(value)


def read_nuclide(administration: Dataset) -> str | None:
    """The nuclide of an administration by its code or the code's meaning, as ``18F``; None if it is not known here."""
    codes = administration.get("RadionuclideCodeSequence") or ()
    for code in codes:
        known = _CODES.get(read_text(code, "CodeValue"))
        if known:
            return known
        meaning = read_text(code, "CodeMeaning").lower()
        mass = re.search(r"\d+", meaning)
        for word in re.findall(r"[a-z]+", meaning):
            name = f"{mass.group()}{_ELEMENTS[word]}" if mass and word in _ELEMENTS else ""
            if name in HALF_LIVES_S:
                return name
    return None
