"""The record of ``make bench`` and the one table that README and documentation show of it.

No figure of the table is typed: ``tests/benchmarks/test_speed_table.py`` compares both with the record.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from reading import GZIP, ReadingFigures
from swap_speed import COPY, SWAP, SWAP_OUT, SwapFigures

ROOT = Path(__file__).parents[1]
RECORD = ROOT / "docs" / "benchmarks" / "speed.json"
TABLE = ROOT / "docs" / "benchmarks" / "speed.txt"
README = ROOT / "README.md"
BEGIN, END = "<!-- benchmarks: begin -->", "<!-- benchmarks: end -->"
NAMES = {
    "plain copy, memory reused": "plain copy into memory that is reused",
    SWAP: "**`swap_spectrum`**, stored reference",
    SWAP_OUT: "**`swap_spectrum(out=)`**, memory that is reused",
    "ssimh, reference image": "**`swap_spectrum`**, reference image",
    "ssimh, volume mode, reference image": "**`swap_spectrum`**, in three dimensions, reference image",
    "scipy.fft, vectorized, workers=2": "`scipy.fft`, all slices at once, two threads",
    "scipy.fft, slice by slice": "`scipy.fft`, slice by slice",
}


@dataclass(frozen=True)
class Provenance:
    """Where and when a record was made.

    Attributes:
        date: ISO, UTC.
        processor: model name.
        cores: that the process may use.
        system: operating system.
        versions: package to version; of Python and the libraries that were measured.
        quick: whether the slow alternatives were left out.
    """

    date: str
    processor: str
    cores: int
    system: str
    versions: dict[str, str]
    quick: bool


@dataclass(frozen=True)
class SpeedRecord:
    """Everything that one run of ``make bench`` measured; ``import_seconds`` without and with ssimh."""

    provenance: Provenance
    swaps: tuple[SwapFigures, ...]
    reading: ReadingFigures
    import_seconds: tuple[float, float]


def save_record(record: SpeedRecord, path: Path) -> None:
    """Write a record as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(record), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def load_record(path: Path = RECORD) -> SpeedRecord:
    """The record in a file."""
    raw = json.loads(path.read_text(encoding="utf-8"))
    swaps = tuple(SwapFigures(**_tuples(figures, "shape", "missing")) for figures in raw["swaps"])
    reading = ReadingFigures(**_tuples(raw["reading"], "shape", "missing"))
    without, with_ssimh = raw["import_seconds"]
    return SpeedRecord(Provenance(**raw["provenance"]), swaps, reading, (without, with_ssimh))


def _tuples(raw: dict[str, object], *names: str) -> dict[str, object]:
    return {name: tuple(value) if name in names and isinstance(value, list) else value for name, value in raw.items()}


def format_size(shape: tuple[int, ...]) -> str:
    """A shape as text."""
    return " × ".join(map(str, shape))


def format_table(record: SpeedRecord) -> str:
    """The table, Markdown, with machine, versions and date."""
    sizes = [format_size(figures.shape) for figures in record.swaps]
    lines = [
        f"| Swap of the low frequencies, float32, slice by slice, τ = 3 | {' | '.join(sizes)} |",
        f"|---|{'---:|' * len(sizes)}",
    ]
    for name in record.swaps[0].seconds:
        cells = [_cell(figures.seconds[name], figures.seconds[COPY]) for figures in record.swaps]
        lines.append(f"| {NAMES.get(name, name)} | {' | '.join(cells)} |")
    reading = record.reading
    lines += ["", f"| Reading a `.nii.gz`, int16, {format_size(reading.shape)} | |", "|---|---:|"]
    for name, seconds in sorted(
        reading.seconds.items(), key=lambda row: ("LoadImage" in row[0], row[0] != GZIP, -row[1])
    ):
        shown = name.replace("LoadImage, ", "MONAI `LoadImage`, ")
        shown = f"**{shown}**" if "strict" in name.lower() else shown
        lines.append(f"| {shown} | {_cell(seconds, reading.seconds[GZIP])} |")
    return "\n".join([*lines, "", _origin(record)]) + "\n"


def format_facts(record: SpeedRecord) -> str:
    """What the documentation states beside the table: exactness, memory, cost of the warning and of importing."""
    lines = []
    for figures in record.swaps:
        lines.append(
            f"- {format_size(figures.shape)}: largest deviation from `scipy.fft` in float64 {figures.deviation_hu:.1e} "
            f"HU; peak allocation {figures.allocated:.2f} images, the result included; the transform `SpectrumSwap` "
            f"takes {figures.transform_swaps:.2f} swaps, and `warn_above_hu` {figures.warning_share:.1%} of that."
        )
    without, with_ssimh = record.import_seconds
    lines.append(
        f"- `import ssimh` takes {1e3 * (with_ssimh - without):.1f} ms more than `import numpy, scipy` "
        f"({1e3 * without:.0f} ms)."
    )
    if record.reading.same_as_itk is not None:
        verb = "are" if record.reading.same_as_itk else "are NOT"
        lines.append(f"- Array and affine of `StrictReader` {verb} those of MONAI's `ITKReader`, bit by bit.")
    if missing := sorted({name for part in (*record.swaps, record.reading) for name in part.missing}):
        lines.append(f"- Not installed, so not measured: {', '.join(missing)}.")
    return "\n".join(lines) + "\n"


def _reading_order(row: tuple[str, float]) -> tuple[bool, bool, float]:
    """Files before MONAI's transform, what is compared with first, the slowest next."""
    return "LoadImage" in row[0], row[0] != GZIP, -row[1]


def _cell(seconds: float, base: float) -> str:
    ratio = seconds / base
    return f"{1e3 * seconds:.1f} ms, {ratio:.2f} ×" if ratio < 10 else f"{1e3 * seconds:.0f} ms, {ratio:.0f} ×"


def _origin(record: SpeedRecord) -> str:
    where = record.provenance
    versions = ", ".join(f"{name} {version}" for name, version in where.versions.items())
    return (
        f"*`make bench` on {where.date}: {where.processor}, {where.cores} cores, {where.system}; {versions}. Each "
        "figure is the fastest of its repetitions, which take turns; × is against the first row.*"
    )


def insert_table(page: str, table: str) -> str:
    """A page with the table between its markers.

    Raises:
        ValueError: The page has not each of the two markers once.
    """
    if page.count(BEGIN) != 1 or page.count(END) != 1:
        raise ValueError(f"the page needs {BEGIN!r} and {END!r} once each.")
    head, rest = page.split(BEGIN)
    return f"{head}{BEGIN}\n{table}{END}{rest.split(END)[1]}"


def write_tables(record: SpeedRecord) -> None:
    """Write the table into the documentation and between the markers of README."""
    TABLE.write_text(format_table(record) + "\n" + format_facts(record), encoding="utf-8")
    README.write_text(insert_table(README.read_text(encoding="utf-8"), format_table(record)), encoding="utf-8")
