"""The gate: what is shown better goes live; what is missing, no number, or tied never does."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from retraining.errors import BrokenReportError
from retraining.gate import Bounds, Gate, Opinion, Report, judge, paired_interval
from tests.unit.retraining.evaluations import CLASSES, evaluation, report, resamples
from tests.unit.retraining.held import Held

BOUNDS = Bounds(margin=0.0, class_bound=0.05, escape_bound=0.01, latency_budget_ms=1000.0)
NOT_NUMBERS = [math.nan, math.inf, -math.inf]

scores = st.floats(0, 1, allow_nan=False)
figures = st.lists(st.none() | scores, min_size=1, max_size=40)


def against(opinion: Opinion) -> str:
    assert not opinion.promotable
    return "; ".join(opinion.contra)


def opinion_of(
    candidate: dict[str, Any], champion: dict[str, Any] | None = None, bounds: Bounds = BOUNDS
) -> Opinion:
    return judge(Report.read(candidate), Report.read(champion) if champion else None, bounds)


def decision(
    *candidates: Any, champion: Any = None, bounds: Bounds = BOUNDS, errors: dict[int, str] | None = None
) -> dict[str, Any]:
    """Of candidates `c0`, `c1`, … with these evaluations; None for one that is not there."""
    files = {f"reports/c{index}": each for index, each in enumerate(candidates) if each is not None}
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
    reigning = {"report": "s3://artefacts/reports/champion", "error": None}
    return Gate(Held(files), bounds).decide(listed, reigning if champion is not None else None)


# ---------------------------------------------------------------- better than the champion


def test_a_lead_whose_whole_interval_lies_above_the_margin_promotes() -> None:
    opinion = opinion_of(evaluation(0.6), evaluation(0.5))
    assert (opinion.promotable, opinion.contra) == (True, [])
    assert opinion.pro[0] == "mAP 0.600, the champion's 0.500: +0.100 [+0.100, +0.100]"


def test_a_lead_within_the_noise_of_the_test_images_does_not() -> None:
    jumpy = evaluation(0.52, confidence={"map_resamples": resamples(0.52, spread=-0.04)})
    said = against(opinion_of(jumpy, evaluation(0.5)))
    assert "mAP 0.520, the champion's 0.500: +0.020 [-0.0" in said
    assert "more than +0.000 is not shown" in said


@given(lead=st.floats(0, 0.4), margin=st.floats(0, 0.4))
def test_the_margin_itself_is_not_enough(lead: float, margin: float) -> None:
    assume(abs(lead - margin) > 1e-6 or lead == margin)
    bounds = Bounds(margin, 1.0, 1.0, 1000.0)
    opinion = opinion_of(evaluation(0.5 + lead), evaluation(0.5), bounds)
    assert opinion.promotable == (lead > margin)


@given(champion=scores, candidate=scores, drawn=figures, margin=st.floats(0, 1))
def test_whoever_scores_the_same_on_every_resample_is_never_promoted(
    champion: float, candidate: float, drawn: list[float | None], margin: float
) -> None:
    one = evaluation(champion, confidence={"map_resamples": drawn})
    other = evaluation(candidate, confidence={"map_resamples": drawn})
    assert not opinion_of(other, one, Bounds(margin, 1.0, 1.0, 1e9)).promotable


@given(st.data())
def test_whoever_is_better_in_fewer_than_97_of_100_resamples_is_never_promoted(data: st.DataObject) -> None:
    champion = data.draw(st.lists(st.floats(0, 0.5), min_size=100, max_size=100))
    worse = data.draw(st.sets(st.integers(0, 99), min_size=4))
    candidate = [each - 0.01 if index in worse else each + 0.4 for index, each in enumerate(champion)]
    opinion = opinion_of(
        evaluation(0.9, confidence={"map_resamples": candidate}),
        evaluation(0.1, confidence={"map_resamples": champion}),
    )
    assert not opinion.promotable


@given(st.lists(st.tuples(scores, scores), min_size=1, max_size=200))
def test_the_interval_is_numpy_s_within_one_step(pairs: list[tuple[float, float]]) -> None:
    interval = paired_interval([a for a, _ in pairs], [b for _, b in pairs])
    assert interval is not None
    differences = np.sort([a - b for a, b in pairs])
    for found, share in zip(interval, (0.025, 0.975), strict=True):
        place = share * (len(pairs) - 1)
        steps = differences[max(0, math.floor(place) - 1) : math.ceil(place) + 2]
        assert steps[0] - 1e-6 <= found <= steps[-1] + 1e-6
    assert interval[0] <= interval[1]


def test_resamples_without_any_object_count_on_neither_side() -> None:
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
def test_resamples_that_do_not_pair_tell_nothing(
    candidate: list[float | None], champion: list[float | None]
) -> None:
    assert paired_interval(candidate, champion) is None
    told = [None if each is None or not math.isfinite(each) else each for each in candidate]
    opinion = opinion_of(
        evaluation(0.9, confidence={"map_resamples": told}),
        evaluation(0.4, confidence={"map_resamples": champion}),
    )
    assert "cannot be told" in against(opinion)


@pytest.mark.parametrize(
    "change", [{"dataset": {"snapshot": "6" * 64}}, {"split": "validation"}, {"images": 41}]
)
def test_other_test_images_than_the_champion_s_never_promote(change: dict[str, Any]) -> None:
    assert "not judged on the champion's images" in against(
        opinion_of(evaluation(0.9, **change), evaluation())
    )


def test_a_champion_without_mean_precision_cannot_be_beaten() -> None:
    assert "the champion has no mAP" in against(opinion_of(evaluation(0.9), evaluation(map=None)))


def test_a_candidate_without_mean_precision_is_never_promoted() -> None:
    assert against(opinion_of(evaluation(map=None), evaluation())) == "it has no mAP"
    assert against(opinion_of(evaluation(map=None))) == "it has no mAP"


# ---------------------------------------------------------------- without a champion


def test_the_first_model_needs_nothing_to_beat() -> None:
    opinion = opinion_of(evaluation(0.3))
    assert opinion.promotable
    assert opinion.pro[0] == "mAP 0.300; no model serves yet"


def test_a_first_model_that_finds_nothing_is_none() -> None:
    assert "mAP 0.000" in against(opinion_of(evaluation(0.0)))


# ---------------------------------------------------------------- what a better mean must not hide


def test_a_class_worse_than_the_bound_is_named() -> None:
    candidate = evaluation(0.6, per_class={"dent": 0.449})
    assert "worse by more than 0.050 AP: dent 0.500 → 0.449" in against(opinion_of(candidate, evaluation()))


def test_a_class_worse_by_just_the_bound_is_let_through() -> None:
    candidate = evaluation(0.6, per_class={"dent": 0.45})
    assert opinion_of(candidate, evaluation()).promotable


def test_a_class_that_the_candidate_s_report_leaves_out_counts_as_worse() -> None:
    candidate = evaluation(0.6) | {"per_class": {"scratch": 0.6}}
    assert "dent 0.500 → unknown" in against(opinion_of(candidate, evaluation()))


def test_a_class_that_the_model_does_not_know_is_named() -> None:
    assert "it does not know dent, scratch" in against(
        opinion_of(evaluation(0.9, unknown_classes=list(CLASSES)), evaluation())
    )


@pytest.mark.parametrize("champion", [None, evaluation(0.4, per_class={"dent": None})])
def test_a_class_without_test_images_is_never_taken_on_trust(champion: dict[str, Any] | None) -> None:
    said = against(opinion_of(evaluation(0.9, per_class={"dent": None}), champion))
    assert "the test set cannot tell how well it finds dent" in said


@pytest.mark.parametrize(("now", "passes"), [(0.03, True), (0.0301, False), (0.01, True)])
def test_the_escape_rate_may_rise_by_the_bound_alone(now: float, passes: bool) -> None:
    opinion = opinion_of(evaluation(0.9, verdicts={"escape_rate": {"value": now}}), evaluation())
    assert opinion.promotable == passes
    assert f"escape rate {now:.1%} at its operating points, the champion's 2.0%" in str(opinion.document())


@pytest.mark.parametrize("champion", [None, evaluation(0.4)])
def test_an_escape_rate_that_is_not_known_never_promotes(champion: dict[str, Any] | None) -> None:
    candidate = evaluation(0.9, verdicts={"escape_rate": None})
    assert "its escape rate is not known" in against(opinion_of(candidate, champion))


@pytest.mark.parametrize(("p95", "passes"), [(999.0, True), (1000.0, True), (1000.1, False)])
def test_latency_must_keep_to_the_budget(p95: float, passes: bool) -> None:
    opinion = opinion_of(evaluation(0.9, latency={"p95_ms": p95}), evaluation())
    assert opinion.promotable == passes
    assert "the budget is 1000 ms" in str(opinion.document())


@pytest.mark.parametrize(
    ("difference", "said"), [(None, "is not known"), (0.02, "scores differ by 2.0e-02"), (1.0, "differ")]
)
def test_an_export_that_may_be_another_model_never_promotes(difference: float | None, said: str) -> None:
    candidate = evaluation(0.9, model={"export_score_difference": difference})
    assert said in against(opinion_of(candidate, evaluation()))


def test_an_evaluation_that_does_not_speak_of_its_export_never_promotes() -> None:
    candidate = evaluation(0.9)
    del candidate["model"]["export_score_difference"]
    assert "is not known" in against(opinion_of(candidate, evaluation()))


def test_every_bound_that_is_broken_is_told_not_only_the_first() -> None:
    candidate = evaluation(
        0.4, verdicts={"escape_rate": {"value": 0.5}}, latency={"p95_ms": 5000.0}, unknown_classes=["dent"]
    )
    said = against(opinion_of(candidate, evaluation()))
    for part in ("is not shown", "does not know dent", "worse by more than", "escape rate 50.0%", "5000 ms"):
        assert part in said


# ---------------------------------------------------------------- reports that are none


def places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Of every number."""
    if isinstance(document, dict):
        return [place for key, value in document.items() for place in places(value, (*path, key))]
    if isinstance(document, list):
        return [place for key, value in enumerate(document[:2]) for place in places(value, (*path, key))]
    return [path] if isinstance(document, float) else []


READ = [place for place in places(evaluation()) if place[0] not in ("prices", "golden")]


def changed(document: dict[str, Any], place: tuple[str, ...], value: Any) -> dict[str, Any]:
    copy: dict[str, Any] = json.loads(json.dumps(document))
    inner: Any = copy
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return copy


@pytest.mark.parametrize("value", NOT_NUMBERS)
@pytest.mark.parametrize("place", READ, ids=lambda place: ".".join(map(str, place)))
def test_what_is_not_a_number_never_promotes_and_is_named(place: tuple[str, ...], value: float) -> None:
    damaged = changed(evaluation(0.9), place, value)
    for champion in (None, evaluation(0.4)):
        given_ = decision(damaged, champion=champion)
        assert given_["decision"] == "keep"
        assert ".".join(map(str, place)) in given_["reasons"][0]
        json.dumps(given_, allow_nan=False)


@pytest.mark.parametrize("value", NOT_NUMBERS)
@pytest.mark.parametrize("place", READ, ids=lambda place: ".".join(map(str, place)))
def test_a_champion_s_figure_that_is_not_a_number_stops_the_run(place: tuple[str, ...], value: float) -> None:
    with pytest.raises(BrokenReportError, match="the champion cannot be judged"):
        decision(evaluation(0.9), champion=changed(evaluation(0.4), place, value))


@pytest.mark.parametrize("member", sorted(Report.model_fields))
def test_a_member_that_is_missing_never_promotes_and_is_named(member: str) -> None:
    document = evaluation(0.9)
    del document[member]
    given_ = decision(document, champion=evaluation(0.4))
    assert given_["decision"] == "keep"
    assert f"not in order at {member}: Field required" in given_["reasons"][0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no JSON document"),
        ("{", "is no JSON document"),
        ("[]", "not in order at its top"),
        ("null", "not in order at its top"),
        ('"evaluation"', "not in order at its top"),
        (None, "there is no evaluation s3://artefacts/reports/c0"),
    ],
)
def test_an_evaluation_that_is_none_never_promotes(text: str | None, said: str) -> None:
    given_ = decision(text, champion=evaluation(0.4))
    assert (given_["decision"], given_["winner"]) == ("keep", None)
    assert said in given_["reasons"][0]
    assert given_["opinions"][0] == {
        "map": None,
        "map_interval": None,
        "map50": None,
        "promotable": False,
        "for": [],
        "against": [given_["reasons"][0].removeprefix("c0: ")],
    }


@pytest.mark.parametrize("text", ["", "{}", "[]", "nonsense"])
def test_a_champion_that_cannot_be_read_stops_the_run_with_a_sentence(text: str) -> None:
    with pytest.raises(BrokenReportError) as caught:
        decision(evaluation(0.9), champion=text)
    assert str(caught.value).startswith("the champion cannot be judged, so nothing can be shown better: ")


@pytest.mark.parametrize(
    ("champion", "said"),
    [
        ({"report": None, "error": "CapacityError: no instance"}, "CapacityError: no instance"),
        ({"report": None, "error": None}, "it was not evaluated"),
        ({"report": "s3://artefacts/reports/gone", "error": None}, "there is no evaluation"),
    ],
)
def test_a_champion_whose_evaluation_failed_stops_the_run_with_a_sentence(
    champion: dict[str, Any], said: str
) -> None:
    gate = Gate(Held({"reports/c0": evaluation(0.9)}), BOUNDS)
    candidate = {"id": "c0", "report": "s3://artefacts/reports/c0", "error": None}
    with pytest.raises(BrokenReportError, match="the champion cannot be judged.*" + said):
        gate.decide([candidate], champion)


# ---------------------------------------------------------------- the decision


def test_a_candidate_that_failed_is_told_and_the_others_go_on() -> None:
    given_ = decision(
        evaluation(), evaluation(0.9), champion=evaluation(0.4), errors={0: "NonFiniteLossError: [epoch 2]"}
    )
    assert (given_["decision"], given_["winner"]) == ("promote", 1)
    assert given_["opinions"][0]["against"] == ["NonFiniteLossError: [epoch 2]"]


def test_a_candidate_that_failed_without_a_word_is_against_itself_all_the_same() -> None:
    gate = Gate(Held({}), BOUNDS)
    given_ = gate.decide([{"id": "c0", "report": None, "error": None}], None)
    assert given_["reasons"] == ["c0: it was not evaluated"]


def test_of_several_the_best_mean_precision_wins() -> None:
    given_ = decision(evaluation(0.6), evaluation(0.8), evaluation(0.7), champion=evaluation(0.4))
    assert (given_["decision"], given_["winner"]) == ("promote", 1)
    assert given_["reasons"][0].startswith("c1: mAP 0.800")


def test_of_several_as_good_the_fastest_wins_and_then_the_first() -> None:
    slow, fast = (evaluation(0.8, latency={"p50_ms": ms}) for ms in (50.0, 20.0))
    assert decision(slow, fast, fast, champion=evaluation(0.4))["winner"] == 1
    assert decision(fast, slow, champion=evaluation(0.4))["winner"] == 0


def test_the_best_does_not_win_where_something_speaks_against_it() -> None:
    slow = evaluation(0.9, latency={"p95_ms": 1e6})
    assert decision(slow, evaluation(0.6), champion=evaluation(0.4))["winner"] == 1


def test_where_none_is_shown_better_each_one_s_reasons_are_given() -> None:
    given_ = decision(evaluation(0.3), evaluation(0.4), champion=evaluation(0.5))
    assert (given_["decision"], given_["winner"], len(given_["reasons"])) == ("keep", None, 2)
    assert all(f"c{index}: mAP 0.{3 + index}00" in given_["reasons"][index] for index in (0, 1))


def test_the_champion_s_figures_stand_beside_the_candidates_() -> None:
    given_ = decision(evaluation(0.6), champion=evaluation(0.5))
    assert given_["champion"] == {
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
    numbers.map(lambda each: each and each * 2000),
    numbers.map(lambda each: each and each * 2000),
    numbers,
    numbers,
    numbers,
    st.lists(numbers, max_size=5) | st.just(resamples(0.5)),
    st.sampled_from([40, 41]),
    st.sampled_from([[], ["dent"]]),
)


@given(st.lists(documents | st.just("{"), min_size=1, max_size=4), st.booleans())
def test_whatever_the_reports_hold_the_decision_is_told_with_reasons_and_without_nan(
    given_: list[Any], beside_a_champion: bool
) -> None:
    result = decision(*given_, champion=evaluation(0.2) if beside_a_champion else None)
    json.dumps(result, allow_nan=False)
    assert len(result["opinions"]) == len(given_)
    for opinion in result["opinions"]:
        assert opinion["for"] if opinion["promotable"] else opinion["against"]
        assert all(isinstance(reason, str) and reason for reason in opinion["for"] + opinion["against"])
    able = [index for index, opinion in enumerate(result["opinions"]) if opinion["promotable"]]
    assert result["decision"] == ("promote" if able else "keep")
    assert (result["winner"] in able) if able else result["winner"] is None
    assert result["reasons"]


def test_a_report_names_its_figures_for_a_table() -> None:
    assert report(0.5).summary()["map_interval"] == (0.48, 0.52)
