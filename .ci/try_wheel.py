"""The built wheel in the hands of a person who has nothing else: `make test-wheel`.

Builds the wheel, installs it into a new environment, and in an empty folder runs what the first tutorial shows, block
by block, and the examples. Nothing of the checkout is on the path; only the versions are those of constraints.txt. What
the tutorial prints must be what it says that it prints.

    python .ci/try_wheel.py
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
TUTORIAL = ROOT / "docs" / "tutorials" / "first_scan.md"
# Extras, and the examples that need no others. hecktor_task1.py is `make demo`; monai_bundle.py needs a trained run.
STEPS = (
    ("cli", ("plain_simpleitk.py", "nnunet_dataset.py")),
    ("monai,torchio", ("monai_pipeline.py", "torchio_subject.py")),
)


def read_blocks(page: Path) -> list[tuple[str, str]]:
    """Language and text of the code blocks of a page."""
    return re.findall(
        r"^```(python|console|text)\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    )


def run(command: list[str], folder: Path, environment: dict[str, str]) -> str:
    """What a command prints; the script ends where it fails."""
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"try_wheel: {' '.join(command)[:200]} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def install(python: Path, wheel: Path, extras: str, environment: dict[str, str]) -> None:
    """The wheel with some extras, in the versions of constraints.txt."""
    print(f"try_wheel: pip install {wheel.name}[{extras}]", flush=True)
    options = ["--quiet", "--disable-pip-version-check", "-c", str(ROOT / "constraints.txt")]
    run([str(python), "-m", "pip", "install", *options, f"{wheel}[{extras}]"], wheel.parent, environment)


def follow_tutorial(folder: Path, python: Path, environment: dict[str, str]) -> None:
    """Every block of the first tutorial, in order, in an empty folder; and whether it printed what the page shows."""
    blocks = read_blocks(TUTORIAL)
    print(f"try_wheel: {len(blocks)} blocks of {TUTORIAL.name}", flush=True)
    # One interpreter for the Python blocks, as in a notebook; command lines in between are run by it, in their place.
    program, commands = [], []
    for language, text in blocks:
        if language == "python":
            program.append(text)
        elif language == "console":
            lines = [line.removeprefix("$ ") for line in text.splitlines() if not line.startswith("$ pip install")]
            commands += lines
            program += [
                f"import subprocess; subprocess.run({line.split()!r}, check=True, capture_output=True)\n"
                for line in lines
            ]
    printed = run([str(python), "-P", "-c", "\n".join(program)], folder, environment)
    expected = "".join(text for language, text in blocks if language == "text")
    if [line.rstrip() for line in printed.splitlines()] != [line.rstrip() for line in expected.splitlines()]:
        sys.exit(f"try_wheel: the tutorial prints\n{printed}and says that it prints\n{expected}")
    if not commands or not (folder / "harmonized" / "report.html").is_file():
        sys.exit("try_wheel: the tutorial's commands have written no harmonized/report.html")


def main() -> None:
    """Build, install, follow the tutorial, run the examples."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    with tempfile.TemporaryDirectory(prefix="ssimh-wheel-") as home:
        folder, made = Path(home) / "empty", Path(home) / "dist"
        folder.mkdir()
        venv.create(Path(home) / "venv", with_pip=True)
        python = Path(home) / "venv" / "bin" / "python"
        environment |= {"PATH": f"{python.parent}:{environment['PATH']}", "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1"}
        run(
            [str(python), "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(made), str(ROOT)],
            Path(home),
            environment,
        )
        (wheel,) = made.glob("ssimh-*.whl")
        for extras, examples in STEPS:
            install(python, wheel, extras, environment)
            if extras == "cli":
                place = run(
                    [str(python), "-P", "-c", "import ssimh, hnseg; print(ssimh.__file__)"], folder, environment
                )
                if not place.startswith(home):
                    sys.exit(f"try_wheel: ssimh was imported from {place}")
                follow_tutorial(folder, python, environment)
            for name in examples:
                print(f"try_wheel: examples/{name}", flush=True)
                run([str(python), "-P", str(ROOT / "examples" / name)], folder, environment)
    print("try_wheel: done", flush=True)


if __name__ == "__main__":
    main()
