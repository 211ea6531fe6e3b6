"""What every TorchIO transform of the library must do, run over all of them."""

import copy
import inspect
import pickle

import numpy as np
import pytest
import torch
import torchio as tio

import ssimh
import ssimh.torchio
from tests.facts import raises_naming
from tests.ssimh.tolerances import as_float64, assert_close
from tests.ssimh.torchio.torchio_cases import AFFINE, CASES, SHAPE, scan, subject

every = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
randomized = pytest.mark.parametrize("case", [case for case in CASES if case.random], ids=lambda case: case.name)
FLOATING = [torch.float64, torch.float32, torch.float16]


def seeded(transform, sample, seed=0):
    """The transform's result with torch's generator in a known state."""
    torch.manual_seed(seed)
    return transform(sample)


def largest_change(first, second):
    return np.abs(as_float64(first.data) - as_float64(second.data)).max()


def test_every_public_transform_is_under_contract():
    assert sorted(case.name for case in CASES) == ssimh.torchio.__all__
    for case in CASES:
        kind = getattr(ssimh.torchio, case.name)
        assert issubclass(kind, tio.transforms.intensity_transform.IntensityTransform)
        assert issubclass(kind, tio.transforms.augmentation.RandomTransform) == case.random


@every
def test_only_the_values_of_scalar_images_change(case):
    given = subject()
    before = copy.deepcopy(given)
    result = seeded(case(), given)
    assert list(result) == list(given)
    assert result["age"] == 60
    for name in ("ct", "second"):
        assert largest_change(result[name], before[name]) > 1
        assert result[name].shape == SHAPE
        np.testing.assert_array_equal(result[name].affine, AFFINE)
    assert torch.equal(result["body"].data, before["body"].data)
    assert result["body"].data.dtype == torch.uint8
    # The input keeps its values, its memory and its empty history.
    for name in ("ct", "second", "body"):
        assert torch.equal(given[name].data, before[name].data)
        assert result[name].data.data_ptr() != given[name].data.data_ptr()
    assert given.history == []


@every
def test_without_copy_the_tensor_that_was_given_is_still_not_written(case):
    given = subject()
    tensor = given["ct"].data
    values = tensor.clone()
    result = seeded(case(copy=False), given)
    assert result is given
    assert torch.equal(tensor, values)
    assert largest_change(result["ct"], tio.ScalarImage(tensor=values)) > 1


@every
@pytest.mark.parametrize("dtype", [*FLOATING, torch.int16, torch.int32], ids=str)
def test_dtype_policy(case, dtype):
    result = seeded(case(include=["ct"]), subject(dtype))["ct"].data
    assert result.dtype == (dtype if dtype.is_floating_point else torch.float32)
    rounded = subject(dtype)["ct"].data.double()
    given = tio.Subject(ct=tio.ScalarImage(tensor=rounded, affine=AFFINE))
    assert_close(result, seeded(case(), given)["ct"].data, result.dtype)


@every
def test_include_exclude_and_keep(case):
    given = subject()
    included = seeded(case(include=["ct"]), given)
    assert torch.equal(included["second"].data, given["second"].data)
    excluded = seeded(case(exclude=["second"]), given)
    assert torch.equal(excluded["ct"].data, included["ct"].data)
    assert torch.equal(excluded["second"].data, given["second"].data)
    kept = seeded(case(include=["ct"], keep={"ct": "before"}), given)
    assert torch.equal(kept["before"].data, given["ct"].data)
    assert torch.equal(kept["ct"].data, included["ct"].data)
    with raises_naming(KeyError, "other", "ct", "second"):
        case(include=["other"])(given)
    with pytest.raises(ValueError, match="clude"):
        case(include=["ct"], exclude=["second"])


@every
def test_probability(case):
    given = subject()
    assert case(p=0)(given) is given
    assert case(p=0.5)(given) is not None


@every
def test_the_history_replays_to_the_identical_image(case):
    given = subject()
    result = seeded(case(), given)
    (entry,) = result.history
    assert type(entry).__name__ == case.recorded
    replayed = result.get_composed_history()(given)
    for name in ("ct", "second"):
        assert torch.equal(replayed[name].data, result[name].data)
    assert len(repr(entry)) < 1000
    assert case.recorded in repr(entry)


@every
@pytest.mark.parametrize("dtype", FLOATING, ids=str)
def test_the_inverse_is_exact_without_clipping(case, dtype):
    given = subject(dtype)
    restored = seeded(case(), given).apply_inverse_transform()
    # Two roundings to the image's dtype, of values up to 2000.
    tolerance = 4 * 2000 * torch.finfo(dtype).eps
    for name in ("ct", "second"):
        assert largest_change(restored[name], given[name]) <= max(tolerance, 1e-9)
        assert restored[name].data.dtype == dtype
    assert restored.history == []


@every
def test_the_inverse_inside_a_pipeline_of_torchio(case):
    steps = [tio.Flip(axes=(0,)), case(), tio.Flip(axes=(1, 2)), case(), tio.CropOrPad((48, 48, 24))]
    given = subject(torch.float64)
    result = seeded(tio.Compose(steps), given)
    names = [type(entry).__name__ for entry in result.history]
    assert [name for name in names if name == case.recorded] == [case.recorded] * 2
    replayed = result.get_composed_history()(given)
    assert torch.equal(replayed["ct"].data, result["ct"].data)
    restored = result.apply_inverse_transform(warn=False)
    assert restored["ct"].shape == SHAPE
    assert largest_change(restored["ct"], given["ct"]) < 1e-6


@every
def test_an_inverse_can_be_inverted(case):
    given = seeded(case(), subject(torch.float64))
    undone = given.get_inverse_transform()(given)
    assert [entry.invert_transform for entry in undone.history] == [False, True]
    assert largest_change(undone.apply_inverse_transform()["ct"], subject()["ct"]) < 1e-3


@every
def test_the_inverse_skips_what_is_gone_and_refuses_another_shape(case):
    result = seeded(case(), subject())
    result.remove_image("second")
    result.add_image(tio.ScalarImage(tensor=torch.zeros(SHAPE)), "new")
    assert float(result.apply_inverse_transform()["new"].data.abs().max()) == 0
    cropped = seeded(case(), subject())
    cropped["ct"].set_data(cropped["ct"].data[:, 1:])
    with raises_naming(ValueError, "ct", SHAPE):
        cropped.apply_inverse_transform()


@every
def test_a_transform_without_history_has_no_inverse(case):
    given = subject()
    if case.random:
        assert not case().is_invertible()
        return
    assert case().is_invertible()
    with raises_naming(RuntimeError, case.name, "apply_inverse_transform"):
        case().inverse()(given)


@every
def test_pickles_and_copies_to_kilobytes(case):
    transform = case()
    assert len(pickle.dumps(transform)) < 40_000
    expected = seeded(transform, subject())
    for twin in (pickle.loads(pickle.dumps(transform)), copy.deepcopy(transform)):
        assert torch.equal(seeded(twin, subject())["ct"].data, expected["ct"].data)
    data = pickle.dumps(expected.history)
    assert len(data) < 80_000
    again = tio.Compose(pickle.loads(data))(subject())
    assert torch.equal(again["ct"].data, expected["ct"].data)


@every
def test_every_kind_of_input(case):
    values = scan(1, 1.05).data
    transform = case()
    expected = seeded(transform, tio.ScalarImage(tensor=values))
    assert type(expected) is tio.ScalarImage
    assert torch.equal(seeded(transform, values), expected.data)
    array = seeded(transform, values.numpy())
    assert type(array) is np.ndarray
    np.testing.assert_array_equal(array, expected.data.numpy())
    sample = {"ct": values, "body": torch.ones(SHAPE, dtype=torch.uint8), "age": 60}
    result = seeded(case(include=["ct", "body"], label_keys=["body"]), sample)
    assert torch.equal(result["ct"], expected.data)
    assert torch.equal(result["body"], sample["body"])


@every
def test_slices_are_axial_however_the_image_lies(case):
    given = tio.Subject(ct=scan(1, 1.05))
    expected = seeded(case(), given)["ct"]
    for letters in ("RAS", "SPL", "AIR"):
        turned = seeded(case(), tio.ToOrientation(letters)(given))
        back = tio.ToOrientation("LPS")(turned)
        assert_close(back["ct"].data, expected.data, "float32")


@every
def test_one_of_and_queue(case):
    one = tio.OneOf({case(include=["ct"]): 1.0})
    result = seeded(one, subject())
    assert [type(entry).__name__ for entry in result.history] == [case.recorded]
    dataset = tio.SubjectsDataset([subject()] * 2, transform=case())
    queue = tio.Queue(dataset, max_length=4, samples_per_volume=2, sampler=tio.UniformSampler(8), num_workers=0)
    patches = list(tio.SubjectsLoader(queue, batch_size=2, num_workers=0))
    assert patches[0]["ct"][tio.DATA].shape == (2, 1, 8, 8, 8)


def test_what_workers_give_is_replayed_and_undone_by_its_history():
    # One pipeline with every transform, so that the processes start once.
    pipeline = tio.Compose([case() for case in CASES])
    loader = tio.SubjectsLoader(
        tio.SubjectsDataset([subject(torch.float64)] * 2, transform=pipeline),
        batch_size=1,
        num_workers=1,
        multiprocessing_context="fork",
        collate_fn=tio.utils.history_collate,
    )
    seen = []
    for batch in loader:
        (sample,) = tio.utils.get_subjects_from_batch(batch)
        assert [type(entry).__name__ for entry in sample.history] == [case.recorded for case in CASES]
        replayed = sample.get_composed_history()(subject(torch.float64))
        assert_close(replayed["ct"].data, sample["ct"].data, "float64")
        assert largest_change(sample.apply_inverse_transform()["ct"], subject()["ct"]) < 1e-3
        seen.append(sample["ct"].data)
    assert len(seen) == 2
    assert not torch.equal(*seen)  # every sample has its own draw


@every
def test_a_batch_with_its_history_is_inverted(case):
    dataset = tio.SubjectsDataset([subject(torch.float64)] * 2, transform=case())
    loader = tio.SubjectsLoader(dataset, batch_size=2, collate_fn=tio.utils.history_collate)
    for sample in tio.utils.get_subjects_from_batch(next(iter(loader))):
        assert [type(entry).__name__ for entry in sample.history] == [case.recorded]
        assert largest_change(sample.apply_inverse_transform()["ct"], subject()["ct"]) < 1e-3


@randomized
def test_random_transforms_draw_from_torchs_generator_alone(case):
    first, again, other = (seeded(case(), subject(), seed) for seed in (1, 1, 2))
    assert torch.equal(first["ct"].data, again["ct"].data)
    assert not torch.equal(first["ct"].data, other["ct"].data)
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    case()(subject())
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


@every
def test_the_arguments_are_those_of_the_monai_transform(case):
    own = inspect.signature(getattr(ssimh.torchio, case.name)).parameters
    monai = inspect.signature(getattr(ssimh, case.name.replace("Random", "Rand"))).parameters
    shared = [name for name in own if name in monai]
    assert [name for name in monai if name in own] == shared
    assert all(own[name].default == monai[name].default and own[name].kind == monai[name].kind for name in shared)
    assert set(own) - set(monai) <= {"grid", "center_mm", "landmark_mm", "mask", "background", "record", "kwargs"}
    assert set(monai) - set(own) <= {"axes_zyx", "slice_axis", "prob"}


@every
def test_other_images_are_refused_by_name(case):
    pet = tio.Subject(fdg=scan(1, unit="SUV"))
    with raises_naming(ValueError, "fdg", "SUV"):
        case()(pet)
