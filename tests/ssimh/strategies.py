"""Hypothesis strategies: images of every shape, memory layout and choice of axes that the library promises."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st


@st.composite
def images(draw, min_dims: int = 1, max_dims: int = 4):
    """Float64 image of odd, even and size-1 axes; contiguous, permuted, reversed or strided in memory."""
    shape = draw(st.lists(st.integers(1, 9), min_size=min_dims, max_size=max_dims))
    return make_layout(draw, shape)


def make_layout(draw, shape):
    seed = draw(st.integers(0, 2**16))
    order = draw(st.permutations(range(len(shape))))
    steps = draw(st.lists(st.sampled_from([1, -1, 2]), min_size=len(shape), max_size=len(shape)))
    stored = [shape[axis] * abs(steps[axis]) for axis in order]
    values = np.random.default_rng(seed).normal(0.0, 500.0, stored)
    view = values.transpose(np.argsort(order))
    return view[tuple(slice(None, None, step) for step in steps)]


@st.composite
def with_axes(draw, min_dims: int = 1, max_dims: int = 4):
    """(image, threshold, axes): any one to three axes, any threshold from 0 to the smallest of them."""
    image = draw(images(min_dims, max_dims))
    count = draw(st.integers(1, min(3, image.ndim)))
    axes = draw(st.permutations(range(-image.ndim, 0)))[:count]
    threshold = draw(st.integers(0, min(image.shape[axis] for axis in axes)))
    return image, threshold, tuple(sorted(axes))


@st.composite
def pairs(draw):
    """(image, reference, threshold, axes) on one grid, the reference in a memory layout of its own."""
    image, threshold, axes = draw(with_axes())
    return image, make_layout(draw, list(image.shape)), threshold, axes
