"""Settings of augmentation."""

from __future__ import annotations

from pydantic import Field

from hnseg.settings.section import NVAUTO, OURS, Fraction, Settings, about

_CT_NOTE = "; half of its 0.1, since sigmoid([0, 1]) spans half of its sigmoid([-1, 1])"


class AugmentConfig(Settings):
    """Probabilities (``_p``) and ranges of the random changes during training.

    Affine, elastic and flips move CT, PET and label together; intensity changes touch the CT alone.
    """

    affine_p: Fraction = Field(0.2, **about("Probability of an affine change.", NVAUTO))
    rotate_rad: float = Field(0.26, ge=0, **about("Largest rotation about each axis.", NVAUTO, "rad"))
    scale: float = Field(0.2, ge=0, lt=1, **about("Largest relative change of size along each axis.", NVAUTO))
    elastic_p: Fraction = Field(0.1, **about("Probability of an elastic deformation.", OURS))
    elastic_spacing_vox: int = Field(16, ge=2, **about("Distance of the knots of the displacement.", OURS, "voxels"))
    elastic_vox: float = Field(3.0, ge=0, **about("Largest move of a knot along each axis.", OURS, "voxels"))
    flip_p: Fraction = Field(0.5, **about("Probability of a flip, per axis.", NVAUTO))
    ct_scale: float = Field(0.3, ge=0, **about("Largest relative change of the CT's values.", NVAUTO))
    ct_scale_p: Fraction = Field(0.5, **about("Probability of ct_scale.", NVAUTO))
    ct_shift: float = Field(
        0.05, ge=0, **about("Largest shift of the CT's values.", NVAUTO + _CT_NOTE, "of the normalized CT")
    )
    ct_shift_p: Fraction = Field(0.5, **about("Probability of ct_shift.", NVAUTO))
    ct_noise: float = Field(
        0.05,
        ge=0,
        **about("Largest standard deviation of the noise added to the CT.", NVAUTO + _CT_NOTE, "of the normalized CT"),
    )
    ct_noise_p: Fraction = Field(0.2, **about("Probability of ct_noise.", NVAUTO))
    ct_blur_vox: tuple[float, float] = Field((0.5, 1.0), **about("Range of the blur's sigma.", NVAUTO, "voxels"))
    ct_blur_p: Fraction = Field(0.2, **about("Probability of ct_blur_vox.", NVAUTO))
