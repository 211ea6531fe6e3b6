"""The case that figures show: which one, where its mask is, and its images, read when they are first needed.

Without a name it is the case with the median mean score (:attr:`hnseg.evaluation.records.CaseRow.mean_score`; of an
even number the worse one): a test case that was predicted, or else a training case with an out-of-fold mask. Without
scores it is the first of them by ID.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

from hnseg.cohort.cases import Case
from hnseg.cohort.labels import read_label
from hnseg.cohort.splits import Splits
from hnseg.cohort.suv import read_suv
from hnseg.errors import CaseError, WorkDirError, listed
from hnseg.evaluation.records import WorkdirEvaluation, read_metrics
from hnseg.images.geometry import Grid
from hnseg.images.image_io import read_image, to_sitk
from hnseg.pictures.planes import Plane, middle, slice_with_most_label
from hnseg.preprocessing.crop_case import Cropped, crop_case
from hnseg.preprocessing.prepared_case import CaseRecord
from hnseg.preprocessing.prepared_cohort import PreparedCohort
from hnseg.report.paper_figures.current_masks import OUT_OF_FOLD, PREDICTIONS, require_current_mask
from hnseg.workdir import load_config
from ssimh.files.artifact_cache import content_of, hash_file

Part = Literal["test", "validation", "training"]
PARTS: tuple[Part, ...] = get_args(Part)  # as they are preferred


@dataclass(frozen=True)
class Place:
    """Where a case stands in the split: tests, validates fold ``fold``, or trains in every fold; and its mask."""

    part: Part
    fold: int | None
    mask: Path | None

    @property
    def description(self) -> str:
        """In words."""
        if self.part == "test":
            return "test case"
        return "training case of every fold" if self.fold is None else f"training case, validated in fold {self.fold}"


@dataclass(frozen=True)
class FigureCase:
    """A case and its images; SimpleITK images are in the scanner's coordinates.

    Attributes:
        case: Its files.
        record: How it was prepared.
        place: Where it stands in the split.
        work: Work directory of the run.
    """

    case: Case
    record: CaseRecord
    place: Place
    work: Path

    @property
    def id(self) -> str:
        """Name of the case."""
        return self.case.id

    @property
    def inputs(self) -> dict[str, str]:
        """SHA-256 of the case's files when it was prepared, by kind."""
        files: dict[str, str] = content_of(self.record.made_from).get("files", {})
        return {kind: sha256 for kind, sha256 in files.items() if sha256 is not None}

    @property
    def mask_sha256(self) -> str:
        """Of the predicted mask's file; empty where there is none."""
        return "" if self.place.mask is None else hash_file(self.place.mask)

    @cached_property
    def ct(self) -> Any:
        """CT in HU."""
        return to_sitk(*read_image(self.case.ct, self.id))

    @cached_property
    def pet(self) -> Any:
        """PET in SUV; where a registration has moved it, if there was one."""
        return to_sitk(read_suv(self.case).suv, self.record.pet_grid)

    @cached_property
    def truth(self) -> Any | None:
        """The label; None for a case without one."""
        return None if self.case.label is None else to_sitk(*read_label(self.case.label, self.id))

    @cached_property
    def mask(self) -> Any:
        """The predicted mask.

        Raises:
            CaseError: There is none, or it is not the one that the run would make now.
        """
        if self.place.mask is None:
            raise CaseError(self.id, f"the case has no predicted mask; it is a {self.place.description}")
        require_current_mask(self.work, self.id, self.place.mask, self.record)
        return to_sitk(*read_label(self.place.mask, self.id))

    @cached_property
    def cropped(self) -> Cropped:
        """CT in HU and PET in SUV on the crop grid, before harmonization."""
        return crop_case(self.case, load_config(self.work).prepare)

    def find_lesion(self, box: Grid, plane: Plane) -> float:
        """Where a plane shows the most of the true lesions, in mm; without any, the middle of the box."""
        found = None if self.truth is None else slice_with_most_label(self.truth, box, plane)
        return middle(box, plane) if found is None else found


def open_figure_case(
    work: Path, cohort: PreparedCohort, case_id: str | None = None, *, needs_mask: bool = False
) -> FigureCase:
    """Open the case that figures show.

    Args:
        work: Work directory of the run.
        cohort: Its prepared cases.
        case_id: The case; None: the one described above.
        needs_mask: Whether a predicted mask is asked for.

    Raises:
        CaseError: The case is none of the run, has no mask, or is not prepared from what is there now; the message says
            what is there.
        WorkDirError: No case has a mask.
    """
    places = find_places(work, cohort.splits)
    masked = {name: place for name, place in places.items() if place.mask is not None}
    if needs_mask and not masked:
        command = "hnseg predict" if cohort.splits.test else "hnseg tune"
        raise WorkDirError(f"{work} has no predicted mask of any case: run `{command}` first")
    if case_id is None:
        case_id = choose_case(work, masked or places)
    elif case_id not in places:
        raise CaseError(case_id, f"no case of the run {work}; there are {listed(sorted(places), most=20)}")
    elif needs_mask and case_id not in masked:
        there = listed(sorted(masked), most=20)
        raise CaseError(case_id, f"no predicted mask ({places[case_id].description}); there are masks of {there}")
    record = cohort.open_case(case_id).record
    return FigureCase(cohort.cases[case_id].as_case(), record, places[case_id], work)


def find_places(work: Path, splits: Splits) -> dict[str, Place]:
    """Where every case of the run stands, and its mask where there is one."""

    def mask(folder: str, case_id: str) -> Path | None:
        path = work / folder / f"{case_id}.nii.gz"
        return path if path.is_file() else None

    places = {case_id: Place("training", None, None) for case_id in splits.all_train_ids()}
    for fold, ids in enumerate(splits.folds):
        places |= {case_id: Place("validation", fold, mask(OUT_OF_FOLD, case_id)) for case_id in ids}
    return places | {case_id: Place("test", None, mask(PREDICTIONS, case_id)) for case_id in splits.test}


def choose_case(work: Path, places: Mapping[str, Place]) -> str:
    """The case with the median score, see above.

    Args:
        work: Work directory of the run.
        places: The cases that may be chosen, at least one.
    """
    part = next(part for part in PARTS if any(place.part == part for place in places.values()))
    ids = sorted(name for name, place in places.items() if place.part == part)
    scored = sorted((score, name) for name, score in _read_scores(work, part).items() if name in ids)
    return scored[(len(scored) - 1) // 2][1] if scored else ids[0]


def _read_scores(work: Path, part: Part) -> dict[str, float]:
    """Mean score of every scored case of a part; empty before ``hnseg evaluate``."""
    metrics = read_metrics(work) if (work / "metrics.json").is_file() else None
    if not isinstance(metrics, WorkdirEvaluation) or part == "training":
        return {}
    scored = metrics.ensemble if part == "test" else metrics.validation
    rows = () if scored is None else scored.cases
    return {row.case_id: row.mean_score for row in rows if row.mean_score is not None}
