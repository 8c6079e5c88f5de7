"""What an AWS account contains, by service: to see that nothing is left of a stack, and nothing of another is gone."""

from collections.abc import Callable, Iterator
from typing import Any

from localcloud.deploy import STAGING_BUCKET

# Service, what is listed, the operation, the member with the list, the member of each entry that names it; None for
# a list of names.
_LISTS: list[tuple[str, str, str, str, str | None]] = [
    ("s3", "buckets", "list_buckets", "Buckets", "Name"),
    ("dynamodb", "tables", "list_tables", "TableNames", None),
    ("sqs", "queues", "list_queues", "QueueUrls", None),
    ("sns", "topics", "list_topics", "Topics", "TopicArn"),
    ("sns", "subscriptions", "list_subscriptions", "Subscriptions", "SubscriptionArn"),
    ("lambda", "functions", "list_functions", "Functions", "FunctionName"),
    ("lambda", "event sources", "list_event_source_mappings", "EventSourceMappings", "UUID"),
    ("stepfunctions", "state machines", "list_state_machines", "stateMachines", "stateMachineArn"),
    ("iam", "roles", "list_roles", "Roles", "RoleName"),
    ("logs", "log groups", "describe_log_groups", "logGroups", "logGroupName"),
    ("cloudwatch", "alarms", "describe_alarms", "MetricAlarms", "AlarmName"),
    ("cloudwatch", "dashboards", "list_dashboards", "DashboardEntries", "DashboardName"),
    ("ssm", "parameters", "describe_parameters", "Parameters", "Name"),
    ("cognito-idp", "user pools", "list_user_pools", "UserPools", "Id"),
    ("apigatewayv2", "APIs", "get_apis", "Items", "ApiId"),
    ("scheduler", "schedules", "list_schedules", "Schedules", "Name"),
    ("ecr", "repositories", "describe_repositories", "repositories", "repositoryName"),
    ("codebuild", "projects", "list_projects", "projects", None),
    ("sagemaker", "models", "list_models", "Models", "ModelName"),
    ("sagemaker", "configurations", "list_endpoint_configs", "EndpointConfigs", "EndpointConfigName"),
    ("sagemaker", "endpoints", "list_endpoints", "Endpoints", "EndpointName"),
    ("sagemaker", "training jobs", "list_training_jobs", "TrainingJobSummaries", "TrainingJobName"),
    ("sagemaker", "processing jobs", "list_processing_jobs", "ProcessingJobSummaries", "ProcessingJobName"),
    (
        *("sagemaker", "tuning jobs", "list_hyper_parameter_tuning_jobs"),
        *("HyperParameterTuningJobSummaries", "HyperParameterTuningJobName"),
    ),
    (
        *("sagemaker", "model package groups", "list_model_package_groups"),
        *("ModelPackageGroupSummaryList", "ModelPackageGroupName"),
    ),
]
_REQUESTS: dict[str, dict[str, Any]] = {"list_user_pools": {"MaxResults": 60}}


def listing(client: Callable[[str], Any]) -> dict[str, list[str]]:
    """Return the names of everything in an account, by kind.

    Args:
        client: Returns the client of a service.
    """
    found = {label: sorted(_names(client(service), *rest)) for service, label, *rest in _LISTS}
    # AWS makes these for the whole account, once.
    found["roles"] = [role for role in found["roles"] if not role.startswith("AWSServiceRoleFor")]
    found["stacks"] = [
        stack["StackName"]
        for stack in _pages(client("cloudformation"), "list_stacks", "StackSummaries")
        if stack["StackStatus"] != "DELETE_COMPLETE"
    ]
    found["keys"] = sorted(
        key["KeyId"]
        for key in _pages(client("kms"), "list_keys", "Keys")
        if client("kms").describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"] != "PendingDeletion"
    )
    targets = client("application-autoscaling").describe_scalable_targets(ServiceNamespace="sagemaker")
    found["scalable targets"] = sorted(target["ResourceId"] for target in targets["ScalableTargets"])
    found["distributions"] = sorted(
        each["Id"] for each in client("cloudfront").list_distributions()["DistributionList"].get("Items", [])
    )
    found["objects"] = sorted(
        f"{bucket}/{entry['Key']}"
        for bucket in found["buckets"]
        # What the local cloud's own deployment leaves to itself.
        if bucket != STAGING_BUCKET
        for entry in _versions(client("s3"), bucket)
    )
    found["job logs"] = sorted(
        stream["logStreamName"]
        for group in found["log groups"]
        if group.startswith("/aws/sagemaker/")
        for stream in client("logs").describe_log_streams(logGroupName=group)["logStreams"]
    )
    return found


def _names(client: Any, operation: str, member: str, name: str | None) -> Iterator[str]:
    for entry in _pages(client, operation, member):
        yield entry[name] if name else entry


def _pages(client: Any, operation: str, member: str) -> Iterator[Any]:
    request = _REQUESTS.get(operation, {})
    if not client.can_paginate(operation):
        yield from getattr(client, operation)(**request).get(member, [])
        return
    for page in client.get_paginator(operation).paginate(**request):
        yield from page.get(member, [])


def _versions(s3: Any, bucket: str) -> Iterator[dict[str, Any]]:
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        yield from page.get("Versions", [])
        yield from page.get("DeleteMarkers", [])
