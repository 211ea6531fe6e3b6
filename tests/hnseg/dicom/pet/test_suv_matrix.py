"""Headers with a known factor, from their datasets: vendor × unit × decay mode, dates, tables, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from hnseg.errors import SuvError
from tests.hnseg.dicom.pet.pet_headers import convert, make_slices
from tests.hnseg.dicom.pet.suv_date_rows import ROWS_OF_DATES
from tests.hnseg.dicom.pet.suv_matrix import ROWS_OF_VENDORS
from tests.hnseg.dicom.pet.suv_refused_rows import ROWS_OF_TABLES, ROWS_REFUSED

ROWS = [*ROWS_OF_VENDORS, *ROWS_OF_DATES, *ROWS_OF_TABLES, *ROWS_REFUSED]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_factor_by_hand(row):
    slices = make_slices(row.series, row.administration, row.beds, row.private)
    if row.factors is None:
        with pytest.raises(SuvError) as caught:
            convert(slices, row.overrides, kind=row.kind, dose_in_mbq=row.dose_in_mbq)
        assert caught.value.tag == row.tag
        return
    found = convert(slices, row.overrides, kind=row.kind, dose_in_mbq=row.dose_in_mbq)
    expected = np.broadcast_to(row.factors, len(slices))
    np.testing.assert_allclose(found.factors, expected, rtol=1e-8)
    assert found.factor == (found.factors[0] if len(set(expected)) == 1 else None)
    assert found.is_converted == row.is_converted
    assert row.reference is None or found.inputs["reference"] == row.reference


def test_names_are_unique_and_the_matrix_is_large():
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names) > 100
