"""SageMaker's two roles allow what the containers' own code asks S3 for, and each S3 permission has its user.

A container's calls are recorded here with their resources. The rest of a role is used by SageMaker itself, with the
permissions of the role: it brings models and data, and takes results and logs
(https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html). The local cloud records that
(tests/permissions/recorded.json), or there is a reason beside it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient
from moto import mock_aws

from tests.permissions.test_grants import GRANTED, RECORDED, reasoned
from tests.permissions.test_grants import REASONS as PERMISSION_REASONS
from tests.unit.retraining.template import Stack
from training.datasets.storage import s3 as training_storage
from training.serving.objects import ObjectReader
from training.serving.refusals import RefusedError

pytestmark = pytest.mark.promise(25)
IMAGES, ARTEFACTS = "images", "artefacts"
STACK = Stack(
    {"ImagesBucket": IMAGES, "ArtefactsBucket": ARTEFACTS},
    {"ImagesBucket": f"arn:aws:s3:::{IMAGES}", "ArtefactsBucket": f"arn:aws:s3:::{ARTEFACTS}"},
    {},
)
# Where each program of the training container reads and writes, by docs/retrain.md.
TRAINING_READS = (
    "labelled/images/a.jpg",
    "labelled/snapshots/b.json",
    "models/r/j/output/model.tar.gz",
    "pretrained/w.pt",
    "checkpoints/j/last.pt",
)
TRAINING_WRITES = ("models/r/j/output/model.tar.gz", "checkpoints/j/last.pt", "reports/r/c/evaluation.json")
TRAINING_LISTS = ("labelled/", "models/", "pretrained/", "checkpoints/", "reports/")
Call = tuple[str, str, str]


class Calls:
    """The permissions that calls of S3 need: action, resource, and the prefix of a listing."""

    def __init__(self) -> None:
        self.needed: set[Call] = set()

    def note(self, operation: str, parameters: dict[str, Any]) -> None:
        bucket, key = (parameters.get(name, "") for name in ("Bucket", "Key"))
        match operation:
            case "GetObject" if parameters.get("VersionId", "null") != "null":
                self.needed.add(("s3:GetObjectVersion", f"arn:aws:s3:::{bucket}/{key}", ""))
            case "GetObject" | "HeadObject":
                self.needed.add(("s3:GetObject", f"arn:aws:s3:::{bucket}/{key}", ""))
            case "PutObject":
                self.needed.add(("s3:PutObject", f"arn:aws:s3:::{bucket}/{key}", ""))
            case "ListObjectsV2":
                self.needed.add(("s3:ListBucket", f"arn:aws:s3:::{bucket}", parameters["Prefix"]))
            case _:
                raise AssertionError(f"a call that no role allows: {operation}")

    def refused(self, role: str) -> set[Call]:
        """Return those that a role does not allow."""
        return {
            (action, resource, prefix)
            for action, resource, prefix in self.needed
            if not STACK.allows(role, action, resource, **({"prefix": prefix} if prefix else {}))
        }


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[Calls]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    noted, original = Calls(), BaseClient._make_api_call  # type: ignore[attr-defined]
    with mock_aws():
        client = boto3.client("s3")
        for bucket in (IMAGES, ARTEFACTS):
            client.create_bucket(Bucket=bucket)
            client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        for key in TRAINING_READS:
            client.put_object(Bucket=ARTEFACTS, Key=key, Body=b"1")
        client.put_object(Bucket=IMAGES, Key="incoming/l/s/SN.jpg", Body=b"1")
        training_storage._clients.clear()

        def make(client: Any, operation: str, parameters: dict[str, Any]) -> Any:
            noted.note(operation, parameters)
            return original(client, operation, parameters)

        monkeypatch.setattr(BaseClient, "_make_api_call", make)
        yield noted
        training_storage._clients.clear()


def test_the_serving_container_may_read_what_a_request_names_and_nothing_else(
    calls: Calls, tried: Any
) -> None:
    reader = ObjectReader(max_bytes=1000, connections=1)

    def ask(bucket: str, key: str, version: str = "null") -> None:
        reader.read(json.dumps({"s3": {"bucket": bucket, "key": key, "version_id": version}}).encode())

    for bucket, key in ((IMAGES, "incoming/l/s/SN.jpg"), (ARTEFACTS, "labelled/images/a.jpg")):
        ask(bucket, key)
        with pytest.raises(RefusedError):
            ask(bucket, key, "no-such-version")
    assert len(calls.needed) == 4
    assert calls.refused("SageMakerRole") == set()
    calls.needed.clear()
    foreign = [
        (ARTEFACTS, "labels/x.json"),
        (ARTEFACTS, "retraining/approvals/r.json"),
        ("elsewhere", "k"),
        (IMAGES, "k"),
    ]
    for bucket, key in foreign:
        with pytest.raises(RefusedError):
            ask(bucket, key)
    tried(inputs=4 + len(foreign))
    assert len(calls.refused("SageMakerRole")) == len(foreign)


def test_the_training_container_may_do_what_its_programs_do(calls: Calls, tried: Any) -> None:
    for key in TRAINING_READS:
        uri = f"s3://{ARTEFACTS}/{key}"
        training_storage.read(uri)
        training_storage.open_object(uri).close()
    training_storage.read(f"s3://{IMAGES}/incoming/l/s/SN.jpg", 0, 1)
    for key in TRAINING_WRITES:
        training_storage.write(f"s3://{ARTEFACTS}/{key}", b"1")
    for prefix in TRAINING_LISTS:
        training_storage.list_objects(f"s3://{ARTEFACTS}/{prefix}")
    tried(inputs=len(calls.needed))
    assert calls.refused("TrainingRole") == set()
    # It never names a version, so it needs no permission for one.
    assert "s3:GetObjectVersion" not in {action for action, _, _ in calls.needed} | STACK.actions(
        "TrainingRole"
    )


def test_neither_role_may_change_images_labels_or_decisions() -> None:
    for role in ("SageMakerRole", "TrainingRole"):
        for action in ("s3:PutObject", "s3:DeleteObject"):
            assert not STACK.allows(role, action, f"arn:aws:s3:::{IMAGES}/incoming/l/s/SN.jpg")
            for key in (
                "labels/x.json",
                "labelled/images/a.jpg",
                "labelled/snapshots/b.json",
                "retraining/lock.json",
            ):
                assert not STACK.allows(role, action, f"arn:aws:s3:::{ARTEFACTS}/{key}")
        services = {action.partition(":")[0] for action in STACK.actions(role)}
        assert services == {"s3", "logs", "cloudwatch", "ecr"}


@pytest.mark.parametrize("role", ["SageMakerRole", "TrainingRole"])
def test_each_permission_of_the_role_was_used_by_the_local_cloud_or_has_its_reason(
    role: str, tried: Any
) -> None:
    own = {grant for grant in GRANTED if grant.startswith(f"{role} ")}
    used = own & RECORDED
    explained = set().union(*(reasoned(pattern) for pattern in PERMISSION_REASONS)) & own
    tried(inputs=len(own))
    assert used | explained == own
    assert len(used) >= 8
