"""Settings of preparation: from native CT and PET to the network's input."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from hnseg.settings.section import AUTO3DSEG, ORGANIZERS, OURS, PAPER, PositiveFloat, Settings, Triple, about

Harmonization = Literal["none", "spectrum-swap", "spectrum-align", "histogram-match"]
"""Name of a method of CT harmonization."""
CropMethod = Literal["head", "paper", "nvauto", "hecktor2025", "center"]
Interpolation = Literal["linear", "cubic"]
Registration = Literal["off", "measure", "rigid"]


class PrepareConfig(Settings):
    """From native CT and PET to the network's input."""

    spacing_mm: PositiveFloat = Field(1.0, **about("Isotropic voxel spacing of the crop.", f"{PAPER} § 3.1", "mm"))
    box_mm: tuple[PositiveFloat, PositiveFloat, PositiveFloat] = Field(
        (200.0, 200.0, 310.0), **about("Size of the crop, (x, y, z).", f"{PAPER} § 3.1", "mm")
    )
    crop: CropMethod = Field(
        "head",
        **about(
            "How the crop box is found; head uses the brain, paper a PET threshold, nvauto and hecktor2025 the "
            "rules of those codes, center the middle of the scan.",
            f"{OURS}; {PAPER} § 3.1 takes a coarse PET threshold (paper)",
        ),
    )
    interpolation: Interpolation = Field(
        "linear",
        **about(
            "Interpolation of CT and PET; cubic is clamped to the measured range.",
            f"{AUTO3DSEG}; {ORGANIZERS}: cubic",
        ),
    )
    label_interpolation: Literal["nearest", "linear"] = Field(
        "nearest",
        **about(
            "Interpolation of the label; linear interpolates each class and takes the largest.",
            AUTO3DSEG,
        ),
    )
    registration: Registration = Field(
        "measure",
        **about(
            "PET to CT: measure reports the offset, rigid also corrects one of 4 mm or more.",
            f"{OURS}; {PAPER} § 3.1: registered to a common voxel grid",
        ),
    )
    harmonization: Harmonization = Field(
        "spectrum-swap",
        **about("CT harmonization; spectrum-align is the recommended one (docs/ssimh/align.md).", f"{PAPER} § 3.1"),
    )
    pet_resolution: Literal["off", "align"] = Field(
        "off",
        **about(
            "Resolution of the PET; with spectrum-align, align blurs each case to the coarsest center that trains "
            "(docs/ssimh/align.md).",
            f"{OURS}; {PAPER} § 3.1 harmonizes CT alone",
        ),
    )
    swap_threshold: int = Field(
        3,
        ge=1,
        **about(
            "τ of spectrum-swap: the τ × τ lowest DCT coefficients of each axial slice.",
            f"{PAPER} § 3.1",
            "coefficients along an axis",
        ),
    )
    reference: str = Field(
        "",
        **about(
            "Reference subject of spectrum-swap and histogram-match: the ID of a training case, or a file (a saved "
            "reference spectrum, or a CT on the crop grid); empty: the case with the head found and most in view.",
            f"{PAPER} § 3.1: a single subject from the training cohort; which one is ours",
        ),
    )
    valid_hu: tuple[float, float] = Field(
        (-1024.0, 3071.0),
        **about(
            "Range that CT is clipped to, also after harmonization: (low, high), low below high.",
            f"{PAPER} § 3.1: valid HU ranges; these, of 12-bit CT, are ours",
            "HU",
        ),
    )
    ct_window_hu: tuple[float, float] = Field(
        (-250.0, 250.0),
        **about(
            "CT window that is mapped to [0, 1]: (low, high), low below high.",
            f"{ORGANIZERS}, and the fallback of {AUTO3DSEG}; {PAPER} § 3.1 has no values",
            "HU",
        ),
    )
    pet_scale: Literal["z-score", "suv"] = Field(
        "z-score", **about("PET over the crop to zero mean and unit variance, or SUV unchanged.", f"{PAPER} § 3.1")
    )
    clip_ct_window: bool = Field(
        True,
        **about(
            "Clip CT to the window before the sigmoid; false: the sigmoid alone bounds what lies outside, softly; "
            "without a sigmoid only valid_hu does.",
            f"{ORGANIZERS}; {PAPER} § 3.1 and {AUTO3DSEG} do not clip (false)",
        ),
    )
    sigmoid: bool = Field(True, **about("Pass the windowed CT and the scaled PET through a sigmoid.", f"{PAPER} § 3.1"))

    @property
    def needs_reference(self) -> bool:
        """Whether the harmonization moves every case to one reference subject."""
        return self.harmonization in ("spectrum-swap", "histogram-match")

    @property
    def box_vox(self) -> Triple:
        """Size of the crop in voxels, (x, y, z); the box is rounded up to whole voxels."""
        x, y, z = (int(-(-length // self.spacing_mm)) for length in self.box_mm)
        return x, y, z

    @model_validator(mode="after")
    def _check(self) -> PrepareConfig:
        for name in ("valid_hu", "ct_window_hu"):
            low, high = getattr(self, name)
            if not low < high:
                raise ValueError(f"{name} ({low:g}, {high:g}): the first must be below the second")
        if self.pet_resolution == "align" and self.harmonization != "spectrum-align":
            raise ValueError(
                f"pet_resolution 'align': harmonization {self.harmonization} fits no sites of the centers; "
                "spectrum-align does"
            )
        if self.reference and not self.needs_reference:
            raise ValueError(
                f"reference {self.reference!r}: harmonization {self.harmonization} has no reference subject; "
                "spectrum-swap and histogram-match have one"
            )
        return self
