"""A folder with one DICOM series as one image.

ITK stacks slices whose positions are uneven with their mean distance, and says so in a warning only; a missing slice
then moves all slices beside it. Files that it cannot read it leaves out.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from ssimh.images.simpleitk import load_sitk
from ssimh.images.voxel_integrity import DEFLATE_RATIO, SLACK_BYTES

KEPT_TAGS = ("0008|0060", "0054|1001")  # modality and PET's unit, which the series reader drops
POSITION = "0020|0032"
UNEVEN = 0.1  # how far a slice may be from its even place, as a share of the slice distance, or of a pixel along it


def read_series(folder: Path) -> Any:
    """The SimpleITK image of the one series in a folder.

    Raises:
        ValueError: None or several series, a damaged file, or slices that are not stacked evenly and straight.
        RuntimeError: ITK cannot read it.
    """
    sitk = load_sitk()
    series = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
    if len(series) != 1:
        raise ValueError(f"the folder holds {len(series)} DICOM series; a folder must hold exactly one")
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), series[0])
    files = [path for path in folder.iterdir() if path.name.lower().endswith(".dcm")]
    if lost := sorted({path.name for path in files} - {Path(name).name for name in names}):
        raise ValueError(f"{len(lost)} files of the folder are damaged or of no series, {lost[0]} the first of them")
    stored = sum(Path(name).stat().st_size for name in names)
    first = sitk.ImageFileReader()
    first.SetFileName(names[0])
    first.ReadImageInformation()
    claimed = math.prod(first.GetSize()) * len(names)
    if claimed > DEFLATE_RATIO * stored + SLACK_BYTES:
        raise ValueError(f"the headers claim {claimed} pixels, the files have {stored} bytes")
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(names)
    reader.MetaDataDictionaryArrayUpdateOn()
    image = reader.Execute()
    for key in KEPT_TAGS:
        if reader.HasMetaDataKey(0, key):
            image.SetMetaData(key, reader.GetMetaData(0, key))
    if len(names) > 1 and all(reader.HasMetaDataKey(number, POSITION) for number in range(len(names))):
        _check_positions(image, [reader.GetMetaData(number, POSITION) for number in range(len(names))])
    return image


def _check_positions(image: Any, positions: list[str]) -> None:
    """Refuse slices that do not lie where the image's header puts them."""
    found = np.array([[float(value) for value in text.split("\\")] for text in positions])
    n = image.GetDimension()
    step = np.asarray(image.GetDirection()).reshape(n, n)[:, -1] * image.GetSpacing()[-1]
    even = np.asarray(image.GetOrigin()) + np.arange(len(found))[:, None] * step
    apart = np.linalg.norm(found - even, axis=1)
    allowed = UNEVEN * image.GetSpacing()[-1] + 0.5 * min(image.GetSpacing()[:2])
    if not apart.max() <= allowed:
        worst = int(np.nan_to_num(apart, nan=np.inf).argmax())
        raise ValueError(
            f"slice {worst + 1} of {len(found)} lies {apart[worst]:.2f} mm off its even place ({allowed:.2f} mm are "
            "allowed); a slice is missing, or the gantry was tilted"
        )
