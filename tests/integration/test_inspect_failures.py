"""`inspect` when the model, the endpoint, the rules or AWS fail: which messages wait, return or end in a review."""

import itertools
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError, ReadTimeoutError

from handlers import inspect
from tests.inspection_support import answering, http, jpeg, message, model_error
from tests.integration.moto_cloud import DEFECT, GOOD, Cloud, detect_by_grey, metrics

NO_ENDPOINT = http(400, {"Message": "Endpoint loupe-detector not found"}, "ValidationError")


def break_model(*files: bytes) -> Any:
    """An endpoint that fails on these images."""

    def answer(request: Any) -> Any:
        return model_error(500, message="Traceback") if request.body in files else detect_by_grey(request)

    return answer


SUBSETS = [subset for size in range(5) for subset in itertools.combinations(range(4), size)]


@pytest.mark.promise(6)
@pytest.mark.parametrize("failing", SUBSETS)
def test_only_the_messages_that_failed_return_to_the_queue(cloud: Cloud, failing: tuple[int, ...]) -> None:
    """Every subset of a batch."""
    files = [jpeg(shade=GOOD, comment=bytes([65 + n])) for n in range(4)]
    announced = [cloud.put(f"incoming/a/b/{n}.jpg", data) for n, data in enumerate(files)]
    cloud.endpoint = break_model(*[files[n] for n in failing])

    failed = cloud.inspect(*[message(record, number=n) for n, record in enumerate(announced)])

    assert failed == [f"message-{n}" for n in failing]
    assert len(cloud.records()) == 4 - len(failing)


@pytest.mark.promise(8)
def test_a_poison_image_ends_in_a_review_and_does_not_affect_others(cloud: Cloud) -> None:
    poison = jpeg(shade=DEFECT)
    cloud.endpoint = break_model(poison)
    bad, good = (
        cloud.put("incoming/a/b/bad.jpg", poison),
        cloud.put("incoming/a/b/good.jpg", jpeg(shade=GOOD)),
    )

    for receives in range(1, 5):
        batch = message(bad, number=1, receives=receives), message(good, number=2, receives=receives)
        assert cloud.inspect(*batch) == ["message-1"]
    assert cloud.inspect(message(bad, receives=5)) == []

    assert cloud.record(good)["verdict"] == "pass"
    assert (cloud.record(bad)["verdict"], cloud.record(bad)["reasons"][0]["code"]) == (
        "review",
        "model_error",
    )


@pytest.mark.parametrize(
    ("service", "operation", "code"),
    [("s3", "GetObject", "AccessDenied"), ("dynamodb", "PutItem", "ProvisionedThroughputExceededException")],
)
def test_a_message_returns_to_the_queue_after_an_error_of_aws(
    cloud: Cloud, defect: dict[str, Any], service: str, operation: str, code: str
) -> None:
    parts = inspect._inspector()
    client = {"s3": parts.objects._client, "dynamodb": parts.inspections._client}[service]
    with answering(client, operation, lambda _: http(400, {"__type": code}, code)):
        assert cloud.inspect(message(defect)) == ["message-1"]
    assert "ChangeMessageVisibility" in cloud.calls
    assert cloud.inspect_record(defect, receives=2)["verdict"] == "fail"


@pytest.mark.promise(6)
def test_an_unexpected_error_fails_its_own_message_only(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = (cloud.put(f"incoming/a/b/{name}.jpg", jpeg()) for name in "xy")

    def broken(key: str) -> Any:
        return 1 / 0 if key.endswith("x.jpg") else place(key)

    from inspection import inspector

    place = inspector.place
    monkeypatch.setattr(inspector, "place", broken)
    assert cloud.inspect(message(one, number=1), message(other, number=2)) == ["message-1"]
    assert len(cloud.records()) == 1


@pytest.mark.promise(12, 14)
@pytest.mark.parametrize(
    "answer",
    [NO_ENDPOINT, model_error(503, "busy", "later"), EndpointConnectionError(endpoint_url="https://x")],
    ids=["none", "busy", "down"],
)
def test_images_are_deferred_while_there_is_no_endpoint(
    cloud: Cloud, defect: dict[str, Any], capsys: pytest.CaptureFixture[str], answer: Any
) -> None:
    """A deferral uses up no receives, and the image is inspected when the endpoint is back."""
    cloud.endpoint = lambda _: answer
    assert cloud.inspect(message(defect, receives=5)) == []
    assert (cloud.records(), cloud.deferred()) == ([], 1)
    assert metrics(capsys)[()]["Deferred"] == [1]

    cloud.endpoint = detect_by_grey
    assert cloud.inspect_record(defect, deferrals=40)["verdict"] == "fail"


def test_an_image_on_which_the_model_hangs_does_not_wait_for_ever(
    cloud: Cloud, defect: dict[str, Any]
) -> None:
    cloud.endpoint = lambda _: ReadTimeoutError(endpoint_url="https://x")
    assert cloud.inspect(message(defect, deferrals=9)) == []
    assert cloud.records() == []
    assert cloud.inspect_record(defect, deferrals=10)["reasons"][0]["code"] == "model_timeout"


def test_an_image_that_an_endpoint_in_service_refuses_is_reviewed_at_once(
    cloud: Cloud, defect: dict[str, Any]
) -> None:
    cloud.endpoint = lambda _: NO_ENDPOINT
    cloud.endpoint_status = "InService"
    assert cloud.inspect_record(defect)["verdict"] == "review"


@pytest.mark.parametrize("rules", ["", "{", '{"version": "1", "default": {"fail_score": 2}}'])
def test_images_wait_while_the_rules_are_not_valid(cloud: Cloud, defect: dict[str, Any], rules: str) -> None:
    cloud.set_rules(rules or " ")
    assert cloud.inspect(message(defect)) == []
    assert (cloud.records(), cloud.deferred()) == ([], 1)
    assert "InvokeEndpoint" not in cloud.calls


@pytest.mark.promise(10)
def test_without_time_left_an_image_waits_for_another_invocation(
    cloud: Cloud, defect: dict[str, Any]
) -> None:
    assert cloud.inspect(message(defect), seconds=10) == []
    assert "InvokeEndpoint" not in cloud.calls
    assert cloud.deferred() == 1
    assert cloud.inspect_record(defect, deferrals=1)["verdict"] == "fail"
