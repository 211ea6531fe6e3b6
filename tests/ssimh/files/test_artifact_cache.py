"""The record of a kept result: which part differs, damaged records, edited files, killed writers."""

from __future__ import annotations

import json
import os

import pytest

from ssimh.files.artifact_cache import ArtifactCache, InputFile, find_differences, read_record


@pytest.fixture
def scan(tmp_path):
    path = tmp_path / "scan.nii"
    path.write_bytes(b"values")
    return path


@pytest.fixture
def cache(tmp_path, scan):
    key = {"case": "A-1", "files": {"ct": InputFile(scan)}, "settings": {"tau": 3, "range_hu": (-1024.0, 3071.0)}}
    return ArtifactCache(tmp_path / "result.json", key, {"values": tmp_path / "result.bin"})


def make(cache, content=b"result"):
    def write():
        cache.outputs["values"].write_bytes(content)
        return {"seconds": 1.5}

    return cache.get(write)


def test_a_result_is_made_once(cache):
    assert cache.find_differences() == ("record",)
    assert make(cache)["seconds"] == 1.5
    assert cache.is_current()
    assert make(cache, b"another") == read_record(cache.record)
    assert cache.outputs["values"].read_bytes() == b"result"


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"case": "A-2"}, "case"),
        ({"settings": {"tau": 5, "range_hu": [-1024.0, 3071.0]}}, "settings.tau"),
        ({"settings": {"tau": 3}}, "settings.range_hu"),
        ({"computation": 2}, "computation"),
    ],
)
def test_the_part_that_differs_is_named(cache, change, part):
    make(cache)
    assert ArtifactCache(cache.record, {**cache.key, **change}, cache.outputs).find_differences() == (part,)


def test_a_file_is_known_by_its_content(cache, scan):
    make(cache)
    status = scan.stat()
    os.utime(scan, ns=(status.st_atime_ns, status.st_mtime_ns + 10**9))
    assert cache.is_current()
    scan.write_bytes(b"others")  # as long as before
    os.utime(scan, ns=(status.st_atime_ns, status.st_mtime_ns + 10**9))
    assert cache.find_differences() == ("files.ct",)
    scan.unlink()
    assert cache.find_differences() == ("files.ct",)
    reader = {**cache.key, "files": {"ct": InputFile(scan, may_be_absent=True)}}
    assert ArtifactCache(cache.record, reader, cache.outputs).is_current()


def test_a_file_that_was_absent_and_still_is_has_not_changed(cache, scan):
    scan.unlink()
    make(cache)
    assert cache.is_current()
    scan.write_bytes(b"values")
    assert cache.find_differences() == ("files.ct",)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "3",
        "null",
        "{}",
        '{"made_from": 1, "outputs": {}}',
        '{"made_from": {}, "outputs": 3}',
        "[" * 100_000,
        "\x00\xff",
    ],
)
def test_a_damaged_record_is_not_current_and_no_error(cache, content):
    make(cache)
    cache.record.write_text(content)
    assert cache.find_differences() == ("record",)
    assert cache.edited_outputs() == ()
    make(cache)
    assert cache.is_current()


@pytest.mark.parametrize("files", [3, None, [], {"ct": 3}, {"ct": {"bytes": "x"}}])
def test_a_part_of_another_shape_differs(cache, files):
    make(cache)
    content = json.loads(cache.record.read_text())
    content["made_from"]["files"] = files
    cache.record.write_text(json.dumps(content))
    assert cache.find_differences()[0].startswith("files")


def test_an_edited_file_is_named_and_a_lost_one_is_not(cache):
    make(cache)
    cache.outputs["values"].write_bytes(b"edited")
    assert cache.find_differences() == ("outputs.values",)
    assert cache.edited_outputs() == (cache.outputs["values"],)
    cache.outputs["values"].unlink()
    assert cache.find_differences() == ("outputs.values",)
    assert cache.edited_outputs() == ()


def test_a_killed_writer_leaves_an_unfinished_result(cache):
    make(cache)
    other = ArtifactCache(cache.record, {**cache.key, "case": "A-2"}, cache.outputs)

    def killed():
        other.outputs["values"].write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        other.get(killed)
    for either in (cache, other):
        assert either.find_differences() == ("record",)
        assert either.edited_outputs() == ()


def test_outputs_are_those_of_the_record(cache, tmp_path):
    make(cache)
    (tmp_path / "map.bin").write_bytes(b"map")
    more = ArtifactCache(cache.record, cache.key, {**cache.outputs, "map": tmp_path / "map.bin"})
    assert more.find_differences() == ("outputs.map",)
    assert ArtifactCache(cache.record, cache.key).find_differences() == ("outputs.values",)


def test_a_folder_is_only_looked_for(tmp_path):
    cache = ArtifactCache(tmp_path / "case.json", {}, {"data": tmp_path / "data.zarr"})
    (tmp_path / "data.zarr").mkdir()
    cache.save({})
    assert cache.is_current()
    (tmp_path / "data.zarr").rmdir()
    assert cache.find_differences() == ("outputs.data",)


def test_details_do_not_replace_the_key(cache):
    with pytest.raises(ValueError, match="made_from"):
        cache.as_record({"made_from": {}})


def test_keys_compare_as_json_does():
    assert find_differences({"a": [1, [2.0, None]]}, {"a": (1, (2, None))}) == ()
    assert find_differences("text", {}) == ("record",)
