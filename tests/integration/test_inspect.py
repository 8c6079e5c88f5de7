"""`inspect`, from an SQS event to records: the result of each kind of image and event."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from contract.endpoint import reference
from tests.inspection_support import (
    WRAPPINGS,
    detection,
    golden,
    http,
    jpeg,
    message,
    picture,
    prediction,
)
from tests.integration.moto_cloud import DEFECT, DOUBTFUL, GOOD, Cloud, detect_by_grey, metrics


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


@pytest.mark.promise(3)
def test_a_delete_marker_does_not_hide_the_announced_version(cloud: Cloud) -> None:
    announced = cloud.put("incoming/a/b/c.jpg", jpeg(shade=DEFECT))
    cloud.s3.delete_object(Bucket=cloud.images, Key="incoming/a/b/c.jpg")
    assert cloud.inspect_record(announced)["verdict"] == "fail"


@pytest.mark.promise(3)
def test_the_version_that_the_event_names_is_inspected(cloud: Cloud) -> None:
    """The key is overwritten between event and read."""
    first = cloud.put("incoming/a/b/c.jpg", jpeg(shade=DEFECT))
    second = cloud.put("incoming/a/b/c.jpg", jpeg(shade=GOOD))

    assert cloud.inspect(message(first, number=1), message(second, number=2)) == []

    assert (cloud.record(first)["verdict"], cloud.record(second)["verdict"]) == ("fail", "pass")


@pytest.mark.promise(4)
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


@pytest.mark.promise(5)
@pytest.mark.parametrize("name", ["inspect-test-event", "inspect-unknown"])
def test_events_that_announce_no_image_are_acknowledged_and_counted(
    cloud: Cloud, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    records = golden(name)["Records"]
    assert cloud.inspect(*records) == []
    assert cloud.records() == []
    counted = metrics(capsys)[()]
    assert counted["Ignored"] == [len(records)]
    assert ("UnknownMessages" in counted) == (name == "inspect-unknown")


@pytest.mark.parametrize("wrap", WRAPPINGS.values(), ids=WRAPPINGS)
def test_an_image_is_inspected_in_whatever_wrapping_it_is_announced(
    cloud: Cloud, capsys: pytest.CaptureFixture[str], wrap: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    announced = cloud.put("incoming/line-1/top/a+b %.jpg", jpeg(shade=DEFECT))
    assert cloud.inspect(message() | {"body": json.dumps(wrap(announced))}) == []
    (record,) = cloud.records()
    assert (record["verdict"], record["serial"]) == ("fail", "a+b %")
    assert "UnknownMessages" not in metrics(capsys)[()]


@pytest.mark.promise(1)
def test_an_image_that_two_wrappings_announce_has_one_record_and_one_alert(cloud: Cloud) -> None:
    announced = cloud.put("incoming/a/b/c.jpg", jpeg(shade=DEFECT))
    without_sequencer = copy.deepcopy(announced)
    del without_sequencer["s3"]["object"]["sequencer"]
    documents = [wrap(record) for wrap in WRAPPINGS.values() for record in (without_sequencer, announced)]
    for document in documents:
        assert cloud.inspect(message() | {"body": json.dumps(document)}) == []
        cloud.alert()
    assert len(cloud.records()) == 1
    assert len(cloud.alerts()) == 1


@pytest.mark.promise(2)
def test_without_versions_and_sequencers_the_later_upload_is_not_lost(cloud: Cloud) -> None:
    for second in (20, 21, 21, 19):
        announced = cloud.put("incoming/a/b/c.jpg", jpeg())
        del announced["s3"]["object"]["versionId"], announced["s3"]["object"]["sequencer"]
        announced["eventTime"] = f"2026-01-05T09:30:{second}.000Z"
        cloud.inspect(message(announced))
    (record,) = cloud.records()
    assert record["received_at"] == "2026-01-05T09:30:21.000Z"


def test_several_images_in_one_message_all_get_a_record(cloud: Cloud) -> None:
    announced = [cloud.put(f"incoming/a/b/{n}.jpg", jpeg()) for n in range(3)]
    assert cloud.inspect(message(*announced)) == []
    assert len(cloud.records()) == 3


@pytest.mark.parametrize(("model", "verdict", "version"), [("7", "fail", "run"), ("6", "pass", "9")])
def test_during_a_swap_each_answer_is_judged_by_its_own_model_s_scores(
    cloud: Cloud, model: str, verdict: str, version: str
) -> None:
    scores = {"scratches": {"fail_score": 0.1, "review_score": 0.05}}
    cloud.set_rules({"version": "9", "candidate": {"version": "run", "model": "7", "classes": scores}})
    answer = prediction(detection("scratches", 0.2)) | {"model": {"name": "steel", "version": model}}
    cloud.endpoint = lambda _: http(200, answer)
    record = cloud.inspect_record(cloud.put("incoming/line-1/top/SN1.jpg", jpeg()))
    assert (record["verdict"], record["rules_version"]) == (verdict, version)


def test_the_line_s_own_rules_decide(cloud: Cloud) -> None:
    cloud.set_rules({"version": "9", "lines": {"line-2": {"scratches": {"fail_score": 0.95}}}})
    strict, lenient = (
        cloud.put(f"incoming/{line}/x/1.jpg", jpeg(shade=DEFECT)) for line in ("line-1", "line-2")
    )
    assert cloud.inspect_record(strict)["verdict"] == "fail"
    record = cloud.inspect_record(lenient)
    assert (record["verdict"], record["rules_version"]) == ("review", "9")


def test_extreme_numbers_of_a_model_end_in_a_record_too(cloud: Cloud, defect: dict[str, Any]) -> None:
    cloud.endpoint = lambda _: http(
        200, prediction(*[detection(score=1e-300, box=(1e-12, -1e9, 1e9, 0.1))] * 500)
    )
    assert cloud.inspect_record(defect)["verdict"] == "pass"


def test_a_batch_is_inspected_in_parallel(cloud: Cloud) -> None:
    from threading import Barrier

    together = Barrier(10, timeout=60)

    def answer(request: Any) -> Any:
        together.wait()  # fails unless ten calls are in flight at the same time
        return detect_by_grey(request)

    cloud.endpoint = answer
    announced = [cloud.put(f"incoming/a/b/{n}.jpg", jpeg()) for n in range(10)]
    assert cloud.inspect(*[message(record, number=n) for n, record in enumerate(announced)]) == []
    assert len(cloud.records()) == 10
