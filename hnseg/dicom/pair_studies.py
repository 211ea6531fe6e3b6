"""Pairing: which CT, PET and structures of a study become a case, and why the others do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from hnseg.dicom.group_studies import Study, group_studies
from hnseg.dicom.series.records import IMAGES, STRUCTURES
from hnseg.dicom.series_facts import SeriesFacts, overlap_share
from hnseg.errors import OptionError

CONVERTIBLE_UNITS = ("BQML", "GML", "CNTS")
NO_CASE = "its study gives no case"
LEFT_OUT = "left out, as chosen"
TIERS = ("that refer to the CT", "that refer to the PET", "in the image's frame of reference")
EQUAL_SHARE = 0.02  # of the PET: CTs that differ by less cover it equally well
EQUAL_EXTENT = 0.01  # relative: PETs that differ by less are equally large


@dataclass(frozen=True)
class SeriesChoices:
    """Numbers of series that the user chose, or left out; each applies to the study that holds it."""

    ct: tuple[int, ...] = ()
    pet: tuple[int, ...] = ()
    structures: tuple[int, ...] = ()
    left_out: tuple[int, ...] = ()


@dataclass(frozen=True)
class StudyPlan:
    """What becomes of a study.

    Attributes:
        study: Its series.
        ct: CT of the case.
        pet: PET of the case.
        structures: Candidates for its mask: those that refer to the CT first, then to the PET, then to neither.
        are_structures_chosen: The user chose them; several series may then hold the same label.
        reasons: For each series by number, what it is used as or why it is left out.
        problem: Why the study gives no case, and what to do; None where it gives one.
    """

    study: Study
    ct: SeriesFacts | None = None
    pet: SeriesFacts | None = None
    structures: tuple[SeriesFacts, ...] = ()
    are_structures_chosen: bool = False
    reasons: dict[int, str] = field(default_factory=dict)
    problem: str | None = None

    @property
    def used_series(self) -> tuple[SeriesFacts, ...]:
        """Series that the case is made from."""
        return tuple(s for s in (self.ct, self.pet, *self.structures) if s is not None)


class _Ambiguous(Exception):
    """A study that cannot be paired; the message says what to do."""


def pair_studies(
    series: Sequence[SeriesFacts], choices: SeriesChoices | None = None, *, is_pet_only: bool = False
) -> tuple[StudyPlan, ...]:
    """Decide for each study with a CT or a PET what its case consists of.

    PET: attenuation corrected before unknown; in units that convert to SUV; referred to by structures; the largest. CT:
    in the PET's frame of reference; referred to by structures; the one that covers most of the PET.

    Args:
        series: All series of a tree.
        choices: Series that the user chose.
        is_pet_only: A PET without a CT is a case, too.

    Returns:
        Studies in the order of their first series; those without CT and PET are not among them.

    Raises:
        OptionError: A chosen series does not exist, is of another modality, or is one of two for the same study.
    """
    choices = choices or SeriesChoices()
    if unknown := set(choices.left_out) - {s.number for s in series}:
        raise OptionError(f"--leave-out-series {min(unknown)}: there is no such series; they are 1 to {len(series)}")
    studies = group_studies([replace(s, why_unusable=LEFT_OUT) if s.number in choices.left_out else s for s in series])
    _check_choices(studies, choices)
    return tuple(
        _plan(study, choices, is_pet_only) for study in studies if any(s.modality in IMAGES for s in study.series)
    )


def _check_choices(studies: Sequence[Study], choices: SeriesChoices) -> None:
    everything = {s.number: (s, study.number) for study in studies for s in study.series}
    named = (("ct", choices.ct, ("CT",)), ("pet", choices.pet, ("PT",)), ("structure", choices.structures, STRUCTURES))
    for option, numbers, modalities in named:
        seen: dict[int, int] = {}
        for number in numbers:
            known = sorted(n for n, (s, _) in everything.items() if s.modality in modalities)
            if number not in known:
                allowed = ", ".join(map(str, known)) or "there is none"
                raise OptionError(f"--{option}-series {number}: no {'/'.join(modalities)} series; they are: {allowed}")
            study = everything[number][1]
            if study in seen and option != "structure":
                raise OptionError(
                    f"--{option}-series {seen[study]} and {number} belong to one study: choose one of them"
                )
            seen[study] = number


def _plan(study: Study, choices: SeriesChoices, is_pet_only: bool) -> StudyPlan:
    plan = StudyPlan(study, reasons={s.number: s.why_unusable or NO_CASE for s in study.series})
    if len(study.patient_keys) > 1:
        of_patient = [
            " and ".join(s.label for s in study.series if s.patient_key == key and s.modality in IMAGES)
            for key in dict.fromkeys(s.patient_key for s in study.series if s.patient_key in study.patient_keys)
        ]
        problem = (
            f"its files are of {len(of_patient)} patients (PatientID): {'; '.join(of_patient)}; convert each patient's "
            "folder alone"
        )
        return replace(plan, problem=problem)
    try:
        pet, why_pet = _choose_pet(study, choices, plan.reasons)
        ct, why_ct = _choose_ct(study, pet, choices, plan.reasons, is_pet_only)
        _refuse_unusable_structures(study, choices)
    except _Ambiguous as error:
        left = {number: f"{NO_CASE}: {error}" for number, reason in plan.reasons.items() if reason == NO_CASE}
        return replace(plan, reasons=plan.reasons | left, problem=str(error))
    plan.reasons[pet.number] = why_pet
    if ct is not None:
        plan.reasons[ct.number] = why_ct
    structures = _choose_structures(study, ct, pet, choices, plan.reasons)
    are_chosen = any(s.number in choices.structures for s in structures)
    return replace(plan, ct=ct, pet=pet, structures=structures, are_structures_chosen=are_chosen)


def _usable(study: Study, modality: str, chosen: Sequence[int]) -> tuple[list[SeriesFacts], bool]:
    """Series of a modality that can be read, and whether the user chose among them.

    Raises:
        _Ambiguous: There are some, and none can be read.
    """
    found = [s for s in study.series if s.modality == modality]
    if chosen_here := [s for s in found if s.number in chosen]:
        found = chosen_here
    usable = [s for s in found if s.why_unusable is None]
    if found and not usable:
        raise _Ambiguous("; ".join(f"{s.label}: {s.why_unusable}" for s in found))
    return usable, bool(chosen_here)


def _choose_pet(study: Study, choices: SeriesChoices, reasons: dict[int, str]) -> tuple[SeriesFacts, str]:
    """The PET of a study and why it is taken; reasons against the others are added to ``reasons``."""
    found, is_chosen = _usable(study, "PT", choices.pet)
    if not found:
        labels = ", ".join(s.label for s in study.series if s.modality == "CT")
        raise _Ambiguous(f"CT without PET: there is none in the study of {labels}")
    if is_chosen:
        return _take(study, found[0], "PET, as chosen", reasons)
    corrected = [s for s in found if s.is_attenuation_corrected is not False]
    for s in found:
        if s not in corrected:
            reasons[s.number] = "not corrected for attenuation (CorrectedImage)"
    if not corrected:
        labels = ", ".join(s.label for s in found)
        raise _Ambiguous(
            f"no PET is corrected for attenuation (CorrectedImage): {labels}; uncorrected values have no SUV"
        )
    referenced = _referenced_by_structures(study)

    def rank(s: SeriesFacts) -> tuple[bool, bool, bool]:
        return s.is_attenuation_corrected is True, s.units in CONVERTIBLE_UNITS, s.uid in referenced

    best = max(map(rank, corrected))
    leading = [s for s in corrected if rank(s) == best]
    largest = max(s.extent() for s in leading)
    equal = [s for s in leading if s.extent() >= (1 - EQUAL_EXTENT) * largest]
    if len(equal) > 1:
        raise _Ambiguous(_which("PET", "--pet-series", equal, "are corrected, equally large"))
    for s in corrected:
        if s is not equal[0]:
            reasons[s.number] = _why_not(rank(s), best)
    how = "the only one that can be used" if len(found) == 1 else "before others, whose reasons are given there"
    return equal[0], f"PET, {how}"


def _why_not(rank: Sequence[bool], best: Sequence[bool]) -> str:
    """The first reason for which a PET comes after another one."""
    reasons = (
        "another PET states its attenuation correction, this one does not (CorrectedImage)",
        "its unit does not convert to SUV (Units)",
        "structures refer to another PET",
    )
    lost = (reason for reason, own, other in zip(reasons, rank, best, strict=True) if own != other)
    return next(lost, "another PET is larger")


def _take(study: Study, taken: SeriesFacts, why: str, reasons: dict[int, str]) -> tuple[SeriesFacts, str]:
    """Take a series that was chosen; the others of its kind are not needed."""
    for s in study.series:
        if s.modality == taken.modality and s.why_unusable is None:
            reasons[s.number] = "another one was chosen"
    return taken, why


def _choose_ct(
    study: Study, pet: SeriesFacts, choices: SeriesChoices, reasons: dict[int, str], is_pet_only: bool
) -> tuple[SeriesFacts | None, str]:
    """The CT of a study and why it is taken; reasons against the others are added to ``reasons``."""
    found, is_chosen = _usable(study, "CT", choices.ct)
    if not found:
        if is_pet_only:
            return None, ""
        raise _Ambiguous(f"PET without CT: {pet.label} has none in its study; --pet-only writes the PET alone")
    if is_chosen:
        other = "" if found[0].shares_frame(pet) else "; its frame of reference is not the PET's"
        return _take(study, found[0], f"CT, as chosen{other}", reasons)
    same = [s for s in found if s.shares_frame(pet)]
    for s in found:
        if s not in same:
            reasons[s.number] = "in another frame of reference than the PET (FrameOfReferenceUID)"
    if not same:
        raise _Ambiguous(
            f"no CT lies in the frame of reference of {pet.label} (FrameOfReferenceUID): "
            f"{', '.join(s.label for s in found)}; --ct-series {found[0].number} takes it all the same"
        )
    referenced = _referenced_by_structures(study)
    leading = [s for s in same if s.uid in referenced] or same
    shares = {s.number: overlap_share(pet, s) for s in leading}
    best = max(shares.values())
    if best == 0.0:
        raise _Ambiguous(f"{pet.label} and {leading[0].label} do not overlap (ImagePositionPatient)")
    equal = [s for s in leading if shares[s.number] >= best - EQUAL_SHARE]
    if len(equal) > 1:
        raise _Ambiguous(_which("CT", "--ct-series", equal, f"cover {best:.0%} of the PET"))
    for s in same:
        if s not in leading:
            reasons[s.number] = "structures refer to another CT"
        elif s is not equal[0]:
            reasons[s.number] = f"covers {shares[s.number]:.0%} of the PET, another CT {best:.0%}"
    how = "structures refer to it" if len(leading) < len(same) else f"covers {best:.0%} of the PET"
    return equal[0], f"CT, {'the only one that can be used' if len(found) == 1 else how}"


def _which(kind: str, option: str, equal: Sequence[SeriesFacts], what: str) -> str:
    labels = ", ".join(s.label for s in equal)
    options = " or ".join(f"{option} {s.number}" for s in equal)
    return f"{len(equal)} {kind} series {what}: {labels}; choose one with {options}"


def _referenced_by_structures(study: Study) -> frozenset[str]:
    return frozenset(uid for s in study.series if s.modality in STRUCTURES for uid in s.referenced_uids)


def name_way_out(number: int) -> str:
    """How a study is converted whose structures cannot be used: a mask that is silently missing would be worse."""
    return f"--leave-out-series {number} converts the images without these structures"


def _refuse_unusable_structures(study: Study, choices: SeriesChoices) -> None:
    """Refuse a study with structures that cannot be read, unless others were chosen, or these left out."""
    found = [s for s in study.series if s.modality in STRUCTURES]
    chosen = [s for s in found if s.number in choices.structures]
    for s in chosen or [s for s in found if s.number not in choices.left_out]:
        if s.why_unusable is not None:
            raise _Ambiguous(f"{s.label}: {s.why_unusable}; {name_way_out(s.number)}")


def _choose_structures(
    study: Study, ct: SeriesFacts | None, pet: SeriesFacts, choices: SeriesChoices, reasons: dict[int, str]
) -> tuple[SeriesFacts, ...]:
    """Structures in the frame of the images, in the order in which they are tried."""
    found = [s for s in study.series if s.modality in STRUCTURES and s.why_unusable is None]
    if chosen := [s for s in found if s.number in choices.structures]:
        for s in found:
            reasons[s.number] = "structures, as chosen" if s in chosen else "other structures were chosen"
        return tuple(chosen)
    image = ct or pet
    fitting = [s for s in found if s.shares_frame(image) and s.may_share_patient(image)]
    for s in found:
        reasons[s.number] = f"structures {TIERS[structure_tier(s, ct, pet)]}"
        if s not in fitting:
            other = "patient (PatientID)" if s.shares_frame(image) else "frame of reference (FrameOfReferenceUID)"
            reasons[s.number] = f"of another {other} than the image"
    return tuple(sorted(fitting, key=lambda s: (structure_tier(s, ct, pet), s.number)))


def structure_tier(structures: SeriesFacts, ct: SeriesFacts | None, pet: SeriesFacts | None) -> int:
    """Order in which structures are tried: 0 refer to the CT, 1 to the PET, 2 to neither."""
    if ct is not None and ct.uid in structures.referenced_uids:
        return 0
    return 1 if pet is not None and pet.uid in structures.referenced_uids else 2
