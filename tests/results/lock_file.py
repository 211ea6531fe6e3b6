"""The file ``tests/results.lock``: what every public function gave on fifty inputs when its results last changed.

JSON with one line per function and input (:mod:`tests.results.fingerprints`). ``announced`` holds, for each function, a
hash of the lines of CHANGELOG.md that announced its present results, so that one line cannot cover a second change.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.results.fingerprints import Difference, Fingerprint, compare, describe, flatten
from tests.results.inputs import COUNT

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "tests" / "results.lock"
CHANGELOG = ROOT / "CHANGELOG.md"
HEADING = "### Results changed"
Results = dict[str, dict[str, Fingerprint]]  # input ("00" … "49") → output → fingerprint
Recipe = Callable[[int], Any]

HOW_TO = """If it is not meant, it is a bug. If it is:
  1. CHANGELOG.md, under "## Unreleased" and "{heading}": a line that names {names},
     and says what changes, by how much, and for whom.
  2. python tests/write_results_lock.py    (or: make results-lock)
  3. Commit both with the change."""


@dataclass
class Lock:
    """What is locked.

    Attributes:
        functions: by name.
        announced: by name, hash of the announcements; a function whose results never changed has none.
    """

    functions: dict[str, Results] = field(default_factory=dict)
    announced: dict[str, str] = field(default_factory=dict)


def evaluate(recipe: Recipe, inputs: range = range(COUNT)) -> Results:
    """Fingerprints of what a recipe gives."""
    found = {}
    for number in inputs:
        outputs = flatten(recipe(number))
        found[f"{number:02}"] = {name: describe(value) for name, value in outputs.items()}
    return found


def find_differences(locked: Results, found: Results) -> list[Difference]:
    """What differs, input by input; inputs that were not evaluated are left out."""
    out = []
    for key, outputs in found.items():
        before, number = locked.get(key, {}), int(key)
        for name in sorted({*before, *outputs}):
            if name not in before or name not in outputs:
                text = "is new" if name in outputs else "is gone"
                out.append(Difference(number, name, text, None, 0.0))
            elif difference := compare(number, name, before[name], outputs[name]):
                out.append(difference)
    return out


def explain(name: str, differences: list[Difference]) -> str:
    """Which function gives other results, by how much, and what to write where."""
    sized = [item for item in differences if item.size is not None]
    worst = max(sized, key=lambda item: item.size or 0.0) if sized else differences[0]
    inputs = len({item.number for item in differences})
    much = "" if worst.size is None else f", by {worst.size:.2g} at most ({worst.allowed:.2g} is allowed)"
    return (
        f"{name} gives other results on {inputs} inputs{much}: input {worst.number}, {worst.output}: {worst.text}.\n"
        + HOW_TO.format(heading=HEADING, names=f"`{name}`")
    )


def read_lock(path: Path = LOCK) -> Lock:
    """The locked results."""
    content = json.loads(path.read_text(encoding="utf-8"))
    functions = {
        name: {
            key: dict(zip(table["outputs"][row[0]], map(_unpack, row[1:]), strict=True))
            for key, row in table.items()
            if key != "outputs"
        }
        for name, table in content["functions"].items()
    }
    return Lock(functions, content["announced"])


def write_lock(lock: Lock, path: Path = LOCK) -> None:
    """Write the file: one line per function and input, which begins with the number of its list of outputs."""
    tables = []
    for name in sorted(lock.functions):
        results = sorted(lock.functions[name].items())
        kinds = list(dict.fromkeys(tuple(outputs) for _, outputs in results))
        rows = [f'"outputs": {_compact(kinds)}']
        for key, outputs in results:
            row = [kinds.index(tuple(outputs)), *map(_pack, outputs.values())]
            rows.append(f"{json.dumps(key)}: {_compact(row)}")
        tables.append(f"{json.dumps(name)}: {{\n" + ",\n".join(rows) + "\n}")
    text = f'{{"announced": {json.dumps(lock.announced, indent=1, sort_keys=True)},\n"functions": {{\n'
    path.write_text(text + ",\n".join(tables) + "\n}}\n", encoding="utf-8")


def _pack(fingerprint: Fingerprint) -> Any:
    """One number and a text without their kind."""
    kind, *rest = fingerprint
    return rest[0] if len(rest) == 1 and kind in ("numbers", "text") else fingerprint


def _unpack(value: Any) -> Fingerprint:
    """A fingerprint as it was before it was packed."""
    if isinstance(value, list):
        return value
    return ["text" if isinstance(value, str) else "numbers", value]


def read_announcements(changelog: str) -> dict[str, str]:
    """Per function, hash of the lines under "Results changed" of the unreleased part that name it.

    >>> found = read_announcements("## Unreleased\\n\\n### Results changed\\n\\n- `a.b`: more.\\n- `c`: less.\\n")
    >>> sorted(found)
    ['a.b', 'c']
    """
    unreleased = re.search(r"^## Unreleased\n(.*?)(?=^## |\Z)", changelog, flags=re.DOTALL | re.MULTILINE)
    section = re.search(
        rf"^{HEADING}\n(.*?)(?=^### |\Z)", unreleased[1] if unreleased else "", flags=re.DOTALL | re.MULTILINE
    )
    texts: dict[str, list[str]] = {}
    for entry in re.findall(r"^- (.*?)(?=^- |\Z)", section[1] if section else "", flags=re.DOTALL | re.MULTILINE):
        for name in set(re.findall(r"`([\w.]+)`", entry)):
            texts.setdefault(name, []).append(" ".join(entry.split()))
    return {name: hashlib.sha256("\n".join(sorted(entries)).encode()).hexdigest() for name, entries in texts.items()}


def renew(old: Lock, found: Mapping[str, Results], changelog: str) -> tuple[Lock, list[str]]:
    """The lock of new results, and the functions whose change no line of the changelog announces.

    Args:
        old: what is locked.
        found: results of every function now.
        changelog: text of CHANGELOG.md.
    """
    announced = read_announcements(changelog)
    lock, missing = Lock(), []
    for name, results in found.items():
        before = old.functions.get(name)
        if name in old.announced:
            lock.announced[name] = old.announced[name]
        if before is None:
            lock.functions[name] = results
        elif not find_differences(before, results) and before.keys() == results.keys():
            lock.functions[name] = before  # within the tolerance: the file stays as it is
        else:
            lock.functions[name] = results
            if name not in announced or announced[name] == old.announced.get(name):
                missing.append(name)
            else:
                lock.announced[name] = announced[name]
    return lock, missing


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
