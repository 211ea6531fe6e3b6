"""What has to be true before a release: version, tag, changelog, citation and addresses agree.

Ends with 1 and a list of what does not.

python .ci/check_release.py        # `make check-release`; in the release job the tag is in GITHUB_REF_NAME
"""

from __future__ import annotations

import os
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
ADDRESSES = (
    "Repository",
    "Issues",
    "Documentation",
    "Changelog",
)  # of [project.urls], once there is a public repository


def find_problems(root: Path, tag: str | None) -> list[str]:
    """What is missing, one sentence each.

    Args:
        root: of the checkout.
        tag: that is released, or None outside a release job.
    """
    version = re.findall(r'^__version__ = "(.+)"$', (root / "ssimh" / "_version.py").read_text(), flags=re.MULTILINE)[0]
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    changelog = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    found = []
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        found.append(f"ssimh/_version.py states {version}; a release is X.Y.Z.")
    if tag is not None and tag != f"v{version}":
        found.append(f"the tag is {tag}, ssimh/_version.py states {version}; the tag must be v{version}.")
    if f"\nversion: {version}\n" not in (root / "CITATION.cff").read_text(encoding="utf-8"):
        found.append(f"CITATION.cff states another version than {version}.")
    if not re.search(rf"^## {re.escape(version)} \(\d{{4}}-\d\d-\d\d\)$", changelog, flags=re.MULTILINE):
        found.append(
            f'CHANGELOG.md has no section "## {version} (YYYY-MM-DD)"; rename "## Unreleased" and begin a new one.'
        )
    missing = [name for name in ADDRESSES if name not in project.get("urls", {})]
    if missing:
        found.append(
            f"[project.urls] in pyproject.toml lacks {', '.join(missing)}: the addresses of the public repository."
        )
    return found


def main() -> int:
    """Print what is missing; 0 where nothing is."""
    problems = find_problems(ROOT, os.environ.get("GITHUB_REF_NAME"))
    for problem in problems:
        print(f"check-release: {problem}", file=sys.stderr)
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
