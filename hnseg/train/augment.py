"""Random changes of a training patch: geometry moves CT, PET and label together, intensity touches the CT alone."""

from __future__ import annotations

from typing import Any

from monai.transforms import (
    Compose,
    ConcatItemsd,
    DeleteItemsd,
    Rand3DElasticd,
    RandAffined,
    RandFlipd,
    RandGaussianNoised,
    RandGaussianSmoothd,
    RandScaleIntensityd,
    RandShiftIntensityd,
    SplitDimd,
)

from hnseg.config import AugmentConfig

BOTH = ("image", "label")
MODES = ("bilinear", "nearest")


def make_augmentation(config: AugmentConfig, patch_zyx: tuple[int, int, int]) -> Any:
    """MONAI transform from ``{"image": (2, z, y, x), "label": (1, z, y, x)}`` to the same, changed.

    Channel 0 of the image is CT, channel 1 PET; both in (0, 1). Draws come from ``set_random_state`` alone.
    """
    ct = "image_0"
    turn, grow = (config.rotate_rad,) * 3, (config.scale,) * 3
    blur = config.ct_blur_vox
    return Compose(
        [
            RandAffined(
                BOTH, prob=config.affine, rotate_range=turn, scale_range=grow, mode=MODES, padding_mode="border"
            ),
            Rand3DElasticd(
                BOTH,
                prob=config.elastic,
                sigma_range=config.elastic_sigma_vox,
                magnitude_range=config.elastic_magnitude_vox,
                spatial_size=patch_zyx,
                mode=MODES,
                padding_mode="border",
            ),
            *(RandFlipd(BOTH, prob=config.flip, spatial_axis=axis) for axis in range(3)),
            SplitDimd("image", dim=0, keepdim=True),
            RandGaussianSmoothd(ct, prob=config.ct_blur_p, sigma_x=blur, sigma_y=blur, sigma_z=blur),
            RandScaleIntensityd(ct, factors=config.ct_scale, prob=config.ct_scale_p),
            RandShiftIntensityd(ct, offsets=config.ct_shift, prob=config.ct_shift_p),
            RandGaussianNoised(ct, prob=config.ct_noise_p, std=config.ct_noise),
            ConcatItemsd((ct, "image_1"), name="image", dim=0),
            DeleteItemsd((ct, "image_1")),
        ]
    )
