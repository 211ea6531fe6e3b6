"""Variants of a run on the same data and folds: what a change of settings does to the out-of-fold scores.

    python examples/ablation.py BASE OUT --variant "none prepare.harmonization=none" --seeds 0 --seeds 1

Other variants: "tau5 prepare.swap_threshold=5", "align prepare.harmonization=spectrum-align",
"match prepare.harmonization=histogram-match", "center prepare.crop=center", "other prepare.reference=CHUM-001".

BASE is a run that is checked and split (``hnseg init``, ``check``, ``split``). It is trained again in OUT, beside every
variant, once for each seed. Prepared cases that fit are shared, models too where a variant only predicts differently.
All runs keep the folds of BASE. A variant with another reference subject takes this one case out of its fold, so that
pairs are the cases that both runs validate. What is done is kept: the same command continues an interrupted one.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

import hnseg

SCORES = {"gtvp_dice_mean": "GTVp Dice", "gtvn_dice_agg": "GTVn agg. Dice", "gtvn_f1_agg": "GTVn agg. F1"}
console = Console()


def main(
    base: Annotated[Path, typer.Argument(help="Work directory of a run that is checked and split.")],
    out: Annotated[Path, typer.Argument(help="Folder of the variants, on the same file system.")],
    variant: Annotated[list[str], typer.Option(help="Name and settings: 'tau5 prepare.swap_threshold=5'.")],
    seeds: Annotated[list[int] | None, typer.Option(min=0, help="Of the training; default: that of BASE.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:<n> or mps.")] = "auto",
    jobs: Annotated[int, typer.Option(min=1, help="Processes: cases, and on a CPU folds, at once.")] = 2,
) -> None:
    """Train a run and variants of it, and print paired differences with 95 % intervals over cases."""
    try:
        variants = dict(map(parse_variant, variant))
        if len(variants) < len(variant):
            raise hnseg.OptionError(f"--variant: a name occurs twice among {variant}")
        pairs: dict[str, list[tuple[hnseg.Scored, hnseg.Scored]]] = {name: [] for name in variants}
        for seed in seeds or [hnseg.load_config(base).seed]:
            home = out / f"seed_{seed}"
            plain = score_variant(base, home / "base", {"seed": seed}, device, jobs)
            for name, values in variants.items():
                pairs[name].append((plain, score_variant(home / "base", home / name, values, device, jobs)))
            print_differences(f"seed {seed}", {name: found[-1:] for name, found in pairs.items()})
        print_differences("all seeds", pairs)
    except (hnseg.HnsegError, OSError) as error:
        sys.exit(f"ablation: {error}")


def parse_variant(text: str) -> tuple[str, dict[str, object]]:
    """Name and values of a variant; the split stays that of the base, so that cases can be paired."""
    name, *settings = text.split() or ["base"]
    values = hnseg.parse_assignments(settings)
    fixed = [key for key in values if key in ("preset", "seed") or key.startswith("split.")]
    if fixed or not values or name == "base" or Path(name).name != name:
        raise hnseg.OptionError(f"--variant '{text}': expected NAME KEY=VALUE …, no KEY of preset, seed or split")
    return name, values


def score_variant(source: Path, work: Path, values: dict[str, object], device: str, jobs: int) -> hnseg.Scored:
    """Begin a run from another one, with some settings changed; train it, and score its out-of-fold masks."""
    config = hnseg.build_config(values, base=hnseg.load_config(source, tuned=False))
    begun = hnseg.begin_run_from(source, work, config)
    if not (work / "check.json").is_file():
        hnseg.check_cohort(begun.data_root, config.prepare, work=work, jobs=jobs)  # another crop
    if not (work / "splits.json").is_file():
        hnseg.save_splits(hnseg.load_splits(source), work)  # another seed trains differently on the same folds
    console.print(f"{work}: {len(hnseg.share_prepared(source, work))} of {begun.cases} prepared cases are shared")
    with hnseg.show_progress(f"{work.name}: prepare", console) as progress:
        failures = hnseg.prepare_cohort(work, jobs=jobs, progress=progress)
    for failure in failures:
        raise failure
    hnseg.share_models(source, work)
    with hnseg.show_progress(f"{work.name}: train", console) as progress:
        hnseg.train_folds(work, device=device, jobs=jobs, progress=progress)
    with hnseg.show_progress(f"{work.name}: out of fold", console) as progress:
        cases = hnseg.predict_out_of_fold(work, device=device, progress=progress)
    hnseg.postprocess_out_of_fold(work, cases)
    labels = {case.id: Path(str(case.label)) for case in hnseg.load_check(work).cases if case.id in cases}
    scores = hnseg.evaluate_folder(work / "out_of_fold", labels, allow_extra=True, jobs=jobs)
    return hnseg.read_scores(scores, work.name)


def print_differences(title: str, pairs: dict[str, list[tuple[hnseg.Scored, hnseg.Scored]]]) -> None:
    """Print a row for each variant: how much higher than the base it scores."""
    table = Table("variant less base", "cases", *SCORES.values(), title=f"{title}, 95 % intervals over cases")
    for name, found in pairs.items():
        result = hnseg.compare_seeds(found)
        table.add_row(name, str(result.n_cases), *(str(result.scores[key]) for key in SCORES))
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
