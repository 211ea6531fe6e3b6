"""The viewer of a report: its cases, the worst first, with truth, prediction and disagreement."""

from __future__ import annotations

import functools
from pathlib import Path

from hnseg.evaluation.rules import Rules
from hnseg.inference.mask_outputs import disagreement_path
from hnseg.progress import ProgressCallback, no_progress
from hnseg.report.data import worst_cases
from hnseg.report.page_parts import ScoredFiles
from hnseg.report.records import CaseFiles
from hnseg.report.view_page import read_volumes
from hnseg.viewer.case_folder import make_source, write_cases
from ssimh.viewer.case_folder import CaseSource, ViewerFolder


def write_case_viewer(
    page: Path,
    title: str,
    files: ScoredFiles,
    rules: Rules,
    count: int,
    *,
    jobs: int = 1,
    progress: ProgressCallback = no_progress,
) -> ViewerFolder:
    """Write the viewer of a report.

    Args:
        page: The report.
        title: Of the viewer.
        files: Scored cases and their files.
        rules: What a lesion is, and when it is found.
        count: Cases at most, the worst first.
        jobs: Processes.
        progress: Called after each case.
    """
    chosen = [case.case_id for case in worst_cases(files.cases, count)]
    sources = [_make_source(files.inputs[name], files.masks, rules) for name in chosen if name in files.inputs]
    return write_cases(page, title, sources, jobs=jobs, progress=progress)


def viewer_content(viewer: ViewerFolder) -> dict[str, object]:
    """What the template names of the viewer."""
    columns = next((case.columns for case in viewer.cases.values() if case.columns), ())
    return {"viewer": viewer, "lesion_columns": columns}


def _make_source(case: CaseFiles, masks: Path, rules: Rules) -> CaseSource:
    mask = masks / f"{case.id}.nii.gz"
    prediction = mask if mask.is_file() else None  # a missing one was scored as empty
    disagreement = disagreement_path(mask) if disagreement_path(mask).is_file() else None
    ct, pet, label = (None if path is None else Path(path) for path in (case.ct, case.pet, case.label))
    assert ct is not None
    return make_source(
        case.id,
        {"ct": ct, "pet": pet, "label": label, "prediction": prediction, "disagreement": disagreement},
        {"rules": rules.as_dict(), "suv_factor": case.suv_factor},
        functools.partial(
            read_volumes,
            case.id,
            ct,
            pet,
            label,
            prediction,
            disagreement,
            suv_factor=case.suv_factor,
            rules=rules,
        ),
    )
