"""Conversion of nnU-Net's files: one channel is harmonized, everything else is copied.

Copies and no links: the result does not change when the source does. ``dataset.json`` is written last, so that nnU-Net
refuses a dataset that is not complete; a second run does what is missing.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ssimh.batch.harmonize_folder import ScanOutcome, State, harmonize_scans
from ssimh.batch.harmonize_scan import FileHarmonizer, OutputOptions, make_job
from ssimh.batch.manifest import MANIFEST, has_manifest, read_manifest
from ssimh.batch.report import PAGE_NAME
from ssimh.files.artifact_cache import find_differences, hash_file
from ssimh.files.atomic import atomic_write, remove_leftovers
from ssimh.files.json_object import JsonObject
from ssimh.files.output_guard import OutputError, is_within
from ssimh.nnunet.dataset import DESCRIPTION, Case, Layout, NnunetDataset, NnunetError, list_cases
from ssimh.nnunet.kept_settings import RECORD, REFERENCE, SITE, KeptSettings, make_record, save_references
from ssimh.viewer.case_folder import viewer_folder

_OURS = (MANIFEST, REFERENCE, SITE, DESCRIPTION)


@dataclass(frozen=True)
class Conversion:
    """What is written into one folder, and from what.

    Attributes:
        target: folder to write.
        scans: images to harmonize: output relative to ``target`` → input.
        copies: files to copy, in the same form.
        harmonizer: what is done to each scan.
        options: how results are written.
        description: ``dataset.json`` of the result; None for new cases, which have none.
    """

    target: Path
    scans: Mapping[Path, Path]
    copies: Mapping[Path, Path]
    harmonizer: FileHarmonizer
    options: OutputOptions
    description: JsonObject | None = None

    def run(self, jobs: int = 1) -> Iterator[ScanOutcome]:
        """Harmonize, then copy; yields the outcome of each scan. Without a failure, ``dataset.json`` ends the work.

        Args:
            jobs: number of processes.

        Raises:
            OutputError: the folder holds files of another origin, or results of other settings.
            OSError: a file cannot be copied.
        """
        self.check_target()
        failed = 0
        for outcome in harmonize_scans(self.scans, self.target, self.harmonizer, self.options, jobs):
            failed += outcome.state is State.FAILED
            yield outcome
        for folder in {(self.target / name).parent for name in self.copies}:
            folder.mkdir(parents=True, exist_ok=True)
            remove_leftovers(folder)
        for name, source in self.copies.items():
            copy_file(source, self.target / name)
        if self.description is not None and not failed:
            save_references(self.harmonizer, self.target)
            with atomic_write(self.target / DESCRIPTION) as temporary:
                temporary.write_text(json.dumps(self.description, indent=2) + "\n", encoding="utf-8")

    def check_target(self) -> None:
        """Refuse a target that is not empty and not the same conversion, begun or finished.

        Raises:
            OutputError: the message names the folder, and what in it is not of this conversion.
        """
        target = self.target
        if not target.exists() or (target.is_dir() and not any(target.iterdir())):
            return
        if not has_manifest(target):
            raise OutputError(f"{target} exists and was not written by this command; choose another output folder.")
        job = make_job(self.harmonizer, self.options, 1)
        differences = find_differences(read_manifest(target).recipe.key(), job.recipe.key())
        if differences:
            raise OutputError(
                f"{target} was made in another way ({', '.join(differences)}); choose another output folder."
            )
        names = {*self.scans, *self.copies, *map(Path, _OURS)}
        report = viewer_folder(target / PAGE_NAME)  # of `ssimh report`, as report.html and report.csv are
        for path in sorted(target.rglob("*")):
            if not path.is_file() or path.relative_to(target) in names or report in path.parents:
                continue
            if not path.name.startswith((".", "report.")):
                raise OutputError(f"{path} is not of this conversion; choose another output folder, or remove it.")
        self._check_description()

    def _check_description(self) -> None:
        path = self.target / DESCRIPTION
        if self.description is not None and path.is_file():
            found = find_differences(json.loads(path.read_text(encoding="utf-8")), self.description)
            if found:
                raise OutputError(
                    f"{path} is not what this conversion writes ({', '.join(found)}); choose another output folder."
                )


def copy_file(source: Path, target: Path) -> None:
    """Copy a file, whole or not at all; a copy of an earlier run is kept.

    Raises:
        OutputError: another file is there; it is not overwritten.
    """
    if not target.exists():
        with atomic_write(target) as temporary:
            shutil.copy2(source, temporary)
        return
    mine, theirs = source.stat(), target.stat()
    is_same_date = mine.st_mtime_ns == theirs.st_mtime_ns
    if mine.st_size == theirs.st_size and (is_same_date or hash_file(source) == hash_file(target)):
        return
    raise OutputError(f"{target} is not a copy of {source}: one was changed since. Remove it or choose another output.")


def plan_dataset(
    dataset: NnunetDataset, target: Path, harmonizer: FileHarmonizer, *, channel: int = 0, pixel_type: str = "same"
) -> Conversion:
    """Conversion of a raw dataset: ``imagesTr`` and ``imagesTs``, labels, and the files beside ``dataset.json``.

    A ``dataset`` mapping becomes nnU-Net's folders, so that the result holds all its files.

    Args:
        dataset: what to convert.
        target: dataset to write; must not lie in ``dataset`` nor the other way round.
        harmonizer: what is done to the channel.
        channel: number of the channel.
        pixel_type: ``"same"`` as the image, or ``"float32"``.

    Raises:
        NnunetError: the dataset was harmonized before, has no such channel, or the channel is PET.
        OutputError: dataset and target lie within each other.
    """
    dataset.layout.unit_of(channel, dataset.folder / DESCRIPTION)
    if RECORD in dataset.description:
        raise NnunetError(f"{dataset.folder} has a harmonized channel already; name the dataset it was made from.")
    scans: dict[Path, Path] = {}
    copies: dict[Path, Path] = {}
    for home, cases in (("imagesTr", dataset.training), ("imagesTs", dataset.test)):
        _add_cases(scans, copies, Path(home), cases, dataset.layout, channel)
    for case in dataset.training:
        if case.label is not None:
            copies[Path("labelsTr", f"{case.name}{dataset.layout.file_ending}")] = case.label
    for folder in (Path(), Path("labelsTs")):
        if (dataset.folder / folder).is_dir():
            for path in sorted((dataset.folder / folder).iterdir()):
                if path.is_file() and path.name not in _OURS and not path.name.startswith("."):
                    copies[folder / path.name] = path
    options = OutputOptions(pixel_type, figures=False)
    record = make_record(harmonizer, options, channel, dataset.folder)
    description = {name: value for name, value in dataset.description.items() if name != "dataset"}
    _refuse_nesting([dataset.folder, *scans.values(), *copies.values()], target)
    return Conversion(target, scans, copies, harmonizer, options, {**description, RECORD: record})


def plan_new_cases(folder: Path, target: Path, kept: KeptSettings) -> Conversion:
    """Conversion of new cases at inference, in the way that a dataset was harmonized.

    Args:
        folder: folder with ``CASE_0000.nii.gz`` and every other channel of each case.
        target: folder to write.
        kept: settings of the dataset, see :func:`ssimh.nnunet.kept_settings.load_kept_settings`.

    Raises:
        FileNotFoundError: there is no such folder, or it holds no case.
        NnunetError: the cases are harmonized already, or :func:`ssimh.nnunet.dataset.list_cases` refuses a file.
        OutputError: folder and target lie within each other, or the target in the dataset.
    """
    if is_within(folder, kept.folder) or has_manifest(folder):
        raise NnunetError(f"{folder} holds results of an earlier run; name the cases they were made from.")
    if is_within(target, kept.folder):
        raise OutputError(f"the output {target} lies in the dataset {kept.folder}; choose another output folder.")
    scans: dict[Path, Path] = {}
    copies: dict[Path, Path] = {}
    _add_cases(scans, copies, Path(), list_cases(folder, kept.layout), kept.layout, kept.channel)
    _refuse_nesting([folder], target)
    return Conversion(target, scans, copies, kept.harmonizer, kept.options)


def _add_cases(
    scans: dict[Path, Path],
    copies: dict[Path, Path],
    home: Path,
    cases: Iterable[Case],
    layout: Layout,
    harmonized: int,
) -> None:
    for case in cases:
        for channel, path in enumerate(case.images):
            files = scans if channel == harmonized else copies
            files[home / layout.name_image(case.name, channel)] = path


def _refuse_nesting(inputs: Iterable[Path], target: Path) -> None:
    for path in inputs:
        if is_within(target, path):
            raise OutputError(f"the output {target} lies in the input {path}; choose another output folder.")
        if is_within(path, target):
            raise OutputError(f"the input {path} lies in the output {target}; choose another output folder.")
