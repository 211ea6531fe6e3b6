"""What all sections of settings have in common, and where the values come from."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Triple = tuple[int, int, int]
PositiveInt = Annotated[int, Field(ge=1)]
PositiveFloat = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]

PAPER = "paper"
AUTO3DSEG = "Auto3DSeg"
ORGANIZERS = "organizers"
NNUNET = "nnU-Net"
OURS = "ours"
# docs/hnseg/paper.md has the versions that were read. Of NVAUTO's report (arXiv:2209.10809) that is the abstract alone.
SOURCES = {
    PAPER: "Huang et al., Head-and-Neck PET/CT Lesion Segmentation via SSIMH and SegResNet, HECKTOR 2025",
    AUTO3DSEG: "MONAI's Auto3DSeg template for SegResNet, used by NVAUTO in HECKTOR 2022",
    ORGANIZERS: "the organizers' template of HECKTOR 2025",
    NNUNET: "nnU-Net v2",
    OURS: "our choice, where the paper does not say",
}


def about(description: str, source: str, unit: str = "") -> dict[str, Any]:
    """Arguments of a field: what it does, where its default comes from, and its unit."""
    return {"description": description, "json_schema_extra": {"source": source, "unit": unit}}


class Settings(BaseModel):
    """A section of settings: frozen, and without unknown names."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def digest(self) -> str:
        """Short content hash; equal settings have equal digests."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
