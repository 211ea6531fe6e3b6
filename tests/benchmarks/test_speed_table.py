"""benchmarks/speed_table.py: README and documentation show the record, and the record survives a file."""

from __future__ import annotations

import dataclasses
import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import reading
import speed_table
import swap_speed as swap

ROOT = Path(__file__).parents[2]
RECORD = speed_table.load_record()


def small_record(seconds=0.004):
    swaps = (swap.SwapFigures((2, 3, 4), {swap.COPY: 0.002, swap.SWAP: seconds}, 1e-4, 1.05, 1.5, 0.01, ("b",)),)
    read = reading.ReadingFigures((5, 6, 7), 1.5, {reading.GZIP: 0.5, "LoadImage, X": 0.25}, ("a",), None)
    where = speed_table.Provenance("2001-02-03", "Some CPU", 2, "Linux", {"Python": "3.11.0"}, quick=False)
    return speed_table.SpeedRecord(where, swaps, read, (0.05, 0.0515))


def test_readme_and_documentation_show_the_record():
    """Whoever types a figure, or forgets the tables after `make bench`, fails here: `bench.py --tables-only`."""
    table = speed_table.format_table(RECORD)
    readme = speed_table.README.read_text(encoding="utf-8")
    assert readme == speed_table.insert_table(readme, table)
    expected = table + "\n" + speed_table.format_facts(RECORD)
    assert speed_table.TABLE.read_text(encoding="utf-8") == expected
    assert "speed.txt" in (ROOT / "docs" / "ssimh" / "benchmarks.md").read_text(encoding="utf-8")


def test_a_record_survives_a_file(tmp_path):
    speed_table.save_record(small_record(), tmp_path / "deep" / "speed.json")
    assert speed_table.load_record(tmp_path / "deep" / "speed.json") == small_record()


def test_ratios_and_provenance_by_hand():
    table = speed_table.format_table(small_record())
    assert "| 4.0 ms, 2.00 × |" in table  # 4 ms against the copy's 2
    assert "| 250.0 ms, 0.50 × |" in table
    for fact in ("2001-02-03", "Some CPU", "2 cores", "Linux", "Python 3.11.0", "2 × 3 × 4", "5 × 6 × 7"):
        assert fact in table
    assert "| 60 ms, 30 × |" in speed_table.format_table(small_record(0.06))
    facts = speed_table.format_facts(small_record())
    for fact in ("1.0e-04 HU", "1.05 images", "1.50 swaps", "1.0%", "1.5 ms more", "50 ms", "a, b"):
        assert fact in facts
    assert "ITKReader" not in facts


def test_a_difference_from_itk_is_not_hidden():
    read = dataclasses.replace(small_record().reading, same_as_itk=False)
    assert "NOT" in speed_table.format_facts(dataclasses.replace(small_record(), reading=read))


def test_only_what_is_between_the_markers_changes():
    page = f"before\n{speed_table.BEGIN}\nold\n{speed_table.END}\nafter\n"
    assert speed_table.insert_table(page, "new\n") == page.replace("old", "new")
    for wrong in ("", page + page, page.replace(speed_table.END, "")):
        with pytest.raises(ValueError, match="once"):
            speed_table.insert_table(wrong, "new\n")


def test_the_record_has_the_sizes_and_rows_that_the_aims_are_about():
    assert [figures.shape for figures in RECORD.swaps] == list(swap.SHAPES)
    assert all({swap.COPY, swap.SWAP, swap.SWAP_OUT} <= set(figures.seconds) for figures in RECORD.swaps)
    assert f"{reading.STRICT}, with isal" in RECORD.reading.seconds
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", RECORD.provenance.date)


def test_a_small_measurement_has_every_figure():
    figures = swap.measure((3, 24, 20), quick=True, repeats=2)
    assert figures.deviation_hu < 1e-3
    assert all(seconds > 0 for seconds in figures.seconds.values())
    assert figures.allocated > 1
