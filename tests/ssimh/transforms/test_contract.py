"""What every MONAI transform of the library must do, run over all of them."""

import copy
import inspect
import json
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from monai.data import CacheDataset, DataLoader, Dataset, MetaTensor, PersistentDataset, decollate_batch, set_track_meta
from monai.transforms import Compose, Flipd, InvertibleTransform, LazyTransform, Randomizable, Rotate90d

import ssimh
from ssimh import FromSample
from tests.facts import raises_naming
from tests.ssimh.tolerances import TOLERANCE, as_float64, assert_close
from tests.ssimh.transforms.transform_cases import AFFINE, CASES, IDS, SHAPE, donor, image

every = pytest.mark.parametrize("case", CASES, ids=IDS)
invertible = pytest.mark.parametrize("case", [case for case in CASES if case.invertible], ids=lambda case: case.name)
randomized = pytest.mark.parametrize("case", [case for case in CASES if case.random], ids=lambda case: case.name)
FLOATING = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
INTEGERS = [torch.int16, torch.int32, torch.int64, torch.uint8, torch.int8]


def seeded(transform, seed=3):
    """The transform with a fixed random state, where it has one."""
    if isinstance(transform, Randomizable):
        transform.set_random_state(seed)
    return transform


def test_every_public_transform_is_under_contract():
    forms = {f"{name}{form}" for name in IDS for form in ("", "d", "D", "Dict")}
    assert {*forms, "FromSample"} == set(ssimh.transforms.__all__)
    for name in IDS:
        promised = next(case for case in CASES if case.name == name)
        kind = getattr(ssimh, name)
        assert issubclass(kind, InvertibleTransform) == promised.invertible
        assert issubclass(kind, Randomizable) == promised.random
        assert issubclass(getattr(ssimh, f"{name}d"), InvertibleTransform) == promised.invertible


@every
def test_it_does_something(case):
    result = seeded(case.array())(image())
    assert np.abs(as_float64(result) - as_float64(image())).max() > 1


@every
@pytest.mark.parametrize("dtype", FLOATING + INTEGERS, ids=str)
def test_dtype_policy_and_values(case, dtype):
    given = image(dtype)
    result = seeded(case.array())(given)
    assert result.dtype == (dtype if dtype.is_floating_point else torch.float32)
    expected = seeded(case.array())(MetaTensor(given.as_tensor().double(), meta=given.meta))
    assert_close(result, expected, result.dtype)


@every
def test_metadata_affine_device_and_history_survive(case):
    given = Flipd("ct", spatial_axis=0)({"ct": image()})["ct"]
    result = seeded(case.array())(given)
    assert type(result) is MetaTensor
    np.testing.assert_array_equal(result.affine, given.affine)
    assert result.meta["filename_or_obj"] == "case0.nii.gz"
    assert result.device == given.device
    history = [record["class"] for record in result.applied_operations]
    assert history == (["Flip", case.name] if case.invertible else ["Flip"])


@every
@pytest.mark.parametrize("track", [True, False])
def test_arrays_and_tensors_become_tensors(case, track):
    expected = seeded(case.array())(image())
    set_track_meta(track)
    try:
        for given in (image().numpy(), image().as_tensor()):
            result = seeded(case.array())(given)
            assert type(result) is (MetaTensor if track else torch.Tensor)
            assert_close(result, expected, "float32")
    finally:
        set_track_meta(True)


@every
def test_inputs_and_the_transform_itself_are_never_modified(case):
    given = image()
    before = copy.deepcopy(given)
    sample = {"ct": given, "label": image(torch.uint8)}
    keys = list(sample)
    transform = seeded(case.dictionary())
    first = transform(sample)
    assert first is not sample
    assert sample["ct"] is given
    assert list(sample) == keys
    assert first["label"] is sample["label"]
    assert torch.equal(given.as_tensor(), before.as_tensor())
    assert given.applied_operations == before.applied_operations
    assert str(given.meta) == str(before.meta)
    again = seeded(transform)(sample)
    assert torch.equal(first["ct"].as_tensor(), again["ct"].as_tensor())


@every
def test_array_and_dictionary_form_have_the_same_defaults(case):
    array = inspect.signature(getattr(ssimh, case.name).__init__).parameters
    dictionary = inspect.signature(getattr(ssimh, f"{case.name}d").__init__).parameters
    assert list(dictionary)[1] == "keys"
    assert list(dictionary)[-1] == "allow_missing_keys"
    shared = [name for name in array if name != "self"]
    assert [name for name in dictionary if name in shared] == shared
    for name in shared:
        assert array[name].default == dictionary[name].default, name
    assert getattr(ssimh.transforms, f"{case.name}D") is getattr(ssimh, f"{case.name}d")
    assert getattr(ssimh.transforms, f"{case.name}Dict") is getattr(ssimh, f"{case.name}d")


@every
def test_array_and_dictionary_form_agree(case):
    result = seeded(case.dictionary(("a", "b")))({"a": image(), "b": image(seed=1)})
    alone = seeded(case.dictionary("a"))({"a": image()})
    assert torch.equal(result["a"].as_tensor(), alone["a"].as_tensor())
    if not case.random:
        assert torch.equal(result["b"].as_tensor(), case.array()(image(seed=1)).as_tensor())


@every
def test_missing_keys(case):
    with pytest.raises(KeyError):
        case.dictionary(("ct", "other"))({"ct": image()})
    result = seeded(case.dictionary(("ct", "other"), allow_missing_keys=True))({"ct": image()})
    assert set(result) == {"ct"}


@every
def test_pickles_to_kilobytes(case):
    for transform in (case.array(), case.dictionary()):
        data = pickle.dumps(transform)
        assert len(data) < 20_000
        assert pickle.loads(data) is not None
    given = image()
    first, second = seeded(case.array()), seeded(pickle.loads(pickle.dumps(case.array())))
    assert torch.equal(first(given).as_tensor(), second(given).as_tensor())


@every
def test_is_not_lazy_and_works_in_a_lazy_pipeline(case):
    assert not isinstance(case.array(), LazyTransform)
    steps = [Flipd("ct", spatial_axis=1), case.dictionary(), Flipd("ct", spatial_axis=1)]
    # Compose hands its own random state to its steps, so both are seeded just before use.
    expected = seeded(Compose(steps))({"ct": image()})
    assert_close(seeded(Compose(steps, lazy=True))({"ct": image()})["ct"], expected["ct"], "float32")


@pytest.mark.parametrize("case", [case for case in CASES if case.masked], ids=lambda case: case.name)
@pytest.mark.parametrize(
    ("spoil", "error", "facts"),
    [
        (lambda mask: mask.float(), TypeError, ["mask", "float32"]),
        (lambda mask: mask.numpy().astype(np.float64), TypeError, ["mask", "float64"]),
        (lambda mask: mask.int() * 2, ValueError, ["mask", "int32"]),
        (lambda mask: mask[:, 1:], ValueError, ["mask", (1, 13, 12, 6), SHAPE]),
        (lambda mask: mask & False, ValueError, ["mask"]),
    ],
    ids=["floats", "array of floats", "not 0 and 1", "shape", "empty"],
)
def test_every_transform_refuses_the_same_masks(case, spoil, error, facts):
    mask = spoil(torch.ones(SHAPE, dtype=torch.bool))
    for call in (lambda: case.array(mask=mask)(image()), lambda: case.array()(image(), mask=mask)):
        with raises_naming(error, *facts):
            call()
    with raises_naming(KeyError, "body", "ct"):
        case.dictionary(mask=FromSample("body"))({"ct": image()})
    given = case.dictionary(mask=FromSample("body"))
    with raises_naming(error, *facts):
        given({"ct": image(), "body": mask})


@invertible
@pytest.mark.parametrize("dtype", FLOATING, ids=str)
def test_inverse_is_exact_without_clipping(case, dtype):
    transform = seeded(case.array())
    assert isinstance(transform, InvertibleTransform)
    given = image(dtype)
    swapped = transform(given)
    history = len(swapped.applied_operations)
    restored = transform.inverse(swapped)
    # Two roundings to the image's dtype, of values up to 200.
    tolerance = 2 * 200 * max(TOLERANCE[str(dtype)[6:]][0], torch.finfo(dtype).eps)
    assert np.abs(as_float64(restored) - as_float64(given)).max() <= tolerance
    assert restored.dtype == given.dtype
    assert restored.applied_operations == []
    assert len(swapped.applied_operations) == history


@invertible
def test_inverse_inside_a_pipeline(case):
    pipeline = Compose([Flipd("ct", spatial_axis=0), seeded(case.dictionary()), Rotate90d("ct", spatial_axes=(0, 1))])
    given = {"ct": image(torch.float64)}
    restored = pipeline.inverse(pipeline(given))
    assert_close(restored["ct"], given["ct"], "float64")
    np.testing.assert_allclose(restored["ct"].affine, AFFINE, atol=1e-12)


@invertible
def test_inverse_of_something_else_is_refused(case):
    with raises_naming(TypeError, "MetaTensor", "Tensor"):
        case.array().inverse(image().as_tensor())
    with raises_naming(ValueError, "applied_operations"):
        case.array().inverse(image())


@every
def test_threads_share_a_transform(case):
    transform = seeded(case.array(**({"prob": 0.0} if case.random else {})))
    images = [image(seed=seed) for seed in range(8)]
    expected = [transform(given) for given in images]
    with ThreadPoolExecutor(4) as pool:
        for found, one in zip(pool.map(transform, images), expected, strict=True):
            assert torch.equal(found.as_tensor(), one.as_tensor())


@pytest.mark.parametrize("case", [case for case in CASES if not case.volumes_only], ids=lambda case: case.name)
def test_one_slice_is_an_image_as_well(case):
    transform = seeded(case.array(**{name: [donor()[..., 0]] if name == "references" else donor()[..., 0]
                                     for name in ("reference", "references") if name in case.settings}))  # fmt: skip
    given = image()[..., 0]
    result = transform(given)
    assert result.shape == given.shape
    assert np.abs(as_float64(result) - as_float64(given)).max() > 1
    if case.invertible:
        assert_close(transform.inverse(result), given, "float32")


@every
def test_cached_and_persistent_datasets(case, tmp_path):
    data = [{"ct": image(seed=seed)} for seed in range(2)]
    pipeline = Compose([seeded(case.dictionary())])
    direct = [as_float64(item["ct"]) for item in Dataset(data, Compose([seeded(case.dictionary())]))]
    cached = CacheDataset(data, pipeline, progress=False)
    assert cached._cache[0]["ct"].shape == SHAPE
    changed = [record["class"] for record in cached._cache[0]["ct"].applied_operations]
    assert (changed == []) == (case.random or not case.invertible)
    persistent = PersistentDataset(data, Compose([seeded(case.dictionary())]), cache_dir=tmp_path)
    for dataset in (cached, persistent, persistent):
        if not case.random:
            for item, expected in zip(dataset, direct, strict=True):
                assert_close(item["ct"], expected, "float32")
        assert dataset[0]["ct"].shape == SHAPE


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_workers_give_what_the_main_process_gives(context):
    # One pipeline with every deterministic transform, so that the interpreters start once.
    pipeline = Compose([case.dictionary() for case in CASES if not case.random])
    data = [{"ct": image(seed=seed)} for seed in range(3)]
    loader = DataLoader(Dataset(data, pipeline), batch_size=1, num_workers=1, multiprocessing_context=context)
    found = [batch["ct"] for batch in loader]
    assert len(found) == 3
    for batch, sample in zip(found, data, strict=True):
        assert_close(batch[0], pipeline(sample)["ct"], "float32")


@invertible
def test_batches_are_decollated_and_inverted(case):
    pipeline = Compose([seeded(case.dictionary())])
    data = [{"ct": image(torch.float64, seed=seed)} for seed in range(2)]
    batch = next(iter(DataLoader(Dataset(data, pipeline), batch_size=2, num_workers=0)))
    assert batch["ct"].shape == (2, *SHAPE)
    for item, sample in zip(decollate_batch(batch), data, strict=True):
        assert_close(pipeline.inverse(item)["ct"], sample["ct"], "float64")


@every
def test_bundles_build_it_by_target(case, tmp_path):
    config = {"_target_": f"ssimh.transforms.{case.name}d", "keys": ["ct"], **case.bundle_settings(tmp_path)}
    parser = ConfigParser({"transform": json.loads(json.dumps(config))})
    transform = seeded(parser.get_parsed_content("transform"))
    result = transform({"ct": image()})
    assert_close(result["ct"], seeded(case.dictionary())({"ct": image()})["ct"], "float32")


@randomized
def test_the_random_stream_is_the_states_own(case):
    def stream(seed, **settings):
        transform = seeded(case.array(**settings), seed)
        return [as_float64(transform(image(seed=number))) for number in range(4)]

    np.testing.assert_array_equal(stream(1), stream(1))
    assert not np.array_equal(stream(1), stream(2))
    torch.manual_seed(0), np.random.seed(0)  # noqa: NPY002  (that the global state has no influence is the point)
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    np.testing.assert_array_equal(stream(1), stream(1))
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


@randomized
def test_workers_and_pipelines_repeat_their_draws(case):
    data = [{"ct": image()} for _ in range(3)]

    def epochs(seed):
        pipeline = Compose([case.dictionary()]).set_random_state(seed)
        generator = torch.Generator().manual_seed(seed)
        loader = DataLoader(Dataset(data, pipeline), num_workers=1, generator=generator)
        alone = [as_float64(pipeline(sample)["ct"]) for sample in data]
        return np.stack([*alone, *(as_float64(batch["ct"][0]) for batch in loader)])

    first = epochs(1)
    np.testing.assert_array_equal(first, epochs(1))
    assert len(np.unique(first.reshape(6, -1), axis=0)) == 6  # no two draws alike, in the workers neither
    assert not np.array_equal(first, epochs(2))


@randomized
def test_the_stream_does_not_depend_on_the_probability(case):
    always, sometimes = seeded(case.array(prob=1.0)), seeded(case.array(prob=0.5))
    hits = 0
    for number in range(12):
        expected, found = always(image(seed=number)), sometimes(image(seed=number))
        if sometimes._do_transform:
            hits += 1
            assert torch.equal(found.as_tensor(), expected.as_tensor())
        else:
            assert torch.equal(found.as_tensor(), image(seed=number).as_tensor())
    assert 0 < hits < 12


@randomized
def test_dictionary_form_draws_once_for_all_keys(case):
    transform = seeded(case.dictionary(("a", "b")))
    result = transform({"a": image(), "b": image()})
    assert torch.equal(result["a"].as_tensor(), result["b"].as_tensor())
    np.testing.assert_array_equal(result["a"].as_tensor(), seeded(case.dictionary("a"))({"a": image()})["a"])


@randomized
def test_not_applied_is_the_image_in_the_floating_dtype_and_inverts(case):
    transform = seeded(case.array(prob=0.0))
    result = transform(image(torch.int16))
    assert type(result) is MetaTensor
    assert result.dtype == torch.float32
    assert_close(result, image(torch.int16), "float32")
    if case.invertible:
        assert_close(transform.inverse(result), image(torch.int16), "float32")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@every
def test_devices_are_kept(case):
    result = seeded(case.array())(image().cuda())
    assert result.device.type == "cuda"
    assert_close(result, seeded(case.array())(image()), "float32")
