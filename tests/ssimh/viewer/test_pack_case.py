"""A packed case fits its limit, says how exact it is, and is refused where its layers cannot be shown together."""

import json

import numpy as np
import pytest

from ssimh.viewer.fit_size import ViewerError
from ssimh.viewer.pack_case import pack_case
from tests.ssimh.viewer.scans import ORIGIN, SIZE, case_of, image_of


def unpack(case, **options):
    return json.loads(pack_case(case, **options).content)


def test_small_scans_keep_their_voxels():
    ct = np.random.default_rng(0).integers(-1000, 1000, SIZE[::-1]).astype(np.int16)
    content = unpack(case_of(image_of(ct), pet=image_of(np.ones((5, 6, 7), np.float32), spacing=(4.0, 4.0, 4.0))))
    ct_part, pet = content["scans"]
    assert ct_part["grid"]["size"] == list(SIZE)
    assert (ct_part["isAveraged"], ct_part["step"]) == (False, 1)
    assert pet["grid"]["spacing_mm"] == [4, 4, 4]


def test_a_large_scan_gets_larger_voxels_until_the_case_fits():
    noise = np.random.default_rng(0).normal(0, 100, (40, 64, 64)).astype(np.int16)
    limit = 60_000  # about 5 bits a voxel would take 140,000
    packed = pack_case(case_of(image_of(noise, spacing=(1.0, 1.0, 3.0))), limit_bytes=limit)
    assert len(packed.content) <= limit
    (scan,) = json.loads(packed.content)["scans"]
    assert scan["isAveraged"]
    assert scan["step"] == 2
    assert 1.2 < scan["grid"]["spacing_mm"][0] < 3.0
    assert scan["grid"]["spacing_mm"][2] == 3
    with pytest.raises(ViewerError, match="CT"):
        pack_case(case_of(image_of(noise, spacing=(1.0, 1.0, 3.0))), limit_bytes=2_000)


def test_a_mask_is_cut_to_what_is_in_it():
    mask = np.zeros(SIZE[::-1], np.uint8)
    mask[4:6, 3, 7:10] = 2
    ct = image_of(np.zeros(SIZE[::-1], np.int16))
    (packed,) = unpack(case_of(ct, mask=image_of(mask)))["masks"]
    assert packed["grid"]["size"] == [3, 1, 2]
    assert packed["grid"]["start_mm"] == [14, 7.5, 12]
    (empty,) = unpack(case_of(ct, mask=image_of(mask * 0)))["masks"]
    assert empty["grid"] is None


@pytest.mark.parametrize("value", [0.5, -1.0, 256.0])
def test_what_is_no_mask_is_refused(value):
    ct, odd = image_of(np.zeros(SIZE[::-1], np.int16)), np.zeros(SIZE[::-1], np.float32)
    odd[5, 5, 5] = value
    with pytest.raises(ViewerError, match="Mask"):
        pack_case(case_of(ct, mask=image_of(odd)))


def test_layers_elsewhere_are_refused():
    ct, far = image_of(np.zeros(SIZE[::-1], np.int16)), (ORIGIN[0] + 500, *ORIGIN[1:])
    with pytest.raises(ViewerError, match="PET"):
        pack_case(case_of(ct, pet=image_of(np.ones((5, 6, 7), np.float32), origin=far)))
    with pytest.raises(ViewerError, match="Mask"):
        pack_case(case_of(ct, mask=image_of(np.ones(SIZE[::-1], np.uint8), origin=far)))


def test_nothing_in_a_case_ends_its_script():
    ct, name = image_of(np.zeros((2, 2, 2), np.int16)), "</script><script>alert(1)"
    packed = pack_case(case_of(ct, name, notes=("<b>\u2028",)))
    assert "<" not in packed.content
    assert "\u2028" not in packed.content
    assert json.loads(packed.content)["name"] == name
