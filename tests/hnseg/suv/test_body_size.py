"""Body sizes by hand, and what is refused."""

from __future__ import annotations

import math

import pytest

from hnseg.errors import SuvError
from hnseg.suv.body_size import compute_body_size
from tests.hnseg.suv.headers import make_header


@pytest.mark.parametrize(
    ("kind", "sex", "size"),
    [
        ("bw", "M", 80_000.0),
        # Janmahasatian, body mass index 80 / 1.8² = 24.6914: 9270 × 80 / (6680 + 216 × 24.6914) = 741600 / 12013.333
        ("lbm", "M", 61_731.40954),
        # 741600 / (8780 + 244 × 24.6914) = 741600 / 14804.691
        ("lbm", "F", 50_092.22969),
        # Du Bois: 71.84 × 80^0.425 × 180^0.725 = 71.84 × 6.438923 × 43.159119 cm², which is 1.996 m²
        ("bsa", "F", 19_964.2102),
        ("ibw", "M", 77_680.0),  # 48 + 1.06 × 28
        ("ibw", "F", 70_980.0),  # 45.5 + 0.91 × 28
    ],
)
def test_sizes_of_a_person_of_80_kg_and_180_cm(kind, sex, size):
    found, formula = compute_body_size(make_header(weight_kg=80.0, height_m=1.80, sex=sex), kind)
    assert found == pytest.approx(size, rel=1e-8)
    assert "180" in formula or kind in ("bw", "lbm")


def test_ideal_weight_needs_no_weight():
    assert compute_body_size(make_header(weight_kg=None, height_m=1.52), "ibw")[0] == pytest.approx(48_000)


@pytest.mark.parametrize(
    ("kind", "changes", "tag"),
    [
        ("bw", {"weight_kg": None}, "PatientWeight"),
        ("bw", {"weight_kg": 0.0}, "PatientWeight"),
        ("bw", {"weight_kg": 7000.0}, "PatientWeight"),  # hectograms
        ("bw", {"weight_kg": 70_000.0}, "PatientWeight"),  # grams
        ("bw", {"weight_kg": -70.0}, "PatientWeight"),
        ("bw", {"weight_kg": math.nan}, "PatientWeight"),
        ("lbm", {"weight_kg": 0.0}, "PatientWeight"),
        ("lbm", {"height_m": None}, "PatientSize"),
        ("bsa", {"height_m": 0.0}, "PatientSize"),
        ("bsa", {"height_m": 175.0}, "PatientSize"),  # centimeters
        ("ibw", {"height_m": math.inf}, "PatientSize"),
        ("ibw", {"height_m": 1.0}, "PatientSize"),  # 48 + 1.06 × (100 − 152) is negative
        ("lbm", {"sex": "O"}, "PatientSex"),
        ("ibw", {"sex": None}, "PatientSex"),
    ],
)
def test_a_size_that_is_missing_or_impossible_is_refused(kind, changes, tag):
    with pytest.raises(SuvError) as caught:
        compute_body_size(make_header(**changes), kind)
    assert caught.value.tag == tag
