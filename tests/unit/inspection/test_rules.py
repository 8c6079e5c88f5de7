"""From detections to a verdict (docs/rules.md)."""

import json
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contract.inspections import Verdict
from inspection.detector import Detection
from inspection.errors import NotReadyError
from inspection.rules import Judgement, Rules, Severity, judge
from inspection.rules_parameter import RulesParameter

DEFAULT = {"fail_score": 0.5, "review_score": 0.3, "severity": "major"}


def rules(**document: Any) -> Rules:
    return Rules.model_validate({"version": "1", "default": DEFAULT} | document)


def detection(label: str, score: float, box: tuple[float, float, float, float] = (0, 0, 10, 10)) -> Detection:
    return Detection(label=label, score=score, box=box)


def verdict(document: Rules, *detections: Detection, line: str = "line-1") -> Verdict:
    return judge(document, line, detections).verdict


def test_an_image_without_detections_passes() -> None:
    assert judge(rules(), "line-1", []) == Judgement(Verdict.PASS, [])


@pytest.mark.parametrize(
    ("score", "expected"), [(0.29, "pass"), (0.3, "review"), (0.49, "review"), (0.5, "fail"), (1.0, "fail")]
)
def test_scores_divide_pass_review_and_fail(score: float, expected: str) -> None:
    assert verdict(rules(), detection("scratches", score)) == expected


def test_a_detection_below_the_smallest_area_does_not_count() -> None:
    strict = rules(default=DEFAULT | {"smallest_area": 100})
    assert verdict(strict, detection("scratches", 0.9, (0, 0, 9.9, 10))) == "pass"
    assert verdict(strict, detection("scratches", 0.9, (0, 0, 10, 10))) == "fail"


def test_a_box_inside_out_has_no_area() -> None:
    assert (
        verdict(rules(default=DEFAULT | {"smallest_area": 1}), detection("scratches", 0.9, (10, 10, 0, 0)))
        == "pass"
    )


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([0.9, 0.9], "pass"),
        ([0.9, 0.9, 0.9], "fail"),
        ([0.9, 0.9, 0.4], "review"),  # the doubtful detection may be the third defect
        ([0.9, 0.4], "pass"),  # even if it is a defect, two are allowed
        ([0.4, 0.4, 0.4], "review"),
    ],
)
def test_the_allowed_count_of_defects_passes(scores: list[float], expected: str) -> None:
    tolerant = rules(classes={"pits": {"allowed_count": 2}})
    assert verdict(tolerant, *[detection("pits", score) for score in scores]) == expected


def test_the_allowed_count_is_per_class() -> None:
    tolerant = rules(default=DEFAULT | {"allowed_count": 1})
    assert verdict(tolerant, detection("pits", 0.9), detection("scratches", 0.9)) == "pass"


def test_the_worst_class_decides_verdict_and_severity() -> None:
    using = rules(classes={"crazing": {"severity": "critical"}, "pits": {"severity": "minor"}})

    judgement = judge(
        using, "line-1", [detection("pits", 0.99), detection("patches", 0.4), detection("crazing", 0.6)]
    )

    assert judgement.verdict is Verdict.FAIL
    assert judgement.severity is Severity.CRITICAL
    assert [(r.code, r.label, r.detection) for r in judgement.reasons] == [
        ("defect", "crazing", 2),
        ("defect", "pits", 0),
        ("doubtful", "patches", 1),
    ]


def test_a_class_changes_only_what_it_names() -> None:
    using = rules(
        default=DEFAULT | {"severity": "minor", "smallest_area": 50}, classes={"pits": {"fail_score": 0.8}}
    )
    rule = using.rule("line-1", "pits")
    assert (rule.fail_score, rule.severity, rule.smallest_area) == (0.8, "minor", 50)


def test_a_line_overrides_the_class_and_its_default_the_rest() -> None:
    using = rules(
        classes={"pits": {"severity": "critical"}},
        lines={"line-2": {"pits": {"fail_score": 0.9}, "default": {"fail_score": 0.7}}},
    )
    assert verdict(using, detection("pits", 0.6)) == "fail"
    assert verdict(using, detection("pits", 0.85), line="line-2") == "review"
    assert verdict(using, detection("patches", 0.65), line="line-2") == "review"
    assert judge(using, "line-2", [detection("pits", 0.95)]).severity is Severity.CRITICAL


@pytest.mark.parametrize(
    "wrong",
    [
        {"default": {"fail_score": 0.2, "review_score": 0.3}},
        {"default": {"fail_score": 1.5}},
        {"default": {"fial_score": 0.5}},
        {"classes": {"pits": {"fail_score": 0.1}}},  # below the default's review score
        {"lines": {"line-1": {"pits": {"review_score": 0.9}}}},
        {"lines": {"line-1": {"default": {"review_score": 0.9}}}},
        {"default": {"severity": "terrible"}},
        {"default": {"allowed_count": -1}},
        {"default": {"smallest_area": "large"}},
        {"version": ""},
        {"clases": {}},
    ],
    ids=json.dumps,
)
def test_an_invalid_document_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        rules(**wrong)


def test_the_default_of_a_line_is_checked_against_the_classes_that_it_changes() -> None:
    with pytest.raises(ValidationError):
        rules(classes={"pits": {"review_score": 0.45}}, lines={"line-1": {"default": {"fail_score": 0.4}}})


LABELS = st.sampled_from(["pits", "scratches", "patches"])
DETECTIONS = st.lists(st.builds(detection, LABELS, st.floats(0, 1)), max_size=12)


@given(DETECTIONS, st.randoms(use_true_random=False))
def test_the_verdict_does_not_depend_on_the_order_of_detections(
    detections: list[Detection], random: Any
) -> None:
    using = rules(classes={"pits": {"allowed_count": 2}})
    shuffled = random.sample(detections, len(detections))
    assert judge(using, "a", detections).severity == judge(using, "a", shuffled).severity
    assert verdict(using, *detections) == verdict(using, *shuffled)


@given(DETECTIONS, LABELS, st.floats(0, 1))
def test_another_detection_never_makes_the_verdict_milder(
    detections: list[Detection], label: str, score: float
) -> None:
    using = rules(classes={"pits": {"allowed_count": 2}})
    order = [Verdict.PASS, Verdict.REVIEW, Verdict.FAIL]
    before, after = verdict(using, *detections), verdict(using, *detections, detection(label, score))
    assert order.index(after) >= order.index(before)


@given(DETECTIONS, st.sampled_from(["classes", "lines"]))
def test_a_class_whose_verdict_is_review_never_fails_a_product_and_never_passes_what_reaches_its_review_score(
    detections: list[Detection], place: str
) -> None:
    change = {"pits": {"verdict": "review"}}
    using = rules(**{place: change if place == "classes" else {"line-1": change}})
    others = judge(rules(), "line-1", [found for found in detections if found.label != "pits"])
    suspected = any(found.label == "pits" and found.score >= 0.3 for found in detections)
    judgement = judge(using, "line-1", detections)
    milder = others.verdict is Verdict.PASS and suspected
    assert judgement.verdict is (Verdict.REVIEW if milder else others.verdict)
    assert judgement.severity is others.severity
    assert not [reason for reason in judgement.reasons if (reason.code, reason.label) == ("defect", "pits")]


def test_a_line_can_make_its_own_of_an_anomaly() -> None:
    using = rules(
        classes={"anomaly": {"verdict": "review"}}, lines={"line-2": {"anomaly": {"verdict": "fail"}}}
    )
    assert verdict(using, detection("anomaly", 0.97), line="line-1") == "review"
    assert verdict(using, detection("anomaly", 0.97), line="line-2") == "fail"
    assert verdict(using, detection("anomaly", 0.29), line="line-1") == "pass"
    (reason,) = judge(using, "line-1", [detection("anomaly", 0.97)]).reasons
    assert (reason.code, reason.message) == ("doubtful", "possible defect: anomaly 0.97")


def test_as_many_anomalies_as_are_allowed_pass_also_where_they_never_fail() -> None:
    using = rules(classes={"anomaly": {"verdict": "review", "allowed_count": 1}})
    assert verdict(using, detection("anomaly", 0.97)) == "pass"
    assert verdict(using, detection("anomaly", 0.97), detection("anomaly", 0.31)) == "review"


@given(DETECTIONS)
def test_a_picture_of_another_product_never_passes_and_fails_for_the_defects_beside_it(
    detections: list[Detection],
) -> None:
    using = rules(classes={"pits": {"verdict": "review"}})
    doubt = "another product: nothing like it was learned"
    judgement = judge(using, "line-1", detections, FINE, [doubt])
    alone = verdict(using, *detections)
    assert judgement.verdict is (Verdict.FAIL if alone is Verdict.FAIL else Verdict.REVIEW)
    assert ("bad_picture", doubt) in [(reason.code, reason.message) for reason in judgement.reasons]


def parameter(**answer: Any) -> tuple[RulesParameter, Stubber]:
    client = boto3.client("ssm", "eu-central-1", aws_access_key_id="t", aws_secret_access_key="t")
    stubber = Stubber(client)
    if answer:
        stubber.add_response("get_parameter", {"Parameter": answer})
    else:
        stubber.add_client_error("get_parameter", "ParameterNotFound")
    stubber.activate()
    return RulesParameter(client, "/loupe/rules", 30), stubber


def test_the_parameter_is_read_once_and_then_cached() -> None:
    source, stubber = parameter(Value=json.dumps({"version": "7", "default": DEFAULT}))
    assert source.current().version == "7"
    assert source.current().version == "7"
    stubber.assert_no_pending_responses()


@pytest.mark.parametrize("value", ["", "{", "[]", '{"version": "1", "oops": 1}'])
def test_images_wait_for_valid_rules(value: str) -> None:
    source, _ = parameter(Value=value)
    with pytest.raises(NotReadyError) as caught:
        source.current()
    assert caught.value.code == "rules_invalid"


def test_images_wait_for_missing_rules() -> None:
    source, _ = parameter()
    with pytest.raises(NotReadyError) as caught:
        source.current()
    assert caught.value.code == "rules_missing"


@pytest.mark.parametrize(
    ("score", "message"),
    [
        (0.91, "defect: pits 0.91"),
        (0.496, "possible defect: pits 0.496"),
        (0.504, "defect: pits 0.504"),
        (0.49996, "possible defect: pits 0.49996"),
    ],
)
def test_a_reason_shows_the_digits_of_the_score_that_decide(score: float, message: str) -> None:
    (reason,) = judge(rules(), "line-1", [detection("pits", score)]).reasons
    assert (reason.message, reason.fail_score) == (message, 0.5)


@given(st.floats(0.3, 1), st.floats(0.3, 1))
def test_the_shown_score_of_a_reason_is_on_the_side_of_the_fail_score_that_its_code_says(
    score: float, fail_score: float
) -> None:
    (reason,) = judge(
        rules(default=DEFAULT | {"fail_score": fail_score}), "line-1", [detection("pits", score)]
    ).reasons
    shown = float(reason.message.rpartition(" ")[2])
    assert (shown >= fail_score) == (reason.code == "defect")


def test_the_score_that_is_judged_is_the_score_that_the_record_holds() -> None:
    (reason,) = judge(rules(), "line-1", [detection("pits", 0.4999999)]).reasons
    assert (reason.code, reason.score) == ("defect", 0.5)


PICTURE = {"least_sharpness": 40, "least_exposure": 0.1, "most_exposure": 0.9, "most_clipped": 0.3}
FINE = {"sharpness": 100.0, "exposure": 0.5, "clipped": 0.0}


@pytest.mark.parametrize(
    ("measured", "message"),
    [
        ({"sharpness": 39.9}, "blurred: sharpness 39.9 is below 40.0"),
        ({"sharpness": 39.9999999}, "blurred: sharpness 39.9999999 is below 40.0000000"),
        ({"exposure": 0.05}, "too dark: exposure 0.05 is below 0.10"),
        ({"exposure": 0.9004}, "too bright: exposure 0.9004 is above 0.9000"),
        ({"clipped": 0.31}, "clipped: 31% of the pixels are black or white, at most 30%"),
        ({"clipped": 0.304}, "clipped: 30.4% of the pixels are black or white, at most 30.0%"),
    ],
)
def test_a_bad_picture_without_detections_asks_for_a_review(measured: dict[str, float], message: str) -> None:
    judgement = judge(rules(picture=PICTURE), "line-1", [], FINE | measured)
    assert judgement.verdict is Verdict.REVIEW
    assert [(reason.code, reason.message) for reason in judgement.reasons] == [("bad_picture", message)]


def test_a_defect_on_a_bad_picture_still_fails() -> None:
    judgement = judge(rules(picture=PICTURE), "line-1", [detection("pits", 0.9)], FINE | {"sharpness": 1.0})
    assert judgement.verdict is Verdict.FAIL
    assert [reason.code for reason in judgement.reasons] == ["defect", "bad_picture"]


def test_a_line_can_have_its_own_picture_rule_and_a_missing_measure_is_no_fault() -> None:
    using = rules(picture=PICTURE, line_pictures={"dark-line": PICTURE | {"least_exposure": 0.01}})
    dark = FINE | {"exposure": 0.05}
    assert judge(using, "line-1", [], dark).verdict is Verdict.REVIEW
    assert judge(using, "dark-line", [], dark).verdict is Verdict.PASS
    assert judge(using, "line-1", []).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("measured", "message"),
    [
        ({"exposure": 0.02}, "too dark: exposure 0.02 is below 0.04"),
        ({"exposure": 0.994}, "too bright: exposure 0.994 is above 0.990"),
        ({"clipped": 0.97}, "clipped: 97% of the pixels are black or white, at most 95%"),
    ],
)
def test_a_picture_that_is_nearly_black_or_white_is_never_a_pass_by_default(
    measured: dict[str, float], message: str
) -> None:
    judgement = judge(rules(), "line-1", [], FINE | measured)
    assert judgement.verdict is Verdict.REVIEW
    assert [reason.message for reason in judgement.reasons] == [message]


@pytest.mark.parametrize(
    "measured",
    # The darkest, brightest and most clipped of NEU-DET's 1,440 pictures and of 118 toys on a white ground.
    [
        {"exposure": 0.1347},
        {"exposure": 0.9542},
        {"clipped": 0.4311},
        {"exposure": 0.9863, "clipped": 0.8872},
        {"sharpness": 3.75},
    ],
)
def test_no_real_picture_is_doubted_by_default(measured: dict[str, float]) -> None:
    assert judge(rules(), "line-1", [], FINE | measured).verdict is Verdict.PASS


def test_what_the_endpoint_doubts_is_never_a_pass_and_a_defect_still_fails() -> None:
    doubt = "wrong scale: 16000 x 200 pixels"
    judgement = judge(rules(), "line-1", [], FINE, [doubt])
    assert judgement.verdict is Verdict.REVIEW
    assert [(reason.code, reason.message) for reason in judgement.reasons] == [("bad_picture", doubt)]
    assert judge(rules(), "line-1", [detection("pits", 0.9)], FINE, [doubt]).verdict is Verdict.FAIL


def test_the_bit_depth_of_a_line_s_camera_is_a_setting_and_no_limit() -> None:
    using = rules(line_pictures={"line-2": {"bit_depth": 12}})
    assert using.picture_rule("line-1").bit_depth is None
    assert using.picture_rule("line-2").bit_depth == 12
    assert judge(using, "line-2", [], FINE).verdict is Verdict.PASS
    with pytest.raises(ValidationError):
        rules(picture={"bit_depth": 17})


def test_a_picture_rule_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(ValidationError, match="least_exposure must not be above"):
        rules(picture={"least_exposure": 0.9, "most_exposure": 0.1})


NUMBERS = [
    '"default": {{"fail_score": {}}}',
    '"default": {{"review_score": {}}}',
    '"default": {{"smallest_area": {}}}',
    '"default": {{"allowed_count": {}}}',
    '"classes": {{"dent": {{"fail_score": {}}}}}',
    '"lines": {{"line-1": {{"dent": {{"review_score": {}}}}}}}',
    '"picture": {{"least_sharpness": {}}}',
    '"picture": {{"least_exposure": {}}}',
    '"picture": {{"most_clipped": {}}}',
    '"picture": {{"bit_depth": {}}}',
    '"candidate": {{"version": "2", "model": "m", "classes": {{"dent": {{"fail_score": 1, "review_score": {}}}}}}}',
]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "-1", "[]"])
@pytest.mark.parametrize("place", NUMBERS)
def test_rules_with_a_value_that_is_no_sensible_number_are_refused(place: str, number: str) -> None:
    text = f'{{"version": "1", {place.format(number)}}}'
    with pytest.raises(ValidationError):
        Rules.model_validate_json(text)
    with pytest.raises(ValidationError):
        Rules.model_validate(json.loads(text))
