"""The settings of a harmonized dataset, kept in it, so that new cases are harmonized in the same way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ssimh._version import __version__
from ssimh.batch.harmonize_scan import FileHarmonizer, OutputOptions
from ssimh.batch.site_files import SiteAlignment
from ssimh.batch.swap_files import FileSwap
from ssimh.files.artifact_cache import find_differences
from ssimh.files.json_object import JsonObject
from ssimh.files.json_records import decode_record
from ssimh.nnunet.dataset import DESCRIPTION, Layout, NnunetError, read_description, read_layout
from ssimh.reference import ReferenceSpectrum
from ssimh.site.site_spectrum import SiteSpectrum

RECORD = "ssimh"  # key in dataset.json; nnU-Net passes over keys that it does not know
REFERENCE, SITE = "ssimh_reference.npz", "ssimh_site.npz"


@dataclass(frozen=True)
class HarmonizationRecord:
    """What ``dataset.json`` of a harmonized dataset says about the harmonization.

    Attributes:
        channel: number of the harmonized channel.
        method: ``"swap"`` or ``"align"``.
        reference: SHA-256 of the reference, or of the two sites, beside it.
        settings: every setting of the method.
        pixel_type: of the results.
        source: name of the dataset that was harmonized.
        ssimh_version: version that did it.
    """

    channel: int
    method: str
    reference: str
    settings: object
    pixel_type: str
    source: str
    ssimh_version: str


@dataclass(frozen=True)
class KeptSettings:
    """How a dataset was harmonized, ready for new cases.

    Attributes:
        folder: the dataset.
        layout: its channels and file ending.
        channel: number of the harmonized channel.
        harmonizer: what is done to it.
        options: how results are written.
    """

    folder: Path
    layout: Layout
    channel: int
    harmonizer: FileHarmonizer
    options: OutputOptions


def make_record(harmonizer: FileHarmonizer, options: OutputOptions, channel: int, source: Path) -> JsonObject:
    """The record of a harmonization, as plain JSON values."""
    key = harmonizer.recipe.key()
    record = HarmonizationRecord(
        channel=channel,
        method=str(key["method"]),
        reference=str(key["reference"]),
        settings=key["settings"],
        pixel_type=options.pixel_type,
        source=source.resolve().name,
        ssimh_version=__version__,
    )
    return asdict(record)


def save_references(harmonizer: FileHarmonizer, folder: Path) -> None:
    """Write the reference, or the two sites, of a dataset into its folder.

    Raises:
        NnunetError: other ones lie there.
    """
    files: dict[str, ReferenceSpectrum | SiteSpectrum] = {}
    load: Callable[[Path], ReferenceSpectrum | SiteSpectrum] = ReferenceSpectrum.load
    if isinstance(harmonizer, FileSwap):
        files = {REFERENCE: harmonizer.reference}
    elif isinstance(harmonizer, SiteAlignment):
        files, load = {REFERENCE: harmonizer.target, SITE: harmonizer.source}, SiteSpectrum.load
    for name, reference in files.items():
        path = folder / name
        if not path.exists():
            reference.save(path)
        elif load(path).content_hash != reference.content_hash:
            raise NnunetError(f"{path} is not the reference of this run; choose another output folder.")


def load_kept_settings(folder: Path) -> KeptSettings:
    """How the dataset in ``folder`` was harmonized by ``ssimh nnunet``.

    Raises:
        FileNotFoundError: no ``dataset.json``, or no reference beside it.
        NnunetError: the dataset was not harmonized, its record or reference was changed since, or another version of
            ssimh did it.
    """
    where = folder / DESCRIPTION
    description = read_description(folder)
    if RECORD not in description:
        raise NnunetError(f"{where} has no record of a harmonization; name a dataset that `ssimh nnunet` has written.")
    record = decode_record(HarmonizationRecord, description[RECORD], f"{where}, {RECORD}")
    if record.ssimh_version != __version__:
        raise NnunetError(
            f"{folder} was harmonized by ssimh {record.ssimh_version}, this is {__version__}; new cases need the same "
            f'version: pip install "ssimh=={record.ssimh_version}".'
        )
    layout = read_layout(description, where)
    try:
        harmonizer = _load_harmonizer(folder, record)
        options = OutputOptions(record.pixel_type, figures=False)
    except (TypeError, AttributeError) as error:
        raise NnunetError(f"{where}: {RECORD}.settings cannot be used: {error}") from error
    layout.unit_of(record.channel, where)
    expected = {"method": record.method, "reference": record.reference, "settings": record.settings}
    found = find_differences({**expected, "ssimh_version": record.ssimh_version}, harmonizer.recipe.key())
    if found:
        raise NnunetError(f"{folder}: {', '.join(found)} is not what {DESCRIPTION} records; it was changed since.")
    return KeptSettings(folder, layout, record.channel, harmonizer, options)


def _load_harmonizer(folder: Path, record: HarmonizationRecord) -> FileHarmonizer:
    if not isinstance(record.settings, dict):
        raise TypeError(f"{record.settings!r} is no object")
    settings: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in record.settings.items()
    }
    if record.method == "swap":
        return FileSwap(ReferenceSpectrum.load(folder / REFERENCE), **settings)
    if record.method == "align":
        return SiteAlignment(SiteSpectrum.load(folder / SITE), SiteSpectrum.load(folder / REFERENCE), **settings)
    raise NnunetError(f"{folder / DESCRIPTION}: {RECORD}.method is {record.method!r}; known are swap and align.")
