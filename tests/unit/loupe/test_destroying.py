"""Deleting a stack: what CloudFormation cannot delete, what the user may not see, and what must be typed first."""

from collections.abc import Callable
from typing import Any

import boto3
import pytest
import typer
from botocore.exceptions import ClientError
from typer.testing import CliRunner

from loupe.account import destroy, inventory
from loupe.account.account import Account
from loupe.account.history import Incarnation, Resource
from loupe.account.holdings import deployment, jobs
from loupe.account.holdings.scope import Item, Scope, Work, is_missing
from loupe.account.inventory import Asker, Inventory
from loupe.commands import cloud_destroy
from loupe.errors import LoupeError

STACK_ID = "arn:aws:cloudformation:eu-central-1:123456789012:stack/press/1f2e3d4c-0000-0000-0000-0123456789ab"


class Formation:
    """CloudFormation with a stack of which one resource cannot be deleted."""

    def __init__(self) -> None:
        self.status = "CREATE_COMPLETE"
        self.requests: list[dict[str, Any]] = []

    def describe_stacks(self, StackName: str) -> dict[str, Any]:
        return {"Stacks": [{"StackStatus": self.status}]}

    def delete_stack(self, **request: Any) -> None:
        self.requests.append(request)
        self.status = "DELETE_COMPLETE" if request.get("RetainResources") else "DELETE_FAILED"

    def get_paginator(self, operation: str) -> Any:
        return self

    def paginate(self, StackName: str) -> list[dict[str, Any]]:
        failed = {"LogicalResourceId": "Distribution", "ResourceStatus": self.status}
        return [{"StackResourceSummaries": [failed]}]


def account(**clients: Any) -> Account:
    found = Account(
        boto3.Session("testing", "testing", region_name="eu-central-1"), "http://127.0.0.1:1", "press"
    )
    found._clients.update(clients)
    return found


def refusal(code: str, message: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "DescribeTable")


def test_what_cannot_be_deleted_at_the_second_attempt_either_is_left_out() -> None:
    formation = Formation()
    work = Work(account(cloudformation=formation), lambda step: None)
    deployment.delete_stack(work, Item("stack", STACK_ID))
    assert [request.get("RetainResources") for request in formation.requests] == [None, ["Distribution"]]


def test_a_call_that_is_not_allowed_is_noted_and_hides_nothing_else() -> None:
    def denied() -> list[str]:
        raise refusal("AccessDeniedException", "you are not authorized to perform: dynamodb:DescribeTable")

    asker = Asker()
    assert asker.ask(denied, []) == []
    assert asker.ask(lambda: ["a"], []) == ["a"]
    (note,) = asker.refused
    assert "dynamodb:DescribeTable" in note


def test_a_refusal_is_not_taken_for_something_that_is_gone() -> None:
    protected = "Stack [press] cannot be deleted while TerminationProtection is enabled"
    assert not is_missing(refusal("ValidationError", protected))
    assert not is_missing(refusal("ValidationException", "Cannot update in-progress endpoint"))
    assert is_missing(refusal("ValidationException", 'Could not find model "x".'))
    assert is_missing(refusal("ValidationError", "Stack with id press does not exist"))


@pytest.mark.parametrize(
    ("role", "own"),
    [
        ("arn:aws:iam::123456789012:role/press-SageMakerRole-1ABCDEF", True),
        ("arn:aws:iam::123456789012:role/press-2-SageMakerRole-1ABCDEF", False),
        ("arn:aws:iam::123456789012:role/press-SageMakerRole-2-SageMakerRole-1ABCDEF", False),
        ("arn:aws:iam::123456789012:role/compress-SageMakerRole-1ABCDEF", False),
    ],
)
def test_a_model_is_known_by_its_stacks_role(role: str, own: bool) -> None:
    assert Scope(account(), [], [], {}).has_role(role) is own


def test_a_configuration_belongs_to_the_longest_endpoint_that_its_name_begins_with() -> None:
    scope = Scope(account(), [], [{"EndpointName": "press-detector-2-detector"}], {})
    assert scope.claims("press-detector-1a2b")
    assert not scope.claims("press-detector-2-detector-1a2b")
    assert not scope.claims("pressure-detector-1a2b")


def test_names_of_every_former_stack_are_known() -> None:
    former = Incarnation(
        STACK_ID,
        "DELETE_COMPLETE",
        "",
        False,
        {"EndpointName": "own-name"},
        {},
        (Resource("AWS::S3::Bucket", "ImagesBucket", "press-images-1f2e3d4c"),),
    )
    scope = Scope(account(), [former], [], {"AWS::S3::Bucket": ["press-images-older"]})
    assert scope.names("AWS::S3::Bucket") == ["press-images-1f2e3d4c", "press-images-older"]
    assert scope.endpoints == {"own-name"}
    assert scope.uniques == {"1f2e3d4c", "0123456789ab"}


def found() -> Inventory:
    items = [
        Item("endpoint", "press-detector", "InService"),
        Item("bucket", "press-images", "3 versions", data=True),
    ]
    return Inventory("press", True, False, items, ["the metrics"])


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Returns what runs the command for somebody at a terminal, and the calls that would have deleted something."""
    deleted: list[bool] = []

    def delete(account: Account, plan: Inventory, *, data: bool, **_: Any) -> destroy.Result:
        deleted.append(data)
        left = [item for item in plan.items if item.data and not data]
        return destroy.Result(plan.going(data), Inventory("press", True, False, left, []), [])

    monkeypatch.setattr(inventory, "take", lambda account: found())
    monkeypatch.setattr(destroy, "destroy", delete)
    monkeypatch.setattr(Account, "open", lambda stack, home: account())

    def run(*arguments: str, typed: str = "") -> tuple[Any, list[bool]]:
        app = typer.Typer()
        app.add_typer(cloud_destroy.app)
        app.command("other")(lambda: None)
        monkeypatch.setattr(cloud_destroy, "_is_asked", lambda: True)
        return CliRunner().invoke(app, ["destroy", "--stack", "press", *arguments], input=typed), deleted

    return run


def test_only_the_stacks_own_name_deletes_it(answered: Callable[..., Any]) -> None:
    result, deleted = answered(typed="Press\n")
    assert (result.exit_code, deleted) == (1, [])
    result, deleted = answered(typed="press\n")
    assert (result.exit_code, deleted) == (0, [False])


def test_data_is_deleted_only_with_the_option(answered: Callable[..., Any]) -> None:
    _, deleted = answered("--data", "--yes")
    assert deleted == [True]


def test_nothing_is_deleted_for_a_plan(answered: Callable[..., Any]) -> None:
    result, deleted = answered("--plan", "--json")
    assert (result.exit_code, deleted) == (0, [])


def test_a_stack_with_protected_data_is_refused_and_the_hint_says_how_to_go_on() -> None:
    guarded = Inventory("press", True, False, [], [], guarded=True)
    with pytest.raises(LoupeError, match="data of the stack press are protected from deletion") as refused:
        destroy.check_protection(guarded)
    assert "--parameter DeletionProtection=false" in str(refused.value.hint)


def test_a_protected_stack_is_refused_before_anything_is_deleted() -> None:
    protected = Inventory("press", True, True, [], [])
    with pytest.raises(LoupeError) as caught:
        destroy.check_protection(protected)
    assert "--no-enable-termination-protection --stack-name press" in caught.value.hint


class Judging:
    """SageMaker with transform jobs: name -> model, bucket of the input, status."""

    def __init__(self, **jobs: tuple[str, str, str]) -> None:
        self.jobs = jobs

    def get_paginator(self, operation: str) -> Any:
        assert operation == "list_transform_jobs"
        return self

    def paginate(self, StatusEquals: str) -> list[dict[str, Any]]:
        found = [self.describe_transform_job(name) for name in self.jobs]
        return [
            {"TransformJobSummaries": [job for job in found if job["TransformJobStatus"] == StatusEquals]}
        ]

    def describe_transform_job(self, TransformJobName: str) -> dict[str, Any]:
        model, bucket, status = self.jobs[TransformJobName]
        # The next look finds it stopped.
        if status == "Stopping":
            self.jobs[TransformJobName] = (model, bucket, "Stopped")
        return {
            "TransformJobName": TransformJobName,
            "TransformJobStatus": status,
            "ModelName": model,
            "TransformInput": {"DataSource": {"S3DataSource": {"S3Uri": f"s3://{bucket}/batch/"}}},
            "TransformOutput": {"S3OutputPath": "s3://somewhere"},
        }

    def stop_transform_job(self, TransformJobName: str) -> None:
        model, bucket, _ = self.jobs[TransformJobName]
        self.jobs[TransformJobName] = (model, bucket, "Stopping")


def test_transform_jobs_with_the_stacks_model_or_on_its_buckets_are_stopped() -> None:
    sagemaker = Judging(
        monday=("press-detector-1a2b", "elsewhere", "InProgress"),
        tuesday=("sdk-model", "press-images", "InProgress"),
        done=("press-detector-1a2b", "elsewhere", "Completed"),
        foreign=("pressure-detector-1a2b", "elsewhere", "InProgress"),
    )
    scope = Scope(account(sagemaker=sagemaker), [], [], {"AWS::S3::Bucket": ["press-images"]})
    items = jobs.find_transforms(scope)
    assert [(item.name, item.text) for item in items] == [("monday", "InProgress"), ("tuesday", "InProgress")]
    for item in items:
        assert destroy._delete(Work(scope.account, lambda step: None), item) is None
    assert [status for *_, status in sagemaker.jobs.values()] == ["Stopped"] * 2 + ["Completed", "InProgress"]
    assert jobs.find_transforms(scope) == []
