"""Tissue model of one subject: fat, muscle and anything else under a smooth field.

The bias-field model of unified segmentation (Ashburner & Friston 2005, doi 10.1016/j.neuroimage.2005.02.018) on
counts over coarse blocks × HU bins instead of voxels, with known class means: only the difference of two fields is
ever used, so their absolute values cancel. Every block has its own shares of the tissues, so a body of another
composition does not bend the field.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ssimh.site.field import basis_at, degree_of_terms, grid_positions

SPACES = ("log", "linear")
# Means of adipose tissue and of muscle with some contrast agent on calibrated CT; the 143 HU between them matter.
CLASS_HU = (-103.0, 40.0)
BLOCKS = 8
BIN_HU = 4.0
# Counts reach beyond the tissue window, so that a scanner that is off by 10 % does not lose its fat.
MARGIN_HU = 150.0
_PRIOR_SHARES = np.array([0.30, 0.55, 0.15])
# Widths of the classes, in units of 1000 HU; freer ones let one class swallow the other where a field is steep.
_WIDTH = (0.020, 0.025)
# Voxels of a block are not independent: 40 of them weigh as one, and shaped terms have a prior deviation of 2 %.
_RIDGE = 40 / 0.02**2
_SHARE_COUNTS = 30.0
_SHIFT_SD = 0.04
_EVIDENCE_COUNTS = 2000.0
# (terms below this degree, iterations): the shape joins when the constant has settled.
_STAGES = ((1, 6), (2, 6), (3, 25))
_FEWEST_IN_BLOCK = 5


@dataclass(frozen=True)
class TissueFit:
    """Result of :func:`fit_tissues`.

    Args:
        field: (10,) coefficients in body coordinates; logarithm of a factor, or units of 1000 HU.
        shares: share of fat, muscle and anything else among the voxels counted.
        widths: standard deviation of fat and muscle, same unit as the field.
    """

    field: NDArray[np.float64]
    shares: NDArray[np.float64]
    widths: NDArray[np.float64]


def bin_edges(tissue: tuple[float, float]) -> NDArray[np.float64]:
    """Edges of the HU bins, 150 HU beyond the tissue window on either side.

    Half an HU off whole numbers, so that the center of a bin is the mean of the whole numbers within it.

    >>> edges = bin_edges((-150.0, 150.0))
    >>> float(edges[0]), float(edges[-1]), len(edges)
    (-300.5, 299.5, 151)
    """
    low, high = tissue[0] - MARGIN_HU - 0.5, tissue[1] + MARGIN_HU - 0.5
    return np.linspace(low, high, 1 + round((high - low) / BIN_HU))


def count_blocks(
    values: NDArray[np.float64], points: NDArray[np.float64], edges: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Voxels per block of the body and HU bin.

    Args:
        values: (n,) HU.
        points: (n, 3) body coordinates.
        edges: (k + 1,) even bin edges, HU; values outside do not count.

    Returns:
        (512, k) array.
    """
    blocks = np.clip(((points + 1) / 2 * BLOCKS).astype(np.intp), 0, BLOCKS - 1)
    block = (blocks[:, 0] * BLOCKS + blocks[:, 1]) * BLOCKS + blocks[:, 2]
    bins = len(edges) - 1
    place = np.floor((values - edges[0]) / (edges[1] - edges[0]))
    inside = (place >= 0) & (place < bins)
    index = block[inside] * bins + place[inside].astype(np.intp)
    return np.bincount(index, minlength=BLOCKS**3 * bins).reshape(BLOCKS**3, bins).astype(float)


def to_space(hu: NDArray[np.float64], space: str) -> NDArray[np.float64]:
    """HU as the logarithm of the attenuation relative to water, or in units of 1000 HU.

    >>> to_space(np.array([0.0, 100.0]), "log").round(4).tolist(), to_space(np.array([100.0]), "linear").tolist()
    ([0.0, 0.0953], [0.1])
    """
    return np.asarray(np.log1p(hu / 1000) if space == "log" else hu / 1000)


def fit_tissues(counts: NDArray[np.float64], edges: NDArray[np.float64], space: str) -> TissueFit:
    """Expectation–maximization of tissue shares, widths and field.

    Args:
        counts: (512, k) of :func:`count_blocks`.
        edges: (k + 1,) bin edges, HU.
        space: ``"log"`` or ``"linear"``.

    >>> edges = bin_edges((-150.0, 150.0))
    >>> rng = np.random.default_rng(0)
    >>> points = rng.uniform(-1, 1, (40000, 3))
    >>> tissue = rng.choice(CLASS_HU, 40000) + rng.normal(0, 20, 40000)
    >>> found = [fit_tissues(count_blocks(v, points, edges), edges, "log").field[0] for v in (tissue, tissue + 20)]
    >>> bool(abs(found[1] - found[0] - 0.0205) < 0.002)
    True
    """
    full = counts.sum(axis=1) >= _FEWEST_IN_BLOCK
    counts = counts[full]
    steps = grid_positions(BLOCKS)
    points = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)[full]
    terms, degrees = basis_at(points), degree_of_terms()
    bins = to_space((edges[:-1] + edges[1:]) / 2, space)
    means = to_space(np.array(CLASS_HU), space)
    even = 1 / (bins[-1] - bins[0])
    field = np.zeros(terms.shape[1])
    field[0] = _first_shift(counts.sum(axis=0), bins, means, even)
    # Most bins of a block are empty; the others, block by block: (n,) each, and (2, n) or (3, n) by class.
    block, column = np.nonzero(counts)
    first = np.searchsorted(block, np.arange(len(counts)))
    count, x = counts[block, column], bins[column] - means[:, None]
    widths, shares = np.full(2, _WIDTH[1]), np.tile(_PRIOR_SHARES, (len(counts), 1))
    overall = _PRIOR_SHARES
    for below, iterations in _STAGES:
        active = degrees < below
        part = terms[:, active]
        ridge = np.diag(np.where(degrees[active] == 0, 0.0, _RIDGE))
        for _ in range(iterations):
            offset = x - (terms @ field)[block]
            density = np.exp(-0.5 * (offset / widths[:, None]) ** 2) / (widths[:, None] * np.sqrt(2 * np.pi))
            joint = np.concatenate([density, np.full((1, len(block)), even)]) * shares.T[:, block]
            found = joint / joint.sum(axis=0) * count
            totals = np.add.reduceat(found, first, axis=1).T
            overall = totals.sum(axis=0) / totals.sum()
            shares = (totals + _SHARE_COUNTS * overall) / (totals.sum(axis=1, keepdims=True) + _SHARE_COUNTS)
            tissue = found[:2]
            weight = (totals[:, :2] / widths**2).sum(axis=1)
            pull = np.add.reduceat((tissue * x / widths[:, None] ** 2).sum(axis=0), first)
            # The constant has no prior: without ridge the smallest system is still regular, as weight > 0 somewhere.
            field[active] = np.linalg.solve(part.T @ (part * weight[:, None]) + ridge, part.T @ pull)
            rest = x - (terms @ field)[block]
            spread = (tissue * rest**2).sum(axis=1) / np.maximum(totals[:, :2].sum(axis=0), 1.0)
            widths = np.clip(np.sqrt(spread), *_WIDTH)
    return TissueFit(field, overall, widths)


def _first_shift(counts: NDArray[np.float64], x: NDArray[np.float64], means: NDArray[np.float64], even: float) -> float:
    """Shift of the whole histogram that explains it best, with a prior of 4 %: it tells fat from muscle."""
    best, found = -np.inf, 0.0
    for shift in np.linspace(-0.1, 0.1, 41):
        density = np.exp(-0.5 * ((x - means[:, None] - shift) / _WIDTH[1]) ** 2) / (_WIDTH[1] * np.sqrt(2 * np.pi))
        likelihood = np.log(_PRIOR_SHARES[:2] @ density + _PRIOR_SHARES[2] * even) @ counts / counts.sum()
        score = float(likelihood * _EVIDENCE_COUNTS - 0.5 * (shift / _SHIFT_SD) ** 2)
        if score > best:
            best, found = score, float(shift)
    return found
