"""Settings of augmentation."""

from __future__ import annotations

from pydantic import Field, model_validator

from hnseg.settings.section import AUTO3DSEG, OURS, PAPER, Fraction, PositiveFloat, Settings, about

_HALVED = f"half of the 0.1 in {AUTO3DSEG}: sigmoid([0, 1]) spans half of its sigmoid([-1, 1])"
_ELASTIC = f"{OURS}; {PAPER} § 5 has the deformation without values"


class AugmentConfig(Settings):
    """Probabilities (``_p``) and ranges of the random changes during training.

    Affine, elastic and flips move CT, PET and label together; intensity changes touch the CT alone, as the paper has
    it (3.2).
    """

    affine_p: Fraction = Field(0.2, **about("Probability of an affine change.", AUTO3DSEG))
    rotate_rad: float = Field(0.26, ge=0, **about("Largest rotation about each axis.", AUTO3DSEG, "rad"))
    scale: float = Field(0.2, ge=0, lt=1, **about("Largest relative change of size along each axis.", AUTO3DSEG))
    elastic_p: Fraction = Field(0.1, **about("Probability of an elastic deformation.", _ELASTIC))
    elastic_spacing_vox: int = Field(
        16, ge=2, **about("Distance of the knots of the displacement.", _ELASTIC, "voxels")
    )
    elastic_vox: float = Field(3.0, ge=0, **about("Largest move of a knot along each axis.", _ELASTIC, "voxels"))
    flip_p: Fraction = Field(0.5, **about("Probability of a flip, per axis.", AUTO3DSEG))
    ct_scale: float = Field(0.3, ge=0, **about("Largest relative change of the CT's values.", AUTO3DSEG))
    ct_scale_p: Fraction = Field(0.5, **about("Probability of ct_scale.", AUTO3DSEG))
    ct_shift: float = Field(
        0.05, ge=0, **about("Largest shift of the CT's values.", _HALVED, "units of the normalized CT")
    )
    ct_shift_p: Fraction = Field(0.5, **about("Probability of ct_shift.", AUTO3DSEG))
    ct_noise: float = Field(
        0.05,
        ge=0,
        **about("Largest standard deviation of the noise added to the CT.", _HALVED, "units of the normalized CT"),
    )
    ct_noise_p: Fraction = Field(0.2, **about("Probability of ct_noise.", AUTO3DSEG))
    ct_blur_vox: tuple[PositiveFloat, PositiveFloat] = Field(
        (0.5, 1.0), **about("Range of the blur's sigma: (low, high), low at most high.", AUTO3DSEG, "voxels")
    )
    ct_blur_p: Fraction = Field(0.2, **about("Probability of ct_blur_vox.", AUTO3DSEG))

    @model_validator(mode="after")
    def _check(self) -> AugmentConfig:
        low, high = self.ct_blur_vox
        if low > high:
            raise ValueError(f"ct_blur_vox ({low:g}, {high:g}): the first must not be above the second")
        return self
