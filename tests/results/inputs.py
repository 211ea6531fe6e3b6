"""Fifty inputs that are the same bit by bit on every machine and with every version of NumPy.

Everything is made of integers and dyadic fractions by operations that IEEE 754 defines to the last bit: no generator of
a library, no transcendental function.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

COUNT = 50
DTYPES = (np.float64, np.float64, np.float32, np.int16)


def random_bits(seed: int, count: int) -> NDArray[np.uint64]:
    """Numbers of 64 bits: splitmix64 (Steele et al. 2014, doi 10.1145/2660193.2660195) of a counter.

    >>> [hex(int(number)) for number in random_bits(0, 2)]
    ['0xe220a8397b1dcdaf', '0x6e789e6aa1b965f4']
    """
    step = 0x9E3779B97F4A7C15
    first = (seed * 0x100000001 * step) % 2**64
    with np.errstate(over="ignore"):
        z = np.uint64(first) + np.uint64(step) * np.arange(1, count + 1, dtype=np.uint64)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def uniform(seed: int, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Numbers in [0, 1), multiples of 2⁻²⁰."""
    bits = random_bits(seed, int(np.prod(shape)))
    return (bits >> np.uint64(44)).astype(np.float64).reshape(shape) / 2**20


def noise(seed: int, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Noise of mean 0 and variance 1/4: the sum of three uniform numbers."""
    return sum(uniform(3 * seed + part, shape) for part in range(3)) - 1.5


def as_kind(values: NDArray[np.float64], number: int) -> NDArray[Any]:
    """Values as the dtype of an input: half of them float64, the others float32 or int16."""
    kind = DTYPES[number % len(DTYPES)]
    return np.rint(values).astype(kind) if kind is np.int16 else values.astype(kind)


def volume(number: int, *, donor: bool = False) -> NDArray[Any]:
    """(z, y, x) values like those of a CT in HU, of another size for each input; the donor has the same size."""
    shape = (2 + number % 4, 7 + number % 9, 6 + number % 11)
    seed = 2 * number + donor
    y, x = np.ogrid[: shape[1], : shape[2]]
    body = ((2 * y + 1 - shape[1]) ** 2 * 100 + (2 * x + 1 - shape[2]) ** 2 * 81) < 64 * shape[1] * shape[2]
    hu = np.where(body, 40 + (8 * donor + number % 7) * (x - 3), -1000 + 16 * donor)
    return as_kind(np.broadcast_to(hu, shape) + 64 * noise(seed, shape), number)


def mask(number: int) -> NDArray[np.bool_]:
    """A mask of the volume's shape."""
    return uniform(1000 + number, volume(number).shape) < 0.75


def neck(number: int, *, gain_per_mille: int = 0) -> NDArray[Any]:
    """(z, y, x) CT of a neck in HU: fat around muscle, bone, an airway, air; attenuation is raised by a gain."""
    shape = (10 + number % 3, 26, 30)
    z, y, x = np.ogrid[: shape[0], : shape[1], : shape[2]]
    cy, cx = 13 + number % 2, 14 + number % 3
    radius2 = ((y - cy) * 12) ** 2 + ((x - cx) * 10) ** 2 + 0 * z  # 120² at the skin
    muscle, fat = 44 + number % 9, -104 + number % 8
    hu = np.where(radius2 < (92 + 2 * (z % 5)) ** 2, muscle, np.where(radius2 < 120**2, fat, -1000)).astype(np.float64)
    hu[np.broadcast_to((y - cy - 3) ** 2 + (x - cx) ** 2 < 5, shape)] = 700
    hu[np.broadcast_to((y - cy + 3) ** 2 + (x - cx) ** 2 < 5, shape)] = -1000
    hu = np.where(hu > -900, hu + 20 * noise(2000 + number, shape), hu)
    return as_kind((hu + 1000) * (1000 + gain_per_mille) / 1000 - 1000, number)


def cylinder(number: int, *, smooth: bool = False) -> NDArray[Any]:
    """(z, y, x) CT in HU of a cylinder of muscle in fat, 2 mm voxels, with the grain of a sharp or a smooth kernel."""
    shape = (10, 40, 40 + number % 3)
    _, y, x = np.ogrid[: shape[0], : shape[1], : shape[2]]
    radius2 = (y - 20) ** 2 + (x - 20) ** 2 + np.zeros(shape)
    grain = 40 * noise(6000 + number, shape)
    if smooth:
        for axis in (1, 2):
            grain = (np.roll(grain, 1, axis) + 2 * grain + np.roll(grain, -1, axis)) / 4
    hu = np.where(radius2 < 250, 45 + number % 5, np.where(radius2 < 324, -102, -1000)).astype(np.float64)
    return as_kind(np.where(radius2 < 324, hu + grain, hu), number)


def uptake(number: int, *, blurs: int = 2) -> NDArray[Any]:
    """(z, y, x) PET in SUV, 4 mm voxels: a body with hot voxels in its lower part; a blur is the kernel (1 2 1) / 4."""
    shape = (40, 34 + number % 3, 34)
    suv = np.zeros(shape)
    suv[6:34, 8:27, 8:27] = 1
    hot = np.zeros(shape, bool)
    hot[6:17, 10:25, 10:25] = uniform(3000 + number, (11, 15, 15)) > 0.985
    suv[hot] += 40 + np.floor(160 * uniform(4000 + number, shape)[hot])
    for _ in range(blurs):
        for axis in range(3):
            before, after = (np.roll(suv, step, axis) for step in (1, -1))
            suv = (before + 2 * suv + after) / 4
    return suv.astype(DTYPES[number % 3])


def label(number: int, *, part: int = 0) -> NDArray[np.uint8]:
    """(z, y, x) mask with balls of GTVp (1) and GTVn (2); another part is the same, moved and with other balls."""
    shape = (8 + number % 3, 14, 16)
    z, y, x = np.ogrid[: shape[0], : shape[1], : shape[2]]
    out = np.zeros(shape, np.uint8)
    for ball in range(1 + number % 4):
        cz, cy, cx, size = (int(value) for value in random_bits(5000 + 7 * number + ball, 4) % np.uint64(12))
        inside = (z - cz % shape[0]) ** 2 + (y - cy - part) ** 2 + (x - cx - part) ** 2 <= 2 + size
        out[inside] = 1 if ball == 0 and number % 5 else 2
    if part and number % 3 == 0:
        out[0, :2, :2] = 2
    return out
