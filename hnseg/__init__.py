"""hnseg: head-and-neck tumor (GTVp) and lymph-node (GTVn) segmentation in FDG-PET/CT.

Check → split → prepare → train → tune → predict → evaluate → report: each verb is a function of this package and a
command of ``hnseg``. Importing the package loads nothing; a name is loaded when it is first used. Conventions of arrays
and coordinates: :mod:`hnseg.images.geometry`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ssimh._version import __version__
from ssimh.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from hnseg.bundle.attribution import Attribution
    from hnseg.bundle.write_bundle import export_bundle
    from hnseg.check.check_cohort import check_cohort
    from hnseg.cohort.cases import Case, discover_cases
    from hnseg.cohort.checked_cohort import CohortCheck, Finding, load_check
    from hnseg.cohort.open_run import begin_run, open_run
    from hnseg.cohort.published_splits import read_folds, read_ids
    from hnseg.cohort.reference import ReferenceChoice, choose_reference
    from hnseg.cohort.splits import (
        Splits,
        leave_one_center_out,
        load_splits,
        make_splits,
        published_splits,
        save_splits,
    )
    from hnseg.dicom.convert import convert_dicom
    from hnseg.dicom.options import DicomOptions
    from hnseg.errors import (
        CaseError,
        CohortError,
        HnsegError,
        InUseError,
        OptionError,
        OutputPathError,
        SettingsError,
        WorkDirError,
    )
    from hnseg.evaluation.compare import Scored, compare, read_scores, read_scores_file
    from hnseg.evaluation.compare_seeds import SeedComparison, compare_seeds
    from hnseg.evaluation.evaluate import evaluate_folder, evaluate_workdir, find_labels
    from hnseg.evaluation.records import FolderEvaluation, WorkdirEvaluation
    from hnseg.evaluation.rules import Rules
    from hnseg.images.geometry import Grid
    from hnseg.images.image_io import read_grid, read_image, write_image
    from hnseg.inference.baselines import predict_baselines
    from hnseg.inference.export import export_models
    from hnseg.inference.export_onnx import export_onnx
    from hnseg.inference.out_of_fold import postprocess_out_of_fold, predict_out_of_fold
    from hnseg.inference.predict_case import InferenceOptions, open_segmenter
    from hnseg.inference.predict_cohort import (
        predict_cohort,
        predict_cohort_from_files,
        predict_pair,
    )
    from hnseg.inference.predict_study import StudyReading, predict_study
    from hnseg.inference.tune import format_settings, tune_workdir
    from hnseg.models.device import open_device
    from hnseg.parallel import ParallelConfig
    from hnseg.phantom.cohort import generate_cohort
    from hnseg.preprocessing.harmonizer_store import load_harmonizer
    from hnseg.preprocessing.new_center import fit_new_center
    from hnseg.preprocessing.prepare_case import preprocess_case
    from hnseg.preprocessing.prepare_cohort import prepare_cohort
    from hnseg.preprocessing.reuse_prepared import SharedResults, begin_run_from, share_prepared
    from hnseg.progress import ProgressCallback, no_progress, show_progress
    from hnseg.report.external_page import write_external_report
    from hnseg.report.page import write_report
    from hnseg.report.paper_figures.write_figures import WrittenFigures, write_figures
    from hnseg.report.view_page import write_view
    from hnseg.settings.assignments import parse_assignments
    from hnseg.settings.augment import AugmentConfig
    from hnseg.settings.building import build_config
    from hnseg.settings.config import Config
    from hnseg.settings.config_file import read_config_file
    from hnseg.settings.effects import stale_stages
    from hnseg.settings.predict import PredictConfig
    from hnseg.settings.prepare import Harmonization, PrepareConfig
    from hnseg.settings.split import SplitConfig
    from hnseg.settings.train import TrainConfig
    from hnseg.training.folds import train_folds
    from hnseg.training.plan import make_plan
    from hnseg.training.share_models import share_models
    from hnseg.workdir import load_config, save_config

_HOME = {
    "Attribution": "hnseg.bundle.attribution",
    "AugmentConfig": "hnseg.settings.augment",
    "Case": "hnseg.cohort.cases",
    "CaseError": "hnseg.errors",
    "CohortCheck": "hnseg.cohort.checked_cohort",
    "CohortError": "hnseg.errors",
    "Config": "hnseg.settings.config",
    "DicomOptions": "hnseg.dicom.options",
    "Finding": "hnseg.cohort.checked_cohort",
    "FolderEvaluation": "hnseg.evaluation.records",
    "Grid": "hnseg.images.geometry",
    "Harmonization": "hnseg.settings.prepare",
    "HnsegError": "hnseg.errors",
    "InUseError": "hnseg.errors",
    "InferenceOptions": "hnseg.inference.predict_case",
    "OptionError": "hnseg.errors",
    "OutputPathError": "hnseg.errors",
    "ParallelConfig": "hnseg.parallel",
    "PredictConfig": "hnseg.settings.predict",
    "PrepareConfig": "hnseg.settings.prepare",
    "ProgressCallback": "hnseg.progress",
    "ReferenceChoice": "hnseg.cohort.reference",
    "Rules": "hnseg.evaluation.rules",
    "Scored": "hnseg.evaluation.compare",
    "SeedComparison": "hnseg.evaluation.compare_seeds",
    "SharedResults": "hnseg.preprocessing.reuse_prepared",
    "SettingsError": "hnseg.errors",
    "StudyReading": "hnseg.inference.predict_study",
    "SplitConfig": "hnseg.settings.split",
    "Splits": "hnseg.cohort.splits",
    "TrainConfig": "hnseg.settings.train",
    "WorkDirError": "hnseg.errors",
    "WorkdirEvaluation": "hnseg.evaluation.records",
    "WrittenFigures": "hnseg.report.paper_figures.write_figures",
    "begin_run_from": "hnseg.preprocessing.reuse_prepared",
    "begin_run": "hnseg.cohort.open_run",
    "build_config": "hnseg.settings.building",
    "check_cohort": "hnseg.check.check_cohort",
    "choose_reference": "hnseg.cohort.reference",
    "compare": "hnseg.evaluation.compare",
    "compare_seeds": "hnseg.evaluation.compare_seeds",
    "convert_dicom": "hnseg.dicom.convert",
    "discover_cases": "hnseg.cohort.cases",
    "evaluate_folder": "hnseg.evaluation.evaluate",
    "evaluate_workdir": "hnseg.evaluation.evaluate",
    "export_bundle": "hnseg.bundle.write_bundle",
    "export_models": "hnseg.inference.export",
    "export_onnx": "hnseg.inference.export_onnx",
    "find_labels": "hnseg.evaluation.evaluate",
    "fit_new_center": "hnseg.preprocessing.new_center",
    "format_settings": "hnseg.inference.tune",
    "generate_cohort": "hnseg.phantom.cohort",
    "leave_one_center_out": "hnseg.cohort.splits",
    "load_check": "hnseg.cohort.checked_cohort",
    "load_config": "hnseg.workdir",
    "load_harmonizer": "hnseg.preprocessing.harmonizer_store",
    "load_splits": "hnseg.cohort.splits",
    "make_plan": "hnseg.training.plan",
    "make_splits": "hnseg.cohort.splits",
    "no_progress": "hnseg.progress",
    "open_device": "hnseg.models.device",
    "open_run": "hnseg.cohort.open_run",
    "open_segmenter": "hnseg.inference.predict_case",
    "postprocess_out_of_fold": "hnseg.inference.out_of_fold",
    "predict_baselines": "hnseg.inference.baselines",
    "predict_cohort": "hnseg.inference.predict_cohort",
    "predict_cohort_from_files": "hnseg.inference.predict_cohort",
    "predict_out_of_fold": "hnseg.inference.out_of_fold",
    "predict_study": "hnseg.inference.predict_study",
    "predict_pair": "hnseg.inference.predict_cohort",
    "prepare_cohort": "hnseg.preprocessing.prepare_cohort",
    "preprocess_case": "hnseg.preprocessing.prepare_case",
    "published_splits": "hnseg.cohort.splits",
    "parse_assignments": "hnseg.settings.assignments",
    "read_config_file": "hnseg.settings.config_file",
    "read_folds": "hnseg.cohort.published_splits",
    "read_grid": "hnseg.images.image_io",
    "read_ids": "hnseg.cohort.published_splits",
    "read_image": "hnseg.images.image_io",
    "read_scores": "hnseg.evaluation.compare",
    "read_scores_file": "hnseg.evaluation.compare",
    "save_config": "hnseg.workdir",
    "save_splits": "hnseg.cohort.splits",
    "share_models": "hnseg.training.share_models",
    "share_prepared": "hnseg.preprocessing.reuse_prepared",
    "show_progress": "hnseg.progress",
    "stale_stages": "hnseg.settings.effects",
    "train_folds": "hnseg.training.folds",
    "tune_workdir": "hnseg.inference.tune",
    "write_figures": "hnseg.report.paper_figures.write_figures",
    "write_image": "hnseg.images.image_io",
    "write_external_report": "hnseg.report.external_page",
    "write_report": "hnseg.report.page",
    "write_view": "hnseg.report.view_page",
}

__all__ = [
    "Attribution",
    "AugmentConfig",
    "Case",
    "CaseError",
    "CohortCheck",
    "CohortError",
    "Config",
    "DicomOptions",
    "Finding",
    "FolderEvaluation",
    "Grid",
    "Harmonization",
    "HnsegError",
    "InUseError",
    "InferenceOptions",
    "OptionError",
    "OutputPathError",
    "ParallelConfig",
    "PredictConfig",
    "PrepareConfig",
    "ProgressCallback",
    "ReferenceChoice",
    "Rules",
    "Scored",
    "SeedComparison",
    "SettingsError",
    "SharedResults",
    "SplitConfig",
    "Splits",
    "StudyReading",
    "TrainConfig",
    "WorkDirError",
    "WorkdirEvaluation",
    "WrittenFigures",
    "__version__",
    "begin_run",
    "begin_run_from",
    "build_config",
    "check_cohort",
    "choose_reference",
    "compare",
    "compare_seeds",
    "convert_dicom",
    "discover_cases",
    "evaluate_folder",
    "evaluate_workdir",
    "export_bundle",
    "export_models",
    "export_onnx",
    "find_labels",
    "fit_new_center",
    "format_settings",
    "generate_cohort",
    "leave_one_center_out",
    "load_check",
    "load_config",
    "load_harmonizer",
    "load_splits",
    "make_plan",
    "make_splits",
    "no_progress",
    "open_device",
    "open_run",
    "open_segmenter",
    "parse_assignments",
    "postprocess_out_of_fold",
    "predict_baselines",
    "predict_cohort",
    "predict_cohort_from_files",
    "predict_out_of_fold",
    "predict_pair",
    "predict_study",
    "prepare_cohort",
    "preprocess_case",
    "published_splits",
    "read_config_file",
    "read_folds",
    "read_grid",
    "read_ids",
    "read_image",
    "read_scores",
    "read_scores_file",
    "save_config",
    "save_splits",
    "share_models",
    "share_prepared",
    "show_progress",
    "stale_stages",
    "train_folds",
    "tune_workdir",
    "write_external_report",
    "write_figures",
    "write_image",
    "write_report",
    "write_view",
]

__getattr__, __dir__ = lazy_exports(__name__, _HOME, extra="hnseg")
