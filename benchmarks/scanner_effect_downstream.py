"""Effect of harmonization on a network that is trained at one center and tested at others.

    python benchmarks/scanner_effect_downstream.py --out docs/ssimh/scanner_effect_downstream

Patients are generated (``hnseg.phantom``), so the truth is known. The network of the demo is trained on ten cases of
center ALFA and tested on other patients: at ALFA itself, at three centers that equal ALFA except for a known effect on
the CT (gain, cupping, both with an offset), and at three whose scanners differ in everything, PET included. Every seed
draws new patients and a new network. Five ways to treat the CT of a test case:

* none, spectrum-swap, histogram-match: as ``hnseg`` does them; the last two also treat the training cases, so their
  network differs;
* spectrum-align, one scan: as ``hnseg`` does at an unknown center;
* spectrum-align, site: the other test cases of the center are known as images, without labels, and make its site.

About ten minutes a seed on one core. Writes a table (.txt, Markdown), all numbers (.json) and a plot (.png); an
interrupted run continues.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import ssimh
from hnseg.check.check_cohort import check_cohort
from hnseg.cohort.cases import Case, discover_cases
from hnseg.cohort.open_run import open_run
from hnseg.cohort.splits import Splits, save_splits
from hnseg.evaluation.overlap import dice
from hnseg.inference.ensemble import load_network
from hnseg.inference.sliding_window import predict_logits
from hnseg.models.device import open_device
from hnseg.phantom import DEFAULT_CENTERS, generate_cohort
from hnseg.preprocessing.crop_case import crop_case
from hnseg.preprocessing.harmonization import AlignSites, Harmonizer, LeavesPet, fit_subject
from hnseg.preprocessing.harmonizer_store import fit_harmonizer
from hnseg.preprocessing.prepare_case import preparation_key, prepare_case
from hnseg.preprocessing.prepare_cohort import is_current
from hnseg.preprocessing.prepared_case import open_case
from hnseg.settings.config import Config
from hnseg.settings.split import SplitConfig
from hnseg.training.loop import train_fold
from hnseg.workdir import read_config

HOME = DEFAULT_CENTERS[0]
CENTERS = (
    HOME,
    replace(HOME, name="GAIN", ct_gain=0.96, ct_offset_hu=-8.0),
    replace(HOME, name="CUPPING", ct_cupping_hu=40.0),
    replace(HOME, name="BOTH", ct_gain=1.03, ct_offset_hu=12.0, ct_cupping_hu=-30.0),
    *DEFAULT_CENTERS[1:],
)
TRAINING, TESTED = 10, 5
TRAINED = ("none", "spectrum-swap", "histogram-match")
METHODS = (*TRAINED, "spectrum-align, one scan", "spectrum-align, site")
EPOCHS = 30
PATCH_VOX = (40, 40, 40)  # smaller than the demo's: more steps in the same time


@dataclass(frozen=True)
class KnownSites(LeavesPet):
    """Alignment to the training center, where the other test cases of a center are known as images."""

    sites: AlignSites
    rows: dict[str, ssimh.SiteSpectrum]
    digest: str = "known-sites"

    def harmonize(self, ct_hu: Any, scanned: Any, case_id: str | None, center: str) -> dict[Any, Any]:
        """See :class:`hnseg.preprocessing.harmonization.Harmonizer`."""
        others = {
            name: row for name, row in self.rows.items() if name != case_id and self.sites.centers[name] == center
        }
        splits = self.sites.splits
        known = replace(
            self.sites,
            splits=replace(splits, folds=(*splits.folds, tuple(others))),
            subjects={**self.sites.subjects, **others},
        )
        return known.harmonize(ct_hu, scanned, None, center)


def run(work: Path, seed: int, method: str, cases: list[Case]) -> Path:
    """A work directory for one method, with its training cases prepared and its network trained."""
    home = work / method.replace(" ", "-").replace(",", "")
    base = Config.from_preset("demo", seed=seed, folds=2, harmonization=method)  # type: ignore[arg-type]
    config = base.model_copy(
        update={
            "split": SplitConfig(folds=2),
            "train": base.train.model_copy(update={"epochs": EPOCHS, "validate_every": EPOCHS, "patch_vox": PATCH_VOX}),
        }
    )
    open_run(home, config, work / "cohort", resume=True)
    if not (home / "check.json").is_file():
        check_cohort(work / "cohort", config.prepare, work=home)
    own = [case.id for case in cases if case.center == HOME.name][:TRAINING]
    tests = tuple(case.id for case in cases if case.id not in own)
    save_splits(Splits(seed, tests, (tuple(own[1:3]), tuple(own[3:])), own[0]), home)
    harmonizer = fit_harmonizer(home)
    for case in cases:
        if case.id in own:
            prepare(case, config, home / "prepared" / case.id, harmonizer)
    if method in TRAINED:
        train_fold(home, 0, device="cpu")
    return home


def prepare(case: Case, config: Config, folder: Path, harmonizer: Harmonizer) -> None:
    """Prepare a case unless it is prepared."""
    if not is_current(case, folder, preparation_key(config.prepare, harmonizer)):
        prepare_case(case, config.prepare, folder, harmonizer)


def score(home: Path, model: Path, tests: list[Case], harmonizer: Harmonizer, name: str) -> dict[str, dict[str, float]]:
    """GTVp mean Dice and GTVn aggregated Dice on the crop grid, by center, and the change of soft tissue in HU."""
    config = read_config(home)
    fabric = open_device("cpu", config.train.precision)
    network = load_network(model, config.train, fabric)
    found: dict[str, dict[str, float]] = {}
    for center in (c.name for c in CENTERS):
        gtvp, moved, overlap, volume = [], [], 0, 0
        for case in (case for case in tests if case.center == center):
            folder = home / f"tests-{name}" / case.id
            prepare(case, config, folder, harmonizer)
            prepared = open_case(folder)
            logits = predict_logits(network, torch.from_numpy(prepared.image[:]), config.train, config.predict, fabric)
            mask, truth = logits.argmax(dim=0).numpy(), np.asarray(prepared.label[:])
            value = dice(mask == 1, truth == 1)
            gtvp += [] if value is None else [value]
            overlap += int(np.sum((mask == 2) & (truth == 2)))
            volume += int(np.sum(mask == 2) + np.sum(truth == 2))
            moved.append(prepared.record.harmonization.soft_tissue_mean_abs_hu)
        found[center] = {
            "gtvp_dice_mean": float(np.mean(gtvp)),
            "gtvn_dice_agg": 2 * overlap / volume,
            "soft_tissue_moved_hu": float(np.mean(moved)),
        }
    return found


def one_seed(folder: Path, seed: int) -> dict[str, dict[str, dict[str, float]]]:
    """Run all methods on one draw of patients; the result is kept in a file."""
    work, done = folder / f"seed-{seed}", folder / f"seed-{seed}.json"
    if done.is_file():
        return dict(json.loads(done.read_text()))
    counts = [TRAINING + TESTED] + [TESTED] * (len(CENTERS) - 1)
    generate_cohort(work / "cohort", seed=1000 + seed, cases_per_center=counts, centers=CENTERS, traps={})
    cases = discover_cases(work / "cohort")
    results: dict[str, dict[str, dict[str, float]]] = {}
    homes = {method: run(work, seed, method, cases) for method in (*TRAINED, "spectrum-align")}
    own = {case.id for case in cases if case.center == HOME.name and case.id <= f"{HOME.name}-{TRAINING:03d}"}
    tests = [case for case in cases if case.id not in own]
    for method in TRAINED:
        model = homes[method] / "models" / "fold_0" / "best.pt"
        results[method] = score(homes[method], model, tests, fit_harmonizer(homes[method]), "own")
        print(f"seed {seed}: {method} {_means(results[method])}", flush=True)
    home, plain = homes["spectrum-align"], homes["none"] / "models" / "fold_0" / "best.pt"
    sites = fit_harmonizer(home)
    assert isinstance(sites, AlignSites)
    config = Config.from_preset("demo", harmonization="spectrum-align").prepare
    cropped = {case.id: crop_case(case, config) for case in tests}
    rows = {i: fit_subject(c.ct_hu, c.crop.grid.spacing_zyx_mm) for i, c in cropped.items()}
    for name, harmonizer in (("one scan", sites), ("site", KnownSites(sites, rows))):
        # The training cases are the target, which alignment does not change: the network is that of "none".
        results[f"spectrum-align, {name}"] = score(home, plain, tests, harmonizer, name.replace(" ", "-"))
        print(f"seed {seed}: spectrum-align, {name} {_means(results[f'spectrum-align, {name}'])}", flush=True)
    done.write_text(json.dumps(results, indent=1))
    return results


def _means(found: dict[str, dict[str, float]]) -> str:
    return " ".join(f"{center} {row['gtvp_dice_mean']:.2f}/{row['gtvn_dice_agg']:.2f}" for center, row in found.items())


def summary(seeds: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean over seeds, with a 95 % interval, of every score and of its difference from doing nothing."""
    rows = []
    for method in METHODS:
        for group, names in (
            ("ALFA", ["ALFA"]),
            ("CT effect only", ["GAIN", "CUPPING", "BOTH"]),
            ("everything differs", ["BETA", "GAMA", "DELTA"]),
        ):
            row: dict[str, Any] = {"method": method, "tested_at": group}
            for key in ("gtvp_dice_mean", "gtvn_dice_agg", "soft_tissue_moved_hu"):
                values = [float(np.mean([seed[method][name][key] for name in names])) for seed in seeds]
                gains = [
                    v - float(np.mean([s["none"][n][key] for n in names])) for v, s in zip(values, seeds, strict=True)
                ]
                row[key], row[f"{key}_gain"] = _interval(values), _interval(gains)
            rows.append(row)
    return rows


def _interval(values: list[float]) -> dict[str, float]:
    from scipy.stats import t

    half = float("nan")
    if len(values) > 1:
        half = float(t.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / len(values) ** 0.5
    return {"mean": statistics.fmean(values), "half_width_95": half}


def table(rows: list[dict[str, Any]], seeds: int) -> str:
    """Markdown table of the summary."""
    lines = [
        f"Mean over {seeds} seeds, and in brackets the difference from doing nothing with its 95 % interval.",
        "",
        "| tested at | CT of test cases | soft tissue moved, HU | GTVp mean Dice | GTVn aggregated Dice |",
        "|---|---|---:|---:|---:|",
    ]
    for row in sorted(rows, key=lambda r: ["ALFA", "CT effect only", "everything differs"].index(r["tested_at"])):
        cells = []
        for key in ("gtvp_dice_mean", "gtvn_dice_agg"):
            gain = row[f"{key}_gain"]
            more = "" if row["method"] == "none" else f" ({gain['mean']:+.3f} ± {gain['half_width_95']:.3f})"
            cells.append(f"{row[key]['mean']:.3f}{more}")
        moved = row["soft_tissue_moved_hu"]["mean"]
        lines.append(f"| {row['tested_at']} | {row['method']} | {moved:.1f} | {cells[0]} | {cells[1]} |")
    return "\n".join(lines) + "\n"


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Differences from doing nothing, with intervals."""
    figure = Figure(figsize=(9.5, 3.8), layout="constrained")
    FigureCanvasAgg(figure)
    groups = ["ALFA", "CT effect only", "everything differs"]
    colors = dict(zip(METHODS[1:], ("#d55e00", "#cc79a7", "#56b4e9", "#0072b2"), strict=True))
    for axis, key, title in zip(
        figure.subplots(1, 2, sharey=True), ("gtvp_dice_mean", "gtvn_dice_agg"),
        ("GTVp mean Dice", "GTVn aggregated Dice"), strict=True,
    ):  # fmt: skip
        for number, (method, color) in enumerate(colors.items()):
            mine = {row["tested_at"]: row[f"{key}_gain"] for row in rows if row["method"] == method}
            places = [groups.index(group) + (number - 1.5) * 0.16 for group in mine]
            axis.errorbar(
                places, [g["mean"] for g in mine.values()], [g["half_width_95"] for g in mine.values()],
                fmt="o", color=color, label=method, capsize=3,
            )  # fmt: skip
        axis.axhline(0, color="0.4", linewidth=0.8)
        axis.set_xticks(range(len(groups)), groups)
        axis.set_title(title)
        axis.grid(axis="y", alpha=0.3)
    figure.axes[0].set_ylabel("difference from no harmonization")
    figure.axes[0].legend(fontsize=8)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Run all seeds and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="path without suffix: .json, .txt, .png are written")
    parser.add_argument("--work", type=Path, default=Path("downstream"), help="where cohorts and models go")
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    seeds = [one_seed(given.work, seed) for seed in range(given.seeds)]
    rows = summary(seeds)
    content = {"version": ssimh.__version__, "seeds": seeds, "summary": rows}
    given.out.with_suffix(".json").write_text(json.dumps(content, indent=1) + "\n")
    given.out.with_suffix(".txt").write_text(table(rows, given.seeds))
    draw(rows, given.out.with_suffix(".png"))
    print(table(rows, given.seeds))


if __name__ == "__main__":
    main()
