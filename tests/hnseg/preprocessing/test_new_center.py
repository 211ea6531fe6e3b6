"""The site of a center that did not train: one file, for runs that crop alike, used for new scans alone."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

import ssimh
from hnseg.cohort.cases import discover_cases
from hnseg.cohort.splits import Splits
from hnseg.errors import CohortError, OptionError, OutputPathError, WorkDirError
from hnseg.inference.predict_cohort import check_center, mask_cache
from hnseg.preprocessing.center_sites import ORIENTATION
from hnseg.preprocessing.harmonization import FINAL, AlignSites, NoHarmonization
from hnseg.preprocessing.new_center import add_new_centers, fit_new_center, read_new_centers
from hnseg.settings.prepare import PrepareConfig
from hnseg.workdir import change_config
from tests.facts import raises_naming
from tests.ssimh.necks import neck
from tests.ssimh.uptakes import SPACING_MM, pet_site, uptake


@pytest.fixture
def work(prepared_run, tmp_path):
    """A run that aligns CT and PET; its training cases are of ALFA and BETA."""
    folder = tmp_path / "work"
    folder.mkdir()
    for file in ("config.yaml", "run.json", "check.json", "splits.json"):
        shutil.copy(prepared_run / file, folder)
    change_config(folder, {"prepare.harmonization": "spectrum-align", "prepare.pet_resolution": "align"})
    return folder


@pytest.fixture
def measured(monkeypatch):
    """Rows of a center at 4 % and of a sharp PET, without reading an image; the third scan has none."""
    ct = ssimh.SiteSpectrum.fit([neck(3, factor=1.04)], orientation=ORIENTATION)
    pet = pet_site(5.0, count=1, orientation=ORIENTATION)

    def fit_rows(case, config):
        if case.id.endswith("3"):
            return {"subject": None, "reason": "no body", "pet": None, "pet_reason": "no uptake"}
        (subject,), (uptakes,) = ct.to_dicts(), pet.to_dicts()
        return {"subject": dict(subject), "pet": dict(uptakes)}

    monkeypatch.setattr("hnseg.preprocessing.new_center.fit_rows", fit_rows)


@pytest.fixture
def scans(make_case):
    """Three scans of a center that did not train, and one of another."""
    for case_id in ("NEW-001", "NEW-002", "NEW-003", "ELSE-001"):
        root = make_case(case_id)
    return root


def test_the_file_holds_the_center_and_no_case_id(work, scans, measured, tmp_path):
    steps = []
    made = fit_new_center(work, scans, tmp_path / "new.json", center="NEW", progress=lambda *step: steps.append(step))
    (read,) = read_new_centers(work, [tmp_path / "new.json"]).values()
    assert (read.name, read.ct, read.pet) == ("NEW", made.ct, made.pet)
    assert (read.ct.n_subjects, read.pet.n_subjects, read.pet.orientation) == (2, 2, "SPL")
    text = (tmp_path / "new.json").read_text()
    assert "NEW-00" not in text
    assert json.loads(text)["left_out"] == ["no body", "no uptake"]
    assert [step[:2] for step in steps] == [(1, 3), (2, 3), (3, 3)]
    fit_new_center(work, scans, tmp_path / "new.json", center="NEW")  # its own file is replaced


def test_what_cannot_be_a_new_center_is_refused(work, scans, measured, tmp_path, small_cohort, make_case):
    out = tmp_path / "new.json"
    with raises_naming(OptionError, "ELSE, NEW", "--center"):
        fit_new_center(work, scans, out)
    with raises_naming(CohortError, "OTHER", "ELSE, NEW"):
        fit_new_center(work, scans, out, center="OTHER")
    with raises_naming(OptionError, "ALFA", "trained"):
        fit_new_center(work, small_cohort, out, center="ALFA")
    alone = make_case("BAD-003", root=tmp_path / "bad")
    with raises_naming(CohortError, "no body", "BAD"):
        fit_new_center(work, alone, out)
    assert not out.exists()
    out.write_text('{"mine": 1}')
    with raises_naming(OutputPathError, path=out):
        fit_new_center(work, scans, out, center="NEW")
    change_config(work, {"prepare.pet_resolution": "off"})
    change_config(work, {"prepare.harmonization": "none"})
    with raises_naming(OptionError, "none", "spectrum-align"):
        fit_new_center(work, scans, out, center="NEW")


def test_a_file_of_another_crop_or_of_a_known_center_is_refused(work, scans, measured, tmp_path, edit_json):
    path = tmp_path / "new.json"
    fit_new_center(work, scans, path, center="NEW")
    with raises_naming(OptionError, "NEW", "twice"):
        read_new_centers(work, [path, path])
    change_config(work, {"prepare.spacing_mm": 5.0})
    with raises_naming(OptionError, "spacing_mm", path=path):
        read_new_centers(work, [path])
    change_config(work, {"prepare.spacing_mm": 6.25})
    edit_json(path, lambda content: content.update(center="BETA"))
    with raises_naming(OptionError, "BETA", "trained"):
        read_new_centers(work, [path])
    edit_json(path, lambda content: content.update(subjects=3))
    with raises_naming(WorkDirError, path=path):
        read_new_centers(work, [path])
    with raises_naming(WorkDirError, "none.json"):
        read_new_centers(work, [tmp_path / "none.json"])


def test_a_new_center_is_known_where_its_site_is_given(work, scans, measured, tmp_path):
    fit_new_center(work, scans, tmp_path / "new.json", center="NEW")
    with raises_naming(OptionError, "NEW", "ALFA, BETA", "--site"):
        check_center(work, "NEW")
    check_center(work, "NEW", read_new_centers(work, [tmp_path / "new.json"]))


def test_its_scans_are_aligned_by_its_site_and_not_one_by_one(work, scans, measured, tmp_path):
    fit_new_center(work, scans, tmp_path / "new.json", center="NEW")
    new = read_new_centers(work, [tmp_path / "new.json"])
    ct = {f"A-{i}": ssimh.SiteSpectrum.fit([neck(i)], orientation=ORIENTATION) for i in range(4)}
    pet = {case_id: pet_site(13.0, count=3, orientation=ORIENTATION) for case_id in ct}
    splits = Splits(0, (), (("A-1",), ("A-2", "A-3")), "A-0")
    run = AlignSites(
        PrepareConfig(harmonization="spectrum-align", pet_resolution="align"), splits, dict.fromkeys(ct, "A"), ct, pet
    )
    known = add_new_centers(run, new)
    assert known.digest == run.digest  # prepared cases and models stay valid
    scan, seen = neck(9, factor=1.04).astype(np.float32), np.ones(neck(9).shape, bool)
    alone, made = (each.harmonize(scan, seen, None, "NEW")[FINAL].record for each in (run, known))
    assert (alone.source, made.source, made.fallback) == ("this scan alone", "NEW", None)
    assert made.subjects == (2, 4)
    image = uptake(5, 5.0).astype(np.float32)
    matched = known.harmonize_pet(image, SPACING_MM, FINAL, "NEW")
    assert matched.record.subjects == (2, 12)
    assert matched.record.fallback is None
    assert matched.record.blur_fwhm_mm[0] > 3
    assert matched.pet_suv.sum(dtype=np.float64) == pytest.approx(image.sum(dtype=np.float64), rel=1e-4)
    assert add_new_centers(NoHarmonization(), new) == NoHarmonization()


def test_a_mask_is_made_again_with_another_site(work, scans, measured, tmp_path):
    fit_new_center(work, scans, tmp_path / "new.json", center="NEW")
    (center,) = read_new_centers(work, [tmp_path / "new.json"]).values()

    class Keys:
        preparation, key = {"settings": 1}, {"models": 2}

        class options:
            disagreement = False

    class Files:
        def cache(self, key, *, disagreement):
            return key

    case = next(case for case in discover_cases(scans) if case.center == "NEW")
    without, with_site = (mask_cache(Keys, case, Files(), site) for site in (None, center))
    assert {name: value for name, value in with_site.items() if without.get(name) != value} == {"site": center.digest}
