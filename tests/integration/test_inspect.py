"""`inspect`, from an SQS event to records: the result of each kind of image, event and error."""

import itertools
import json
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError, ReadTimeoutError
from samtranslator.yaml_helper import yaml_parse

from contract.endpoint import reference
from handlers import inspect
from handlers.environment import AlertEnvironment, InspectEnvironment
from inspection.rules import Rules
from tests.inspection_support import (
    EVENTS,
    answering,
    detection,
    golden,
    http,
    jpeg,
    message,
    model_error,
    picture,
    prediction,
)
from tests.integration.moto_cloud import DEFECT, DOUBTFUL, GOOD, Cloud, detect_by_grey

NO_ENDPOINT = http(400, {"Message": "Endpoint loupe-detector not found"}, "ValidationError")


@pytest.mark.parametrize(("grey", "verdict"), [(DEFECT, "fail"), (DOUBTFUL, "review"), (GOOD, "pass")])
def test_an_image_gets_its_verdict(cloud: Cloud, grey: int, verdict: str) -> None:
    record = cloud.inspect_record(cloud.put("incoming/line-1/top/SN1.jpg", jpeg(shade=grey)))

    assert (record["verdict"], record["line"], record["station"], record["serial"]) == (
        verdict,
        "line-1",
        "top",
        "SN1",
    )
    assert record["model"] == {"name": "steel", "version": "7"}
    assert {"read", "endpoint", "queued", "total", "model_total"} <= record["timings_ms"].keys()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "TIFF", "WEBP"])
def test_every_allowed_format_is_inspected(cloud: Cloud, kind: str) -> None:
    record = cloud.inspect_record(cloud.put(f"incoming/a/b/{kind}.bin", picture(kind, shade=DEFECT)))
    assert (record["verdict"], record["image_format"]) == ("fail", kind)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty_image"),
        (b"a shopping list", "unsupported_format"),
        (picture("GIF"), "unsupported_format"),
        (picture("PNG", 1, 1), "too_small"),
        (jpeg(400, 400)[:-300], "corrupt_image"),
        (jpeg() + bytes(8_000_000), "too_large"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{len(value)}-bytes",
)
def test_an_unreadable_image_gets_a_record_with_the_reason(cloud: Cloud, data: bytes, code: str) -> None:
    record = cloud.inspect_record(cloud.put("incoming/a/b/c.jpg", data))
    assert record["verdict"] == "unreadable"
    assert [reason["code"] for reason in record["reasons"]] == [code]
    assert record["reasons"][0]["message"]


def test_a_large_file_is_refused_before_its_bytes_are_transferred(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Byte cap before download."""
    from botocore.response import StreamingBody

    announced = cloud.put("incoming/a/b/c.jpg", bytes(8_000_001))
    monkeypatch.setattr(StreamingBody, "read", lambda *_: pytest.fail("the body was read"))
    assert cloud.inspect(message(announced)) == []
    assert cloud.record(announced)["reasons"][0]["code"] == "too_large"


def test_an_image_too_large_for_a_request_is_sent_by_reference(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    from botocore.response import StreamingBody

    requests = []

    def endpoint(request: Any) -> Any:
        requests.append((request.headers["Content-Type"], json.loads(request.body)))
        answer = prediction(detection("scratches", 0.9))
        return http(200, answer | {"image": {"width": 6000, "height": 4000, "format": "JPEG"}})

    cloud.endpoint = endpoint
    announced = cloud.put("incoming/a/b/c d.jpg", jpeg() + bytes(6_291_457))
    original_read = StreamingBody.read

    def read(body: StreamingBody, *arguments: Any) -> bytes:
        data = original_read(body, *arguments)
        assert len(data) < 100_000, "the image was transferred"
        return data

    monkeypatch.setattr(StreamingBody, "read", read)
    record = cloud.inspect_record(announced)
    location = {"bucket": cloud.images, "key": "incoming/a/b/c d.jpg"}
    version = announced["s3"]["object"]["versionId"]
    assert requests == [(b"application/json", {"s3": location | {"version_id": version}})]
    assert (record["verdict"], record["image_format"], record["image_width"]) == ("fail", "JPEG", 6000)
    assert record["image_bytes"] > 6_291_456


@pytest.mark.parametrize("version", ["3HL4kqtJlcpXroDTDmJ", "null"])
def test_the_container_understands_a_reference_to_an_image(version: str) -> None:
    from training.serving.app import REFERENCE
    from training.serving.objects import parse_reference

    body, content_type = reference("images", "incoming/line 1/a+b.jpg", version)
    assert content_type == REFERENCE
    request = {"Bucket": "images", "Key": "incoming/line 1/a+b.jpg"}
    assert parse_reference(body) == request | ({} if version == "null" else {"VersionId": version})


def test_an_image_deleted_before_it_is_read_gets_a_record(cloud: Cloud) -> None:
    announced = cloud.put("incoming/a/b/c.jpg", jpeg())
    cloud.s3.delete_object(
        Bucket=cloud.images, Key="incoming/a/b/c.jpg", VersionId=announced["s3"]["object"]["versionId"]
    )
    assert cloud.inspect_record(announced)["reasons"][0]["code"] == "deleted"


def test_a_delete_marker_does_not_hide_the_announced_version(cloud: Cloud) -> None:
    announced = cloud.put("incoming/a/b/c.jpg", jpeg(shade=DEFECT))
    cloud.s3.delete_object(Bucket=cloud.images, Key="incoming/a/b/c.jpg")
    assert cloud.inspect_record(announced)["verdict"] == "fail"


def test_the_version_that_the_event_names_is_inspected(cloud: Cloud) -> None:
    """The key is overwritten between event and read."""
    first = cloud.put("incoming/a/b/c.jpg", jpeg(shade=DEFECT))
    second = cloud.put("incoming/a/b/c.jpg", jpeg(shade=GOOD))

    assert cloud.inspect(message(first, number=1), message(second, number=2)) == []

    assert (cloud.record(first)["verdict"], cloud.record(second)["verdict"]) == ("fail", "pass")


@pytest.mark.parametrize(
    "key",
    [
        "incoming/line 1/top/a+b.jpg",
        "incoming/line-1/top/a%2Bb.jpg",
        "incoming/ライン1/カメラ/部品 0001.jpg",
        "incoming/line-1/only.jpg",
        "incoming/only.jpg",
        f"incoming/line-1/top/{'x' * 1000}.jpg",
    ],
)
def test_images_with_unusual_keys_are_inspected(cloud: Cloud, key: str) -> None:
    record = cloud.inspect_record(cloud.put(key, jpeg(shade=DEFECT)))
    assert (record["verdict"], record["image"]) == ("fail", f"s3://{cloud.images}/{key}")


@pytest.mark.parametrize(
    ("captured_at", "expected"),
    [
        ("2026-01-05T10:30:14+01:00", "2026-01-05T09:30:14.000Z"),
        ("2026-01-05T09:30:14", "2026-01-05T09:30:14.000Z"),
        ("yesterday", "2026-01-05T09:30:15.250Z"),
    ],
)
def test_a_valid_time_of_the_camera_is_stored(cloud: Cloud, captured_at: str, expected: str) -> None:
    announced = cloud.put("incoming/a/b/c.jpg", jpeg(), Metadata={"captured-at": captured_at})
    assert cloud.inspect_record(announced)["captured_at"] == expected


@pytest.mark.parametrize("name", ["inspect-test-event", "inspect-unknown"])
def test_events_that_announce_no_image_are_acknowledged_and_counted(
    cloud: Cloud, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    records = golden(name)["Records"]
    assert cloud.inspect(*records) == []
    assert cloud.records() == []
    assert metrics(capsys)[()]["Ignored"] == [len(records)]


def test_several_images_in_one_message_all_get_a_record(cloud: Cloud) -> None:
    announced = [cloud.put(f"incoming/a/b/{n}.jpg", jpeg()) for n in range(3)]
    assert cloud.inspect(message(*announced)) == []
    assert len(cloud.records()) == 3


def break_model(*files: bytes) -> Any:
    """An endpoint that fails on these images."""

    def answer(request: Any) -> Any:
        return model_error(500, message="Traceback") if request.body in files else detect_by_grey(request)

    return answer


SUBSETS = [subset for size in range(5) for subset in itertools.combinations(range(4), size)]


@pytest.mark.parametrize("failing", SUBSETS)
def test_only_the_messages_that_failed_return_to_the_queue(cloud: Cloud, failing: tuple[int, ...]) -> None:
    """Every subset of a batch."""
    files = [jpeg(shade=GOOD, comment=bytes([65 + n])) for n in range(4)]
    announced = [cloud.put(f"incoming/a/b/{n}.jpg", data) for n, data in enumerate(files)]
    cloud.endpoint = break_model(*[files[n] for n in failing])

    failed = cloud.inspect(*[message(record, number=n) for n, record in enumerate(announced)])

    assert failed == [f"message-{n}" for n in failing]
    assert len(cloud.records()) == 4 - len(failing)


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


def test_the_line_s_own_rules_decide(cloud: Cloud) -> None:
    cloud.set_rules({"version": "9", "lines": {"line-2": {"scratches": {"fail_score": 0.95}}}})
    strict, lenient = (
        cloud.put(f"incoming/{line}/x/1.jpg", jpeg(shade=DEFECT)) for line in ("line-1", "line-2")
    )
    assert cloud.inspect_record(strict)["verdict"] == "fail"
    record = cloud.inspect_record(lenient)
    assert (record["verdict"], record["rules_version"]) == ("review", "9")


def test_without_time_left_an_image_waits_for_another_invocation(
    cloud: Cloud, defect: dict[str, Any]
) -> None:
    assert cloud.inspect(message(defect), seconds=10) == []
    assert "InvokeEndpoint" not in cloud.calls
    assert cloud.deferred() == 1
    assert cloud.inspect_record(defect, deferrals=1)["verdict"] == "fail"


def test_extreme_numbers_of_a_model_end_in_a_record_too(cloud: Cloud, defect: dict[str, Any]) -> None:
    cloud.endpoint = lambda _: http(
        200, prediction(*[detection(score=1e-300, box=(1e-12, -1e9, 1e9, 0.1))] * 500)
    )
    assert cloud.inspect_record(defect)["verdict"] == "pass"


def test_a_batch_is_inspected_in_parallel(cloud: Cloud) -> None:
    from threading import Barrier

    together = Barrier(10, timeout=10)

    def answer(request: Any) -> Any:
        together.wait()  # fails unless ten calls are in flight at the same time
        return detect_by_grey(request)

    cloud.endpoint = answer
    announced = [cloud.put(f"incoming/a/b/{n}.jpg", jpeg()) for n in range(10)]
    assert cloud.inspect(*[message(record, number=n) for n, record in enumerate(announced)]) == []
    assert len(cloud.records()) == 10


def metrics(capsys: pytest.CaptureFixture[str]) -> dict[tuple[str, ...], dict[str, list[float]]]:
    """Return the metrics of the EMF lines by the values of their dimensions, without the service."""
    found: dict[tuple[str, ...], dict[str, list[float]]] = {}
    for line in capsys.readouterr().out.splitlines():
        document = json.loads(line)
        if "_aws" not in document:
            continue
        (directive,) = document["_aws"]["CloudWatchMetrics"]
        assert directive["Namespace"] == "Loupe"
        assert document["service"] == "loupe"
        (names,) = directive["Dimensions"]
        dimensions = tuple(document[name] for name in ("line", "station") if name in names)
        found[dimensions] = {metric["Name"]: document[metric["Name"]] for metric in directive["Metrics"]}
    return found


def test_metrics_are_counted_in_total_and_for_each_line_and_station(
    cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    announced = [
        cloud.put("incoming/line-1/top/1.jpg", jpeg(shade=DEFECT)),
        cloud.put("incoming/line-1/top/2.jpg", jpeg(shade=GOOD)),
        cloud.put("incoming/ライン/top/3.jpg", b"text"),
    ]
    batch = [message(record, number=n) for n, record in enumerate([*announced, announced[0]])]

    assert cloud.inspect(*batch) == []

    totals = metrics(capsys)
    assert set(totals) == {(), ("line-1", "top"), ("%E3%83%A9%E3%82%A4%E3%83%B3", "top")}
    assert {k: v for k, v in totals[()].items() if k != "Latency"} == {
        "Inspected": [3],
        "Failed": [1],
        "Passed": [1],
        "Unreadable": [1],
        "Duplicate": [1],
        "DefectRate": [pytest.approx(100 / 3)],
        "ModelLatency": [8.25, 8.25],
    }
    assert len(totals[()]["Latency"]) == 3
    assert totals["line-1", "top"]["Inspected"] == [2]


def test_logs_contain_no_image_and_no_credential(
    cloud: Cloud, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    canary = "CANARY-IN-THE-PIXELS"
    one, other = (
        cloud.put(f"incoming/a/b/{n}.jpg", data)
        for n, data in enumerate((jpeg(comment=canary.encode()), canary.encode()))
    )
    for answer in (
        model_error(500, message="x"),
        NO_ENDPOINT,
        EndpointConnectionError(endpoint_url="https://x"),
    ):
        cloud.endpoint = lambda _, answer=answer: answer  # type: ignore[misc]
        cloud.inspect(message(one, number=1), message(other, number=2))
    logs = "".join(capsys.readouterr()) + caplog.text
    assert "the model failed with status 500" in logs
    for secret in (canary, "AKIACANARYCREDENTIAL", "canary-secret-of-the-function"):
        assert secret not in logs


def test_a_missing_variable_is_named_before_any_image_is_read(
    cloud: Cloud, defect: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("QUEUE_URL")
    inspect._inspector.cache_clear()
    with pytest.raises(ValueError, match="QUEUE_URL"):
        cloud.inspect(message(defect))
    assert cloud.calls == []


@pytest.mark.parametrize(
    ("function", "environment"),
    [("InspectFunction", InspectEnvironment), ("AlertFunction", AlertEnvironment)],
)
def test_the_template_sets_exactly_the_variables_of_each_function(function: str, environment: Any) -> None:
    template = yaml_parse((EVENTS.parent / "template.yaml").read_text())
    common = template["Globals"]["Function"]["Environment"]["Variables"]
    own = template["Resources"][function]["Properties"]["Environment"]["Variables"]
    expected = {name.upper() for name in environment.model_fields}
    assert expected <= common.keys() | own.keys()
    assert own.keys() <= expected


def test_the_rules_of_the_template_are_valid() -> None:
    template = yaml_parse((EVENTS.parent / "template.yaml").read_text())
    Rules.model_validate_json(template["Resources"]["RulesParameter"]["Properties"]["Value"])
