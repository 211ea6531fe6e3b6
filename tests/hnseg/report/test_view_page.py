"""``hnseg view``: any three files on any grids; what cannot be shown is refused with its file."""

import json

import numpy as np
import pytest

from hnseg.errors import CaseError, OutputPathError
from hnseg.images.geometry import Grid
from hnseg.images.image_io import read_grid, write_image
from hnseg.report.view_page import write_view
from tests.hnseg.fixtures import ball

OBLIQUE = (0.96, -0.28, 0.0, 0.28, 0.96, 0.0, 0.0, 0.0, 1.0)


@pytest.fixture
def files(make_case):
    """CT, PET and label of a small case."""
    home = make_case().parent / "cohort" / "Task 1" / "ONE-001"
    return [home / f"ONE-001{suffix}.nii.gz" for suffix in ("__CT", "__PT", "")]


def test_a_page_shows_three_files_and_their_lesions(files, tmp_path, open_page):
    mask_grid = Grid((60, 60, 40), (3.0, 3.0, 4.0), (-70.0, -90.0, 20.0), OBLIQUE)
    other = (ball(mask_grid, (10.0, -5.0, 90.0), 14.0)).astype(np.uint8)
    other[ball(mask_grid, (0.0, 30.0, 80.0), 8.0)] = 2
    write_image(tmp_path / "other.nii.gz", other, mask_grid)
    page = write_view(*files, tmp_path / "page.html", prediction=tmp_path / "other.nii.gz", disagreement=files[1])
    opened = open_page(page)
    opened.page.wait_for_selector("body[data-ready]")
    assert opened.page.locator("h1").text_content() == "ONE-001"
    assert opened.page.locator("#tally").text_content() == "1 found, 1 missed, 1 false"
    assert opened.page.locator("#modes button").all_text_contents() == ["Fused", "CT", "PET", "Disagreement"]
    assert (opened.value("CT"), opened.value("PET")) == ("40 HU", "8.00 SUV")  # in the first lesion
    assert (opened.value("Truth"), opened.value("Prediction")) == ("GTVp", "GTVp")
    opened.page.get_by_role("button", name="Go to N1 missed").click()
    assert (opened.value("PET"), opened.value("Truth"), opened.value("Prediction")) == ("1.00 SUV", "GTVn", "none")
    notes = opened.page.locator("#notes").text_content()
    assert "IoU is above 0.3" in notes
    assert "Prediction: copied from the nearest voxel" in notes
    assert page.stat().st_size < 5_000_000


def test_a_file_that_cannot_be_shown_is_named(files, tmp_path):
    ct, pet, label = files
    far = Grid((5, 5, 5), (4.0, 4.0, 4.0), (900.0, 0.0, 0.0))
    values = np.random.default_rng(0).uniform(0.5, 5.0, far.shape).astype(np.float32)
    write_image(tmp_path / "far.nii.gz", values, far)
    write_image(tmp_path / "far_mask.nii.gz", np.ones(far.shape, np.uint8), far)
    for given, name in (
        ((ct, tmp_path / "far.nii.gz", label), "far"),
        ((ct, pet, tmp_path / "far_mask.nii.gz"), "far_mask"),
        ((ct, pet, ct), "__CT"),  # no mask
        ((ct, tmp_path / "none.nii.gz", label), "none"),
    ):
        with pytest.raises(CaseError) as error:
            write_view(*given, tmp_path / "page.html")
        assert name in str(error.value)
    assert not (tmp_path / "page.html").exists()


def test_only_a_page_of_the_viewer_is_replaced(files, tmp_path):
    page = tmp_path / "page.html"
    page.write_text("mine")
    for target in (page, files[0], tmp_path / "page.txt"):
        before = target.read_bytes() if target.exists() else None
        with pytest.raises(OutputPathError):
            write_view(*files, target)
        assert before is None or target.read_bytes() == before
    page.unlink()
    assert write_view(*files, page) == page
    first = page.read_bytes()
    assert write_view(*files, page).read_bytes() == first


def test_a_ct_that_is_not_in_hu_is_shown_with_a_note(files, tmp_path):
    grid = Grid((40, 36, 30), (4.0, 4.0, 5.0), (-80.0, -70.0, 10.0))
    stored = np.where(ball(grid, (0.0, 0.0, 80.0), 60.0), 1064, 24).astype(np.int16)
    write_image(tmp_path / "odd.nii.gz", stored, grid)
    page = write_view(tmp_path / "odd.nii.gz", files[1], None, tmp_path / "page.html")
    assert "are not HU" in page.read_text(encoding="utf-8")


@pytest.mark.realdata
@pytest.mark.parametrize(("name", "suv_max"), [("SOFT-001", "7.91"), ("STAN-002", "21.68"), ("SOFT-019", None)])
def test_real_scans_are_shown_with_their_own_values(realdata_dir, tmp_path, name, suv_max):
    folder = realdata_dir / "sts_petct" / "Task 1" / name
    given = [folder / f"{name}{end}.nii.gz" for end in ("__CT", "__PT", "")]
    text = write_view(*given, tmp_path / "page.html").read_text(encoding="utf-8")
    assert len(text) < 5_000_000
    case, _ = json.JSONDecoder().raw_decode(text[text.rindex("ssimhViewer.add(") + len("ssimhViewer.add(") :])
    ct, pet = case["scans"]
    assert [(scan["isAveraged"], scan["isSampled"]) for scan in (ct, pet)] == [(False, False)] * 2
    assert ct["grid"]["size"] == list(read_grid(given[0], name).size)
    assert suv_max is None or case["lesions"][0]["cells"][2] == suv_max
