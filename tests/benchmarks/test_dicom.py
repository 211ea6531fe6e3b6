"""benchmarks/dicom.py: its series are sound, and the memory of a walk grows with the number of files alone."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from hnseg.dicom.series.read_volume import read_volume
from hnseg.dicom.series.walk import find_series

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import dicom

BYTES_PER_FILE = 2500


def test_the_series_is_sound(tmp_path):
    dicom.write_series(tmp_path, 4, 16, per_folder=2)
    (series,) = find_series(tmp_path).series
    assert series.label == "CT series 1 (16 × 16 × 4)"
    volume = read_volume(series)
    assert volume.grid.spacing_mm[2] == 3
    np.testing.assert_array_equal(volume.values[0], dicom.make_slice(16).pixel_array - 1024.0)


def test_memory_grows_with_the_number_of_files_and_not_with_their_size(tmp_path):
    for name, count, size in (("few", 50, 16), ("many", 200, 16), ("large", 50, 128)):
        (tmp_path / name).mkdir()
        dicom.write_series(tmp_path / name, count, size, per_folder=20)
    find_series(tmp_path / "few")  # what pydicom loads with its first file
    few, many, large = (dicom.peak_bytes(tmp_path / name) for name in ("few", "many", "large"))
    assert many < 200 * BYTES_PER_FILE
    assert large < few * 1.5


def test_measurements_are_ratios(capsys):
    dicom.measure_reading(3, 16)
    dicom.measure_walking(20, 16)
    lines = capsys.readouterr().out.splitlines()
    assert sum("×" in line for line in lines) == 4
