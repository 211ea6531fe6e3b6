"""The command as a user types it, and the scans it works on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from typer.testing import CliRunner

from ssimh.cli.app import app


def ssimh(*arguments: object) -> Any:
    """Run the command in this process."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def succeed(*arguments: object) -> Any:
    """Run the command, which must end with status 0."""
    result = ssimh(*arguments)
    assert result.exit_code == 0, result.output
    return result


def refuse(*arguments: object, naming: tuple[object, ...] = ()) -> Any:
    """Run the command, which must end with an error that names these facts, and not with a traceback."""
    result = ssimh(*arguments)
    assert result.exit_code in (1, 2), result.output
    assert isinstance(result.exception, SystemExit), result.exception
    text = " ".join(result.output.split())
    assert all(str(fact) in text for fact in naming), (naming, result.output)
    return result


def write(
    path: Path,
    values: NDArray[Any],
    *,
    spacing: tuple[float, ...] = (1.0, 1.0, 2.5),
    direction: tuple[float, ...] | None = None,
    metadata: dict[str, str] | None = None,
) -> Path:
    """Write an image with SimpleITK; spacing in the order (x, y, z)."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(values))
    image.SetSpacing(spacing[: values.ndim])
    if direction is not None:
        image.SetDirection(direction)
    for key, value in (metadata or {}).items():
        image.SetMetaData(key, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path))
    return path


def read(path: Path) -> NDArray[Any]:
    """Voxels of an image, (z, y, x)."""
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its content; the lock aside."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".ssimh.lock")
    }
