"""Write ``tests/results.lock`` again after results have changed, once CHANGELOG.md announces the change.

A function whose results differ from the lock by more than rounding needs a line that names it in backticks, under
"### Results changed" in the part "## Unreleased" of CHANGELOG.md; without it nothing is written. New functions need
none.

    python tests/write_results_lock.py        # or: make results-lock
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.results.lock_file import (
    CHANGELOG,
    LOCK,
    Lock,
    evaluate,
    explain,
    find_differences,
    read_lock,
    renew,
    write_lock,
)
from tests.results.recipes import GROUPS, find_missing, load_recipes


def main() -> int:
    """Evaluate every function, and write the lock or say what is missing."""
    missing = sorted({name for group in GROUPS for name in find_missing(group)})
    if missing:
        print(f"the results of all functions are needed; not installed: {', '.join(missing)}", file=sys.stderr)
        return 1
    found = {name: evaluate(recipe) for group in GROUPS for name, recipe in load_recipes(group).items()}
    old = read_lock() if LOCK.exists() else Lock()
    lock, unannounced = renew(old, found, CHANGELOG.read_text(encoding="utf-8"))
    for name in unannounced:
        print(explain(name, find_differences(old.functions[name], found[name])), file=sys.stderr)
    if unannounced:
        print(f"{LOCK.name} stays as it is: {len(unannounced)} changes are not announced.", file=sys.stderr)
        return 1
    changed = [name for name in lock.functions if lock.functions[name] != old.functions.get(name)]
    write_lock(lock)
    print(f"{LOCK.name}: {len(lock.functions)} functions, {len(changed)} of them with other results than before.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
