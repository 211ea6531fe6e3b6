"""Files of sites of earlier versions: the same subjects in another form.

Version 1 is a table of 31 numbers a subject, 2 has named fields, 3 knows PET, and 4 the grain of CT and a field of
polynomials. The cosines of earlier fields become the polynomials nearest to them.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimh.files.json_object import JsonObject
from ssimh.site.field import from_cosines
from ssimh.site.subjects import MODALITIES, PET_SUBJECT, SUBJECT

# A subject of CT up to version 3: the fields that it has today, without the grain.
FIELDS = ("log_field", "linear_field", "body_box", "tissue_shares", "tissue_voxels", "body_ml")
EARLIER_SUBJECT = np.dtype([(name, SUBJECT[name]) for name in FIELDS])


def read_earlier_site(version: int, header: JsonObject, array: NDArray[Any]) -> tuple[JsonObject, NDArray[Any], str]:
    """Settings and subjects of a file of version 1, 2 or 3 in today's form, and the hash of its content.

    Args:
        version: of the file.
        header: of the file, without its format, version and hash.
        array: (n, 31) numbers in version 1, (n,) subjects with named fields later.

    Returns:
        The settings, the subjects of today's dtype (grain that was not measured is 0), and the hash that the version
        which wrote the file put into its header.

    Raises:
        ValueError, KeyError: content that is none of a site.
    """
    settings = {name: value for name, value in header.items() if name != "n_subjects"}
    if version == 1:
        settings["tissue_window_hu"], settings["body_threshold_hu"] = settings.pop("tissue"), settings.pop("threshold")
        array = np.ascontiguousarray(array, np.float64).view(EARLIER_SUBJECT).reshape(-1)
    modality = settings.get("modality", "CT")
    if array.dtype != (PET_SUBJECT if modality == "PT" else EARLIER_SUBJECT):
        raise ValueError(f"subjects of {modality} in version {version} have other fields than {array.dtype.names}")
    hashed = {"tissue": settings["tissue_window_hu"], "threshold": settings["body_threshold_hu"]}
    hashed |= {name: settings[name] for name in ("orientation", "modality") if name in settings}
    digest = hashlib.sha256(json.dumps(hashed, sort_keys=True).encode())
    digest.update(array.tobytes())
    subjects = np.zeros(len(array), MODALITIES[modality])
    for name in array.dtype.names or ():
        subjects[name] = from_cosines(array[name]) if name.endswith("_field") else array[name]
    return settings, subjects, f"sha256:{digest.hexdigest()}"
