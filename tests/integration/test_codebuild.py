"""Images that are built in the account: the project, what its role may do, the log, and no trace afterwards."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from loupe.account.account import Account
from loupe.account.builders import codebuild
from loupe.account.builders.codebuild import CodeBuild
from loupe.errors import LoupeError

REGION = "eu-central-1"
REGISTRY = f"123456789012.dkr.ecr.{REGION}.amazonaws.com"
URI = f"{REGISTRY}/trial/train:abc"


@pytest.fixture
def account() -> Iterator[Account]:
    with mock_aws():
        account = Account(boto3.Session("key", "secret", region_name=REGION), None, "trial")
        account.client("s3").create_bucket(
            Bucket=account.name("deploy"), CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        yield account


class Builds:
    """The answers to BatchGetBuilds, one for each look, and what else is asked of CodeBuild."""

    def __init__(self, account: Account, *answers: dict[str, Any]) -> None:
        self.answers, self.started, self.stopped, self.updated = list(answers), [], [], []
        events = account.client("codebuild").meta.events
        events.register_first("before-call.codebuild.StartBuild", self._start)
        events.register_first("before-call.codebuild.BatchGetBuilds", self._look)
        events.register_first("before-call.codebuild.StopBuild", self._stop)
        # moto has no UpdateProject.
        events.register_first("before-call.codebuild.UpdateProject", self._update)

    def _start(self, params: dict[str, Any], **_: Any) -> Any:
        self.started.append(json.loads(params["body"]))
        return _Answer, {"build": {"id": "trial-images:1"}}

    def _look(self, **_: Any) -> Any:
        return _Answer, {"builds": [{"id": "trial-images:1", **self.answers.pop(0)}]}

    def _update(self, params: dict[str, Any], **_: Any) -> Any:
        self.updated.append(json.loads(params["body"])["name"])
        return _Answer, {"project": {}}

    def _stop(self, params: dict[str, Any], **_: Any) -> Any:
        self.stopped.append(json.loads(params["body"])["id"])
        return _Answer, {"build": {}}


class _Answer:
    status_code = 200


DONE = {"buildComplete": True, "buildStatus": "SUCCEEDED"}


def build(account: Account) -> list[str]:
    lines: list[str] = []
    CodeBuild(sleep=lambda _: None).build_and_push("train", URI, account, lines.append)
    return lines


def test_the_project_runs_docker_on_an_x86_machine_and_pushes_a_docker_manifest(account: Account) -> None:
    builds = Builds(account, DONE)
    build(account)
    (project,) = account.client("codebuild").batch_get_projects(names=["trial-images"])["projects"]
    assert project["environment"]["privilegedMode"]
    assert project["environment"]["image"] == "aws/codebuild/amazonlinux-x86_64-standard:5.0"
    spec = " ".join(project["source"]["buildspec"].split())
    assert "docker buildx build --platform linux/amd64 --provenance=false --sbom=false" in spec
    assert "--output type=registry,oci-mediatypes=false" in spec
    assert "--password-stdin" in spec
    (started,) = builds.started
    variables = {entry["name"]: entry["value"] for entry in started["environmentVariablesOverride"]}
    assert variables == {"REGISTRY": REGISTRY, "TARGET": "train", "IMAGE": URI, "GIT_SHA": "abc"}


def test_the_source_has_what_the_image_is_made_of_and_nothing_else(account: Account) -> None:
    builds = Builds(account, DONE)
    build(account)
    bucket, _, key = builds.started[0]["sourceLocationOverride"].partition("/")
    content = account.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    names = zipfile.ZipFile(io.BytesIO(content)).namelist()
    assert {"training/Dockerfile", "requirements/train.txt", "contract/__init__.py"} <= set(names)
    assert {name.split("/")[0] for name in names} == {"training", "requirements", "contract"}
    assert not [name for name in names if "__pycache__" in name]


def test_the_role_may_push_to_the_stacks_repositories_and_nowhere_else(account: Account) -> None:
    Builds(account, DONE)
    build(account)
    iam = account.client("iam")
    role = iam.get_role(RoleName=f"trial-images-{REGION}")["Role"]
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "codebuild.amazonaws.com"}
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": "123456789012"}}
    policy = iam.get_role_policy(RoleName=role["RoleName"], PolicyName="images")["PolicyDocument"]
    allowed = {
        action: statement["Resource"] for statement in policy["Statement"] for action in statement["Action"]
    }
    repositories = [
        f"arn:aws:ecr:{REGION}:123456789012:repository/trial/{name}"
        for name in ("serve", "serve-gpu", "train")
    ]
    assert allowed["ecr:PutImage"] == repositories
    assert allowed["s3:GetObject"] == [f"arn:aws:s3:::loupe-deploy-123456789012-{REGION}/trial/images/*"]
    assert [action for action, resources in allowed.items() if "*" in resources] == [
        "ecr:GetAuthorizationToken"
    ]
    assert not [action for action in allowed if "*" in action]


def test_each_line_of_the_builds_log_is_handed_over_once(account: Account) -> None:
    stream = {"logs": {"streamName": "s"}}
    Builds(account, {}, stream, stream | DONE)
    logs = account.client("logs")
    logs.create_log_group(logGroupName="/aws/codebuild/trial-images")
    logs.create_log_stream(logGroupName="/aws/codebuild/trial-images", logStreamName="s")
    events = [{"timestamp": int(time.time() * 1000) + n, "message": f"step {n}\x1b[31m\n"} for n in range(3)]
    logs.put_log_events(logGroupName="/aws/codebuild/trial-images", logStreamName="s", logEvents=events)
    assert build(account) == ["step 0", "step 1", "step 2"]


def test_a_failed_build_says_in_which_phase_and_why(account: Account) -> None:
    contexts = [{"statusCode": "COMMAND_EXECUTION_ERROR", "message": "docker buildx build: exit status 1"}]
    phases = [{"phaseType": "BUILD", "phaseStatus": "FAILED", "contexts": contexts}]
    Builds(account, {"buildComplete": True, "buildStatus": "FAILED", "phases": phases})
    with pytest.raises(LoupeError, match="CodeBuild ended with FAILED: docker buildx build: exit status 1"):
        build(account)


def test_a_build_that_nobody_waits_for_is_stopped(account: Account) -> None:
    builds = Builds(account, {})

    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        CodeBuild(sleep=interrupted).build_and_push("train", URI, account, lambda _: None)
    assert builds.stopped == ["trial-images:1"]


def test_a_role_that_is_not_known_everywhere_yet_is_waited_for(account: Account) -> None:
    Builds(account, DONE)
    refusals = ["CodeBuild is not authorized to perform: sts:AssumeRole on service role"] * 2

    def refuse(**_: Any) -> Any:
        if refusals:
            error = {"Code": "InvalidInputException", "Message": refusals.pop()}
            return _Refused, {"Error": error, "ResponseMetadata": {"HTTPStatusCode": 400}}
        return None

    account.client("codebuild").meta.events.register_first("before-call.codebuild.CreateProject", refuse)
    build(account)
    assert account.client("codebuild").list_projects()["projects"] == ["trial-images"]


class _Refused:
    status_code = 400


def test_two_builds_share_the_project_and_removing_it_twice_leaves_nothing(account: Account) -> None:
    builds = Builds(account, DONE, DONE)
    build(account)
    build(account)
    assert builds.updated == ["trial-images"]
    assert codebuild.remove(account) == [
        "CodeBuild project trial-images",
        f"role trial-images-{REGION}",
        "log group /aws/codebuild/trial-images",
    ]
    assert codebuild.remove(account) == []
    assert account.client("iam").list_roles()["Roles"] == []
