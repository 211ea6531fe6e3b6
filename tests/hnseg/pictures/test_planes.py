"""Pictures of a case: oriented by the patient, square pixels, through the lesion."""

from __future__ import annotations

import numpy as np

from hnseg.images.geometry import Grid
from hnseg.images.image_io import to_sitk
from hnseg.pictures.planes import PLANES, sample, slice_grid, to_display
from hnseg.report.figures import CaseImages, choose_position, draw_overlays, lesion_box

AXIAL, CORONAL, SAGITTAL = PLANES

# A turned CT (array x runs to the patient's right, y to the front, z to the feet), 2 x 3 x 4 mm.
TURNED = Grid((50, 40, 30), (2.0, 3.0, 4.0), (50.0, 60.0, 60.0), (-1, 0, 0, 0, -1, 0, 0, 0, -1))
LEFT, FRONT, HEAD = (30.0, 0.0, 0.0), (0.0, -40.0, 0.0), (0.0, 0.0, 40.0)


def marked(grid, point_mm, value=1.0):
    """An image that is 0 but for the voxel nearest to a physical point."""
    array = np.zeros(grid.shape, np.float32)
    i, j, k = np.rint(grid.to_index(point_mm)).astype(int)
    array[k, j, i] = value
    return to_sitk(array, grid)


def where_seen(point_mm, plane):
    """Relative place (right, down) of a marked point in a plane's picture, 0 to 1."""
    low, high = TURNED.bounds_mm()
    box = Grid(tuple(int(n) for n in high - low), (1.0, 1.0, 1.0), tuple(low + 0.5))
    grid = slice_grid(box, plane, point_mm[plane.across])
    picture = to_display(sample(marked(TURNED, point_mm), grid, nearest=True), plane)
    rows, columns = np.nonzero(picture)
    return columns.mean() / picture.shape[1], rows.mean() / picture.shape[0]


def test_orientation_follows_the_patient_and_not_the_array():
    assert (AXIAL.edges, CORONAL.edges, SAGITTAL.edges) == (
        ("R", "L", "A", "P"),
        ("R", "L", "H", "F"),
        ("A", "P", "H", "F"),
    )
    assert where_seen(LEFT, AXIAL)[0] > 0.7  # the patient's left, on the right of the picture
    assert where_seen(LEFT, CORONAL)[0] > 0.7
    assert where_seen(FRONT, AXIAL)[1] < 0.3  # front up
    assert where_seen(FRONT, SAGITTAL)[0] < 0.3  # front left
    assert where_seen(HEAD, CORONAL)[1] < 0.3  # head up
    assert where_seen(HEAD, SAGITTAL)[1] < 0.3


def test_pixels_are_square_whatever_the_spacing():
    ball = np.zeros(TURNED.shape, np.uint8)
    k, j, i = np.meshgrid(*(np.arange(n) for n in TURNED.shape), indexing="ij")
    ball[np.linalg.norm(TURNED.to_physical(np.stack([i, j, k], -1)), axis=-1) <= 24] = 1
    box = lesion_box(ball, TURNED)
    for plane in PLANES:
        seen = to_display(sample(to_sitk(ball, TURNED), slice_grid(box, plane, 0.0), nearest=True), plane)
        rows, columns = np.nonzero(seen)
        assert abs(np.ptp(rows) - np.ptp(columns)) <= 4  # one voxel of the coarsest axis
        assert abs(np.ptp(columns) - 48) <= 4


def test_ct_and_pet_on_different_grids_show_the_same_point():
    pet_grid = Grid((30, 30, 30), (5.0, 5.0, 5.0), (-80.0, -70.0, -75.0))
    point = pet_grid.to_physical([22, 14, 15])  # a PET voxel center
    low, high = TURNED.bounds_mm()
    box = Grid(tuple(int(n) for n in high - low), (1.0, 1.0, 1.0), tuple(low + 0.5))
    grid = slice_grid(box, AXIAL, float(point[2]))
    centers = []
    for source in (TURNED, pet_grid):
        rows, columns = np.nonzero(to_display(sample(marked(source, point), grid, nearest=True), AXIAL))
        centers.append((rows.mean(), columns.mean()))
    assert np.abs(np.subtract(*centers)).max() <= 2.0  # within the coarser grid's half voxel


def test_the_planes_go_through_the_lesion_or_the_middle():
    empty = to_sitk(np.zeros(TURNED.shape, np.uint8), TURNED)
    low, high = TURNED.bounds_mm()
    box = Grid(tuple(int(n) for n in high - low), (1.0, 1.0, 1.0), tuple(low + 0.5))
    truth, pred = marked(TURNED, LEFT), marked(TURNED, FRONT)
    assert abs(choose_position(CaseImages(None, None, truth, pred, box), SAGITTAL) - 30.0) <= 2
    assert abs(choose_position(CaseImages(None, None, empty, pred, box), CORONAL) + 40.0) <= 3
    middle = (low[2] + high[2]) / 2
    assert abs(choose_position(CaseImages(None, None, None, empty, box), AXIAL) - middle) <= 2


def test_a_case_without_pet_or_truth_is_drawn_in_ct_alone():
    low, high = TURNED.bounds_mm()
    box = Grid(tuple(int(n) for n in high - low), (1.0, 1.0, 1.0), tuple(low + 0.5))
    shown = draw_overlays("A-1", CaseImages(marked(TURNED, LEFT, 100.0), None, None, marked(TURNED, LEFT), box))
    assert [(view.modality, view.plane.name) for view in shown] == [
        ("CT", "axial"),
        ("CT", "coronal"),
        ("CT", "sagittal"),
    ]
    axial = shown[0].picture
    assert (axial.width, axial.height) == (2 * box.size[0], 2 * box.size[1])  # two pixels a millimeter, both ways
