"""The gate: a candidate that is shown to be better is promoted; a missing or tied figure never promotes."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from retraining.errors import BrokenReportError
from retraining.evaluation import Evaluation, paired_interval
from retraining.gate import Assessment, Bounds, Gate, assess
from tests.unit.retraining.evaluations import CLASSES, evaluation, resamples
from tests.unit.retraining.memory import MemoryDocuments

BOUNDS = Bounds(margin=0.0, class_bound=0.05, escape_bound=0.01, latency_budget_ms=1000.0)
NOT_NUMBERS = [math.nan, math.inf, -math.inf]

scores = st.floats(0, 1, allow_nan=False)
figures = st.lists(st.none() | scores, min_size=1, max_size=40)


def against(assessment: Assessment) -> str:
    assert not assessment.promotable
    return "; ".join(assessment.reasons_against)


def assessment_of(
    candidate: dict[str, Any], champion: dict[str, Any] | None = None, bounds: Bounds = BOUNDS
) -> Assessment:
    return assess(Evaluation.read(candidate), Evaluation.read(champion) if champion else None, bounds)


def decision(
    *candidates: Any, champion: Any = None, bounds: Bounds = BOUNDS, errors: dict[int, str] | None = None
) -> dict[str, Any]:
    """Return the decision about candidates `c0`, `c1`, … with these evaluations; None for a missing one."""
    files = {f"reports/c{index}": report for index, report in enumerate(candidates) if report is not None}
    if champion is not None:
        files["reports/champion"] = champion
    listed = [
        {
            "id": f"c{index}",
            "report": f"s3://artefacts/reports/c{index}" if not (errors or {}).get(index) else None,
            "error": (errors or {}).get(index),
        }
        for index in range(len(candidates))
    ]
    serving = {"report": "s3://artefacts/reports/champion", "error": None}
    return Gate(MemoryDocuments(files), bounds).decide(listed, serving if champion is not None else None)


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
    bounds = Bounds(margin, 1.0, 1.0, 1000.0)
    assessment = assessment_of(evaluation(0.5 + lead), evaluation(0.5), bounds)
    assert assessment.promotable == (lead > margin)


@given(champion=scores, candidate=scores, drawn=figures, margin=st.floats(0, 1))
def test_a_candidate_that_scores_the_same_on_every_resample_is_never_promoted(
    champion: float, candidate: float, drawn: list[float | None], margin: float
) -> None:
    one = evaluation(champion, confidence={"map_resamples": drawn})
    other = evaluation(candidate, confidence={"map_resamples": drawn})
    assert not assessment_of(other, one, Bounds(margin, 1.0, 1.0, 1e9)).promotable


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


# ---------------------------------------------------------------- invalid evaluations


def paths(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path to every number."""
    if isinstance(document, dict):
        return [inner for key, value in document.items() for inner in paths(value, (*path, key))]
    if isinstance(document, list):
        return [inner for key, value in enumerate(document[:2]) for inner in paths(value, (*path, key))]
    return [path] if isinstance(document, float) else []


READ = [path for path in paths(evaluation()) if path[0] not in ("prices", "golden")]


def changed(document: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    copy: dict[str, Any] = json.loads(json.dumps(document))
    inner: Any = copy
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return copy


@pytest.mark.parametrize("value", NOT_NUMBERS)
@pytest.mark.parametrize("path", READ, ids=lambda path: ".".join(map(str, path)))
def test_a_figure_that_is_not_a_number_never_promotes_and_is_named(
    path: tuple[str, ...], value: float
) -> None:
    damaged = changed(evaluation(0.9), path, value)
    for champion in (None, evaluation(0.4)):
        result = decision(damaged, champion=champion)
        assert result["decision"] == "keep"
        assert ".".join(map(str, path)) in result["reasons"][0]
        json.dumps(result, allow_nan=False)


@pytest.mark.parametrize("value", NOT_NUMBERS)
@pytest.mark.parametrize("path", READ, ids=lambda path: ".".join(map(str, path)))
def test_a_champion_s_figure_that_is_not_a_number_stops_the_run(path: tuple[str, ...], value: float) -> None:
    with pytest.raises(BrokenReportError, match="the champion has no valid evaluation"):
        decision(evaluation(0.9), champion=changed(evaluation(0.4), path, value))


@pytest.mark.parametrize("member", sorted(Evaluation.model_fields))
def test_a_missing_member_never_promotes_and_is_named(member: str) -> None:
    document = evaluation(0.9)
    del document[member]
    result = decision(document, champion=evaluation(0.4))
    assert result["decision"] == "keep"
    assert f"not valid at {member}: Field required" in result["reasons"][0]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is not a JSON document"),
        ("{", "is not a JSON document"),
        ("[]", "not valid at its top"),
        ("null", "not valid at its top"),
        ('"evaluation"', "not valid at its top"),
        (None, "there is no evaluation s3://artefacts/reports/c0"),
    ],
)
def test_an_invalid_evaluation_never_promotes(text: str | None, reason: str) -> None:
    result = decision(text, champion=evaluation(0.4))
    assert (result["decision"], result["winner"]) == ("keep", None)
    assert reason in result["reasons"][0]
    assert result["opinions"][0] == {
        "map": None,
        "map_interval": None,
        "map50": None,
        "promotable": False,
        "for": [],
        "against": [result["reasons"][0].removeprefix("c0: ")],
    }


@pytest.mark.parametrize("text", ["", "{}", "[]", "nonsense"])
def test_a_champion_with_an_invalid_evaluation_stops_the_run_with_a_sentence(text: str) -> None:
    with pytest.raises(BrokenReportError) as caught:
        decision(evaluation(0.9), champion=text)
    assert str(caught.value).startswith(
        "the champion has no valid evaluation, so no candidate can be shown to be better: "
    )


@pytest.mark.parametrize(
    ("champion", "reason"),
    [
        ({"report": None, "error": "CapacityError: no instance"}, "CapacityError: no instance"),
        ({"report": None, "error": None}, "it was not evaluated"),
        ({"report": "s3://artefacts/reports/gone", "error": None}, "there is no evaluation"),
    ],
)
def test_a_champion_whose_evaluation_failed_stops_the_run_with_a_sentence(
    champion: dict[str, Any], reason: str
) -> None:
    gate = Gate(MemoryDocuments({"reports/c0": evaluation(0.9)}), BOUNDS)
    candidate = {"id": "c0", "report": "s3://artefacts/reports/c0", "error": None}
    with pytest.raises(BrokenReportError, match="the champion has no valid evaluation.*" + reason):
        gate.decide([candidate], champion)


# ---------------------------------------------------------------- the decision


def test_a_failed_candidate_is_reported_and_the_others_continue() -> None:
    result = decision(
        evaluation(), evaluation(0.9), champion=evaluation(0.4), errors={0: "NonFiniteLossError: [epoch 2]"}
    )
    assert (result["decision"], result["winner"]) == ("promote", 1)
    assert result["opinions"][0]["against"] == ["NonFiniteLossError: [epoch 2]"]


def test_a_candidate_without_report_and_error_has_a_reason_against_it() -> None:
    gate = Gate(MemoryDocuments({}), BOUNDS)
    result = gate.decide([{"id": "c0", "report": None, "error": None}], None)
    assert result["reasons"] == ["c0: it was not evaluated"]


def test_the_candidate_with_the_highest_map_wins() -> None:
    result = decision(evaluation(0.6), evaluation(0.8), evaluation(0.7), champion=evaluation(0.4))
    assert (result["decision"], result["winner"]) == ("promote", 1)
    assert result["reasons"][0].startswith("c1: mAP 0.800")


def test_of_equal_candidates_the_fastest_wins_and_then_the_first() -> None:
    slow, fast = (evaluation(0.8, latency={"p50_ms": ms}) for ms in (50.0, 20.0))
    assert decision(slow, fast, fast, champion=evaluation(0.4))["winner"] == 1
    assert decision(fast, slow, champion=evaluation(0.4))["winner"] == 0


def test_the_best_candidate_does_not_win_with_a_reason_against_it() -> None:
    slow = evaluation(0.9, latency={"p95_ms": 1e6})
    assert decision(slow, evaluation(0.6), champion=evaluation(0.4))["winner"] == 1


def test_if_no_candidate_is_promoted_the_reasons_against_each_are_given() -> None:
    result = decision(evaluation(0.3), evaluation(0.4), champion=evaluation(0.5))
    assert (result["decision"], result["winner"], len(result["reasons"])) == ("keep", None, 2)
    assert all(f"c{index}: mAP 0.{3 + index}00" in result["reasons"][index] for index in (0, 1))


def test_the_decision_contains_the_champion_s_figures() -> None:
    result = decision(evaluation(0.6), champion=evaluation(0.5))
    assert result["champion"] == {
        "map": 0.5,
        "map50": 0.7,
        "map_interval": (0.48, 0.52),
        "family": "ssdlite",
    }
    assert decision(evaluation(0.6))["champion"] is None


numbers = st.none() | st.floats(0, 1) | st.sampled_from(NOT_NUMBERS)
documents = st.builds(
    lambda score, p50, p95, escape, parity, one, drawn, images, unknown: evaluation(
        0.5,
        map=score,
        per_class={"dent": one},
        images=images,
        latency={"p50_ms": p50, "p95_ms": p95},
        verdicts={"escape_rate": escape if escape is None else {"value": escape}},
        model={"export_score_difference": parity},
        confidence={"map_resamples": drawn},
        unknown_classes=unknown,
    ),
    numbers,
    numbers.map(lambda number: number and number * 2000),
    numbers.map(lambda number: number and number * 2000),
    numbers,
    numbers,
    numbers,
    st.lists(numbers, max_size=5) | st.just(resamples(0.5)),
    st.sampled_from([40, 41]),
    st.sampled_from([[], ["dent"]]),
)


@given(st.lists(documents | st.just("{"), min_size=1, max_size=4), st.booleans())
def test_whatever_the_reports_contain_the_decision_has_reasons_and_no_nan(
    reports: list[Any], has_champion: bool
) -> None:
    result = decision(*reports, champion=evaluation(0.2) if has_champion else None)
    json.dumps(result, allow_nan=False)
    assert len(result["opinions"]) == len(reports)
    for opinion in result["opinions"]:
        assert opinion["for"] if opinion["promotable"] else opinion["against"]
        assert all(isinstance(reason, str) and reason for reason in opinion["for"] + opinion["against"])
    promotable = [index for index, opinion in enumerate(result["opinions"]) if opinion["promotable"]]
    assert result["decision"] == ("promote" if promotable else "keep")
    assert (result["winner"] in promotable) if promotable else result["winner"] is None
    assert result["reasons"]


def test_an_evaluation_has_figures_for_a_table() -> None:
    assert Evaluation.read(evaluation(0.5)).summary()["map_interval"] == (0.48, 0.52)
