"""The published recipe, the recommended one, and every single departure between them, on the semi-real cohort.

    python benchmarks/recipe.py OUT [--epochs 25] [--folds 3] [--seeds 0 1] [--jobs 2]

All runs use the grid and the network of the demo preset, so that two CPU cores train them; everything else is as the
presets ``paper`` and ``recommended`` say, at a learning rate for as few epochs. A departure is ``paper`` with one
thing as in ``recommended``; no harmonization and a hard clip of CT are beside them. A seed decides folds and training.
Runs of a seed share the folds; the reference subject of ``paper`` trains in every fold of all of them, so all validate
the same cases. Departures that need no training predict with the models of ``paper``.

``--jobs`` runs are made at once, on one thread each. Everything is kept in OUT, and a call that was stopped continues.
Ends with a table of paired differences to ``paper`` with 95 % intervals over cases, also in OUT/recipe.json.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from semireal_cohort import build_cohort

import hnseg
from hnseg.inference.out_of_fold import FOLDER
from hnseg.provenance import provenance
from hnseg.settings.building import flatten
from hnseg.settings.effects import find_changes
from hnseg.settings.presets import DEMO_VALUES
from hnseg.workdir import read_json, write_json
from ssimh.files.artifact_cache import ArtifactCache
from ssimh.processes import end_with_parent

SCORES = {"gtvp_dice_mean": "GTVp Dice", "gtvn_dice_agg": "GTVn agg. Dice", "gtvn_f1_agg": "GTVn agg. F1"}
PAPER, RECOMMENDED = "paper", "recommended"
ML_THRESHOLDS = ("min_gtvp_ml", "min_gtvn_ml", "min_gtvp_vox", "min_gtvn_vox")
# One thread a process; freed memory stays with it (see the Makefile).
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "MALLOC_TRIM_THRESHOLD_": "1073741824",
    "MALLOC_MMAP_THRESHOLD_": "1073741824",
}
Values = dict[str, Any]


def coarse(preset: hnseg.Config, args: argparse.Namespace, seed: int) -> hnseg.Config:
    """A preset on the grid and with the network of the demo, for as many epochs and folds as asked for."""
    values: Values = {
        f"{section}.{name}": value for section, content in DEMO_VALUES.items() for name, value in content.items()
    }
    values |= {"train.epochs": args.epochs, "train.validate_every": max(1, args.epochs // 5)}
    return hnseg.build_config({**values, "split.folds": args.folds, "seed": seed}, base=preset)


def departures(paper: hnseg.Config, recommended: hnseg.Config) -> dict[str, Values]:
    """What each variant changes of ``paper``, by its name; ``recommended`` changes all of it."""
    values = flatten(recommended)
    changed = {name: values[name] for name in find_changes(paper, recommended) if name != "preset"}
    thresholds = {name: changed[name] for name in (f"predict.{n}" for n in ML_THRESHOLDS) if name in changed}
    single = {name: {name: value} for name, value in changed.items() if name not in thresholds}
    single.pop("train.patience", None)  # belongs to the monitor
    named = {
        f"{name.partition('.')[2]}={value}": values for name, values in single.items() for value in values.values()
    }
    others: dict[str, Values] = {
        "harmonization=none": {"prepare.harmonization": "none"},
        "clip_ct_window=True": {"prepare.clip_ct_window": True},  # what recommended had and gave up
    }
    return {RECOMMENDED: changed, **named, **others, "thresholds in ml": thresholds}


def begin_paper(root: Path, work: Path, config: hnseg.Config, first: Path) -> None:
    """The run of ``paper`` up to its split; seeds after the first share its prepared cases."""
    if work == first:
        hnseg.open_run(work, config, root, resume=True)
        if not (work / "check.json").is_file():
            hnseg.check_cohort(root, config.prepare, work=work)
    else:
        hnseg.begin_run_from(first, work, config)
    if not (work / "splits.json").is_file():
        check = hnseg.load_check(work)
        reference = hnseg.choose_reference(config.prepare, check, work)
        hnseg.save_splits(hnseg.make_splits(check.cases, config.split, config.seed, reference=reference), work)


def begin_worker(parent_pid: int) -> None:
    """Set up a process that makes runs: one thread, and it ends with its parent."""
    import torch

    end_with_parent(parent_pid)
    torch.set_num_threads(1)


def make_run(work: Path, others: Sequence[Path]) -> hnseg.FolderEvaluation:
    """Prepare, train and predict a run that is begun, as far as that is missing, and score it out of fold."""
    if not (work / "check.json").is_file():
        root = Path(str(read_json(work / "run.json", "init")["data_root"]))
        hnseg.check_cohort(root, hnseg.load_config(work).prepare, work=work)
    for other in others:
        if (other / "splits.json").is_file():
            hnseg.share_prepared(other, work)
    failures = hnseg.prepare_cohort(work)
    if failures:
        raise failures[0]
    for other in others:
        hnseg.share_models(other, work)
    hnseg.train_folds(work, device="cpu")
    hnseg.postprocess_out_of_fold(work, hnseg.predict_out_of_fold(work, device="cpu"))
    return score_run(work)


def score_run(work: Path) -> hnseg.FolderEvaluation:
    """Out-of-fold scores of a run, kept with the masks that they are of."""
    masks = read_json(work / FOLDER / "cases.json", "tune")["outputs"]
    kept = ArtifactCache(work / "scores.json", {"masks": masks}, {"metrics": work / "scores_out_of_fold.json"})
    labels = {case.id: Path(str(case.label)) for case in hnseg.load_check(work).cases if case.id in masks}
    if not kept.is_current():
        found = hnseg.evaluate_folder(work / FOLDER, labels, allow_extra=True)
        write_json(kept.outputs["metrics"], found.as_dict())
        kept.save({})
    return hnseg.FolderEvaluation.model_validate(read_json(kept.outputs["metrics"], "evaluate"))


def run_all(args: argparse.Namespace, variants: Mapping[str, Values]) -> dict[str, dict[int, hnseg.Scored]]:
    """Every run's scores, by name and seed: ``paper`` first, then what trains, then what only predicts."""
    homes = {seed: args.out / f"seed_{seed}" for seed in args.seeds}
    first = homes[args.seeds[0]]
    scored: dict[str, dict[int, hnseg.Scored]] = {name: {} for name in (PAPER, *variants)}
    for seed, home in homes.items():
        config = coarse(hnseg.Config.from_preset(PAPER), args, seed)
        begin_paper(args.out / "data", home / PAPER, config, first / PAPER)
    workers = {"mp_context": get_context("spawn"), "initializer": begin_worker, "initargs": (os.getpid(),)}
    with ProcessPoolExecutor(args.jobs, **workers) as pool:
        for tasks in _rounds(pool, homes, first, variants):
            for task in as_completed(tasks):
                name, seed = tasks[task]
                scored[name][seed] = hnseg.read_scores(task.result(), name)
                print(f"{time.strftime('%H:%M:%S')}  {name}, seed {seed}: done", flush=True)
    return scored


def _rounds(
    pool: ProcessPoolExecutor, homes: Mapping[int, Path], first: Path, variants: Mapping[str, Values]
) -> Iterator[dict[Future[hnseg.FolderEvaluation], tuple[str, int]]]:
    """Tasks in rounds, each of which needs the ones before."""
    yield {pool.submit(make_run, home / PAPER, [first / PAPER]): (PAPER, seed) for seed, home in homes.items()}
    tasks = {}
    for seed, home in homes.items():
        paper = hnseg.load_config(home / PAPER, tuned=False)
        for name, values in variants.items():
            work = home / name.replace(" ", "_")
            hnseg.begin_run_from(home / PAPER, work, hnseg.build_config(values, base=paper))
            others = [home / PAPER, *([first / work.name] if home != first else [])]
            tasks[pool.submit(make_run, work, others)] = (name, seed)
    yield tasks


def compare_all(scored: Mapping[str, Mapping[int, hnseg.Scored]]) -> dict[str, dict[str, hnseg.SeedComparison]]:
    """Paired differences of every variant to ``paper``: by seed, and over all."""
    found: dict[str, dict[str, hnseg.SeedComparison]] = {}
    for name, by_seed in scored.items():
        pairs = {seed: (scored[PAPER][seed], side) for seed, side in by_seed.items()}
        found[name] = {f"seed {seed}": hnseg.compare_seeds([pair]) for seed, pair in pairs.items()}
        found[name]["all seeds"] = hnseg.compare_seeds(list(pairs.values()))
    return found


def show(compared: Mapping[str, Mapping[str, hnseg.SeedComparison]]) -> None:
    """Print one table a seed and one over all: the scores of ``paper``, and the others less those."""
    for part in compared[PAPER]:
        cases = compared[PAPER][part].n_cases
        print(f"\n{part}: {cases} cases out of fold; below paper: the difference to it, 95 % intervals over cases")
        print(f"{'':<30}" + "".join(f"{title:>26}" for title in SCORES.values()))
        for name, parts in compared.items():
            rows = [parts[part].scores[key] for key in SCORES]
            cells = [f"{row.b:.3f}" if name == PAPER and row.b is not None else str(row) for row in rows]
            print(f"{name:<30}" + "".join(f"{cell:>26}" for cell in cells))
    rows = compared[RECOMMENDED]["all seeds"].scores
    worse = [title for key, title in SCORES.items() if (rows[key].difference or 0) < 0]
    print(f"\nrecommended is lower than paper in: {', '.join(worse) or 'no score'}")


def main() -> None:
    """Make what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--jobs", type=int, default=2, help="runs at once, one thread each")
    args = parser.parse_args()
    os.environ.update(ENVIRONMENT)
    started = time.perf_counter()
    presets = [coarse(hnseg.Config.from_preset(name), args, 0) for name in (PAPER, RECOMMENDED)]
    variants = departures(*presets)
    try:
        build_cohort(args.out / "data", seed=0, jobs=args.jobs)
        scored = run_all(args, variants)
    except hnseg.HnsegError as error:
        sys.exit(f"recipe: {error}")
    compared = compare_all(scored)
    arguments = {"epochs": args.epochs, "folds": args.folds, "seeds": args.seeds}
    results = {name: {part: asdict(result) for part, result in parts.items()} for name, parts in compared.items()}
    facts = {"arguments": arguments, "paper": presets[0].model_dump(mode="json"), "changes": variants}
    write_json(args.out / "recipe.json", {**facts, "results": results, "provenance": provenance()})
    show(compared)
    print(f"{(time.perf_counter() - started) / 60:.1f} minutes; {args.out / 'recipe.json'}")


if __name__ == "__main__":
    main()
