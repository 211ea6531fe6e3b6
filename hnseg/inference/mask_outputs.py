"""Outputs of a prediction: a mask, its record and its map of disagreement, and what they must not replace."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from hnseg.cohort.cases import Case
from hnseg.errors import OutputPathError
from hnseg.outputs import check_output_file, is_inside
from ssimh.files.artifact_cache import ArtifactCache, read_record
from ssimh.files.output_guard import is_same_file

MASK_SUFFIX = ".nii.gz"
NNUNET_FOLDERS = ("imagesTr", "imagesTs", "labelsTr", "labelsTs")  # masks there would become labels


def record_path(mask: Path) -> Path:
    """The record beside a mask."""
    return mask.with_name(f"{mask.name.removesuffix(MASK_SUFFIX)}.json")


def disagreement_path(mask: Path) -> Path:
    """The map of disagreement that belongs to a mask."""
    return mask.parent / "disagreement" / mask.name


def check_pair_outputs(work: Path, mask: Path, inputs: Sequence[Path], *, disagreement: bool) -> None:
    """Refuse the outputs of one pair before it is predicted.

    Args:
        work: Work directory; nothing is written into it.
        mask: Mask to be written, ``*.nii.gz``.
        inputs: CT and PET.
        disagreement: Whether the map of disagreement is written too.

    Raises:
        OutputPathError: Another ending; an input; a file in ``work``; a file that hnseg did not write, or that was
            changed since.
    """
    check_output_file(mask, inputs=inputs, suffixes=(MASK_SUFFIX,))
    _refuse_workdir(mask, work)
    for path in _outputs(mask, disagreement):
        check_output_file(path, inputs=inputs, is_ours=_owner(mask))
    _refuse_changed(mask)


def check_study_outputs(work: Path, study: Path, outputs: Sequence[Path], *, suffix: str) -> None:
    """Refuse the outputs of a study in DICOM before it is read.

    Args:
        work: Work directory; nothing is written into it.
        study: Folder or file that is read.
        outputs: The result, and the record beside it. What is there already is never replaced.
        suffix: Of the result.

    Raises:
        OutputPathError: Another ending; a file that is there; a place in ``work`` or ``study``.
    """
    result, *_ = outputs
    if result.suffix != suffix:
        raise OutputPathError(f"{result}: the result of a study in DICOM must end in {suffix}")
    for path in outputs:
        if path.exists() or path.is_symlink():
            raise OutputPathError(f"{path} exists and is not replaced; choose another name")
        _refuse_workdir(path, work)
        if is_inside(path, study):
            raise OutputPathError(f"{path} lies in the study {study}; choose a place outside it")


def check_cohort_outputs(work: Path, out: Path, cases: Sequence[Case], root: Path, *, disagreement: bool) -> None:
    """Refuse the outputs of a cohort before its first case is predicted.

    Args:
        work: Work directory; nothing is written into it.
        out: Folder of the masks.
        cases: Cases with all their files, labels included.
        root: Root of the cohort; an input where it is a CSV file.
        disagreement: Whether maps of disagreement are written too.

    Raises:
        OutputPathError: ``out`` is a file, holds an input or lies in ``work``; an output is an input through a link; an
            output exists that hnseg did not write, or that was changed since.
    """
    if out.exists() and not out.is_dir():
        raise OutputPathError(f"{out} is a file; --out is a folder")
    _refuse_workdir(out, work)
    inputs = [path for case in cases for path in (case.ct, case.pet, case.label) if path is not None]
    inputs += [root] if root.is_file() else []
    for folder in {*(path.parent for path in inputs), *(root / name for name in NNUNET_FOLDERS)}:
        if is_same_file(folder, out):
            raise OutputPathError(f"{out} holds files of the cohort; choose another folder for the masks")
    identities = {(status.st_dev, status.st_ino): path for path in inputs if (status := _status(path)) is not None}
    for case in cases:
        mask = out / f"{case.id}{MASK_SUFFIX}"
        for path in _outputs(mask, disagreement):
            if (status := _status(path)) is None:
                continue
            same = identities.get((status.st_dev, status.st_ino))
            check_output_file(path, inputs=() if same is None else [same], is_ours=_owner(mask))
        _refuse_changed(mask)


def _outputs(mask: Path, disagreement: bool) -> Iterable[Path]:
    return (mask, record_path(mask), *((disagreement_path(mask),) if disagreement else ()))


def _status(path: Path) -> Any:
    try:
        return path.stat()
    except OSError:
        return None


def _refuse_workdir(path: Path, work: Path) -> None:
    if is_inside(path, work):
        raise OutputPathError(f"{path} lies in the work directory {work}; choose a place outside it")


def _owner(mask: Path) -> Callable[[Path], bool]:
    """Tells whether a mask's files are of ours: they are where its record is."""
    return lambda _: read_record(record_path(mask)) is not None


def _refuse_changed(mask: Path) -> None:
    if ArtifactCache(record_path(mask), {}, {"mask": mask}).edited_outputs():
        raise OutputPathError(
            f"{mask} was changed since hnseg wrote it (a correction by hand?): move it away, or remove it and "
            f"{record_path(mask)} to predict it again"
        )
