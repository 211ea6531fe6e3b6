"""The settings file ``config.yaml``: every setting with its unit, allowed values and source as a comment.

YAML 1.2 is read: ``off`` is a word and no truth value, 1e-4 a number, and a key may occur once. Comments that a user
wrote survive :func:`change_config_file`.
"""

from __future__ import annotations

import functools
import io
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path

from ruamel.yaml import YAML, AliasEvent, ScalarNode
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.representer import RoundTripRepresenter

from hnseg.errors import SettingsError
from hnseg.settings.building import Values, build_config, flatten
from hnseg.settings.config import Config
from hnseg.settings.fields import SettingField, list_fields, list_sections
from hnseg.settings.section import SOURCES

CONFIG_FILE = "config.yaml"
FORMAT = 1  # of the file; one more when a setting is renamed or means something else
MAX_BYTES = 1_000_000
_WIDTH = 100
_HEADER = """\
# Settings of a run of hnseg. Edit the values here, or give one to a command: `hnseg train WORK --set train.epochs=150`.
# Only what depends on a changed setting is done again. `hnseg config WORK` shows how they differ from a preset.
# No value is `null` here, and `null` or `none` after --set.
# Sources are those of the defaults (docs/hnseg/paper.md):
"""


def render_config(config: Config) -> str:
    """The settings as the text of a file."""
    legend = [f"#   {name}: {meaning}" for name, meaning in SOURCES.items()]
    values, section = flatten(config), ""
    lines = [_HEADER + "\n".join(legend), "", f"version: {FORMAT}  # of this file's format", ""]
    for name, field in list_fields().items():
        parent, _, key = name.rpartition(".")
        if parent != section:
            lines += ["", *_section_lines(parent, section)]
            section = parent
        indent = "  " * (parent.count(".") + 1) if parent else ""
        lines += [f"{indent}# {line}" for line in _wrap(_describe(field), _WIDTH - len(indent))]
        lines.append(f"{indent}{key}: {_format_value(values[name])}")
    return "\n".join(lines) + "\n"


def read_config_file(path: Path, *, preset: str | None = None, whole: bool = False) -> Config:
    """Read a settings file.

    Args:
        path: The file; what it does not name is as in its preset.
        preset: Preset where the file names none.
        whole: Whether the file must be a run's own: with its format, its preset and every setting.

    Raises:
        SettingsError: It is missing, no YAML, or of another format; or a name is unknown, occurs twice, has no allowed
            value, or is missing.
    """
    values, where, has_version = _parse(path)
    if whole:
        absent = [name for name in list_fields() if name not in values]
        absent = absent if has_version else ["version", *absent]
        if absent:
            raise SettingsError(f"{path}: {absent[0]} is missing; a run's file holds every setting")
    given = values.get("preset")
    if preset is not None and given not in (None, preset):
        raise SettingsError(f"{where['preset']}: preset {given!r}, and --preset {preset}: give one of the two")
    return build_config(values if preset is None else {**values, "preset": preset}, where=where)


def change_config_file(path: Path, values: Values) -> str:
    """The text of a settings file with some values changed; comments and order stay.

    Args:
        path: A valid file.
        values: By dotted name; checked with :func:`hnseg.settings.building.build_config` before.
    """
    yaml = YAML()
    yaml.Representer = _Representer
    yaml.width, yaml.preserve_quotes = 4096, True
    content = yaml.load(path.read_text(encoding="utf-8"))
    for name, value in values.items():
        *parents, last = name.split(".")
        target = content
        for parent in parents:
            target = target.setdefault(parent, CommentedMap())
        if isinstance(value, list | tuple):
            value = CommentedSeq(value)
            value.fa.set_flow_style()
        target[last] = value
    text = io.StringIO()
    yaml.dump(content, text)
    return text.getvalue()


class _Representer(RoundTripRepresenter):
    """Writes no value as ``null``, which the one of ruamel leaves out."""

    def represent_null(self, data: None) -> ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:null", "null")


_Representer.add_representer(type(None), _Representer.represent_null)


def _section_lines(section: str, before: str) -> Iterator[str]:
    """The key of a section, and of those above it that have not begun."""
    parts, open_parts = section.split("."), before.split(".")
    for depth, part in enumerate(parts):
        if parts[: depth + 1] != open_parts[: depth + 1]:
            yield f"{'  ' * depth}{part}:"


def _describe(field: SettingField) -> str:
    unit = f" Unit: {field.unit}." if field.unit else ""
    return f"{field.description}{unit} Allowed: {field.allowed}. Source: {field.source}."


def _wrap(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_on_hyphens=False, break_long_words=False)


def _format_value(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{', '.join(_format_value(entry) for entry in value)}]"
    if isinstance(value, str):
        plain = value.replace("-", "").replace("_", "").isalnum() and value[0].isalpha()
        plain = plain and value.lower() not in ("null", "true", "false", "none")
        return value if plain else '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return repr(value)


def _parse(path: Path) -> tuple[dict[str, object], dict[str, str], bool]:
    """Values and places by dotted name, and whether the file names its format."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise SettingsError(f"{path}: {path.stat().st_size:,} bytes are no settings file; at most {MAX_BYTES:,}")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise SettingsError(f"{path}: no such settings file") from error
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read as a text file: {error}") from error
    for number, line in enumerate(text.splitlines(), start=1):
        if "\t" in line[: len(line) - len(line.lstrip())]:
            raise SettingsError(f"{path}, line {number}: a tab; YAML is indented with spaces")
    if any(mark in text for mark in ("&", "*", "!")) and _has_references(text):
        raise SettingsError(f"{path}: anchors, aliases and tags (&, *, !) are not allowed; write the value out")
    try:
        content = _load(text)
    except DuplicateKeyError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise SettingsError(
            f"{path}, line {line}: a key occurs twice ({str(error.problem).splitlines()[0]})"
        ) from error
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise SettingsError(f"{path}, line {line}: not YAML: {error.problem}") from error
    except (YAMLError, ValueError, RecursionError) as error:
        raise SettingsError(f"{path}: not YAML: {str(error).splitlines()[0]}") from error
    if not isinstance(content, CommentedMap):
        found = "nothing" if content is None else f"a {type(content).__name__}"
        raise SettingsError(f"{path} holds {found}; expected settings by name, as `train:` and below it `epochs: 150`")
    has_version = "version" in content
    if has_version:
        _check_version(content, path)
    values, where = _flatten(content, path, "")
    values.pop("version", None)
    return values, where, has_version


@functools.lru_cache(maxsize=16)
def _load(text: str) -> object:
    """Content of a YAML text, not to be changed: a stage reads the same file for every case, at 0.05 s each time."""
    return YAML().load(text)


def _check_version(content: CommentedMap, path: Path) -> None:
    """Refuse any format but this one."""
    place = _find_place(content, "version", path)
    version = _plain(content["version"])
    if type(version) is not int or version != FORMAT:
        raise SettingsError(
            f"{place}: version {version!r} of the settings file; this version of hnseg reads {FORMAT}: begin another "
            "run with `hnseg init`"
        )


def _find_place(content: CommentedMap, key: object, path: Path) -> str:
    """File and line of a key.

    Raises:
        SettingsError: The key stands elsewhere: it is merged into the section.
    """
    line = (content.lc.data or {}).get(key)
    if line is None:
        raise SettingsError(
            f"{path}, line {content.lc.line + 1}: merge keys (<<) are not allowed; write the values out"
        )
    return f"{path}, line {line[0] + 1}"


@functools.lru_cache(maxsize=16)
def _has_references(text: str) -> bool:
    try:
        for event in YAML().parse(text):
            if isinstance(event, AliasEvent) or getattr(event, "anchor", None):
                return True
            if getattr(event, "tag", None) is not None and str(event.tag) not in ("None", ""):
                return True
    except (YAMLError, ValueError, RecursionError):
        return False  # not YAML: reported by the parser below
    return False


def _flatten(content: CommentedMap, path: Path, prefix: str) -> tuple[dict[str, object], dict[str, str]]:
    values: dict[str, object] = {}
    where: dict[str, str] = {}
    sections = list_sections()
    for key, value in content.items():
        name = f"{prefix}{key}"
        place = _find_place(content, key, path)
        if "." in str(key):
            raise SettingsError(f"{place}: {key}: a file has sections, as `train:` and below it `epochs: 150`")
        if name in sections and isinstance(value, Mapping):
            inner, places = _flatten(value, path, f"{name}.")  # type: ignore[arg-type]
            values |= inner
            where |= places
        elif name in sections and value is None:
            continue  # a section without settings
        elif name in sections:
            raise SettingsError(f"{place}: {name} is a section of settings; it was given {value!r}")
        else:
            values[name], where[name] = _plain(value), place
    return values, where


def _plain(value: object) -> object:
    """A value as JSON has it: ruamel's own scalars remember how they were written."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    if isinstance(value, bool) or value is None:
        return value
    for kind in (int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return str(value)
