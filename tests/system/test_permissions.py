"""The roles allow what no other test of the local cloud lets them do: rare answers, and what people ask the API for."""

import json
from typing import Any

import pytest

from localcloud import Connection
from tests.system.cloud_process import CloudProcess, eventually
from tests.system.site_client import Client

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.promise(25)]


@pytest.fixture(scope="module")
def cloud(loupe_process: CloudProcess) -> Connection:
    return loupe_process.connection


def function(cloud: Connection, logical_id: str) -> str:
    """Return the name of one of the stack's functions."""
    resource = cloud.client("cloudformation").describe_stack_resource(
        StackName=cloud.stack_name, LogicalResourceId=logical_id
    )
    return str(resource["StackResourceDetail"]["PhysicalResourceId"])


def invoke(cloud: Connection, logical_id: str, event: dict[str, Any]) -> None:
    answer = cloud.client("lambda").invoke(
        FunctionName=function(cloud, logical_id), Payload=json.dumps(event).encode()
    )
    assert "FunctionError" not in answer, answer["Payload"].read()


def test_a_person_sees_models_and_runs_starts_one_and_reads_how_it_ended(
    cloud: Connection, admin: Client
) -> None:
    for path in ("/api/health", "/api/models", "/api/runs", "/api/datasets"):
        assert admin.send("GET", path).status == 200, path
    started = admin.send("POST", "/api/runs", {})
    assert started.status < 300, started.body
    name = started.json["name"]

    def ended() -> bool:
        run = admin.send("GET", f"/api/runs/{name}")
        assert run.status == 200, run.body
        return bool(run.json["status"] != "RUNNING")

    eventually(ended, timeout_s=180)


def test_a_person_is_asked_about_a_version_and_the_token_waits_in_the_bucket(cloud: Connection) -> None:
    bucket, s3 = cloud.outputs["ArtefactsBucketName"], cloud.client("s3")
    question = {
        "token": "of-no-run",
        "run": "run-asked",
        "package": "arn:aws:sagemaker:us-east-1:000000000000:model-package/loupe/1",
        "winner": "ssdlite",
        "reasons": [],
    }
    invoke(cloud, "ApprovalFunction", question)
    (stored,) = s3.list_objects_v2(Bucket=bucket, Prefix="retraining/approvals/")["Contents"]
    assert stored["Key"] == "retraining/approvals/run-asked.json"
    s3.delete_object(Bucket=bucket, Key=stored["Key"])
