"""DICOM dates and times as local times of the scanner."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta

from hnseg.errors import SuvError

_DATE = re.compile(r"(\d{4})[.-]?(\d{2})[.-]?(\d{2})$")
_TIME = re.compile(r"(\d{2}):?(\d{2})?:?(\d{2})?(?:\.(\d{1,6}))?$")
_DATETIME = re.compile(r"(\d{4})(\d{2})?(\d{2})?(\d{2})?(\d{2})?(\d{2})?(?:\.(\d{1,6}))?([+-]\d{4})?$")
_OFFSET = re.compile(r"([+-])(\d{2})(\d{2})$")


def parse_date(text: str, keyword: str) -> date | None:
    """A DICOM date (DA), with the points of ACR-NEMA as well; None if it is empty.

    Raises:
        SuvError: It is no date.

    >>> parse_date("20201217", "SeriesDate")
    datetime.date(2020, 12, 17)
    """
    text = text.strip()
    if not text:
        return None
    match = _DATE.match(text)
    if match is None:
        raise SuvError(keyword, "the value is not a date (YYYYMMDD)")
    try:
        return date(*map(int, match.groups()))
    except ValueError as error:
        raise SuvError(keyword, "the value is not a date of the calendar") from error


def parse_time(text: str, keyword: str) -> time | None:
    """A DICOM time (TM); missing minutes, seconds and fractions are 0; None if it is empty.

    Raises:
        SuvError: It is no time.

    >>> parse_time("1035", "SeriesTime"), parse_time("103500.5", "SeriesTime")
    (datetime.time(10, 35), datetime.time(10, 35, 0, 500000))
    """
    text = text.strip()
    if not text:
        return None
    match = _TIME.match(text)
    if match is None:
        raise SuvError(keyword, "the value is not a time (HHMMSS.FFFFFF)")
    return _time(*match.groups(), keyword=keyword)


def parse_datetime(text: str, keyword: str) -> tuple[datetime, timedelta | None] | None:
    """A DICOM date and time (DT) with at least its hour, and its offset from UTC if it states one; None if it is empty.

    Raises:
        SuvError: It is no date and time, or has no time of day.
    """
    text = text.strip()
    if not text:
        return None
    match = _DATETIME.match(text)
    if match is None:
        raise SuvError(keyword, "the value is not a date and time (YYYYMMDDHHMMSS.FFFFFF&ZZXX)")
    year, month, day, hour, minute, second, fraction, offset = match.groups()
    if hour is None:
        raise SuvError(keyword, "the value has no time of day")
    on = parse_date(f"{year}{month}{day}", keyword)
    assert on is not None
    return datetime.combine(on, _time(hour, minute, second, fraction, keyword=keyword)), parse_offset(offset, keyword)


def parse_offset(text: str | None, keyword: str = "TimezoneOffsetFromUTC") -> timedelta | None:
    """An offset from UTC as ``+0100``; None if it is empty.

    Raises:
        SuvError: It is no offset, or beyond 14 hours.

    >>> parse_offset("-0330")
    datetime.timedelta(days=-1, seconds=73800)
    """
    if text is None or not text.strip():
        return None
    match = _OFFSET.match(text.strip())
    if match is None:
        raise SuvError(keyword, "the value is not an offset from UTC (+HHMM)")
    sign, hours, minutes = match.groups()
    offset = timedelta(hours=int(hours), minutes=int(minutes))
    if offset > timedelta(hours=14):
        raise SuvError(keyword, "the value is an offset from UTC of more than 14 hours")
    return offset if sign == "+" else -offset


def _time(hour: str, minute: str | None, second: str | None, fraction: str | None, *, keyword: str) -> time:
    seconds = min(int(second or 0), 59) if second == "60" else int(second or 0)  # 60: a leap second
    try:
        return time(int(hour), int(minute or 0), seconds, int((fraction or "0").ljust(6, "0")))
    except ValueError as error:
        raise SuvError(keyword, "the value is not a time of day") from error
