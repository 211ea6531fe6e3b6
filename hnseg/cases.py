"""Finding the cases of a cohort on disk (HECKTOR 2025 layout)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from hnseg.errors import CohortError

SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Case:
    """The files of one case; whether they exist and can be used is for check to say.

    Attributes
    ----------
    id : str
        Name of the case's folder, ``<CENTRE>-<NNN>``.
    ct, pet : Path
        ``<ID>__CT.nii.gz`` (HU) and ``<ID>__PT.nii.gz`` (SUV).
    label : Path or None
        ``<ID>.nii.gz`` (1 GTVp, 2 GTVn, on the CT grid); None where there is no such file.
    """

    id: str
    ct: Path
    pet: Path
    label: Path | None

    @property
    def centre(self) -> str:
        """The ID up to its last hyphen; the whole ID where it has none."""
        return self.id.rsplit("-", 1)[0]


def discover_cases(root: Path) -> list[Case]:
    """List the cases below a data root, sorted by ID.

    Parameters
    ----------
    root : Path
        A folder with ``Task 1/<ID>/`` or with ``<ID>/`` itself.

    Raises
    ------
    CohortError
        The root does not exist, is no folder, or holds no case folder.
    """
    if not root.is_dir():
        what = "is not a folder" if root.exists() else "does not exist"
        raise CohortError(f"the data root {root} {what}; expected a folder with `Task 1/<ID>/<ID>__CT.nii.gz`")
    home = root / "Task 1" if (root / "Task 1").is_dir() else root
    cases = []
    for folder in sorted(home.iterdir()):
        if not folder.is_dir() or not SAFE_ID.fullmatch(folder.name):
            continue
        name = folder.name
        label = folder / f"{name}.nii.gz"
        case = Case(
            name,
            folder / f"{name}__CT.nii.gz",
            folder / f"{name}__PT.nii.gz",
            label if label.exists() else None,
        )
        if case.label is not None or case.ct.exists() or case.pet.exists():
            cases.append(case)
    if not cases:
        raise CohortError(
            f"no case found in {home}; expected folders <ID>/ with <ID>__CT.nii.gz, <ID>__PT.nii.gz and <ID>.nii.gz"
        )
    return cases
