"""The presets say what they promise, and settings are checked when they are made."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from hnseg.settings.config import Config
from hnseg.settings.predict import PredictConfig
from hnseg.settings.prepare import PrepareConfig
from hnseg.settings.train import TrainConfig

ROOT = Path(__file__).parents[3]


def test_paper_preset_is_the_published_recipe():
    paper = Config.from_preset("paper")
    assert paper.prepare.spacing_mm == 1.0
    assert paper.prepare.box_mm == (200.0, 200.0, 310.0)
    assert (paper.prepare.harmonization, paper.prepare.swap_threshold) == ("spectrum-swap", 3)
    assert paper.train.patch_vox == (192, 192, 192)
    assert (paper.train.filters, paper.train.blocks_down, paper.train.heads) == (32, (1, 2, 2, 4, 4), 4)
    assert paper.train.class_weights == (0.10, 0.45, 0.45)
    assert paper.split.folds == 5


def flat(section: BaseModel, prefix: str = "") -> dict[str, object]:
    """Values of all settings by dotted name."""
    values: dict[str, object] = {}
    for name in type(section).model_fields:
        value = getattr(section, name)
        values |= flat(value, f"{prefix}{name}.") if isinstance(value, BaseModel) else {f"{prefix}{name}": value}
    return values


def test_demo_is_the_defaults_on_a_coarser_grid_with_less_work():
    demo, default = flat(Config.from_preset("demo")), flat(Config(preset="demo"))
    changed = {name for name in default if demo[name] != default[name]}
    assert changed == {
        "split.folds",
        "prepare.spacing_mm",
        *(f"train.{name}" for name in ("filters", "blocks_down", "heads", "patch_vox", "epochs", "patches_per_case")),
        *(f"train.{name}" for name in ("learning_rate", "warmup_epochs", "validate_every", "workers")),
    }
    assert demo["prepare.spacing_mm"] == 200 / 48
    assert demo["train.patch_vox"] == (48, 48, 48)


def fields(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """All settings with their dotted names."""
    for name, field in model.model_fields.items():
        if isinstance(field.default, BaseModel):
            yield from fields(type(field.default), f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field


@pytest.mark.parametrize(("name", "field"), list(fields(Config)), ids=lambda value: value if type(value) is str else "")
def test_every_setting_has_a_description_a_unit_and_a_source(name, field):
    assert field.description
    assert field.description.endswith(".")
    assert set(field.json_schema_extra) == {"source", "unit"}
    assert field.json_schema_extra["source"]
    units = {"_mm": "mm", "_hu": "HU", "_ml": "ml", "_vox": "voxels", "_rad": "rad", "_epochs": "epochs"}
    for suffix, unit in units.items():
        if name.endswith(suffix):
            assert field.json_schema_extra["unit"] == unit


def test_every_extra_that_is_named_exists():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    named = [
        (path.name, package, extra)
        for folder in ("hnseg", "ssimh", "docs", "examples")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".md", ".j2") and "_build" not in path.parts
        for package, group in re.findall(r"\b(ssimh|hnseg)\[([a-z, ]+)\]", path.read_text(encoding="utf-8"))
        for extra in re.split(r",\s*", group)
    ]
    assert named
    assert [entry for entry in named if entry[1] != "ssimh" or entry[2] not in extras] == []


def test_survives_json():
    config = Config.from_preset("demo", seed=7)
    assert Config.model_validate_json(config.model_dump_json()) == config
    assert config.digest() != Config.from_preset("demo", seed=8).digest()


@pytest.mark.parametrize(
    ("make", "field", "kind"),
    [
        (lambda: TrainConfig(patch_vox=(100, 192, 192)), (), "value_error"),
        (lambda: TrainConfig(heads=5), (), "value_error"),
        (lambda: TrainConfig(class_weights=(0.5, 0.5, 0.5)), (), "value_error"),
        (lambda: TrainConfig(epoch=3), ("epoch",), "extra_forbidden"),
        (lambda: PrepareConfig(spacing_mm=0), ("spacing_mm",), "greater_than"),
        (lambda: PrepareConfig(box_mm=(200, 200, 0)), ("box_mm", 2), "greater_than"),
        (lambda: PrepareConfig(ct_window_hu=(250, -250)), (), "value_error"),
        (lambda: PrepareConfig(harmonization="magic"), ("harmonization",), "literal_error"),
        (lambda: PredictConfig(flips="zx"), ("flips",), "string_pattern_mismatch"),
        (lambda: Config.from_preset("demo", seed=-1), ("seed",), "greater_than_equal"),
    ],
)
def test_refusals(make, field, kind):
    with pytest.raises(ValidationError) as caught:
        make()
    (error,) = caught.value.errors()
    assert (error["loc"], error["type"]) == (field, kind)


def test_an_unknown_preset_is_refused():
    with pytest.raises(ValueError, match="tiny"):
        Config.from_preset("tiny")
