"""The pictures of the pages, drawn by every build of the documentation from generated scans.

    python docs/pictures/write_pictures.py    # draws what is missing into docs/_generated/pictures

A picture is drawn again only when what it is made from has changed (``SOURCES``, and the
version of matplotlib). The same source gives the same pixels.
"""

from __future__ import annotations

import hashlib
import logging
import sys
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import matplotlib
from doors import draw_door_harmonize, draw_door_pipeline, draw_door_segment, draw_harmonize
from matplotlib.figure import Figure
from scheme import PIXELS_PER_INCH, SCHEMES, Scheme
from segmentation import draw_crop, draw_normalization, draw_pairs, draw_undefined
from swap import (
    draw_cosines,
    draw_site,
    draw_swap_other,
    draw_swap_profile,
    draw_swap_same,
    draw_swap_steps,
)
from tutorials import draw_tutorial

FOLDER = Path(__file__).parents[1] / "_generated" / "pictures"
ROOT = Path(__file__).parents[2]
SOURCES = (
    "docs/pictures",
    "docs/tutorials",
    *(f"hnseg/{room}" for room in ("phantom", "images", "preprocessing", "evaluation", "pictures/palette.py")),
    *(f"ssimh/{name}" for name in ("_kernels", "site", "swap.py", "reference.py", "metrics.py")),
)
PICTURES: Mapping[str, Callable[[Scheme], Figure]] = {
    "door-harmonize": draw_door_harmonize,
    "door-pipeline": draw_door_pipeline,
    "door-segment": draw_door_segment,
    "harmonize": draw_harmonize,
    "cosines": draw_cosines,
    "swap-steps": draw_swap_steps,
    "swap-same": draw_swap_same,
    "swap-other": draw_swap_other,
    "swap-profile": draw_swap_profile,
    "site": draw_site,
    "crop": draw_crop,
    "normalization": draw_normalization,
    "undefined": draw_undefined,
    "pairs": draw_pairs,
    "tutorial-first-scan": partial(draw_tutorial, "first_scan"),
    "tutorial-monai-pipeline": partial(draw_tutorial, "monai_pipeline"),
    "tutorial-sites": partial(draw_tutorial, "sites"),
    "tutorial-own-transform": partial(draw_tutorial, "own_transform"),
}


@cache
def hash_sources() -> str:
    """Hash of everything that pictures are made from: this folder, the rooms that it uses, and matplotlib."""
    digest = hashlib.sha256(matplotlib.__version__.encode())
    for source in SOURCES:
        for path in sorted((ROOT / source).rglob("*.[pm][yd]")) or [ROOT / source]:
            digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def picture_path(name: str, scheme: Scheme) -> Path:
    """File of a picture in a scheme."""
    return FOLDER / f"{name}-{scheme.name}.webp"


def write_pictures(names: tuple[str, ...] = tuple(PICTURES)) -> list[str]:
    """Draw the pictures that are missing or older than their sources.

    Args:
        names: Keys of ``PICTURES``.

    Returns:
        Names of the pictures that were drawn.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    logging.getLogger("ssimh").setLevel(logging.WARNING)  # the build prints what is wrong, and nothing else
    drawn = []
    for name in names:
        stamp = FOLDER / f"{name}.sha256"
        files = [picture_path(name, scheme) for scheme in SCHEMES]
        if stamp.is_file() and stamp.read_text() == hash_sources() and all(path.is_file() for path in files):
            continue
        stamp.unlink(missing_ok=True)
        for path, scheme in zip(files, SCHEMES, strict=True):
            figure = PICTURES[name](scheme)
            figure.savefig(path, dpi=PIXELS_PER_INCH, pil_kwargs={"quality": 82, "method": 4})
        stamp.write_text(hash_sources())
        drawn.append(name)
    return drawn


if __name__ == "__main__":
    print("drawn:", ", ".join(write_pictures()) or "nothing has changed")
