"""Random changes of a training patch: geometry changes CT, PET and label together, intensity the CT alone.

MONAI's transforms, chosen and called so that a patch on a GPU is changed there. Two of them would make the GPU wait:
``Rand3DElasticd`` draws three numbers per voxel on the host, also for patches that it leaves unchanged, and
``RandAffined`` without a device makes its grid on the host. The noise is still drawn there: one number per voxel, for
one patch in five.
"""

from __future__ import annotations

import torch
from monai.transforms import (
    Compose,
    ConcatItemsd,
    DeleteItemsd,
    Identityd,
    OneOf,
    RandAffined,
    RandFlipd,
    RandGaussianNoised,
    RandGaussianSmoothd,
    RandScaleIntensityd,
    RandShiftIntensityd,
    RandSmoothDeformd,
    SplitDimd,
)
from monai.utils import convert_to_tensor

from hnseg.settings.augment import AugmentConfig

BOTH = ("image", "label")
MODES = ("bilinear", "nearest")


class Augmentation:
    """Random changes of patches on one device, each determined by a seed.

    Args:
        config: Settings.
        patch_zyx: Size of the patches, in voxels.
        device: Device of the patches.

    Attributes:
        transform: MONAI's transform of ``{"image": (2, z, y, x), "label": (1, z, y, x)}`` in float32. Channel 0 of the
            image is CT, channel 1 PET; both in (0, 1). It draws from ``set_random_state`` alone.
    """

    def __init__(
        self, config: AugmentConfig, patch_zyx: tuple[int, int, int], device: torch.device | str = "cpu"
    ) -> None:
        ct = "image_0"
        rotation, scale = (config.rotate_rad,) * 3, (config.scale,) * 3
        blur = config.ct_blur_vox
        self.transform = Compose(
            [
                RandAffined(
                    BOTH,
                    prob=config.affine_p,
                    rotate_range=rotation,
                    scale_range=scale,
                    mode=MODES,
                    padding_mode="border",
                    device=torch.device(device),
                ),
                OneOf(
                    [_elastic(config, patch_zyx, torch.device(device)), Identityd(BOTH)],
                    weights=(config.elastic_p, 1 - config.elastic_p),
                ),
                *(RandFlipd(BOTH, prob=config.flip_p, spatial_axis=axis) for axis in range(3)),
                SplitDimd("image", dim=0, keepdim=True),
                RandGaussianSmoothd(ct, prob=config.ct_blur_p, sigma_x=blur, sigma_y=blur, sigma_z=blur),
                RandScaleIntensityd(ct, factors=config.ct_scale, prob=config.ct_scale_p),
                RandShiftIntensityd(ct, offsets=config.ct_shift, prob=config.ct_shift_p),
                RandGaussianNoised(ct, prob=config.ct_noise_p, std=config.ct_noise),
                ConcatItemsd((ct, "image_1"), name="image", dim=0),
                DeleteItemsd((ct, "image_1")),
            ]
        )

    def __call__(self, sample: dict[str, torch.Tensor], seed: int) -> dict[str, torch.Tensor]:
        """Change a patch; returns float32 on the same device."""
        self.transform.set_random_state(seed=seed)
        changed = self.transform({key: sample[key].float() for key in BOTH})
        return {key: convert_to_tensor(changed[key], dtype=torch.float32, track_meta=False) for key in BOTH}


def _elastic(config: AugmentConfig, patch_zyx: tuple[int, int, int], device: torch.device) -> RandSmoothDeformd:
    """A random displacement at knots, linear between them."""
    reach = 2 * config.elastic_vox / (max(patch_zyx) - 1)  # MONAI's unit: the patch goes from -1 to 1
    return RandSmoothDeformd(
        BOTH,
        spatial_size=patch_zyx,
        rand_size=[_knots(length, config.elastic_spacing_vox) for length in patch_zyx],
        field_mode="trilinear",
        align_corners=True,
        prob=1.0,
        def_range=max(reach, 1e-6),
        grid_mode=MODES,
        grid_align_corners=True,  # as MONAI's grid is laid out; without it a field of zeros would stretch the patch
        device=device,
    )


def _knots(length: int, spacing: int) -> int:
    """Number of knots over a length, about one every ``spacing`` voxels."""
    count = max(2, round(length / spacing))
    while int(count * (length / count)) != length:  # MONAI computes the length from the ratio, and rounds down
        count += 1
    return count
