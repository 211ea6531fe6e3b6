"""Series of a tree, grouped by study."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hnseg.dicom.series.records import IMAGES, STRUCTURES
from hnseg.dicom.series_facts import SeriesFacts


@dataclass(frozen=True)
class Study:
    """Series that belong together.

    Attributes:
        number: From 1, in the order of their first series.
        series: In the order of the walk.
    """

    number: int
    series: tuple[SeriesFacts, ...]

    @property
    def label(self) -> str:
        """How messages name it."""
        return f"study {self.number}"

    @property
    def patient_keys(self) -> frozenset[str]:
        """Patients that its CTs and PETs state."""
        return frozenset(s.patient_key for s in self.series if s.patient_key and s.modality in IMAGES)


def group_studies(series: Sequence[SeriesFacts]) -> tuple[Study, ...]:
    """Group series by StudyInstanceUID.

    Structures go with the images that they refer to, also where their own study is another one. A study with a PET and
    without a CT takes the CTs of the same patient in the same frame of reference.
    """
    study_of = {s.uid: s.study_uid for s in series if s.modality not in STRUCTURES}
    groups: dict[str, list[SeriesFacts]] = {}
    for s in series:
        homes = sorted({study_of[uid] for uid in s.referenced_uids if uid in study_of})
        home = homes[0] if len(homes) == 1 and s.modality in STRUCTURES else s.study_uid
        groups.setdefault(home, []).append(s)
    for members in list(groups.values()):
        _take_ct_of_another_study(members, groups)
    filled = [members for members in groups.values() if members]
    ordered = sorted((sorted(members, key=lambda s: s.number) for members in filled), key=lambda m: m[0].number)
    return tuple(Study(number, tuple(members)) for number, members in enumerate(ordered, start=1))


def _take_ct_of_another_study(members: list[SeriesFacts], groups: dict[str, list[SeriesFacts]]) -> None:
    """Move a study with CT and without PET into the one with the PET of the same patient and frame of reference."""
    frames = {(s.patient_key, s.frame_uid) for s in members if s.modality == "PT" and s.frame_uid}
    if not frames or _has(members, "CT"):
        return
    for others in groups.values():
        if others is members or _has(others, "PT"):
            continue
        if any(s.modality == "CT" and (s.patient_key, s.frame_uid) in frames for s in others):
            members.extend(others)
            others.clear()


def _has(members: Iterable[SeriesFacts], modality: str) -> bool:
    return any(s.modality == modality for s in members)
