"""A table in place of DICOM headers: columns, what replaces what, and what is refused without naming an ID."""

from __future__ import annotations

import pytest

from hnseg.cohort.suv_table import read_suv_overrides
from hnseg.errors import CohortError
from hnseg.suv.overrides import PetOverrides
from tests.facts import raises_naming

ALL = "pid,patient_weight_kg,patient_height_m,patient_sex,radionuclide_total_dose_bq,radionuclide_half_life_s"


@pytest.mark.parametrize(
    ("header", "row", "expected"),
    [
        (
            ALL,
            "A,70,1.75,f,350e6,6586.2",
            PetOverrides(weight_kg=70, height_m=1.75, sex="F", dose_bq=350e6, half_life_s=6586.2),
        ),
        (ALL, "A,70,,,,", PetOverrides(weight_kg=70)),
        ("pid,patient_weight_kg", "A,70", PetOverrides(weight_kg=70)),
        ("pid,suv_factor", "A,2.5e-4", PetOverrides(suv_factor=2.5e-4)),
        ("pid,dose_for_suv_bq", "A,175e6", PetOverrides(dose_at_reference_bq=175e6)),
        # 70,000 g / 175e6 Bq: a weight with a dose is a factor, as for NIfTI files
        ("pid,patient_weight_kg,dose_for_suv_bq", "A,70,175e6", PetOverrides(suv_factor=4e-4, weight_kg=70)),
        ("pid,suv_factor,note", "A,,x", PetOverrides()),
    ],
)
def test_cells_replace_values_and_empty_ones_do_not(tmp_path, header, row, expected):
    path = tmp_path / "table.csv"
    path.write_text(f"{header}\n{row}\n", encoding="utf-8-sig")
    assert read_suv_overrides(path) == {"A": expected}


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("name,weight\nSECRET,70\n", ["pid", "patient_weight_kg"]),
        ("pid\nSECRET\n", ["pid"]),
        ("pid,suv_factor\n,2e-4\n", ["line 2"]),
        ("pid,suv_factor\nSECRET,2e-4\nSECRET,2e-4\n", ["line 3"]),
        ("pid,suv_factor\nSECRET,0\n", ["line 2", "factor"]),
        ("pid,patient_weight_kg\nSECRET,-70\n", ["line 2", "weight", "-70"]),
        ("pid,patient_sex\nSECRET,x\n", ["line 2", "sex"]),
        ("pid,units,suv_factor\nSECRET,GML,1\n", ["line 2", "BQML"]),
        ("pid,patient_weight_kg,dose_for_suv_bq,suv_factor\nSECRET,70,175e6,5e-4\n", ["line 2", "0.0005", "0.0004"]),
    ],
)
def test_tables_that_cannot_be_used_are_refused_by_line(tmp_path, text, facts):
    path = tmp_path / "table.csv"
    path.write_text(text)
    with raises_naming(CohortError, *facts, path=path) as caught:
        read_suv_overrides(path)
    assert "SECRET" not in str(caught.value)


def test_no_table_is_refused(tmp_path):
    with raises_naming(CohortError, path=tmp_path / "none.csv"):
        read_suv_overrides(tmp_path / "none.csv")
