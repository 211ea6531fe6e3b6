"""The time within a frame at which the activity equals its average over the frame."""

from __future__ import annotations

import math


def average_activity_time_s(duration_s: float, half_life_s: float) -> float:
    """Time from the start of a frame to the moment of its average activity.

    ``ln(λT / (1 − exp(−λT))) / λ``: half the duration for short frames, a little less for long ones.

    Args:
        duration_s: Duration T of the frame, > 0.
        half_life_s: ln 2 / λ, > 0.

    >>> round(average_activity_time_s(240, 6588), 2)
    119.75
    """
    rate = math.log(2) / half_life_s
    if rate * duration_s < 1e-6:
        return duration_s / 2  # the formula loses its digits here; this is right to one part in 10 million
    return math.log(rate * duration_s / -math.expm1(-rate * duration_s)) / rate
