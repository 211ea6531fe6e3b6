"""Command lines and blocks of the documentation that the tests do not run, each with its reason.

They are parsed all the same, and ``tests/test_documentation.py`` prints the reasons. An entry that nothing needs is an
error.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class NotRun:
    """Lines of console blocks that are parsed and not run.

    Attributes:
        reason: why.
        held_by: file that runs the same, within the repository.
        lines: as the pages have them, without prompt and comment.
    """

    reason: str
    held_by: str
    lines: tuple[str, ...]


NOT_RUN = (
    NotRun(
        "the whole pipeline, minutes",
        "tests/examples/test_hecktor_task1.py",
        ("make demo", "python examples/hecktor_task1.py --data-root DATA --work-dir runs/first"),
    ),
    NotRun("these tests", "Makefile", ("make test",)),
    NotRun(
        "installed before the tests; the extras are there",
        "tests/test_package.py",
        ('pip install "ssimh[cli]"', 'pip install "ssimh[cli,monai]"', 'pip install "ssimh[dicom]"'),
    ),
    NotRun(
        "checks eight cases in six seconds, as the fixtures of all tests do",
        "tests/hnseg/fixtures.py",
        ("hnseg check runs/first", "hnseg check runs/mine", "hnseg check OUT"),
    ),
    NotRun(
        "trains the network of the paper; what --set changes is tested on a small run",
        "tests/hnseg/cli/test_settings.py",
        ("hnseg train runs/between --set train.patience=30",),
    ),
    NotRun(
        "needs a cluster at that address; a local one is tested",
        "tests/hnseg/test_parallel.py",
        ("hnseg prepare runs/first --dask tcp://scheduler:8786",),
    ),
    NotRun(
        "four processes; two are tested",
        "tests/hnseg/training/test_runs.py",
        ("torchrun --nproc-per-node 4 -m hnseg train runs/first --fold 0",),
    ),
    NotRun(
        "measures steps on the device for seconds",
        "tests/hnseg/training/test_plan.py",
        ("hnseg plan runs/first --device cuda",),
    ),
    NotRun(
        "trains three runs",
        "tests/examples/test_ablation.py",
        (
            "python examples/ablation.py runs/first ablation --variant 'none prepare.harmonization=none' "
            "--variant 'tau5 prepare.swap_threshold=5' --seeds 0 --seeds 1",
        ),
    ),
    NotRun(
        "draws for four seconds",
        "tests/hnseg/report/test_page.py",
        ("hnseg report runs/first",),
    ),
    NotRun(
        "draws for four seconds, of another cohort",
        "tests/hnseg/report/test_external_page.py",
        ("hnseg report runs/first --external masks",),
    ),
    NotRun(
        "compares folders of several sites, which take seconds to generate",
        "tests/ssimh/site_benchmark/test_run_benchmark.py",
        (
            "ssimh benchmark scans_by_site/ --out compared/",
            "ssimh benchmark pets_by_site/ --out pets_compared/ --modality PT",
        ),
    ),
    NotRun(
        "needs a trained run with spectrum-align",
        "tests/hnseg/preprocessing/test_new_center.py",
        (
            "hnseg fit-site runs/aligned NEWDATA --out new.json",
            "hnseg predict runs/aligned NEWDATA --out masks --site new.json",
        ),
    ),
    NotRun(
        "draws for five seconds and more",
        "tests/hnseg/report/paper_figures/test_write_figures.py",
        (
            "hnseg figures runs/first",
            "hnseg figures runs/first --only 1,5 --case CHUM-001",
            "hnseg figures runs/first --external masks",
        ),
    ),
    NotRun(
        "nnU-Net is not installed for the tests; what was run with it once is on the page",
        "tests/examples/test_scripts.py",
        (
            "nnUNetv2_plan_and_preprocess -d 101 --verify_dataset_integrity",
            "nnUNetv2_predict -i new_cases_swapped/ -o masks/ -d 101 -c 3d_fullres -f 0",
        ),
    ),
    NotRun(
        "converts studies in DICOM, which take seconds to generate",
        "tests/hnseg/dicom/test_convert.py",
        ("hnseg dicom IN OUT", "hnseg dicom STUDIES COHORT --jobs 4"),
    ),
    NotRun(
        "predicts a study in DICOM, which takes seconds to generate",
        "tests/hnseg/inference/test_predict_study.py",
        (
            "hnseg predict runs/first --dicom STUDY --out seg.dcm",
            "hnseg predict runs/first --dicom STUDY --out labels.dcm --form labelmap",
            "hnseg predict runs/first --dicom STUDY --out contours.dcm --form rtstruct",
        ),
    ),
    NotRun(
        "needs Docker; the scripts run with a stand-in for it",
        "tests/examples/test_container_scripts.py",
        ("./do_build.sh ../../runs/first", "./do_test_run.sh CT.mha PET.mha", "./do_save.sh"),
    ),
)
OUTPUT = "output of a benchmark that runs for minutes; the command is beside it"  # blocks of the language text
