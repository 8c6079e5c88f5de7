"""The smoke test: on the golden set, the live endpoint finds what the evaluation found."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st

from contract.endpoint import MAX_BODY_BYTES
from inspection import clients
from inspection.detector import Detection, Detector
from retraining.documents import Documents
from retraining.errors import SmokeTestError
from retraining.smoke import SmokeTest, unmatched
from tests.inspection_support import Answer, answering, detection, http, jpeg, model_error, prediction
from tests.unit.retraining.evaluations import evaluation

REPORT = "s3://artefacts/reports/0123456789ab/ssdlite/evaluation.json"
VERSION = "0123456789ab"
EXPECTED = (detection("scratch", 0.9, (10, 20, 110, 70)), detection("dent", 0.6, (0, 0, 30, 30)))
WEAK = detection("dent", 0.25, (150, 50, 160, 60))


class Stack:
    """A golden set in the bucket, and an endpoint that gives the answers of a test."""

    def __init__(self, documents: Documents) -> None:
        self.documents = documents
        self.runtime, self.sagemaker = clients.sagemaker_runtime(), clients.sagemaker()
        detector = Detector(self.runtime, self.sagemaker, "press-detector")
        self.test = SmokeTest(documents, documents.s3, detector)
        self.requests: list[Any] = []

    def golden(
        self,
        *images: tuple[str, bytes],
        expected: tuple[dict[str, Any], ...] = EXPECTED,
        labels: tuple[str, ...] = ("dent", "scratch"),
    ) -> None:
        for key, data in images:
            self.documents.s3.put_object(Bucket="artefacts", Key=key, Body=data)
        golden = [
            {"uri": f"s3://artefacts/{key}", "detections": expected, "labels": labels} for key, _ in images
        ]
        self.documents.write(REPORT.removeprefix("s3://artefacts/"), evaluation(golden=golden))

    def run(self, answer: Answer | Callable[[Any], Answer]) -> dict[str, Any]:
        missing = http(400, {"message": "Could not find endpoint"}, "ValidationException")
        respond = answer if callable(answer) else lambda _: answer
        with (
            answering(self.runtime, "InvokeEndpoint", respond) as self.requests,
            answering(self.sagemaker, "DescribeEndpoint", lambda _: missing),
        ):
            return self.test.run(REPORT)


def answer(*detections: dict[str, Any], version: str = VERSION) -> Any:
    return lambda _: http(200, prediction(*detections, model={"name": "steel", "version": version}))


@pytest.fixture
def stack(documents: Documents, monkeypatch: pytest.MonkeyPatch) -> Stack:
    monkeypatch.setattr("time.sleep", lambda _: None)
    stack = Stack(documents)
    stack.golden(("labelled/images/a.jpg", jpeg()), ("labelled/images/b.jpg", jpeg(shade=30)))
    return stack


def refused(stack: Stack, answer: Any) -> str:
    with pytest.raises(SmokeTestError) as caught:
        stack.run(answer)
    return str(caught.value)


def test_the_same_detections_pass_and_each_image_is_sent_unchanged(stack: Stack) -> None:
    assert stack.run(answer(*EXPECTED)) == {"images": 2, "version": VERSION}
    assert [request.body for request in stack.requests] == [jpeg(), jpeg(shade=30)]
    assert {str(request.headers["Content-Type"]) for request in stack.requests} <= {
        "image/jpeg",
        "b'image/jpeg'",
    }


def test_a_model_that_finds_nothing_is_refused_also_if_its_evaluation_found_nothing(stack: Stack) -> None:
    stack.golden(("labelled/images/a.jpg", jpeg()), expected=())
    assert "finds nothing on 1 images with labelled defects" in refused(stack, answer())
    stack.golden(("labelled/images/a.jpg", jpeg()), expected=(), labels=())
    assert stack.run(answer()) == {"images": 1, "version": VERSION}


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400"])
@pytest.mark.parametrize("field", ["score", "box"])
def test_an_answer_that_is_no_number_is_refused(stack: Stack, number: str, field: str) -> None:
    body = json.dumps(prediction(*EXPECTED, model={"name": "steel", "version": VERSION}))
    old, new = {"score": ('"score": 0.9', f'"score": {number}'), "box": ("[10, ", f"[{number}, ")}[field]
    assert old in body
    assert "the endpoint fails" in refused(stack, http(200, body.replace(old, new, 1).encode()))


def test_the_order_of_detections_does_not_matter(stack: Stack) -> None:
    assert stack.run(answer(*reversed(EXPECTED)))["images"] == 2


def test_differences_by_the_rounding_of_a_gpu_pass(stack: Stack) -> None:
    near = (detection("scratch", 0.86, (11.9, 19, 110, 71)), detection("dent", 0.64, (0, 1.9, 31.5, 30)))
    assert stack.run(answer(*near))["images"] == 2


@pytest.mark.parametrize("weak", [(), (WEAK,), (detection("dent", 0.299, (0, 0, 9, 9)),)])
def test_weak_detections_may_differ(stack: Stack, weak: tuple[dict[str, Any], ...]) -> None:
    stack.golden(("labelled/images/a.jpg", jpeg()), expected=(*EXPECTED, WEAK))
    assert stack.run(answer(*EXPECTED, *weak))["images"] == 1


def test_a_detection_just_above_the_sure_score_may_fall_below_it(stack: Stack) -> None:
    stack.golden(("labelled/images/a.jpg", jpeg()), expected=(detection("dent", 0.31),))
    assert stack.run(answer(detection("dent", 0.29)))["images"] == 1


@pytest.mark.parametrize(
    ("answered", "named"),
    [
        (EXPECTED[:1], "dent 0.60 at [0, 0, 30, 30]"),
        ((), "scratch 0.90 at [10, 20, 110, 70]"),
        ((*EXPECTED, detection("scratch", 0.5, (150, 0, 190, 40))), "scratch 0.50 at [150, 0, 190, 40]"),
        ((detection("scratch", 0.9, (13, 20, 110, 70)), EXPECTED[1]), "scratch 0.90 at [10, 20, 110, 70]"),
        ((detection("scratch", 0.84, (10, 20, 110, 70)), EXPECTED[1]), "scratch 0.90 at [10, 20, 110, 70]"),
        ((detection("dent", 0.9, (10, 20, 110, 70)), EXPECTED[1]), "scratch 0.90 at [10, 20, 110, 70]"),
    ],
    ids=["one lost", "all lost", "one more", "moved", "rescored", "renamed"],
)
def test_a_detection_that_differs_fails_and_is_named(
    stack: Stack, answered: tuple[dict[str, Any], ...], named: str
) -> None:
    message = refused(stack, answer(*answered))
    assert message.startswith(
        "on s3://artefacts/labelled/images/a.jpg the endpoint and the evaluation differ"
    )
    assert named in message


UNUSUAL = (detection("anomaly", 0.9, (10, 20, 110, 70)), detection("anomaly", 0.5, (0, 80, 10, 90)))


def test_where_the_regions_of_an_anomaly_end_is_rounding(stack: Stack) -> None:
    stack.golden(("labelled/images/a.jpg", jpeg()), expected=UNUSUAL, labels=("anomaly",))
    one_region = detection("anomaly", 0.88, (10, 20, 130, 90))
    assert stack.run(answer(one_region)) == {"images": 1, "version": VERSION}


@pytest.mark.parametrize("score", [0.8, None])
def test_an_anomaly_whose_score_differs_fails(stack: Stack, score: float | None) -> None:
    stack.golden(("labelled/images/a.jpg", jpeg()), expected=UNUSUAL, labels=("anomaly",))
    found = [] if score is None else [detection("anomaly", score, (10, 20, 110, 70))]
    assert "the endpoint and the evaluation differ: anomaly 0.90" in refused(stack, answer(*found))


def test_an_anomaly_that_only_the_endpoint_finds_fails(stack: Stack) -> None:
    stack.golden(("labelled/images/a.jpg", jpeg()), expected=(), labels=())
    assert "differ: anomaly 0.90" in refused(stack, answer(*UNUSUAL))


def test_an_endpoint_that_serves_another_model_fails(stack: Stack) -> None:
    assert refused(stack, answer(*EXPECTED, version="7")) == f"the endpoint serves 7, not {VERSION}"


@pytest.mark.parametrize(
    ("answered", "cause"),
    [
        (lambda _: model_error(422, "corrupt_image", "cut short"), "cut short"),
        (lambda _: model_error(500), "the model failed with status 500"),
        (lambda _: model_error(503), "the container is busy"),
        (lambda _: http(200, b"<html>"), "does not fit the contract"),
        (lambda _: EndpointConnectionError(endpoint_url="https://test"), "does not answer"),
        (lambda _: http(400, {"Message": "not found"}, "ValidationError"), "no endpoint in service"),
    ],
)
def test_an_error_of_the_endpoint_fails_and_the_image_is_named(
    stack: Stack, answered: Any, cause: str
) -> None:
    message = refused(stack, answered)
    assert message.startswith("the endpoint fails on s3://artefacts/labelled/images/a.jpg: ")
    assert cause in message


def test_an_image_too_large_for_a_request_is_sent_by_reference(stack: Stack) -> None:
    large = jpeg() + bytes(MAX_BODY_BYTES)
    stack.golden(("labelled/images/large.jpg", large))
    stack.run(answer(*EXPECTED))
    (request,) = stack.requests
    assert json.loads(request.body) == {
        "s3": {"bucket": "artefacts", "key": "labelled/images/large.jpg", "version_id": "null"}
    }
    assert request.headers["Content-Type"] in ("application/json", b"application/json")


def test_a_golden_image_that_is_gone_is_named(stack: Stack) -> None:
    stack.documents.s3.delete_object(Bucket="artefacts", Key="labelled/images/a.jpg")
    message = refused(stack, answer(*EXPECTED))
    assert message == "s3://artefacts/labelled/images/a.jpg of the golden set cannot be read: NoSuchKey"


def test_a_golden_image_without_permission_is_named(stack: Stack) -> None:
    """S3 gives the same code for a missing object to a role that may not list."""

    class Denied:
        def get_object(self, **request: Any) -> Any:
            raise ClientError({"Error": {"Code": "AccessDenied"}}, "GetObject")

    client: Any = Denied()
    stack.test = SmokeTest(stack.documents, client, stack.test.detector)
    assert "cannot be read: AccessDenied" in refused(stack, answer(*EXPECTED))


@pytest.mark.parametrize("golden", [[], None])
def test_a_report_without_a_golden_set_fails(stack: Stack, golden: Any) -> None:
    document = evaluation()
    document["golden"] = golden
    stack.documents.write(REPORT.removeprefix("s3://artefacts/"), document)
    assert refused(stack, answer()) == f"{REPORT} contains no golden set"


@pytest.mark.parametrize("change", ["missing", "without the member"])
def test_a_missing_report_fails(stack: Stack, change: str) -> None:
    key = REPORT.removeprefix("s3://artefacts/")
    document = evaluation()
    del document["golden"]
    stack.documents.write(key, document)
    if change == "missing":
        stack.documents.s3.delete_object(Bucket="artefacts", Key=key)
    assert refused(stack, answer()) == f"{REPORT} contains no golden set"


detections = st.builds(
    lambda label, score, x, y, w, h: Detection(label=label, score=score, box=(x, y, x + w, y + h)),
    st.sampled_from(["dent", "scratch"]),
    st.floats(0, 1),
    *[st.floats(0, 500)] * 4,
)


@given(st.lists(detections, max_size=8), st.randoms())
def test_an_answer_always_agrees_with_itself(answered: list[Detection], random: Any) -> None:
    assert unmatched(answered, random.sample(answered, len(answered))) is None


@given(st.lists(detections, max_size=8), detections)
def test_a_sure_detection_of_a_new_label_is_always_reported(
    answered: list[Detection], more: Detection
) -> None:
    new = more.model_copy(update={"label": "rust", "score": max(more.score, 0.3)})
    assert unmatched([*answered, new], answered) == new
    assert unmatched(answered, [*answered, new]) is None
