"""The pipeline of a run in words and numbers: what figure 3 shows, read from settings, split, cases and models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hnseg.cohort.splits import Splits
from hnseg.inference.ensemble import check_models, find_models
from hnseg.inference.out_of_fold import FOLDER as OUT_OF_FOLD
from hnseg.models.checkpoint import load_checkpoint
from hnseg.preprocessing.prepared_case import CaseRecord
from hnseg.preprocessing.prepared_cohort import PreparedCohort
from hnseg.settings.augment import AugmentConfig
from hnseg.settings.config import Config
from hnseg.settings.predict import PredictConfig
from hnseg.settings.prepare import PrepareConfig
from hnseg.settings.train import TrainConfig
from hnseg.workdir import list_files, load_config, load_run_record

KINDS = {"stratified": "stratified by center and lesions", "centers": "one per center", "published": "published list"}


@dataclass(frozen=True)
class Step:
    """One box of the figure: a title, and lines of detail."""

    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Pipeline:
    """The boxes of the three lanes, each in the order of the work."""

    preprocessing: tuple[Step, ...]
    training: tuple[Step, ...]
    inference: tuple[Step, ...]


@dataclass(frozen=True)
class TrainedFold:
    """A fold: epochs that are done, and the epoch whose weights were kept."""

    fold: int
    epochs: int
    kept: int


def read_pipeline(work: Path, cohort: PreparedCohort) -> Pipeline:
    """Read what a run has done.

    Args:
        work: Trained.
        cohort: Its prepared cases.

    Raises:
        WorkDirError: A fold is not trained, or its model is not one that this run would have trained.
        CaseError: A case is not prepared, or is out of date.
    """
    config, splits = load_config(work), cohort.splits
    models = find_models(work)
    check_models(models, config, splits, cohort.preparation)
    folds = read_folds(models)
    records = [cohort.open_case(name).record for name in sorted(cohort.cases) if cohort.failure(name) is None]
    return Pipeline(
        (
            _describe_cohort(cohort, records),
            _describe_crop(config.prepare, records),
            _describe_harmonization(config.prepare, records),
            _describe_normalization(config.prepare),
        ),
        (
            _describe_split(splits),
            _describe_patches(config.train),
            _describe_augmentation(config.train.augment),
            _describe_network(config.train),
            _describe_optimization(config.train),
            _describe_epochs(config.train, folds),
        ),
        (
            _describe_windows(config),
            Step("Ensemble", (f"mean of the logits of {len(models)} networks, then softmax",)),
            _describe_decision(config.predict),
            _describe_postprocessing(config.predict, is_tuned=load_run_record(work).tuned is not None),
            _describe_masks(work, splits),
        ),
    )


def read_folds(models: Sequence[Path]) -> tuple[TrainedFold, ...]:
    """Epochs of every fold from its log, and the epoch of its best checkpoint."""
    found = []
    for fold, path in enumerate(models):
        history = load_checkpoint(path, mapped=True).get("history") or [{}]
        kept = int(history[-1].get("epoch", 0))
        found.append(TrainedFold(fold, max(kept, _count_epochs(path.with_name("log.csv"))), kept))
    return tuple(found)


def _count_epochs(log: Path) -> int:
    """Epochs in a fold's log; 0 without one."""
    return sum(bool(line.strip()) for line in log.read_text(encoding="utf-8").splitlines()[1:]) if log.is_file() else 0


def _by(values: Sequence[float | int], digits: int = 3) -> str:
    """``200×200×310``."""
    return "×".join(f"{value:.{digits}g}" if isinstance(value, float) else str(value) for value in values)


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _plural(count: int, noun: str) -> str:
    """``1 case``, ``2 cases``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _hu(window: tuple[float, float]) -> str:
    return f"{window[0]:g} to {window[1]:g} HU".replace("-", "−")


def _describe_cohort(cohort: PreparedCohort, records: Sequence[CaseRecord]) -> Step:
    centers = len({record.center for record in records})
    lines = ["CT in HU", "FDG-PET in SUV", f"{_plural(len(records), 'case')} of {_plural(centers, 'center')}"]
    failed = len(cohort.cases) - len(records)
    if failed:
        lines.append(f"{failed} could not be prepared")
    converted = sum(record.suv_factor != 1 for record in records)
    if converted:
        lines.append(f"{converted} converted from Bq/ml")
    return Step("PET/CT, checked", tuple(lines))


def _describe_crop(config: PrepareConfig, records: Sequence[CaseRecord]) -> Step:
    fallbacks = sum(record.crop.fallback for record in records)
    lines = [
        f"method {config.crop}{f', fallback in {fallbacks}' if fallbacks else ''}",
        f"{_by([round(length) for length in config.box_mm])} mm",
        f"{config.spacing_mm:.3g} mm isotropic",
        f"{config.interpolation} interpolation",
        f"{_by(config.box_vox)} voxels",
    ]
    if config.registration == "rigid":
        corrected = sum(bool(record.alignment and record.alignment.corrected) for record in records)
        lines.append(f"PET moved onto CT in {corrected}")
    return Step("Crop and resample", tuple(lines))


def _describe_harmonization(config: PrepareConfig, records: Sequence[CaseRecord]) -> Step:
    made = [record.harmonization for record in records]
    unable = sum(record.fallback is not None for record in made)
    reference = next((record.reference for record in made if record.reference), "")
    targets = Counter(record.target for record in made if record.target)
    lines = {
        "none": ["none"],
        "spectrum-swap": ["spectrum swap by slice", f"τ = {config.swap_threshold}", f"reference {reference}"],
        "spectrum-align": [
            "spectrum align, site by site",
            f"target {', '.join(name for name, _ in targets.most_common(1))}",
            "fitted per fold",
        ],
        "histogram-match": ["histogram matching", f"reference {reference}"],
    }[config.harmonization]
    if unable:
        lines.append(f"fallback in {unable}")
    if made and config.harmonization != "none":
        mean = sum(record.soft_tissue_mean_abs_hu for record in made) / len(made)
        lines.append(f"soft tissue: mean |Δ| {mean:.1f} HU")
    return Step("Harmonize CT", tuple(lines))


def _describe_normalization(config: PrepareConfig) -> Step:
    sigmoid = ", sigmoid" if config.sigmoid else ""
    clipped = ", clipped" if config.clip_ct_window else ", not clipped"
    pet = "z-score over the crop" if config.pet_scale == "z-score" else "SUV"
    ct = f"CT: {_hu(config.ct_window_hu)} to [0, 1]{clipped}{sigmoid}"
    return Step("Normalize", (ct, f"PET: {pet}{sigmoid}"))


def _describe_split(splits: Splits) -> Step:
    sizes = sorted({len(ids) for ids in splits.folds})
    each = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    lines = [
        f"{len(splits.folds)} folds, {KINDS[splits.kind]}",
        f"{_plural(len(splits.all_train_ids()), 'case')}, {each} validated in each fold",
    ]
    if splits.reference is not None:
        lines.append(f"reference {splits.reference} trains in every fold")
    return Step("Cross-validation", tuple(lines))


def _describe_patches(config: TrainConfig) -> Step:
    background, gtvp, gtvn = config.class_weights
    lines = [
        f"{_by(config.patch_vox)} voxels, {config.patches_per_case} a case and epoch",
        f"centered on GTVp {gtvp:g}, GTVn {gtvn:g}, background {background:g}",
    ]
    if config.hard_negatives:
        lines.append(f"{_percent(config.hard_negatives)} of the background patches are hard negatives")
    return Step("Patches", tuple(lines))


def _describe_augmentation(config: AugmentConfig) -> Step:
    return Step(
        "Augmentation (probabilities)",
        (
            f"CT, PET: affine {config.affine_p:g}, elastic {config.elastic_p:g}, flips {config.flip_p:g}",
            f"CT: scale {config.ct_scale_p:g}, shift {config.ct_shift_p:g}, noise {config.ct_noise_p:g}, "
            f"blur {config.ct_blur_p:g}",
        ),
    )


def _describe_network(config: TrainConfig) -> Step:
    blocks = ", ".join(map(str, config.blocks_down))
    return Step(
        "SegResNet",
        (
            f"{config.filters} filters, residual blocks {blocks}",
            f"deep supervision, {config.heads} heads, {config.head_weights} weights",
        ),
    )


def _describe_optimization(config: TrainConfig) -> Step:
    name = {"adamw": "AdamW", "sgd": "SGD"}[config.optimizer]
    average = f", averaged weights {config.ema_decay:g}" if config.ema_decay else ""
    return Step(
        "Loss and optimizer",
        (
            "Dice + cross-entropy, summed over the heads",
            f"{name}, learning rate {config.learning_rate:g}, {config.schedule}, batch {config.batch_size}{average}",
        ),
    )


def _describe_epochs(config: TrainConfig, folds: Sequence[TrainedFold]) -> Step:
    monitor = {"val_score": "best validation score", "val_loss": "least validation loss"}[config.monitor]
    stop = "no early stopping" if config.patience is None else f"patience {config.patience} epochs"
    shown = ", ".join(f"{fold.epochs}\u00a0({fold.kept})" for fold in folds)
    return Step(
        f"{_plural(len(folds), 'network')}",
        (f"kept: {monitor}; {stop}", f"epochs done of {config.epochs} (kept), by fold: {shown}"),
    )


def _describe_windows(config: Config) -> Step:
    size = _by(config.train.patch_vox) if config.predict.window == "patch" else "chosen by memory"
    flips = f"averaged over flips along {', '.join(config.predict.flips)}" if config.predict.flips else "no flips"
    return Step("Sliding window", (f"{size} voxels, overlap {config.predict.overlap:g}", f"Gaussian blending, {flips}"))


def _describe_decision(config: PredictConfig) -> Step:
    if config.decide_on == "crop-grid":
        return Step("Label", ("argmax on the crop grid", "to the CT grid by nearest neighbor"))
    return Step("Label", ("probabilities resampled to the CT grid", "argmax there"))


def _describe_postprocessing(config: PredictConfig, *, is_tuned: bool) -> Step:
    lines = []
    for name, volume_ml, voxels in (
        ("GTVp", config.min_gtvp_ml, config.min_gtvp_vox),
        ("GTVn", config.min_gtvn_ml, config.min_gtvn_vox),
    ):
        least = [f"{volume_ml:g} ml"] if volume_ml else []
        least += [f"{voxels} voxels"] if voxels else []
        lines.append(f"{name} components below {' or '.join(least)} removed" if least else f"{name}: none removed")
    lines.append(f"GTVn over {config.max_node_distance_mm:g} mm from GTVp removed")
    lines.append("thresholds chosen by out-of-fold masks" if is_tuned else "thresholds as they were set")
    return Step("Post-processing", tuple(lines))


def _describe_masks(work: Path, splits: Splits) -> Step:
    out_of_fold = len(list_files(work / OUT_OF_FOLD, "*.nii.gz"))
    tests = len(list_files(work / "predictions", "*.nii.gz"))
    lines = [f"{out_of_fold} out-of-fold masks (one network each)"]
    lines.append(f"{tests} of {len(splits.test)} test cases (ensemble)" if splits.test else "no test cases in this run")
    return Step("Masks on the CT grid", tuple(lines))
