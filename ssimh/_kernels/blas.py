"""``out += left @ right`` in one pass over ``out``, which NumPy has not: BLAS adds onto its output.

SciPy offers its BLAS to compiled code (``scipy.linalg.cython_blas``). Called from there through ctypes, it runs without
the interpreter's lock, which the Python functions of ``scipy.linalg.blas`` hold: two threads with those take as long as
one. Where SciPy's BLAS has another interface than the one expected here, NumPy multiplies and adds, in two passes.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Gemm = Callable[..., None]

# Fewer multiply-adds than this are quicker than a call from Python.
_SMALLEST_PRODUCT = 2**12
_NAMES = {np.dtype(np.float32): "sgemm", np.dtype(np.float64): "dgemm"}
_SCALARS = {np.dtype(np.float32): ctypes.c_float, np.dtype(np.float64): ctypes.c_double}
_PLAIN = ctypes.c_char(b"N")  # not transposed


@functools.cache
def _gemm(dtype: np.dtype[Any]) -> Gemm | None:
    """BLAS' matrix product for a dtype, None where it is not offered as expected: 13 pointers, integers of 32 bits."""
    try:
        from scipy.linalg import cython_blas

        capsules: dict[str, Any] = dict(cython_blas.__pyx_capi__)
        capsule = capsules[_NAMES[dtype]]
    except (ImportError, AttributeError, KeyError):
        return None
    api = ctypes.pythonapi
    name_of = ctypes.PYFUNCTYPE(ctypes.c_char_p, ctypes.py_object)(("PyCapsule_GetName", api))
    pointer_of = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(("PyCapsule_GetPointer", api))
    signature = name_of(capsule)
    if signature.count(b"*") != 13 or signature.count(b"int *") != 6 or not signature.startswith(b"void ("):
        return None
    return ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 13)(pointer_of(capsule, signature))


def has_gemm(dtype: np.dtype[Any]) -> bool:
    """Whether products of a dtype are added in one pass."""
    return _gemm(dtype) is not None


def add_product(left: NDArray[Any], right: NDArray[Any], out: NDArray[Any], rows: int | None = None) -> None:
    """Add ``left @ right`` to ``out``, in place.

    Args:
        left: (m, k).
        right: (k, n), the same dtype, float32 or float64.
        out: (m, n), the same dtype. The last axis of all three is contiguous, or has one element.
        rows: of ``out``, at most, that BLAS computes at a time; None for all.
    """
    (m, k), n = left.shape, right.shape[1]
    rows = m if rows is None else max(1, min(rows, m))
    gemm = _gemm(out.dtype) if rows * n * k >= _SMALLEST_PRODUCT else None
    if gemm is None:
        out += left @ right
        return
    # BLAS counts along columns first: in its eyes these are right.T (n, k) @ left.T (k, m) onto out.T (n, m).
    plain, factor = ctypes.byref(_PLAIN), ctypes.byref(_SCALARS[out.dtype](1.0))
    columns, inner, count = (ctypes.byref(ctypes.c_int(size)) for size in (n, k, rows))
    steps = [array.strides[0] if len(array) > 1 else array.shape[1] * array.itemsize for array in (right, left, out)]
    right_step, left_step, out_step = (ctypes.byref(ctypes.c_int(step // out.itemsize)) for step in steps)
    from_right, from_left, to = right.ctypes.data, left.ctypes.data, out.ctypes.data
    for first in range(0, m, rows):
        if m - first < rows:
            count = ctypes.byref(ctypes.c_int(m - first))
        gemm(
            *(plain, plain, columns, count, inner, factor, from_right, right_step),
            *(from_left + first * steps[1], left_step, factor, to + first * steps[2], out_step),
        )
