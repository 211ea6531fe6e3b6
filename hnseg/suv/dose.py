"""The activity that is left of the administered one."""

from __future__ import annotations

from datetime import datetime

from hnseg.errors import SuvError
from hnseg.suv.nuclides import NOTED, REFUSED, compare_half_life
from hnseg.suv.pet_header import PetHeader

DOSE_BQ = (1e6, 2e10)
LOOKS_LIKE_MBQ = (1.0, 2e4)  # as a number; the same range in MBq
MAX_HALF_LIVES = 6.0  # 1.6 % of the activity is left
MAX_HALF_LIVES_ACROSS_MIDNIGHT = 4.0  # where no date is stated
UNUSUAL_HALF_LIVES = 2.0
DAY_S = 86400.0
IN_A_TABLE = "give injection_time in a table (--tags)"


def check_dose_bq(header: PetHeader, *, dose_in_mbq: bool = False) -> float:
    """Administered activity in Bq.

    Args:
        header: Of a PET.
        dose_in_mbq: The file states it in MBq, against the standard.

    Raises:
        SuvError: It is missing, not plausible, looks like MBq without ``dose_in_mbq``, or does not with it.
    """
    keyword = "RadionuclideTotalDose"
    dose = header.dose_bq
    if dose is None:
        raise SuvError(keyword, "no administered activity is stated, and none is assumed; give it in a table (--tags)")
    looks_like_mbq = LOOKS_LIKE_MBQ[0] <= dose <= LOOKS_LIKE_MBQ[1]
    if dose_in_mbq:
        if not looks_like_mbq:
            message = f"an administered activity of {dose:g} cannot be in MBq; leave out dose_in_mbq (--dose-in-mbq)"
            raise SuvError(keyword, message)
        return dose * 1e6
    if looks_like_mbq:
        raise SuvError(
            keyword,
            f"an administered activity of {dose:g} Bq: the standard wants Bq, and this looks like MBq (or mCi); if "
            "it is MBq, say so with dose_in_mbq (--dose-in-mbq)",
        )
    low, high = DOSE_BQ
    if not low <= dose <= high:
        raise SuvError(keyword, f"an administered activity of {dose:g} Bq; allowed are {low:g} to {high:g} Bq")
    return dose


def check_half_life_s(header: PetHeader) -> tuple[float, tuple[str, ...]]:
    """Half-life in s, and notes about it.

    Raises:
        SuvError: It is missing, not positive, or more than 1 % off that of the stated nuclide.
    """
    keyword = "RadionuclideHalfLife"
    stated = header.half_life_s
    if stated is None:
        raise SuvError(keyword, "no half-life is stated, and none is assumed; give it in a table (--tags)")
    if not 1 <= stated <= 1e8:
        raise SuvError(keyword, f"a half-life of {stated:g} s; allowed are 1 to 1e8 s")
    if header.nuclide is None:
        return stated, (f"the nuclide is not known, so its half-life of {stated:g} s is not checked",)
    off = compare_half_life(header.nuclide, stated)
    if off is None or abs(off) <= NOTED:
        return stated, ()
    message = f"a half-life of {stated:g} s is {100 * off:+.2f} % from that of {header.nuclide}"
    if abs(off) > REFUSED:
        raise SuvError(keyword, f"{message}; up to {100 * REFUSED:g} % is allowed")
    return stated, (message,)


def compute_decay_s(header: PetHeader, reference: datetime, half_life_s: float) -> tuple[float, tuple[str, ...]]:
    """Time from the administration to the reference time, in s, and notes about it.

    Raises:
        SuvError: The time of administration is missing, after the reference, or implausibly long before it.
    """
    keyword = "RadiopharmaceuticalStartDateTime" if header.has_injection_date else "RadiopharmaceuticalStartTime"
    if header.injection_time is None:
        raise SuvError(
            "RadiopharmaceuticalStartDateTime",
            f"no time of administration is stated, and none is assumed; {IN_A_TABLE}",
        )
    decay_s = (reference - header.injection_time).total_seconds()
    notes: tuple[str, ...] = ()
    if not header.has_injection_date:
        notes = ("the administration has a time without a date: the date of the scan is assumed",)
        if decay_s < 0:
            after_s, decay_s = -decay_s, decay_s + DAY_S
            if not 0 <= decay_s <= MAX_HALF_LIVES_ACROSS_MIDNIGHT * half_life_s:
                raise SuvError(
                    keyword,
                    f"the administration is {after_s:.0f} s after the time that the values are corrected to; on the "
                    f"day before, {decay_s / half_life_s:.1f} half-lives would lie between; {IN_A_TABLE}",
                )
            notes = ("the administration has a time without a date: on the day before the scan",)
        if decay_s + DAY_S <= MAX_HALF_LIVES * half_life_s:
            raise SuvError(
                "RadiopharmaceuticalStartDateTime",
                f"the administration has a time without a date, and a day is {DAY_S / half_life_s:.1f} half-lives: "
                "several days are possible; give dose_for_suv_bq in a table (--tags)",
            )
    if decay_s < 0:
        late = f"the administration is {-decay_s:.0f} s after the time that the values are corrected to"
        raise SuvError(keyword, f"{late}; {IN_A_TABLE}")
    half_lives = decay_s / half_life_s
    if half_lives > MAX_HALF_LIVES:
        raise SuvError(
            keyword,
            f"{decay_s:.0f} s lie between administration and scan, {half_lives:.1f} half-lives; up to "
            f"{MAX_HALF_LIVES:g} are allowed; {IN_A_TABLE}",
        )
    if half_lives > UNUSUAL_HALF_LIVES:
        notes = (*notes, f"{decay_s:.0f} s lie between administration and scan, {half_lives:.1f} half-lives")
    return decay_s, notes
