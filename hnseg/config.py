"""Every default of the application, once: frozen, validated, and saved into every output.

Two presets differ only in numbers: ``paper`` is the published recipe, ``demo`` the same code on a coarser grid with a
smaller network and fewer steps, so that two CPU cores see the whole pipeline in minutes. Where the publication is
silent, the value and its source stand beside the field.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Preset = Literal["demo", "paper"]
Harmonization = Literal["none", "spectrum-swap", "spectrum-align", "histogram-match"]
CropMethod = Literal["head", "paper", "nvauto", "hecktor2025", "center"]
Interpolation = Literal["linear", "cubic"]
Registration = Literal["off", "measure", "rigid"]
Triple = tuple[int, int, int]
PositiveFloat = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    def digest(self) -> str:
        """Short content hash: two stages with the same digest were asked for the same thing."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


class SplitConfig(_Frozen):
    """Which cases are held out, and the folds of the rest."""

    folds: int = Field(5, ge=2)
    test_fraction: float = Field(0.2, ge=0, lt=1)


class PrepareConfig(_Frozen):
    """From native CT and PET to a network's input."""

    spacing_mm: PositiveFloat = 1.0
    box_mm: tuple[float, float, float] = (200.0, 200.0, 310.0)  # x, y, z
    crop: CropMethod = "head"
    interpolation: Interpolation = "linear"  # of CT and PET; cubic is clamped to the measured range
    label_interpolation: Literal["nearest", "linear"] = "nearest"
    # measure: say how far PET lies off the CT; rigid: also move it where that is more than 4 mm.
    registration: Registration = "measure"
    # spectrum-swap is the published method; spectrum-align is the recommended one (docs/ssimh/align.md).
    harmonization: Harmonization = "spectrum-swap"
    threshold: int = Field(3, ge=1)  # τ: the 3 x 3 lowest coefficients of each axial slice
    valid_hu: tuple[float, float] = (
        -1024.0,
        3071.0,
    )  # the harmonized CT is clipped to what 12-bit CT can hold
    ct_window_hu: tuple[float, float] = (-250.0, 250.0)  # NVAUTO 2022 and the official 2025 template
    pet_scale: Literal["z-score", "suv"] = "z-score"  # over the crop; or SUV as it is
    sigmoid: bool = True  # of the window's [0, 1] and of the scaled PET

    @property
    def needs_reference(self) -> bool:
        """Whether the harmonization moves every case to one reference subject."""
        return self.harmonization in ("spectrum-swap", "histogram-match")

    @property
    def box_vox(self) -> Triple:
        """Size of the crop in voxels, (x, y, z); the box is rounded up to whole voxels."""
        x, y, z = (int(-(-length // self.spacing_mm)) for length in self.box_mm)
        return x, y, z


class AugmentConfig(_Frozen):
    """Probabilities and ranges of the random changes during training.

    Affine, elastic and flips move CT, PET and label together; intensity changes touch the CT alone. How often and how
    far elastic moves is our choice: the publication names no value.
    Ranges of affine and intensity: NVAUTO 2022. Shift and noise are half of the published 0.1, because the CT here
    spans sigmoid([0, 1]) (0.23 wide) where NVAUTO's spans sigmoid([-1, 1]) (0.46 wide).
    """

    affine: Fraction = 0.2
    rotate_rad: float = 0.26
    scale: float = 0.2
    elastic: Fraction = 0.1
    elastic_spacing_vox: int = Field(16, ge=2)  # between the knots of the displacement …
    elastic_vox: float = Field(3.0, ge=0)  # … and how far a knot may move along each axis
    flip: Fraction = 0.5
    ct_scale: float = 0.3
    ct_scale_p: Fraction = 0.5
    ct_shift: float = 0.05
    ct_shift_p: Fraction = 0.5
    ct_noise: float = 0.05
    ct_noise_p: Fraction = 0.2
    ct_blur_vox: tuple[float, float] = (0.5, 1.0)
    ct_blur_p: Fraction = 0.2


class TrainConfig(_Frozen):
    """Network, loss and schedule."""

    filters: int = Field(32, ge=1)
    blocks_down: tuple[int, ...] = (1, 2, 2, 4, 4)
    heads: int = Field(4, ge=1)  # deep supervision: the main output and heads - 1 coarser ones
    head_weights: Literal["equal", "exponential"] = "equal"  # exponential: 1, 1/2, 1/4, … from the main output on
    patch_vox: Triple = (192, 192, 192)  # x, y, z
    class_weights: tuple[float, float, float] = (0.10, 0.45, 0.45)  # patch center: background, GTVp, GTVn
    batch: int = Field(1, ge=1)
    epochs: int = Field(300, ge=1)
    lesion_balance: Literal["voxel", "lesion"] = "voxel"  # lesion: a small node is chosen as often as a large one
    hard_negatives: Fraction = 0.0  # share of the background patches that are centered on hot tissue outside lesions
    patches_per_case: int = Field(1, ge=1)  # per epoch
    optimizer: Literal["adamw", "sgd"] = "adamw"  # sgd: Nesterov momentum, as nnU-Net
    momentum: float = Field(0.99, ge=0, lt=1)  # of sgd
    learning_rate: PositiveFloat = 2e-4
    weight_decay: float = Field(1e-5, ge=0)
    schedule: Literal["cosine", "step", "poly"] = "cosine"
    step_epochs: int = Field(100, ge=1)  # of the step schedule: every so many epochs the rate falls …
    step_factor: float = Field(0.1, gt=0, lt=1)  # … to this part of itself
    warmup_epochs: int = Field(3, ge=0)
    ema_decay: float = Field(0.0, ge=0, lt=1)  # 0: off; else validation and best.pt use the averaged weights
    patience: int | None = Field(None, ge=1)  # epochs without a better validation score before a fold stops early
    clip_norm: PositiveFloat = 12.0  # nnU-Net's value; the publication names none
    validate_every: int = Field(5, ge=1)  # epochs
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = "auto"
    workers: int = Field(4, ge=0)  # data-loading processes, at most one a core
    augment_on: Literal["auto", "loader", "device"] = "auto"  # auto: on a GPU where there is one
    tensorboard: bool = False  # needs hnseg[tensorboard]; log.csv is always written
    augment: AugmentConfig = AugmentConfig()

    @property
    def patch_zyx(self) -> Triple:
        """The patch in array order."""
        x, y, z = self.patch_vox
        return z, y, x

    @model_validator(mode="after")
    def _check(self) -> TrainConfig:
        stride = 2 ** (len(self.blocks_down) - 1)
        if any(n % stride for n in self.patch_vox):
            raise ValueError(
                f"patch_vox {self.patch_vox}: every length must be a multiple of {stride} for {self.blocks_down}"
            )
        if self.heads > len(self.blocks_down) - 1:
            raise ValueError(f"heads {self.heads}: at most {len(self.blocks_down) - 1} for blocks {self.blocks_down}")
        if min(self.class_weights) < 0 or abs(sum(self.class_weights) - 1) > 1e-6:
            raise ValueError(f"class_weights {self.class_weights} must be ≥ 0 and sum to 1")
        return self


class PredictConfig(_Frozen):
    """Sliding window and post-processing."""

    # patch: windows of the training patch's size, as published. auto: the cheapest windows, see hnseg.inference.tiling.
    window: Literal["patch", "auto"] = "patch"
    overlap: float = Field(0.625, ge=0, lt=1)  # NVAUTO 2022
    flips: str = Field("", pattern="^x?y?z?$")  # axes to flip along at test time; each doubles the network's work
    min_gtvp_ml: float = Field(0.2, ge=0)
    min_gtvn_ml: float = Field(0.2, ge=0)
    min_gtvp_vox: int = Field(0, ge=0)  # of the CT grid; besides the volume, which means the same on every scanner
    min_gtvn_vox: int = Field(0, ge=0)
    max_node_distance_mm: PositiveFloat = 100.0  # surface to surface, GTVn component to predicted GTVp


class Config(_Frozen):
    """One run: preset, seed and the settings of every stage."""

    preset: Preset
    seed: int = Field(0, ge=0, lt=2**31)
    split: SplitConfig = SplitConfig()
    prepare: PrepareConfig = PrepareConfig()
    train: TrainConfig = TrainConfig()
    predict: PredictConfig = PredictConfig()

    @classmethod
    def from_preset(
        cls,
        preset: Preset,
        *,
        seed: int = 0,
        folds: int = 5,
        harmonization: Harmonization = "spectrum-swap",
        **changes: Any,
    ) -> Config:
        """The published recipe (``paper``) or its small sibling (``demo``).

        >>> Config.from_preset("paper").prepare.box_vox
        (200, 200, 310)
        >>> Config.from_preset("demo").train.filters < Config.from_preset("paper").train.filters
        True
        """
        sections: dict[str, Any] = {
            "split": SplitConfig(folds=folds),
            "prepare": PrepareConfig(harmonization=harmonization),
        }
        if preset == "demo":
            sections["prepare"] = PrepareConfig(
                spacing_mm=200 / 48, harmonization=harmonization
            )  # the paper's 200 x 200 x 310 voxels become 48 x 48 x 75
            sections["train"] = TrainConfig(
                filters=8,
                blocks_down=(1, 2, 2, 4),
                heads=3,
                patch_vox=(48, 48, 48),  # 192 mm of the 200 mm are 46 voxels, and lengths are multiples of 8
                epochs=12,
                patches_per_case=2,
                learning_rate=2e-3,
                warmup_epochs=1,
                validate_every=6,
                workers=0,
            )
        elif preset != "paper":
            raise ValueError(f"preset {preset!r}: choose 'demo' or 'paper'")
        return cls(preset=preset, seed=seed, **{**sections, **changes})
