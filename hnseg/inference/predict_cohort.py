"""Prediction of a cohort: from raw CT and PET, or from a run's prepared test cases, to masks on the CT grid.

Beside each mask ``<ID>.nii.gz`` lies the record ``<ID>.json``, written last. It names what the mask was made from, and
a second call makes only what is missing or was made from something else. A mask that somebody has changed since is
never replaced, and outside the work directory neither is a file without a record.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path

from hnseg.cohort.cases import Case, discover_cases
from hnseg.errors import CaseError, OptionError
from hnseg.inference.mask_files import MaskFiles, refuse_edited, write_mask
from hnseg.inference.mask_outputs import MASK_SUFFIX, check_cohort_outputs, check_pair_outputs
from hnseg.inference.predict_case import InferenceOptions, Segmentation, Segmenter, open_segmenter
from hnseg.locks import hold, share_name
from hnseg.models.memory import is_out_of_memory
from hnseg.parallel import ParallelConfig, run_cases
from hnseg.preprocessing.case_key import Key, case_key
from hnseg.preprocessing.harmonizer_store import cached_harmonizer
from hnseg.preprocessing.image_versions import FINAL
from hnseg.preprocessing.new_center import NewCenter, add_new_centers, known_centers, read_new_centers
from hnseg.preprocessing.prepare_case import preprocess_case
from hnseg.preprocessing.prepared_case import CaseRecord
from hnseg.preprocessing.prepared_cohort import open_cohort, open_current_case
from hnseg.progress import ProgressCallback, no_progress
from hnseg.workdir import load_config
from ssimh.files.artifact_cache import ArtifactCache, content_of
from ssimh.files.json_object import JsonObject

DEFAULTS = InferenceOptions()


def predict_cohort(
    work: Path,
    *,
    options: InferenceOptions = DEFAULTS,
    parallel: ParallelConfig | None = None,
    progress: ProgressCallback = no_progress,
) -> list[CaseError]:
    """Predict the test cases of a work directory into ``predictions/``, from their prepared form.

    Args:
        work: With prepared cases and trained models.
        options: Device, windows and flips.
        parallel: Where to run; one case after the other in this process without it.
        progress: Called after each case.

    Returns:
        The cases that could not be predicted; the others are.

    Raises:
        WorkDirError: A fold is untrained, or a model cannot be used or does not belong to this split.
        OptionError: Sites of new centers, which prepared cases do not come from.
        InUseError: Another process predicts the same share of the cases.
    """
    if options.sites:
        raise OptionError("sites of new centers are for new scans; the test cases are prepared with those that train")
    segmenter, cohort = open_segmenter(work, options, parallel), open_cohort(work)
    tests = [cohort.cases[case_id].as_case() for case_id in cohort.splits.test]
    worker = _FromPrepared(work, segmenter)
    with hold(work, _lock_name(parallel), "hnseg predict"):
        return run_cases(worker, tests, case_id=lambda case: case.id, parallel=parallel, progress=progress)


def predict_cohort_from_files(
    work: Path,
    root: Path,
    out: Path,
    *,
    options: InferenceOptions = DEFAULTS,
    parallel: ParallelConfig | None = None,
    progress: ProgressCallback = no_progress,
) -> list[CaseError]:
    """Predict every case of a cohort from its CT and PET files, with the models of a work directory.

    Args:
        work: With trained models and the run's harmonization.
        root: See :func:`hnseg.cohort.cases.discover_cases`. Labels are not read.
        out: Folder of the masks, outside ``work`` and apart from the cohort's files.
        options, parallel, progress: As in :func:`predict_cohort`, and so is what is returned.

    Raises:
        CohortError: The cohort as a whole cannot be used.
        WorkDirError: A fold is untrained, or a model cannot be used or does not belong to the run's split.
        OutputPathError: A mask or what lies beside it would replace an input, a foreign file, or a mask that was
            changed since; nothing is written.
        InUseError: Another process predicts the same share of the cases.
    """
    found = discover_cases(root)
    check_cohort_outputs(work, out, found, root, disagreement=options.disagreement)
    centers = read_new_centers(work, options.sites)
    worker = _FromFiles(work, open_segmenter(work, options, parallel), out, centers)
    cases = [replace(case, label=None) for case in found]
    out.mkdir(parents=True, exist_ok=True)
    with hold(out, _lock_name(parallel), "hnseg predict"):
        return run_cases(worker, cases, case_id=lambda case: case.id, parallel=parallel, progress=progress)


def _lock_name(parallel: ParallelConfig | None) -> str:
    return share_name("predict", parallel.shard if parallel else (1, 1))


def predict_pair(
    work: Path, ct: Path, pet: Path, out: Path, *, options: InferenceOptions = DEFAULTS, center: str = ""
) -> Path:
    """Predict one CT (HU) and PET (SUV) pair from files with the models of a work directory.

    Args:
        work: With trained models and the run's harmonization.
        ct: CT in HU.
        pet: PET in SUV.
        out: Mask to write, ``*.nii.gz``, outside ``work``; predicted at every call.
        options: Device, windows and flips.
        center: A center of the training cases, or of ``options.sites``, that the scan comes from, for a run with
            ``spectrum-align``.

    Returns:
        The mask's path.

    Raises:
        CaseError: The images cannot be used; nothing is written.
        OptionError: The run does not use or does not know the center.
        OutputPathError: The mask or what lies beside it would replace an input, a foreign file, or a mask that was
            changed since; nothing is written.
    """
    check_pair_outputs(work, out, [ct, pet], disagreement=options.disagreement)
    centers = read_new_centers(work, options.sites)
    if center:
        check_center(work, center, centers)
    case = Case(ct.name.split(".")[0], ct, pet, None, center)
    _FromFiles(work, open_segmenter(work, options), out.parent, centers).predict(case, MaskFiles(out))
    return out


def check_center(work: Path, center: str, new: Collection[str] = ()) -> None:
    """Refuse a center that would change nothing.

    Args:
        work: Of the run.
        center: Where a scan comes from.
        new: Centers that did not train and whose site is given.

    Raises:
        OptionError: The run's harmonization ignores it, or neither a training case nor a site has it.
    """
    method = load_config(work).prepare.harmonization
    if method != "spectrum-align":
        raise OptionError(f"center {center!r}: {work} is harmonized with {method}, which is the same for all centers")
    known = [*known_centers(work), *new]
    if center not in known:
        raise OptionError(
            f"center {center!r} is none of the training cases; known are {', '.join(known)}. The site of another one "
            "is fitted with `hnseg fit-site` and given with --site"
        )


@dataclass(frozen=True)
class _FromPrepared:
    """Prepared cases of a work directory to its ``predictions``."""

    work: Path
    segmenter: Segmenter

    def __call__(self, case: Case) -> None:
        with _hold_mask(self.work / "predictions", case.id):
            self._predict(case)

    def _predict(self, case: Case) -> None:
        prepared = open_current_case(self.work, case, self.segmenter.preparation)
        record = prepared.record
        key = {"case": case.id, "prepared": image_content(record), **self.segmenter.key}
        cache = MaskFiles(self.work / "predictions" / f"{case.id}{MASK_SUFFIX}").cache(
            key, disagreement=self.segmenter.options.disagreement
        )
        if cache.is_current():
            return
        refuse_edited(cache, case.id)
        result = _segment(case.id, lambda: self.segmenter.segment(prepared.image[:], record.crop_grid, record.ct_grid))
        write_mask(cache, result, record.ct_grid, self.segmenter.model_hashes)


def image_content(record: CaseRecord) -> Key:
    """Content of everything that a prepared image depends on: the case's key without its label."""
    content: JsonObject = content_of(record.made_from)
    content["files"] = {name: sha256 for name, sha256 in content["files"].items() if name != "label"}
    return content


@dataclass(frozen=True)
class _FromFiles:
    """CT and PET files to a folder; what travels to a worker are paths and settings."""

    work: Path
    segmenter: Segmenter
    out: Path
    centers: Mapping[str, NewCenter] = field(default_factory=dict)

    def __call__(self, case: Case) -> None:
        files = MaskFiles(self.out / f"{case.id}{MASK_SUFFIX}")
        with _hold_mask(self.out, case.id):
            if not self._cache(case, files).is_current():
                self.predict(case, files)

    def predict(self, case: Case, files: MaskFiles) -> None:
        cache, segmenter = self._cache(case, files), self.segmenter
        refuse_edited(cache, case.id)
        known = cached_harmonizer(self.work, str(segmenter.preparation["harmonizer"]))
        harmonizer = add_new_centers(known, self.centers)
        made = preprocess_case(case, segmenter.config.prepare, harmonizer, is_new=True)
        record = made.record
        result = _segment(case.id, lambda: segmenter.segment(made.images[FINAL], record.crop_grid, record.ct_grid))
        write_mask(cache, result, record.ct_grid, segmenter.model_hashes, record)

    def _cache(self, case: Case, files: MaskFiles) -> ArtifactCache:
        return mask_cache(self.segmenter, case, files, self.centers.get(case.center))


def mask_cache(segmenter: Segmenter, case: Case, files: MaskFiles, center: NewCenter | None = None) -> ArtifactCache:
    """Whether a mask that is predicted from files is the one that these models would make of them now.

    Args:
        segmenter: The models.
        case: CT and PET.
        files: Of the mask.
        center: Site of the case's center, where it did not train and one is given.
    """
    site = {} if center is None else {"site": center.digest}
    key = case_key(case, {**segmenter.preparation, **segmenter.key, **site}, label=False)
    return files.cache(key, disagreement=segmenter.options.disagreement)


def _hold_mask(folder: Path, case_id: str) -> AbstractContextManager[None]:
    """Wait until no other run, of another share, predicts the same case: a mask and its record belong together."""
    folder.mkdir(parents=True, exist_ok=True)
    return hold(folder, case_id, f"predicting {case_id}", wait=True)


def _segment(case_id: str, segment: Callable[[], Segmentation]) -> Segmentation:
    try:
        return segment()
    except (MemoryError, RuntimeError) as error:
        if is_out_of_memory(error):
            advice = "use fewer jobs, `--window auto --memory-gb`, or a machine with more memory"
            raise CaseError(case_id, f"not enough memory for a window of the network: {advice}") from error
        raise
