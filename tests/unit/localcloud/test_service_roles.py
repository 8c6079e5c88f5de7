"""What AWS's services do for the account, they do with the permissions of a role, or of a resource's policy."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from ministack.core.responses import request_scope
from ministack.services import iam, kms, lambda_svc, sns, stepfunctions

from localcloud.ministack import encrypted_topics, function_roles, state_machine_roles, task_permissions
from localcloud.permissions.roles import Check, Role, act_as
from tests.unit.localcloud.policies import ACCOUNT, REGION, allow, make_role

QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:images"
STREAM = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/records/stream/1"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:alerts"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/k"
LAMBDA = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
READS_QUEUE = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
READS_STREAM = ("dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator")
STORES = (
    (iam, "_roles"),
    (kms, "_keys"),
    (sns, "_topics"),
    (lambda_svc, "_functions"),
    (lambda_svc, "_esms"),
)


@pytest.fixture(autouse=True)
def _account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An account with nothing in it, and this test's changes to MiniStack."""
    for module in (lambda_svc, sns, stepfunctions):
        for name, value in vars(module).copy().items():
            if callable(value):
                monkeypatch.setattr(module, name, value)
    with request_scope(ACCOUNT, REGION):
        yield
    for module, name in STORES:
        getattr(module, name)._data.clear()


def readable(source: str, *statements: dict[str, Any], trust: dict[str, Any] = LAMBDA) -> bool:
    """Return whether Lambda reads a source for a function with a role of these statements."""
    role = make_role(*statements, trust=trust)
    lambda_svc._functions["inspect"] = {"config": {"FunctionName": "inspect", "Role": role.arn}}
    lambda_svc._esms["m"] = {"UUID": "m", "FunctionName": "inspect", "EventSourceArn": source}
    function_roles.apply()
    return len(list(lambda_svc._iter_all_esms())) == 1


def test_a_queue_is_read_with_the_functions_permissions() -> None:
    assert readable(QUEUE, allow(*READS_QUEUE, resource=QUEUE))


@pytest.mark.parametrize("missing", READS_QUEUE)
def test_a_queue_that_the_function_may_not_read_is_not_read(missing: str) -> None:
    others = [action for action in READS_QUEUE if action != missing]
    assert not readable(QUEUE, allow(*others, resource=QUEUE))


def test_a_stream_is_found_and_read_with_the_functions_permissions() -> None:
    reads = allow(*READS_STREAM, resource=STREAM)
    assert readable(STREAM, reads, allow("dynamodb:ListStreams"))


def test_a_stream_that_the_function_may_not_find_is_not_read() -> None:
    assert not readable(STREAM, allow(*READS_STREAM, resource=STREAM))


def test_a_role_that_does_not_trust_lambda_reads_nothing() -> None:
    other = LAMBDA | {"Principal": {"Service": "states.amazonaws.com"}}
    assert not readable(QUEUE, allow("*"), trust=other)


def test_logs_are_written_with_the_functions_permissions() -> None:
    group = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/lambda/inspect:*"
    writer = make_role(
        allow("logs:CreateLogStream", "logs:PutLogEvents", resource=group), trust=LAMBDA, name="writer"
    )
    config = {"FunctionName": "inspect", "Role": writer.arn}
    assert function_roles.may_write_logs(config, "/aws/lambda/inspect")
    assert not function_roles.may_write_logs(config, "/aws/lambda/alert")


def encrypted_topic(*principals: str) -> None:
    """Create an encrypted topic, whose key's policy lets the account and some services use it."""
    account = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "kms:*"}
    services = {
        "Effect": "Allow",
        "Principal": {"Service": list(principals)},
        "Action": ["kms:GenerateDataKey*", "kms:Decrypt"],
        "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}},
    }
    policy = {"Statement": [{**statement, "Resource": "*"} for statement in (account, services)]}
    kms._keys["k"] = {"KeyId": "k", "Arn": KEY, "Policy": json.dumps(policy)}
    sns._topics[TOPIC] = {"arn": TOPIC, "attributes": {"KmsMasterKeyId": "k"}, "subscriptions": []}


def test_an_alarm_reaches_an_encrypted_topic_only_if_the_key_lets_cloudwatch_use_it() -> None:
    encrypted_topic("cloudwatch.amazonaws.com")
    assert encrypted_topics.service_may_use_key(
        TOPIC, "cloudwatch.amazonaws.com", "arn:aws:cloudwatch:::alarm:a"
    )
    assert not encrypted_topics.service_may_use_key(TOPIC, "events.amazonaws.com", "arn:aws:events:::rule/r")


@pytest.mark.parametrize("missing", ["kms:GenerateDataKey", "kms:Decrypt"])
def test_a_state_machine_publishes_to_an_encrypted_topic_only_with_its_key(missing: str) -> None:
    encrypted_topic()
    publish = allow("sns:Publish", resource=TOPIC)
    both = ("kms:GenerateDataKey", "kms:Decrypt")
    able = make_role(publish, allow(*both, resource=KEY), name="able")
    unable = make_role(publish, allow(*(set(both) - {missing}), resource=KEY), name="unable")
    published: list[Any] = []
    handler = task_permissions._checked(
        "arn:aws:states:::sns:publish", lambda resource, request: published.append(request)
    )
    with act_as(able):
        handler("arn:aws:states:::sns:publish", {"TopicArn": TOPIC})
    with act_as(unable), pytest.raises(stepfunctions._ExecutionError) as refused:
        handler("arn:aws:states:::sns:publish", {"TopicArn": TOPIC})
    assert refused.value.error == "SNS.KMSAccessDeniedException"
    assert f"is not authorized to perform: {missing} on resource: {KEY}" in refused.value.cause
    assert len(published) == 1


def test_an_integration_whose_permissions_are_unknown_is_refused() -> None:
    handler = task_permissions._checked("arn:aws:states:::ecs:runTask", lambda resource, request: None)
    with act_as(make_role(allow("*"))), pytest.raises(stepfunctions._ExecutionError, match="does not know"):
        handler("arn:aws:states:::ecs:runTask", {})


def problem(role: Role, *, waits: bool = False, logs: bool = False) -> str | None:
    resource = (
        "arn:aws:states:::sagemaker:createTrainingJob.sync" if waits else "arn:aws:states:::lambda:invoke"
    )
    definition = json.dumps({"States": {"Work": {"Type": "Task", "Resource": resource}}})
    return state_machine_roles._problem(role.arn, definition, [{}] if logs else None)


def test_a_state_machine_needs_a_role_that_trusts_step_functions() -> None:
    assert problem(make_role()) is None
    assert "is authorized to assume the provided role" in str(problem(make_role(trust=LAMBDA)))


def test_a_state_machine_that_waits_needs_the_managed_rule_of_its_kind_of_job() -> None:
    rule = f"arn:aws:events:{REGION}:{ACCOUNT}:rule/StepFunctionsGetEventsForSageMaker"
    actions = ("events:PutTargets", "events:PutRule", "events:DescribeRule")
    assert problem(make_role(allow(*actions, resource=f"{rule}TrainingJobsRule")), waits=True) is None
    other = make_role(allow(*actions, resource=f"{rule}ProcessingJobsRule"))
    assert "is not authorized to create managed-rule" in str(problem(other, waits=True))


def test_a_state_machine_that_logs_needs_to_deliver_logs() -> None:
    assert "not authorized to access the Log Destination" in str(problem(make_role(), logs=True))
    assert problem(make_role(allow("logs:*")), logs=True) is None


def test_a_resource_policy_alone_can_allow_the_role_that_it_names() -> None:
    role = make_role()
    assert role.refusal(Check("sns:Publish", TOPIC)) is not None
    policy = {"Effect": "Allow", "Principal": {"AWS": role.arn}, "Action": "sns:Publish", "Resource": TOPIC}
    sns._topics[TOPIC] = {"arn": TOPIC, "attributes": {"Policy": json.dumps({"Statement": [policy]})}}
    assert role.refusal(Check("sns:Publish", TOPIC)) is None
