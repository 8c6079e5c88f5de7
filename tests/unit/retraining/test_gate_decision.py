"""The gate's decision: the best candidate wins, and an evaluation that is invalid or missing never promotes."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retraining.errors import BrokenReportError
from retraining.evaluation import Evaluation
from retraining.findings import Bounds
from retraining.gate import Gate
from tests.unit.retraining.evaluations import evaluation, resamples
from tests.unit.retraining.memory import MemoryDocuments

BOUNDS = Bounds(
    margin=0.0, class_bound=0.05, escape_bound=0.01, overkill_bound=0.05, latency_budget_ms=1000.0
)
NOT_NUMBERS = [math.nan, math.inf, -math.inf]


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
            "family": "ssdlite",
            "report": f"s3://artefacts/reports/c{index}" if not (errors or {}).get(index) else None,
            "error": (errors or {}).get(index),
        }
        for index in range(len(candidates))
    ]
    serving = {"report": "s3://artefacts/reports/champion", "error": None}
    return Gate(MemoryDocuments(files), bounds).decide(listed, serving if champion is not None else None)


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


@pytest.mark.promise(16)
@pytest.mark.parametrize(
    "member", sorted(name for name, field in Evaluation.model_fields.items() if field.is_required())
)
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
        "kind": None,
        "map": None,
        "map_interval": None,
        "map50": None,
        "image_auroc": None,
        "image_auroc_interval": None,
        "caught_at_zero_overkill": None,
        "escape_rate": None,
        "overkill_rate": None,
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
    candidate = {"id": "c0", "family": "ssdlite", "report": "s3://artefacts/reports/c0", "error": None}
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
    result = gate.decide([{"id": "c0", "family": "ssdlite", "report": None, "error": None}], None)
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
        "kind": "detector",
        "image_auroc": None,
        "image_auroc_interval": None,
        "caught_at_zero_overkill": None,
        "map": 0.5,
        "map50": 0.7,
        "map_interval": (0.48, 0.52),
        "family": "ssdlite",
        "escape_rate": {"value": 0.02, "interval": None, "count": None, "of": None},
        "overkill_rate": {"value": 0.05, "interval": None, "count": None, "of": None},
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


@pytest.mark.promise(16)
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
