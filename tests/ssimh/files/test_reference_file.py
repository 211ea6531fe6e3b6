"""References and sites that earlier versions of ssimh wrote open, and give what they gave.

``frozen/`` holds one file of each format that was ever written, by the code of its time from the inputs of
``tests/results/inputs.py``, and ``expected.json`` what that code made of it. A file is never written again: a new
format gets a new one.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ssimh import ReferenceSpectrum, SiteSpectrum, site_difference, swap_spectrum
from ssimh.files import reference_file
from ssimh.files.reference_file import REFERENCE, SITE, ReferenceFileError
from ssimh.site.earlier_files import EARLIER_SUBJECT
from ssimh.site.field import from_cosines
from tests.facts import raises_naming
from tests.results.fingerprints import compare, describe
from tests.results.inputs import neck, volume

FROZEN = Path(__file__).with_name("frozen")
EXPECTED = json.loads((FROZEN / "expected.json").read_text(encoding="utf-8"))
CT_SITES = ("site_1", "site_2", "site_3")


def path_of(name: str) -> Path:
    """A frozen file."""
    return FROZEN / f"{name}.npz"


def test_every_format_has_a_frozen_file():
    for kind, word in ((REFERENCE, "reference"), (SITE, "site")):
        for version in kind.earlier:
            assert path_of(f"{word}_{version}").is_file(), "write one with the code of that version"
    assert {path.stem for path in FROZEN.glob("*.npz")} == set(EXPECTED)


@pytest.mark.parametrize("name", [name for name in EXPECTED if name.startswith("reference")])
def test_a_reference_gives_the_same_swap_and_has_the_same_hash(name):
    reference = ReferenceSpectrum.load(path_of(name))
    assert reference.content_hash == EXPECTED[name]["hash"]
    assert (reference.orientation, reference.unit, reference.n_subjects) == (
        "SPL" if name == "reference_1" else "SAR",
        "HU",
        1,
    )
    found = describe(swap_spectrum(volume(0), path_of(name)))
    assert compare(0, "result", EXPECTED[name]["result"], found) is None


@pytest.mark.parametrize("name", CT_SITES)
def test_a_site_of_ct_has_the_same_subjects(name):
    site, expected = SiteSpectrum.load(path_of(name)), EXPECTED[name]
    assert (site.n_subjects, site.modality, site.orientation) == (2, "CT", "SPL")
    assert (site.tissue_window_hu, site.body_threshold_hu) == ((-150.0, 150.0), -500.0)
    for space in ("log", "linear"):
        fields = from_cosines(np.array(expected[space]))
        np.testing.assert_allclose(site.coefficients(space), fields, rtol=0, atol=1e-15)
    np.testing.assert_array_equal(site.boxes, expected["boxes"])
    np.testing.assert_array_equal(site.body_ml, expected["body_ml"])
    np.testing.assert_allclose(list(site.tissue_shares.values()), expected["shares"], rtol=1e-12)


@pytest.mark.parametrize("name", CT_SITES)
def test_a_site_of_ct_is_that_of_a_fit_today_but_for_the_grain(name):
    site = SiteSpectrum.load(path_of(name))
    today = SiteSpectrum.fit([neck(0), neck(1)], spacing_mm=(6.0, 4.0, 4.0), orientation="SPL")
    difference = site_difference(site, today)
    assert difference.raw_hu < 1  # cosines became the nearest polynomials
    assert difference.grain is None
    assert (site.subjects["grain_hu2mm2"] == 0).all()


def test_a_site_of_pet_has_the_same_spectra_and_resolution():
    site, expected = SiteSpectrum.load(path_of("site_3_pet")), EXPECTED["site_3_pet"]
    assert site.modality == "PT"
    assert compare(0, "power_mm3", expected["power_mm3"], describe(site.subjects["power_mm3"])) is None
    assert compare(0, "variance_mm2", expected["variance_mm2"], describe(site.resolution.variance_mm2)) is None


@pytest.mark.parametrize("name", [name for name in EXPECTED if name.startswith("site")])
def test_an_earlier_site_is_saved_in_todays_format(name, tmp_path):
    site = SiteSpectrum.load(path_of(name))
    site.save(tmp_path / "site.npz")
    assert SiteSpectrum.load(tmp_path / "site.npz") == site
    header, _ = reference_file.read(tmp_path / "site.npz", SITE)
    assert header["version"] == SITE.version


@pytest.mark.parametrize("name", [name for name in EXPECTED if name.startswith("site")])
def test_an_altered_earlier_site_is_refused(name, tmp_path):
    header, array = reference_file.read(path_of(name), SITE)
    version = header.pop("version")
    array = array.copy()
    array.reshape(-1).view(np.float64)[0] += 1e-9
    path = tmp_path / "altered.npz"
    reference_file.write(path, replace(SITE, version=version, array=SITE.arrays[version]), header, array)
    with raises_naming(ReferenceFileError, path, "hash"):
        SiteSpectrum.load(path)


@pytest.mark.parametrize(
    ("version", "array"),
    [(1, np.zeros((2, 30))), (2, np.zeros(2, [("log_field", "<f8", (10,))])), (3, np.zeros(2, EARLIER_SUBJECT))],
)
def test_content_that_is_none_of_an_earlier_site_is_refused(tmp_path, version, array):
    path = tmp_path / "site.npz"
    header = {"tissue_window_hu": [-150, 150]} if version > 1 else {"tissue": [-150, 150], "threshold": -500}
    reference_file.write(path, replace(SITE, version=version, array=SITE.arrays[version]), header, array)
    with raises_naming(ReferenceFileError, path, "ssimh-site"):
        SiteSpectrum.load(path)
