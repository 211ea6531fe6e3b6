"""HistogramMatch(d) beyond the common contract: where the reference comes from, masks."""

import pickle

import numpy as np
import pytest

from ssimh import FromSample, HistogramMatch, HistogramMatchd, match_histogram
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
    transform = HistogramMatchd("ct", FromSample("template"), mask=FromSample("body"))
    result = transform({"ct": image(), "template": DONOR, "body": mask.astype(np.uint8)})["ct"]
    assert_close(result, match_histogram(as_float64(image()), DONOR, mask=mask), "float32")


def test_masks_of_the_constructor_hold_for_every_image():
    mask, reference_mask = GIVEN > 0, DONOR > 20
    kept = np.quantile(DONOR[reference_mask], np.linspace(0, 1, 4097))
    found = HistogramMatch(DONOR, mask=mask.astype(np.uint8), reference_mask=reference_mask)(image())
    assert_close(found, match_histogram(GIVEN, kept, mask=mask), "float32")
    expected = match_histogram(GIVEN, DONOR, mask=mask, reference_mask=reference_mask)
    called = HistogramMatch(None)(image(), DONOR, mask=mask, reference_mask=reference_mask)
    assert_close(called, expected, "float32")
