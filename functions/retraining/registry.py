"""The model versions that retraining has registered, and which of them serves."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from retraining import champion
from retraining.champion import Champion

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient

_PARALLEL_REQUESTS = 8
_NOT_FOUND = ("ValidationException", "ResourceNotFound")


@dataclass(frozen=True)
class Version:
    """A version in the stack's model package group.

    Attributes:
        number: From 1 up.
        arn: The model package's ARN.
        approval: SageMaker's status: Approved, Rejected or PendingManualApproval.
        created: When it was registered.
        artefact: The S3 URI of its model.tar.gz.
        metadata: What the run recorded with it: run, family, map, model_name …
        serving_since: When the endpoint began to serve it; None unless it serves now.
    """

    number: int
    arn: str
    approval: str
    created: datetime
    artefact: str
    metadata: dict[str, str]
    serving_since: datetime | None = None

    @property
    def status(self) -> str:
        """One word for people: serving, pending, rejected, or former for a version that may serve again."""
        if self.serving_since is not None:
            return "serving"
        words = {"PendingManualApproval": "pending", "Rejected": "rejected"}
        return words.get(self.approval, "former")

    @property
    def evaluation(self) -> str | None:
        """The S3 URI of its evaluation; None if no run has recorded it."""
        proposal = self.metadata.get("rules_proposal", "")
        folder, _, name = proposal.rpartition("/")
        return f"{folder}/evaluation.json" if name else None


def versions(sagemaker: SageMakerClient, group: str, endpoint: str) -> list[Version]:
    """Return all versions, newest first. What the endpoint serves alone decides which one serves.

    Args:
        sagemaker: The SageMaker client.
        group: The model package group.
        endpoint: The stack's endpoint.
    """
    with ThreadPoolExecutor(_PARALLEL_REQUESTS) as pool:
        described = list(pool.map(lambda arn: _describe(sagemaker, arn), _arns(sagemaker, group)))
    newest_first = sorted(described, key=lambda version: version.number, reverse=True)
    serving = champion.find(sagemaker, endpoint)
    served = version_of(serving, newest_first) if serving else None
    if serving is None or served is None:
        return newest_first
    description = sagemaker.describe_endpoint(EndpointName=endpoint)
    since = description.get("LastModifiedTime") or description["CreationTime"]
    return [
        replace(version, serving_since=since) if version is served else version for version in newest_first
    ]


def version_of(serving: Champion, newest_first: list[Version]) -> Version | None:
    """Return the version of the model that serves; None for a model that was deployed by hand.

    Versions of repeated runs have the same artefact, because nothing is trained twice. The model's name tells them
    apart. A rollback may have created a model of another name; then the newest approved version is meant.
    """
    same = [version for version in newest_first if version.artefact == serving.artefact]
    own = [version for version in same if version.metadata.get("model_name") == serving.model]
    approved = [version for version in same if version.approval == "Approved"]
    return next(iter(own or approved or same), None)


def _arns(sagemaker: SageMakerClient, group: str) -> Iterator[str]:
    """Yield the ARNs of the group's packages. A group that does not exist has none."""
    try:
        for page in sagemaker.get_paginator("list_model_packages").paginate(ModelPackageGroupName=group):
            yield from (package["ModelPackageArn"] for package in page["ModelPackageSummaryList"])
    except ClientError as error:
        if error.response["Error"]["Code"] not in _NOT_FOUND:
            raise


def _describe(sagemaker: SageMakerClient, arn: str) -> Version:
    package: Any = sagemaker.describe_model_package(ModelPackageName=arn)
    containers = package.get("InferenceSpecification", {}).get("Containers", [])
    return Version(
        number=package["ModelPackageVersion"],
        arn=package["ModelPackageArn"],
        approval=package.get("ModelApprovalStatus", ""),
        created=package["CreationTime"],
        artefact=containers[0].get("ModelDataUrl", "") if containers else "",
        metadata=dict(package.get("CustomerMetadataProperties", {})),
    )
