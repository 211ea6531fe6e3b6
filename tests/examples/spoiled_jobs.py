"""Images of a challenge job, spoiled: removed, damaged, or of no use."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from hnseg.images.geometry import Grid
from hnseg.images.image_io import read_image, write_image


def remove_pet(job: Path) -> None:
    shutil.rmtree(job / "input" / "images" / "pet")


def fill_pet_with_garbage(job: Path) -> None:
    (job / "input" / "images" / "pet" / "3f2b.mha").write_bytes(b"no image\n" * 99)


def truncate_pet(job: Path) -> None:
    path = job / "input" / "images" / "pet" / "3f2b.mha"
    path.write_bytes(path.read_bytes()[:3000])


def make_pet_constant(job: Path) -> None:
    path = job / "input" / "images" / "pet" / "3f2b.mha"
    values, grid = read_image(path, "pet")
    write_image(path, np.ones_like(values), grid)


def move_pet_away(job: Path) -> None:
    path = job / "input" / "images" / "pet" / "3f2b.mha"
    values, grid = read_image(path, "pet")
    write_image(path, values, Grid(grid.size, grid.spacing_mm, (5000.0, 0.0, 0.0)))


def truncate_ct(job: Path) -> None:
    path = job / "input" / "images" / "ct" / "3f2b.mha"
    path.write_bytes(path.read_bytes()[:9000])
