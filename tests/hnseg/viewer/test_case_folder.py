"""Cases of hnseg in the viewer's folder: an error of a case is its reason, and progress is reported."""

import functools

import numpy as np

from hnseg.errors import CaseError
from hnseg.images.geometry import Grid
from hnseg.viewer.case_folder import make_source, write_cases
from hnseg.viewer.case_layers import CaseVolumes
from hnseg.viewer.lesions import Volume, list_lesions

GRID = Grid((6, 5, 4), (2.0, 2.0, 2.0), (0.0, 0.0, 0.0))


def read_case(name):
    if name == "A-1":
        raise CaseError(name, "it is broken")
    label = Volume(np.ones(GRID.shape, np.uint8), GRID)
    ct = Volume(np.zeros(GRID.shape, np.int16), GRID)
    return CaseVolumes(name, ct, truth=label, lesions=list_lesions(label, None))


def test_an_error_of_a_case_is_its_reason(tmp_path):
    done = []
    sources = [make_source(name, {}, {}, functools.partial(read_case, name)) for name in ("A-1", "A-2")]
    found = write_cases(tmp_path / "check.html", "Cases", sources, progress=lambda *step: done.append(step))
    assert found.left_out == {"A-1": "it is broken"}
    assert [lesion.cells[0] for lesion in found.cases["A-2"].lesions] == ["GTVp"]
    assert done == [(1, 2, "A-1"), (2, 2, "A-2")]
