"""The stack of `loupe cloud`: why a deployment failed, what a change set would lose, and what is left of a creation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
import yaml
from moto import mock_aws

from loupe.account import packages, sam, stack_step, subscriptions
from loupe.account.account import Account
from loupe.account.cloudformation import Change
from loupe.account.settings import Settings, Wishes
from loupe.account.site import Site
from loupe.errors import LoupeError
from loupe.stack.target import Target
from tests.unit.loupe.account import RefusedError, answering

NOW = datetime.now(UTC)
CHANGE_SET = "arn:aws:cloudformation:eu-central-1:1:changeSet/samcli-deploy1/1"
REPLACED = {"Action": "Modify", "LogicalResourceId": "ImagesBucket", "ResourceType": "AWS::S3::Bucket"}


class CloudFormation:
    """A stack's states, one after the other, as CloudFormation answers.

    Attributes:
        calls: The operations that change something.
    """

    def __init__(self, *statuses: str, changes: list[dict[str, Any]] | None = None) -> None:
        self.statuses, self.changes = list(statuses), changes or []
        self.events: list[dict[str, Any]] = []
        self.calls: list[str] = []

    @contextmanager
    def answering(self, account: Account) -> Iterator[None]:
        def note(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
            return lambda request: self.calls.append(name) or {}

        clients: Any = SimpleNamespace(stacks=account.client("cloudformation"))
        with answering(
            clients,
            "stacks",
            DescribeStacks=self.describe,
            ListStackResources=lambda request: {"StackResourceSummaries": []},
            DescribeChangeSet=lambda request: {
                "Changes": [{"ResourceChange": each} for each in self.changes]
            },
            DescribeStackEvents=lambda request: {"StackEvents": self.events},
            ExecuteChangeSet=note("ExecuteChangeSet"),
            DeleteChangeSet=note("DeleteChangeSet"),
            DeleteStack=note("DeleteStack"),
        ):
            yield

    def describe(self, request: dict[str, Any]) -> dict[str, Any]:
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        if status == "none":
            raise RefusedError("ValidationError", "does not exist")
        return {"Stacks": [{"StackId": "arn", "StackStatus": status, "CreationTime": NOW}]}

    def fail(self, resource: str, reason: str, ago: int = 0) -> None:
        """Let a resource have failed, as the newest event."""
        self.events.insert(
            0,
            {
                "LogicalResourceId": resource,
                "ResourceStatus": "CREATE_FAILED",
                "ResourceStatusReason": reason,
                "Timestamp": datetime.now(UTC) - timedelta(seconds=ago),
            },
        )


@pytest.fixture
def account() -> Account:
    # The local cloud's address, so that no test waits as for AWS.
    return Account(boto3.Session("a", "b", region_name="eu-central-1"), "http://127.0.0.1:9", "loupe")


def site(account: Account, accept: bool = False) -> Site:
    return Site(account, Wishes(), Settings({}, {}), lambda line: None, lambda changes: accept)


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let sam have prepared a change set; the notes that are written then are returned."""
    notes: list[str] = []

    @contextmanager
    def built(on_line: Any, for_this_machine: bool) -> Iterator[Path]:
        yield Path()

    monkeypatch.setattr(stack_step.sam, "built", built)
    monkeypatch.setattr(stack_step.sam, "change_set", lambda *_: CHANGE_SET)
    monkeypatch.setattr(stack_step, "_note", lambda account, source, stack: notes.append(stack.status))
    return notes


def test_a_failed_deployment_gives_the_reasons_of_the_resources(account: Account, prepared: list[str]):
    stacks = CloudFormation("none", "none", "CREATE_IN_PROGRESS", "ROLLBACK_COMPLETE")
    stacks.fail("Queue", "of an earlier attempt", ago=600)
    stacks.fail("Role", "Resource creation cancelled")
    stacks.fail("ImagesBucket", "the name is taken")
    with stacks.answering(account), pytest.raises(LoupeError) as failed:
        stack_step.deploy(site(account))
    assert str(failed.value) == "the deployment failed (ROLLBACK_COMPLETE): ImagesBucket: the name is taken"
    assert "repeat" in failed.value.hint
    assert prepared == []


def test_what_is_left_of_a_failed_creation_is_deleted_first(account: Account, prepared: list[str]):
    stacks = CloudFormation("ROLLBACK_COMPLETE", "none", "none", "CREATE_IN_PROGRESS", "CREATE_COMPLETE")
    with stacks.answering(account):
        stack_step.deploy(site(account))
    assert stacks.calls == ["DeleteStack", "ExecuteChangeSet"]
    assert prepared == ["CREATE_COMPLETE"]


def test_a_deployment_that_goes_on_without_its_command_is_waited_for(account: Account, prepared: list[str]):
    stacks = CloudFormation(
        *("CREATE_IN_PROGRESS", "CREATE_IN_PROGRESS", "CREATE_COMPLETE", "CREATE_COMPLETE"),
        *("UPDATE_IN_PROGRESS", "UPDATE_COMPLETE"),
    )
    with stacks.answering(account):
        assert stack_step.deploy(site(account)) == "UPDATE_COMPLETE, 0 resources changed"


def test_a_change_that_loses_data_is_made_only_if_it_is_accepted(account: Account, prepared: list[str]):
    lost = CloudFormation("CREATE_COMPLETE", changes=[REPLACED | {"Replacement": "True"}])
    with (
        lost.answering(account),
        pytest.raises(LoupeError, match=r"ImagesBucket \(AWS::S3::Bucket\) is replaced"),
    ):
        stack_step.deploy(site(account))
    assert lost.calls == ["DeleteChangeSet"]
    accepted = CloudFormation(
        *("CREATE_COMPLETE", "CREATE_COMPLETE", "UPDATE_IN_PROGRESS", "UPDATE_COMPLETE"),
        changes=[REPLACED | {"Replacement": "True"}],
    )
    with accepted.answering(account):
        stack_step.deploy(site(account, accept=True))
    assert accepted.calls == ["ExecuteChangeSet"]


@pytest.mark.parametrize(
    ("change", "dangerous"),
    [
        (Change("Remove", "Table", "AWS::DynamoDB::Table", False), True),
        (Change("Modify", "Pool", "AWS::Cognito::UserPool", True), True),
        (Change("Modify", "Table", "AWS::DynamoDB::Table", False), False),
        (Change("Remove", "Function", "AWS::Lambda::Function", False), False),
        (Change("Add", "Table", "AWS::DynamoDB::Table", False), False),
    ],
)
def test_a_change_is_dangerous_if_it_takes_away_what_holds_data(change: Change, dangerous: bool):
    assert change.dangerous is dangerous


def test_an_e_mail_address_that_is_not_confirmed_is_said_to_be_pending(account: Account):
    outputs = {
        "DefectsTopicArn": "arn:aws:sns:eu-central-1:123456789012:d",
        "OperationsTopicArn": "arn:aws:sns:eu-central-1:123456789012:o",
    }
    target = Target(account.session, account.endpoint_url, outputs, "loupe")
    subscribed = [
        {"Protocol": "email", "Endpoint": "new@example.com", "SubscriptionArn": "PendingConfirmation"},
        {
            "Protocol": "email",
            "Endpoint": "old@example.com",
            "SubscriptionArn": "arn:aws:sns:eu-central-1:1:d:1",
        },
        {"Protocol": "sqs", "Endpoint": "arn", "SubscriptionArn": "arn:aws:sns:eu-central-1:1:d:2"},
    ]

    def of_topic(request: dict[str, Any]) -> dict[str, Any]:
        return {"Subscriptions": subscribed if request["TopicArn"].endswith(":d") else []}

    with answering(target, "sns", ListSubscriptionsByTopic=of_topic):
        found = subscriptions.emails(target)
    assert [(each.address, each.topic, each.confirmed) for each in found] == [
        ("new@example.com", "defects", False),
        ("old@example.com", "defects", True),
    ]


def test_sam_is_told_a_value_with_spaces_and_quotes_as_one():
    assert sam._override("RetrainSchedule", "rate(7 days)") == 'RetrainSchedule="rate(7 days)"'
    assert sam._override("Name", 'a"b\\c') == 'Name="a\\"b\\\\c"'


def test_the_source_of_a_stack_changes_with_its_functions_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    for name in (
        "template.yaml",
        "functions/a.py",
        "statemachine/retrain.asl.json",
        "contract/b.py",
        "docs/x.md",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    monkeypatch.setattr(sam, "REPOSITORY", tmp_path)
    monkeypatch.setattr(sam, "PACKAGES", tmp_path)
    first = sam.digest()
    (tmp_path / "docs" / "x.md").write_text("changed")
    assert sam.digest() == first
    (tmp_path / "contract" / "b.py").write_text("changed")
    assert sam.digest() != first


def test_packages_of_the_same_content_are_uploaded_once(tmp_path: Path):
    for name, code in (("Inspect", "same"), ("Alert", "same"), ("Other", "another")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "handler.py").write_text(code)
    functions = {
        name: {"Type": "AWS::Serverless::Function", "Properties": {"CodeUri": name}}
        for name in ("Inspect", "Alert", "Other")
    }
    document = {"AWSTemplateFormatVersion": "2010-09-09", "Resources": functions}
    template = tmp_path / "template.yaml"
    with mock_aws():
        account = Account(boto3.Session("a", "b", region_name="us-east-1"), None, "loupe")
        bucket = account.name("deploy")
        account.client("s3").create_bucket(Bucket=bucket)
        written = []
        for _ in range(2):
            template.write_text(yaml.safe_dump(document))
            packages.upload(account, template)
            written.append(yaml.safe_load(template.read_text()))
        stored = account.client("s3").list_objects_v2(Bucket=bucket)["Contents"]
    assert written[0] == written[1]
    assert written[0]["AWSTemplateFormatVersion"] == "2010-09-09"
    uris = [resource["Properties"]["CodeUri"] for resource in written[0]["Resources"].values()]
    assert uris[0] == uris[1] != uris[2]
    assert sorted(f"s3://{bucket}/{each['Key']}" for each in stored) == sorted(set(uris))
