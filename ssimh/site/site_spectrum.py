"""Summary of a site: a few numbers per subject, no image."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimh._kernels.per_image import zip_per_image
from ssimh.files.json_object import JsonObject
from ssimh.files.reference_file import SITE, StoredSpectrum
from ssimh.orientation import check_orientation
from ssimh.site.body import BODY_THRESHOLD_HU
from ssimh.site.ct_subject import fit_ct_subject
from ssimh.site.earlier_files import read_earlier_site
from ssimh.site.mixture import SPACES
from ssimh.site.pet_subject import fit_pet_subject
from ssimh.site.resolution import SiteResolution, measure_resolution
from ssimh.site.shrinkage import spread
from ssimh.site.subjects import (
    MODALITIES,
    TISSUES,
    PetSubjectRecord,
    SubjectRecord,
    check_subjects,
    subjects_from_dicts,
    subjects_to_dicts,
)
from ssimh.site.volume import LAST_THREE

TISSUE_WINDOW_HU = (-150.0, 150.0)


@dataclass(frozen=True, eq=False)
class SiteSpectrum(StoredSpectrum):
    """What is kept of every subject of a site: of a CT field, tissues and grain, of a PET the power spectra.

    About 400 bytes for a CT and 600 for a PET, and no image. Made by :meth:`fit`; merged by ``a + b``; compared by
    :func:`ssimh.site_difference`.

    Args:
        subjects: (n,) structured array, one entry per subject. CT: the fields ``log_field`` and ``linear_field``
            (10 coefficients each, body coordinates; logarithm of a factor on HU + 1000, and units of 1000 HU),
            ``body_box`` ((3, 2), ends along (z, y, x) in grid coordinates), ``tissue_shares`` (fat, muscle, other),
            ``tissue_voxels`` (how many were counted), ``body_ml`` (0 if unknown) and ``grain_hu2mm2`` (power of the
            grain in 16 rings of frequency, 0 where it was not measured). PET: ``power_mm3`` and
            ``noise_mm3`` ((9, 4), shells of 0.04 … 0.12 per mm and sectors from in plane to axial, relative to the
            square of the mean uptake; 0 where the voxels are too large).
        tissue_window_hu: HU window of soft tissue.
        body_threshold_hu: HU above which a voxel can belong to the body.
        orientation: letters of the (z, y, x) axes, as ``"SPL"``, if known.
        modality: ``"CT"`` or ``"PT"``.

    Raises:
        ValueError: no subject, values that are not finite, or an array of another form.
    """

    file_kind = SITE

    subjects: NDArray[Any]
    _: KW_ONLY
    tissue_window_hu: tuple[float, float] = TISSUE_WINDOW_HU
    body_threshold_hu: float = BODY_THRESHOLD_HU
    orientation: str | None = None
    modality: str = "CT"

    def __post_init__(self) -> None:
        _check_settings(self.tissue_window_hu, self.body_threshold_hu, self.orientation, self.modality)
        window = (float(self.tissue_window_hu[0]), float(self.tissue_window_hu[1]))
        object.__setattr__(self, "subjects", check_subjects(self.subjects, self.modality))
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
        modality: str = "CT",
    ) -> SiteSpectrum:
        """One pass over the scans of a site, one in memory at a time.

        Args:
            images: any iterable of arrays or tensors with three axes, CT in HU or PET in SUV; a generator that loads
                them one by one is best. Their grids may differ. Not modified.
            axes_zyx: which axes of the images are z (head–foot), y and x; None for the last three in this order.
            tissue_window_hu: HU window of soft tissue; fat and muscle are looked for up to 150 HU beyond it.
            body_threshold_hu: HU above which a voxel can belong to the body.
            masks: boolean arrays or 0/1 integers of the images' shapes, one per image, in place of the body found by
                the threshold.
            spacing_mm: voxel size along (z, y, x), one triple for all or one per image. PET needs it. CT does not;
                with it, the volume of the bodies is recorded and checked, and the grain is measured.
            orientation: letters of the (z, y, x) axes, such as ``"SPL"``; sites that state different ones are refused.
            modality: ``"CT"``, or ``"PT"`` for the resolution of PET.

        Raises:
            TypeError: not an array, or boolean or complex.
            ValueError: no image, another number of axes, NaN or infinite values, a mask of another shape or without a
                voxel, too little soft tissue, no air, or tissue where none of a CT in HU can be; of a PET no spacing,
                voxels of more than 7 mm, an image smaller than 60 mm, or values that are no SUV. Says which image.

        >>> scan = np.full((12, 24, 24), -1000.0)
        >>> scan[:, 4:20, 4:20] = -100
        >>> scan[:, 7:17, 7:17] = 40
        >>> site = SiteSpectrum.fit([scan, scan])
        >>> site.n_subjects, site.coefficients().shape, {k: round(v, 1) for k, v in site.tissue_shares.items()}
        (2, (2, 10), {'fat': 0.6, 'muscle': 0.4, 'other': 0.0})
        """
        if is_single(images):
            raise TypeError("images must be an iterable of arrays; for one scan, give a list of one: [image].")
        _check_settings(tissue_window_hu, body_threshold_hu, orientation, modality)
        axes = LAST_THREE if axes_zyx is None else tuple(axes_zyx)
        found = []
        for number, (image, mask, spacing) in enumerate(zip_per_image(images, masks, spacing_mm), start=1):
            try:
                if modality == "PT":
                    found.append(fit_pet_subject(image, mask, spacing, axes))
                else:
                    found.append(fit_ct_subject(image, mask, spacing, axes, tissue_window_hu, float(body_threshold_hu)))
            except (TypeError, ValueError) as error:
                raise type(error)(f"image {number}: {error}") from error
        if not found:
            raise ValueError("no image was given; a site needs at least one subject.")
        return cls(
            np.array(found, dtype=MODALITIES[modality]),
            tissue_window_hu=tissue_window_hu,
            body_threshold_hu=body_threshold_hu,
            orientation=orientation,
            modality=modality,
        )

    @property
    def n_subjects(self) -> int:
        """Number of subjects behind the site."""
        return len(self.subjects)

    @property
    def tissue_shares(self) -> dict[str, float]:
        """Share of fat, muscle and anything else within the window, mean over subjects."""
        values = self._of_ct("tissue_shares").mean(axis=0)
        return dict(zip(TISSUES, map(float, values), strict=True))

    @property
    def resolution(self) -> SiteResolution:
        """Resolution of a site of PET.

        Raises:
            ValueError: a site of CT.
        """
        if self.modality != "PT":
            raise ValueError(f"a site of modality {self.modality!r} has no resolution; only one of PET has.")
        return measure_resolution(self.subjects["power_mm3"], self.subjects["noise_mm3"])

    @property
    def body_ml(self) -> NDArray[np.float64]:
        """(n,) volume of the bodies in ml; 0 where no spacing was given."""
        return self._of_ct("body_ml")

    @property
    def boxes(self) -> NDArray[np.float64]:
        """(n, 3, 2) ends of the bodies along (z, y, x), in grid coordinates (-1 and 1 at the faces of the array)."""
        return self._of_ct("body_box")

    def coefficients(self, space: str = "log") -> NDArray[np.float64]:
        """(n, 10) field of each subject in body coordinates.

        Logarithm of a factor on HU + 1000 in ``"log"``, units of 1000 HU in ``"linear"`` space.
        """
        if space not in SPACES:
            raise ValueError(f"space must be one of {', '.join(SPACES)}; given {space!r}.")
        return self._of_ct(f"{space}_field")

    def _of_ct(self, name: str) -> NDArray[np.float64]:
        """A field of the subjects that only CT has.

        Raises:
            ValueError: a site of PET.
        """
        if self.modality != "CT":
            raise ValueError(f"a site of modality {self.modality!r} has no {name}; only one of CT has.")
        return np.asarray(self.subjects[name])

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
            modality=self.modality,
        )

    def check_comparable(self, other: SiteSpectrum) -> None:
        """Refuse sites that were fitted in different ways.

        Raises:
            ValueError: another modality, tissue window, threshold or orientation.
        """
        for name in ("modality", "tissue_window_hu", "body_threshold_hu", "orientation"):
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine != theirs and not (name == "orientation" and None in (mine, theirs)):
                raise ValueError(f"the two sites have {name} {mine} and {theirs}; they must have been fitted alike.")

    def header(self) -> Mapping[str, object]:
        """Everything but the subjects, as plain JSON values."""
        return {
            "tissue_window_hu": list(self.tissue_window_hu),
            "body_threshold_hu": self.body_threshold_hu,
            "orientation": self.orientation,
            "modality": self.modality,
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

    def to_dicts(self) -> list[SubjectRecord] | list[PetSubjectRecord]:
        """One dictionary of plain numbers per subject, for JSON."""
        return subjects_to_dicts(self.subjects, self.modality)

    @classmethod
    def from_dicts(
        cls,
        subjects: Iterable[Mapping[str, Any]],
        *,
        tissue_window_hu: tuple[float, float] = TISSUE_WINDOW_HU,
        body_threshold_hu: float = BODY_THRESHOLD_HU,
        orientation: str | None = None,
        modality: str = "CT",
    ) -> SiteSpectrum:
        """The site of subjects as :meth:`to_dicts` gives them; the way there and back is exact.

        Raises:
            ValueError, TypeError: no subject, or fields that are missing, unknown or of another shape.
        """
        return cls(
            subjects_from_dicts(subjects, modality),
            tissue_window_hu=tissue_window_hu,
            body_threshold_hu=body_threshold_hu,
            orientation=orientation,
            modality=modality,
        )

    @classmethod
    def _from_file(cls, header: JsonObject, array: NDArray[Any]) -> SiteSpectrum:
        return cls(array, **header)

    @classmethod
    def _from_earlier(cls, version: int, header: JsonObject, array: NDArray[Any]) -> tuple[SiteSpectrum, str]:
        settings, subjects, content_hash = read_earlier_site(version, header, array)
        return cls(subjects, **settings), content_hash


def is_single(images: Any) -> bool:
    """Whether one array of at most three axes was given where an iterable of arrays is meant."""
    return hasattr(images, "ndim") and images.ndim <= 3


def _check_settings(tissue_window_hu: Any, body_threshold_hu: float, orientation: str | None, modality: str) -> None:
    if modality not in MODALITIES:
        raise ValueError(f"modality must be one of {', '.join(MODALITIES)}; given {modality!r}.")
    low, high = tissue_window_hu
    if not -1000 < body_threshold_hu < low < high < 1000:
        raise ValueError(
            "tissue_window_hu and body_threshold_hu must be -1000 < threshold < lowest < highest < 1000 HU; given "
            f"tissue_window_hu={tissue_window_hu}, body_threshold_hu={body_threshold_hu}."
        )
    if orientation is not None:
        check_orientation(orientation, 3)
