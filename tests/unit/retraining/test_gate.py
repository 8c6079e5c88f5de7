"""The gate: a candidate that is shown to be better is promoted; a missing or tied figure never promotes."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from retraining.assessment import Assessment, assess
from retraining.evaluation import Evaluation, paired_interval
from retraining.findings import Bounds
from tests.unit.retraining.evaluations import CLASSES, evaluation, resamples

BOUNDS = Bounds(
    margin=0.0, class_bound=0.05, escape_bound=0.01, overkill_bound=0.05, latency_budget_ms=1000.0
)
NOT_NUMBERS = [math.nan, math.inf, -math.inf]

scores = st.floats(0, 1, allow_nan=False)
figures = st.lists(st.none() | scores, min_size=1, max_size=40)


def against(assessment: Assessment) -> str:
    assert not assessment.promotable
    return "; ".join(assessment.reasons_against)


def loose(margin: float) -> Bounds:
    """Bounds of which only the margin counts."""
    return Bounds(margin=margin, class_bound=1.0, escape_bound=1.0, overkill_bound=1.0, latency_budget_ms=1e9)


def assessment_of(
    candidate: dict[str, Any], champion: dict[str, Any] | None = None, bounds: Bounds = BOUNDS
) -> Assessment:
    return assess(Evaluation.read(candidate), Evaluation.read(champion) if champion else None, bounds)


# ---------------------------------------------------------------- better than the champion


def test_a_lead_whose_whole_interval_is_above_the_margin_promotes() -> None:
    assessment = assessment_of(evaluation(0.6), evaluation(0.5))
    assert (assessment.promotable, assessment.reasons_against) == (True, [])
    assert assessment.reasons_for[0] == "mAP 0.600, the champion's 0.500: +0.100 [+0.100, +0.100]"


def test_a_lead_within_the_noise_of_the_test_images_does_not_promote() -> None:
    noisy = evaluation(0.52, confidence={"map_resamples": resamples(0.52, spread=-0.04)})
    reasons = against(assessment_of(noisy, evaluation(0.5)))
    assert "mAP 0.520, the champion's 0.500: +0.020 [-0.0" in reasons
    assert "more than +0.000 is not shown" in reasons


@given(lead=st.floats(0, 0.4), margin=st.floats(0, 0.4))
def test_the_margin_itself_is_not_enough(lead: float, margin: float) -> None:
    assume(abs(lead - margin) > 1e-6 or lead == margin)
    bounds = loose(margin)
    assessment = assessment_of(evaluation(0.5 + lead), evaluation(0.5), bounds)
    assert assessment.promotable == (lead > margin)


@pytest.mark.promise(16)
@given(champion=scores, candidate=scores, drawn=figures, margin=st.floats(0, 1))
def test_a_candidate_that_scores_the_same_on_every_resample_is_never_promoted(
    champion: float, candidate: float, drawn: list[float | None], margin: float
) -> None:
    one = evaluation(champion, confidence={"map_resamples": drawn})
    other = evaluation(candidate, confidence={"map_resamples": drawn})
    assert not assessment_of(other, one, loose(margin)).promotable


@given(st.data())
def test_a_candidate_that_is_better_in_fewer_than_97_of_100_resamples_is_never_promoted(
    data: st.DataObject,
) -> None:
    champion = data.draw(st.lists(st.floats(0, 0.5), min_size=100, max_size=100))
    worse = data.draw(st.sets(st.integers(0, 99), min_size=4))
    candidate = [score - 0.01 if index in worse else score + 0.4 for index, score in enumerate(champion)]
    assessment = assessment_of(
        evaluation(0.9, confidence={"map_resamples": candidate}),
        evaluation(0.1, confidence={"map_resamples": champion}),
    )
    assert not assessment.promotable


@given(st.lists(st.tuples(scores, scores), min_size=1, max_size=200))
def test_the_interval_is_numpy_s_within_one_step(pairs: list[tuple[float, float]]) -> None:
    interval = paired_interval([a for a, _ in pairs], [b for _, b in pairs])
    assert interval is not None
    differences = np.sort([a - b for a, b in pairs])
    for bound, share in zip(interval, (0.025, 0.975), strict=True):
        position = share * (len(pairs) - 1)
        steps = differences[max(0, math.floor(position) - 1) : math.ceil(position) + 2]
        assert steps[0] - 1e-6 <= bound <= steps[-1] + 1e-6
    assert interval[0] <= interval[1]


def test_resamples_without_any_object_do_not_count() -> None:
    assert paired_interval([None, 0.5], [None, 0.25]) == (0.25, 0.25)


@pytest.mark.parametrize(
    ("candidate", "champion"),
    [
        ([], []),
        ([0.5], [0.4, 0.4]),
        ([None], [None]),
        ([None, 0.9], [0.4, 0.4]),
        ([0.9, 0.9], [None, 0.4]),
        ([math.nan, 0.9], [0.4, 0.4]),
        ([math.inf, 0.9], [0.4, 0.4]),
    ],
)
def test_resamples_that_do_not_pair_give_no_interval(
    candidate: list[float | None], champion: list[float | None]
) -> None:
    assert paired_interval(candidate, champion) is None
    finite = [None if score is None or not math.isfinite(score) else score for score in candidate]
    assessment = assessment_of(
        evaluation(0.9, confidence={"map_resamples": finite}),
        evaluation(0.4, confidence={"map_resamples": champion}),
    )
    assert "cannot be computed" in against(assessment)


@pytest.mark.parametrize(
    "change", [{"dataset": {"snapshot": "6" * 64}}, {"split": "validation"}, {"images": 41}]
)
def test_other_test_images_than_the_champion_s_never_promote(change: dict[str, Any]) -> None:
    assert "not evaluated on the champion's images" in against(
        assessment_of(evaluation(0.9, **change), evaluation())
    )


def test_a_champion_without_a_map_cannot_be_beaten() -> None:
    assert "the champion has no mAP" in against(assessment_of(evaluation(0.9), evaluation(map=None)))


@pytest.mark.promise(16)
def test_a_candidate_without_a_map_is_never_promoted() -> None:
    assert against(assessment_of(evaluation(map=None), evaluation())) == "it has no mAP"
    assert against(assessment_of(evaluation(map=None))) == "it has no mAP"


# ---------------------------------------------------------------- without a champion


def test_the_first_model_needs_nothing_to_beat() -> None:
    assessment = assessment_of(evaluation(0.3))
    assert assessment.promotable
    assert assessment.reasons_for[0] == "mAP 0.300; no model serves yet"


def test_a_first_model_that_finds_nothing_is_not_promoted() -> None:
    assert "mAP 0.000" in against(assessment_of(evaluation(0.0)))


# ---------------------------------------------------------------- further bounds


@pytest.mark.promise(16)
def test_a_class_worse_than_the_bound_is_named() -> None:
    candidate = evaluation(0.6, per_class={"dent": 0.449})
    assert "worse by more than 0.050 AP: dent 0.500 → 0.449" in against(
        assessment_of(candidate, evaluation())
    )


def test_a_class_worse_by_exactly_the_bound_passes() -> None:
    candidate = evaluation(0.6, per_class={"dent": 0.45})
    assert assessment_of(candidate, evaluation()).promotable


def test_a_class_that_the_candidate_s_report_leaves_out_counts_as_worse() -> None:
    candidate = evaluation(0.6) | {"per_class": {"scratch": 0.6}}
    assert "dent 0.500 → unknown" in against(assessment_of(candidate, evaluation()))


def test_a_class_that_the_model_does_not_know_is_named() -> None:
    assert "it does not know dent, scratch" in against(
        assessment_of(evaluation(0.9, unknown_classes=list(CLASSES)), evaluation())
    )


@pytest.mark.parametrize("champion", [None, evaluation(0.4, per_class={"dent": None})])
def test_a_class_without_test_images_never_promotes(champion: dict[str, Any] | None) -> None:
    reasons = against(assessment_of(evaluation(0.9, per_class={"dent": None}), champion))
    assert "the test set cannot show how well it finds dent" in reasons


@pytest.mark.parametrize(("now", "passes"), [(0.03, True), (0.0301, False), (0.01, True)])
def test_the_escape_rate_may_rise_by_at_most_the_bound(now: float, passes: bool) -> None:
    assessment = assessment_of(evaluation(0.9, verdicts={"escape_rate": {"value": now}}), evaluation())
    assert assessment.promotable == passes
    assert f"escape rate {now:.1%} at its operating points, the champion's 2.0%" in str(assessment.document())


@pytest.mark.parametrize("champion", [None, evaluation(0.4)])
def test_an_unknown_escape_rate_never_promotes(champion: dict[str, Any] | None) -> None:
    candidate = evaluation(0.9, verdicts={"escape_rate": None})
    assert "its escape rate is not known" in against(assessment_of(candidate, champion))


@pytest.mark.parametrize(("p95", "passes"), [(999.0, True), (1000.0, True), (1000.1, False)])
def test_latency_must_stay_within_the_budget(p95: float, passes: bool) -> None:
    assessment = assessment_of(evaluation(0.9, latency={"p95_ms": p95}), evaluation())
    assert assessment.promotable == passes
    assert "the budget is 1000 ms" in str(assessment.document())


@pytest.mark.parametrize(
    ("difference", "reason"), [(None, "is not known"), (0.02, "scores differ by 2.0e-02"), (1.0, "differ")]
)
def test_an_export_that_may_be_another_model_never_promotes(difference: float | None, reason: str) -> None:
    candidate = evaluation(0.9, model={"export_score_difference": difference})
    assert reason in against(assessment_of(candidate, evaluation()))


def test_an_evaluation_without_figures_about_its_export_never_promotes() -> None:
    candidate = evaluation(0.9)
    del candidate["model"]["export_score_difference"]
    assert "is not known" in against(assessment_of(candidate, evaluation()))


def test_every_broken_bound_is_named_not_only_the_first() -> None:
    candidate = evaluation(
        0.4, verdicts={"escape_rate": {"value": 0.5}}, latency={"p95_ms": 5000.0}, unknown_classes=["dent"]
    )
    reasons = against(assessment_of(candidate, evaluation()))
    for part in ("is not shown", "does not know dent", "worse by more than", "escape rate 50.0%", "5000 ms"):
        assert part in reasons


# ---------------------------------------------------------------- what an escape rate of zero is worth

NOTHING_ESCAPES = {"value": 0.0, "interval": [0.0, 0.3363], "count": 0, "of": 9}


def test_the_escape_rate_of_few_images_comes_with_its_interval() -> None:
    assessment = assessment_of(evaluation(0.6, verdicts={"escape_rate": NOTHING_ESCAPES}))
    reason = next(reason for reason in assessment.reasons_for if "escape" in reason)
    assert "escape rate 0.0% at its operating points (0 of 9 defective images" in reason
    assert "95 % interval 0.0% to 33.6%; too few images to promise less" in reason


def test_a_test_set_that_is_large_enough_is_not_called_too_small() -> None:
    rate = {"value": 0.0, "interval": [0.0, 0.0123], "count": 0, "of": 300}
    assessment = assessment_of(evaluation(0.6, verdicts={"escape_rate": rate}))
    assert "0 of 300" in str(assessment.reasons_for)
    assert "too few" not in str(assessment.document())


@pytest.mark.parametrize("champion", [None, evaluation(0.5)])
def test_a_model_that_fails_every_good_image_is_never_promoted_although_nothing_escapes(
    champion: dict[str, Any] | None,
) -> None:
    fails_all = evaluation(0.9, verdicts={"escape_rate": NOTHING_ESCAPES, "overkill_rate": {"value": 1.0}})
    assert "overkill rate 100.0%: it fails every good image" in against(assessment_of(fails_all, champion))


def test_an_escape_rate_of_zero_is_explained_if_no_image_passes() -> None:
    rates = {"escape_rate": NOTHING_ESCAPES, "fail_rate": {"value": 0.6}, "review_rate": {"value": 0.4}}
    assessment = assessment_of(evaluation(0.6, verdicts=rates))
    assert "because no test image passes: 60.0% fail, 40.0% go to review" in str(assessment.reasons_for)
