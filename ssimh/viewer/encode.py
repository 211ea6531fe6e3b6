"""Volumes as text that a browser turns back into arrays: whole numbers, differences, gzip, base64.

Values are kept as ``offset + step × n`` with n in 16 bits. Each n is stored as its difference from the mean of its left
and upper neighbors, low and high bytes apart, which gzip makes a third smaller than the numbers themselves.
"""

from __future__ import annotations

import base64
import gzip
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST = 2**16 - 1
GZIP_LEVEL = 6


@dataclass(frozen=True)
class EncodedVolume:
    """A volume as text.

    Attributes:
        text: Base64 of gzip.
        offset: Value of n = 0.
        step: Difference of values between n and n + 1.
    """

    text: str
    offset: float
    step: float


def encode_values(values: NDArray[Any], step: float) -> EncodedVolume:
    """Encode a scan, exact to half a step.

    Args:
        values: (z, y, x) Finite.
        step: > 0; made larger where 16 bits do not reach from the lowest to the highest value.
    """
    low, high = float(values.min()), float(values.max())
    while (high - low) / step > LARGEST - 1:
        step *= 2
    offset = float(np.floor(low / step) * step)
    numbers = np.rint((np.asarray(values, np.float32) - np.float32(offset)) / np.float32(step)).astype(np.uint16)
    left = np.zeros_like(numbers)
    left[:, :, 1:] = numbers[:, :, :-1]
    upper = np.zeros_like(numbers)
    upper[:, 1:] = numbers[:, :-1]
    guess = (left >> 1) + (upper >> 1)  # of 16 bits, as JavaScript computes it
    change = (numbers - guess).astype(np.uint16)
    zigzag = ((change << 1) ^ np.where(change >= 2**15, np.uint16(LARGEST), np.uint16(0))).astype(np.uint16)
    planes = np.stack([(zigzag & 255).astype(np.uint8), (zigzag >> 8).astype(np.uint8)])
    return EncodedVolume(compress(planes.tobytes()), offset, step)


def compress(content: bytes) -> str:
    """Base64 of gzip, the same for the same content."""
    return base64.b64encode(gzip.compress(content, GZIP_LEVEL, mtime=0)).decode("ascii")
