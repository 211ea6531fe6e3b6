"""The learning rate as a pure function of the step."""

from __future__ import annotations

import math


def warmup_cosine(step: int, *, steps: int, warmup_steps: int) -> float:
    """Factor on the base learning rate: linear from near 0 to 1 in the warm-up, then a half cosine down to 0.

    >>> [round(warmup_cosine(s, steps=10, warmup_steps=2), 3) for s in (0, 1, 2, 6, 9)]
    [0.5, 1.0, 1.0, 0.5, 0.038]
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    progress = (step - warmup_steps) / max(1, steps - warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
