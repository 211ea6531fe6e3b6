"""nnU-Net's raw datasets: what ``dataset.json`` states, and the files of each case; what contradicts it is refused.

The rules are those of nnU-Net v2: ``imagesTr/CASE_0000.nii.gz`` with four digits for the channel,
``labelsTr/CASE.nii.gz``, optionally ``imagesTs``; or the ``dataset`` mapping of ``dataset.json``, whose relative paths
begin at the dataset and may name environment variables.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ssimh.files.json_object import JsonObject

DESCRIPTION = "dataset.json"
# Formats that state voxel sizes, among those of nnU-Net.
FILE_ENDINGS = (".nii.gz", ".nii", ".nrrd", ".mha", ".gipl")
_PET_WORDS = {"pet", "pt", "suv", "suvbw", "fdg"}


class NnunetError(ValueError):
    """A dataset or a folder of cases that contradicts nnU-Net's rules or cannot be used; the message names the file."""


@dataclass(frozen=True)
class Layout:
    """What ``dataset.json`` states about files.

    Attributes:
        channels: name of each channel, by number.
        file_ending: of all images and labels, such as ``".nii.gz"``.
    """

    channels: tuple[str, ...]
    file_ending: str

    def name_image(self, case: str, channel: int) -> str:
        """File name of one channel of a case."""
        return f"{case}_{channel:04d}{self.file_ending}"

    def unit_of(self, channel: int, where: Path) -> str | None:
        """Unit of a channel to harmonize, by its name: ``"HU"`` for CT, None for any other.

        Raises:
            NnunetError: there is no such channel, or it is PET; ``where`` is the file that states it.
        """
        if channel not in range(len(self.channels)):
            named = ", ".join(f"{number} ({name})" for number, name in enumerate(self.channels))
            raise NnunetError(f"{where} names no channel {channel}; it names {named}.")
        words = set(re.findall("[a-z]+", self.channels[channel].lower()))
        if words & _PET_WORDS:
            raise NnunetError(
                f"{where} names channel {channel} {self.channels[channel]!r}, which is PET; harmonization is for CT "
                "and would change uptake values. Choose the CT channel."
            )
        return "HU" if "ct" in words else None


@dataclass(frozen=True)
class Case:
    """One case.

    Attributes:
        name: nnU-Net's identifier.
        images: file of each channel.
        label: segmentation; None for a case without one.
    """

    name: str
    images: tuple[Path, ...]
    label: Path | None = None


@dataclass(frozen=True)
class NnunetDataset:
    """A raw dataset.

    Attributes:
        folder: where it lies.
        description: content of ``dataset.json``.
        layout: what it states about files.
        training: cases of ``imagesTr`` or of the mapping, with labels.
        test: cases of ``imagesTs``.
    """

    folder: Path
    description: JsonObject
    layout: Layout
    training: tuple[Case, ...]
    test: tuple[Case, ...]


def read_dataset(folder: Path) -> NnunetDataset:
    """A raw dataset with all its cases.

    Raises:
        FileNotFoundError: no ``dataset.json``, or a file that its mapping names does not exist.
        NnunetError: what contradicts nnU-Net's rules; the message names the file.
    """
    description = read_description(folder)
    layout = read_layout(description, folder / DESCRIPTION)
    if "dataset" in description:
        training = _read_mapping(folder, description["dataset"], layout)
    else:
        training = _pair_labels(folder, list_cases(folder / "imagesTr", layout), layout)
    count = description.get("numTraining")
    if count != len(training):
        raise NnunetError(f"{folder / DESCRIPTION} states numTraining {count!r}; there are {len(training)} cases.")
    test = list_cases(folder / "imagesTs", layout) if has_files(folder / "imagesTs") else ()
    return NnunetDataset(folder, description, layout, training, test)


def read_description(folder: Path) -> JsonObject:
    """Content of a dataset's ``dataset.json``.

    Raises:
        FileNotFoundError: there is none.
        NnunetError: it is damaged.
    """
    path = folder / DESCRIPTION
    if not path.is_file():
        raise FileNotFoundError(f"{folder} holds no {DESCRIPTION}; it must be a raw dataset of nnU-Net v2.")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise NnunetError(f"{path} is damaged: {error}") from error
    if not isinstance(content, dict):
        raise NnunetError(f"{path} must hold an object.")
    return content


def read_layout(description: Mapping[str, Any], where: Path) -> Layout:
    """Channels and file ending that ``dataset.json`` states.

    Raises:
        NnunetError: one is missing, channels are not numbered from 0, or the ending is not supported.
    """
    named = description.get("channel_names", description.get("modality"))
    if not isinstance(named, dict) or not named:
        raise NnunetError(f"{where} names no channels (channel_names).")
    if set(named) != {str(number) for number in range(len(named))}:
        raise NnunetError(f"{where}: channel_names must be numbered from 0 without gaps; given are {', '.join(named)}.")
    ending = description.get("file_ending")
    if ending not in FILE_ENDINGS:
        raise NnunetError(f"{where} states file_ending {ending!r}; supported are {', '.join(FILE_ENDINGS)}.")
    return Layout(tuple(str(named[str(number)]) for number in range(len(named))), str(ending))


def has_files(folder: Path) -> bool:
    """Whether the folder exists and holds a file that is not hidden."""
    return folder.is_dir() and any(True for _ in _list_files(folder))


def _list_files(folder: Path) -> Iterable[Path]:
    return (path for path in sorted(folder.iterdir()) if path.is_file() and not path.name.startswith("."))


def list_cases(folder: Path, layout: Layout) -> tuple[Case, ...]:
    """Cases of a folder of images such as ``imagesTr``, or of new cases at inference, sorted by name.

    Files of JSON are passed over, as nnU-Net does.

    Raises:
        FileNotFoundError: there is no such folder, or it holds no case.
        NnunetError: a file with another ending, without a channel or with one that is not named; a missing channel.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"no such folder: {folder}")
    pattern = re.compile(rf"(.+)_(\d{{4}}){re.escape(layout.file_ending)}")
    found: dict[str, dict[int, Path]] = {}
    for path in _list_files(folder):
        if path.suffix == ".json":
            continue
        match = pattern.fullmatch(path.name)
        if match is None:
            raise NnunetError(
                f"{path} is not named CASE_0000{layout.file_ending}: a case, a channel in four digits and the ending "
                "that dataset.json states. Rename or remove it."
            )
        channel = int(match[2])
        if channel >= len(layout.channels):
            raise NnunetError(f"{path} is of channel {channel}; dataset.json names {len(layout.channels)}, from 0.")
        found.setdefault(match[1], {})[channel] = path
    if not found:
        raise FileNotFoundError(f"{folder} holds no case (CASE_0000{layout.file_ending}).")
    for case, images in found.items():
        for channel, name in enumerate(layout.channels):
            if channel not in images:
                missing = folder / layout.name_image(case, channel)
                raise NnunetError(f"{missing} is missing: every case needs channel {channel} ({name}).")
    channels = range(len(layout.channels))
    return tuple(Case(case, tuple(images[channel] for channel in channels)) for case, images in sorted(found.items()))


def _pair_labels(folder: Path, cases: Iterable[Case], layout: Layout) -> tuple[Case, ...]:
    """The cases with their labels; every label has a case, every case a label."""
    home = folder / "labelsTr"
    labels = {path.name: path for path in _list_files(home) if path.suffix != ".json"} if home.is_dir() else {}
    paired = []
    for case in cases:
        name = f"{case.name}{layout.file_ending}"
        if name not in labels:
            raise NnunetError(f"{home / name} is missing: {case.images[0]} has no label.")
        paired.append(Case(case.name, case.images, labels.pop(name)))
    for path in labels.values():
        if not path.name.endswith(layout.file_ending):
            raise NnunetError(f"{path} does not end in {layout.file_ending}, which dataset.json states.")
        raise NnunetError(f"{path} is a label without images in {folder / 'imagesTr'}.")
    return tuple(paired)


def _read_mapping(folder: Path, mapping: object, layout: Layout) -> tuple[Case, ...]:
    """Cases that ``dataset`` in ``dataset.json`` names, sorted by name."""
    where = folder / DESCRIPTION
    if not isinstance(mapping, dict) or not mapping:
        raise NnunetError(f"{where}: dataset must map cases to their images and label.")
    cases = []
    for name, files in sorted(mapping.items()):
        is_whole = isinstance(files, dict) and isinstance(files.get("images"), list) and "label" in files
        if not is_whole or not all(isinstance(path, str) for path in [*files["images"], files["label"]]):
            raise NnunetError(f"{where}: dataset.{name} must have images, a list of paths, and label, a path.")
        if Path(name).name != name:
            raise NnunetError(f"{where}: dataset.{name}: the name of a case must be one of a file.")
        if len(files["images"]) != len(layout.channels):
            raise NnunetError(
                f"{where}: dataset.{name} has {len(files['images'])} image(s) for {len(layout.channels)} channel(s); a "
                "channel is missing or too many."
            )
        *images, label = (folder / os.path.expandvars(path) for path in [*files["images"], files["label"]])
        for path in (*images, label):
            if not path.is_file():
                raise FileNotFoundError(f"{where}: dataset.{name} names {path}, which does not exist.")
            if not path.name.endswith(layout.file_ending):
                raise NnunetError(f"{path} does not end in {layout.file_ending}, which {where} states.")
        cases.append(Case(name, tuple(images), label))
    return tuple(cases)
