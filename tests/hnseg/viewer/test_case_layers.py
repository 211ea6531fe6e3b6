"""Layers of a case: what is there is shown, and no two outlines differ by color alone."""

import numpy as np

from hnseg.images.geometry import Grid
from hnseg.viewer.case_layers import CaseVolumes, build_case
from hnseg.viewer.lesions import Volume

GRID = Grid((4, 3, 2), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
CT, PET = (Volume(np.zeros(GRID.shape, kind), GRID) for kind in (np.int16, np.float32))
MASK = Volume(np.zeros(GRID.shape, np.uint8), GRID)


def test_what_is_there_is_shown():
    assert [mode.name for mode in build_case(CaseVolumes("A", CT)).modes] == ["CT"]
    full = build_case(CaseVolumes("A", CT, PET, MASK, MASK, PET, Volume(np.ones(GRID.shape, bool), GRID)))
    assert [mode.name for mode in full.modes] == ["Fused", "CT", "PET", "Disagreement"]
    assert [mask.name for mask in full.masks] == ["Crop box", "Truth", "Prediction"]
    assert "Result" in full.lesion_columns
    single = build_case(CaseVolumes("A", CT, PET, prediction=MASK))
    assert [mask.name for mask in single.masks] == ["Mask"]
    assert "Result" not in single.lesion_columns
    assert build_case(CaseVolumes("A", CT, PET)).lesion_columns == ()


def test_outlines_differ_in_their_line_styles():
    full = build_case(CaseVolumes("A", CT, PET, MASK, MASK, None, MASK))
    dashes = [style.dash for mask in full.masks for style in mask.styles]
    assert len(set(dashes)) == len(dashes) == 5
    single = [style.dash for style in build_case(CaseVolumes("A", CT, PET, MASK)).masks[0].styles]
    assert len(set(single)) == 2
