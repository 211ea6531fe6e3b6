"""The viewer of the check: the cases with the worst findings first, with label and crop box."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hnseg.check.check_case import CaseCheck
from hnseg.check.load_case import load_case
from hnseg.cohort.cases import Case
from hnseg.cohort.checked_cohort import SEVERITIES, worst
from hnseg.errors import CaseError
from hnseg.images.geometry import Grid
from hnseg.progress import ProgressCallback, no_progress
from hnseg.settings.prepare import PrepareConfig
from hnseg.viewer.case_folder import make_source, write_cases
from hnseg.viewer.case_layers import CaseVolumes
from hnseg.viewer.lesions import Volume, list_lesions
from ssimh.viewer.case_folder import CaseSource, ViewerFolder


def write_check_viewer(
    page: Path,
    cases: Sequence[Case],
    checks: Sequence[CaseCheck],
    config: PrepareConfig,
    count: int,
    *,
    jobs: int = 1,
    progress: ProgressCallback = no_progress,
) -> ViewerFolder:
    """Write the viewer of ``check.html``.

    Args:
        page: The page of the check.
        cases: All cases.
        checks: Their results, in the same order.
        config: The crop that prepare will use.
        count: Cases at most: those with errors first, then those with warnings; as the page has them.
        jobs: Processes.
        progress: Called after each case.
    """
    order: list[str | None] = [*SEVERITIES, None]
    pairs = [pair for pair in zip(cases, checks, strict=True) if pair[1].overview.ct_grid is not None]
    pairs.sort(key=lambda pair: (order.index(worst(pair[1].findings)), pair[0].id))
    sources = [_make_source(case, config) for case, _ in pairs]
    return write_cases(page, "Input check", sources[:count], jobs=jobs, progress=progress)


def _make_source(case: Case, config: PrepareConfig) -> CaseSource:
    settings = {"prepare": config.model_dump(mode="json"), "suv_factor": case.suv_factor}
    files = {"ct": case.ct, "pet": case.pet, "label": case.label}
    return make_source(case.id, files, settings, functools.partial(read_checked_case, case, config))


def read_checked_case(case: Case, config: PrepareConfig) -> CaseVolumes:
    """A case as far as it can be read, with its crop box; what was found is in the notes.

    Raises:
        CaseError: There is no CT that can be read.
    """
    loaded, findings = load_case(case, config)
    if loaded.ct is None:
        raise CaseError(case.id, "there is no CT that can be read", case.ct)
    pet = None if loaded.pet is None else Volume(loaded.pet.suv, loaded.pet.grid)
    label = None if loaded.label is None else Volume(*loaded.label)
    notes = [f"{finding.severity.capitalize()}: {finding.message}." for finding in findings]
    if not loaded.is_in_hu:
        notes.append("The values of the CT are shown less the offset that they seem to have.")
    return CaseVolumes(
        case.id,
        Volume(*loaded.ct),
        pet,
        label,
        box=None if loaded.crop is None else _as_mask(loaded.crop.grid),
        lesions=() if label is None else list_lesions(label, pet),
        notes=tuple(notes),
    )


def _as_mask(box: Grid) -> Volume:
    """A box as one large voxel."""
    x, y, z = (float(value) for value in box.to_physical((np.array(box.size) - 1) / 2))
    lengths = [n * step for n, step in zip(box.size, box.spacing_mm, strict=True)]
    grid = Grid((1, 1, 1), (lengths[0], lengths[1], lengths[2]), (x, y, z), box.direction)
    return Volume(np.ones((1, 1, 1), np.uint8), grid)
