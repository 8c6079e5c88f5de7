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
def judged(cloud: Cloud, defect: dict[str, Any]) -> dict[str, Any]:
    """The record of a defective image, before its alert."""
    return cloud.inspect_record(defect)


def test_a_defect_is_told_to_people_and_machines_in_one_message(cloud: Cloud, judged: dict[str, Any]) -> None:
    assert cloud.alert()[0] == {"batchItemFailures": []}

    (said,) = cloud.published()
    assert said["subject"] == "MAJOR defect on line-1/top: scratches (SN1)"
    assert said["body"]["email"] == said["body"]["default"]
    assert said["body"]["email"].startswith("MAJOR defect on line-1/top\n")
    assert set(said["body"]) >= {"default", "email", "sms", "sqs", "https", "lambda"}
    document = json.loads(said["body"]["sqs"])
    assert document["picture_url"] in said["body"]["email"]
    assert (document["alert_id"], document["serial"], document["image"]) == (
        judged["id"],
        "SN1",
        f"s3://{cloud.images}/incoming/line-1/top/SN1.jpg",
    )
    assert [defect["label"] for defect in document["defects"]] == ["scratches"]


def test_attributes_let_subscribers_filter(cloud: Cloud, judged: dict[str, Any]) -> None:
    cloud.alert()
    attributes = cloud.published()[0]["attributes"]
    assert {name: value["Value"] for name, value in attributes.items()} == {
        "line": "line-1",
        "verdict": "fail",
        "severity": "major",
        "defect": '["scratches"]',
    }
    assert attributes["defect"]["Type"] == "String.Array"


def test_the_picture_is_stored_and_linked(cloud: Cloud, judged: dict[str, Any]) -> None:
    cloud.alert()

    key = f"annotated/line-1/{judged['received_at'][:10]}/{judged['id']}.jpg"
    stored = cloud.s3.get_object(Bucket=cloud.artefacts, Key=key)
    assert stored["ContentType"] == "image/jpeg"
    assert Image.open(io.BytesIO(stored["Body"].read())).format == "JPEG"
    link = urlsplit(cloud.alerts()[0]["picture_url"])
    assert link.path.endswith(key)
    assert parse_qs(link.query)["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert parse_qs(link.query)["X-Amz-Expires"] == ["43200"]


def test_the_record_says_that_and_when_it_was_told(
    cloud: Cloud, defect: dict[str, Any], judged: dict[str, Any]
) -> None:
    cloud.alert()
    note = cloud.record(defect)["alert"]
    assert note["id"] == judged["id"]
    assert note["picture"].startswith("annotated/line-1/")
    assert note["sent_at"].endswith("Z")


@pytest.mark.parametrize("grey", [DOUBTFUL, GOOD])
def test_only_defects_are_told(cloud: Cloud, grey: int) -> None:
    cloud.inspect_record(cloud.put("incoming/a/b/c.jpg", jpeg(shade=grey)))
    cloud.alert()
    assert cloud.published() == []


def test_stream_records_with_nothing_to_tell_touch_no_service(cloud: Cloud) -> None:
    cloud.calls.clear()
    reply = alert.handler(golden("alert-nothing-to-tell"), Context())  # type: ignore[arg-type]
    assert (reply, cloud.calls) == ({"batchItemFailures": []}, [])


def test_a_record_that_is_gone_is_nothing_to_tell(cloud: Cloud) -> None:
    alert.handler(golden("alert-defect"), Context())  # type: ignore[arg-type]
    assert cloud.published() == []


def test_a_second_delivery_tells_nothing_new(cloud: Cloud, judged: dict[str, Any]) -> None:
    """RELIABILITY 11: the stream delivers again, hours later."""
    _, position = cloud.alert()
    cloud.alert()
    cloud.alert(since=position)  # the note itself comes through the stream
    assert len(cloud.published()) == 1


def test_a_deleted_image_is_told_of_without_a_picture(cloud: Cloud, judged: dict[str, Any]) -> None:
    cloud.s3.delete_object(
        Bucket=cloud.images, Key="incoming/line-1/top/SN1.jpg", VersionId=judged["version_id"]
    )
    cloud.alert()
    assert cloud.alerts()[0]["picture_url"] is None
    assert "could not be read again" in cloud.published()[0]["body"]["email"]


def test_a_picture_that_cannot_be_stored_does_not_keep_the_alert_back(
    cloud: Cloud, judged: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied"}}, "PutObject")

    monkeypatch.setattr(alert._alerts().s3, "put_object", refused)
    cloud.alert()
    assert cloud.alerts()[0]["picture_url"] is None


def test_an_alert_that_cannot_be_sent_is_tried_again(
    cloud: Cloud, judged: dict[str, Any], monkeypatch: pytest.MonkeyPatch
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
    assert [said["serial"] for said in cloud.alerts()] == ["SN2"]

    cloud.alert()
    assert [said["serial"] for said in cloud.alerts()] == ["SN2", "SN1"]


def test_a_subscriber_s_queue_gets_the_document(cloud: Cloud, judged: dict[str, Any]) -> None:
    sqs, sns = boto3.client("sqs"), boto3.client("sns")
    url = sqs.create_queue(QueueName="receiver")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    subscription = sns.subscribe(TopicArn=cloud.topic_arn, Protocol="sqs", Endpoint=arn)["SubscriptionArn"]
    policy = json.dumps({"line": ["line-1"], "defect": ["scratches"]})
    sns.set_subscription_attributes(
        SubscriptionArn=subscription, AttributeName="FilterPolicy", AttributeValue=policy
    )
    cloud.alert()
    (got,) = sqs.receive_message(QueueUrl=url)["Messages"]
    assert json.loads(json.loads(got["Body"])["Message"])["serial"] == "SN1"
