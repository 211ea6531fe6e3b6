"""The orthonormal DCT-II basis, on which the whole method rests."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


@lru_cache(maxsize=64)
def cosine_basis(n: int, k: int) -> NDArray[np.float64]:
    r"""First ``k`` rows of the orthonormal DCT-II matrix of size ``n``.

    .. math:: C_{ij} = \sqrt{\tfrac{2 - \delta_{i0}}{n}}\, \cos\frac{\pi i (2j + 1)}{2n}

    The rows are orthonormal, ``C @ C.T = I``; for ``k = n`` the matrix is orthogonal and equals
    ``scipy.fft.dct(numpy.eye(n), axis=0, norm="ortho")``.

    Args:
        n: number of samples along the axis, at least 1.
        k: number of rows, 0 to ``n``.

    Returns:
        Read-only float64 array of shape (k, n).

    Raises:
        ValueError: ``k`` is not within 0 … ``n``, or ``n`` is below 1.

    >>> cosine_basis(4, 2).round(3)
    array([[ 0.5  ,  0.5  ,  0.5  ,  0.5  ],
           [ 0.653,  0.271, -0.271, -0.653]])
    """
    if n < 1 or not 0 <= k <= n:
        raise ValueError(f"cosine_basis: n must be at least 1 and k within 0 … n; given n={n}, k={k}.")
    # The angle is reduced to one period in integers: in floating point, i·(2j+1) loses digits for long axes.
    quarter_turns = np.arange(k)[:, None] * (2 * np.arange(n) + 1) % (4 * n)
    basis: NDArray[np.float64] = np.cos(quarter_turns * (np.pi / (2 * n))) * np.sqrt(2.0 / n)
    basis[:1] = np.sqrt(1.0 / n)
    basis.flags.writeable = False
    return basis
