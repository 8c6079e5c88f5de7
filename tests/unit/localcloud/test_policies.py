"""The local cloud's IAM compares policies as AWS does, with the conditions that template.yaml uses."""

from collections.abc import Iterator
from typing import Any

import pytest
from ministack.core import iam_actions
from ministack.services import iam

from localcloud.ministack import callers, policy_patterns
from localcloud.permissions.roles import Check
from tests.unit.localcloud.policies import allow, make_role, may

PASS = {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
ROLE = "arn:aws:iam::000000000000:role/training"


@pytest.fixture(autouse=True)
def _no_roles() -> Iterator[None]:
    policy_patterns.apply()
    yield
    iam._roles._data.clear()


def test_what_no_statement_allows_is_refused_with_iams_message() -> None:
    role = make_role(allow("s3:GetObject", resource="arn:aws:s3:::bucket/models/*"))
    assert role.refusal(Check("s3:PutObject", "arn:aws:s3:::bucket/models/one")) == (
        "User: arn:aws:sts::000000000000:assumed-role/worker/session is not authorized to perform: s3:PutObject on "
        "resource: arn:aws:s3:::bucket/models/one because no identity-based policy allows the s3:PutObject action"
    )


@pytest.mark.promise(4)
@pytest.mark.parametrize("name", ["a\nb", "\n", "a\r\nb", "a\rb", "one\n", "two\u2028lines"])
def test_any_character_is_one_that_a_pattern_matches(name: str) -> None:
    folder = "arn:aws:s3:::bucket/models/"
    role = make_role(
        allow("s3:GetObject", resource=f"{folder}*"), allow("s3:DeleteObject", resource=f"{folder}one")
    )
    assert may(role, "s3:GetObject", f"{folder}{name}")
    assert not may(role, "s3:GetObject", f"arn:aws:s3:::bucket/other\n{folder}{name}")
    assert not may(role, "s3:DeleteObject", f"{folder}{name}")


@pytest.mark.parametrize(
    ("namespace", "allowed"),
    [("/aws/sagemaker/TrainingJobs", True), ("/aws/SageMaker/TrainingJobs", False), ("Loupe", False)],
)
def test_string_like_is_case_sensitive(namespace: str, allowed: bool) -> None:
    condition = {"StringLike": {"cloudwatch:namespace": ["/aws/sagemaker/*"]}}
    role = make_role(allow("cloudwatch:PutMetricData", Condition=condition))
    assert may(role, "cloudwatch:PutMetricData", cloudwatch__namespace=namespace) is allowed


@pytest.mark.parametrize(
    ("service", "allowed"),
    [("sagemaker.amazonaws.com", True), ("SageMaker.amazonaws.com", False), (None, False)],
)
def test_string_equals_is_case_sensitive_and_a_missing_key_matches_nothing(
    service: str | None, allowed: bool
) -> None:
    role = make_role(allow("iam:PassRole", resource=ROLE, Condition=PASS))
    context = {"iam__PassedToService": service} if service else {}
    assert may(role, "iam:PassRole", ROLE, **context) is allowed


def test_a_key_that_an_action_does_not_have_on_aws_matches_nothing() -> None:
    condition = {"StringEquals": {"application-autoscaling:service-namespace": "sagemaker"}}
    role = make_role(
        allow("application-autoscaling:PutScalingPolicy", "sagemaker:DeleteEndpoint", Condition=condition)
    )
    keys = {"application-autoscaling__service-namespace": "sagemaker"}
    assert may(role, "application-autoscaling:PutScalingPolicy", **keys)
    assert not may(role, "sagemaker:DeleteEndpoint", **keys)


def test_every_condition_must_hold() -> None:
    keys = {"service-namespace": "sagemaker", "scalable-dimension": "sagemaker:variant:DesiredInstanceCount"}
    prefixed = {f"application-autoscaling:{key}": value for key, value in keys.items()}
    role = make_role(allow("application-autoscaling:PutScalingPolicy", Condition={"StringEquals": prefixed}))
    given = {key.replace(":", "__", 1): value for key, value in prefixed.items()}
    assert may(role, "application-autoscaling:PutScalingPolicy", "*", **given)
    del given["application-autoscaling__scalable-dimension"]
    assert not may(role, "application-autoscaling:PutScalingPolicy", "*", **given)


@pytest.mark.parametrize(
    ("statement", "allowed"),
    [
        ({"Effect": "Deny", "Action": "s3:*", "Resource": "*"}, False),
        ({"Effect": "Deny", "NotAction": "s3:GetObject", "Resource": "*"}, True),
        ({"Effect": "Deny", "Action": "s3:GetObject", "NotResource": "arn:aws:s3:::bucket/a*"}, True),
        ({"Effect": "Deny", "Action": "s3:GetObject", "NotResource": "arn:aws:s3:::bucket/b*"}, False),
        (
            {
                "Effect": "Deny",
                "Action": "s3:*",
                "Resource": "*",
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            },
            True,
        ),
    ],
)
def test_a_deny_wins_where_it_matches(statement: dict[str, Any], allowed: bool) -> None:
    role = make_role(allow("s3:*"), statement)
    assert may(role, "s3:GetObject", "arn:aws:s3:::bucket/a.jpg") is allowed


@pytest.mark.parametrize(
    ("resource", "allowed"),
    [
        ("endpoint/loupe-detector", True),
        ("endpoint/loupe-detector2", False),
        ("endpoint/Loupe-detector", False),
    ],
)
def test_a_resource_is_compared_as_a_whole_and_case_sensitively(resource: str, allowed: bool) -> None:
    prefix = "arn:aws:sagemaker:us-east-1:000000000000:"
    role = make_role(allow("sagemaker:InvokeEndpoint", resource=f"{prefix}endpoint/loupe-detector"))
    assert may(role, "sagemaker:InvokeEndpoint", prefix + resource) is allowed


@pytest.mark.parametrize(
    ("condition", "trusted"),
    [
        ({}, True),
        ({"StringEquals": {"aws:SourceAccount": "000000000000"}}, True),
        ({"StringEquals": {"aws:SourceAccount": "111122223333"}}, False),
        ({"ArnLike": {"aws:SourceArn": "arn:aws:states:us-east-1:000000000000:stateMachine:*"}}, True),
        ({"ArnLike": {"aws:SourceArn": "arn:aws:states:eu-west-1:000000000000:stateMachine:*"}}, False),
    ],
)
def test_a_service_assumes_a_role_only_under_the_conditions_of_its_trust(
    condition: dict[str, Any], trusted: bool
) -> None:
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "states.amazonaws.com"},
        "Action": "sts:AssumeRole",
        "Condition": condition,
    }
    role = make_role(trust=trust)
    machine = "arn:aws:states:us-east-1:000000000000:stateMachine:retrain"
    assert role.trusts("states.amazonaws.com", machine) is trusted
    assert not role.trusts("sagemaker.amazonaws.com", machine)


@pytest.mark.parametrize("name", ["SendMessage", "DeleteMessage", "ChangeMessageVisibility"])
def test_several_messages_need_the_permission_of_one(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for patched in ("_action_from_query", "_action_from_target"):
        monkeypatch.setattr(iam_actions, patched, getattr(iam_actions, patched))
    callers._take_the_permission_of_one_message_for_several()
    target = {"x-amz-target": f"AmazonSQS.{name}Batch"}
    assert iam_actions.extract_iam_action("sqs", "POST", "/", target, b"{}", {}) == f"sqs:{name}"
    query = {"Action": [f"{name}Batch"]}
    assert iam_actions.extract_iam_action("sqs", "POST", "/", {}, b"", query) == f"sqs:{name}"
