"""Every setting of a run, once: frozen, validated, and saved into every output.

Each field has a description, and in ``json_schema_extra`` its unit and its source.
The presets differ in numbers only: ``paper`` is the published recipe, ``demo`` the same code on a coarser grid with a
smaller network and fewer steps, so that two CPU cores run the whole pipeline in minutes.

The commands set the preset, the seed, the number of folds, harmonization, crop, interpolation and registration
(``hnseg check``), and window and flips for one call (``hnseg predict``). All other fields are set from Python: pass a
:class:`Config` to :func:`hnseg.open_run`.
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
WindowMethod = Literal["patch", "auto"]
Triple = tuple[int, int, int]
PositiveFloat = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]

PAPER = "Huang et al., Head-and-Neck PET/CT Lesion Segmentation via SSIMH and SegResNet (HECKTOR 2025, BIGS2)"
NVAUTO = "NVAUTO: Myronenko et al., HECKTOR 2022, arXiv:2209.10809, and the Auto3DSeg SegResNet"
NNUNET = "nnU-Net: Isensee et al. 2021, doi:10.1038/s41592-020-01008-z"
OURS = "our choice; the publication names none"


def _about(description: str, source: str, unit: str = "") -> dict[str, Any]:
    """Arguments of a field: what it does, where its default comes from, and its unit."""
    return {"description": description, "json_schema_extra": {"source": source, "unit": unit}}


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    def digest(self) -> str:
        """Short content hash; equal settings have equal digests."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


class SplitConfig(_Frozen):
    """Held-out test cases, and the folds of the rest."""

    folds: int = Field(5, ge=2, **_about("Cross-validation folds.", PAPER))
    test_fraction: float = Field(
        0.2,
        ge=0,
        lt=1,
        **_about(
            "Share of the labeled cases that is held out as test cases.",
            "our choice; the publication tests on the challenge's own cases",
        ),
    )


class PrepareConfig(_Frozen):
    """From native CT and PET to the network's input."""

    spacing_mm: PositiveFloat = Field(1.0, **_about("Isotropic voxel spacing of the crop.", PAPER, "mm"))
    box_mm: tuple[PositiveFloat, PositiveFloat, PositiveFloat] = Field(
        (200.0, 200.0, 310.0), **_about("Size of the crop, (x, y, z).", PAPER, "mm")
    )
    crop: CropMethod = Field(
        "head",
        **_about(
            "How the crop box is found; head uses the brain, paper a PET threshold, nvauto and hecktor2025 the "
            "rules of those codes, center the middle of the scan.",
            "our choice, more robust than the published rule (crop = paper)",
        ),
    )
    interpolation: Interpolation = Field(
        "linear", **_about("Interpolation of CT and PET; cubic is clamped to the measured range.", OURS)
    )
    label_interpolation: Literal["nearest", "linear"] = Field(
        "nearest", **_about("Interpolation of the label; linear interpolates each class and takes the largest.", OURS)
    )
    registration: Registration = Field(
        "measure", **_about("PET to CT: measure reports the offset, rigid also corrects one of more than 4 mm.", OURS)
    )
    harmonization: Harmonization = Field(
        "spectrum-swap",
        **_about("CT harmonization; spectrum-align is the recommended one (docs/ssimh/align.md).", PAPER),
    )
    swap_threshold: int = Field(
        3,
        ge=1,
        **_about(
            "τ of spectrum-swap: the τ × τ lowest DCT coefficients of each axial slice.",
            PAPER,
            "coefficients along an axis",
        ),
    )
    valid_hu: tuple[float, float] = Field(
        (-1024.0, 3071.0),
        **_about("Range that CT is clipped to, also after harmonization.", "range of 12-bit CT", "HU"),
    )
    ct_window_hu: tuple[float, float] = Field(
        (-250.0, 250.0),
        **_about("CT window that is mapped to [0, 1].", f"{NVAUTO}; the official HECKTOR 2025 template", "HU"),
    )
    pet_scale: Literal["z-score", "suv"] = Field(
        "z-score", **_about("PET over the crop to zero mean and unit variance, or SUV unchanged.", PAPER)
    )
    sigmoid: bool = Field(True, **_about("Pass the windowed CT and the scaled PET through a sigmoid.", PAPER))

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
        return self


_CT_NOTE = "; half of its 0.1, since sigmoid([0, 1]) spans half of its sigmoid([-1, 1])"


class AugmentConfig(_Frozen):
    """Probabilities (``_p``) and ranges of the random changes during training.

    Affine, elastic and flips move CT, PET and label together; intensity changes touch the CT alone.
    """

    affine_p: Fraction = Field(0.2, **_about("Probability of an affine change.", NVAUTO))
    rotate_rad: float = Field(0.26, ge=0, **_about("Largest rotation about each axis.", NVAUTO, "rad"))
    scale: float = Field(0.2, ge=0, lt=1, **_about("Largest relative change of size along each axis.", NVAUTO))
    elastic_p: Fraction = Field(0.1, **_about("Probability of an elastic deformation.", OURS))
    elastic_spacing_vox: int = Field(16, ge=2, **_about("Distance of the knots of the displacement.", OURS, "voxels"))
    elastic_vox: float = Field(3.0, ge=0, **_about("Largest move of a knot along each axis.", OURS, "voxels"))
    flip_p: Fraction = Field(0.5, **_about("Probability of a flip, per axis.", NVAUTO))
    ct_scale: float = Field(0.3, ge=0, **_about("Largest relative change of the CT's values.", NVAUTO))
    ct_scale_p: Fraction = Field(0.5, **_about("Probability of ct_scale.", NVAUTO))
    ct_shift: float = Field(
        0.05, ge=0, **_about("Largest shift of the CT's values.", NVAUTO + _CT_NOTE, "of the normalized CT")
    )
    ct_shift_p: Fraction = Field(0.5, **_about("Probability of ct_shift.", NVAUTO))
    ct_noise: float = Field(
        0.05,
        ge=0,
        **_about("Largest standard deviation of the noise added to the CT.", NVAUTO + _CT_NOTE, "of the normalized CT"),
    )
    ct_noise_p: Fraction = Field(0.2, **_about("Probability of ct_noise.", NVAUTO))
    ct_blur_vox: tuple[float, float] = Field((0.5, 1.0), **_about("Range of the blur's sigma.", NVAUTO, "voxels"))
    ct_blur_p: Fraction = Field(0.2, **_about("Probability of ct_blur_vox.", NVAUTO))


class TrainConfig(_Frozen):
    """Network, sampling, loss and optimization."""

    filters: int = Field(32, ge=1, **_about("Channels of SegResNet's first level.", NVAUTO, "channels"))
    blocks_down: tuple[int, ...] = Field(
        (1, 2, 2, 4, 4), min_length=2, **_about("Residual blocks of each encoder level.", NVAUTO, "blocks")
    )
    heads: int = Field(
        4, ge=1, **_about("Outputs under deep supervision: the main one and heads - 1 coarser ones.", NVAUTO)
    )
    head_weights: Literal["equal", "exponential"] = Field(
        "equal", **_about("Weights of the heads' losses; exponential is 1, 1/2, 1/4, … from the main output on.", PAPER)
    )
    patch_vox: Triple = Field((192, 192, 192), **_about("Size of a training patch, (x, y, z).", PAPER, "voxels"))
    class_weights: tuple[float, float, float] = Field(
        (0.10, 0.45, 0.45), **_about("Probabilities that a patch is centered on background, GTVp, GTVn.", PAPER)
    )
    lesion_balance: Literal["voxel", "lesion"] = Field(
        "voxel", **_about("Whether each lesion voxel or each lesion is equally likely as a center.", OURS)
    )
    hard_negatives: Fraction = Field(
        0.0, **_about("Share of the background patches that are centered on hot tissue outside lesions.", OURS)
    )
    batch_size: int = Field(1, ge=1, **_about("Patches of a step.", NVAUTO, "patches"))
    epochs: int = Field(300, ge=1, **_about("Epochs of a fold.", NVAUTO, "epochs"))
    patches_per_case: int = Field(1, ge=1, **_about("Patches of a case in an epoch.", NVAUTO, "patches"))
    optimizer: Literal["adamw", "sgd"] = Field(
        "adamw", **_about("Optimizer; sgd has Nesterov momentum, as nnU-Net.", PAPER)
    )
    momentum: float = Field(0.99, ge=0, lt=1, **_about("Momentum of sgd.", NNUNET))
    learning_rate: PositiveFloat = Field(2e-4, **_about("Learning rate after the warm-up.", NVAUTO))
    weight_decay: float = Field(1e-5, ge=0, **_about("Weight decay.", NVAUTO))
    schedule: Literal["cosine", "step", "poly"] = Field("cosine", **_about("How the learning rate falls.", PAPER))
    step_epochs: int = Field(100, ge=1, **_about("Epochs between two steps of schedule = step.", OURS, "epochs"))
    step_factor: float = Field(0.1, gt=0, lt=1, **_about("Factor of each step of schedule = step.", OURS))
    warmup_epochs: int = Field(3, ge=0, **_about("Epochs in which the learning rate rises.", NVAUTO, "epochs"))
    ema_decay: float = Field(
        0.0,
        ge=0,
        lt=1,
        **_about("Decay of the weights' moving average, which is validated and kept; 0 is off.", OURS, "per step"),
    )
    patience: int | None = Field(
        None,
        ge=1,
        **_about("Epochs without a better validation score before a fold stops; none: it never does.", OURS, "epochs"),
    )
    clip_norm: PositiveFloat = Field(12.0, **_about("Largest norm of the gradient.", NNUNET))
    validate_every: int = Field(5, ge=1, **_about("Epochs between two validations.", OURS, "epochs"))
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = Field(
        "auto", **_about("Floating-point precision; auto is half precision where the device has it.", OURS)
    )
    workers: int = Field(4, ge=0, **_about("Data-loading processes, at most one a core.", OURS, "processes"))
    augment_on: Literal["auto", "loader", "device"] = Field(
        "auto", **_about("Where patches are augmented; auto: on a GPU where there is one.", OURS)
    )
    tensorboard: bool = Field(False, **_about("Also write TensorBoard files; needs ssimh[tensorboard].", OURS))
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

    window: WindowMethod = Field(
        "patch",
        **_about("Size of the windows: that of the training patch, or auto, the cheapest that fit the memory.", PAPER),
    )
    overlap: float = Field(0.625, ge=0, lt=1, **_about("Overlap of neighboring windows.", NVAUTO))
    flips: str = Field(
        "",
        pattern="^x?y?z?$",
        **_about("Axes to flip along at test time: '', x, y, z, xy, … xyz; each doubles the network's work.", PAPER),
    )
    min_gtvp_ml: float = Field(0.2, ge=0, **_about("Smaller GTVp components are removed.", OURS, "ml"))
    min_gtvn_ml: float = Field(0.2, ge=0, **_about("Smaller GTVn components are removed.", OURS, "ml"))
    min_gtvp_vox: int = Field(
        0,
        ge=0,
        **_about(
            "Smaller GTVp components are removed, counted on the CT grid.",
            f"{PAPER} has a voxel count without its value; ours is in ml",
            "voxels",
        ),
    )
    min_gtvn_vox: int = Field(
        0,
        ge=0,
        **_about(
            "Smaller GTVn components are removed, counted on the CT grid.",
            f"{PAPER} has a voxel count without its value; ours is in ml",
            "voxels",
        ),
    )
    max_node_distance_mm: PositiveFloat = Field(
        100.0,
        **_about(
            "GTVn components farther from the predicted GTVp, surface to surface, are removed.",
            f"{PAPER} has the rule without its value; the value is ours",
            "mm",
        ),
    )


class Config(_Frozen):
    """One run: preset, seed and the settings of every stage."""

    preset: Preset = Field(**_about("Named set of values that the run began with.", OURS))
    seed: int = Field(0, ge=0, lt=2**31, **_about("Seed of the splits and the training.", OURS))
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

        Args:
            preset: Name of the preset.
            seed: Seed of the splits and the training, in [0, 2³¹).
            folds: Cross-validation folds, at least 2.
            harmonization: CT harmonization.
            **changes: Whole sections that replace those of the preset, such as ``predict=PredictConfig(flips="x")``.

        Raises:
            ValueError: A value that is not allowed; pydantic's ``ValidationError`` is one.

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
