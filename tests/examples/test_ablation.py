"""examples/ablation.py: variants begin from the base, cases are paired, and the same command continues."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import hnseg
from hnseg.cohort.labels import read_label
from hnseg.images.image_io import write_image
from tests.examples.loading import EXAMPLES, load_script

EXAMPLE = EXAMPLES / "ablation.py"


@pytest.fixture(scope="module")
def example():
    return load_script(EXAMPLE)


@pytest.fixture
def ablate(example, monkeypatch):
    """Run the example; a network finds every lesion, but no GTVp in the runs named ``blind``."""
    app = typer.Typer()
    app.command()(example.main)
    trained = []

    def predict(work, **_):
        cases = {case.id: Path(case.label) for case in hnseg.load_check(work).cases}
        found = sorted(case_id for fold in hnseg.load_splits(work).folds for case_id in fold)
        for case_id in found:
            label, grid = read_label(cases[case_id], case_id)
            write_image(work / "out_of_fold" / f"{case_id}.nii.gz", label * (label != (work.name == "blind")), grid)
        return found

    monkeypatch.setattr(hnseg, "prepare_cohort", lambda *_, **__: [])
    monkeypatch.setattr(hnseg, "train_folds", lambda work, **_: trained.append((work.parent.name, work.name)))
    monkeypatch.setattr(hnseg, "share_models", lambda *_: ())
    monkeypatch.setattr(hnseg, "predict_out_of_fold", predict)
    monkeypatch.setattr(hnseg, "postprocess_out_of_fold", lambda *_: None)
    monkeypatch.setattr(example.console, "width", 200)

    def run(*arguments):
        return CliRunner().invoke(app, list(map(str, arguments))), trained

    return run


def test_variants_are_paired_with_the_base_on_the_cases_of_both(ablate, prepared_run, tmp_path, example, monkeypatch):
    tables = []
    monkeypatch.setattr(example, "print_differences", lambda title, pairs: tables.append((title, pairs)))
    other = hnseg.load_splits(prepared_run).folds[0][0]
    variants = ("blind predict.overlap=0.5", f"other prepare.reference={other}")
    options = [part for text in variants for part in ("--variant", text)]
    done, trained = ablate(prepared_run, tmp_path / "out", *options, "--seeds", 1, "--seeds", 7)
    assert done.exit_code == 0, done.output
    names = ("base", "blind", "other")
    assert trained == [(f"seed_{seed}", name) for seed in (1, 7) for name in names]
    assert [title for title, _ in tables] == ["seed 1", "seed 7", "all seeds"]
    for count, (_, pairs) in zip((1, 1, 2), tables, strict=True):
        blind, moved = (hnseg.compare_seeds(pairs[name]) for name in names[1:])
        assert (blind.n_seeds, blind.n_cases, moved.n_cases, moved.left_out) == (count, 5, 4, (other,))
        assert blind.scores["gtvp_dice_mean"].difference < 0 == blind.scores["gtvn_dice_agg"].difference
        assert moved.scores["gtvp_dice_mean"].difference == 0
    splits = [hnseg.load_splits(tmp_path / "out" / f"seed_{seed}" / name) for seed in (1, 7) for name in names]
    base = hnseg.load_splits(prepared_run)
    assert {tuple(sorted(set(split.all_train_ids()))) for split in splits} == {tuple(base.all_train_ids())}
    assert hnseg.load_config(tmp_path / "out" / "seed_7" / "blind").seed == 7
    shared = list((tmp_path / "out" / "seed_7" / "blind" / "prepared").glob("*/case.json"))
    assert len(shared) == 8
    assert not (tmp_path / "out" / "seed_7" / "other" / "prepared").exists()
    again, _ = ablate(prepared_run, tmp_path / "out", *options, "--seeds", 1, "--seeds", 7)
    assert again.exit_code == 0, again.output


def test_the_table_names_every_variant(ablate, prepared_run, tmp_path, example, capsys):
    done, _ = ablate(prepared_run, tmp_path / "out", "--variant", "blind predict.overlap=0.5")
    assert done.exit_code == 0, done.output
    assert "8 of 8" in done.output
    assert "blind" in done.output


@pytest.mark.parametrize(
    "variants",
    [
        ["a split.folds=3"],
        ["a seed=3"],
        ["a preset=demo"],
        ["a"],
        [""],
        ["base train.epochs=3"],
        ["../a train.epochs=3"],
        ["a train.epoch=3"],
        ["a train.epochs=3", "a train.epochs=4"],
    ],
)
def test_what_would_not_be_comparable_is_refused(ablate, prepared_run, tmp_path, variants):
    options = [part for text in variants for part in ("--variant", text)]
    done, trained = ablate(prepared_run, tmp_path / "out", *options)
    assert done.exit_code == 1
    assert trained == []
    assert not (tmp_path / "out").exists()


def test_it_uses_public_names_only_in_less_than_100_lines():
    text = EXAMPLE.read_text(encoding="utf-8")
    assert text.count("\n") < 100
    tree = ast.parse(text)
    modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name for name in modules if name.split(".")[0] in ("hnseg", "ssimh")} == {"hnseg"}
    used = {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute) and ast.unparse(n.value) == "hnseg"}
    assert used <= set(hnseg.__all__)
