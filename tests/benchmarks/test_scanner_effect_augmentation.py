"""benchmarks/scanner_effect_augmentation.py: the split, the arms and the paired summary, on small arrays."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import scanner_effect_augmentation as sea
import scanner_effect_augmentation_cohort as cohort
import scanner_effect_augmentation_plot as plot
from scanner_effect_cohort import Subject

SUBJECTS = [Subject(f"{group}-{number}", group) for group in "ABCDEFG" for number in range(4)]


def crop(group: str, level_hu: float) -> cohort.Crop:
    """A body of one value in air, with all three organs."""
    rng = np.random.default_rng(ord(group))
    body = np.zeros((16, 16, 16), bool)
    body[:, 4:12, 4:12] = True
    label = np.zeros(body.shape, np.uint8)
    label[4:8, 6:10, 5:7], label[8:12, 6:10, 7:9], label[4:12, 6:10, 9:11] = 1, 2, 3
    hu = np.where(body, level_hu + rng.normal(0, 10, body.shape) + 40 * label, -1000.0)
    return cohort.Crop(f"{group}-0", group, hu.astype(np.float32), body, label)


CROPS = [crop("A", 0.0), crop("B", 30.0), crop("C", 60.0)]


@pytest.mark.parametrize("seed", range(3))
def test_every_scan_is_trained_on_or_tested_and_other_groups_are_unseen(seed):
    split = cohort.Split.draw(SUBJECTS, seed)
    parts = [{subject.name for subject in part} for part in (split.training, split.home, split.away)]
    assert [len(part) for part in parts] == [12, 4, 12]
    assert set.union(*parts) == {subject.name for subject in SUBJECTS}
    seen = {subject.group for subject in split.training}
    assert {subject.group for subject in split.home} == seen
    assert seen.isdisjoint(subject.group for subject in split.away)
    assert split == cohort.Split.draw(SUBJECTS, seed)


def test_too_few_groups_are_refused():
    with pytest.raises(ValueError, match="openkbp_ct"):
        cohort.Split.draw(SUBJECTS[:16], 0)


def test_the_arm_without_augmentation_is_the_window():
    plain = sea.ArmAugmentation("none", CROPS, [], 0)(CROPS[0])
    assert torch.equal(plain[0], ((torch.from_numpy(CROPS[0].hu) + 250) / 500).clip(0, 1))


def test_donors_are_of_other_groups_or_are_the_tested_scans(monkeypatch):
    taken = []

    class Recorder(sea.RandSpectrumSwap):
        def __init__(self, references, **kwargs):
            taken.append(sorted(float(np.median(donor[0][:, 4:12, 4:12])) for donor in references))
            super().__init__(references, **kwargs)

    monkeypatch.setattr(sea, "RandSpectrumSwap", Recorder)
    levels = [float(np.median(c.hu[:, 4:12, 4:12])) for c in CROPS]
    sea.ArmAugmentation("swap", CROPS, [], 0)
    assert taken == [sorted(levels[1:]), sorted((levels[0], levels[2])), sorted(levels[:2])]
    taken.clear()
    sea.ArmAugmentation("swap, test scanners", CROPS[:2], CROPS[2:], 0)
    assert taken == [[levels[2]], [levels[2]]]


@pytest.mark.parametrize("arm", sea.ARMS)
def test_an_arm_is_decided_by_its_seed(arm):
    one, same, other = (sea.ArmAugmentation(arm, CROPS, CROPS, seed) for seed in (1, 1, 2))
    inputs = [[augment(CROPS[k % 3]) for k in range(6)] for augment in (one, same, other)]
    assert all(torch.equal(a, b) for a, b in zip(*inputs[:2], strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(inputs[0], inputs[2], strict=True)) is (arm != "none")
    assert all(values.dtype == torch.float32 and 0 <= values.min() <= values.max() <= 1 for values in inputs[0])
    assert (len(one.moved_hu) > 0) is ("swap" in arm)


def test_inside_the_body_alone_leaves_the_air():
    scan, donor = (replace(c, hu=c.hu.clip(-250)) for c in (CROPS[0], crop("B", 300.0)))  # air where the window begins
    air = ~torch.from_numpy(scan.body)

    def brightest(arm: str) -> float:
        augment = sea.ArmAugmentation(arm, [scan, donor], [], 0)
        return max(float(augment(scan)[0][air].max()) for _ in range(8))

    assert brightest("swap, body, 3-D") == 0.0
    assert brightest("swap") > 0


def test_training_is_decided_by_its_seed_and_the_arm():
    def weights(arm: str) -> torch.Tensor:
        network = sea.train(sea.ArmAugmentation(arm, CROPS, [], 3), CROPS, 3, sea.Setup(steps=2))
        return torch.cat([values.flatten() for values in network.state_dict().values()])

    assert torch.equal(weights("none"), weights("none"))
    assert not torch.equal(weights("none"), weights("intensity"))


def test_differences_are_paired_by_case_and_patients_are_resampled():
    def result(**cases: float) -> plot.ArmResult:
        scores = {case: {"cord": value, "x": value} for case, value in cases.items()}
        lower = {case: {"cord": value - 0.05, "x": value - 0.05} for case, value in cases.items()}
        return plot.ArmResult({plot.AS_ACQUIRED: scores, "gain": lower}, 7.0, 0.0)

    seeds = [
        {"none": result(p=0.2, q=0.6), "swap": result(p=0.3, q=0.7)},
        {"none": result(p=0.4), "swap": result(p=0.5)},
    ]
    none, swap, none_gain, swap_gain = plot.summarize(seeds)
    assert (none.arm, none.tested_at, none.cases, none.runs) == ("none", plot.AS_ACQUIRED, 2, 3)
    assert none.gain == plot.Estimate(0.0, 0.0, 0.0)
    assert (none.dice.mean, none.dice.low, none.dice.high) == pytest.approx((0.4, 0.3, 0.6))  # p alone, or q alone
    for row, gain, effect in ((swap, 0.1, 0.0), (none_gain, 0.0, -0.05), (swap_gain, 0.1, -0.05)):
        assert row.effect is not None
        # The same for every case, so there is nothing to be uncertain of.
        assert (row.gain.mean, row.gain.low, row.gain.high) == pytest.approx((gain,) * 3)
        assert (row.effect.mean, row.effect.low, row.effect.high) == pytest.approx((effect,) * 3)
    assert plot.table([none, swap], 2).count("\n| as acquired |") == 2
