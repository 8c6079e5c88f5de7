"""The model versions that retraining has registered."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from loupe.stack.endpoint import EndpointDescription, describe_or_none
from loupe.stack.target import Target

_PARALLEL_REQUESTS = 8


@dataclass(frozen=True)
class Version:
    """A version in the stack's model package group.

    Attributes:
        number: From 1 up.
        arn: The model package's ARN.
        status: Approved, Rejected or PendingManualApproval.
        created: When it was registered.
        artefact: The S3 URI of its model.tar.gz.
        metadata: What retraining recorded with it: run, family, map …
        serving: Whether the endpoint serves it now.
    """

    number: int
    arn: str
    status: str
    created: datetime
    artefact: str
    metadata: dict[str, str]
    serving: bool = False

    @property
    def map(self) -> float | None:
        """The mAP on the frozen test set when the version was registered."""
        try:
            return float(self.metadata["map"])
        except (KeyError, ValueError):
            return None

    def document(self) -> dict[str, Any]:
        """Return the version as `loupe models --json` prints it."""
        return {
            "version": self.number,
            "status": self.status,
            "serving": self.serving,
            "family": self.metadata.get("family"),
            "tuned": self.metadata["tuned"].lower() == "true" if "tuned" in self.metadata else None,
            "map": self.map,
            "created": self.created.isoformat(),
            "run": self.metadata.get("run"),
            "artefact": self.artefact,
            "arn": self.arn,
        }


def versions(target: Target, current: EndpointDescription | None) -> list[Version]:
    """Return all versions, newest first.

    Args:
        target: The stack.
        current: What the endpoint serves; the versions with this model are marked as serving.
    """
    group, client = target.output("ModelPackageGroupName"), target.sagemaker

    def describe(arn: str) -> Version:
        package = client.describe_model_package(ModelPackageName=arn)
        containers = package.get("InferenceSpecification", {}).get("Containers", [])
        artefact = containers[0].get("ModelDataUrl", "") if containers else ""
        return Version(
            number=package["ModelPackageVersion"],
            arn=package["ModelPackageArn"],
            status=package.get("ModelApprovalStatus", ""),
            created=package["CreationTime"],
            artefact=artefact,
            metadata=dict(package.get("CustomerMetadataProperties", {})),
            serving=current is not None and _serves(current, artefact, package["ModelPackageArn"]),
        )

    def list_arns() -> list[str]:
        pages = client.get_paginator("list_model_packages").paginate(ModelPackageGroupName=group)
        return [package["ModelPackageArn"] for page in pages for package in page["ModelPackageSummaryList"]]

    with ThreadPoolExecutor(_PARALLEL_REQUESTS) as pool:
        # A group that does not exist has no versions.
        registered = list(pool.map(describe, describe_or_none(list_arns) or []))
    return sorted(registered, key=lambda version: version.number, reverse=True)


def _serves(current: EndpointDescription, artefact: str, arn: str) -> bool:
    container = current.container
    if container.get("ModelPackageName") == arn:
        return True
    return bool(artefact) and container.get("ModelDataUrl") == artefact
