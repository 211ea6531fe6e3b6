"""The presets: what each says, section by section; all other settings have the defaults of their fields.

``paper`` is the publication, literally wherever it speaks (``docs/hnseg/paper.md`` goes through it sentence by
sentence); ``recommended`` is what we would use, each departure with its evidence; ``demo`` is a coarser grid with a
smaller network and fewer steps, so that two CPU cores run the whole pipeline in minutes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

Preset = Literal["demo", "paper", "recommended"]
SectionValues = Mapping[str, Any]

PAPER_VALUES: Mapping[str, SectionValues] = {
    "split": {"test_fraction": 0.0},  # § 3.2: five folds; the test cases are the challenge's own (§ 6)
    "prepare": {
        "crop": "paper",  # § 3.1: coarse PET threshold, mean foreground of the superior slices
        "harmonization": "spectrum-swap",  # § 3.1 and its note 1; against the "histogram matching" of § 5
        "clip_ct_window": False,  # § 3.1: the sigmoid "softly clamps outliers"
    },
    "train": {
        "hard_negatives": 1.0,  # § 5: "challenging hard negatives"; § 3.2 has "background"
        "monitor": "val_loss",  # § 5: "early stopping based on the validation loss"
        "patience": 50,  # ours: the paper has no number
    },
    "predict": {
        "decide_on": "crop-grid",  # § 4: argmax after the windows on the crop
        "min_gtvp_ml": 0.0,  # § 4 counts voxels, see below
        "min_gtvn_ml": 0.0,
        "min_gtvp_vox": 70,  # § 4: "voxel-count threshold"; 70 is ours, 0.2 ml at 0.98 × 0.98 × 3 mm
        "min_gtvn_vox": 70,
    },
}

RECOMMENDED_VALUES: Mapping[str, SectionValues] = {
    "split": {"test_fraction": 0.0},  # as the paper: the challenge has the test cases
    "prepare": {
        "harmonization": "spectrum-align",  # docs/ssimh/align.md: a swap between patients moves anatomy
        "clip_ct_window": False,  # as the paper: a clip did not help (docs/hnseg/benchmarks.md)
    },
}

DEMO_VALUES: Mapping[str, SectionValues] = {
    "split": {"folds": 4},  # two at a time on two cores; a fifth would leave one core idle
    "prepare": {"spacing_mm": 200 / 48},  # the paper's 200 x 200 x 310 voxels become 48 x 48 x 75
    "train": {
        "filters": 8,
        "blocks_down": (1, 2, 2, 4),
        "heads": 3,
        "patch_vox": (48, 48, 48),  # 192 mm of the 200 mm are 46 voxels, and lengths are multiples of 8
        "epochs": 6,
        "patches_per_case": 2,
        "learning_rate": 2e-3,
        "warmup_epochs": 1,
        "validate_every": 6,
        "workers": 0,
    },
}

PRESETS: Mapping[str, Mapping[str, SectionValues]] = {
    "demo": DEMO_VALUES,
    "paper": PAPER_VALUES,
    "recommended": RECOMMENDED_VALUES,
}
