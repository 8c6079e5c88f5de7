"""Images, events and AWS answers for the tests of `inspect` and `alert`."""

import base64
import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

from botocore.awsrequest import AWSResponse
from botocore.client import BaseClient
from PIL import Image
from urllib3 import HTTPResponse

EVENTS = Path(__file__).parents[1] / "events"
BUCKET = "loupe-images-0123456789ab"
RULES = {"version": "1", "default": {"fail_score": 0.5, "review_score": 0.3, "severity": "major"}}

Answer = AWSResponse | BaseException


def golden(name: str) -> dict[str, Any]:
    """Return an event of the folder events/."""
    event: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())
    return event


def jpeg(width: int = 200, height: int = 100, shade: int = 128, **options: Any) -> bytes:
    return picture("JPEG", width, height, shade, **options)


def picture(kind: str, width: int = 200, height: int = 100, shade: int = 128, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (width, height), shade).save(buffer, kind, **options)
    return buffer.getvalue()


def detection(
    label: str = "scratches", score: float = 0.9, box: tuple[float, ...] = (10, 20, 60, 80)
) -> dict[str, Any]:
    """Return a detection as the endpoint's answer contains it."""
    return {"label": label, "score": score, "box": list(box)}


def prediction(*detections: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return an answer of the endpoint."""
    return {
        "model": {"name": "steel", "version": "7"},
        "image": {"width": 200, "height": 100},
        "detections": list(detections),
        "quality": {"sharpness": 120.5},
        "timings_ms": {"total": 8.25},
    } | changes


def heat_map(side: int = 10, hottest: int = 255) -> bytes:
    """Return a heat map as an anomaly model makes it: a small grey PNG, brighter towards its lower right corner."""
    image = Image.new("L", (side, side))
    image.putdata([hottest * (x + y) // (2 * side - 2) for y in range(side) for x in range(side)])
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def anomaly(score: float | None = 0.93, png: bytes | None = None) -> dict[str, Any]:
    """Return what an anomaly model says, as the endpoint's answer contains it."""
    return {
        "score": score,
        "distance": 35.25,
        "model": {"name": "good-parts", "version": "3"},
        "heat_map": base64.b64encode(heat_map() if png is None else png).decode(),
    }


def http(status: int, body: Any, error: str = "") -> AWSResponse:
    """Return an HTTP response of botocore's transport. error: the code of the AWS error that it contains."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"content-length": str(len(data)), "content-type": "application/json"}
    if error:
        headers["x-amzn-errortype"] = error
    raw = HTTPResponse(io.BytesIO(data), headers, status=status, preload_content=False)
    return AWSResponse("https://test", status, headers, raw)


def model_error(status: int, code: str = "", message: str = "") -> AWSResponse:
    """Return SageMaker's ModelError around an error of the container."""
    original = json.dumps({"error": {"code": code, "message": message}}) if code else message
    body = {"OriginalStatusCode": status, "OriginalMessage": original, "Message": "Received client error"}
    return http(424, body, "ModelError")


@contextmanager
def answering(client: BaseClient, operation: str, answer: Callable[[Any], Answer]) -> Iterator[list[Any]]:
    """Answer an operation of a client, below botocore's retries.

    Args:
        client: A boto3 client.
        operation: The operation's name.
        answer: Makes the answer from the request. An exception is raised as if the connection had failed.

    Yields:
        The requests that were sent.
    """
    requests: list[Any] = []

    def send(request: Any, **_: Any) -> AWSResponse:
        requests.append(request)
        response = answer(request)
        if isinstance(response, BaseException):
            raise response
        return response

    event = f"before-send.{client.meta.service_model.service_id.hyphenize()}.{operation}"
    client.meta.events.register(event, send)
    try:
        yield requests
    finally:
        client.meta.events.unregister(event, send)


def s3_record(key: str = "incoming/line-1/top/SN1.jpg", **changes: Any) -> dict[str, Any]:
    """Return a record of an S3 notification. key: as S3 encodes it."""
    record = json.loads(golden("inspect-image")["Records"][0]["body"])["Records"][0]
    record["s3"]["object"] |= {"key": key} | changes.pop("object", {})
    return record | changes


def message(
    *records: dict[str, Any], number: int = 1, receives: int = 1, deferrals: int = 0
) -> dict[str, Any]:
    """Return an SQS record as Lambda delivers it."""
    template = golden("inspect-image")["Records"][0]
    return template | {
        "messageId": f"message-{number}",
        "receiptHandle": f"handle-{number}",
        "body": json.dumps({"Records": records}),
        "attributes": template["attributes"] | {"ApproximateReceiveCount": str(receives)},
        "messageAttributes": {"deferrals": {"stringValue": str(deferrals), "dataType": "Number"}}
        if deferrals
        else {},
    }


class Context:
    """The part of Lambda's context that the handlers use."""

    function_name = memory_limit_in_mb = invoked_function_arn = aws_request_id = "test"

    def __init__(self, seconds: float = 60.0) -> None:
        self._seconds = seconds

    def get_remaining_time_in_millis(self) -> int:
        return int(self._seconds * 1000)


def by_s3(record: dict[str, Any]) -> dict[str, Any]:
    """Return S3's own notification."""
    return {"Records": [record]}


def by_eventbridge(record: dict[str, Any]) -> dict[str, Any]:
    """Return EventBridge's event for a record of S3's own notification."""
    stored = record["s3"]["object"]
    names = {"version-id": stored.get("versionId"), "sequencer": stored.get("sequencer")}
    return {
        "version": "0",
        "id": "17793124-05d4-b198-2fde-7ededc63b103",
        "detail-type": "Object Created",
        "source": "aws.s3",
        "account": "123456789012",
        "time": record["eventTime"],
        "region": "eu-central-1",
        "resources": [record["s3"]["bucket"]["arn"]],
        "detail": {
            "version": "0",
            "bucket": {"name": record["s3"]["bucket"]["name"]},
            "object": {
                "key": unquote_plus(stored["key"]),
                "size": 5,
                "etag": "b1946ac92492d2347c6235b4d2611184",
                **{name: value for name, value in names.items() if value},
            },
            "request-id": "N4N7GDK58NMKJ12R",
            "requester": "123456789012",
            "reason": "PutObject",
        },
    }


def by_sns(document: dict[str, Any]) -> dict[str, Any]:
    """Return what SNS makes of a message without raw delivery."""
    return {
        "Type": "Notification",
        "MessageId": "719a6bbf-f51b-5320-920f-3385b5e9aa56",
        "TopicArn": "arn:aws:sns:eu-central-1:123456789012:images",
        "Subject": "Amazon S3 Notification",
        "Message": json.dumps(document),
        "Timestamp": "2026-01-05T09:30:15.300Z",
        "SignatureVersion": "1",
        "Signature": "EXAMPLE",
        "SigningCertURL": "https://example.org/cert.pem",
        "UnsubscribeURL": "https://example.org/?Action=Unsubscribe",
    }


WRAPPINGS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "S3": by_s3,
    "S3 by SNS": lambda record: by_sns(by_s3(record)),
    "EventBridge": by_eventbridge,
    "EventBridge by SNS": lambda record: by_sns(by_eventbridge(record)),
}
