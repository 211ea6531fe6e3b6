"""What all sections of settings have in common, and where the values come from.

The sources below are printed beside every setting. ``docs/hnseg/paper.md`` names the versions that were read. The text
of NVAUTO's own report (Myronenko et al. 2022, arXiv:2209.10809) was not among them: its values are those of the
template that it was made with.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Triple = tuple[int, int, int]
PositiveFloat = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]

PAPER = "the paper (Huang et al., HECKTOR 2025)"
AUTO3DSEG = "MONAI's Auto3DSeg template (NVAUTO, HECKTOR 2022)"
ORGANIZERS = "the organizers' template for HECKTOR 2025"
NNUNET = "nnU-Net v2"
OURS = "our choice; the paper does not say"


def about(description: str, source: str, unit: str = "") -> dict[str, Any]:
    """Arguments of a field: what it does, where its default comes from, and its unit."""
    return {"description": description, "json_schema_extra": {"source": source, "unit": unit}}


class Settings(BaseModel):
    """A section of settings: frozen, and without unknown names."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def digest(self) -> str:
        """Short content hash; equal settings have equal digests."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
