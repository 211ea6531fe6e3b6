"""Sites as folders: which scans belong to which site."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ssimh.files.output_guard import OutputError, is_within
from ssimh.images.scan import ScanError, find_scans, has_image_suffix

FEWEST_SITES = 2


class BenchmarkError(ValueError):
    """Sites that cannot be compared; the message names the folder, the site or the scans."""


@dataclass(frozen=True)
class SiteScan:
    """One scan of a site.

    Attributes:
        site: name of the folder.
        name: path within it.
        path: the file, or the folder of a DICOM series.
    """

    site: str
    name: str
    path: Path

    @property
    def key(self) -> str:
        """Site and name, for messages and for the files that are kept."""
        return f"{self.site}/{self.name}"


def find_site_scans(folder: Path, out: Path) -> list[SiteScan]:
    """The scans of all sites, site by site in the order of their names.

    Args:
        folder: holds one folder for each site; each is searched with all below it.
        out: where results go.

    Raises:
        FileNotFoundError: there is no such folder.
        BenchmarkError: fewer than two sites, a site without a scan, or scans beside the sites.
        OutputError: ``out`` lies in ``folder``, or the other way round.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"no such folder: {folder}")
    if is_within(out, folder) or is_within(folder, out):
        raise OutputError(
            f"the output {out} and the input {folder} lie within each other; choose another output folder."
        )
    beside = [path.name for path in sorted(folder.iterdir()) if path.is_file() and has_image_suffix(path)]
    if beside:
        raise BenchmarkError(
            f"{folder} holds {len(beside)} scan(s) beside its folders, such as {beside[0]}; put the scans of each "
            "site into a folder of its own."
        )
    sites = [path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith(".")]
    if len(sites) < FEWEST_SITES:
        names = ", ".join(path.name for path in sites) or "none"
        raise BenchmarkError(f"{folder} holds {len(sites)} folder(s) of sites ({names}); two or more can be compared.")
    found = []
    for site in sites:
        try:
            scans = find_scans([site])
        except ScanError as error:
            raise BenchmarkError(f"site {site.name}: {error}") from error
        found += [SiteScan(site.name, target.as_posix(), source) for target, source in sorted(scans.items())]
    return found
