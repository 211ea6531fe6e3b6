"""Settings of the split: folds and test cases."""

from __future__ import annotations

from pydantic import Field

from hnseg.settings.section import OURS, PAPER, Settings, about


class SplitConfig(Settings):
    """Held-out test cases, and the folds of the rest."""

    folds: int = Field(5, ge=2, **about("Cross-validation folds.", f"{PAPER} § 3.2"))
    test_fraction: float = Field(
        0.2,
        ge=0,
        lt=1,
        **about(
            "Share of the labeled cases that is held out as test cases.",
            f"{OURS}; {PAPER} § 6: tested on the challenge's own cases (0)",
        ),
    )
