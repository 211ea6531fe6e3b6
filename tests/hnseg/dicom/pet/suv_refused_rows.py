"""Rows of the matrix about tables, kinds of SUV, and headers that are refused; see :mod:`suv_matrix`."""

from __future__ import annotations

from hnseg.suv.overrides import PetOverrides
from tests.hnseg.dicom.pet.pet_headers import AT_INJECTION, AT_SCAN, PHILIPS
from tests.hnseg.dicom.pet.suv_matrix import Row, at, decayed

DOSE, HALF_LIFE = "RadionuclideTotalDose", "RadionuclideHalfLife"
SEQUENCE = "RadiopharmaceuticalInformationSequence"
GML, SUV_OF_AREA = {"Units": "GML"}, {"Units": "CM2ML", "SUVType": "BSA"}
# 70 kg, 175 cm: body mass index 22.857143; man 9270 × 70 / (6680 + 216 × 22.857143) = 55.8571077 kg; Du Bois
# 71.84 × 70^0.425 × 175^0.725 = 18,481.4302 cm²; ideal 48 + 1.06 × 23 = 72.38 kg
LEAN, AREA, IDEAL = 55.857107722577 / 70, 18_481.430181213 / 70_000, 72.38 / 70

ROWS_OF_TABLES = [
    Row("weight of a table", AT_SCAN, series={"PatientWeight": None}, overrides=PetOverrides(weight_kg=70.0)),
    Row("weight of a table over one", AT_SCAN, series={"PatientWeight": "7000"}, overrides=PetOverrides(weight_kg=70)),
    Row("dose of a table", AT_SCAN, administration={DOSE: ""}, overrides=PetOverrides(dose_bq=350e6)),
    Row("half-life of a table", AT_SCAN, administration={HALF_LIFE: None}, overrides=PetOverrides(half_life_s=6586.2)),
    Row("factor of a table", 3e-4, administration={DOSE: None}, overrides=PetOverrides(suv_factor=3e-4)),
    Row(
        "dose at the reference of a table",
        AT_SCAN,
        administration={DOSE: None, "RadiopharmaceuticalStartDateTime": None, "RadiopharmaceuticalStartTime": None},
        overrides=PetOverrides(dose_at_reference_bq=175e6),
    ),
    Row("a factor for what is SUV", tag="Units", series=GML, overrides=PetOverrides(suv_factor=3e-4)),
    Row("bad dose of a table", tag=DOSE, overrides=PetOverrides(dose_bq=350.0)),
    # kinds
    Row("lean body mass", AT_SCAN * LEAN, kind="lbm"),
    Row("body surface area", AT_SCAN * AREA, kind="bsa"),
    Row("ideal weight", AT_SCAN * IDEAL, kind="ibw"),
    Row("SUV without a kind", 1.0, series=GML, is_converted=False),
    Row("SUV by weight to lean", LEAN, series={**GML, "SUVType": "BW"}, kind="lbm"),
    Row("SUV by lean to weight", 1 / LEAN, series={**GML, "SUVType": "LBMJANMA"}),
    Row("SUV by lean", 1.0, series={**GML, "SUVType": "LBMJANMA"}, kind="lbm", is_converted=False),
    Row("SUV by ideal weight to weight", 1 / IDEAL, series={**GML, "SUVType": "IBW"}),
    Row("SUV by area", 1.0, series=SUV_OF_AREA, kind="bsa", is_converted=False),
    Row("SUV by area to weight", 1 / AREA, series=SUV_OF_AREA),
    Row("SUV by James' lean mass", tag="SUVType", series={**GML, "SUVType": "LBM"}),
    Row("SUV by James' lean mass, 128", tag="SUVType", series={**GML, "SUVType": "LBMJAMES128"}, kind="lbm"),
    Row("SUV of no kind of the standard", tag="SUVType", series={**GML, "SUVType": "MINE"}),
    Row("SUV by area in g/ml", tag="SUVType", series={**GML, "SUVType": "BSA"}),
    Row(
        "SUV by lean to weight without a height",
        tag="PatientSize",
        series={**GML, "SUVType": "LBMJANMA", "PatientSize": None},
    ),
    Row(
        "Philips' SUV factor, lean",
        5e-4 * LEAN,
        series={"Units": "CNTS"},
        private=[(PHILIPS, 0x00, "DS", "0.0005")],
        kind="lbm",
    ),
    Row(
        "Philips' SUV factor of 0 with one to Bq/ml",
        2 * AT_SCAN,
        series={"Units": "CNTS"},
        private=[(PHILIPS, 0x00, "DS", "0"), (PHILIPS, 0x09, "DS", "2")],
    ),
    Row(
        "Philips' two factors",
        7e-4,
        series={"Units": "CNTS"},
        private=[(PHILIPS, 0x00, "DS", "0.0007"), (PHILIPS, 0x09, "DS", "2")],
    ),
    Row(
        "Philips' factors of another vendor's block",
        tag="Philips (7053,1000)",
        series={"Units": "CNTS"},
        private=[((0x7053, "SOMEONE ELSE"), 0x00, "DS", "0.0005")],
    ),
    Row("Philips' factors of values in Bq/ml", AT_SCAN, private=[(PHILIPS, 0x00, "DS", "0.0007")]),
    Row("a dose in MBq, said", AT_SCAN, administration={DOSE: "350"}, dose_in_mbq=True),
    Row(
        "decay corrected to the injection, without times",
        AT_INJECTION,
        series={"DecayCorrection": "ADMIN"},
        administration={
            "RadiopharmaceuticalStartDateTime": None,
            "RadiopharmaceuticalStartTime": None,
            HALF_LIFE: None,
        },
    ),
]

ROWS_REFUSED = [
    Row("no unit", tag="Units", series={"Units": None}),
    Row("counts per second", tag="Units", series={"Units": "CPS"}),
    Row("percent", tag="Units", series={"Units": "PCNT"}),
    Row("slices of two units", tag="Units", beds=[{}, {"Units": "GML"}]),
    Row("no decay correction stated", tag="DecayCorrection", series={"DecayCorrection": None}),
    Row("decay correction of another term", tag="DecayCorrection", series={"DecayCorrection": "YES"}),
    Row("NONE with DECY", tag="CorrectedImage", series={"DecayCorrection": "NONE"}),
    Row("START without DECY", tag="CorrectedImage", series={"CorrectedImage": ["ATTN"]}),
    Row("no attenuation correction", tag="CorrectedImage", series={"CorrectedImage": ["DECY"]}),
    Row("no weight", tag="PatientWeight", series={"PatientWeight": None}),
    Row("empty weight", tag="PatientWeight", series={"PatientWeight": ""}),
    Row("weight 0", tag="PatientWeight", series={"PatientWeight": "0"}),
    Row("weight 7000", tag="PatientWeight", series={"PatientWeight": "7000"}),
    Row("weights of two patients", tag="PatientWeight", beds=[{}, {"PatientWeight": "71"}]),
    Row("height in cm", tag="PatientSize", series={"PatientSize": "175"}, kind="bsa"),
    Row("no sex", tag="PatientSex", series={"PatientSex": ""}, kind="lbm"),
    Row("no administration", tag=DOSE, series={SEQUENCE: None}),
    Row("no dose", tag=DOSE, administration={DOSE: None}),
    Row("dose 0", tag=DOSE, administration={DOSE: "0"}),
    Row("dose in MBq, not said", tag=DOSE, administration={DOSE: "350"}),
    Row("dose in Bq, said to be MBq", tag=DOSE, dose_in_mbq=True),
    Row("no half-life", tag=HALF_LIFE, administration={HALF_LIFE: None}),
    Row("half-life 0", tag=HALF_LIFE, administration={HALF_LIFE: "0"}),
    Row("half-life 6500 of 18F", tag=HALF_LIFE, administration={HALF_LIFE: "6500"}),
    Row("half-life in minutes", tag=HALF_LIFE, administration={HALF_LIFE: "109.77"}),
    Row(
        "injection after the scan",
        tag="RadiopharmaceuticalStartDateTime",
        administration={
            "RadiopharmaceuticalStartDateTime": "20200101110000",
            "RadiopharmaceuticalStartTime": "110000",
        },
    ),
    Row(
        "injection the day before",
        tag="RadiopharmaceuticalStartDateTime",
        administration={"RadiopharmaceuticalStartDateTime": "20191231090000"},
    ),
    Row(
        "decay factors of another time",
        tag="DecayFactor",
        beds=[{"AcquisitionTime": at(s), "DecayFactor": decayed(s + 3600)} for s in (0, 120)],
    ),
    Row("decay factor 0", tag="DecayFactor", beds=[{"DecayFactor": "0"}]),
    Row(
        "not corrected, no duration",
        tag="ActualFrameDuration",
        series={"DecayCorrection": "NONE", "CorrectedImage": ["ATTN"]},
        beds=[{"ActualFrameDuration": None}],
    ),
    Row(
        "Philips' negative factor",
        tag="Philips (7053,1000)",
        series={"Units": "CNTS"},
        private=[(PHILIPS, 0x00, "DS", "-0.0005")],
    ),
    Row("James' lean body mass is not converted to area", tag="SUVType", series={**GML, "SUVType": "LBM"}, kind="bsa"),
]
