"""The example of the bundle runs as a user would run it."""

import runpy
import sys

import pytest

from hnseg.cohort.cases import discover_cases
from tests.examples.loading import EXAMPLES


@pytest.mark.filterwarnings("default")  # of MONAI's reader of configurations
def test_monai_bundle(monkeypatch, capsys, trained_run, small_cohort, tmp_path):
    case = discover_cases(small_cohort)[0]
    places = [trained_run, tmp_path / "bundle", case.ct, case.pet, tmp_path / "masks"]
    monkeypatch.setattr(sys, "argv", ["monai_bundle.py", *map(str, places), "--device", "cpu"])
    runpy.run_path(str(EXAMPLES / "monai_bundle.py"), run_name="__main__")
    output = capsys.readouterr().out
    assert "models/fold_0/best.pt, models/fold_1/best.pt" in output
    assert f"mask: {tmp_path / 'masks' / case.ct.name.split('.')[0]}.nii.gz" in output
    assert "logits of shape (1, 3, " in output
