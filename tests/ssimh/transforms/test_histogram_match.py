"""HistogramMatch(d) beyond the common contract: where the reference comes from, masks."""

import pickle

import numpy as np
import pytest

from ssimh import HistogramMatch, HistogramMatchd, histogram_match
from tests.ssimh.tolerances import as_float64, assert_close
from tests.ssimh.transforms.transform_cases import donor, image

GIVEN, DONOR = as_float64(image()), as_float64(donor())


def test_a_file_of_values_is_read_when_the_transform_is_built(tmp_path):
    path = tmp_path / "values.npy"
    np.save(path, DONOR)
    expected = HistogramMatch(DONOR)(image())
    transforms = [HistogramMatch(path), HistogramMatch(str(path)), pickle.loads(pickle.dumps(HistogramMatch(path)))]
    in_a_dictionary = HistogramMatchd("ct", path)
    path.unlink()
    for transform in transforms:
        assert_close(transform(image()), expected, "float32")
    assert_close(in_a_dictionary({"ct": image()})["ct"], expected, "float32")
    with pytest.raises(FileNotFoundError):
        HistogramMatch(path)


def test_references_and_masks_travel_with_the_sample():
    mask = GIVEN > 0
    transform = HistogramMatchd("ct", reference_key="template", mask_key="body")
    result = transform({"ct": image(), "template": DONOR, "body": mask.astype(np.uint8)})["ct"]
    assert_close(result, histogram_match(as_float64(image()), DONOR, mask=mask), "float32")
