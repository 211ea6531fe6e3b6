"""What was done to the resolution of the PET, by center."""

from __future__ import annotations

from hnseg.report.page import write_report
from hnseg.report.records import PreparedRecord
from hnseg.report.resolution_rows import resolution_rows
from tests.hnseg.report.html_page import read

KNOWN = {"source": "A", "target": "B", "source_fwhm_mm": [6.2, 6.4], "blur_fwhm_mm": [5.1, 4.9], "noise_gain": 0.31}
COARSE = {"source": "B", "target": "B", "source_fwhm_mm": [8.1, 8.2], "blur_fwhm_mm": [0.0, 0.0], "noise_gain": 1.0}
ALONE = {"source": "this scan alone", "target": "B", "source_fwhm_mm": [7.0, 7.0], "fallback": "one-to-one: no case"}


def prepared(center: str, pet: dict | None) -> PreparedRecord:
    return PreparedRecord.model_validate({"center": center, "harmonization": {"pet": pet}})


def test_a_center_with_a_site_has_one_row_and_a_new_one_has_no_width():
    known, coarse, new = resolution_rows(
        {
            "A-1": prepared("A", KNOWN),
            "A-2": prepared("A", KNOWN | {"fallback": "not matched: no uptake"}),
            "B-1": prepared("B", COARSE),
            "C-1": prepared("C", ALONE),
        }
    )
    assert (known.center, known.cases, known.fwhm_mm, known.blur_fwhm_mm) == ("A", 2, (6.2, 6.4), (5.1, 4.9))
    assert (known.fell_back, known.unable, known.is_target) == (1, "not matched: no uptake", False)
    assert (coarse.is_target, coarse.noise_gain, coarse.fell_back) == (True, 1.0, 0)
    assert (new.fwhm_mm, new.blur_fwhm_mm, new.fell_back) == (None, None, 1)


def test_a_run_that_leaves_the_pet_alone_has_no_rows():
    assert resolution_rows({"A-1": prepared("A", None), "A-2": PreparedRecord()}) == []


def test_the_page_has_a_table_where_the_pet_was_aligned(scored, edit_json, no_pictures):
    assert "Resolution of the PET" not in read(write_report(scored)).text
    path = scored / "prepared" / "AAA-001" / "case.json"
    edit_json(path, lambda content: content["harmonization"].update(pet=KNOWN | {"source": "AAA", "target": "BBB"}))
    text = read(write_report(scored)).text
    assert "Resolution of the PET" in text
    assert "6.2 × 6.4" in text
    assert "× 0.31" in text
