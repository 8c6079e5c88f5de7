"""A stack with a key of its own and protected data: an image gets its record, and nothing can be deleted."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud import Connection, deploy
from localcloud.sources import REPOSITORY
from tests.system.cloud_process import CloudProcess, eventually
from tests.system.test_chain import loupe

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.promise(24)]
PROTECTED = {"EncryptionKey": "own", "DeletionProtection": "true"}


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudProcess]:
    process = CloudProcess(tmp_path_factory.mktemp("home"), REPOSITORY)
    yield process
    assert process.stop() == 0


@pytest.fixture(scope="module")
def cloud(process: CloudProcess) -> Connection:
    own = replace(process.connection, stack_name="guarded")
    return replace(own, outputs=deploy.deploy(own, Path(REPOSITORY), PROTECTED))


def test_an_image_gets_its_record_under_the_key(cloud: Connection, tried: Any) -> None:
    s3, outputs = cloud.client("s3"), cloud.outputs
    key = outputs["EncryptionKeyArn"]
    upload = {"Bucket": outputs["ImagesBucketName"], "Key": "incoming/line-2/bottom/KEY-1.jpg"}
    stored = s3.put_object(**upload, Body=b"no image")
    tried(images=1)
    assert (stored["ServerSideEncryption"], stored["SSEKMSKeyId"]) == ("aws:kms", key)

    def record() -> Any:
        found = cloud.client("dynamodb").scan(TableName=outputs["InspectionsTableName"])["Items"]
        return next((item for item in found if "verdict" in item), None)

    assert eventually(record)["serial"] == {"S": "KEY-1"}
    attributes = cloud.client("sqs").get_queue_attributes(
        QueueUrl=outputs["QueueUrl"], AttributeNames=["All"]
    )
    assert attributes["Attributes"]["KmsMasterKeyId"] == key
    topic = cloud.client("sns").get_topic_attributes(TopicArn=outputs["DefectsTopicArn"])
    assert topic["Attributes"]["KmsMasterKeyId"] == key


def test_nothing_of_a_protected_stack_is_deleted_and_the_error_says_how(
    process: CloudProcess, cloud: Connection
) -> None:
    with pytest.raises(ClientError):
        cloud.client("dynamodb").delete_table(TableName=cloud.outputs["HistoryTableName"])
    refused = loupe("cloud", "destroy", "--stack", "guarded", "--local", "--data", "--yes", home=process.home)
    assert refused.returncode == 1
    assert "are protected from deletion" in refused.stderr
    assert "DeletionProtection=false" in refused.stderr
    plan = loupe("cloud", "destroy", "--stack", "guarded", "--local", "--plan", "--json", home=process.home)
    assert json.loads(plan.stdout)["protected"] is True
