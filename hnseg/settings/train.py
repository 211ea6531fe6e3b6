"""Settings of training: network, sampling, loss and optimization."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from hnseg.settings.augment import AugmentConfig
from hnseg.settings.section import (
    AUTO3DSEG,
    NNUNET,
    OURS,
    PAPER,
    Fraction,
    PositiveFloat,
    PositiveInt,
    Settings,
    Triple,
    about,
)


class TrainConfig(Settings):
    """Network, sampling, loss and optimization."""

    filters: int = Field(32, ge=1, **about("Channels of SegResNet's first level.", AUTO3DSEG, "channels"))
    blocks_down: tuple[PositiveInt, ...] = Field(
        (1, 2, 2, 4, 4), min_length=2, **about("Residual blocks of each encoder level.", AUTO3DSEG, "blocks")
    )
    heads: int = Field(
        4, ge=1, **about("Outputs under deep supervision: the main one and heads - 1 coarser ones.", AUTO3DSEG)
    )
    head_weights: Literal["equal", "exponential"] = Field(
        "equal",
        **about(
            "Weights of the heads' losses; exponential is 1, 1/2, 1/4, … from the main output on.",
            f"{PAPER} § 3.2: summed; exponential in {AUTO3DSEG}, and scaled in {NNUNET}",
        ),
    )
    patch_vox: tuple[PositiveInt, PositiveInt, PositiveInt] = Field(
        (192, 192, 192), **about("Size of a training patch, (x, y, z).", f"{PAPER} § 3.2", "voxels")
    )
    class_weights: tuple[float, float, float] = Field(
        (0.10, 0.45, 0.45),
        **about("Probabilities that a patch is centered on background, GTVp, GTVn; they sum to 1.", f"{PAPER} § 3.2"),
    )
    lesion_balance: Literal["voxel", "lesion"] = Field(
        "voxel", **about("Whether each lesion voxel or each lesion is equally likely as a center.", OURS)
    )
    hard_negatives: Fraction = Field(
        0.0,
        **about(
            "Share of the background patches that are centered on hot tissue outside lesions.",
            f"{PAPER}: § 3.2 samples background (0), § 5 hard negatives (1)",
        ),
    )
    batch_size: int = Field(1, ge=1, **about("Patches of a step.", AUTO3DSEG, "patches"))
    epochs: int = Field(300, ge=1, **about("Epochs of a fold.", AUTO3DSEG, "epochs"))
    patches_per_case: int = Field(1, ge=1, **about("Patches of a case in an epoch.", AUTO3DSEG, "patches"))
    optimizer: Literal["adamw", "sgd"] = Field(
        "adamw",
        **about("Optimizer; sgd has Nesterov momentum, as nnU-Net.", f"{AUTO3DSEG}; {PAPER} § 3.2: e.g. Adam, AdamW"),
    )
    momentum: float = Field(0.99, ge=0, lt=1, **about("Momentum of sgd; not used by adamw.", NNUNET))
    learning_rate: PositiveFloat = Field(2e-4, **about("Learning rate after the warm-up.", AUTO3DSEG))
    weight_decay: float = Field(1e-5, ge=0, **about("Weight decay.", AUTO3DSEG))
    schedule: Literal["cosine", "step", "poly"] = Field(
        "cosine", **about("How the learning rate falls.", f"{AUTO3DSEG}; {PAPER} § 3.2: cosine or step")
    )
    step_epochs: int = Field(100, ge=1, **about("Epochs between two steps of schedule = step.", OURS, "epochs"))
    step_factor: float = Field(0.1, gt=0, lt=1, **about("Factor of each step of schedule = step.", OURS))
    warmup_epochs: int = Field(3, ge=0, **about("Epochs in which the learning rate rises.", AUTO3DSEG, "epochs"))
    ema_decay: float = Field(
        0.0,
        ge=0,
        lt=1,
        **about("Decay per step of the weights' moving average, which is validated and kept; 0 is off.", OURS),
    )
    monitor: Literal["val_score", "val_loss"] = Field(
        "val_score",
        **about(
            "What a validation is judged by: it decides which epoch's weights are kept, and with patience when a fold "
            "stops. val_score is the challenge's weighted mean, val_loss the loss of the main output.",
            f"{OURS}; {PAPER} § 5: early stopping on the validation loss",
        ),
    )
    patience: int | None = Field(
        None,
        ge=1,
        **about(
            "Epochs without a better validation before a fold stops, see monitor; none: it never does.",
            f"{OURS}; {PAPER} § 5 stops early without a number",
            "epochs",
        ),
    )
    clip_norm: PositiveFloat = Field(12.0, **about("Largest norm of the gradient.", NNUNET))
    validate_every: int = Field(5, ge=1, **about("Epochs between two validations.", OURS, "epochs"))
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = Field(
        "auto", **about("Floating-point precision; auto is half precision where the hardware has it.", OURS)
    )
    workers: int = Field(4, ge=0, **about("Data-loading processes, at most one a core.", OURS, "processes"))
    augment_on: Literal["auto", "loader", "device"] = Field(
        "auto", **about("Where patches are augmented; auto: on a GPU where there is one.", OURS)
    )
    tensorboard: bool = Field(False, **about("Also write TensorBoard files; needs ssimh[tensorboard].", OURS))
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
        if self.patience is not None and self.patience < self.validate_every:
            raise ValueError(
                f"patience {self.patience}: at least validate_every ({self.validate_every}) epochs, else every fold "
                "ends before its second validation"
            )
        if self.heads > len(self.blocks_down) - 1:
            raise ValueError(f"heads {self.heads}: at most {len(self.blocks_down) - 1} for blocks {self.blocks_down}")
        if min(self.class_weights) < 0 or abs(sum(self.class_weights) - 1) > 1e-6:
            raise ValueError(f"class_weights {self.class_weights} must be ≥ 0 and sum to 1")
        return self
