"""What the scores, comparisons and splits of ``hnseg`` give, and a case from its files to the network's input."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import hnseg
from hnseg.cohort.checked_cohort import CheckedCase
from hnseg.cohort.published_splits import PublishedFold
from hnseg.evaluation import case_scores, cohort_scores, overlap, surface_distance
from hnseg.evaluation.rules import Rules
from hnseg.images.geometry import Grid
from hnseg.preprocessing.harmonization import NoHarmonization, SwapToReference
from hnseg.settings.prepare import PrepareConfig
from hnseg.settings.split import SplitConfig
from ssimh import ReferenceSpectrum
from tests.results.hnseg_arrays import grid_of, spacing
from tests.results.inputs import label, neck, random_bits, uniform, volume
from tests.results.lock_file import Recipe

_FOLDER = tempfile.TemporaryDirectory(prefix="results-lock-")


def rules_of(number: int) -> Rules:
    """Rules by turns."""
    return Rules(
        connectivity=(6, 18, 26)[number % 3],
        matching=("greedy", "hungarian", "grouped")[number % 3],
        iou_threshold=0.1 * (number % 4),
        empty_truth=("score", "skip", "zero")[number % 3],
        aggregate=("ml", "voxels")[number % 2],
        tolerance_mm=1.5 + number % 3,
    )


@cache
def case(number: int, part: int = 1) -> case_scores.CaseScores:
    """A prediction against its truth, by the rules of input 0."""
    names = {"case_id": f"{number:03}", "center": "ABC"[number % 3], "rules": rules_of(0)}
    return case_scores.evaluate_case(label(number, part=part), label(number), spacing_zyx_mm=spacing(number), **names)


def cohort(number: int, part: int = 1) -> list[case_scores.CaseScores]:
    """Five to seven cases."""
    return [case(number + other, part) for other in range(5 + number % 3)]


def scored(number: int, part: int) -> hnseg.Scored:
    """A side of a comparison."""
    return hnseg.Scored("AB"[part - 1], rules_of(0), {one.case_id: one for one in cohort(number, part)})


def evaluate_case(number: int) -> Any:
    """All scores of a case."""
    found = case_scores.evaluate_case(
        label(number, part=1), label(number), spacing_zyx_mm=spacing(number), rules=rules_of(number)
    )
    return {
        "gtvp": list(vars(found.gtvp).values()),
        "gtvn": list(vars(found.gtvn).values()),
        "counts": [found.tp, found.fp, found.fn],
        "dice": [found.gtvp_dice, found.gtvn_dice, found.gtvn_f1, found.mean_score],
        "lesions_ml": [lesion.volume_ml for lesion in found.lesions],
        "lesions_iou": [lesion.iou for lesion in found.lesions],
    }


def distances(number: int) -> surface_distance.SurfaceDistances:
    """Between two lesions."""
    found = surface_distance.surface_distances_mm(label(number, part=1) > 0, label(number) > 0, spacing(number))
    assert found is not None
    return found


def bootstrap(number: int) -> Any:
    """Intervals of all scores."""
    found = cohort_scores.bootstrap(cohort(number), rules_of(0), seed=number, resamples=100)
    return {name: None if pair is None else list(pair) for name, pair in found.intervals.items()}


def compare(number: int) -> Any:
    """Differences, intervals and tests of the scores."""
    found = hnseg.compare(scored(number, 1), scored(number, 2), seed=number, resamples=50)
    return {
        name: [row.a, row.b, row.difference, row.p, row.p_holm, row.p_wilcoxon] for name, row in found.scores.items()
    }


def compare_seeds(number: int) -> Any:
    """Two seeds."""
    pairs = [(scored(number, 1), scored(number, 2)), (scored(number + 1, 1), scored(number + 1, 2))]
    found = hnseg.compare_seeds(pairs, seed=number, resamples=50)
    return {name: [row.a, row.b, row.difference] for name, row in found.scores.items()}


def checked(number: int) -> list[CheckedCase]:
    """Twelve to twenty cases of three centers."""
    bits = [int(value) for value in random_bits(number, 40)]
    return [
        CheckedCase(
            id=f"{'ABC'[bits[k] % 3]}-{k:03}",
            center="ABC"[bits[k] % 3],
            ct="",
            pet="",
            label="x",
            gtvp_ml=float(bits[k] % 5),
            gtvn_ml=float(bits[k + 20] % 3),
            head_found=bool(bits[k] % 7),
            in_view=float(bits[k + 20] % 11) / 10,
        )
        for k in range(12 + number % 9)
    ]


def split_fields(found: hnseg.Splits) -> dict[str, Any]:
    """Who trains, validates and tests."""
    return {"test": " ".join(found.test), "folds": " | ".join(map(" ".join, found.folds)), "reference": found.reference}


def make_splits(number: int) -> Any:
    """Folds dealt evenly."""
    settings = SplitConfig(folds=2 + number % 3, test_fraction=0.1 * (1 + number % 3))
    return split_fields(hnseg.make_splits(checked(number), settings, number))


def leave_out(number: int) -> Any:
    """A fold for each center."""
    return split_fields(hnseg.leave_one_center_out(checked(number), SplitConfig(test_fraction=0.1), number))


def published(number: int) -> Any:
    """Folds of a list."""
    ids = [one.id for one in checked(number)]
    parts = [ids[k::3] for k in range(3)]
    folds = [PublishedFold(tuple(one for one in ids if one not in part), tuple(part)) for part in parts]
    return split_fields(hnseg.published_splits(checked(number), folds, number, test=ids[:2]))


def scores_of_sums(number: int) -> Any:
    """Scores of sums over the cases."""
    sums = cohort_scores.sufficient_statistics(cohort(number), rules_of(0)).sum(axis=0)[None]
    return cohort_scores.scores_from_sums(sums, rules_of(number))


def aggregated(number: int) -> Any:
    """Intersections and volumes in ml."""
    shared = 5 * uniform(number, (6,))
    return overlap.aggregated_dice(list(shared), list(2 * shared + uniform(number + 100, (6,))))


def write_case(number: int) -> hnseg.Case:
    """The files of a small case: CT, PET on another grid, and a label."""
    ct = neck(number)
    folder, grid = Path(_FOLDER.name), grid_of(ct, number, 4.0)
    pet = np.where(ct > -500, 2.0, 0.1)[:, ::2, ::2] + uniform(number, ct.shape)[:, ::2, ::2]
    coarse = Grid((grid.size[0] // 2, grid.size[1] // 2, grid.size[2]), (8.0, 8.0, 6.0), grid.origin_mm, grid.direction)
    paths = [folder / f"{name}.nii.gz" for name in ("ct", "pet", "label")]
    classes = np.where(ct > 600, 2, 0) + np.where((ct > 45) & (ct < 55), 1, 0)
    arrays = (np.rint(ct).astype(np.int16), pet.astype(np.float32), classes.astype(np.uint8))
    for path, array, where in zip(paths, arrays, (grid, coarse, grid), strict=True):
        hnseg.write_image(path, array, where)
    return hnseg.Case("A-001", *paths)


def read_back(number: int) -> Any:
    """What is read of what was written."""
    array = volume(number)
    path = Path(_FOLDER.name) / "volume.nii.gz"
    hnseg.write_image(path, array, grid_of(array, number))
    values, grid = hnseg.read_image(path, "A-001")
    return {"values": values, "origin": list(grid.origin_mm), "spacing": list(grid.spacing_mm)}


def prepared(number: int) -> Any:
    """A case as the network gets it: harmonized or not, both interpolations, by the center's crop."""
    settings = PrepareConfig(
        spacing_mm=6.0,
        box_mm=(96, 96, 72),
        crop="center",
        interpolation=("linear", "cubic")[number % 2],
        label_interpolation=("nearest", "linear")[number % 2],
        registration="off",
        harmonization="none",
    )
    harmonizer: Any = NoHarmonization()
    if number % 2:
        donor = np.zeros((12, 16, 16), np.float32) + volume(1).mean() + 60 * uniform(number, (12, 16, 16))
        harmonizer = SwapToReference(settings, ReferenceSpectrum.from_image(donor.astype(np.float32)), "other")
    made = hnseg.preprocess_case(write_case(number), settings, harmonizer)
    return {
        **made.images,
        "hu": made.harmonized_hu,
        "label": made.cropped.label,
        "lost_ml": made.record.label_outside_box_ml,
    }


RECIPES: dict[str, Recipe] = {
    "hnseg.compare": compare,
    "hnseg.compare_seeds": compare_seeds,
    "hnseg.evaluation.case_scores.evaluate_case": evaluate_case,
    "hnseg.evaluation.case_scores.gtvp_dice": lambda number: case_scores.gtvp_dice(case(number).gtvp, rules_of(number)),
    "hnseg.evaluation.case_scores.min_voxels": lambda number: case_scores.min_voxels(
        number / 16, 0.003 + number / 1024
    ),
    "hnseg.evaluation.cohort_scores.bootstrap": bootstrap,
    "hnseg.evaluation.cohort_scores.detection_by_size": lambda number: [
        [row.lesions, row.found, row.false]
        for row in cohort_scores.detection_by_size(cohort(number), (0.0, 0.02, 0.05))
    ],
    "hnseg.evaluation.cohort_scores.scores_from_sums": scores_of_sums,
    "hnseg.evaluation.cohort_scores.summarize": lambda number: cohort_scores.summarize(
        cohort(number), rules_of(number)
    ),
    "hnseg.evaluation.overlap.aggregated_dice": aggregated,
    "hnseg.evaluation.overlap.dice": lambda number: overlap.dice(label(number, part=1) > 0, label(number) > 0),
    "hnseg.evaluation.overlap.f1_score": lambda number: overlap.f1_score(number % 7, number % 4, number % 3),
    "hnseg.evaluation.surface_distance.hausdorff_mm": lambda number: surface_distance.hausdorff_mm(
        distances(number), 50 + number
    ),
    "hnseg.evaluation.surface_distance.surface_dice": lambda number: surface_distance.surface_dice(
        distances(number), 0.5 + number % 5
    ),
    "hnseg.evaluation.surface_distance.surface_distances_mm": distances,
    "hnseg.leave_one_center_out": leave_out,
    "hnseg.make_splits": make_splits,
    "hnseg.preprocess_case": prepared,
    "hnseg.published_splits": published,
    "hnseg.read_image": read_back,
}
