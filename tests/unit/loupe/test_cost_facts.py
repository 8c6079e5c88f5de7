"""What `loupe cost --stack` finds in a stack, in moto's account."""

import dataclasses
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from loupe.cost import facts
from loupe.stack.target import Target
from tests.unit.loupe.account import RefusedError, answering
from tests.unit.loupe.serving_stack import HOSTING

PARAMETERS = {"EndpointHours": "MON-FRI 06:00-14:00", "EndpointTimezone": "Europe/Berlin", "ApiRate": "7"}
TABLE = "press-inspections"


@pytest.fixture
def target(stack: Target) -> Target:
    """A stack of CloudFormation with three days of images, and records."""
    template = {
        "Parameters": {name: {"Type": "String"} for name in PARAMETERS},
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
    }
    stack.session.client("cloudformation").create_stack(
        StackName="press",
        TemplateBody=json.dumps(template),
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in PARAMETERS.items()],
    )
    table = stack.dynamodb.create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    for number in range(3):
        table.put_item(Item={"id": str(number)})
    for days, images in ((2, 1000), (3, 3000), (4, 0)):
        stack.cloudwatch.put_metric_data(
            Namespace="Loupe",
            MetricData=[
                {
                    "MetricName": "Inspected",
                    "Dimensions": [{"Name": "service", "Value": "press"}],
                    "Timestamp": datetime.now(UTC) - timedelta(days=days),
                    "Value": images,
                }
            ],
        )
    return dataclasses.replace(
        stack,
        name="press",
        outputs=stack.outputs | {"InspectionsTableName": TABLE, "ImagesBucketName": "images"},
    )


def test_a_stack_is_described_by_what_it_has(target: Target) -> None:
    found = facts.read(target)
    assert (found.parameters, found.region) == (PARAMETERS, "eu-central-1")
    # A day without images is no working day.
    assert found.images_per_day == 2000
    assert (found.status, found.instance_type, found.images_gb) == ("Missing", None, None)
    assert found.records == 3


def test_the_endpoint_tells_its_instances(target: Target) -> None:
    target.sagemaker.create_model(
        ModelName="press-1",
        PrimaryContainer={"Image": "loupe-serve:1"},
        ExecutionRoleArn=target.output("SageMakerRoleArn"),
    )
    variant: Any = HOSTING | {"ModelName": "press-1"}
    target.sagemaker.create_endpoint_config(EndpointConfigName="press-1", ProductionVariants=[variant])
    target.sagemaker.create_endpoint(EndpointName="press", EndpointConfigName="press-1")
    found = facts.read(target)
    assert (found.status, found.instance_type, found.instances) == ("InService", "ml.g4dn.xlarge", 3)


def test_the_hours_are_those_of_the_shifts_and_of_the_starts(target: Target) -> None:
    # Eight hours on five days, and a quarter of an hour before each.
    assert facts.read(target).endpoint_hours == 5 * 8.25
    assert facts.Facts().endpoint_hours == facts.Facts({"EndpointHours": "at night"}).endpoint_hours == 168


def test_what_may_not_be_read_is_left_out(target: Target) -> None:
    def refuse(_: object) -> None:
        raise RefusedError("AccessDenied")

    with answering(target, "cloudwatch", GetMetricStatistics=refuse):
        found = facts.read(target)
    assert (found.images_per_day, found.images_gb, found.records) == (None, None, 3)
