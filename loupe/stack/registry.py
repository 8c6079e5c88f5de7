"""The versions that retraining has registered, and the way back to one of them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from contract.keys import REPORTS
from loupe.errors import LoupeError
from loupe.stack import endpoint as models
from loupe.stack.endpoint import Serving, described
from loupe.stack.target import Target

_DESCRIBED_AT_ONCE = 8


@dataclass(frozen=True)
class Version:
    """One version of the stack's model package group.

    status: Approved, Rejected or PendingManualApproval. about: what retraining noted of it: run, family, map…
    """

    number: int
    arn: str
    status: str
    created: datetime
    artefact: str
    about: dict[str, str]
    serving: bool = False

    @property
    def map(self) -> float | None:
        """mAP on the frozen test set, as it was when the version was registered."""
        try:
            return float(self.about["map"])
        except (KeyError, ValueError):
            return None

    def document(self) -> dict[str, Any]:
        """What `loupe models --json` says of it."""
        return {
            "version": self.number,
            "status": self.status,
            "serving": self.serving,
            "family": self.about.get("family"),
            "tuned": self.about["tuned"].lower() == "true" if "tuned" in self.about else None,
            "map": self.map,
            "created": self.created.isoformat(),
            "run": self.about.get("run"),
            "artefact": self.artefact,
            "arn": self.arn,
        }


@dataclass(frozen=True)
class Returned:
    """What a rollback did. version: None for a model that was never registered. changed: False if it served already."""

    model: str
    version: int | None
    changed: bool


def versions(target: Target, now: Serving | None) -> list[Version]:
    """All versions, newest first; those of the artefact that serves `now` are marked."""
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
            about=dict(package.get("CustomerMetadataProperties", {})),
            serving=now is not None and _is(now, artefact, package["ModelPackageArn"]),
        )

    def arns() -> list[str]:
        pages = client.get_paginator("list_model_packages").paginate(ModelPackageGroupName=group)
        return [each["ModelPackageArn"] for page in pages for each in page["ModelPackageSummaryList"]]

    with ThreadPoolExecutor(_DESCRIBED_AT_ONCE) as pool:
        found = list(pool.map(describe, described(arns) or []))
    return sorted(found, key=lambda version: version.number, reverse=True)


def _is(now: Serving, artefact: str, arn: str) -> bool:
    container = now.container
    return container.get("ModelPackageName") == arn or bool(
        artefact and container.get("ModelDataUrl") == artefact
    )


def rollback(
    target: Target,
    number: int | None,
    force: bool,
    on_status: Callable[[str], None],
    patience: float = 1800.0,
) -> Returned:
    """Make the endpoint serve an earlier version, and wait until it does; container and hosting stay.

    Args:
        number: the version; None for the model that served before the present one, else the newest approved
            version that does not serve.
        force: take also a version that nobody approved.

    Raises:
        LoupeError: no endpoint, no such version, one that is not approved, or the endpoint kept its model.
    """
    now = models.serving(target)
    if now is None:
        raise LoupeError("there is no endpoint yet", "`loupe retrain` or `loupe deploy MODEL` makes one.")
    if now.status != "InService":
        raise LoupeError(
            f"the endpoint {target.output('EndpointName')} is {now.status}",
            "Wait until it is InService; a failed one is mended by `loupe deploy MODEL`.",
        )
    known = versions(target, now)
    if number is None:
        before = _before(target, known)
        if isinstance(before, str):
            return Returned(models.serve_model(target, now, before, on_status, patience), None, True)
    else:
        before = _numbered(known, number)
    if before.serving:
        return Returned(now.name, before.number, False)
    if before.status != "Approved" and not force:
        raise LoupeError(
            f"version {before.number} is {before.status}",
            "Take another, or this one all the same by --force.",
        )
    on_status(f"returning to version {before.number}")
    name = before.about.get("model_name")
    if name and _artefact_of(target, name) == before.artefact:
        models.serve_model(target, now, name, on_status, patience)
    else:
        # The tags that retraining gives its models: it starts from one of the same family.
        tags = {f"loupe:{key}": before.about[key] for key in ("family", "run") if key in before.about}
        name = models.serve_artefact(target, now, before.artefact, tags, on_status, patience)
    return Returned(name, before.number, True)


def _numbered(known: list[Version], number: int) -> Version:
    for version in known:
        if version.number == number:
            return version
    there = ", ".join(str(version.number) for version in known) or "none"
    raise LoupeError(f"there is no version {number}", f"There are: {there} (loupe models).")


def _before(target: Target, known: list[Version]) -> Version | str:
    """What served before; the name of a SageMaker model where that was deployed by hand, so has no version."""
    for version in known:
        if not version.serving or "run" not in version.about:
            continue
        report = target.document(f"{REPORTS}{version.about['run']}/report.json") or {}
        name = report.get("champion_before")
        for other in known:
            if name and other.about.get("model_name") == name and not other.serving:
                return other
        if name and _artefact_of(target, name) not in (None, version.artefact):
            return str(name)
    for version in known:
        if version.status == "Approved" and not version.serving:
            return version
    raise LoupeError(
        "there is no earlier version to return to",
        "`loupe models` lists what there is; `loupe deploy MODEL` serves a model.tar.gz.",
    )


def _artefact_of(target: Target, name: str) -> str | None:
    """The artefact of a SageMaker model; None without such a model."""
    model = described(lambda: target.sagemaker.describe_model(ModelName=name))
    return model.get("PrimaryContainer", {}).get("ModelDataUrl") if model else None
