"""Summary of a site: a few numbers per subject, no image."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimh._kernels.arrays import check_array, check_finite, is_tensor, normalize_axes, to_numpy
from ssimh._kernels.checks import check_mask
from ssimh._kernels.per_image import zip_per_image
from ssimh.files.json_object import JsonObject
from ssimh.files.reference_file import SITE, StoredSpectrum
from ssimh.orientation import check_orientation
from ssimh.site.body import BODY_THRESHOLD_HU, body_box, body_mask, strides
from ssimh.site.field import positions
from ssimh.site.mixture import SPACES, bin_edges, count_blocks, fit_tissues
from ssimh.site.shrinkage import spread
from ssimh.site.subjects import SUBJECT, TISSUES, SubjectRecord, check_subjects, subjects_from_dicts, subjects_to_dicts

TISSUE_WINDOW_HU = (-150.0, 150.0)
LAST_THREE = (-3, -2, -1)
NO_BODY = "no voxel lies above {} HU, so there is no body; are the values in HU?"
_FEWEST_VOXELS = 500
_LEAST_TISSUE, _LEAST_AIR = 0.05, 0.001
# A tenth of the attenuation of water is 100 HU, more than any scanner in use is off by.
_LARGEST_SHIFT = 0.099
_VOLUME_ML = (50.0, 400_000.0)


@dataclass(frozen=True, eq=False)
class SiteSpectrum(StoredSpectrum):
    """The low-order field and the tissues of every subject of a site, about 250 bytes each.

    Made by :meth:`fit`; merged by ``a + b``; compared by :func:`ssimh.site_difference`.

    Args:
        subjects: (n,) structured array, one entry per subject, with the fields ``log_field`` and ``linear_field``
            (10 coefficients each, body coordinates; logarithm of a factor on HU + 1000, and units of 1000 HU),
            ``body_box`` ((3, 2), ends along (z, y, x) in grid coordinates), ``tissue_shares`` (fat, muscle, other),
            ``tissue_voxels`` (how many were counted) and ``body_ml`` (0 if unknown).
        tissue_window_hu: HU window of soft tissue.
        body_threshold_hu: HU above which a voxel can belong to the body.
        orientation: letters of the (z, y, x) axes, as ``"SPL"``, if known.

    Raises:
        ValueError: no subject, values that are not finite, or an array of another form.
    """

    file_kind = SITE

    subjects: NDArray[Any]
    _: KW_ONLY
    tissue_window_hu: tuple[float, float] = TISSUE_WINDOW_HU
    body_threshold_hu: float = BODY_THRESHOLD_HU
    orientation: str | None = None

    def __post_init__(self) -> None:
        _check_settings(self.tissue_window_hu, self.body_threshold_hu, self.orientation)
        window = (float(self.tissue_window_hu[0]), float(self.tissue_window_hu[1]))
        object.__setattr__(self, "subjects", check_subjects(self.subjects))
        object.__setattr__(self, "tissue_window_hu", window)
        object.__setattr__(self, "body_threshold_hu", float(self.body_threshold_hu))

    @classmethod
    def fit(
        cls,
        images: Iterable[Any],
        *,
        axes_zyx: Sequence[int] | None = None,
        tissue_window_hu: tuple[float, float] = TISSUE_WINDOW_HU,
        body_threshold_hu: float = BODY_THRESHOLD_HU,
        masks: Iterable[Any] | None = None,
        spacing_mm: Sequence[Any] | None = None,
        orientation: str | None = None,
    ) -> SiteSpectrum:
        """One pass over the scans of a site, one in memory at a time.

        Args:
            images: any iterable of CT arrays or tensors in HU with three axes; a generator that loads them one by one
                is best. Their grids may differ. Not modified.
            axes_zyx: which axes of the images are z (head–foot), y and x; None for the last three in this order.
            tissue_window_hu: HU window of soft tissue; fat and muscle are looked for up to 150 HU beyond it.
            body_threshold_hu: HU above which a voxel can belong to the body.
            masks: boolean arrays or 0/1 integers of the images' shapes, one per image, in place of the body found by
                the threshold.
            spacing_mm: voxel size along (z, y, x), one triple for all or one per image. The method needs none; with
                it, the volume of the bodies is recorded and checked.
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
        _check_settings(tissue_window_hu, body_threshold_hu, orientation)
        axes = LAST_THREE if axes_zyx is None else tuple(axes_zyx)
        found = []
        for number, (image, mask, spacing) in enumerate(zip_per_image(images, masks, spacing_mm), start=1):
            try:
                found.append(_fit_subject(image, mask, spacing, axes, tissue_window_hu, float(body_threshold_hu)))
            except (TypeError, ValueError) as error:
                raise type(error)(f"image {number}: {error}") from error
        if not found:
            raise ValueError("no image was given; a site needs at least one subject.")
        return cls(
            np.array(found, dtype=SUBJECT),
            tissue_window_hu=tissue_window_hu,
            body_threshold_hu=body_threshold_hu,
            orientation=orientation,
        )

    @property
    def n_subjects(self) -> int:
        """Number of subjects behind the site."""
        return len(self.subjects)

    @property
    def tissue_shares(self) -> dict[str, float]:
        """Share of fat, muscle and anything else within the window, mean over subjects."""
        values = self.subjects["tissue_shares"].mean(axis=0)
        return dict(zip(TISSUES, map(float, values), strict=True))

    @property
    def body_ml(self) -> NDArray[np.float64]:
        """(n,) volume of the bodies in ml; 0 where no spacing was given."""
        return np.asarray(self.subjects["body_ml"])

    @property
    def boxes(self) -> NDArray[np.float64]:
        """(n, 3, 2) ends of the bodies along (z, y, x), in grid coordinates (-1 and 1 at the faces of the array)."""
        return np.asarray(self.subjects["body_box"])

    def coefficients(self, space: str = "log") -> NDArray[np.float64]:
        """(n, 10) field of each subject in body coordinates.

        Logarithm of a factor on HU + 1000 in ``"log"``, units of 1000 HU in ``"linear"`` space.
        """
        if space not in SPACES:
            raise ValueError(f"space must be one of {', '.join(SPACES)}; given {space!r}.")
        return np.asarray(self.subjects[f"{space}_field"])

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
            tissue_window_hu=self.tissue_window_hu,
            body_threshold_hu=self.body_threshold_hu,
            orientation=self.orientation or other.orientation,
        )

    def check_comparable(self, other: SiteSpectrum) -> None:
        """Refuse sites that were fitted in different ways.

        Raises:
            ValueError: another tissue window, threshold or orientation.
        """
        for name in ("tissue_window_hu", "body_threshold_hu", "orientation"):
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine != theirs and not (name == "orientation" and None in (mine, theirs)):
                raise ValueError(f"the two sites have {name} {mine} and {theirs}; they must have been fitted alike.")

    def header(self) -> Mapping[str, object]:
        """Everything but the subjects, as plain JSON values."""
        return {
            "tissue_window_hu": list(self.tissue_window_hu),
            "body_threshold_hu": self.body_threshold_hu,
            "orientation": self.orientation,
        }

    @property
    def content_hash(self) -> str:
        """SHA-256 over settings and subjects, ``"sha256:…"``: equal for equal sites on every machine."""
        # site_difference subtracts sites in the order of their hashes, so these names are part of its last bit.
        names = {"tissue_window_hu": "tissue", "body_threshold_hu": "threshold"}
        settings = {names.get(name, name): value for name, value in self.header().items()}
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
        digest.update(self.subjects.tobytes())
        return f"sha256:{digest.hexdigest()}"

    def to_dicts(self) -> list[SubjectRecord]:
        """One dictionary of plain numbers per subject, for JSON."""
        return subjects_to_dicts(self.subjects)

    @classmethod
    def from_dicts(
        cls,
        subjects: Iterable[Mapping[str, Any]],
        *,
        tissue_window_hu: tuple[float, float] = TISSUE_WINDOW_HU,
        body_threshold_hu: float = BODY_THRESHOLD_HU,
        orientation: str | None = None,
    ) -> SiteSpectrum:
        """The site of subjects as :meth:`to_dicts` gives them; the way there and back is exact.

        Raises:
            ValueError, TypeError: no subject, or fields that are missing, unknown or of another shape.
        """
        return cls(
            subjects_from_dicts(subjects),
            tissue_window_hu=tissue_window_hu,
            body_threshold_hu=body_threshold_hu,
            orientation=orientation,
        )

    @classmethod
    def _from_file(cls, header: JsonObject, array: NDArray[Any]) -> SiteSpectrum:
        return cls(array, **header)


def is_single(images: Any) -> bool:
    """Whether one array of at most three axes was given where an iterable of arrays is meant."""
    return hasattr(images, "ndim") and images.ndim <= 3


def _check_settings(tissue_window_hu: Any, body_threshold_hu: float, orientation: str | None) -> None:
    low, high = tissue_window_hu
    if not -1000 < body_threshold_hu < low < high < 1000:
        raise ValueError(
            "tissue_window_hu and body_threshold_hu must be -1000 < threshold < lowest < highest < 1000 HU; given "
            f"tissue_window_hu={tissue_window_hu}, body_threshold_hu={body_threshold_hu}."
        )
    if orientation is not None:
        check_orientation(orientation, 3)


def to_zyx(values: Any, axes: tuple[int, ...], whose: str) -> Any:
    """View of a volume, array or tensor, with its axes in the order (z, y, x).

    Raises:
        ValueError: not three axes, or axes that do not name each of them once.
    """
    if values.ndim != 3 or len(axes) != 3:
        raise ValueError(f"{whose} must have three axes, (z, y, x); its shape is {tuple(values.shape)}, axes={axes}.")
    normalize_axes(axes, 3, whose)
    order = [axis % 3 for axis in axes]
    return values.permute(order) if is_tensor(values) else values.transpose(order)


def find_body(values: NDArray[Any], body_threshold_hu: float) -> NDArray[np.bool_]:
    """Mask of the body of a (z, y, x) volume in HU.

    Raises:
        ValueError: no voxel lies above the threshold.
    """
    found = body_mask(values > body_threshold_hu)
    if not found.any():
        raise ValueError(NO_BODY.format(body_threshold_hu))
    return found


def _fit_subject(
    image: Any,
    mask: Any,
    spacing_mm: Any,
    axes_zyx: tuple[int, ...],
    tissue_window_hu: tuple[float, float],
    body_threshold_hu: float,
) -> NDArray[Any]:
    """One subject, as an array of dtype ``SUBJECT`` without axes."""
    check_array(image, "image")
    values = to_zyx(to_numpy(image), axes_zyx, "image")
    check_finite(values, "image")
    if mask is None:
        body = find_body(values, body_threshold_hu)
        _check_air(values, body_threshold_hu)
    else:
        body = to_zyx(check_mask(mask, tuple(image.shape)), axes_zyx, "mask")
    subject = np.zeros((), SUBJECT)
    subject["body_box"] = box = body_box(body)
    subject["body_ml"] = _body_ml(body, spacing_mm)
    steps = strides(values.shape)
    coarse, inside = values[steps].astype(np.float64), body[steps]
    inside = inside & (coarse > body_threshold_hu)
    where = np.nonzero(inside)
    lines = [positions(size, *ends)[step] for size, ends, step in zip(values.shape, box, steps, strict=True)]
    points = np.stack([line[index] for line, index in zip(lines, where, strict=True)], axis=1)
    tissue_hu = coarse[inside]
    _check_tissue(tissue_hu, tissue_window_hu)
    edges = bin_edges(tissue_window_hu)
    counts = count_blocks(tissue_hu, points, edges)
    fits = {space: fit_tissues(counts, edges, space) for space in SPACES}
    _check_fit(fits["log"].field)
    for space, fit in fits.items():
        subject[f"{space}_field"] = fit.field
    subject["tissue_shares"] = fits["log"].shares
    subject["tissue_voxels"] = counts.sum()
    return subject


def _check_air(values: NDArray[Any], body_threshold_hu: float) -> None:
    if np.count_nonzero(values <= body_threshold_hu) < _LEAST_AIR * values.size:
        raise ValueError(
            f"less than {_LEAST_AIR:.1%} of the voxels lie below {body_threshold_hu} HU, so there is no air around the "
            "body; the values are not HU (stored values with an offset?), or pass masks."
        )


def _check_tissue(tissue_hu: NDArray[np.float64], tissue_window_hu: tuple[float, float]) -> None:
    low, high = tissue_window_hu
    within = np.count_nonzero((tissue_hu >= low) & (tissue_hu <= high))
    if within < max(_FEWEST_VOXELS, _LEAST_TISSUE * tissue_hu.size):
        raise ValueError(
            f"only {within} of {tissue_hu.size} voxels of the body lie within the tissue window {tissue_window_hu} HU; "
            f"at least {_FEWEST_VOXELS} and {_LEAST_TISSUE:.0%} are needed. Are the values in HU?"
        )


def _body_ml(body: NDArray[np.bool_], spacing_mm: Any) -> float:
    if spacing_mm is None:
        return 0.0
    volume = float(np.count_nonzero(body)) * _voxel_ml(spacing_mm)
    if not _VOLUME_ML[0] <= volume <= _VOLUME_ML[1]:
        raise ValueError(f"the body has {volume:.3g} ml with spacing_mm={spacing_mm}; are these millimeters?")
    return volume


def _voxel_ml(spacing_mm: Any) -> float:
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
