"""Packed values come back to half a step; the decoder here is written from the description, as the browser's is."""

import base64
import gzip

import numpy as np
import pytest

from ssimh.viewer.encode import encode_values


def decode(encoded, shape):
    kept = np.frombuffer(gzip.decompress(base64.b64decode(encoded.text)), np.uint8).reshape(2, *shape).astype(int)
    words, numbers = kept[0] + 256 * kept[1], np.zeros(shape, int)
    for z, y, x in np.ndindex(*shape):
        left, upper = (numbers[z, y, x - 1] if x else 0), (numbers[z, y - 1, x] if y else 0)
        change = (words[z, y, x] >> 1) ^ -(words[z, y, x] & 1)
        numbers[z, y, x] = (change + (left >> 1) + (upper >> 1)) % 65536
    return encoded.offset + encoded.step * numbers


@pytest.mark.parametrize("step", [1.0, 0.01, 4.0])
def test_values_come_back_to_half_a_step(step):
    values = np.random.default_rng(0).normal(0, 300 * step, (4, 5, 6)).astype(np.float32)
    encoded = encode_values(values, step)
    assert encoded.step == step
    assert np.abs(decode(encoded, values.shape) - values).max() <= step * 0.501


def test_whole_numbers_of_any_size_are_exact_and_a_wide_range_gets_larger_steps():
    values = np.array([-1024, 0, 3071, 30000, -5, 7], np.int16).reshape(1, 2, 3)
    assert (decode(encode_values(values, 1.0), values.shape) == values).all()
    wide = np.array([0.0, 5000.0], np.float32).reshape(1, 1, 2)
    encoded = encode_values(wide, 0.01)
    assert encoded.step > 0.01
    assert np.abs(decode(encoded, wide.shape) - wide).max() <= encoded.step / 2
