"""What all sections of settings have in common, and where the values come from."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Triple = tuple[int, int, int]
PositiveFloat = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]

PAPER = "Huang et al., Head-and-Neck PET/CT Lesion Segmentation via SSIMH and SegResNet (HECKTOR 2025, BIGS2)"
NVAUTO = "NVAUTO: Myronenko et al., HECKTOR 2022, arXiv:2209.10809, and the Auto3DSeg SegResNet"
NNUNET = "nnU-Net: Isensee et al. 2021, doi:10.1038/s41592-020-01008-z"
OURS = "our choice; the publication names none"


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
