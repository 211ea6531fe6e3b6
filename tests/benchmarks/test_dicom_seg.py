"""The benchmark of Segmentation objects runs, small, and compares the masks."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import dicom_seg

from hnseg.images.geometry import Grid


def test_forms_are_timed_beside_the_raw_bytes(tmp_path):
    grid = Grid((32, 24, 10), (0.9, 0.9, 3.0), (-230.0, -230.0, -450.0))
    results = dicom_seg.measure(dicom_seg.make_mask(grid.shape), grid, tmp_path, rounds=1)
    assert list(results) == ["raw bytes", "binary", "labelmap"]
    assert results["raw bytes"][2] == 32 * 24 * 10
