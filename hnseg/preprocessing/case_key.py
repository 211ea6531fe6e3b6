"""Key of a result made from one case: everything it depends on."""

from __future__ import annotations

from collections.abc import Mapping

from hnseg.cohort.cases import Case
from ssimh.files.artifact_cache import InputFile

Key = dict[str, object]


def case_key(case: Case, preparation: Mapping[str, object], *, may_be_absent: bool = False, label: bool = True) -> Key:
    """What a result from one case depends on.

    Args:
        case: Its files.
        preparation: Settings and version of the computation, as
            :func:`hnseg.preprocessing.prepare_case.preparation_key`.
        may_be_absent: For readers: files that are not on this machine count as unchanged.
        label: Whether the result depends on the label.
    """
    paths = {"ct": case.ct, "pet": case.pet, **({"label": case.label} if label else {})}
    files = {name: InputFile(path, may_be_absent) for name, path in paths.items() if path is not None}
    return {"case": case.id, "center": case.center, "files": files, "suv_per_bqml": case.suv_factor, **preparation}
