"""The table of lesions: which are found, missed and false, their volume, SUVmax and place."""

import numpy as np
import pytest

from hnseg.evaluation.case_scores import evaluate_case
from hnseg.evaluation.rules import HECKTOR_2025
from hnseg.images.geometry import Grid
from hnseg.viewer.lesions import Volume, mark_lesions, suv_max

GRID = Grid((12, 10, 8), (2.0, 2.0, 5.0), (-10.0, 4.0, 100.0))


def labels():
    truth, pred = np.zeros(GRID.shape, np.uint8), np.zeros(GRID.shape, np.uint8)
    truth[1, 2:4, 2:4] = 1  # GTVp, found with IoU 1
    pred[1, 2:4, 2:4] = 1
    truth[2, 6, 1:5] = 2  # a node with IoU 2 / 4
    pred[2, 6, 1:3] = 2
    truth[6, 8, 8] = 2  # missed
    pred[4, 1, 9] = 2  # false
    return truth, pred


def test_lesions_are_found_missed_and_false_as_they_are_scored():
    truth, pred = labels()
    marks = mark_lesions(Volume(truth, GRID), Volume(pred, GRID), None, HECKTOR_2025)
    assert [(mark.label, mark.status) for mark in marks] == [
        *(("P1", "found"), ("N1", "found"), ("N2", "missed"), ("N3", "false")),
    ]
    assert [mark.cells[2] for mark in marks] == ["1.00", "0.50", "–", "–"]
    assert [mark.cells[3] for mark in marks] == ["0.08", "0.08", "0.02", "0.02"]
    scores = evaluate_case(pred, truth, spacing_zyx_mm=GRID.spacing_zyx_mm)
    nodes = [mark.status for mark in marks if mark.cells[0] == "GTVn"]
    assert [nodes.count(word) for word in ("found", "false", "missed")] == [scores.tp, scores.fp, scores.fn]
    stricter = mark_lesions(Volume(truth, GRID), Volume(pred, GRID), None, HECKTOR_2025.replace({"iou_threshold": 0.6}))
    assert [mark.status for mark in stricter] == ["found", "missed", "missed", "false", "false"]


def test_a_mark_lies_in_its_lesion_and_has_its_box():
    ring = np.zeros(GRID.shape, np.uint8)
    ring[3, 2:7, 2:7] = 1
    ring[3, 3:6, 3:6] = 0  # its centroid is not in it
    (mark,) = mark_lesions(Volume(ring, GRID), None, None, HECKTOR_2025)
    i, j, k = np.rint(GRID.to_index(mark.center_mm)).astype(int)
    assert ring[k, j, i] == 1
    corners = GRID.to_index(mark.corners_mm)
    np.testing.assert_allclose([corners.min(axis=0), corners.max(axis=0)], [[2, 2, 3], [6, 6, 3]], atol=1e-9)
    assert (mark.label, mark.status, mark.cells[0]) == ("P1", "", "GTVp")


def test_suv_max_is_a_value_of_the_pet_itself():
    pet_grid = Grid((5, 5, 5), (5.0, 5.0, 8.0), (-10.0, 4.0, 100.0))
    pet = np.ones(pet_grid.shape, np.float32)
    pet[1, 1, 1] = 7.5  # from −7.5 to −2.5, 6.5 to 11.5 and 104 to 112 mm
    volume = Volume(pet, pet_grid)
    assert suv_max(np.array([[-5.0, 9.0, 105.0]]), volume) == 7.5
    assert suv_max(np.array([[-2.0, 9.0, 105.0]]), volume) == 1.0
    assert suv_max(np.array([[500.0, 0.0, 0.0]]), volume) is None
    mask = np.zeros(GRID.shape, np.uint8)
    mask[1, 2, 2] = 2  # its center is at −6, 8, 105
    (mark,) = mark_lesions(None, Volume(mask, GRID), volume, HECKTOR_2025)
    assert mark.cells == ("GTVn", "0.02", "7.50")


def test_a_prediction_on_another_grid_is_compared_on_that_of_the_truth():
    truth, _ = labels()
    flipped = Grid(GRID.size, GRID.spacing_mm, tuple(GRID.to_physical((11, 0, 0))), (-1, 0, 0, 0, 1, 0, 0, 0, 1))
    marks = mark_lesions(Volume(truth, GRID), Volume(truth[:, :, ::-1], flipped), None, HECKTOR_2025)
    assert {mark.status for mark in marks} == {"found"}
    assert [mark.cells[2] for mark in marks] == pytest.approx(["1.00"] * len(marks))
