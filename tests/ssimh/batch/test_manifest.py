"""The manifest: written and read alike; of another shape it is a documented error."""

import copy
import json

import pytest

from ssimh import compare
from ssimh.batch.manifest import MANIFEST, Manifest, ManifestError, Recipe, ScanRecord, has_manifest, read_manifest


@pytest.fixture
def manifest(scan):
    record = ScanRecord(
        source="in/a.nrrd",
        made_from={"input": {"a.nrrd": {"bytes": 3}}, "recipe": {"method": "swap"}},
        outputs={"a.nrrd": "12ab"},
        figure=None,
        figure_error="no canvas",
        shape=(5, 12, 17),
        spacing_mm=(2.5, 1.0, 1.0),
        orientation="SPL",
        unit=None,
        pixel_type="int16",
        limited_voxels=0,
        noise_gain=None,
        scores=compare(scan, scan + 1),
    )
    recipe = Recipe("swap", "a reference", {"content_hash": "sha256:0", "shape": [5, 12, 17]}, {"clip": [0.0, 1.0]})
    return Manifest(recipe, {"a.nrrd": record}, {"b.nrrd": "KeyError: b"}, {"c.nrrd"})


def test_what_is_written_is_read(manifest, tmp_path):
    manifest.save(tmp_path)
    assert read_manifest(tmp_path) == manifest
    assert has_manifest(tmp_path)


def places(content, prefix=()):
    """Every place in nested JSON objects."""
    for name, value in content.items():
        yield (*prefix, name)
        if isinstance(value, dict) and name not in ("made_from", "reference", "settings"):  # free JSON
            yield from places(value, (*prefix, name))


def changed(content, place, change):
    content = copy.deepcopy(content)
    parent = content
    for name in place[:-1]:
        parent = parent[name]
    if change == "missing":
        del parent[place[-1]]
    else:
        parent[place[-1]] = change
    return content


def test_every_field_that_is_missing_or_of_another_type_is_a_documented_error(manifest, tmp_path):
    manifest.save(tmp_path)
    content = json.loads((tmp_path / MANIFEST).read_text(encoding="utf-8"))
    keys = {"a.nrrd", "b.nrrd"}  # of mappings, which may have any
    refused = 0
    for place in places(content):
        for change in ("missing", [True], {"x": 1}, True):
            if place[-1] in keys and change == "missing":
                continue
            if place[-1] in ("made_from", "reference", "settings") and isinstance(change, dict):
                continue
            (tmp_path / MANIFEST).write_text(json.dumps(changed(content, place, change)), encoding="utf-8")
            with pytest.raises(ManifestError) as caught:
                read_manifest(tmp_path)
            assert str(tmp_path / MANIFEST) in str(caught.value)
            refused += 1
    assert refused > 100


@pytest.mark.parametrize("text", ["", "{", "[]", "1", "null", "{}", '{"format": "other"}', "[" * 100_000])
def test_what_is_no_manifest_is_refused(tmp_path, text):
    (tmp_path / MANIFEST).write_text(text, encoding="utf-8")
    with pytest.raises(ManifestError):
        read_manifest(tmp_path)
    assert not has_manifest(tmp_path)


def test_an_older_version_is_named(manifest, tmp_path):
    manifest.save(tmp_path)
    text = (tmp_path / MANIFEST).read_text(encoding="utf-8")
    (tmp_path / MANIFEST).write_text(text.replace('"version": 3', '"version": 1'), encoding="utf-8")
    with pytest.raises(ManifestError, match="version 1"):
        read_manifest(tmp_path)
    assert has_manifest(tmp_path)


def test_a_folder_without_one(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_manifest(tmp_path)
