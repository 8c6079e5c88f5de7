"""Rules for template.yaml: the queue's figures, encryption and access, least privilege, and limits of cost.

Each rule is a function that yields the violations in a template. Further tests show it templates that break it.
"""

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.stack_template import stack_template

TEMPLATE: dict[str, Any] = stack_template()
Template = dict[str, Any]
CHOICES = ("HasDataKey", "MakesDataKey", "IsProtected")
NOTHING = {"Ref": "AWS::NoValue"}


def resources(template: Template, kind: str) -> dict[str, dict[str, Any]]:
    """Return the properties of all resources of a type, by their logical id."""
    return {
        name: resource.get("Properties", {})
        for name, resource in template["Resources"].items()
        if resource["Type"] == kind
    }


def resolved(value: Any, *holding: str) -> Any:
    """Return a part of the template with its choices made about the data's key and protection.

    Args:
        value: The part.
        holding: Which of `CHOICES` hold.
    """
    if isinstance(value, list):
        return [item for item in (resolved(item, *holding) for item in value) if item != NOTHING]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"Fn::If"} and value["Fn::If"][0] in CHOICES:
        condition, one, other = value["Fn::If"]
        return resolved(one if condition in holding else other, *holding)
    made = {name: resolved(item, *holding) for name, item in value.items()}
    return {name: item for name, item in made.items() if item != NOTHING or name == "Fn::If"}


def logical_id(value: Any) -> str:
    """Return the logical id that a Ref, GetAtt or Sub refers to."""
    if isinstance(value, list):
        return str(value[0])
    if isinstance(value, dict):
        return logical_id(next(iter(value.values())))
    return str(value).removeprefix("${").split(".")[0].split("}")[0]


def queue_arithmetic(template: Template) -> Iterator[str]:
    """https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html"""
    queues = resources(template, "AWS::SQS::Queue")
    for name, function in resources(template, "AWS::Serverless::Function").items():
        for event in function.get("Events", {}).values():
            if event["Type"] == "SQS":
                problems = _queue_arithmetic(function, event["Properties"], queues)
                yield from (f"{name}: {problem}" for problem in problems)


def _queue_arithmetic(
    function: dict[str, Any], source: dict[str, Any], queues: dict[str, dict[str, Any]]
) -> Iterator[str]:
    queue = queues[logical_id(source["Queue"])]
    redrive = queue["RedrivePolicy"]
    if queue["VisibilityTimeout"] < 6 * function["Timeout"]:
        yield "visibility timeout below six function timeouts"
    if redrive["maxReceiveCount"] < 5:
        yield "maxReceiveCount below five"
    if int(function["Environment"]["Variables"]["MAX_RECEIVE_COUNT"]) != redrive["maxReceiveCount"]:
        yield "the function does not know the queue's maxReceiveCount"
    dead_letters = queues[logical_id(redrive["deadLetterTargetArn"])]
    if dead_letters["MessageRetentionPeriod"] <= queue["MessageRetentionPeriod"]:
        yield "the dead-letter queue deletes messages too early"
    allowed = " ".join(json.dumps(arn) for arn in dead_letters["RedriveAllowPolicy"]["sourceQueueArns"])
    if queue["QueueName"]["Fn::Sub"] not in allowed:
        yield "the dead-letter queue does not take the queue's messages"
    if "ReportBatchItemFailures" not in source["FunctionResponseTypes"]:
        yield "one failure returns the whole batch"
    # More at once than are reserved would be throttled, and throttling counts as a receipt.
    reserved = function.get("ReservedConcurrentExecutions")
    if reserved and source["ScalingConfig"]["MaximumConcurrency"] != reserved["Fn::If"][1]:
        yield "mapping concurrency differs from reserved concurrency"
    if "ScalingConfig" not in source:
        yield "nothing bounds the mapping's concurrency"
    if source["BatchSize"] > 10:
        yield "a batch is larger than the number of threads that inspect it"


def buckets_are_private(template: Template) -> Iterator[str]:
    policies = resources(template, "AWS::S3::BucketPolicy").values()
    for name, bucket in resources(template, "AWS::S3::Bucket").items():
        if bucket.get("VersioningConfiguration", {}).get("Status") != "Enabled":
            yield f"{name}: no versioning"
        if not bucket.get("BucketEncryption"):
            yield f"{name}: no encryption"
        block = bucket.get("PublicAccessBlockConfiguration", {})
        if len(block) != 4 or not all(value is True for value in block.values()):
            yield f"{name}: public access"
        if not bucket.get("LifecycleConfiguration"):
            yield f"{name}: no lifecycle"
        own = [policy for policy in policies if logical_id(policy["Bucket"]) == name]
        if not any(denies_plain_http(policy) for policy in own):
            yield f"{name}: plain HTTP"


def denies_plain_http(policy: dict[str, Any]) -> bool:
    return any(
        statement["Effect"] == "Deny"
        and statement["Principal"] == "*"
        and statement["Action"] in ("s3:*", "sqs:*")
        and statement.get("Condition") == {"Bool": {"aws:SecureTransport": "false"}}
        for statement in policy["PolicyDocument"]["Statement"]
    )


def data_is_encrypted_and_kept(template: Template) -> Iterator[str]:
    own_keys = {*resources(template, "AWS::KMS::Key"), "EncryptionKey"}
    queue_policies = resources(template, "AWS::SQS::QueuePolicy").values()
    for name, queue in resources(template, "AWS::SQS::Queue").items():
        if queue.get("SqsManagedSseEnabled") is not True and "KmsMasterKeyId" not in queue:
            yield f"{name}: no encryption"
        own = [p for p in queue_policies if name in map(logical_id, p["Queues"])]
        if not any(denies_plain_http(policy) for policy in own):
            yield f"{name}: plain HTTP"
    for name, topic in resources(template, "AWS::SNS::Topic").items():
        if logical_id(topic.get("KmsMasterKeyId", "")) not in own_keys:
            yield f"{name}: not encrypted by a key that alarms may use"
    for name, table in resources(template, "AWS::DynamoDB::Table").items():
        if table.get("PointInTimeRecoverySpecification") != {"PointInTimeRecoveryEnabled": True}:
            yield f"{name}: no point-in-time recovery"
        if table.get("SSESpecification", {}).get("SSEEnabled") is not True:
            yield f"{name}: no encryption"
    for name, key in resources(template, "AWS::KMS::Key").items():
        if key.get("EnableKeyRotation") is not True:
            yield f"{name}: no rotation"
    for name, resource in template["Resources"].items():
        policies = (resource.get("DeletionPolicy"), resource.get("UpdateReplacePolicy"))
        # What a failed creation leaves behind is empty, and would be in the way of the next one.
        kept = policies == ("RetainExceptOnCreate", "Retain")
        if resource["Type"] in ("AWS::S3::Bucket", "AWS::DynamoDB::Table") and not kept:
            yield f"{name}: deleted with the stack, or kept when its creation fails"


def functions_are_observed(template: Template) -> Iterator[str]:
    shared, groups = template["Globals"]["Function"], resources(template, "AWS::Logs::LogGroup")
    for name, group in groups.items():
        if not group.get("RetentionInDays"):
            yield f"{name}: keeps logs for ever"
    for name, function in resources(template, "AWS::Serverless::Function").items():
        properties = shared | function
        if properties.get("Tracing") != "Active":
            yield f"{name}: no tracing"
        if logical_id(properties.get("LoggingConfig", {}).get("LogGroup", "")) not in groups:
            yield f"{name}: no log group of the template"
        if "Role" not in function:
            yield f"{name}: the role that SAM creates allows more than the function needs"


def alarms_reach_operations(template: Template) -> Iterator[str]:
    alarms = resources(template, "AWS::CloudWatch::Alarm")
    for name, alarm in alarms.items():
        if [logical_id(action) for action in alarm.get("AlarmActions", [])] != ["OperationsTopic"]:
            yield f"{name}: does not go to the operations topic"
        if "Metrics" in alarm:
            yield f"{name}: metric mathematics, which the local cloud does not support"
        if not alarm.get("AlarmDescription"):
            yield f"{name}: has no description"
    watched = {
        (alarm["MetricName"], logical_id(dimension["Value"]))
        for alarm in alarms.values()
        for dimension in alarm["Dimensions"]
    }
    dead_letter_queues = {
        logical_id(queue["RedrivePolicy"]["deadLetterTargetArn"])
        for queue in resources(template, "AWS::SQS::Queue").values()
        if "RedrivePolicy" in queue
    }
    for name in dead_letter_queues | {"AlertFailureQueue", "TrackFailureQueue"}:
        if ("ApproximateNumberOfMessagesVisible", name) not in watched:
            yield f"{name}: no alarm on its messages"
    for name, function in resources(template, "AWS::Serverless::Function").items():
        # If a function of the state machine fails, the execution fails.
        alone = "Events" in function or name in integrated(template)
        failure = ("Errors", name) if alone else ("ExecutionsFailed", "RetrainStateMachine")
        if failure not in watched:
            yield f"{name}: no alarm on its errors"
    for metric in (
        "ApproximateAgeOfOldestMessage",
        "Deferred",
        "UnknownMessages",
        "Invocation5XXErrors",
        "ModelLatency",
        "IteratorAge",
        "5xx",
    ):
        if metric not in {name for name, _ in watched}:
            yield f"{metric}: no alarm"


def integrated(template: Template) -> set[str]:
    """Return the functions behind the HTTP API."""
    return {
        logical_id(integration["IntegrationUri"])
        for integration in resources(template, "AWS::ApiGatewayV2::Integration").values()
    }


# Actions that support no resource: https://docs.aws.amazon.com/service-authorization/latest/reference/
UNRESTRICTABLE = {
    "cloudwatch:DescribeAlarms",  # of a list: alarm:* would allow as much, and the local cloud does not know it
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
    "xray:PutTraceSegments",
    "xray:PutTelemetryRecords",
    "dynamodb:ListStreams",
    "cloudwatch:PutMetricData",
    "ecr:GetAuthorizationToken",
    "sagemaker:ListEndpointConfigs",
    "sagemaker:ListHyperParameterTuningJobs",
    "sagemaker:ListProcessingJobs",
    "sagemaker:ListTrainingJobs",
    "states:SendTaskFailure",
    "states:SendTaskSuccess",
    "logs:CreateLogDelivery",
    "logs:GetLogDelivery",
    "logs:UpdateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:DescribeResourcePolicies",
    "logs:DescribeLogGroups",
}


def statements(template: Template) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, role in resources(template, "AWS::IAM::Role").items():
        for policy in role.get("Policies", []):
            for statement in policy["PolicyDocument"]["Statement"]:
                yield name, statement
    for name, policy in resources(template, "AWS::IAM::Policy").items():
        for statement in policy["PolicyDocument"]["Statement"]:
            yield name, statement


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def roles_allow_little(template: Template) -> Iterator[str]:
    for name, role in resources(template, "AWS::IAM::Role").items():
        if role.get("ManagedPolicyArns"):
            yield f"{name}: managed policies"
    for name, statement in statements(template):
        for action in as_list(statement["Action"]):
            if "*" in action:
                yield f"{name}: {action}"
            for resource in as_list(statement["Resource"]):
                if resource == "*" and action not in UNRESTRICTABLE:
                    yield f"{name}: {action} on everything"


def no_function_feeds_itself(template: Template) -> Iterator[str]:
    """An object that a function writes must not start a function, which could loop and cost without a limit."""
    notifying_buckets = {
        name
        for name, bucket in resources(template, "AWS::S3::Bucket").items()
        if "NotificationConfiguration" in bucket
    }
    for name, statement in statements(template):
        if "s3:PutObject" in as_list(statement["Action"]):
            for resource in as_list(statement["Resource"]):
                if logical_id(resource) in notifying_buckets:
                    yield f"{name}: writes into {logical_id(resource)}"


def parameters_are_described_and_bounded(template: Template) -> Iterator[str]:
    for name, parameter in template["Parameters"].items():
        if not parameter.get("Description"):
            yield f"{name}: not described"
        has_range = {"MinValue", "MaxValue"} <= parameter.keys()
        if not has_range and not {"AllowedValues", "AllowedPattern"} & parameter.keys():
            yield f"{name}: not bounded"
    groups = template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    grouped = [name for group in groups for name in group["Parameters"]]
    if sorted(grouped) != sorted(template["Parameters"]):
        yield "parameters missing from the groups"


def at(*path: Any, to: Any = None) -> Callable[[Template], None]:
    """Return a change that sets the value at a path, or removes it."""

    def change(template: Template) -> None:
        *parents, last = path
        node: Any = template["Resources"] if path[0] in template["Resources"] else template
        for step in parents:
            node = node[step]
        if to is None:
            del node[last]
        else:
            node[last] = to

    return change


def first_statement(role: str, field: str, value: Any) -> Callable[[Template], None]:
    return at(role, "Properties", "Policies", 0, "PolicyDocument", "Statement", 0, field, to=value)


P = "Properties"
IMAGES = ("InspectFunction", P, "Events", "Images", P)
RULES: dict[Callable[[Template], Iterator[str]], list[Callable[[Template], None]]] = {
    queue_arithmetic: [
        at("Queue", P, "VisibilityTimeout", to=359),
        at("ReplayQueue", P, "VisibilityTimeout", to=359),
        at("ReplayQueue", P, "QueueName", "Fn::Sub", to="${AWS::StackName}-other"),
        at("InspectFunction", P, "Timeout", to=61),
        at("Queue", P, "RedrivePolicy", "maxReceiveCount", to=4),
        at("Queue", P, "RedrivePolicy", "maxReceiveCount", to=6),
        at("DeadLetterQueue", P, "MessageRetentionPeriod", to=345600),
        at("Queue", P, "MessageRetentionPeriod", to=1209600),
        at(*IMAGES, "FunctionResponseTypes", to=[]),
        at(*IMAGES, "ScalingConfig", "MaximumConcurrency", to=1000),
        at(*IMAGES, "BatchSize", to=11),
        at("ReplayQueue", P, "VisibilityTimeout", to=359),
        at("ReplayQueue", P, "RedrivePolicy", "maxReceiveCount", to=4),
        at("ReplayFunction", P, "Timeout", to=61),
        at("ReplayFunction", P, "Events", "Images", P, "ScalingConfig"),
    ],
    buckets_are_private: [
        at("ImagesBucket", P, "VersioningConfiguration"),
        at("ArtefactsBucket", P, "BucketEncryption"),
        at("ImagesBucket", P, "PublicAccessBlockConfiguration", "BlockPublicPolicy", to=False),
        at("ImagesBucket", P, "LifecycleConfiguration"),
        at("ImagesBucketPolicy"),
        at("ArtefactsBucketPolicy", P, "PolicyDocument", "Statement", 0, "Condition", to={}),
    ],
    data_is_encrypted_and_kept: [
        at("Queue", P, "SqsManagedSseEnabled", to=False),
        at("DeadLetterQueuesPolicy"),
        at("OperationsTopic", P, "KmsMasterKeyId", to="alias/aws/sns"),
        at("DefectsTopic", P, "KmsMasterKeyId"),
        at("InspectionsTable", P, "PointInTimeRecoverySpecification"),
        at("InspectionsTable", P, "SSESpecification"),
        at("TopicsKey", P, "EnableKeyRotation"),
        at("InspectionsTable", "DeletionPolicy"),
        at("ImagesBucket", "UpdateReplacePolicy"),
    ],
    functions_are_observed: [
        at("InspectLogs", P, "RetentionInDays"),
        at("Globals", "Function", "Tracing"),
        at("AlertFunction", P, "LoggingConfig"),
        at("AlertFunction", P, "Role"),
    ],
    alarms_reach_operations: [
        at("DeadLetterAlarm"),
        at("DeferredAlarm"),
        at("UnknownMessagesAlarm"),
        at("AlertErrorsAlarm"),
        at("TrackFailureAlarm"),
        at("ApiErrorsAlarm"),
        at("ApiServerErrorsAlarm"),
        at("EndpointLatencyAlarm"),
        at("OldestMessageAlarm", P, "AlarmActions"),
        at("InspectErrorsAlarm", P, "AlarmDescription"),
    ],
    roles_allow_little: [
        first_statement("InspectRole", "Action", "sqs:*"),
        first_statement("AlertRole", "Resource", "*"),
        at("SageMakerRole", P, "ManagedPolicyArns", to=["arn:aws:iam::aws:policy/AmazonSageMakerFullAccess"]),
    ],
    no_function_feeds_itself: [
        lambda template: (
            first_statement("InspectRole", "Action", "s3:PutObject")(template)
            or first_statement("InspectRole", "Resource", {"Fn::Sub": "${ImagesBucket.Arn}/incoming/*"})(
                template
            )
        ),
    ],
    parameters_are_described_and_bounded: [
        at("Parameters", "AlertEmail", "Description"),
        at("Parameters", "IndexShards", "MaxValue"),
        lambda template: template["Parameters"].update(
            New={"Type": "String", "Description": "x", "AllowedValues": ["y"]}
        ),
    ],
}


# The promises that a rule proves.
PROMISES = {
    queue_arithmetic: 7,
    buckets_are_private: 24,
    data_is_encrypted_and_kept: 24,
    functions_are_observed: 24,
    roles_allow_little: 25,
    no_function_feeds_itself: 19,
}


def marks(rule: Callable[[Template], Iterator[str]]) -> list[pytest.MarkDecorator]:
    return [pytest.mark.promise(PROMISES[rule])] if rule in PROMISES else []


@pytest.mark.parametrize("rule", [pytest.param(rule, id=rule.__name__, marks=marks(rule)) for rule in RULES])
def test_the_template_keeps_the_rule(rule: Callable[[Template], Iterator[str]]) -> None:
    for holding in ((), ("HasDataKey",), ("HasDataKey", "MakesDataKey", "IsProtected")):
        assert list(rule(resolved(TEMPLATE, *holding))) == []


@pytest.mark.parametrize(
    ("rule", "worsen"),
    [
        pytest.param(rule, worsen, id=f"{rule.__name__}-{n}", marks=marks(rule))
        for rule, changes in RULES.items()
        for n, worsen in enumerate(changes)
    ],
)
def test_the_rule_finds_a_template_that_breaks_it(
    rule: Callable[[Template], Iterator[str]], worsen: Callable[[Template], None], tried: Any
) -> None:
    worse = copy.deepcopy(TEMPLATE)
    worsen(worse)
    assert list(rule(resolved(worse))) != []
    tried(faults=1)


def test_the_sections_are_in_the_order_in_which_they_are_read() -> None:
    header = ["AWSTemplateFormatVersion", "Transform", "Description", "Metadata"]
    assert list(TEMPLATE) == [*header, "Parameters", "Rules", "Conditions", "Globals", "Resources", "Outputs"]


def test_what_resources_share_is_written_once() -> None:
    lines = (Path(__file__).parents[2] / "template.yaml").read_text().splitlines()
    for expression in ("AWS::StackId", "[DerivesEndpointName,", "TreatMissingData:"):
        assert len([line for line in lines if expression in line]) == 1, expression


def test_every_wildcard_resource_has_a_reason_on_its_line() -> None:
    lines = (Path(__file__).parents[2] / "template.yaml").read_text().splitlines()
    wild = [line for line in lines if line.strip().startswith('Resource: "*"')]
    assert wild
    assert [line for line in wild if "#" not in line] == []


def test_lambda_does_not_stop_messages_that_are_sent_again() -> None:
    """Lambda's own guard would move an image to the dead-letter queue after 16 rounds of waiting for the endpoint."""
    assert TEMPLATE["Resources"]["InspectFunction"]["Properties"]["RecursiveLoop"] == "Allow"


def test_records_that_failed_or_need_a_review_pass_the_filter_of_the_stream_until_they_are_done() -> None:
    mapping = TEMPLATE["Resources"]["AlertFunction"]["Properties"]["Events"]["Records"]["Properties"]
    patterns = [
        json.loads(rule["Pattern"])["dynamodb"]["NewImage"] for rule in mapping["FilterCriteria"]["Filters"]
    ]
    assert patterns == [
        {"verdict": {"S": ["fail"]}, "alert": [{"exists": False}]},
        {"verdict": {"S": ["review"]}, "picture": [{"exists": False}]},
    ]
    assert "BisectBatchOnFunctionError" in mapping
    assert mapping["MaximumRetryAttempts"] >= 1
    assert logical_id(mapping["DestinationConfig"]["OnFailure"]["Destination"]) == "AlertFailureQueue"


def test_the_command_finds_every_output_that_it_reads() -> None:
    assert {
        "ImagesBucketName",
        "ArtefactsBucketName",
        "QueueUrl",
        "DeadLetterQueueUrl",
        "InspectionsTableName",
        "DefectsTopicArn",
        "OperationsTopicArn",
        "RulesParameterName",
        "EndpointName",
        "IndexShards",
        "SageMakerRoleArn",
        "InspectFunctionName",
        "AlertFunctionName",
        "ApiFunctionName",
        "UserPoolId",
        "UserPoolClientId",
        "DashboardUrl",
        "DashboardBucketName",
        "DistributionId",
        "StatisticsTableName",
        "ReviewsTableName",
        "HistoryTableName",
    } <= TEMPLATE["Outputs"].keys()
