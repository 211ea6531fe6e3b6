"""The entry points, in fresh interpreters."""

import subprocess
import sys

import pytest

import ssimh as package
from tests.interpreters import block, run

COMMANDS = ("fit", "fit-site", "apply", "align", "report")


@pytest.mark.parametrize("module", ["ssimh", "ssimh.cli.main"])
def test_help_and_version(module):
    version = subprocess.run(
        [sys.executable, "-m", module, "--version"], capture_output=True, encoding="utf-8", check=True
    )
    assert version.stdout.strip() == package.__version__
    text = subprocess.run(
        [sys.executable, "-m", module, "--help"], capture_output=True, encoding="utf-8", check=True
    ).stdout
    assert all(name in text for name in COMMANDS)


@pytest.mark.parametrize("missing", ["typer", "rich", "SimpleITK"])
@pytest.mark.parametrize("start", ["import runpy; runpy.run_module('ssimh', run_name='__main__')", "script"])
def test_a_missing_extra_is_named(missing, start):
    start = "import ssimh.cli.main; ssimh.cli.main.main()" if start == "script" else start
    result = run(block([missing]) + f"import sys; sys.argv = ['ssimh', '--help']\n{start}")
    assert result.returncode == 1
    assert missing in result.stderr
    assert 'pip install "ssimh[cli]"' in result.stderr
    assert "Traceback" not in result.stderr


def test_missing_matplotlib_is_named_before_the_work(tmp_path):
    import numpy as np

    from tests.ssimh.cli.commands import succeed, write

    scan = write(tmp_path / "scan.nii.gz", np.zeros((6, 24, 22), np.int16))
    succeed("fit", scan, "--out", tmp_path / "ref.npz")
    arguments = ["ssimh", "apply", str(scan), "--reference", str(tmp_path / "ref.npz"), "--out", str(tmp_path / "out")]
    start = f"import sys; sys.argv = {arguments!r}\nimport ssimh.cli.main; ssimh.cli.main.main()"
    result = run(block(["matplotlib"]) + start)
    assert result.returncode == 1
    assert 'pip install "ssimh[cli]"' in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out").exists()
