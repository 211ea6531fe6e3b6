"""Manifest of an output folder: origin of each result, failures, and results in progress.

Why this is not an :class:`~ssimh.files.artifact_cache.ArtifactCache` per scan: that keeps one JSON file beside each
result, and beside an image ``a.json`` is the sidecar of BIDS. The folder has one record for all scans, written by one
process; what decides about currency (inputs, key, hashes) is the cache's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ssimh._version import __version__
from ssimh.files.artifact_cache import InputFile, hash_file
from ssimh.files.atomic import atomic_write
from ssimh.files.json_records import RecordError, decode_record
from ssimh.metrics import Comparison

MANIFEST = "manifest.json"
FORMAT, VERSION = "ssimh-manifest", 3
_DATA_FILE = re.compile(rb"^\s*(?:ElementDataFile\s*=|data ?file\s*:)\s*(\S+)", re.MULTILINE | re.IGNORECASE)


class ManifestError(ValueError):
    """A manifest that is missing parts, damaged, or of another program or version; the message names the file."""


@dataclass(frozen=True)
class Recipe:
    """What the outputs of a folder are made with.

    Attributes:
        method: ``"swap"`` or ``"align"``.
        description: the reference or the two sites, in one sentence.
        reference: header of the reference, or of the two sites, with ``content_hash``.
        settings: options that decide about the outputs and their figures.
        ssimh_version: version that makes them.
    """

    method: str
    description: str
    reference: Mapping[str, object]
    settings: Mapping[str, object]
    ssimh_version: str = __version__

    def key(self) -> dict[str, object]:
        """What has to be equal for an output to be kept, as plain JSON values."""
        key: dict[str, object] = json.loads(
            json.dumps(
                {
                    "method": self.method,
                    "reference": self.reference["content_hash"],
                    "settings": self.settings,
                    "ssimh_version": self.ssimh_version,
                }
            )
        )
        return key


@dataclass(frozen=True)
class ScanRecord:
    """One output: where it is from, what it is, what was measured.

    Attributes:
        source: path of the input as it was given.
        made_from: ``"input"``: size, date and hash of each of its files; ``"recipe"``: :meth:`Recipe.key`.
        outputs: SHA-256 of the files written, by name within the scan's folder.
        figure: name of the figure, or None.
        figure_error: why there is no figure although one was wanted.
        shape: of the scan, in the order of its array.
        spacing_mm: voxel size in the same order.
        orientation: letters of the axes in the same order; None for two dimensions.
        unit: intensity unit that was stated by an option, the file or the reference.
        pixel_type: of the output.
        limited_voxels: voxels whose value the pixel type could not hold.
        noise_gain: factor on the standard deviation of white noise, in a CT that of soft tissue; None where no filter
            was used.
        scores: what harmonization changed.
    """

    source: str
    made_from: Mapping[str, object]
    outputs: Mapping[str, str]
    figure: str | None
    figure_error: str | None
    shape: tuple[int, ...]
    spacing_mm: tuple[float, ...]
    orientation: str | None
    unit: str | None
    pixel_type: str
    limited_voxels: int
    noise_gain: float | None
    scores: Comparison


@dataclass
class Manifest:
    """What is known about an output folder.

    Attributes:
        recipe: of the last run.
        scans: finished outputs by path within the folder.
        failed: reason by path of the output that is missing.
        pending: outputs that a run has begun; what lies there after a kill is ours.
    """

    recipe: Recipe
    scans: dict[str, ScanRecord] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    pending: set[str] = field(default_factory=set)

    def save(self, folder: Path) -> None:
        """Write the manifest of ``folder``; it appears whole or not at all."""
        content = {
            "format": FORMAT,
            "version": VERSION,
            "recipe": asdict(self.recipe),
            "scans": {name: asdict(record) for name, record in self.scans.items()},
            "failed": self.failed,
            "pending": sorted(self.pending),
        }
        with atomic_write(folder / MANIFEST) as temporary:
            temporary.write_text(json.dumps(content, indent=1, sort_keys=True), encoding="utf-8")


@dataclass(frozen=True)
class _StoredManifest:
    recipe: Recipe
    scans: Mapping[str, ScanRecord]
    failed: Mapping[str, str]
    pending: tuple[str, ...]


def has_manifest(folder: Path) -> bool:
    """Whether the folder holds a manifest of ours, of any version."""
    try:
        return _format_of(json.loads((folder / MANIFEST).read_text(encoding="utf-8"))) == FORMAT
    except (OSError, ValueError, RecursionError):
        return False


def read_manifest(folder: Path) -> Manifest:
    """The manifest of an output folder.

    Raises:
        FileNotFoundError: there is none.
        ManifestError: the file is of another program or version, damaged, or of another shape.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise FileNotFoundError(
            f"{folder} holds no {MANIFEST}; it must be the output folder of `ssimh apply`, `ssimh align` or "
            "`ssimh nnunet`."
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"{path} is damaged: {error}") from error
    if _format_of(content) != FORMAT:
        raise ManifestError(f"{path} is not a manifest of `ssimh apply` or `ssimh align`.")
    if content.get("version") != VERSION:
        raise ManifestError(
            f"{path} has version {content.get('version')!r}, this program writes version {VERSION}; choose another "
            "output folder."
        )
    body = {name: value for name, value in content.items() if name not in ("format", "version")}
    try:
        stored = decode_record(_StoredManifest, body, str(path))
    except RecordError as error:
        raise ManifestError(str(error)) from error
    if "content_hash" not in stored.recipe.reference:
        raise ManifestError(f"{path}: recipe.reference has no content_hash")
    return Manifest(stored.recipe, dict(stored.scans), dict(stored.failed), set(stored.pending))


def _format_of(content: object) -> object:
    return content.get("format") if isinstance(content, dict) else None


def list_input_files(source: Path) -> dict[str, InputFile]:
    """Files that a scan is read from, by name: one, all of a DICOM folder, or a header and its voxels."""
    if source.is_dir():
        paths = [path for path in sorted(source.iterdir()) if path.is_file() and not path.name.startswith(".")]
        return {path.name: InputFile(path) for path in paths}
    paths = [source]
    if source.suffix.lower() in (".mhd", ".nhdr"):
        with source.open("rb") as stream:
            named = _DATA_FILE.findall(stream.read(2**16))
        paths += [source.parent / name.decode(errors="replace") for name in named]
    if source.suffix.lower() == ".hdr":
        paths += [source.with_suffix(suffix) for suffix in (".img", ".img.gz")]
    return {path.name: InputFile(path) for path in paths if path.is_file()}


def is_recorded(folder: Path, name: str, record: ScanRecord) -> bool:
    """Whether every file that exists for an output is byte by byte the one that was written."""
    files = {(folder / name).with_name(file): digest for file, digest in record.outputs.items()}
    return all(not path.exists() or (path.is_file() and hash_file(path) == digest) for path, digest in files.items())
