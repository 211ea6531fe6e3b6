"""Program of a process that runs scripts with an unpacked wheel and without any checkout; see ``tests/wheel.py``.

Reads the task as JSON from standard input, and ends with a line of JSON: what each script printed, and where every
module of the wheel's packages came from.
"""

import contextlib
import importlib
import importlib.metadata
import io
import json
import runpy
import sys
import warnings
from pathlib import Path

PACKAGES = ("ssimh", "hnseg")


def main() -> None:
    """Run the scripts of the task."""
    task = json.load(sys.stdin)
    checkouts = [
        place for place in sys.path if any((Path(place) / name / "__init__.py").is_file() for name in PACKAGES)
    ]
    sys.path[:] = [task["wheel"], *(place for place in sys.path if place not in checkouts)]
    for name in task["imports"]:
        importlib.import_module(name)
    outputs = {}
    for script in task["scripts"]:
        sys.argv = script
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()) as printed:
            warnings.simplefilter("error")
            warnings.filterwarnings("ignore", "parsing config_file")  # MONAI's, of every bundle
            runpy.run_path(script[0], run_name="__main__")
        outputs[Path(script[0]).name] = printed.getvalue()
    modules = {name: module.__file__ for name, module in sys.modules.items() if name.split(".")[0] in PACKAGES}
    modules["metadata"] = str(importlib.metadata.distribution("ssimh").locate_file("."))
    print(json.dumps({"outputs": outputs, "modules": modules}))


if __name__ == "__main__":
    main()
