"""All settings of a run: one frozen, validated object that is saved into every output."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from hnseg.settings.predict import PredictConfig
from hnseg.settings.prepare import Harmonization, PrepareConfig
from hnseg.settings.presets import PRESETS, Preset
from hnseg.settings.section import OURS, Settings, about
from hnseg.settings.split import SplitConfig
from hnseg.settings.train import TrainConfig

SECTIONS: dict[str, type[Settings]] = {
    "split": SplitConfig,
    "prepare": PrepareConfig,
    "train": TrainConfig,
    "predict": PredictConfig,
}


class Config(Settings):
    """One run: preset, seed and the settings of every stage."""

    preset: Preset = Field(**about("Named set of values that the run began with.", OURS))
    seed: int = Field(0, ge=0, lt=2**31, **about("Seed of the splits and the training.", OURS))
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
        folds: int | None = None,
        harmonization: Harmonization | None = None,
        **changes: Any,
    ) -> Config:
        """The settings of a preset, see :mod:`hnseg.settings.presets`.

        Args:
            preset: Name of the preset.
            seed: Seed of the splits and the training, in [0, 2³¹).
            folds: Cross-validation folds, at least 2; None: as the preset says.
            harmonization: CT harmonization; None: as the preset says.
            **changes: Whole sections that replace those of the preset, such as ``predict=PredictConfig(flips="x")``.

        Raises:
            ValueError: A value that is not allowed; pydantic's ``ValidationError`` is one.

        >>> Config.from_preset("paper").prepare.box_vox
        (200, 200, 310)
        >>> Config.from_preset("demo").train.filters < Config.from_preset("paper").train.filters
        True
        """
        if preset not in PRESETS:
            names = ", ".join(repr(name) for name in PRESETS)
            raise ValueError(f"preset {preset!r}: choose one of {names}")
        values = {section: dict(PRESETS[preset].get(section, {})) for section in SECTIONS}
        if folds is not None:
            values["split"]["folds"] = folds
        if harmonization is not None:
            values["prepare"]["harmonization"] = harmonization
        sections = {section: kind(**values[section]) for section, kind in SECTIONS.items()}
        return cls(preset=preset, seed=seed, **{**sections, **changes})
