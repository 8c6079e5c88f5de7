"""The model versions that retraining has registered."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from loupe.stack.endpoint import EndpointDescription, ServingModel, describe_or_none
from loupe.stack.target import Target

_PARALLEL_REQUESTS = 8
APPROVED, REJECTED, WAITING = "Approved", "Rejected", "PendingManualApproval"
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateModelPackage.html
_MOST_CHARACTERS = 1024


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
        share: Its share of the images, 0..1; between 0 and 1 only during a swap.
    """

    number: int
    arn: str
    status: str
    created: datetime
    artefact: str
    metadata: dict[str, str]
    share: float = 0.0

    @property
    def serving(self) -> bool:
        """Whether the endpoint serves it now."""
        return self.share > 0

    @property
    def waiting(self) -> bool:
        """Whether nobody has decided about it yet."""
        return self.status == WAITING

    @property
    def map(self) -> float | None:
        """The mAP on the frozen test set when the version was registered."""
        return self._figure("map")

    @property
    def image_auroc(self) -> float | None:
        """How well it told good and defective test images apart when it was registered; 0.5 is chance."""
        return self._figure("image_auroc")

    def _figure(self, name: str) -> float | None:
        try:
            return float(self.metadata[name])
        except (KeyError, ValueError):
            return None

    def document(self) -> dict[str, Any]:
        """Return the version as `loupe models --json` prints it."""
        return {
            "version": self.number,
            "status": self.status,
            "serving": self.serving,
            "share": self.share,
            "family": self.metadata.get("family"),
            "tuned": self.metadata["tuned"].lower() == "true" if "tuned" in self.metadata else None,
            "kind": self.metadata.get("kind"),
            "map": self.map,
            "image_auroc": self.image_auroc,
            "caught_at_zero_overkill": self._figure("caught_at_zero_overkill"),
            "created": self.created.isoformat(),
            "run": self.metadata.get("run"),
            "artefact": self.artefact,
            "arn": self.arn,
        }


def versions(target: Target, current: EndpointDescription | None) -> list[Version]:
    """Return all versions, newest first.

    Args:
        target: The stack.
        current: What the endpoint serves. That alone decides which version serves, not its status in the registry.
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
        )

    def list_arns() -> list[str]:
        pages = client.get_paginator("list_model_packages").paginate(ModelPackageGroupName=group)
        return [package["ModelPackageArn"] for page in pages for package in page["ModelPackageSummaryList"]]

    with ThreadPoolExecutor(_PARALLEL_REQUESTS) as pool:
        # A group that does not exist has no versions.
        registered = list(pool.map(describe, describe_or_none(list_arns) or []))
    newest_first = sorted(registered, key=lambda version: version.number, reverse=True)
    serving = [
        (version_of(model, newest_first), model.share) for model in (current.serving if current else [])
    ]
    shares = {version.number: share for version, share in serving if version}
    return [replace(version, share=shares.get(version.number, 0.0)) for version in newest_first]


def decide(target: Target, version: Version, status: str, reason: str) -> Version:
    """Approve or reject a version in the registry; what the endpoint serves does not change.

    Args:
        target: The stack.
        version: The version.
        status: APPROVED or REJECTED.
        reason: Who decided, or why.

    Returns:
        The version with its new status.
    """
    target.sagemaker.update_model_package(
        ModelPackageArn=version.arn,
        ModelApprovalStatus=status,  # type: ignore[arg-type]
        ApprovalDescription=reason[:_MOST_CHARACTERS],
    )
    return replace(version, status=status)


def version_of(model: ServingModel, newest_first: list[Version]) -> Version | None:
    """Return the version that a SageMaker model belongs to; None for a model that was deployed by hand.

    Versions of repeated runs have the same artefact, because nothing is trained twice. The model's name tells them
    apart. A rollback may have created a model of another name; then the newest approved version is meant.
    """
    container = model.container
    artefact = container.get("ModelDataUrl")
    for version in newest_first:
        is_own = version.metadata.get("model_name") == model.name and version.artefact == artefact
        if is_own or container.get("ModelPackageName") == version.arn:
            return version
    same = [version for version in newest_first if version.artefact and version.artefact == artefact]
    approved = [version for version in same if version.status == "Approved"]
    return next(iter(approved or same), None)
