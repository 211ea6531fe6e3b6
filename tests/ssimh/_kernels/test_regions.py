import numpy as np
import pytest

from ssimh._kernels.regions import region_contains, region_mask
from tests.facts import raises_naming


def test_square_is_the_whole_corner():
    assert region_mask("square", 3, 3).sum() == 27


def test_triangle_in_three_dimensions_counts_tetrahedral_numbers():
    assert [int(region_mask("triangle", b, 3).sum()) for b in range(5)] == [0, 1, 4, 10, 20]


def test_radial_lies_between_triangle_and_square():
    triangle, radial, square = (region_mask(name, 5, 2) for name in ("triangle", "radial", "square"))
    assert np.all(triangle <= radial)
    assert np.all(radial <= square)
    assert radial.sum() == 22  # lattice points of a quarter disc with i² + j² < 25, counted by hand


@pytest.mark.parametrize(
    ("have", "wanted", "expected"),
    [
        (("square", 3), ("square", 3), True),
        (("square", 3), ("square", 4), False),
        (("square", 3), ("triangle", 3), True),
        (("triangle", 3), ("square", 2), True),
        (("triangle", 3), ("square", 3), False),
        (("triangle", 5), ("radial", 5), False),
        (("square", 0), ("square", 0), True),
    ],
)
def test_one_region_holds_another(have, wanted, expected):
    assert region_contains(*have, *wanted, ndim=2) is expected


def test_unknown_region_names_the_known_ones():
    with raises_naming(ValueError, "square, triangle, radial", "'ring'"):
        region_mask("ring", 3, 2)
