"""The resources around the handlers, on moto: buckets, queue, table, topic and rules as in template.yaml."""

import io
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus

import boto3
import pytest
from boto3.dynamodb.types import TypeDeserializer
from botocore.awsrequest import AWSResponse
from moto.core import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends
from PIL import Image, UnidentifiedImageError

from contract.s3 import decode
from handlers import alert, inspect
from tests.inspection_support import (
    RULES,
    Answer,
    Context,
    detection,
    http,
    message,
    model_error,
    prediction,
    s3_record,
)
from tests.stack_template import stack_template

REGION = "eu-central-1"
# Grey levels for which the endpoint of these tests finds a scratch, perhaps a scratch, and nothing.
DEFECT, DOUBTFUL, GOOD = 20, 90, 200


def detect_by_grey(request: Any) -> AWSResponse:
    """Answer as a simple model would: it decodes the image, and finds a scratch in a dark one."""
    try:
        with Image.open(io.BytesIO(request.body)) as image:
            grey = image.convert("L").resize((1, 1)).getpixel((0, 0))
    except (OSError, UnidentifiedImageError):
        return model_error(422, "corrupt_image", "the image is cut short")
    assert isinstance(grey, int)
    score = 0.9 if grey < 50 else 0.4 if grey < 120 else 0.1
    return http(200, prediction(detection("scratches", score)))


@dataclass
class Cloud:
    """The resources that the handlers use, and what tests do with them.

    Attributes:
        images: The images bucket.
        artefacts: The artefacts bucket.
        table: The inspections table.
        topic_arn: The topic of the alerts.
        queue_url: The queue of announced images.
        rules_name: The SSM parameter of the rules.
        endpoint: Answers InvokeEndpoint.
        endpoint_status: The answer of DescribeEndpoint; None for an endpoint that does not exist.
        calls: AWS operations so far.
    """

    images: str
    artefacts: str
    table: Any
    topic_arn: str
    queue_url: str
    rules_name: str
    endpoint: Callable[[Any], Answer] = detect_by_grey
    endpoint_status: str | None = None
    calls: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        # A client takes longer to make than most tests take.
        self.s3, self._ssm = boto3.client("s3"), boto3.client("ssm")
        self._uploads = 0
        self._stream_start = 0

    def reset(self) -> None:
        """Clean up for the next test. To create all resources again takes half a second."""
        self.endpoint, self.endpoint_status = detect_by_grey, None
        self._stored().items.clear()
        self._topic().sent_notifications.clear()
        self.set_rules(RULES)
        self._stream_start = len(self._stream())

    def put(self, key: str, data: bytes, **options: Any) -> dict[str, Any]:
        """Upload an object. Return the record with which S3 announces its version."""
        stored = self.s3.put_object(Bucket=self.images, Key=key, Body=data, **options)
        record = s3_record(quote_plus(key, safe="/"))
        record["s3"]["bucket"]["name"] = self.images
        self._uploads += 1
        record["s3"]["object"] |= {
            "versionId": stored["VersionId"],
            "sequencer": f"{self._uploads:016X}",
            "size": len(data),
        }
        return record

    def inspect(self, *messages: dict[str, Any], seconds: float = 60.0) -> list[str]:
        """Invoke `inspect` once. Return the ids of the messages that failed."""
        self.calls.clear()
        reply = inspect.handler({"Records": list(messages)}, Context(seconds))  # type: ignore[arg-type]
        return [failure["itemIdentifier"] for failure in reply["batchItemFailures"]]

    def inspect_record(self, record: dict[str, Any], **options: Any) -> dict[str, Any]:
        """Inspect one announced image. Return its record in the table."""
        assert self.inspect(message(record, **options)) == []
        return self.record(record)

    def record(self, announced: dict[str, Any]) -> dict[str, Any]:
        s3_object = announced["s3"]["object"]
        key = {
            "image": f"s3://{self.images}/{decode(s3_object['key'])}",
            "version_id": s3_object.get("versionId", "null"),
        }
        item: dict[str, Any] = self.table.get_item(Key=key)["Item"]
        return item

    def records(self) -> list[dict[str, Any]]:
        """Return all records. moto takes a tenth of a second for a scan, so they are read from its memory."""
        read = TypeDeserializer().deserialize
        items = [item.to_json()["Attributes"] for item in self._stored().all_items()]
        return [{name: read(value) for name, value in item.items()} for item in items]

    def alert(self, since: int = 0) -> tuple[dict[str, Any], int]:
        """Invoke `alert` once on the stream since a position. Return the reply and the new position."""
        records = [item.to_json() for item in self._stream()[self._stream_start :]]
        self.calls.clear()
        if not records[since:]:
            return {"batchItemFailures": []}, len(records)
        reply = alert.handler({"Records": records[since:]}, Context())  # type: ignore[arg-type]
        return reply, len(records)

    def _stored(self) -> Any:
        return dynamodb_backends[DEFAULT_ACCOUNT_ID][REGION].tables[self.table.name]

    def _stream(self) -> Any:
        return self._stored().stream_shard.items

    def _topic(self) -> Any:
        return sns_backends[DEFAULT_ACCOUNT_ID][REGION].topics[self.topic_arn]

    def _queue(self) -> Any:
        return sqs_backends[DEFAULT_ACCOUNT_ID][REGION].queues[self.queue_url.rpartition("/")[2]]

    def published(self) -> list[dict[str, Any]]:
        """Return every published message: subject, attributes, and the body for each protocol."""
        return [
            {"subject": subject, "attributes": attributes, "body": json.loads(body)}
            for _, body, subject, attributes, _ in self._topic().sent_notifications
        ]

    def alerts(self) -> list[dict[str, Any]]:
        """Return every published alert as its JSON document."""
        return [json.loads(message["body"]["sqs"]) for message in self.published()]

    def pictures(self) -> dict[str, int]:
        """Return the keys of the pictures in the artefacts bucket, with their sizes."""
        listed = self.s3.list_objects_v2(Bucket=self.artefacts).get("Contents", [])
        return {item["Key"]: item["Size"] for item in listed}

    def messages(self) -> list[str]:
        """Return the bodies of the messages in the queue, also of those that are delayed."""
        return [str(item.body) for item in self._queue()._messages]

    def forget_messages(self) -> None:
        """Empty the queue. It could be purged only once a minute."""
        self._queue()._messages.clear()

    def deferred(self) -> int:
        """Return how many messages the last invocation deferred."""
        return self.calls.count("SendMessage")

    def set_rules(self, document: Any) -> None:
        value = document if isinstance(document, str) else json.dumps(document)
        self._ssm.put_parameter(Name=self.rules_name, Value=value, Overwrite=True, Type="String")
        inspect._inspector().rules._provider.clear_cache()


def make(monkeypatch: pytest.MonkeyPatch) -> Cloud:
    template = stack_template()
    mark = uuid.uuid4().hex[:8]
    s3, configuration = boto3.client("s3"), {"LocationConstraint": REGION}
    for name in (f"images-{mark}", f"artefacts-{mark}"):
        s3.create_bucket(Bucket=name, CreateBucketConfiguration=configuration)  # type: ignore[arg-type]
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    declared = template["Resources"]["InspectionsTable"]["Properties"]
    table = boto3.resource("dynamodb").create_table(
        TableName=f"inspections-{mark}",
        StreamSpecification={"StreamEnabled": True, **declared["StreamSpecification"]},
        **{
            name: declared[name]
            for name in ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")
        },
    )
    cloud = Cloud(
        images=f"images-{mark}",
        artefacts=f"artefacts-{mark}",
        table=table,
        topic_arn=boto3.client("sns").create_topic(Name=f"defects-{mark}")["TopicArn"],
        queue_url=boto3.client("sqs").create_queue(QueueName=f"images-{mark}")["QueueUrl"],
        rules_name=f"/loupe-{mark}/rules",
    )
    boto3.client("ssm").put_parameter(Name=cloud.rules_name, Value=json.dumps(RULES), Type="String")
    for name, value in {
        "TABLE_NAME": table.name,
        "ENDPOINT_NAME": "loupe-detector",
        "QUEUE_URL": cloud.queue_url,
        "RULES_PARAMETER": cloud.rules_name,
        "RULES_CACHE_SECONDS": "30",
        "INDEX_SHARDS": "8",
        "MAX_IMAGE_BYTES": "8000000",
        "MAX_IMAGE_PIXELS": "100000000",
        "MAX_RECEIVE_COUNT": "5",
        "RECORD_RETENTION_DAYS": "400",
        "ARTEFACTS_BUCKET": cloud.artefacts,
        "TOPIC_ARN": cloud.topic_arn,
        "PICTURE_LINK_HOURS": "12",
    }.items():
        monkeypatch.setenv(name, value)
    return cloud


def hook(cloud: Cloud) -> None:
    """Install the endpoint and the count of calls below the clients that the handlers will make."""
    assert boto3.DEFAULT_SESSION

    def describe(**_: Any) -> AWSResponse:
        if cloud.endpoint_status is None:
            return http(400, {"message": "Could not find endpoint"}, "ValidationException")
        return http(200, {"EndpointName": "loupe-detector", "EndpointStatus": cloud.endpoint_status})

    def invoke(request: Any, **_: Any) -> AWSResponse:
        answer = cloud.endpoint(request)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def before_call(model: Any, **_: Any) -> None:
        cloud.calls.append(model.name)

    events = boto3.DEFAULT_SESSION.events
    events.register("before-send.sagemaker-runtime.InvokeEndpoint", invoke)
    events.register("before-send.sagemaker.DescribeEndpoint", describe)
    events.register("before-call", before_call)


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
