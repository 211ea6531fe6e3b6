"""Settings of prediction: windows and post-processing."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hnseg.settings.section import AUTO3DSEG, OURS, PAPER, PositiveFloat, Settings, about

WindowMethod = Literal["patch", "auto"]
DecisionGrid = Literal["ct-grid", "crop-grid"]
_IN_ML = f"{OURS}; {PAPER} § 4 counts voxels"


class PredictConfig(Settings):
    """Sliding window and post-processing."""

    window: WindowMethod = Field(
        "patch",
        **about(
            "Size of the windows: that of the training patch, or auto, the cheapest that fit the memory.",
            f"{PAPER} § 4",
        ),
    )
    overlap: float = Field(
        0.625, ge=0, lt=1, **about("Overlap of neighboring windows, as a share of their length.", AUTO3DSEG)
    )
    flips: str = Field(
        "",
        pattern="^x?y?z?$",
        **about(
            "Axes to flip along at test time: '', x, y, z, xy, … xyz; each doubles the network's work.", f"{PAPER} § 4"
        ),
    )
    decide_on: DecisionGrid = Field(
        "ct-grid",
        **about(
            "Where the most probable class is taken: ct-grid resamples the probabilities to the CT first, crop-grid "
            "decides on the crop and brings the label back by nearest neighbor.",
            f"{OURS}; {PAPER} § 4: argmax after the windows on the crop (crop-grid)",
        ),
    )
    min_gtvp_ml: float = Field(0.2, ge=0, **about("Smaller GTVp components are removed.", _IN_ML, "ml"))
    min_gtvn_ml: float = Field(0.2, ge=0, **about("Smaller GTVn components are removed.", _IN_ML, "ml"))
    min_gtvp_vox: int = Field(
        0,
        ge=0,
        **about(
            "Smaller GTVp components are removed, counted on the CT grid.",
            f"{PAPER} § 4 has a voxel count without its value",
            "voxels",
        ),
    )
    min_gtvn_vox: int = Field(
        0,
        ge=0,
        **about(
            "Smaller GTVn components are removed, counted on the CT grid.",
            f"{PAPER} § 4 has a voxel count without its value",
            "voxels",
        ),
    )
    max_node_distance_mm: PositiveFloat = Field(
        100.0,
        **about(
            "GTVn components farther from the predicted GTVp, surface to surface, are removed; 1000 removes none.",
            f"{OURS}; {PAPER} § 4 has the rule without its value",
            "mm",
        ),
    )
