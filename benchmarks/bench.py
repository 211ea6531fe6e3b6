"""Measure speed, and write the one table of README and documentation: ``make bench``.

    python benchmarks/bench.py                # everything, about three minutes on two cores
    python benchmarks/bench.py --quick        # without the alternatives that take seconds per volume
    python benchmarks/bench.py --tables-only  # the tables again, from the record

Writes ``docs/benchmarks/speed.json``, ``docs/benchmarks/speed.txt`` and the part of README between its markers. Run it
on a machine that does nothing else, with the threads that count (``OMP_NUM_THREADS=2``).
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import platform
import sys
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import reading
import speed_table
import swap_speed as swap

from ssimh._kernels.threads import worker_count

PACKAGES = {
    "ssimh": "ssimh",
    "numpy": "NumPy",
    "scipy": "SciPy",
    "isal": "isal",
    "SimpleITK": "SimpleITK",
    "torch": "torch",
    "monai": "MONAI",
    "nibabel": "nibabel",
    "itk-core": "ITK",
    "scikit-image": "scikit-image",
    "torch-dct": "torch-dct",
}


def processor() -> str:
    """Model of the processor, as far as the system says it."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def find_provenance(quick: bool) -> speed_table.Provenance:
    """This machine, its packages, and the date."""
    versions = {"Python": platform.python_version()}
    for package, name in PACKAGES.items():
        with suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(package)
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    return speed_table.Provenance(today, processor(), worker_count(None), platform.system(), versions, quick)


def main() -> None:
    """Parse the command line, measure, and write record and tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="leave out the alternatives that take seconds")
    parser.add_argument("--tables-only", action="store_true", help="write the tables from the record that is there")
    arguments = parser.parse_args()
    if not arguments.tables_only:
        provenance = find_provenance(arguments.quick)
        swaps = tuple(swap.measure(shape, arguments.quick) for shape in swap.SHAPES)
        record = speed_table.SpeedRecord(provenance, swaps, reading.measure(), swap.import_seconds())
        speed_table.save_record(record, speed_table.RECORD)
    speed_table.write_tables(speed_table.load_record())
    print(speed_table.TABLE.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
