"""Resolution of the PET of a run: the coarsest center is the target, totals stay, and folds do not leak."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

import ssimh
from hnseg.cohort.splits import Splits
from hnseg.preprocessing.harmonization import FINAL, AlignSites, NoHarmonization
from hnseg.preprocessing.pet_resolution import MatchResolution, fit_pet
from hnseg.settings.prepare import PrepareConfig
from tests.ssimh.uptakes import SPACING_MM, pet_site, uptake

ALIGN = PrepareConfig(spacing_mm=4.0, harmonization="spectrum-align", pet_resolution="align")
SHARP_MM2, COARSE_MM2 = 5.0, 12.0


def row(mm2: float, number: int = 0) -> ssimh.SiteSpectrum:
    """One subject of a scanner of this variance, whose power is its own."""
    site = pet_site(mm2, count=1, orientation="SPL")
    (subject,) = site.to_dicts()
    levels = {name: (1 + 0.01 * number) * np.array(subject[name]) for name in subject}
    return ssimh.SiteSpectrum.from_dicts(
        [{name: values.tolist() for name, values in levels.items()}], orientation="SPL", modality="PT"
    )


@pytest.fixture(scope="module")
def aligner() -> AlignSites:
    """Two centers, the second with fewer cases and coarser; two folds, a test case of each."""
    centers = {f"A-{i}": "A" for i in range(10)} | {f"B-{i}": "B" for i in range(8)}
    rows = {i: row(COARSE_MM2 if i[0] == "B" else SHARP_MM2, int(i[2:])) for i in centers}
    first = ("A-1", "A-2", "A-3", "B-1", "B-2", "B-3")
    rest = tuple(i for i in centers if i not in (*first, "A-0", "A-9", "B-7"))
    splits = Splits(0, ("A-9", "B-7"), (first, rest), "A-0")
    known = {i: site for i, site in rows.items() if i not in splits.test}
    return AlignSites(ALIGN, splits, centers, {}, known)


def match(aligner: AlignSites, pet: np.ndarray, center: str, version: str = FINAL):
    made = aligner.harmonize_pet(pet, SPACING_MM, version, center)
    assert made is not None
    return made


def test_the_sharper_center_is_blurred_to_the_coarser_one_and_totals_stay(aligner):
    pet = uptake(7, SHARP_MM2).astype(np.float32)
    for version in (FINAL, "fold_0", "fold_1"):
        assert aligner.pet.target(version) == "B"  # the CT's target is A, which has more cases
    made = match(aligner, pet, "A")
    assert made.pet_suv.sum(dtype=np.float64) == pytest.approx(pet.sum(dtype=np.float64), rel=1e-4)
    wanted = uptake(7, COARSE_MM2)
    assert np.abs(made.pet_suv - wanted).max() < 0.2 * np.abs(pet - wanted).max()
    record = made.record
    assert (record.source, record.target, record.subjects, record.fallback) == ("A", "B", (9, 7), None)
    assert all(0.9 < blur / (2.3548 * 7**0.5) < 1.05 for blur in record.blur_fwhm_mm)
    assert record.noise_gain < 0.5
    assert json.loads(record.model_dump_json())["target_fwhm_mm"][0] > record.source_fwhm_mm[0]


def test_what_is_done_is_described(aligner):
    target, other = aligner.pet.describe(FINAL)
    assert "center B (n = 7)" in target
    assert "center A (n = 9)" in other
    assert f"blurred by {match(aligner, uptake(7, SHARP_MM2), 'A').record.blur_fwhm_mm[0]:.1f}" in other
    assert MatchResolution({FINAL: {}}).describe(FINAL) == []
    alike = MatchResolution({FINAL: {"A": pet_site(8.0), "B": pet_site(8.0)}}).describe(FINAL)
    assert "left as it is" in alike[1]


def test_the_coarsest_center_keeps_its_values(aligner):
    pet = uptake(8, COARSE_MM2).astype(np.float32)
    made = match(aligner, pet, "B")
    np.testing.assert_array_equal(made.pet_suv, pet)
    assert (made.record.blur_fwhm_mm, made.record.noise_gain) == ((0.0, 0.0), 1.0)


@pytest.mark.parametrize("fold", [0, 1])
def test_no_validation_or_test_case_takes_part(aligner, fold):
    hidden = set(aligner.splits.folds[fold]) | set(aligner.splits.test)
    other = replace(aligner, pet_subjects={**aligner.pet_subjects, **{i: row(30.0) for i in hidden}})
    pet = uptake(7, SHARP_MM2).astype(np.float32)
    mine, theirs = (match(a, pet, "A", f"fold_{fold}") for a in (aligner, other))
    np.testing.assert_array_equal(mine.pet_suv, theirs.pet_suv)
    assert mine.record == theirs.record
    assert match(aligner, pet, "A").record != match(other, pet, "A").record
    assert aligner.digest != other.digest


def test_a_run_that_leaves_the_pet_alone_has_another_digest(aligner):
    plain = replace(aligner, pet_subjects=None)
    assert plain.harmonize_pet(uptake(7), SPACING_MM, FINAL, "A") is None
    assert NoHarmonization().harmonize_pet(uptake(7), SPACING_MM, FINAL, "A") is None
    assert plain.digest != aligner.digest


def test_an_unseen_center_is_measured_on_its_scan_alone_and_says_so(aligner):
    made = match(aligner, uptake(7, SHARP_MM2).astype(np.float32), "ELSEWHERE")
    assert made.record.source == "this scan alone"
    assert "ELSEWHERE" in made.record.fallback
    assert made.record.subjects == (1, 7)


def test_what_cannot_be_measured_stays_and_says_why(aligner):
    pet = np.zeros((40, 35, 35), np.float32)
    for known in (aligner.pet, MatchResolution({FINAL: {}})):
        made = known.match(pet, SPACING_MM, FINAL, "ELSEWHERE")
        assert made.pet_suv is pet
        assert made.record.fallback.startswith("not matched: ")
    assert MatchResolution({FINAL: {}}).target(FINAL) is None


def test_planes_outside_the_scan_do_not_count():
    pet = uptake(3).astype(np.float32)
    padded = np.pad(pet, ((6, 3), (0, 4), (2, 0)))
    assert fit_pet(padded, SPACING_MM) == fit_pet(pet, SPACING_MM)


def test_a_crop_of_finer_voxels_is_measured_at_two_millimeters():
    pet = uptake(3, spacing_mm=(2.0, 2.0, 2.0)).astype(np.float32)
    finer = pet.repeat(2, axis=0).repeat(2, axis=1).repeat(2, axis=2)
    assert fit_pet(finer, (1.0, 1.0, 1.0)) == fit_pet(pet, (2.0, 2.0, 2.0))


@pytest.mark.parametrize("harmonization", ["none", "spectrum-swap", "histogram-match"])
def test_the_setting_needs_sites(harmonization):
    with pytest.raises(ValidationError, match=harmonization):
        PrepareConfig(harmonization=harmonization, pet_resolution="align")
