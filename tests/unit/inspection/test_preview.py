"""What other rules would have decided."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.inspections import Verdict
from inspection.cases import Case, Decision, case_of
from inspection.preview import preview
from inspection.rules import Rules
from tests.inspection_support import anomaly, detection, prediction
from tests.unit.inspection.factory import Factory, record_of

LABELS = st.sampled_from(["pits", "scratches"])
SCORES = st.floats(0, 1)
EDGES = st.floats(0, 200, width=32)
HALF = [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]
DIAMOND = [[0.5, 0], [1, 0.5], [0.5, 1], [0, 0.5]]


def rules(version: str = "1", **document: Any) -> Rules:
    return Rules.model_validate({"version": version} | document)


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    review, fail = sorted(draw(st.tuples(SCORES, SCORES)))
    smallest, largest = sorted(draw(st.tuples(st.floats(0, 5000), st.floats(0, 5000))))
    rule = {
        "fail_score": fail,
        "review_score": review,
        "smallest_area": smallest,
        "largest_area": draw(st.sampled_from([None, largest])),
        "allowed_count": draw(st.integers(0, 2)),
        "verdict": draw(st.sampled_from(["fail", "review"])),
    }
    zones = draw(st.sampled_from([{}, {"line-1": {"ignored": [HALF]}}, {"line-1": {"regions": [DIAMOND]}}]))
    return {
        "version": "1",
        "default": rule,
        "classes": {"pits": {"allowed_count": draw(st.integers(0, 2))}},
        "zones": zones,
        "picture": {"least_sharpness": draw(st.floats(0, 200))},
        "candidate": {
            "version": "run",
            "model": "8",
            "classes": {"pits": {"fail_score": 0.9, "review_score": 0.1}},
        },
    }


@st.composite
def answers(draw: st.DrawFn) -> dict[str, Any]:
    # In the picture at least with a corner, and not inside out: other answers are refused.
    boxes = st.tuples(EDGES, EDGES, EDGES, EDGES).map(
        lambda box: (
            *(min(box[0], box[2], 200), min(box[1], box[3], 100)),
            *(max(box[0], box[2], 0), max(box[1], box[3], 0)),
        )
    )
    detections = draw(st.lists(st.builds(detection, LABELS, SCORES, boxes), max_size=5))
    warnings = draw(st.sampled_from([[], [{"code": "scale", "message": "at another scale"}]]))
    return prediction(
        *detections,
        warnings=warnings,
        quality={"sharpness": draw(st.floats(0, 200))},
        model={"name": "steel", "version": draw(st.sampled_from(["7", "8"]))},
    )


@settings(max_examples=40)
@given(documents(), answers())
def test_the_rules_that_judged_an_image_judge_it_again_as_they_did(
    document: dict[str, Any], answer: dict[str, Any]
) -> None:
    using = Rules.model_validate(document)
    record = record_of(using, answer)
    again = case_of(record).judgement(using)
    assert again is not None
    assert again.verdict == record["verdict"]
    assert [reason.message for reason in again.reasons] == [reason["message"] for reason in record["reasons"]]
    shown = preview(using, using, [case_of(record)])
    assert shown["moves"] == []
    assert shown["current"] == shown["proposed"]


def test_a_box_is_judged_as_its_record_holds_it() -> None:
    # Rounded to the record's six digits it has 100 square pixels, and before it has less.
    box = (0.0, 0.0, 10.00000004, 9.99999995)
    using = rules(default={"smallest_area": 100})
    record = record_of(using, prediction(detection("scratches", 0.9, box)))
    assert record["verdict"] == case_of(record).verdict(using) == "fail"


@settings(max_examples=30)
@given(documents(), documents(), st.lists(answers(), min_size=1, max_size=6))
def test_a_preview_counts_the_verdicts_that_the_proposed_rules_give(
    current: dict[str, Any], proposed: dict[str, Any], given_answers: list[dict[str, Any]]
) -> None:
    before, after = Rules.model_validate(current), Rules.model_validate(proposed)
    cases = [case_of(record_of(before, answer, number)) for number, answer in enumerate(given_answers)]
    judged = [record_of(after, answer, number)["verdict"] for number, answer in enumerate(given_answers)]
    shown = preview(before, after, cases)
    assert shown["proposed"] == {verdict.value: judged.count(verdict) for verdict in Verdict}
    moved = [(str(case.record["verdict"]), new) for case, new in zip(cases, judged, strict=True)]
    assert {(move["from"], move["to"]): move["count"] for move in shown["moves"]} == {
        pair: moved.count(pair) for pair in moved if pair[0] != pair[1]
    }


@settings(max_examples=40)
@given(documents(), answers())
def test_the_deciding_score_is_the_one_that_makes_the_class_fail(
    document: dict[str, Any], answer: dict[str, Any]
) -> None:
    document["default"]["largest_area"], document["candidate"] = None, None
    using = Rules.model_validate(document)
    case = case_of(record_of(using, answer))
    scores = case.deciding_scores(using)
    rule_of = {label: using.rule("line-1", label) for label in scores}
    failing = {
        label
        for label, score in scores.items()
        if rule_of[label].can_fail and score >= rule_of[label].fail_score
    }
    doubtful = {label for label, score in scores.items() if score >= rule_of[label].review_score}
    judgement = case.judgement(using)
    assert judgement is not None
    assert (judgement.verdict is Verdict.FAIL) == bool(failing)
    if judgement.verdict is Verdict.PASS:
        assert not doubtful


def found(score: float, number: int = 0, decision: dict[str, Any] | None = None, **answer: Any) -> Case:
    detections = [detection("scratches", score)] if score else []
    return case_of(record_of(rules(), prediction(*detections, **answer), number), decision)


BAD = {"verdict": "fail", "objects": [{"label": "scratches", "box": [0, 0, 1, 1]}]}
GOOD: dict[str, Any] = {"verdict": "pass", "objects": []}


def test_moves_name_the_images_that_change_most_frequent_first() -> None:
    cases = [found(0.45, 1), found(0.6, 2), found(0.65, 3), found(0.1, 4)]
    shown = preview(rules(), rules("2", default={"fail_score": 0.7}), cases)
    assert shown["current"] == {"pass": 1, "review": 1, "fail": 2, "unreadable": 0}
    assert shown["proposed"] == {"pass": 1, "review": 3, "fail": 0, "unreadable": 0}
    (move,) = shown["moves"]
    assert move == {"from": "fail", "to": "review", "count": 2, "ids": [cases[1].id, cases[2].id]}


def test_at_most_twenty_images_of_a_move_are_named() -> None:
    shown = preview(rules(), rules("2", default={"fail_score": 0.9}), [found(0.6, n) for n in range(30)])
    assert (shown["moves"][0]["count"], len(shown["moves"][0]["ids"])) == (30, 20)


def test_an_image_that_the_model_has_not_seen_keeps_its_verdict() -> None:
    record = found(0.9).record | {
        "verdict": "unreadable",
        "reasons": [{"code": "corrupt_image", "message": ""}],
    }
    for name in ("model", "detections", "quality", "doubts"):
        del record[name]
    shown = preview(rules(), rules("2", default={"fail_score": 0.99}), [case_of(record)])
    assert shown["moves"] == []
    assert shown["proposed"]["unreadable"] == 1
    assert "The model has not answered for 1 image, whose verdict stays." in shown["notes"]


def test_a_record_of_an_earlier_release_keeps_its_reasons_of_a_bad_picture() -> None:
    doubted = found(0, warnings=[{"message": "at another scale"}]).record
    del doubted["doubts"]
    shown = preview(rules(), rules("2"), [case_of(doubted)])
    assert (shown["proposed"]["review"], shown["moves"]) == (1, [])
    assert any("earlier release" in note for note in shown["notes"])


def test_rates_are_those_of_the_decided_images_and_of_what_they_stand_for() -> None:
    # Of four passed images two are decided, one of them is bad; both failed ones are decided.
    cases = [found(0.1, 1, BAD), found(0.1, 2, GOOD), found(0.2, 3), found(0, 4)]
    cases += [found(0.9, 5, BAD), found(0.9, 6, GOOD)]
    shown = preview(rules(), rules("2", default={"fail_score": 0.05, "review_score": 0.05}), cases)
    assert shown["escape"]["current"]["value"] == round(2 / 3, 6)
    # Nothing but the image without a detection passes now. Nobody has looked at it; it stands for half a bad part.
    assert shown["escape"]["proposed"]["value"] == round(0.5 / (0.5 + 1.5 + 1), 6)
    assert shown["overkill"]["current"]["value"] == round(1 / 3, 6)
    counts = [shown["escape"]["current"][name] for name in ("wrong", "reviewed", "of")]
    assert counts == [1, 2, 4]


def test_doubtful_images_that_wait_for_a_decision_are_told() -> None:
    waiting = [found(0.4, number) for number in range(3)]
    assert any(
        "decided about 3 doubtful images yet" in note
        for note in preview(rules(), rules("2"), waiting)["notes"]
    )


def test_nobody_s_decision_is_no_rate_but_a_note() -> None:
    shown = preview(rules(), rules("2"), [found(0.9)])
    assert shown["escape"]["proposed"]["value"] is None
    assert "Nobody has decided about any of these images, so no rates are known." in shown["notes"]


def test_histograms_divide_the_scores_by_what_people_say() -> None:
    cases = [found(0.93, 1, BAD), found(0, 2, BAD), found(0.41, 3, GOOD), found(0.3, 4), found(0.3, 5)]
    cases.append(found(0.6, 6, {"verdict": "unusable", "objects": []}))
    shown = preview(rules(), rules("2", classes={"scratches": {"fail_score": 0.8}}), cases)["by_label"][
        "scratches"
    ]
    histogram = shown["histogram"]
    assert {
        kind: {n: c for n, c in enumerate(histogram[kind]) if c} for kind in histogram if kind != "edges"
    } == {
        "rejected": {0: 1, 18: 1},
        "accepted": {8: 1},
        "undecided": {6: 2, 12: 1},
    }
    assert (len(histogram["edges"]), histogram["edges"][-1]) == (21, 1.0)
    assert shown["current"] == {"fail_score": 0.5, "review_score": 0.3}
    assert shown["proposed"] == {"fail_score": 0.8, "review_score": 0.3}


def test_a_person_who_marks_nothing_agrees_with_the_model_about_the_class() -> None:
    case = found(0.9, decision={"verdict": "fail", "objects": []})
    assert case.decision == Decision(True, frozenset({"scratches"}))


@pytest.mark.parametrize(
    ("detections", "marked", "labels"),
    [
        ([("anomaly", 0.9)], ["scratches"], {"scratches", "anomaly"}),  # it was right, whatever it is called
        ([], ["scratches"], {"scratches", "anomaly"}),  # nobody else has found it
        ([("scratches", 0.9)], ["scratches"], {"scratches"}),  # the detector has found what it knows
        ([("scratches", 0.9)], ["dent"], {"dent", "anomaly"}),
        ([("anomaly", 0.9)], [], {"anomaly"}),
    ],
)
def test_an_anomaly_is_right_about_a_defect_of_any_name(
    detections: list[tuple[str, float]], marked: list[str], labels: set[str]
) -> None:
    decision = {"verdict": "fail", "objects": [{"label": label} for label in marked]}
    answer = prediction(*[detection(*found) for found in detections], anomaly=anomaly())
    assert case_of(record_of(rules(), answer), decision).decision == Decision(True, frozenset(labels))
    assert case_of(record_of(rules(), answer), GOOD).decision == Decision(False)


def test_a_bad_picture_that_the_anomaly_model_could_not_judge_is_none_that_it_missed() -> None:
    decision = {"verdict": "fail", "objects": [{"label": "scratches"}]}
    record = record_of(rules(), prediction(anomaly=anomaly(None)))
    assert case_of(record, decision).decision == Decision(True, frozenset({"scratches"}))


def test_a_preview_shows_what_changes_if_a_class_only_asks_for_a_review() -> None:
    cases = [found(0.9, 1, BAD), found(0.9, 2, GOOD)]
    shown = preview(rules(), rules("2", classes={"scratches": {"verdict": "review"}}), cases)
    assert [(move["from"], move["to"], move["count"]) for move in shown["moves"]] == [("fail", "review", 2)]
    assert (shown["overkill"]["current"]["value"], shown["overkill"]["proposed"]["value"]) == (1.0, 0.0)


def test_invalid_rules_in_force_are_compared_by_the_recorded_verdicts() -> None:
    shown = preview(None, rules("2", default={"fail_score": 0.95}), [found(0.9)])
    assert (shown["current"]["fail"], shown["proposed"]["review"]) == (1, 1)
    assert shown["by_label"]["scratches"]["current"] is None


def test_the_escape_rate_of_a_simulated_factory_is_in_its_interval() -> None:
    using = rules(default={"fail_score": 0.6, "review_score": 0.4})
    factory = Factory(using, missed=0.05, seed=2)
    rate = preview(using, using, factory.cases(800))["escape"]["current"]
    escaped, bad = factory.escape(using, 10_000)
    assert rate["low"] <= escaped / bad <= rate["high"]
    assert rate["high"] - rate["low"] < 0.4
