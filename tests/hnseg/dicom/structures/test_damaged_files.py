"""Files with changed bytes are read, or refused with an error of ours, and never anything else."""

from __future__ import annotations

import numpy as np
import pytest

from hnseg.dicom.structures.rasterize import rasterize
from hnseg.dicom.structures.read_rtstruct import read_structures
from hnseg.dicom.structures.read_seg import read_segments
from hnseg.dicom.structures.write_rtstruct import write_rtstruct
from hnseg.dicom.structures.write_seg import write_segmentation
from hnseg.errors import DicomError
from tests.hnseg.dicom.structures.rtstructs import Roi, make_rtstruct
from tests.hnseg.dicom.structures.sources import make_mask, make_source

CHANGES = 60


@pytest.mark.parametrize("kind", ["binary", "labelmap", "rtstruct"])
def test_changed_bytes(tmp_path, kind):
    headers, grid = make_source(tmp_path / "ct")
    path = tmp_path / "file.dcm"
    if kind == "rtstruct":
        write_rtstruct(make_mask(1), grid, headers, path)
    else:
        write_segmentation(make_mask(1, 2), grid, headers, path, form=kind)
    content = path.read_bytes()
    rng = np.random.default_rng(11)
    outcomes = {"read": 0, "refused": 0}
    for number in range(CHANGES):
        changed = bytearray(content)
        if number % 3 == 0:
            del changed[int(rng.integers(140, len(content))) :]
        else:
            for place in rng.integers(132, len(content), 1 + number % 9):
                changed[place] = int(rng.integers(256))
        path.write_bytes(changed)
        try:
            if kind == "rtstruct":
                for structure in read_structures(path):
                    rasterize(structure, grid)
            else:
                read_segments(path, grid)
            outcomes["read"] += 1
        except DicomError:
            outcomes["refused"] += 1
    assert outcomes["refused"] >= CHANGES // 3
    assert outcomes["read"] >= 1


def test_an_error_of_ours_is_not_called_damage(monkeypatch):
    monkeypatch.setattr("hnseg.dicom.structures.read_rtstruct.Structure", None)
    with pytest.raises(TypeError):
        read_structures(make_rtstruct([Roi("GTVp", [])]))
