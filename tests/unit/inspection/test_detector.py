"""The endpoint's answers and errors."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
)

from contract.images import UnreadableError
from inspection import clients
from inspection.detector import Detector, Prediction
from inspection.errors import ModelError, NotReadyError
from tests.inspection_support import Answer, answering, detection, http, model_error, prediction

URL = "https://runtime.sagemaker"


@pytest.fixture(autouse=True)
def _account(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the pauses between attempts. Nothing sleeps."""
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    return slept


class Endpoint:
    """A detector whose endpoint gives the answers of a test."""

    def __init__(self) -> None:
        self.runtime, self.sagemaker = clients.sagemaker_runtime(), clients.sagemaker()
        self.status: Answer = http(400, {"message": "Could not find endpoint"}, "ValidationException")
        self.attempts = 0

    def detect(self, answer: Answer | Callable[[Any], Answer], seconds: float = 60.0) -> Prediction:
        detector = Detector(self.runtime, self.sagemaker, "loupe-detector")
        respond = answer if callable(answer) else lambda _: answer
        with (
            answering(self.runtime, "InvokeEndpoint", respond) as requests,
            answering(self.sagemaker, "DescribeEndpoint", lambda _: self.status),
        ):
            try:
                return detector.detect(b"image", "image/png", time.monotonic() + seconds)
            finally:
                self.attempts = len(requests)
                self.requests = requests


@pytest.fixture
def endpoint(pauses: list[float]) -> Iterator[Endpoint]:
    return Endpoint()


def endpoint_status(status: str) -> Answer:
    return http(200, {"EndpointName": "loupe-detector", "EndpointStatus": status})


def test_an_image_is_sent_unchanged_and_the_answer_parsed(endpoint: Endpoint) -> None:
    answer = endpoint.detect(http(200, prediction(detection("pits", 0.75, (1, 2, 3.5, 4)))))

    (request,) = endpoint.requests
    assert request.body == b"image"
    assert request.headers["Content-Type"] in ("image/png", b"image/png")
    assert (answer.model.name, answer.image.width, answer.timings_ms) == ("steel", 200, {"total": 8.25})
    assert [(d.label, d.score, d.box) for d in answer.detections] == [("pits", 0.75, (1, 2, 3.5, 4))]


@pytest.mark.parametrize("status", [400, 413, 415, 422])
def test_a_refusal_by_the_container_makes_the_image_unreadable(endpoint: Endpoint, status: int) -> None:
    with pytest.raises(UnreadableError) as caught:
        endpoint.detect(model_error(status, "corrupt_image", "cut short"))
    assert (caught.value.code, caught.value.message, endpoint.attempts) == ("corrupt_image", "cut short", 1)


@pytest.mark.parametrize("message", ["", "plain words", "[]", '{"error": "flat"}'])
def test_a_refusal_in_another_format_has_a_code_too(endpoint: Endpoint, message: str) -> None:
    with pytest.raises(UnreadableError) as caught:
        endpoint.detect(model_error(422, message=message))
    assert caught.value.code == "refused"


@pytest.mark.promise(12)
@pytest.mark.parametrize("status", [408, 429, 503])
def test_a_busy_container_is_retried_with_jitter(
    endpoint: Endpoint, pauses: list[float], status: int
) -> None:
    with pytest.raises(NotReadyError) as caught:
        endpoint.detect(model_error(status, "busy", "try again"))
    assert caught.value.code == "endpoint_busy"
    assert endpoint.attempts == 4
    assert [0.1 <= pauses[0] <= 0.2, 0.3 <= pauses[1] <= 0.6, 0.9 <= pauses[2] <= 1.8] == [True] * 3


def test_a_container_that_is_briefly_busy_answers_in_the_end(endpoint: Endpoint) -> None:
    answers = iter([model_error(503, "busy", "try again"), http(200, prediction())])
    assert endpoint.detect(lambda _: next(answers)).detections == []


@pytest.mark.promise(12)
@pytest.mark.parametrize("status", [0, 500, 502])
def test_a_failure_of_the_model_is_retried_through_the_queue(endpoint: Endpoint, status: int) -> None:
    with pytest.raises(ModelError) as caught:
        endpoint.detect(model_error(status, message="Traceback"))
    assert caught.value.retryable
    assert endpoint.attempts == 1


@pytest.mark.promise(12)
@pytest.mark.parametrize(
    ("status", "error", "attempts"),
    [
        (429, "ThrottlingException", 2),
        (503, "ServiceUnavailable", 2),
        (500, "InternalFailure", 2),
        (530, "InternalDependencyException", 1),
        (429, "ModelNotReadyException", 1),
        (403, "AccessDeniedException", 1),
        (403, "ExpiredTokenException", 1),
    ],
)
def test_images_wait_while_the_service_fails(
    endpoint: Endpoint, status: int, error: str, attempts: int
) -> None:
    with pytest.raises(NotReadyError):
        endpoint.detect(lambda _: http(status, {"Message": "no"}, error))
    assert endpoint.attempts == attempts


@pytest.mark.promise(12)
@pytest.mark.parametrize(
    ("error", "code"),
    [
        (EndpointConnectionError(endpoint_url=URL), "endpoint_down"),
        (ConnectTimeoutError(endpoint_url=URL), "endpoint_down"),
        (ConnectionClosedError(endpoint_url=URL), "endpoint_down"),
        (ReadTimeoutError(endpoint_url=URL), "endpoint_timeout"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_broken_connection_is_retried_once(endpoint: Endpoint, error: Exception, code: str) -> None:
    with pytest.raises(NotReadyError) as caught:
        endpoint.detect(error)
    assert caught.value.code == code
    assert endpoint.attempts == 2


@pytest.mark.parametrize("status", ["Creating", "Failed", "Deleting", "OutOfService", "UpdateRollbackFailed"])
def test_images_wait_for_an_endpoint_that_is_not_in_service(endpoint: Endpoint, status: str) -> None:
    endpoint.status = endpoint_status(status)
    with pytest.raises(NotReadyError) as caught:
        endpoint.detect(http(400, {"Message": "Endpoint is not in service"}, "ValidationError"))
    assert caught.value.code == "no_endpoint"


@pytest.mark.parametrize(
    "status",
    [
        http(400, {"message": "Could not find endpoint"}, "ValidationException"),
        http(400, {"message": "Rate exceeded"}, "ThrottlingException"),
        EndpointConnectionError(endpoint_url=URL),
    ],
    ids=["missing", "throttled", "unreachable"],
)
def test_images_wait_if_the_endpoint_cannot_be_described(endpoint: Endpoint, status: Answer) -> None:
    endpoint.status = status
    with pytest.raises(NotReadyError):
        endpoint.detect(http(400, {"Message": "Endpoint not found"}, "ValidationError"))


@pytest.mark.promise(12)
@pytest.mark.parametrize("status", ["InService", "Updating"])
def test_a_request_that_an_endpoint_in_service_refuses_twice_is_not_retried(
    endpoint: Endpoint, status: str
) -> None:
    endpoint.status = endpoint_status(status)
    with pytest.raises(ModelError) as caught:
        endpoint.detect(http(400, {"Message": "1 validation error detected"}, "ValidationError"))
    assert not caught.value.retryable
    assert endpoint.attempts == 2


@pytest.mark.promise(12)
def test_an_endpoint_that_comes_into_service_after_it_refused_judges_the_image(endpoint: Endpoint) -> None:
    endpoint.status = endpoint_status("InService")
    answers = iter([http(400, {"Message": "Endpoint not found"}, "ValidationError"), http(200, GOOD)])
    assert endpoint.detect(lambda _: next(answers)).model.name == "steel"


@pytest.mark.promise(12, 14)
def test_images_wait_for_an_endpoint_that_is_described_as_serving_and_is_not_found(
    endpoint: Endpoint,
) -> None:
    endpoint.status = endpoint_status("InService")
    with pytest.raises(NotReadyError) as caught:
        endpoint.detect(
            http(400, {"Message": "Endpoint steel of account 123456789012 not found."}, "ValidationError")
        )
    assert caught.value.code == "no_endpoint"


GOOD = prediction(detection())


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"<html>",
        b"[]",
        json.dumps({k: v for k, v in GOOD.items() if k != "model"}).encode(),
        json.dumps(prediction(detection(score=float("nan")))).encode(),
        json.dumps(prediction(detection(score=1.5))).encode(),
        json.dumps(prediction(detection(box=(0, 0, float("inf"), 1)))).encode(),
        json.dumps(prediction(detection(box=(0, 0, 1)))).encode(),
        json.dumps(prediction(detection(box=(60, 20, 10, 80)))).encode(),
        json.dumps(prediction(detection(box=(10, 80, 60, 20)))).encode(),
        json.dumps(prediction(detection(), detection(box=(201, 0, 210, 10)))).encode(),
        json.dumps(prediction(detection(box=(0, -20, 10, -1)))).encode(),
        json.dumps(prediction(image={"width": 0, "height": 0})).encode(),
        json.dumps(prediction(*[detection()] * 501)).encode(),
        json.dumps(prediction(timings_ms={"total": float("nan")})).encode(),
    ],
)
def test_an_answer_that_does_not_fit_the_contract_is_an_error_of_the_model(
    endpoint: Endpoint, answer: bytes
) -> None:
    with pytest.raises(ModelError) as caught:
        endpoint.detect(http(200, answer))
    assert caught.value.retryable


@pytest.mark.parametrize("box", [(0, 0, 0, 100), (200, 0, 200, 100), (-3, -2, 202.5, 101)])
def test_a_box_on_the_edge_of_the_picture_fits_the_contract(
    endpoint: Endpoint, box: tuple[float, ...]
) -> None:
    """A decoder cuts boxes at the edge, and what it leaves may have no width. Another one does not cut."""
    assert endpoint.detect(http(200, prediction(detection(box=box)))).detections[0].box == box


@pytest.mark.promise(13)
def test_no_attempt_starts_that_might_not_end_in_time(endpoint: Endpoint) -> None:
    with pytest.raises(NotReadyError) as caught:
        endpoint.detect(http(200, GOOD), seconds=clients.ENDPOINT_SECONDS + 1)
    assert (caught.value.code, endpoint.attempts) == ("no_time", 0)


@pytest.mark.promise(13)
def test_all_attempts_of_a_call_fit_into_its_time_limit() -> None:
    """The longest time that botocore may take, from the client's own settings."""
    config: Any = clients.sagemaker_runtime().meta.config
    attempts = config.retries["total_max_attempts"]
    longest_pauses = sum(min(2**attempt, 20) for attempt in range(attempts - 1))  # botocore's standard mode
    assert (
        attempts * (config.connect_timeout + config.read_timeout) + longest_pauses <= clients.ENDPOINT_SECONDS
    )


def test_each_thread_of_a_batch_has_a_connection() -> None:
    for client in (clients.s3(), clients.sagemaker_runtime(), clients.dynamodb()):
        assert client.meta.config.max_pool_connections >= 10
