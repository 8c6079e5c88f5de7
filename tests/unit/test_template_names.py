"""The names that a stack gives its resources: its own in the account, and for ever the same; and where it may be."""

import copy
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from ministack.services.cloudformation.engine import _evaluate_rules

from tests.unit.retraining.template import ACCOUNT, OWN, REGION, Stack
from tests.unit.test_template import TEMPLATE

DEFAULTS = {name: {"Value": str(parameter["Default"])} for name, parameter in TEMPLATE["Parameters"].items()}
# The properties that name a resource, by its type. Each type of the template is here: without a name of ours,
# CloudFormation makes one that is unique. None: it is always CloudFormation or the service that names it.
NAMES: dict[str, str | None] = {
    "AWS::ApiGatewayV2::Api": None,
    "AWS::ApiGatewayV2::Authorizer": None,
    "AWS::ApiGatewayV2::Integration": None,
    "AWS::ApiGatewayV2::Route": None,
    "AWS::ApiGatewayV2::Stage": None,
    "AWS::CloudFront::CachePolicy": "CachePolicyConfig.Name",
    "AWS::CloudFront::Distribution": None,
    "AWS::CloudFront::OriginAccessControl": "OriginAccessControlConfig.Name",
    "AWS::CloudFront::OriginRequestPolicy": "OriginRequestPolicyConfig.Name",
    "AWS::CloudFront::ResponseHeadersPolicy": "ResponseHeadersPolicyConfig.Name",
    "AWS::CloudWatch::Alarm": "AlarmName",
    "AWS::CloudWatch::Dashboard": "DashboardName",
    "AWS::Cognito::UserPool": None,
    "AWS::Cognito::UserPoolClient": None,
    "AWS::Cognito::UserPoolGroup": None,
    "AWS::DynamoDB::Table": "TableName",
    "AWS::Events::Rule": "Name",
    "AWS::IAM::Policy": None,  # a part of its roles
    "AWS::IAM::Role": "RoleName",
    "AWS::KMS::Key": None,
    "AWS::Lambda::EventInvokeConfig": None,
    "AWS::Lambda::EventSourceMapping": None,
    "AWS::Lambda::Function": "FunctionName",
    "AWS::Lambda::Permission": None,
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::S3::Bucket": "BucketName",
    "AWS::S3::BucketPolicy": None,
    "AWS::SNS::Subscription": None,
    "AWS::SNS::Topic": "TopicName",
    "AWS::SNS::TopicPolicy": None,
    "AWS::SQS::Queue": "QueueName",
    "AWS::SQS::QueuePolicy": None,
    "AWS::SSM::Parameter": "Name",
    "AWS::SageMaker::ModelPackageGroup": "ModelPackageGroupName",
    "AWS::Scheduler::Schedule": "Name",
    "AWS::StepFunctions::StateMachine": "StateMachineName",
}
# What is named once in an account or in the world, over all regions.
GLOBAL = ("AWS::CloudFront::", "AWS::CloudWatch::Dashboard", "AWS::IAM::", "AWS::S3::")
FIRST = (REGION, "press", f"{OWN}-bbbb-11f0-8000-aaaaaaaaaaaa")


class Policies:
    def load(self) -> dict[str, str]:
        return {}


@cache
def expanded() -> dict[str, Any]:
    """Return the resources as the SAM transform leaves them."""
    # It takes half a second to import, also in processes that run none of these tests.
    from samtranslator.translator.transform import transform

    template = copy.deepcopy(TEMPLATE)
    for resource in template["Resources"].values():
        for code in ("CodeUri", "DefinitionUri"):
            resource.get("Properties", {}).pop(code, None)
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"] |= {"CodeUri": "s3://b/functions.zip"}
        if resource["Type"] == "AWS::Serverless::StateMachine":
            resource["Properties"] |= {"DefinitionUri": "s3://b/retrain.json"}
    template["Globals"]["Function"].pop("CodeUri", None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", REGION)
        resources: dict[str, Any] = transform(template, {}, Policies())["Resources"]
    return resources


def names(region: str, name: str, uuid: str) -> Iterator[tuple[str, ...]]:
    """Yield what must be unique: the type of a resource and its name, and where it must be unique by itself."""
    pseudo = {
        "AWS::Region": region,
        "AWS::StackName": name,
        "AWS::StackId": f"arn:aws:cloudformation:{region}:{ACCOUNT}:stack/{name}/{uuid}",
    }
    stack = Stack(refs={}, arns={}, parameters={"UniquePart": "first"}, pseudo=pseudo)
    for resource in expanded().values():
        path = NAMES[resource["Type"]]
        value: Any = resource.get("Properties", {})
        for step in path.split(".") if path else ():
            value = value.get(step) if value else None
        if path and value is not None:
            everywhere = resource["Type"].startswith(GLOBAL)
            yield (resource["Type"], str(stack.value(value)), "" if everywhere else region)


@pytest.mark.parametrize(
    "second",
    [
        pytest.param((REGION, "press-2", f"fedcba98{FIRST[2][8:]}"), id="another stack of the region"),
        pytest.param(("us-east-1", "press", f"fedcba98{FIRST[2][8:]}"), id="the same name in another region"),
    ],
)
def test_two_stacks_of_an_account_have_no_name_in_common(second: tuple[str, str, str]) -> None:
    both = [*names(*FIRST), *names(*second)]
    assert len(both) > 40
    assert {name for name in both if both.count(name) > 1} == set()


def test_a_stack_that_is_created_again_does_not_meet_the_buckets_that_it_has_left() -> None:
    kept = {name for name in names(*FIRST) if name[0] == "AWS::S3::Bucket"}
    assert kept
    assert not kept & set(names(REGION, "press", f"fedcba98{FIRST[2][8:]}"))


def test_a_schedule_has_a_name_of_its_stack() -> None:
    """SAM would take the event's logical id, which is the same for each stack."""
    schedules = [
        resource for resource in expanded().values() if resource["Type"] == "AWS::Scheduler::Schedule"
    ]
    assert len(schedules) >= 2
    assert all("${AWS::StackName}" in str(schedule["Properties"]["Name"]) for schedule in schedules)


# ---------------------------------------------------------------- the part of the id


def images_bucket(part: str) -> str:
    stack = Stack(refs={}, arns={}, parameters={"UniquePart": part})
    return str(stack.value(TEMPLATE["Resources"]["ImagesBucket"]["Properties"]["BucketName"]))


def test_a_new_stack_is_named_by_the_field_of_its_id_that_differs_most() -> None:
    assert images_bucket("first") == f"press-images-{OWN}"


def test_a_stack_from_before_the_choice_keeps_its_bucket() -> None:
    assert images_bucket("last") == "press-images-aaaaaaaaaaaa"


def check_rules(region: str = REGION, part: str = "first") -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ministack.services.cloudformation.engine.get_region", lambda: region)
        _evaluate_rules(TEMPLATE, DEFAULTS | {"UniquePart": {"Value": part}}, {})


def test_a_stack_is_neither_created_nor_updated_without_that_choice() -> None:
    """An update would otherwise replace the buckets, and leave all images behind."""
    with pytest.raises(ValueError, match="UniquePart is missing: first for a new stack; last for one that"):
        check_rules(part="")
    for part in ("first", "last"):
        check_rules(part=part)


@pytest.mark.parametrize(
    ("region", "lacks"),
    [
        ("cn-north-1", "no SageMaker Model Registry"),
        ("cn-northwest-1", "no SageMaker Model Registry"),
        ("us-gov-west-1", "no CloudFront"),
        ("us-gov-east-1", "no CloudFront"),
    ],
)
def test_a_partition_that_lacks_a_service_is_refused_by_its_name(region: str, lacks: str) -> None:
    with pytest.raises(ValueError, match=lacks):
        check_rules(region)
