"""The log groups of SageMaker's containers, and how a group is looked up.

https://docs.aws.amazon.com/sagemaker/latest/dg/logging-cloudwatch.html
"""

from __future__ import annotations

from typing import Any

# All stacks of an account share these; they exist after the first job.
TRAINING = "/aws/sagemaker/TrainingJobs"
PROCESSING = "/aws/sagemaker/ProcessingJobs"
TRANSFORM = "/aws/sagemaker/TransformJobs"
SHARED = (TRAINING, PROCESSING, TRANSFORM)
ENDPOINTS = "/aws/sagemaker/Endpoints/"


def of_endpoint(endpoint: str) -> str:
    """Return the name of an endpoint's group."""
    return f"{ENDPOINTS}{endpoint}"


def find(client: Any, name: str) -> dict[str, Any] | None:
    """Return CloudWatch Logs' description of a group; None if there is none of that name.

    Args:
        client: Of CloudWatch Logs.
        name: The group's whole name.
    """
    pages = client.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=name)
    groups = (group for page in pages for group in page["logGroups"])
    return next((group for group in groups if group["logGroupName"] == name), None)
