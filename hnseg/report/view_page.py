"""``hnseg view``: a page for any CT, PET and masks, each on its own grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hnseg.cohort.cases import Case
from hnseg.cohort.labels import read_label
from hnseg.cohort.suv import read_suv
from hnseg.cohort.unit_checks import check_ct_units, stored_offset
from hnseg.errors import CaseError, HnsegError
from hnseg.evaluation.rules import HECKTOR_2025, Rules
from hnseg.images.geometry import Grid
from hnseg.images.image_io import read_image
from hnseg.images.resample import overlap_mm
from hnseg.outputs import check_output_file
from hnseg.viewer.case_layers import CaseVolumes, build_case
from hnseg.viewer.lesions import Volume, mark_lesions
from hnseg.workdir import write_text
from ssimh.viewer.fit_size import ViewerError
from ssimh.viewer.pack_case import pack_case
from ssimh.viewer.page import format_page

MARK = '<meta name="generator" content="ssimh viewer">'
HEAD_BYTES = 2000  # of a page, within which the mark stands


def write_view(
    ct: Path,
    pet: Path,
    mask: Path | None,
    page: Path,
    *,
    prediction: Path | None = None,
    disagreement: Path | None = None,
) -> Path:
    """Write one page that shows a CT, a PET and masks; it needs no other file and no network.

    Args:
        ct: CT in HU. Planes run along its axes.
        pet: PET in SUV, on any grid.
        mask: 1 GTVp, 2 GTVn, on any grid; the truth where there is a prediction.
        page: ``*.html``; an earlier page of the viewer is replaced.
        prediction: A second mask. Lesions are then found, missed or false.
        disagreement: A map of ``hnseg predict --disagreement``, in bits.

    Returns:
        ``page``.

    Raises:
        CaseError: A file cannot be read, is not what it should be, or shares no place with the CT.
        OutputPathError: ``page`` is an input, or a file that is no page of the viewer.
    """
    given = [path for path in (ct, pet, mask, prediction, disagreement) if path is not None]
    check_output_file(page, inputs=given, suffixes=(".html",), is_ours=is_viewer_page)
    name = _name(ct)
    volumes = read_volumes(name, ct, pet, mask, prediction, disagreement)
    try:
        packed = pack_case(build_case(volumes))
    except ViewerError as error:
        raise HnsegError(f"{name}: {error}") from error
    write_text(page, format_page(name, case=packed))
    return page


def is_viewer_page(path: Path) -> bool:
    """Whether a file is a page of the viewer."""
    with path.open("rb") as file:
        return MARK.encode() in file.read(HEAD_BYTES)


def read_volumes(
    name: str,
    ct: Path,
    pet: Path | None,
    truth: Path | None,
    prediction: Path | None = None,
    disagreement: Path | None = None,
    *,
    suv_factor: float | None = None,
    rules: Rules = HECKTOR_2025,
) -> CaseVolumes:
    """Read the files of a case for the viewer.

    Args:
        name: Of the case, for the page and for errors.
        ct, pet, truth, prediction, disagreement: See :func:`write_view`.
        suv_factor: SUV per Bq/ml, for a PET in Bq/ml.
        rules: What a lesion is, and when it is found.

    Raises:
        CaseError: See :func:`write_view`.
    """
    case = Case(name, ct, pet, truth, suv_factor=suv_factor)
    values, grid = read_image(ct, name, dtype=None)
    notes = []
    try:
        check_ct_units(case, values)
    except CaseError as error:
        offset = round(stored_offset(values))
        values = values - np.float32(offset)
        notes.append(f"{error.reason}. Values shown are those of the file less {offset}.")
    shown = Volume(values, grid)
    suv = None
    if pet is not None:
        read = read_suv(case)
        suv = Volume(read.suv, read.grid)
        _check_overlap(name, suv, shown, pet)
    masks = [None if path is None else Volume(*read_label(path, name)) for path in (truth, prediction)]
    for path, volume in zip((truth, prediction), masks, strict=True):
        if path is not None and volume is not None:
            _check_overlap(name, volume, shown, path)
    map_of_models = None
    if disagreement is not None:
        map_of_models = Volume(*read_image(disagreement, name))
        _check_overlap(name, map_of_models, shown, disagreement)
        if float(np.min(map_of_models.values)) < 0:
            raise CaseError(name, "a map of disagreement is in bits and has no negative value", disagreement)
    if all(masks):
        notes.append(
            f"A lesion is found where the IoU is {'above' if rules.strict else 'at least'} {rules.iou_threshold:g}, "
            "the rule for nodes; it is applied to GTVp too."
        )
    lesions = mark_lesions(masks[0], masks[1], suv, rules)
    return CaseVolumes(
        name,
        ct=shown,
        pet=suv,
        truth=masks[0],
        prediction=masks[1],
        disagreement=map_of_models,
        lesions=lesions,
        notes=tuple(notes),
    )


def _check_overlap(name: str, volume: Volume, ct: Volume, path: Path) -> None:
    if overlap_mm(volume.grid, ct.grid) is None:
        there, wanted = (_describe_box(each.grid) for each in (volume, ct))
        raise CaseError(name, f"shares no place with the CT: it fills {there} mm, the CT {wanted} mm", path)


def _describe_box(grid: Grid) -> str:
    return " to ".join(f"({', '.join(f'{end:.0f}' for end in corner)})" for corner in grid.bounds_mm())


def _name(ct: Path) -> str:
    """The name of a case by its CT: ``SOFT-001`` of ``SOFT-001__CT.nii.gz``."""
    return ct.name.removesuffix(".gz").rsplit(".", 1)[0].removesuffix("__CT") or ct.name
