"""Pairing follows references, frame of reference, correction and size, and refuses what these leave open."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hnseg.dicom.pair_studies import NO_CASE, SeriesChoices, StudyPlan, pair_studies
from hnseg.dicom.series_facts import SeriesFacts, overlap_share
from hnseg.errors import OptionError

BODY = ((0.0, 0.0, 0.0), (100.0, 100.0, 100.0))
NECK = ((0.0, 0.0, 60.0), (100.0, 100.0, 100.0))


def series(number: int, modality: str, **other: object) -> SeriesFacts:
    facts = SeriesFacts(
        number,
        f"{modality} series {number}",
        modality,
        uid=f"uid-{number}",
        study_uid="study-a",
        patient_key="patient-a",
        frame_uid="frame-a",
        bounds_mm=BODY,
        is_attenuation_corrected=True if modality == "PT" else None,
        units="BQML" if modality == "PT" else "",
    )
    return replace(facts, **other)


CT, PET = series(1, "CT"), series(2, "PT")


def contours(number: int, *references: int, **other: object) -> SeriesFacts:
    uids = frozenset(f"uid-{reference}" for reference in references)
    return series(number, "RTSTRUCT", referenced_uids=uids, bounds_mm=None, **other)


def plan_of(*found: SeriesFacts, choices: SeriesChoices | None = None, is_pet_only: bool = False) -> StudyPlan:
    (plan,) = pair_studies(found, choices, is_pet_only=is_pet_only)
    return plan


def numbers(plan: StudyPlan) -> tuple[int | None, int | None]:
    return plan.ct and plan.ct.number, plan.pet and plan.pet.number


def test_one_ct_and_one_pet_are_a_case():
    plan = plan_of(CT, PET, contours(3, 1))
    assert (numbers(plan), [s.number for s in plan.structures], plan.problem) == ((1, 2), [3], None)
    assert set(plan.reasons) == {1, 2, 3}


def test_overlap_is_a_share_of_the_inner_box():
    assert overlap_share(series(1, "PT"), series(2, "CT", bounds_mm=NECK)) == pytest.approx(0.4)
    assert overlap_share(series(1, "PT", bounds_mm=NECK), series(2, "CT")) == 1.0
    assert overlap_share(series(1, "PT", bounds_mm=((0, 0, 200), (1, 1, 201))), series(2, "CT")) == 0.0


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ((CT, series(3, "CT", bounds_mm=NECK), PET), (1, 2)),  # covers more of the PET
        ((CT, series(3, "CT", bounds_mm=NECK), PET, contours(4, 3)), (3, 2)),  # the structures refer to it
        ((CT, series(3, "CT", frame_uid="other"), PET), (1, 2)),
        ((CT, series(3, "CT", frame_uid="other"), PET, contours(4, 3, frame_uid="other")), (1, 2)),
        ((CT, series(3, "CT", why_unusable="localizer"), PET), (1, 2)),
        ((series(1, "CT", frame_uid=""), PET), (1, 2)),
        ((CT, PET, series(3, "PT", is_attenuation_corrected=False)), (1, 2)),
        ((CT, PET, series(3, "PT", is_attenuation_corrected=None)), (1, 2)),
        ((CT, series(2, "PT", units="PROPCPS"), series(3, "PT")), (1, 3)),
        ((CT, series(2, "PT", bounds_mm=NECK), series(3, "PT")), (1, 3)),
        ((CT, series(2, "PT"), series(3, "PT"), contours(4, 2)), (1, 2)),  # equally large, one is referred to
    ],
)
def test_the_better_series_is_taken(found, expected):
    plan = plan_of(*found)
    assert (plan.problem, numbers(plan)) == (None, expected)


@pytest.mark.parametrize(
    ("found", "facts"),
    [
        ((CT,), ("CT without PET", "CT series 1")),
        ((PET,), ("PET without CT", "PT series 2", "--pet-only")),
        ((CT, PET, series(3, "CT")), ("CT series 1", "CT series 3", "--ct-series 1 or --ct-series 3")),
        ((CT, PET, series(3, "PT")), ("PT series 2", "PT series 3", "--pet-series 2 or --pet-series 3")),
        ((series(1, "CT", frame_uid="other"), PET), ("FrameOfReferenceUID", "--ct-series 1")),
        ((series(1, "CT", bounds_mm=((0, 0, 900), (1, 1, 901))), PET), ("do not overlap",)),
        ((CT, series(2, "PT", is_attenuation_corrected=False)), ("CorrectedImage", "PT series 2")),
        ((CT, series(2, "PT", why_unusable="slice 3 of 9 is missing")), ("PT series 2", "slice 3 of 9 is missing")),
        ((CT, series(2, "PT", patient_key="patient-b")), ("2 patients", "CT series 1; PT series 2")),
    ],
)
def test_what_cannot_be_paired_is_refused_with_what_to_do(found, facts):
    plan = plan_of(*found)
    assert numbers(plan) == (None, None)
    assert [fact for fact in facts if fact not in (plan.problem or "")] == []


@pytest.mark.parametrize(
    ("found", "choices", "expected"),
    [
        ((CT, PET, series(3, "CT")), SeriesChoices(ct=(3,)), (3, 2)),
        ((CT, PET, series(3, "PT")), SeriesChoices(pet=(3,)), (1, 3)),
        ((series(1, "CT", frame_uid="other"), PET), SeriesChoices(ct=(1,)), (1, 2)),
    ],
)
def test_a_choice_settles_it(found, choices, expected):
    plan = plan_of(*found, choices=choices)
    assert (plan.problem, numbers(plan)) == (None, expected)


@pytest.mark.parametrize(
    "choices",
    [SeriesChoices(ct=(2,)), SeriesChoices(pet=(9,)), SeriesChoices(structures=(1,)), SeriesChoices(ct=(1, 3))],
)
def test_a_choice_that_cannot_be_is_refused(choices):
    with pytest.raises(OptionError):
        pair_studies([CT, PET, series(3, "CT")], choices)


@pytest.mark.parametrize(
    ("left_out", "facts"),
    [
        (series(3, "PT", is_attenuation_corrected=False), ("CorrectedImage",)),
        (series(3, "PT", is_attenuation_corrected=None), ("CorrectedImage",)),
        (series(3, "PT", units="PROPCPS"), ("Units",)),
        (series(3, "PT", bounds_mm=NECK), ("larger",)),
        (series(3, "CT", bounds_mm=NECK), ("40%", "100%")),
        (series(3, "CT", frame_uid="other"), ("FrameOfReferenceUID",)),
        (series(3, "CT", why_unusable="a localizer"), ("a localizer",)),
    ],
)
def test_the_reason_against_a_series_is_the_one_that_counts(left_out, facts):
    plan = plan_of(CT, PET, left_out)
    assert numbers(plan) == (1, 2)
    assert [fact for fact in facts if fact not in plan.reasons[3]] == []
    assert not any(NO_CASE in reason for reason in plan.reasons.values())


def test_structures_decide_and_the_reason_says_so():
    plan = plan_of(CT, PET, series(3, "CT"), series(4, "PT"), contours(5, 1), contours(6, 2))
    assert numbers(plan) == (1, 2)
    assert [plan.reasons[number].split(" refer to ")[0] for number in (1, 3, 4)] == [
        *("CT, structures", "structures", "structures")
    ]


def test_series_of_a_study_without_a_case_say_why_there_is_none():
    plan = plan_of(PET, contours(3))
    assert plan.reasons == dict.fromkeys((2, 3), f"{NO_CASE}: {plan.problem}")


def test_a_series_that_is_left_out_is_not_used():
    plan = plan_of(CT, PET, series(3, "CT"), contours(4, 1), choices=SeriesChoices(left_out=(3, 4)))
    assert (plan.problem, numbers(plan), plan.structures) == (None, (1, 2), ())
    assert plan.reasons[3] == plan.reasons[4] == "left out, as chosen"
    with pytest.raises(OptionError):
        plan_of(CT, PET, choices=SeriesChoices(left_out=(9,)))


def test_a_pet_alone_is_a_case_where_that_is_asked_for():
    assert numbers(plan_of(PET, is_pet_only=True)) == (None, 2)


def test_structures_that_refer_to_the_ct_are_tried_first():
    plan = plan_of(contours(3), contours(4, 2), CT, PET, contours(5, 1), contours(6, 1, frame_uid="other"))
    assert [s.number for s in plan.structures] == [5, 4, 3]
    chosen = plan_of(CT, PET, contours(3), contours(5, 1), choices=SeriesChoices(structures=(3,)))
    assert [s.number for s in chosen.structures] == [3]


def test_studies_are_kept_apart_and_structures_find_their_images():
    other = {"study_uid": "study-b", "patient_key": "patient-b", "frame_uid": "frame-b"}
    found = [CT, PET, series(3, "CT", **other), series(4, "PT", **other)]
    first, second = pair_studies([*found, contours(5, 3, **{**other, "study_uid": "study-c"})])
    assert (numbers(first), numbers(second)) == ((1, 2), (3, 4))
    assert (first.structures, [s.number for s in second.structures]) == ((), [5])


@pytest.mark.parametrize(("tag", "value"), [("frame_uid", "frame-b"), ("patient_key", "patient-b")])
def test_structures_of_another_frame_or_patient_are_left_out(tag, value):
    plan = plan_of(CT, PET, contours(3, 1, **{tag: value}))
    assert (plan.problem, plan.structures) == (None, ())
    assert {"frame_uid": "FrameOfReferenceUID", "patient_key": "PatientID"}[tag] in plan.reasons[3]


def test_a_ct_of_another_study_is_found_by_patient_and_frame():
    elsewhere = replace(CT, study_uid="study-b")
    assert numbers(plan_of(elsewhere, PET)) == (1, 2)
    assert len(pair_studies([replace(elsewhere, patient_key="patient-b"), PET])) == 2


def test_a_study_without_ct_and_pet_is_none():
    assert pair_studies([series(1, "MR"), contours(2)]) == ()
