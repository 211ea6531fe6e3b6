"""Hard links are the same file until one of the names is written again."""

from __future__ import annotations

from ssimh.files.atomic import atomic_write
from ssimh.files.hard_link import is_linked, link_file


def test_a_link_is_the_file_and_survives_a_new_one_under_the_other_name(tmp_path):
    first, second = tmp_path / "a.txt", tmp_path / "b.txt"
    first.write_text("one")
    second.write_text("other")
    assert not is_linked(first, second)
    for _ in range(2):  # the second time there is nothing to do
        link_file(first, second)
        assert is_linked(first, second)
        assert second.read_text() == "one"
    with atomic_write(first) as temporary:
        temporary.write_text("two")
    assert (first.read_text(), second.read_text()) == ("two", "one")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "b.txt"]
    assert not is_linked(first, tmp_path / "none.txt")
