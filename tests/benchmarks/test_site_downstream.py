"""benchmarks/site_downstream.py: views, networks and the paired summary, on small arrays."""

from __future__ import annotations

import json
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import site_downstream as sd
import site_downstream_cohort as sdc
import site_downstream_network as sdn
import site_downstream_summary as sds
from scipy import ndimage
from site_resolution_scans import SPACING_MM

from ssimh import SiteSpectrum

CROP = (32, 32, 32)
SIGMA_VOX = {name: mm / 2.3548 / SPACING_MM[0] for name, mm in sdc.FWHM_MM.items()}
BOX = tuple(n + 2 * sdc.MARGIN for n in CROP)


@pytest.fixture(scope="module")
def people() -> list[sdc.Patient]:
    """Four patients: points of uptake in a body, and a ball that is the lesion."""
    found = []
    for number in range(4):
        rng = np.random.default_rng(number)
        truth = np.exp(ndimage.gaussian_filter(rng.normal(0, 3.0, BOX), 0.8)).astype(np.float32)
        z, y, x = np.ogrid[: BOX[0], : BOX[1], : BOX[2]]
        lesion = (z - 24) ** 2 + (y - 22 - number) ** 2 + (x - 24) ** 2 < 16
        truth[lesion] = 12.0
        pets = {name: ndimage.gaussian_filter(truth, sigma) for name, sigma in SIGMA_VOX.items()}
        rows = {
            n: np.asarray(SiteSpectrum.fit([v], spacing_mm=SPACING_MM, modality="PT").subjects) for n, v in pets.items()
        }
        ct = np.full(CROP, 40.0, np.float32)
        args = (pets["finer"], pets["coarser"], rows["finer"], rows["coarser"])
        found.append(sdc.Patient(f"p{number}", ct, sdc.inner(lesion), *args))
    return found


@pytest.fixture
def split(people: list[sdc.Patient], monkeypatch: pytest.MonkeyPatch) -> sd.Split:
    monkeypatch.setattr(sdn, "CROP", CROP)
    return sd.Split(tuple(people[:2]), tuple(people[2:]))


def test_a_seed_tests_the_half_that_it_does_not_train_on(people: list[sdc.Patient]) -> None:
    one, same = sd.Split.draw(people, 0), sd.Split.draw(people, 0)
    assert {p.name for p in one.training}.isdisjoint(p.name for p in one.tested)
    assert (len(one.training), len(one.tested)) == (2, 2)
    assert one.training == same.training


def test_alignment_blurs_the_finer_side_and_only_it(split: sd.Split) -> None:
    patient = split.tested[0]
    finer, coarser = sd.Views(split, "finer"), sd.Views(split, "coarser")
    gain = np.float32(sdc.UNSEEN_GAIN["finer"])
    goal = gain * patient.coarser_suv

    def off(view: sdn.View) -> float:
        return float(np.abs(sdc.inner(view(patient)) - sdc.inner(goal)).mean())

    assert off(finer.blurred) < 0.15 * off(finer.as_scanned)  # the known blur is the true one
    assert off(finer.aligned) < 0.5 * off(finer.as_scanned)
    assert np.array_equal(finer.training_aligned(patient), finer.as_at_home(patient))
    assert np.array_equal(coarser.aligned(patient), coarser.as_scanned(patient))
    assert (
        np.abs(coarser.training_aligned(patient) - patient.coarser_suv).mean()
        < 0.5 * np.abs(patient.finer_suv - patient.coarser_suv).mean()
    )
    assert coarser.sharpened(patient).std() > coarser.as_scanned(patient).std()


def test_the_unseen_center_is_calibrated_otherwise_and_home_is_not(split: sd.Split) -> None:
    patient, views = split.tested[0], sd.Views(split, "coarser")
    assert np.array_equal(views.as_at_home(patient), patient.finer_suv)
    assert views.as_scanned(patient) == pytest.approx(0.87 * patient.coarser_suv)
    donors = np.sort(np.stack([sdc.inner(p.finer_suv) for p in split.training]).ravel())
    assert sdc.inner(views.histogram(patient)).max() == pytest.approx(donors[-1], rel=0.05)


def test_a_z_score_takes_the_calibration_away_and_fixed_suv_does_not(people: list[sdc.Patient]) -> None:
    pet = sdc.inner(people[0].finer_suv)
    one, other = (sdn.as_input(people[0], gain * pet, "z-score") for gain in (np.float32(1), np.float32(1.15)))
    assert torch.allclose(one, other, atol=1e-4)
    assert sdn.as_input(people[0], pet, "suv")[1].numpy() == pytest.approx(pet / 5)


def test_every_arm_has_its_network_and_its_scans(split: sd.Split) -> None:
    arms = {unseen: sd.plan(sd.Views(split, unseen)) for unseen in sdc.SCANNERS}
    assert arms["finer"]["alignment"][0] == sdn.Network("coarser", "z-score")
    assert arms["coarser"]["alignment"][0] == sdn.Network("finer", "aligned")
    for unseen, plan in arms.items():
        assert plan["trained there"][0] == sdn.Network(unseen, "z-score")
        assert {plan[arm][0].scanner for arm in plan if arm != "trained there"} == {sd.other_scanner(unseen)}
        assert {arm for arm, (which, _) in plan.items() if which.scale == "suv"} == {"home, fixed SUV", "nothing"}


def test_patches_lie_in_the_crop() -> None:
    rng, lesion = np.random.default_rng(0), np.zeros(sdc.CROP, bool)
    lesion[0, 0, 0] = lesion[-1, -1, -1] = True
    for _ in range(50):
        patch = lesion[sdn.draw_patch(lesion, rng)]
        assert patch.shape == (sdn.PATCH,) * 3


def test_a_block_is_decided_by_its_seed_and_continues(
    split: sd.Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arms = sd.plan(sd.Views(split, "coarser"))
    monkeypatch.setattr(sd, "plan", lambda _: {name: arms[name] for name in ("home", "augmentation", "alignment")})
    results = []
    for folder in ("one", "same"):
        (tmp_path / folder).mkdir()
        results.append(sd.run_block(sd.Kept(tmp_path / folder, 0, "generated", split, 1), "coarser"))
    assert results[0].scores == results[1].scores
    assert set(results[0].scores["home"]) == {"p2", "p3"}
    kept = sd.Kept(tmp_path / "one", 0, "generated", split, 1)
    assert sd.run_block(kept, "coarser") == results[0]  # from the file
    (tmp_path / "one" / "generated-seed-0-unseen-coarser.json").unlink()
    assert sd.run_block(kept, "coarser").scores == results[0].scores  # from the kept networks


def test_a_patient_is_kept_as_it_is(people: list[sdc.Patient], tmp_path: Path) -> None:
    sdc._keep(people[0], tmp_path / "p.npz")
    again = sdc._load(tmp_path / "p.npz")
    assert all(np.array_equal(getattr(again, f.name), getattr(people[0], f.name)) for f in fields(sdc.Patient))


def test_the_box_is_around_its_middle_and_filled_beyond_the_image() -> None:
    image = np.zeros((30, 30, 30), np.float32)
    image[3, 15, 15] = 7
    box = sdc.box_around(image, (3, 15, 15), -1.0)
    middle = tuple(n // 2 + sdc.MARGIN for n in sdc.CROP)
    assert box.shape == tuple(n + 2 * sdc.MARGIN for n in sdc.CROP)
    assert box[middle] == 7
    assert box[0, middle[1], middle[2]] == -1


def block(seed: int, **arms: dict[str, float]) -> sds.BlockResult:
    """A block with these Dice by arm and patient."""
    return sds.BlockResult("generated", "finer", seed, "", {name.replace("_", "-"): v for name, v in arms.items()}, 1.0)


def test_shares_are_of_the_paired_cost() -> None:
    seeds = []
    for seed, level in ((0, 0.5), (1, 0.6)):
        home = {"a": level, "b": level + 0.2} if seed == 0 else {"b": level, "c": level - 0.1}

        def less(by: float, home: dict[str, float] = home) -> dict[str, float]:
            return {name: value - by for name, value in home.items()}

        seeds.append(block(seed, home=home, nothing=less(0.2), z_score=less(0.1), alignment=less(0.02)))
    home, nothing, z_score, alignment = sds.summarize(seeds)
    assert (home.tests, home.dice.mean) == (4, pytest.approx((0.5 + 0.7 + 0.6 + 0.5) / 4))
    # The same for every patient and seed, so there is nothing to be uncertain of.
    for found, value in (
        (alignment.share_of_z_score, 0.8),
        (alignment.share_of_nothing, 0.9),
        (z_score.share_of_nothing, 0.5),
        (alignment.from_z_score, 0.08),
        (nothing.from_home, -0.2),
    ):
        assert (found.mean, found.low, found.high) == pytest.approx((value,) * 3)
    text = sds.table([home, nothing, z_score, alignment], 2)
    assert "80% (80% … 80%)" in text


def test_a_cost_that_is_not_told_from_none_has_no_share(tmp_path: Path) -> None:
    scores = {"home": {"a": 0.5, "b": 0.6}, "nothing": {"a": 0.6, "b": 0.5}, "z_score": {"a": 0.4, "b": 0.5}}
    rows = sds.summarize([block(seed, alignment=scores["home"], **scores) for seed in range(3)])
    alignment = next(row for row in rows if row.arm == "alignment")
    assert alignment.share_of_nothing == sds.Estimate(None, None, None)
    assert alignment.share_of_z_score.mean == pytest.approx(1)
    sds.draw(rows, tmp_path / "plot.png")
    assert json.loads(json.dumps(rows[0].dice.mean)) == pytest.approx(0.55)
    assert (tmp_path / "plot.png").stat().st_size > 1000


def test_pooling_takes_the_mean_of_both_directions_and_all_patients() -> None:
    finer = block(0, home={"a": 0.5}, known_blur={"a": 0.5})
    coarser = sds.BlockResult("generated", "coarser", 0, "", {"home": {"a": 0.7}}, 2.0)
    other = sds.BlockResult("semi-real", "coarser", 0, "", {"home": {"x": 0.4}}, 3.0)
    (found,) = sds.pooled([finer, coarser, other])
    assert found.scores == {"home": {"a": pytest.approx(0.6), "x": 0.4}}
    assert found.seconds == 6.0
