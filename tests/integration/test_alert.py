"""`alert`, from the table's stream to the topic."""

import io
import json
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


def test_the_record_contains_the_alert_and_its_time(
    cloud: Cloud, defect: dict[str, Any], inspected: dict[str, Any]
) -> None:
    cloud.alert()
    stored = cloud.record(defect)["alert"]
    assert stored["id"] == inspected["id"]
    assert stored["picture"].startswith("annotated/line-1/")
    assert stored["sent_at"].endswith("Z")


@pytest.mark.parametrize("grey", [DOUBTFUL, GOOD])
def test_only_defects_raise_an_alert(cloud: Cloud, grey: int) -> None:
    cloud.inspect_record(cloud.put("incoming/a/b/c.jpg", jpeg(shade=grey)))
    cloud.alert()
    assert cloud.published() == []


def test_stream_records_without_an_alert_call_no_service(cloud: Cloud) -> None:
    cloud.calls.clear()
    reply = alert.handler(golden("alert-not-needed"), Context())  # type: ignore[arg-type]
    assert (reply, cloud.calls) == ({"batchItemFailures": []}, [])


def test_a_record_that_is_gone_raises_no_alert(cloud: Cloud) -> None:
    alert.handler(golden("alert-defect"), Context())  # type: ignore[arg-type]
    assert cloud.published() == []


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
