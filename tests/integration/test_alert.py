"""`alert`, from the table's stream to the topic."""

import io
import json
import sys
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from botocore.exceptions import ClientError
from PIL import Image

from handlers import alert
from tests.inspection_support import Context, golden, jpeg, message
from tests.integration.moto_cloud import DEFECT, DOUBTFUL, GOOD, Cloud


@pytest.fixture
def inspected(cloud: Cloud, defect: dict[str, Any]) -> dict[str, Any]:
    """Return the record of a defective image, before its alert."""
    return cloud.inspect_record(defect)


def test_one_message_alerts_people_and_machines(cloud: Cloud, inspected: dict[str, Any]) -> None:
    assert cloud.alert()[0] == {"batchItemFailures": []}

    (published,) = cloud.published()
    assert published["subject"] == "MAJOR defect on line-1/top: scratches (SN1)"
    assert published["body"]["email"] == published["body"]["default"]
    assert published["body"]["email"].startswith("MAJOR defect on line-1/top\n")
    assert set(published["body"]) >= {"default", "email", "sms", "sqs", "https", "lambda"}
    document = json.loads(published["body"]["sqs"])
    assert document["picture_url"] in published["body"]["email"]
    assert (document["alert_id"], document["serial"], document["image"]) == (
        inspected["id"],
        "SN1",
        f"s3://{cloud.images}/incoming/line-1/top/SN1.jpg",
    )
    assert [defect["label"] for defect in document["defects"]] == ["scratches"]


def test_attributes_let_subscribers_filter(cloud: Cloud, inspected: dict[str, Any]) -> None:
    cloud.alert()
    attributes = cloud.published()[0]["attributes"]
    assert {name: value["Value"] for name, value in attributes.items()} == {
        "line": "line-1",
        "verdict": "fail",
        "severity": "major",
        "defect": '["scratches"]',
    }
    assert attributes["defect"]["Type"] == "String.Array"


def test_the_picture_is_stored_and_linked(cloud: Cloud, inspected: dict[str, Any]) -> None:
    cloud.alert()

    key = f"annotated/line-1/{inspected['received_at'][:10]}/{inspected['id']}.jpg"
    stored = cloud.s3.get_object(Bucket=cloud.artefacts, Key=key)
    assert stored["ContentType"] == "image/jpeg"
    assert Image.open(io.BytesIO(stored["Body"].read())).format == "JPEG"
    link = urlsplit(cloud.alerts()[0]["picture_url"])
    assert link.path.endswith(key)
    assert parse_qs(link.query)["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert parse_qs(link.query)["X-Amz-Expires"] == ["43200"]


@pytest.mark.parametrize("grey", [DEFECT, DOUBTFUL])
def test_what_did_not_pass_gets_its_thumbnail_with_its_picture(cloud: Cloud, grey: int) -> None:
    announced = cloud.put("incoming/line-1/top/SN1.jpg", jpeg(1600, 900, shade=grey))
    cloud.inspect_record(announced)
    cloud.alert()
    key = cloud.record(announced)["thumbnail"]
    assert key == f"thumbnails/{cloud.record(announced)['id']}.jpg"
    body = cloud.s3.get_object(Bucket=cloud.artefacts, Key=key)["Body"].read()
    with Image.open(io.BytesIO(body)) as thumbnail:
        assert (thumbnail.format, thumbnail.size) == ("JPEG", (160, 90))
    assert len(body) <= 6_000


def test_the_record_contains_the_picture_and_the_alert_with_its_time(
    cloud: Cloud, defect: dict[str, Any], inspected: dict[str, Any]
) -> None:
    cloud.alert()
    stored = cloud.record(defect)
    assert stored["picture"] == f"annotated/line-1/{inspected['received_at'][:10]}/{inspected['id']}.jpg"
    assert set(stored["alert"]) == {"id", "sent_at"}
    assert stored["alert"]["id"] == inspected["id"]
    assert stored["alert"]["sent_at"].endswith("Z")


@pytest.mark.parametrize("grey", [DOUBTFUL, GOOD])
def test_only_defects_raise_an_alert(cloud: Cloud, grey: int) -> None:
    cloud.inspect_record(cloud.put("incoming/a/b/c.jpg", jpeg(shade=grey)))
    cloud.alert()
    assert cloud.published() == []


@pytest.fixture
def review(cloud: Cloud) -> dict[str, Any]:
    """Return the announcement of a doubtful image that has been inspected, before its picture."""
    announced = cloud.put("incoming/line-1/top/SN3.jpg", jpeg(shade=DOUBTFUL))
    assert cloud.inspect_record(announced)["verdict"] == "review"
    return announced


def test_a_review_gets_its_picture_and_no_alert(cloud: Cloud, review: dict[str, Any]) -> None:
    assert cloud.alert()[0] == {"batchItemFailures": []}
    record = cloud.record(review)
    assert record["picture"] == f"annotated/line-1/{record['received_at'][:10]}/{record['id']}.jpg"
    assert "alert" not in record
    stored = cloud.s3.get_object(Bucket=cloud.artefacts, Key=record["picture"])
    assert stored["ContentType"] == "image/jpeg"
    pixels = Image.open(io.BytesIO(stored["Body"].read())).convert("RGB").get_flattened_data()
    # The frame and the label of a doubtful detection are amber.
    assert sum(red > 200 and 140 < green < 220 and blue < 90 for red, green, blue in pixels) > 500
    assert cloud.published() == []


def test_a_second_delivery_stores_no_second_picture(cloud: Cloud, review: dict[str, Any]) -> None:
    _, position = cloud.alert()
    for since in (0, position):
        cloud.alert(since=since)
        assert "PutObject" not in cloud.calls
    versions = cloud.s3.list_object_versions(Bucket=cloud.artefacts, Prefix=cloud.record(review)["picture"])
    assert len(versions["Versions"]) == 1


@pytest.mark.parametrize("grey", [DOUBTFUL, GOOD])
def test_a_pass_has_no_picture_and_a_review_whose_image_is_gone_has_none(cloud: Cloud, grey: int) -> None:
    announced = cloud.put("incoming/a/b/gone.jpg", jpeg(shade=grey))
    version = cloud.inspect_record(announced)["version_id"]
    cloud.s3.delete_object(Bucket=cloud.images, Key="incoming/a/b/gone.jpg", VersionId=version)
    assert cloud.alert()[0] == {"batchItemFailures": []}
    assert "picture" not in cloud.record(announced)


def test_in_a_batch_alerts_are_sent_before_the_pictures_of_reviews_are_drawn(
    cloud: Cloud, review: dict[str, Any]
) -> None:
    failed = cloud.inspect_record(cloud.put("incoming/line-1/top/SN9.jpg", jpeg(shade=DEFECT)))
    cloud.alert()
    assert [document["alert_id"] for document in cloud.alerts()] == [failed["id"]]
    assert cloud.calls.index("Publish") < len(cloud.calls) - 1 - cloud.calls[::-1].index("PutObject")


def test_stream_records_without_an_alert_call_no_service(cloud: Cloud) -> None:
    cloud.calls.clear()
    reply = alert.handler(golden("alert-not-needed"), Context())  # type: ignore[arg-type]
    assert (reply, cloud.calls) == ({"batchItemFailures": []}, [])


def test_a_record_that_is_gone_raises_no_alert(cloud: Cloud) -> None:
    alert.handler(golden("alert-defect"), Context())  # type: ignore[arg-type]
    assert cloud.published() == []


@pytest.mark.promise(1, 11)
def test_a_second_delivery_raises_no_second_alert(cloud: Cloud, inspected: dict[str, Any]) -> None:
    """The stream delivers the same record again, hours later."""
    _, position = cloud.alert()
    cloud.alert()
    cloud.alert(since=position)  # the mark on the record comes through the stream, too
    assert len(cloud.published()) == 1


def test_the_alert_of_a_deleted_image_has_no_picture(cloud: Cloud, inspected: dict[str, Any]) -> None:
    cloud.s3.delete_object(
        Bucket=cloud.images, Key="incoming/line-1/top/SN1.jpg", VersionId=inspected["version_id"]
    )
    cloud.alert()
    assert cloud.alerts()[0]["picture_url"] is None
    assert "could not be read again" in cloud.published()[0]["body"]["email"]


def test_the_alert_is_sent_even_if_its_picture_cannot_be_stored(
    cloud: Cloud, inspected: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied"}}, "PutObject")

    monkeypatch.setattr(alert._alerts().s3, "put_object", refused)
    cloud.alert()
    assert cloud.alerts()[0]["picture_url"] is None


@pytest.mark.parametrize("error", [ValueError("a fault in the drawing"), MemoryError()])
def test_a_fault_in_the_picture_never_keeps_an_alert_or_a_review_back(
    cloud: Cloud,
    inspected: dict[str, Any],
    review: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    def broken(*_: Any) -> bytes:
        raise error

    monkeypatch.setattr("inspection.alerts.annotate", broken)
    assert cloud.alert()[0] == {"batchItemFailures": []}
    assert [document["picture_url"] for document in cloud.alerts()] == [None]
    assert "picture" not in cloud.record(review)


@pytest.mark.promise(20)
@pytest.mark.skipif(sys.platform != "linux", reason="the limit is one of Linux")
def test_an_image_that_does_not_fit_into_memory_gets_its_alert_without_a_picture(
    cloud: Cloud, inspected: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    status = Path("/proc/self/status").read_text().splitlines()
    used = next(int(line.split()[1]) >> 10 for line in status if line.startswith("VmRSS"))
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", str(used + 64))
    # A decoder asks for more than there is left.
    monkeypatch.setattr("inspection.alerts.annotate", lambda *_: bytes(200 << 20))
    assert cloud.alert()[0] == {"batchItemFailures": []}
    assert [document["picture_url"] for document in cloud.alerts()] == [None]


def test_an_alert_is_sent_in_ascii_where_sns_takes_no_other_subject(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.inspect_record(cloud.put("incoming/Süd/oben/Größe 7.jpg", jpeg(shade=DEFECT)))
    publish = alert._alerts().sns.publish

    def ascii_only(**arguments: Any) -> Any:
        if not arguments["Subject"].isascii():
            raise ClientError({"Error": {"Code": "InvalidParameter"}}, "Publish")
        return publish(**arguments)

    with monkeypatch.context() as patch:
        patch.setattr(alert._alerts().sns, "publish", ascii_only)
        cloud.alert()
    (published,) = cloud.published()
    assert published["subject"] == "MAJOR defect on Sued/oben: scratches (Groesse 7)"
    assert cloud.alerts()[0]["serial"] == "Größe 7"


def test_an_alert_has_its_umlauts_in_the_subject(cloud: Cloud) -> None:
    cloud.inspect_record(cloud.put("incoming/Süd/oben/Größe 7.jpg", jpeg(shade=DEFECT)))
    cloud.alert()
    assert cloud.published()[0]["subject"] == "MAJOR defect on Süd/oben: scratches (Größe 7)"


@pytest.mark.promise(1, 11)
def test_several_changes_of_one_record_in_a_batch_are_one_alert(
    cloud: Cloud, inspected: dict[str, Any]
) -> None:
    """As when somebody acknowledges a defect before its alert is sent."""
    key = {name: inspected[name] for name in ("image", "version_id")}
    for number in range(4):
        cloud.table.update_item(
            Key=key, UpdateExpression="SET seen = :seen", ExpressionAttributeValues={":seen": number}
        )
    assert cloud.alert()[0] == {"batchItemFailures": []}
    assert len(cloud.alerts()) == 1


@pytest.mark.promise(11)
def test_an_alert_that_cannot_be_sent_is_retried(
    cloud: Cloud, inspected: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = cloud.put("incoming/line-1/top/SN2.jpg", jpeg(shade=DEFECT))
    cloud.inspect(message(other, number=2))
    publish = alert._alerts().sns.publish

    def fails_for_one(**arguments: Any) -> Any:
        if "SN1" in arguments["Subject"]:
            raise ClientError({"Error": {"Code": "InternalError"}}, "Publish")
        return publish(**arguments)

    with monkeypatch.context() as patch:
        patch.setattr(alert._alerts().sns, "publish", fails_for_one)
        reply, _ = cloud.alert()
    assert len(reply["batchItemFailures"]) == 1
    assert [document["serial"] for document in cloud.alerts()] == ["SN2"]

    cloud.alert()
    assert [document["serial"] for document in cloud.alerts()] == ["SN2", "SN1"]


def test_a_subscribed_queue_receives_the_document(cloud: Cloud, inspected: dict[str, Any]) -> None:
    sqs, sns = boto3.client("sqs"), boto3.client("sns")
    url = sqs.create_queue(QueueName="receiver")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    subscription = sns.subscribe(TopicArn=cloud.topic_arn, Protocol="sqs", Endpoint=arn)["SubscriptionArn"]
    policy = json.dumps({"line": ["line-1"], "defect": ["scratches"]})
    sns.set_subscription_attributes(
        SubscriptionArn=subscription, AttributeName="FilterPolicy", AttributeValue=policy
    )
    cloud.alert()
    (received,) = sqs.receive_message(QueueUrl=url)["Messages"]
    assert json.loads(json.loads(received["Body"])["Message"])["serial"] == "SN1"
