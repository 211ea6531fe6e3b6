"""Rows of the matrix about dates, times and zones; see :mod:`suv_matrix`."""

from __future__ import annotations

from tests.hnseg.dicom.pet.pet_headers import AT_SCAN, GE
from tests.hnseg.dicom.pet.suv_matrix import Row, at, decayed
from tests.hnseg.dicom.phantoms import coded

FULL, ALONE = "RadiopharmaceuticalStartDateTime", "RadiopharmaceuticalStartTime"
IODINE = [coded("40937006", "SCT", "^124^Iodine")]
GALLIUM = [coded("C-131A3", "SRT", "^68^Gallium")]
# one half-life after 23:30:00
NIGHT = {"SeriesTime": "011946.200000", "SeriesDate": "20200301"}
NIGHT_BED = {"AcquisitionTime": "011946.200000", "AcquisitionDate": "20200301"}


def injected(full: str | None = None, alone: str | None = None) -> dict[str, str | None]:
    """The two attributes that state the time of administration."""
    return {FULL: full, ALONE: alone}


ROWS_OF_DATES = [
    # which attribute states the administration
    Row("date and time", AT_SCAN, administration=injected("20200101090000.00")),
    Row("time without a date", AT_SCAN, administration=injected(None, "090000.00")),
    Row("date and time, empty time", AT_SCAN, administration=injected("20200101090000", "")),
    Row("time, empty date and time", AT_SCAN, administration=injected("", "090000")),
    Row("both, 30 s apart", AT_SCAN, administration=injected("20200101090000", "090030")),
    Row("both, an hour apart", tag=ALONE, administration=injected("20200101090000", "080000")),
    Row("none", tag=FULL, administration=injected()),
    Row("both empty", tag=FULL, administration=injected("", "")),
    # how it is written
    Row("without seconds", AT_SCAN, administration=injected("202001010900", "0900")),
    Row("without minutes", AT_SCAN, administration=injected("2020010109", "09")),
    Row("one digit of a fraction", AT_SCAN, administration=injected("20200101090000.0", "090000.0")),
    Row("with trailing spaces", AT_SCAN, administration=injected("20200101090000.00 ", "090000  ")),
    Row("with colons, as in ACR-NEMA", AT_SCAN, administration=injected(None, "09:00:00")),
    Row("a date with points, as in ACR-NEMA", AT_SCAN, series={"SeriesDate": "2020.01.01"}),
    Row(
        "a fraction counts",  # the scan half a second later: 4e-4 × 2^(0.5 / 6586.2)
        4.0002104902426e-4,
        series={"SeriesTime": "104946.7"},
        beds=[{"AcquisitionTime": "104946.7"}],
    ),
    Row("a date without a time", tag=FULL, administration=injected("20200101", "090000")),
    Row("no time of day", tag=ALONE, administration=injected(None, "250000")),
    Row("no date of the calendar", tag=FULL, administration=injected("20200230090000", "090000")),
    Row("text", tag=ALONE, administration=injected(None, "morning")),
    # midnight
    Row("midnight, dated", AT_SCAN, series=NIGHT, administration=injected("20200229233000"), beds=[NIGHT_BED]),
    Row("midnight, undated", AT_SCAN, series=NIGHT, administration=injected(None, "233000"), beds=[NIGHT_BED]),
    Row(
        "midnight, dated on the day of the scan",
        tag=FULL,
        series=NIGHT,
        administration=injected("20200301233000"),
        beds=[NIGHT_BED],
    ),
    Row(
        "the year before",
        AT_SCAN,
        series={**NIGHT, "SeriesDate": "20200101"},
        administration=injected("20191231233000"),
        beds=[{**NIGHT_BED, "AcquisitionDate": "20200101"}],
    ),
    Row(
        "beds on both sides of midnight",  # the series at 23:59:30, one half-life after 22:09:43.8
        AT_SCAN,
        series={"SeriesTime": "235930"},
        administration=injected("20200101220943.8"),
        beds=[{"AcquisitionTime": "235930"}, {"AcquisitionTime": "000130", "AcquisitionDate": "20200102"}],
    ),
    Row(
        "beds on both sides of midnight, undated",
        AT_SCAN,
        series={"SeriesTime": "235930"},
        administration=injected("20200101220943.8"),
        beds=[
            {"AcquisitionTime": "000130", "AcquisitionDate": None},
            {"AcquisitionTime": "235930", "AcquisitionDate": None},
        ],
    ),
    Row(
        "no date at all",
        AT_SCAN,
        series={"SeriesDate": None},
        administration=injected(None, "090000"),
        beds=[{"AcquisitionDate": None}],
    ),
    Row(
        "only a date of the acquisition",
        AT_SCAN,
        series={"SeriesDate": ""},
        administration=injected("20200101090000"),
    ),
    # time zones
    Row(
        "offsets of both, equal",
        AT_SCAN,
        series={"TimezoneOffsetFromUTC": "+0100"},
        administration=injected("20200101090000+0100", "090000"),
    ),
    Row(
        "the administration in UTC",
        AT_SCAN,
        series={"TimezoneOffsetFromUTC": "+0100"},
        administration=injected("20200101080000.00+0000", None),
    ),
    Row(
        "the administration in UTC, of the day before",
        AT_SCAN,
        series={"TimezoneOffsetFromUTC": "-0930"},
        administration=injected("20200101183000+0000", "090000"),
    ),
    Row("an offset of the administration alone", AT_SCAN, administration=injected("20200101090000+0530", "090000")),
    Row("an offset of the series alone", AT_SCAN, series={"TimezoneOffsetFromUTC": "+0200"}),
    Row("no offset", tag="TimezoneOffsetFromUTC", series={"TimezoneOffsetFromUTC": "UTC"}),
    # which time the values are corrected to
    Row("series made later", AT_SCAN, series={"SeriesTime": "113000"}, reference="AcquisitionTime"),
    Row(
        "series made the next day",
        AT_SCAN,
        series={"SeriesDate": "20200102", "SeriesTime": "080000"},
        reference="AcquisitionTime",
    ),
    Row(
        "series made days later, the administration without a date",
        AT_SCAN,
        series={"SeriesDate": "20200104", "SeriesTime": "140000"},
        administration=injected(None, "090000"),
        reference="AcquisitionTime",
    ),
    Row(
        "series prepared five minutes before",
        AT_SCAN,
        beds=[{"AcquisitionTime": at(300)}, {"AcquisitionTime": at(420)}],
        reference="SeriesTime",
    ),
    Row(
        "series prepared five minutes before, values corrected to the first bed",
        AT_SCAN,
        series={"SeriesTime": at(-300)},
        beds=[{"AcquisitionTime": at(s), "DecayFactor": decayed(s + 59.9)} for s in (120, 0)],
        reference="AcquisitionTime",
    ),
    Row(
        "series made later, values corrected to GE's own time",
        AT_SCAN,
        series={"SeriesTime": at(1000)},
        beds=[{"AcquisitionTime": at(60)}],
        private=[(GE, 0x0D, "DT", "20200101104946.20")],
        reference="GE private (0009,100d)",
    ),
    Row(
        "GE's own time is another, the series time fits",
        AT_SCAN,
        private=[(GE, 0x0D, "DT", "20200101104846.20")],
        reference="SeriesTime",
    ),
    Row(
        "gated: slices of one bed, eight times",
        AT_SCAN,
        series={"SeriesTime": at(1800), "SeriesType": ["GATED", "IMAGE"]},
        beds=[{"TriggerTime": str(125 * gate), "FrameReferenceTime": "0"} for gate in range(8)],
        reference="AcquisitionTime",
    ),
    Row("no acquisition times", AT_SCAN, beds=[{"AcquisitionTime": None}], reference="SeriesTime"),
    Row("no series time", AT_SCAN, series={"SeriesTime": ""}, reference="AcquisitionTime"),
    Row(
        "date and time of the acquisition in one",
        AT_SCAN,
        series={"SeriesTime": at(600)},
        beds=[{"AcquisitionTime": None, "AcquisitionDate": None, "AcquisitionDateTime": "20200101104946.2"}],
        reference="AcquisitionTime",
    ),
    # other nuclides
    Row(
        "four days after 124I",  # one half-life of 360,806.4 s is 4 d 4 h 13 min 26.4 s
        AT_SCAN,
        series={"SeriesDate": "20200105", "SeriesTime": "131326.4"},
        administration={"RadionuclideHalfLife": "360806.4", "RadionuclideCodeSequence": IODINE},
        beds=[{"AcquisitionDate": "20200105", "AcquisitionTime": "131326.4"}],
    ),
    Row(
        "an hour after 68Ga",  # 4,062.6 s are 1 h 7 min 42.6 s
        AT_SCAN,
        series={"SeriesTime": "100742.6"},
        administration={"RadionuclideHalfLife": "4062.6", "RadionuclideCodeSequence": GALLIUM},
        beds=[{"AcquisitionTime": "100742.6"}],
    ),
]
