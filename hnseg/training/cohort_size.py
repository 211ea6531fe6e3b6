"""Size of the prepared cases of a run, on disk and in memory; measured, or extrapolated to another number of cases."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from hnseg.cohort.checked_cohort import CheckedCase
from hnseg.errors import CaseError, OptionError, WorkDirError
from hnseg.parallel import GB
from hnseg.preprocessing.crop_case import memory_need
from hnseg.preprocessing.prepared_case import ARRAYS, PreparedCase
from hnseg.preprocessing.prepared_cohort import PreparedCohort
from hnseg.settings.config import Config
from hnseg.training.dataset import fits_in_cache

IMAGES = ("image", "image_fold_*")  # arrays of a prepared case, one for each version of its image


@dataclass(frozen=True)
class CaseSize:
    """What one case takes, in bytes: means over the prepared cases.

    Attributes:
        image: One version of the image on disk, compressed.
        rest: Label, indices, picture and record on disk.
        mask: The file of a mask on the CT grid: as large as that of the case's label; 0 where no label is on this
            machine.
        decoded: Image and label in memory.
        preparing: Memory of a process that prepares the largest case, by the headers of its files; 0 where no image is
            on this machine.
    """

    image: float
    rest: float
    mask: float
    decoded: float
    preparing: float


@dataclass(frozen=True)
class CohortSize:
    """The prepared cases of a run, or of a larger one like it.

    Attributes:
        cases: How many there are.
        measured_cases: How many were measured; fewer than ``cases`` where the rest is extrapolated.
        training_cases, validation_cases: Of the largest fold.
        largest_zyx: Longest axes of any of them, in voxels.
        decoded_gb: Size of all images and labels in memory.
        cached: Whether training keeps the cases decoded in memory.
        case: What one case takes.
    """

    cases: int
    measured_cases: int
    training_cases: int
    validation_cases: int
    largest_zyx: tuple[int, int, int]
    decoded_gb: float
    cached: bool
    case: CaseSize


def measure_cohort(cohort: PreparedCohort, config: Config, cases: int | None = None) -> CohortSize:
    """Measure the prepared cases of a run.

    Args:
        cohort: The run's.
        config: Its settings.
        cases: Extrapolate to so many labeled cases, split as the settings say; None: the run as it is.

    Raises:
        CaseError: A case is not prepared, or is out of date.
        WorkDirError: No case can be prepared.
        OptionError: Fewer ``cases`` than two a fold.
    """
    opened = cohort.open_cases(list(cohort.cases))
    if not opened:
        raise WorkDirError(f"{cohort.work} holds no prepared case: run `hnseg prepare` first")
    shapes = [case.image.shape[1:] for case in opened]
    longest = tuple(max(shape[axis] for shape in shapes) for axis in range(3))
    case = _mean_size(cohort, opened, config)
    folds = range(len(cohort.splits.folds))
    size = CohortSize(
        cases=len(opened),
        measured_cases=len(opened),
        training_cases=max(len(cohort.splits.train_ids(fold)) for fold in folds),
        validation_cases=max(len(cohort.splits.folds[fold]) for fold in folds),
        largest_zyx=(longest[0], longest[1], longest[2]),
        decoded_gb=round(case.decoded * len(opened) / GB, 3),
        cached=False,
        case=case,
    )
    size = size if cases is None else _extrapolate(size, config, cases)
    return replace(size, cached=fits_in_cache(int(case.decoded * size.training_cases), config.train.workers))


def _extrapolate(size: CohortSize, config: Config, cases: int) -> CohortSize:
    """The size of a cohort of another number of such cases."""
    folds = config.split.folds
    if cases < 2 * folds:
        raise OptionError(f"cases {cases}: at least two for each of the {folds} folds, {2 * folds}")
    in_folds = cases - round(cases * config.split.test_fraction)
    validated = -(-in_folds // folds)
    return replace(
        size,
        cases=cases,
        training_cases=in_folds - in_folds // folds,
        validation_cases=validated,
        decoded_gb=round(size.case.decoded * cases / GB, 3),
    )


def _mean_size(cohort: PreparedCohort, opened: list[PreparedCase], config: Config) -> CaseSize:
    images, rests, masks, preparing = [], [], [], [0]
    for case in opened:
        folder = cohort.work / "prepared" / case.id
        versions = [_bytes_in([path]) for name in IMAGES for path in (folder / ARRAYS).glob(name)]
        images.append(fmean(versions))
        rests.append(_bytes_in([folder]) - sum(versions))
        source = cohort.cases[case.id]
        if source.label is not None and Path(source.label).is_file():
            masks.append(Path(source.label).stat().st_size)
        preparing.append(_preparing_bytes(source, config))
    decoded = fmean(case.image.nbytes + (0 if case.label is None else case.label.nbytes) for case in opened)
    return CaseSize(fmean(images), fmean(rests), fmean(masks or [0]), decoded, float(max(preparing)))


def _bytes_in(folders: Iterable[Path]) -> int:
    return sum(path.stat().st_size for folder in folders for path in folder.rglob("*") if path.is_file())


def _preparing_bytes(case: CheckedCase, config: Config) -> int:
    try:
        return memory_need(case.as_case(), config.prepare)
    except CaseError:  # its files are on another machine
        return 0
