"""Figures 1, 2 and 5: which case, what lies in each panel, and where."""

from __future__ import annotations

import numpy as np
import pytest

from hnseg.cohort.labels import GTVN, GTVP, LESION_CLASSES
from hnseg.cohort.splits import load_splits
from hnseg.evaluation.records import read_metrics
from hnseg.images.geometry import Grid
from hnseg.images.image_io import to_sitk, write_image
from hnseg.pictures.planes import CT, PLANES, frame
from hnseg.preprocessing.crop_case import crop_case
from hnseg.preprocessing.harmonization import AlignSites, MatchToReference, NoHarmonization, SwapToReference
from hnseg.preprocessing.harmonizer_store import load_harmonizer
from hnseg.preprocessing.prepared_cohort import open_cohort
from hnseg.report.paper_figures.figure_case import Place, choose_case, find_places, open_figure_case
from hnseg.report.paper_figures.harmonized_case import (
    choose_changed_case,
    describe_method,
    draw_harmonized_case,
    harmonize_case,
)
from hnseg.report.paper_figures.panels import Cut
from hnseg.report.paper_figures.scanner_and_crop import cut_scanner_and_crop
from hnseg.report.paper_figures.style import paper_style
from hnseg.report.paper_figures.triplanar import VIEW_MM, cut_triplanar, draw_triplanar, view_box
from hnseg.workdir import load_config


@pytest.fixture(scope="module")
def cohort(scored_run):
    return open_cohort(scored_run)


@pytest.fixture
def case(scored_run, cohort):
    return open_figure_case(scored_run, cohort, load_splits(scored_run).test[0])


def texts(figure):
    return [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]


def test_the_default_is_the_median_case(scored_run, tmp_path):
    splits, metrics = load_splits(scored_run), read_metrics(scored_run)
    places = find_places(scored_run, splits)
    assert set(places) == set(splits.all_ids())
    assert places[splits.reference] == Place("training", None, None)
    assert {name for name, place in places.items() if place.mask} == set(places) - {splits.reference}
    for part, scored in (("test", metrics.ensemble), ("validation", metrics.validation)):
        rest = {name: place for name, place in places.items() if part == "test" or place.part != "test"}
        ranked = sorted((row.mean_score, row.case_id) for row in scored.cases if row.mean_score is not None)
        assert choose_case(scored_run, rest) == ranked[(len(ranked) - 1) // 2][1]
    assert choose_case(tmp_path, places) == splits.test[0]


def test_a_panel_lies_in_millimeters():
    grid = Grid((20, 30, 40), (2.0, 2.0, 2.0), (1.0, -9.0, 101.0))
    axial, coronal, sagittal = (Cut(plane, 20.0, grid) for plane in PLANES)
    assert axial.extent_mm == (0.0, 40.0, 50.0, -10.0)  # the front, where y is least, is up
    assert coronal.extent_mm == (0.0, 40.0, 100.0, 180.0)  # the head is up
    assert sagittal.extent_mm == (-10.0, 50.0, 100.0, 180.0)
    z, y, x = np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij")
    image = to_sitk((x + 100.0 * y + 10000.0 * z).astype(np.float32), grid)
    shown = Cut(PLANES[1], grid.origin_mm[1] + 6.0, grid).values(image, outside=0.0)
    assert shown.shape == (40, 20)
    assert shown[0, 0] == 390300.0  # top left: the head, the patient's right
    assert shown[-1, -1] == 319.0


def test_the_crop_box_and_the_crop_lie_at_the_same_place(case):
    shown = cut_scanner_and_crop(case)
    assert shown.box == case.record.crop_grid
    ct_low, ct_high = case.record.ct_grid.bounds_mm()
    for whole, crop, plane in zip(shown.scanner, shown.crop, PLANES[1:], strict=True):
        assert whole.cut.plane == crop.cut.plane == plane
        assert whole.cut.position_mm == crop.cut.position_mm
        assert crop.cut.seen == case.record.crop_grid
        across, down = (axis for axis in range(3) if axis != plane.across)
        left, right, bottom, top = whole.cut.extent_mm
        assert left <= ct_low[across] < ct_high[across] <= right
        assert bottom <= ct_low[down] < ct_high[down] <= top
        index = round((crop.cut.position_mm - shown.box.origin_mm[plane.across]) / shown.box.spacing_mm[plane.across])
        stored = case.cropped.ct_hu.take(index, axis=2 - plane.across)[::-1]
        np.testing.assert_allclose(crop.ct_hu, stored, atol=1e-3)


def test_the_difference_is_after_minus_before(scored_run, cohort, case):
    shown = harmonize_case(scored_run, cohort, case)
    reference, source, after, difference = shown.panels
    splits, config = load_splits(scored_run), load_config(scored_run).prepare
    own = crop_case(cohort.cases[splits.reference].as_case(), config)
    np.testing.assert_array_equal(reference.volume, own.ct_hu)
    np.testing.assert_array_equal(source.volume, case.cropped.ct_hu)
    np.testing.assert_array_equal(difference.volume, after.volume - source.volume)
    assert difference.window[0] == -difference.window[1] < 0
    assert source.window == after.window == reference.window == CT.window
    assert (reference.subtitle, source.subtitle) == (splits.reference, case.id)
    assert shown.record.soft_tissue_mean_abs_hu == case.record.harmonization.soft_tissue_mean_abs_hu
    method = describe_method(shown.record, config)
    assert f"τ = {config.swap_threshold}" in method
    assert splits.reference in method


def test_a_case_that_stays_as_it_is_gives_its_place_to_another(scored_run, cohort, case):
    splits = load_splits(scored_run)
    assert choose_changed_case(cohort, case.id) == case.id
    other = choose_changed_case(cohort, splits.reference)
    assert other != splits.reference
    change = cohort.open_case(other).record.harmonization.soft_tissue_mean_abs_hu
    assert change > 0


def test_alignment_names_two_centers_and_no_reference(scored_run, cohort, monkeypatch):
    splits, config = load_splits(scored_run), load_config(scored_run).prepare
    aligned = config.model_copy(update={"harmonization": "spectrum-align"})
    centers = {name: case.center for name, case in cohort.cases.items()}
    harmonizer = AlignSites(aligned, splits, centers, {})  # no subject could be fitted: left as they are
    monkeypatch.setattr("hnseg.report.paper_figures.harmonized_case.load_harmonizer", lambda work: harmonizer)
    case = open_figure_case(scored_run, cohort, splits.folds[0][0])
    shown = harmonize_case(scored_run, cohort, case)
    assert [panel.title for panel in shown.panels] == ["source", "harmonized", "difference"]
    assert case.case.center in shown.panels[0].subtitle
    assert not shown.panels[-1].volume.any()
    with paper_style():
        drawn = draw_harmonized_case(scored_run, cohort, case)
    words = " ".join(" ".join(texts(drawn.figure)).split())
    assert "no reference subject" in words
    assert shown.record.fallback in words


@pytest.mark.parametrize("name", ["atlas.npz", "ct.nii.gz"])
def test_a_reference_that_is_no_case_shows_what_is_known_of_it(scored_run, cohort, case, monkeypatch, tmp_path, name):
    config, module = load_config(scored_run).prepare, "hnseg.report.paper_figures.harmonized_case"
    own = np.rint(crop_case(cohort.cases[load_splits(scored_run).reference].as_case(), config).ct_hu)
    write_image(tmp_path / "ct.nii.gz", own.astype(np.float32), case.record.crop_grid)
    swap = SwapToReference(config, load_harmonizer(scored_run).reference, name)
    monkeypatch.setattr(f"{module}.find_reference_source", lambda *args: tmp_path / name)
    monkeypatch.setattr(f"{module}.load_harmonizer", lambda work: swap)
    shown = harmonize_case(scored_run, cohort, case).panels[0]
    if name == "ct.nii.gz":
        np.testing.assert_array_equal(shown.volume, own)
        assert (shown.subtitle, shown.window) == (name, CT.window)
    else:  # the lowest coefficient of a slice is its mean
        np.testing.assert_allclose(shown.volume.mean(axis=(1, 2)), own.mean(axis=(1, 2)), atol=0.5)
        assert shown.window != CT.window
    matched = MatchToReference(config, own.astype(np.int16), name)
    monkeypatch.setattr(f"{module}.load_harmonizer", lambda work: matched)
    np.testing.assert_array_equal(harmonize_case(scored_run, cohort, case).panels[0].volume, own)


def test_no_harmonizer_has_no_reference(scored_run, cohort, case, monkeypatch):
    monkeypatch.setattr("hnseg.report.paper_figures.harmonized_case.load_harmonizer", lambda work: NoHarmonization())
    assert len(harmonize_case(scored_run, cohort, case).panels) == 3


def put_masks(case, predicted, truth):
    """Give a case other masks, on the CT grid."""
    for name, label in (("mask", predicted), ("truth", truth)):
        vars(case)[name] = None if label is None else to_sitk(label, case.record.ct_grid)


def ball(case, share, value, radius_mm=12.0):
    """A ball in the crop box, at a share of its three lengths."""
    grid = case.record.ct_grid
    low, high = case.record.crop_grid.bounds_mm()
    k, j, i = np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij")
    center = low + np.asarray(share) * (high - low)
    inside = np.linalg.norm(grid.to_physical(np.stack([i, j, k], axis=-1)) - center, axis=-1) <= radius_mm
    return np.where(inside, value, 0).astype(np.uint8), center


def test_planes_go_through_the_largest_lesion_of_each_class(case):
    gtvp, center = ball(case, (0.5, 0.5, 0.5), GTVP)
    node, node_center = ball(case, (0.3, 0.5, 0.4), GTVN)
    small, _ = ball(case, (0.8, 0.5, 0.6), GTVN, 6.0)
    put_masks(case, gtvp, np.maximum(node, small))
    first, second = cut_triplanar(case)
    assert (first.lesion, first.is_predicted) == (LESION_CLASSES[0], True)
    assert (second.lesion, second.is_predicted) == (LESION_CLASSES[1], False)
    for row, middle in ((first, center), (second, node_center)):
        assert [panel.cut.plane for panel in row.panels] == list(PLANES)
        for panel in row.panels:
            assert abs(panel.cut.position_mm - middle[panel.cut.plane.across]) < 6.0  # the grid is coarse
            assert panel.ct_hu.shape == panel.predicted.shape == panel.truth.shape
    assert set(np.unique(first.panels[0].predicted)) == {0, GTVP}
    assert set(np.unique(second.panels[0].truth)) == {0, GTVN}


def test_a_case_without_lesions_or_label_is_drawn(case):
    empty = np.zeros(case.record.ct_grid.shape, np.uint8)
    put_masks(case, empty, None)
    (row,) = cut_triplanar(case)
    assert row.lesion is None
    assert all(panel.truth is None for panel in row.panels)
    with paper_style():
        drawn = draw_triplanar(case)
    assert not [text for text in texts(drawn.figure) if text.endswith("truth")]
    assert {"GTVp, predicted", "GTVn, predicted", "R", "L", "A", "P", "H", "F", "5 cm"} <= set(texts(drawn.figure))


def test_the_view_stays_within_the_crop_box():
    box = frame(np.array([0.0, 0.0, 0.0]), np.array([200.0, 200.0, 310.0]), 1.0)
    low, high = view_box(box, np.array([10.0, 100.0, 305.0])).bounds_mm()
    np.testing.assert_allclose(low, [0.0, 100 - VIEW_MM / 2, 310 - VIEW_MM], atol=0.6)
    np.testing.assert_allclose(high - low, [VIEW_MM] * 3)
    small = frame(np.array([0.0, 0.0, 0.0]), np.array([100.0, 120.0, 310.0]), 1.0)
    np.testing.assert_allclose(np.diff(view_box(small, np.array([50.0, 60.0, 100.0])).bounds_mm(), axis=0), 100.0)
