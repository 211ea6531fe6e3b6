"""A table in place of DICOM headers: columns, what replaces what, and what is refused without naming an ID."""

from __future__ import annotations

import pytest

from hnseg.cohort.suv_table import read_suv_overrides
from hnseg.errors import CohortError
from hnseg.suv.overrides import PetOverrides
from tests.facts import raises_naming

ALL = "pid,patient_weight_kg,patient_height_m,patient_sex,radionuclide_total_dose_bq,radionuclide_half_life_s"
CHALLENGE = (
    "pid,units,patient_weight_kg,radiopharmaceutical,radionuclide_total_dose_bq,radionuclide_half_life_sec,"
    "elapsed_seconds_injection_to_scan,decay_corrected_dose_at_scan_bq,dose_for_suv_bq,bqml_to_suvbw_factor"
)
CHALLENGE_ROW = PetOverrides(
    suv_factor=pytest.approx(5.610942e-4, rel=1e-6),
    weight_kg=77,
    dose_bq=225e6,
    half_life_s=6586.2,
    unread_columns=("radiopharmaceutical", "elapsed_seconds_injection_to_scan"),
)


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
        ("pid,suv_factor,note", "A,,x", PetOverrides(unread_columns=("note",))),
        ("pid,injection_time", "A,9:05:30", PetOverrides(injection_time="09:05:30")),
        ("pid,injection_time", "A,0905", PetOverrides(injection_time="09:05:00")),
        ("pid,injection_time", "A,090530.25", PetOverrides(injection_time="09:05:30.250000")),
        # the columns and a row of the challenge's own table; 77,000 g / 137,231,850.3 Bq
        (CHALLENGE, "A,BQML,77,FDG,225000000,6586.2,4697.999982,137231850.3,,0.000561094", CHALLENGE_ROW),
        (CHALLENGE, "A,BQML,77,FDG,225000000,6586.2,4697.999982,,137231850.3,0.000561094", CHALLENGE_ROW),
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
        ("pid,units\nSECRET,BQML\n", ["pid", "injection_time"]),
        ("pid;patient_weight_kg\nSECRET;70\n", ["pid", "commas"]),
        ("pid,patient_weigth_kg\nSECRET,70\n", ["column 2", "patient_weigth_kg", "patient_weight_kg"]),
        ("pid,suv_factor,PatientWeight\nSECRET,2e-4,70\n", ["column 3", "PatientWeight", "patient_weight_kg"]),
        ("pid,patient_height_cm,suv_factor\nSECRET,170,1\n", ["column 2", "patient_height_m"]),
        ("pid,suv_factor,suv_factor\nSECRET,2e-4,3e-4\n", ["column 3", "suv_factor"]),
        ("pid,patient_weight_kg,patient_height_m\nA,70,1.7\n\nSECRET,70,5,1.75\n", ["line 4", 4, 3, "point"]),
        ("pid,patient_weight_kg,patient_height_m\nA,70,1.7\n\nSECRET,70\n", ["line 4", 2, 3, "commas"]),
        ('pid,patient_weight_kg\nSECRET,"70,5"\n', ["line 2", "patient_weight_kg", "point"]),
        ("patient,patient_weight_kg,pid\n7,SECRET,70\n", ["line 2", "patient_weight_kg", "point"]),
        ("pid,injection_time\nSECRET,2020-01-01T09:00\n", ["line 2", "injection_time", "HH:MM:SS"]),
        ("pid,injection_time\nSECRET,09:00+01:00\n", ["line 2", "injection_time"]),
        ("pid,injection_time\nSECRET,12\n", ["line 2", "injection_time"]),
        ("pid,injection_time\nSECRET,24:01\n", ["line 2", "injection_time"]),
        ("pid,suv_factor\n,2e-4\n", ["line 2"]),
        ("pid,suv_factor\nSECRET,2e-4\nSECRET,2e-4\n", ["line 3"]),
        ("pid,suv_factor\nSECRET,0\n", ["line 2", "suv_factor"]),
        ("pid,patient_weight_kg\nSECRET,-70\n", ["line 2", "patient_weight_kg", "-70"]),
        ("pid,patient_sex\nSECRET,x\n", ["line 2", "patient_sex"]),
        ("pid,units,suv_factor\nA,SECRET,1\n", ["line 2", "units", "BQML"]),
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
