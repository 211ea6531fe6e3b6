"""What is known about a site: a few numbers per subject, no image."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimh._kernels.arrays import check_array, check_finite, normalize_axes, to_numpy
from ssimh.files import reference_file
from ssimh.files.reference_file import ReferenceFileError
from ssimh.orientation import check_orientation, orientation_map
from ssimh.site.body import BODY_THRESHOLD_HU, body_box, body_mask, strides
from ssimh.site.field import TERMS, positions
from ssimh.site.mixture import SPACES, bin_edges, count_blocks, fit_tissues
from ssimh.site.shrinkage import spread

FORMAT = "ssimh-site"
_SIZE = len(TERMS)
# Columns: field in log space, field in linear space, ends of the body, shares of the tissues, voxels, body in ml.
_FIELDS = {"log": slice(0, _SIZE), "linear": slice(_SIZE, 2 * _SIZE)}
_BOX, _SHARES = slice(2 * _SIZE, 2 * _SIZE + 6), slice(2 * _SIZE + 6, 2 * _SIZE + 9)
_VOXELS, _VOLUME = 2 * _SIZE + 9, 2 * _SIZE + 10
COLUMNS = 2 * _SIZE + 11
_FEWEST_VOXELS = 500
_LEAST_TISSUE, _LEAST_AIR = 0.05, 0.001
# A tenth of the attenuation of water is 100 HU, more than any scanner in use is off by.
_LARGEST_SHIFT = 0.099
_VOLUME_ML = (50.0, 400_000.0)


@dataclass(frozen=True, eq=False)
class SiteSpectrum:
    """The low-order field and the tissues of every subject of a site, about 250 bytes each.

    Made by :meth:`fit`; merged by ``a + b``; compared by :func:`ssimh.site_difference`.

    Args:
        subjects: (n, 31) table, one row per subject; see the properties for what it holds.
        tissue: HU window of soft tissue.
        threshold: HU above which a voxel can belong to the body.
        orientation: letters of the (z, y, x) axes, as ``"SPL"``, if known.

    Raises:
        ValueError: no subject, values that are not finite, or a table of another form.
    """

    subjects: NDArray[np.float64]
    tissue: tuple[float, float] = (-150.0, 150.0)
    threshold: float = BODY_THRESHOLD_HU
    orientation: str | None = None

    def __post_init__(self) -> None:
        table = np.array(self.subjects, dtype=np.float64)
        if table.ndim != 2 or table.shape[1] != COLUMNS or len(table) < 1:
            raise ValueError(
                f"a site holds {COLUMNS} numbers for each of one or more subjects; given shape {table.shape}."
            )
        check_finite(table, "the site's table")
        # In one order, so that a + b equals b + a.
        table = table[np.lexsort(table.T[::-1])]
        table.flags.writeable = False
        low, high, threshold = float(self.tissue[0]), float(self.tissue[1]), float(self.threshold)
        if not -1000 < threshold < low < high < 1000:
            raise ValueError(
                "tissue and threshold must be -1000 < threshold < lowest < highest < 1000 HU; "
                f"given tissue={self.tissue}, threshold={self.threshold}."
            )
        if self.orientation is not None:
            check_orientation(self.orientation, 3)
        for name, value in (("subjects", table), ("tissue", (low, high)), ("threshold", threshold)):
            object.__setattr__(self, name, value)

    @classmethod
    def fit(
        cls,
        images: Iterable[Any],
        *,
        spacing_mm: Sequence[Any] | None = None,
        tissue: tuple[float, float] = (-150.0, 150.0),
        masks: Iterable[Any] | None = None,
        threshold: float | str = "auto",
        axes: Sequence[int] = (-3, -2, -1),
        orientation: str | None = None,
    ) -> SiteSpectrum:
        """One pass over the scans of a site, one in memory at a time.

        Args:
            images: any iterable of CT arrays or tensors in HU with three axes; a generator that loads them one by one
                is best. Their grids may differ. Not modified.
            spacing_mm: voxel size along (z, y, x), one triple for all or one per image. The method needs none; with
                it, the volume of the bodies is recorded and checked.
            tissue: HU window of soft tissue; fat and muscle are looked for up to 150 HU beyond it.
            masks: boolean arrays of the images' shapes, one per image, in place of the body found by ``threshold``.
            threshold: HU above which a voxel can belong to the body; ``"auto"`` is -500.
            axes: which axes of the images are z (head–foot), y and x.
            orientation: letters of the (z, y, x) axes, such as ``"SPL"``; sites that state different ones are refused.

        Raises:
            TypeError: not an array, or boolean or complex.
            ValueError: no image, another number of axes, NaN or infinite values, a mask of another shape or without a
                voxel, too little soft tissue, no air, or tissue where none of a CT in HU can be. Says which image.

        >>> scan = np.full((12, 24, 24), -1000.0)
        >>> scan[:, 4:20, 4:20] = -100
        >>> scan[:, 7:17, 7:17] = 40
        >>> site = SiteSpectrum.fit([scan, scan])
        >>> site.n_subjects, site.coefficients().shape, {k: round(v, 1) for k, v in site.tissue_shares.items()}
        (2, (2, 10), {'fat': 0.6, 'muscle': 0.4, 'other': 0.0})
        """
        if is_single(images):
            raise TypeError("images must be an iterable of arrays; for one scan, give a list of one: [image].")
        number_threshold = BODY_THRESHOLD_HU if threshold == "auto" else threshold
        if isinstance(number_threshold, str):
            raise ValueError(f'threshold must be a number in HU or "auto"; given {threshold!r}.')
        frame = cls(np.zeros((1, COLUMNS)), tissue, float(number_threshold), orientation)
        per_image = spacing_mm is not None and len(spacing_mm) > 0 and np.ndim(spacing_mm[0]) > 0
        steps: Iterable[Any] = spacing_mm if per_image and spacing_mm is not None else repeat(spacing_mm)
        rows = []
        for number, (image, mask, step) in enumerate(_zip_inputs(images, masks, steps, per_image), start=1):
            try:
                rows.append(_subject(image, mask, step, tuple(axes), frame))
            except (TypeError, ValueError) as error:
                raise type(error)(f"image {number}: {error}") from error
        if not rows:
            raise ValueError("no image was given; a site needs at least one subject.")
        return cls(np.array(rows), frame.tissue, frame.threshold, orientation)

    @property
    def n_subjects(self) -> int:
        """Number of subjects behind the site."""
        return len(self.subjects)

    @property
    def tissue_shares(self) -> dict[str, float]:
        """Share of fat, muscle and anything else within the window, mean over subjects."""
        values = self.subjects[:, _SHARES].mean(axis=0)
        return dict(zip(("fat", "muscle", "other"), map(float, values), strict=True))

    @property
    def body_ml(self) -> NDArray[np.float64]:
        """(n,) volume of the bodies in ml; 0 where no spacing was given."""
        return self.subjects[:, _VOLUME]

    @property
    def boxes(self) -> NDArray[np.float64]:
        """(n, 3, 2) ends of the bodies along (z, y, x), in grid coordinates (-1 and 1 at the faces of the array)."""
        return self.subjects[:, _BOX].reshape(-1, 3, 2)

    def coefficients(self, space: str = "log") -> NDArray[np.float64]:
        """(n, 10) field of each subject in body coordinates.

        Logarithm of a factor on HU + 1000 in ``"log"``, units of 1000 HU in ``"linear"`` space.
        """
        if space not in SPACES:
            raise ValueError(f"space must be one of {', '.join(SPACES)}; given {space!r}.")
        return self.subjects[:, _FIELDS[space]]

    def uncertainty(self, space: str = "log") -> NDArray[np.float64]:
        """(10, 10) covariance of the mean of :meth:`coefficients`: the spread between subjects / their number.

        With few subjects the spread is mostly what is expected between people, so one subject has an uncertainty too.
        """
        return spread([self.coefficients(space)]) / self.n_subjects

    def __add__(self, other: SiteSpectrum) -> SiteSpectrum:
        """The site of both groups of subjects.

        Raises:
            ValueError: the two were fitted with another window, threshold or orientation.
        """
        if not isinstance(other, SiteSpectrum):
            return NotImplemented
        self.check_comparable(other)
        return SiteSpectrum(
            np.concatenate([self.subjects, other.subjects]),
            self.tissue,
            self.threshold,
            self.orientation or other.orientation,
        )

    def check_comparable(self, other: SiteSpectrum) -> None:
        """Refuse sites that were fitted in different ways.

        Raises:
            ValueError: another tissue window, threshold or orientation.
        """
        for name in ("tissue", "threshold", "orientation"):
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine != theirs and not (name == "orientation" and None in (mine, theirs)):
                raise ValueError(f"the two sites have {name} {mine} and {theirs}; they must have been fitted alike.")

    def header(self) -> dict[str, Any]:
        """Everything but the table, as plain JSON values."""
        return {"tissue": list(self.tissue), "threshold": self.threshold, "orientation": self.orientation}

    @property
    def content_hash(self) -> str:
        """SHA-256 over header and table, ``"sha256:…"``: equal for equal sites on every machine."""
        digest = hashlib.sha256(json.dumps(self.header(), sort_keys=True).encode())
        digest.update(self.subjects.astype("<f8").tobytes())
        return f"sha256:{digest.hexdigest()}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SiteSpectrum) and self.content_hash == other.content_hash

    def __hash__(self) -> int:
        return hash(self.content_hash)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the site as an ``.npz`` file: a JSON header and the table, nothing pickled; whole or not at all."""
        header = {**self.header(), "content_hash": self.content_hash, "n_subjects": self.n_subjects}
        reference_file.write(path, header, self.subjects, FORMAT)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> SiteSpectrum:
        """Read a site written by :meth:`save`.

        Raises:
            FileNotFoundError: no such file.
            ReferenceFileError: not a site, damaged, or of a version that this library does not know.
        """
        header, table = reference_file.read(path, FORMAT)
        stated = header.pop("content_hash", None)
        header.pop("n_subjects", None)
        try:
            site = cls(table, **header)
        except (TypeError, ValueError, IndexError) as error:
            raise ReferenceFileError(f"{path}: the content does not describe a site: {error}") from error
        if site.content_hash != stated:
            raise ReferenceFileError(f"{path} is damaged: its content does not have the hash that its header states.")
        return site


def is_single(images: Any) -> bool:
    """Whether one array of at most three axes was given where an iterable of arrays is meant."""
    return hasattr(images, "ndim") and images.ndim <= 3


def _zip_inputs(images: Any, masks: Any, steps: Any, per_image: bool) -> Iterator[tuple[Any, Any, Any]]:
    """Image, mask and spacing of each subject; lists of different length are refused."""
    ends = object()
    others = [iter(repeat(None) if masks is None else masks), iter(steps)]
    for image in images:
        mask, step = (next(other, ends) for other in others)
        if mask is ends or step is ends:
            raise ValueError("there are fewer masks or spacings than images; give one for each.")
        yield image, mask, step
    if (masks is not None and next(others[0], ends) is not ends) or (per_image and next(others[1], ends) is not ends):
        raise ValueError("there are more masks or spacings than images; give one for each.")


def to_zyx(values: NDArray[Any], axes: tuple[int, ...], whose: str) -> NDArray[Any]:
    """View of a volume with its axes in the order (z, y, x).

    Raises:
        ValueError: not three axes, or axes that do not name each of them once.
    """
    if values.ndim != 3 or len(axes) != 3:
        raise ValueError(f"{whose} must have three axes, (z, y, x); its shape is {values.shape}, axes={axes}.")
    normalize_axes(axes, 3, whose)
    return values.transpose([axis % 3 for axis in axes])


def turned(values: NDArray[Any], orientation: str, wanted: str) -> NDArray[Any]:
    """View of a volume with its axes in the directions ``wanted``: exact flips and swaps."""
    sources, flips = orientation_map(orientation, wanted)
    flip = tuple(axis for axis, is_flipped in enumerate(flips) if is_flipped)
    return np.flip(values.transpose(sources), flip)


def find_body(values: NDArray[Any], mask: Any, threshold: float, axes: tuple[int, ...]) -> NDArray[np.bool_]:
    """The caller's mask, checked, or the body above the threshold; both in (z, y, x).

    Raises:
        ValueError: a mask of another dtype or shape, or no voxel in the body.
    """
    if mask is None:
        found = body_mask(values > threshold)
        if not found.any():
            raise ValueError(f"no voxel lies above {threshold} HU, so there is no body; are the values in HU?")
        return found
    given = to_zyx(to_numpy(mask), axes, "mask")
    if given.dtype != np.bool_ or given.shape != values.shape or not given.any():
        raise ValueError(
            f"mask must be boolean of the image's shape {values.shape} with at least one voxel inside; given "
            f"{given.dtype} of shape {given.shape} with {int(np.count_nonzero(given))} inside."
        )
    return given


def _subject(image: Any, mask: Any, spacing_mm: Any, axes: tuple[int, ...], site: SiteSpectrum) -> list[float]:
    """The row of one subject."""
    check_array(image, "image")
    values = to_zyx(to_numpy(image), axes, "image")
    check_finite(values, "image")
    body = find_body(values, mask, site.threshold, axes)
    if mask is None and np.count_nonzero(values <= site.threshold) < _LEAST_AIR * values.size:
        raise ValueError(
            f"less than {_LEAST_AIR:.1%} of the voxels lie below {site.threshold} HU, so there is no air around the "
            "body; the values are not HU (stored values with an offset?), or pass masks."
        )
    box = body_box(body)
    volume = float(np.count_nonzero(body)) * _voxel_ml(spacing_mm)
    if spacing_mm is not None and not _VOLUME_ML[0] <= volume <= _VOLUME_ML[1]:
        raise ValueError(f"the body has {volume:.3g} ml with spacing_mm={spacing_mm}; are these millimeters?")
    steps = strides(values.shape)
    coarse, inside = values[steps].astype(np.float64), body[steps]
    inside = inside & (coarse > site.threshold)
    where = np.nonzero(inside)
    shape = values.shape
    lines = [positions(size, *ends)[step] for size, ends, step in zip(shape, box, steps, strict=True)]
    points = np.stack([line[index] for line, index in zip(lines, where, strict=True)], axis=1)
    tissue_hu = coarse[inside]
    edges = bin_edges(site.tissue)
    counts = count_blocks(tissue_hu, points, edges)
    window = np.count_nonzero((tissue_hu >= site.tissue[0]) & (tissue_hu <= site.tissue[1]))
    if window < max(_FEWEST_VOXELS, _LEAST_TISSUE * tissue_hu.size):
        raise ValueError(
            f"only {window} of {tissue_hu.size} voxels of the body lie within the tissue window {site.tissue} HU; at "
            f"least {_FEWEST_VOXELS} and {_LEAST_TISSUE:.0%} are needed. Are the values in HU?"
        )
    fits = {space: fit_tissues(counts, edges, space) for space in SPACES}
    _check_fit(fits["log"].field)
    shares = fits["log"].shares
    return [*fits["log"].field, *fits["linear"].field, *box.ravel(), *shares, float(counts.sum()), volume]


def _voxel_ml(spacing_mm: Any) -> float:
    if spacing_mm is None:
        return 0.0
    steps = [float(step) for step in spacing_mm]
    if len(steps) != 3 or not all(0 < step < np.inf for step in steps):
        raise ValueError(f"spacing_mm must hold three positive sizes along (z, y, x); given {spacing_mm}.")
    return float(np.prod(steps)) / 1000


def _check_fit(field: NDArray[np.float64]) -> None:
    if not np.isfinite(field).all() or abs(field[0]) > _LARGEST_SHIFT:
        raise ValueError(
            f"fat and muscle were found {1000 * field[0]:.0f} HU away from where they lie on a CT, which no scanner "
            "does; are the values in HU, and is the tissue window right?"
        )
