"""A second stack that names a resource as an existing one fails: nothing is overwritten in silence."""

from typing import Any

import pytest
from ministack.core.responses import AccountRegionScopedDict, AccountScopedDict, request_scope
from ministack.services import cloudfront, cloudwatch, cloudwatch_logs, ecr, iam, scheduler, sns, sqs
from ministack.services.cloudformation import stacks

from localcloud.ministack import taken_names

SCHEDULE = {"Name": "same", "ScheduleExpression": "rate(1 day)", "FlexibleTimeWindow": {"Mode": "OFF"}}
ALARM = {
    "AlarmName": "same",
    "Namespace": "A",
    "MetricName": "B",
    "Statistic": "Sum",
    "Period": 60,
    "EvaluationPeriods": 1,
    "Threshold": 1,
    "ComparisonOperator": "GreaterThanThreshold",
}
HEADERS = {
    "Name": "same",
    "CustomHeadersConfig": {"Items": [{"Header": "a", "Override": True, "Value": "b"}]},
}
TRUST = {
    "Version": "2012-10-17",
    "Statement": {
        "Effect": "Allow",
        "Principal": {"Service": "lambda.amazonaws.com"},
        "Action": "sts:AssumeRole",
    },
}
STORES = (
    (cloudfront, "_response_headers_policies"),
    (cloudwatch, "_alarms"),
    (cloudwatch, "_dashboards"),
    (cloudwatch_logs, "_log_groups"),
    (ecr, "_repositories"),
    (scheduler, "_schedules"),
    (sns, "_topics"),
    (sqs, "_queues"),
    (sqs, "_queue_name_to_url"),
)


@pytest.fixture(autouse=True)
def _patched(monkeypatch: pytest.MonkeyPatch) -> Any:
    """MiniStack's CloudFormation with nothing in the account, changed as in the local cloud."""
    monkeypatch.setattr(stacks, "_provision_resource", stacks._provision_resource)
    for module, store in STORES:
        # In place: the table of names has them.
        kept = getattr(module, store)._data
        monkeypatch.setattr(getattr(module, store), "_data", type(kept)())
    monkeypatch.setattr(iam._roles, "_data", type(iam._roles._data)())
    taken_names.apply()
    with request_scope("000000000000", "us-east-1"):
        yield


@pytest.mark.parametrize(
    ("resource_type", "properties"),
    [
        ("AWS::CloudFront::ResponseHeadersPolicy", {"ResponseHeadersPolicyConfig": HEADERS}),
        ("AWS::CloudWatch::Alarm", ALARM),
        ("AWS::CloudWatch::Dashboard", {"DashboardName": "same", "DashboardBody": '{"widgets": []}'}),
        ("AWS::ECR::Repository", {"RepositoryName": "same"}),
        ("AWS::IAM::Role", {"RoleName": "same", "AssumeRolePolicyDocument": TRUST}),
        ("AWS::Logs::LogGroup", {"LogGroupName": "same"}),
        ("AWS::SNS::Topic", {"TopicName": "same"}),
        ("AWS::SQS::Queue", {"QueueName": "same"}),
        ("AWS::Scheduler::Schedule", SCHEDULE),
    ],
)
def test_a_name_that_is_taken_is_refused(resource_type: str, properties: dict[str, Any]) -> None:
    stacks._provision_resource(resource_type, "Resource", properties, "one")
    with pytest.raises(ValueError, match=rf"'{resource_type}' with identifier 'same' already exists"):
        stacks._provision_resource(resource_type, "Resource", properties, "two")


def test_schedules_of_two_groups_have_the_same_name() -> None:
    stacks._provision_resource("AWS::Scheduler::Schedule", "Resource", SCHEDULE, "one")
    stacks._provision_resource("AWS::Scheduler::ScheduleGroup", "Group", {"Name": "own"}, "two")
    own = SCHEDULE | {"GroupName": "own"}
    assert stacks._provision_resource("AWS::Scheduler::Schedule", "Resource", own, "two")[0] == "same"


def test_names_that_the_stack_gives_do_not_collide() -> None:
    for stack in ("one", "two"):
        name, _ = stacks._provision_resource("AWS::SNS::Topic", "Alerts", {}, stack)
        assert stack in name


def test_every_store_that_is_looked_at_exists() -> None:
    for resource_type, (member, exists) in taken_names._NAMED.items():
        assert not exists({}, "none"), (resource_type, member)
    assert isinstance(iam._roles, AccountScopedDict)
    assert isinstance(scheduler._schedules, AccountRegionScopedDict)
