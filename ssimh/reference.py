"""References: low-frequency coefficients, a few kilobytes without an image."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, fields, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimh._kernels.arrays import check_array, check_finite, check_threshold, normalize_axes, to_numpy
from ssimh._kernels.coefficient_grids import resize_coefficients, turn_coefficients
from ssimh._kernels.dispatch import kernel_for
from ssimh._kernels.fft import corner
from ssimh._kernels.field_of_view import check_same_field
from ssimh._kernels.per_image import zip_per_image
from ssimh._kernels.regions import region_contains, region_mask
from ssimh._kernels.settings import SwapSettings
from ssimh.box import Affine, as_tuples, check_affine, resize_affine, turn_affine
from ssimh.files.json_object import JsonObject
from ssimh.files.reference_file import REFERENCE, ReferenceFileError, StoredSpectrum
from ssimh.orientation import check_orientation, orientation_map, orientation_of
from ssimh.units import refuse_pet

__all__ = ["ReferenceFileError", "ReferenceSpectrum"]

STATISTICS = ("mean", "median")


@dataclass(frozen=True, eq=False)
class ReferenceSpectrum(StoredSpectrum):
    """Low-frequency coefficients of one reference image, or the average of several.

    Args:
        coefficients: array shaped like the image, with each transformed axis cut to ``threshold``.
        threshold: coefficients per transformed axis.
        axes: the transformed axes, counted from the end.
        region: which of the coefficients are meant: ``"square"``, ``"triangle"`` or ``"radial"``.
        shape: grid of the image.
        spacing_mm: voxel sizes of the last axes of ``shape``, if known.
        affine: 4 × 4, voxel index of the last three axes to RAS+ millimeters, if known: where the grid lies in the
            world, for ``grid="physical"``. Voxel sizes and orientation follow from it where they are not given.
        orientation: one letter of R/L, A/P, S/I per spatial axis, towards which the index grows, if known; the
            spatial axes are the last ones. ``"SPL"`` is a (z, y, x) array as SimpleITK gives it for an
            identity direction, ``"RAS"`` an (x, y, z) array as MONAI does.
        unit: intensity unit, if known, such as ``"HU"``.
        n_subjects: number of images behind it.
        statistic: ``"mean"`` or ``"median"`` over these.

    Raises:
        ValueError, TypeError: fields that do not fit each other.
    """

    file_kind = REFERENCE

    coefficients: NDArray[Any]
    _: KW_ONLY
    threshold: int
    axes: tuple[int, ...]
    region: str
    shape: tuple[int, ...]
    spacing_mm: tuple[float, ...] | None = None
    orientation: str | None = None
    affine: Affine | None = None
    unit: str | None = None
    n_subjects: int = 1
    statistic: str = "mean"

    def __post_init__(self) -> None:
        set_field = object.__setattr__  # the class is frozen, its fields still have to be put in order once
        set_field(self, "shape", tuple(int(size) for size in self.shape))
        set_field(self, "axes", normalize_axes(self.axes, len(self.shape), "the reference"))
        set_field(self, "threshold", check_threshold(self.threshold, self.shape, self.axes, "the reference"))
        region_mask(self.region, self.threshold, len(self.axes))
        if self.affine is not None:
            self._take_affine()
        if self.spacing_mm is not None:
            spacing = tuple(float(step) for step in self.spacing_mm)
            if not 1 <= len(spacing) <= len(self.shape) or not all(0 < step < np.inf for step in spacing):
                raise ValueError(
                    f"spacing_mm must hold one positive size per spatial axis, at most {len(self.shape)}; "
                    f"given {self.spacing_mm}."
                )
            set_field(self, "spacing_mm", spacing)
        if self.orientation is not None:
            check_orientation(self.orientation, len(self.shape))
        if self.statistic not in STATISTICS or self.n_subjects < 1:
            raise ValueError(
                f"statistic must be one of {STATISTICS} and n_subjects at least 1; "
                f"given {self.statistic!r} and {self.n_subjects}."
            )
        expected = list(self.shape)
        for axis in self.axes:
            expected[axis] = self.threshold
        values = np.array(self.coefficients, dtype=np.result_type(self.coefficients, np.float32), order="C")
        if values.shape != tuple(expected):
            raise ValueError(f"coefficients have shape {values.shape}; this grid and threshold need {tuple(expected)}.")
        check_finite(values, "the reference's coefficients")
        values.flags.writeable = False
        set_field(self, "coefficients", values)

    def _take_affine(self) -> None:
        """The affine as tuples; voxel sizes and orientation from it, or checked against it."""
        if len(self.shape) < 3:
            raise ValueError(f"affine needs an image of three axes or more; given shape {self.shape}.")
        matrix = check_affine(self.affine, "affine")
        object.__setattr__(self, "affine", as_tuples(matrix))
        steps = tuple(float(step) for step in np.linalg.norm(matrix[:3, :3], axis=0))
        letters = orientation_of(matrix[:3, :3], space="RAS")
        if self.spacing_mm is None:
            object.__setattr__(self, "spacing_mm", steps)
        elif len(self.spacing_mm) > 3 or not np.allclose(self.spacing_mm, steps[-len(self.spacing_mm) :], rtol=1e-3):
            raise ValueError(
                f"spacing_mm={self.spacing_mm} contradicts the affine's voxel sizes {steps}; leave it out."
            )
        if self.orientation is None:
            object.__setattr__(self, "orientation", letters)
        elif self.orientation.upper() != letters:
            raise ValueError(f"orientation={self.orientation!r} contradicts the affine's {letters!r}; leave it out.")

    @classmethod
    def from_image(
        cls,
        image: Any,
        *,
        threshold: int = 3,
        axes: int | Sequence[int] = (-2, -1),
        region: str = "square",
        spacing_mm: Sequence[float] | None = None,
        orientation: str | None = None,
        affine: Any = None,
        unit: str | None = None,
    ) -> ReferenceSpectrum:
        """Coefficients of one image.

        Args:
            image: NumPy array or torch tensor, integer or floating, any unit; not modified. For CT in HU its shape
                is (z, y, x) with the default axes.
            threshold: coefficients per axis, 0 to the smallest size along ``axes``.
            axes: transformed axes; (-2, -1) works slice by slice, (-3, -2, -1) on the volume.
            region: ``"square"`` (published), ``"triangle"`` or ``"radial"``.
            spacing_mm: voxel size of each spatial (last) axis.
            orientation: letters of R/L, A/P, S/I, one per spatial axis.
            affine: 4 × 4, voxel index of the last three axes to RAS+ millimeters; states voxel sizes and orientation.
            unit: intensity unit.

        Returns:
            The reference; coefficients are float64 for a float64 image, otherwise float32.

        Raises:
            TypeError, ValueError: an image or settings that cannot be used, NaN or infinite values included.

        >>> import numpy as np
        >>> reference = ReferenceSpectrum.from_image(np.zeros((5, 16, 16), np.int16), threshold=2, unit="HU")
        >>> reference.coefficients.shape, reference.axes, reference.n_subjects
        ((5, 2, 2), (-2, -1), 1)
        """
        check_array(image, "the reference image")
        normal_axes = normalize_axes(axes, image.ndim, "the reference image")
        settings = SwapSettings(threshold=threshold, axes=normal_axes, region=region)
        settings = settings.for_shape(image.shape, "the reference image")
        coefficients = to_numpy(kernel_for(image).analyze(image, settings))
        if settings.threshold == 0 or not np.isfinite(coefficients).all():
            check_finite(image, "the reference image")
        return cls(
            coefficients,
            threshold=settings.threshold,
            axes=normal_axes,
            region=region,
            shape=tuple(image.shape),
            spacing_mm=None if spacing_mm is None else tuple(spacing_mm),
            orientation=orientation,
            affine=affine,
            unit=unit,
        )

    @classmethod
    def from_images(
        cls,
        images: Iterable[Any],
        *,
        threshold: int = 3,
        axes: int | Sequence[int] = (-2, -1),
        region: str = "square",
        spacing_mm: Sequence[Any] | None = None,
        orientation: str | None = None,
        unit: str | None = None,
        statistic: str = "mean",
    ) -> ReferenceSpectrum:
        """Mean or median spectrum of many images of one grid, one image in memory at a time.

        Args:
            images: any iterable of arrays of equal shape; a generator that loads them one by one is best.
            threshold, axes, region, orientation, unit: as in :meth:`from_image`.
            spacing_mm: voxel size of each spatial (last) axis, one for all images or one per image.
            statistic: ``"mean"`` or ``"median"``, coefficient by coefficient.

        Raises:
            ValueError: no image, images of different shapes or voxel sizes, another number of spacings than images,
                or an unknown statistic.

        >>> import numpy as np
        >>> scans = (np.full((2, 8, 8), value) for value in (0.0, 10.0))
        >>> ReferenceSpectrum.from_images(scans, threshold=1).coefficients[0]
        array([[40.]])
        """
        fit = partial(cls.from_image, threshold=threshold, axes=axes, region=region, orientation=orientation, unit=unit)
        spectra = (fit(image, spacing_mm=spacing) for image, _, spacing in zip_per_image(images, None, spacing_mm))
        return cls.average(spectra, statistic=statistic)

    @classmethod
    def average(cls, references: Iterable[ReferenceSpectrum], *, statistic: str = "mean") -> ReferenceSpectrum:
        """Mean (weighted by the number of subjects) or median of references that agree in grid and settings.

        Args:
            references: any iterable of references. Their voxel sizes must agree where they are stated. The affine is
                kept where all agree; otherwise the average has none, and ``center_mm`` places its box.
            statistic: ``"mean"`` or ``"median"``, coefficient by coefficient.

        Raises:
            ValueError: none given, two that disagree, or an unknown statistic.
        """
        if statistic not in STATISTICS:
            raise ValueError(f"statistic must be one of {STATISTICS}; given {statistic!r}.")
        first: ReferenceSpectrum | None = None
        one_place = True
        total: Any = 0.0
        kept: list[NDArray[Any]] = []
        count = 0
        for reference in references:
            first = first or reference
            if first.spacing_mm is None and reference.spacing_mm is not None:
                first = replace(first, spacing_mm=reference.spacing_mm)
            first._check_same_kind(reference, count + 1)
            one_place = one_place and first.is_placed_as(reference)
            count += reference.n_subjects
            if statistic == "median":
                kept.append(reference.coefficients)
            else:
                total = total + reference.coefficients.astype(np.float64) * reference.n_subjects
        if first is None:
            raise ValueError("no image was given; a reference needs at least one.")
        middle = np.median(kept, axis=0) if statistic == "median" else total / count
        values = middle.astype(first.coefficients.dtype)
        affine = first.affine if one_place else None
        return replace(first, coefficients=values, affine=affine, n_subjects=count, statistic=statistic)

    def is_placed_as(self, other: ReferenceSpectrum) -> bool:
        """Whether both state the same box to a hundredth of a millimeter, or neither states one."""
        if self.affine is None or other.affine is None:
            return self.affine is other.affine
        return np.allclose(self.affine, other.affine, rtol=0, atol=1e-2)

    def _check_same_kind(self, other: ReferenceSpectrum, number: int) -> None:
        for field in ("shape", "threshold", "axes", "region", "orientation", "unit"):
            mine, theirs = getattr(self, field), getattr(other, field)
            if mine != theirs:
                hint = " Bring it to one grid first, for instance with for_grid()." if field == "shape" else ""
                raise ValueError(f"image {number} has {field} {theirs}, the first one {mine}; they must agree.{hint}")
        check_same_field(other.shape, other.spacing_mm, self.shape, self.spacing_mm, f"image {number}")

    def for_grid(self, shape: Sequence[int], spacing_mm: Sequence[float] | None = None) -> ReferenceSpectrum:
        r"""The same reference on a grid of another size over the same field of view.

        A coefficient of N samples becomes :math:`\sqrt{N'/N}` times as large on N' samples. Axes that are not
        transformed (the slices of the slice-wise mode) are resampled by their own cosine series. Exact for content
        that is band-limited on the coarser of the two grids.

        Args:
            shape: the new grid, with as many axes as the old one.
            spacing_mm: voxel sizes of its spatial axes; if both grids state theirs, the fields of view must agree
                to half a voxel, because nothing is known about where one would lie within the other.

        Raises:
            ValueError: another number of axes, a grid smaller than the threshold, or another field of view.

        >>> import numpy as np
        >>> fine = ReferenceSpectrum.from_image(np.full((4, 8, 8), 100.0), threshold=2)
        >>> coarse = ReferenceSpectrum.from_image(np.full((2, 4, 6), 100.0), threshold=2)
        >>> np.allclose(fine.for_grid((2, 4, 6)).coefficients, coarse.coefficients)
        True
        """
        grid = tuple(int(size) for size in shape)
        if len(grid) != len(self.shape) or min(grid) < 1:
            raise ValueError(f"shape {grid} must have {len(self.shape)} axes of at least 1, as {self.shape} has.")
        check_threshold(self.threshold, grid, self.axes, "the new grid")
        steps = None if spacing_mm is None else tuple(float(step) for step in spacing_mm)
        check_same_field(grid, steps, self.shape, self.spacing_mm, "the new grid")
        values = resize_coefficients(self.coefficients, self.axes, self.shape, grid)
        if steps is None and self.spacing_mm is not None:
            tail = len(self.spacing_mm)
            sizes = zip(self.spacing_mm, self.shape[-tail:], grid[-tail:], strict=True)
            steps = tuple(step * old / new for step, old, new in sizes)
        affine = None if self.affine is None else as_tuples(resize_affine(self.affine, self.shape, grid))
        steps = None if affine is not None else steps  # the affine states them
        values = values.astype(self.coefficients.dtype)
        return replace(self, coefficients=values, shape=grid, spacing_mm=steps, affine=affine)

    def for_orientation(self, orientation: str) -> ReferenceSpectrum:
        """The same reference for an array whose spatial axes run in other directions: exact flips and swaps.

        Raises:
            ValueError: this reference states no orientation, or the letters do not name the same axes.

        >>> import numpy as np
        >>> scan = np.arange(24.0).reshape(2, 3, 4)
        >>> flipped = ReferenceSpectrum.from_image(scan[:, ::-1], threshold=2, orientation="SAL")
        >>> direct = ReferenceSpectrum.from_image(scan, threshold=2, orientation="SPL")
        >>> np.allclose(flipped.for_orientation("SPL").coefficients, direct.coefficients)
        True
        """
        if self.orientation is None:
            raise ValueError(f"the reference states no orientation, so it cannot be turned to {orientation!r}.")
        sources, flips = orientation_map(self.orientation, orientation)
        lead = len(self.shape) - len(sources)
        order = [*range(lead), *(lead + source for source in sources)]
        transformed = {axis % len(self.shape) for axis in self.axes}
        values = turn_coefficients(self.coefficients, transformed, order, [*[False] * lead, *flips])
        steps = self.spacing_mm
        if steps is not None:
            padded = (None,) * (len(self.shape) - len(steps)) + steps
            turned = [padded[source] for source in order]
            steps = tuple(step for step in turned if step is not None)
        affine = None
        if self.affine is not None:
            affine = as_tuples(turn_affine(self.affine, self.shape, sources, flips))
        return replace(
            self,
            coefficients=values,
            affine=affine,
            axes=tuple(new - len(order) for new, old in enumerate(order) if old in transformed),
            shape=tuple(self.shape[source] for source in order),
            spacing_mm=steps,
            orientation=orientation.upper(),
        )

    def coefficients_for(self, shape: Sequence[int], settings: SwapSettings) -> NDArray[Any]:
        """Coefficients to swap in, after checking that this reference is meant for such an image.

        Args:
            shape: of the image.
            settings: of the swap, and what is known about the image.

        Raises:
            ValueError: other axes, grid, voxel size, unit or orientation, or coefficients that are not held here.
        """
        refuse_pet(self.unit, "the reference", settings.allow_pet)
        unit, orientation = settings.unit, settings.orientation
        if unit is not None and self.unit is not None and unit != self.unit:
            raise ValueError(f"the image has unit {unit!r}, the reference {self.unit!r}; they must agree.")
        if orientation is not None and self.orientation is not None and orientation.upper() != self.orientation:
            raise ValueError(
                f"the image has orientation {orientation.upper()!r}, the reference {self.orientation!r}; "
                f"use reference.for_orientation({orientation.upper()!r})."
            )
        if settings.axes != self.axes:
            raise ValueError(
                f"the reference was fitted for axes {self.axes}; asked for are {settings.axes} of an image of shape "
                f"{tuple(shape)}."
            )
        if not region_contains(self.region, self.threshold, settings.region, settings.threshold, len(self.axes)):
            raise ValueError(
                f"the reference holds the region {self.region!r} up to threshold {self.threshold}; asked for is "
                f"{settings.region!r} with threshold {settings.threshold}."
            )
        if tuple(shape[-len(self.shape) :]) != self.shape:
            raise ValueError(
                f"the image has shape {tuple(shape)}, the reference was fitted on {self.shape}; its last axes must "
                "agree. For another grid over the same field of view, use reference.for_grid(shape)."
            )
        check_same_field(shape, settings.spacing_mm, self.shape, self.spacing_mm, "the image")
        return self.coefficients[corner(len(self.shape), self.axes, settings.threshold)]

    def header(self) -> Mapping[str, object]:
        """Everything but the coefficients, as plain JSON values."""
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "coefficients"}
        if self.affine is None:
            del values["affine"]  # as in files, and their hashes, of versions that knew no affine
        else:
            values["affine"] = [list(row) for row in self.affine]
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    @property
    def content_hash(self) -> str:
        """SHA-256 over header and coefficients, ``"sha256:…"``: equal for equal references on every machine."""
        digest = hashlib.sha256(json.dumps(self.header(), sort_keys=True).encode())
        little_endian = self.coefficients.astype(self.coefficients.dtype.newbyteorder("<"))
        digest.update(f"{little_endian.dtype.str}{little_endian.shape}".encode())
        digest.update(little_endian.tobytes())
        return f"sha256:{digest.hexdigest()}"

    @classmethod
    def _from_file(cls, header: JsonObject, array: NDArray[Any]) -> ReferenceSpectrum:
        return cls(array, **header)
