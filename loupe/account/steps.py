"""The steps from an empty account to the first verdict, in their order, and back to where an interruption left them.

Each step asks the account whether it is done. So no file on the operator's machine is needed: whoever repeats the
command, wherever, goes on where it ended.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from loupe.account import (
    bucket,
    first_image,
    images,
    manifests,
    model_step,
    page,
    repositories,
    retention,
    stack_step,
)
from loupe.account.account import Repository
from loupe.account.site import Site
from loupe.stack import dashboard


@dataclass(frozen=True)
class Step:
    """A step.

    Attributes:
        name: Its name.
        what: What it brings about.
        known: How the account tells that it is done.
        found: Returns what is there if the step is done, else None. Changes nothing.
        do: Brings it about, from whatever is there, and returns what is there then.
        billed: Whether what it creates is billed by the hour.
        once: Whether an update leaves it out.
    """

    name: str
    what: str
    known: str
    found: Callable[[Site], str | None]
    do: Callable[[Site], str]
    billed: bool = False
    once: bool = False


def _kinds(site: Site) -> list[Repository]:
    return list(site.settings.images)


def _found_repositories(site: Site) -> str | None:
    return repositories.found(site.account, _kinds(site)) if _kinds(site) else "the images are your own"


def _found_images(site: Site) -> str | None:
    for kind, uri in site.settings.images.items():
        # A repository that does not exist has no image either.
        if not repositories.found(site.account, [kind]):
            return None
        if not manifests.exists(site.account, site.account.name(kind), _tag(uri)):
            return None
    return _image_names(site)


def _build_images(site: Site) -> str:
    builder = images.choose(site.wishes.builder, site.account) if site.settings.images else None
    for kind, uri in site.settings.images.items():
        if builder:
            site.on_line(f"{kind} by {builder.name}")
            images.ensure(site.account, kind, builder, site.on_line, _tag(uri))
    return _image_names(site)


def _image_names(site: Site) -> str:
    uris = (site.settings.value("ServingImageUri"), site.settings.value("TrainingImageUri"))
    return ", ".join(uri.partition("/")[2] or uri for uri in uris)


def _tag(uri: str) -> str:
    return uri.rpartition(":")[2]


def _found_dashboard(site: Site) -> str | None:
    target = site.target
    return dashboard.address(target) if target and page.published(target) else None


def _publish(site: Site) -> str:
    target = site.need_target()
    dashboard.publish(target, site.on_line)
    return dashboard.address(target)


def _found_logs(site: Site) -> str | None:
    target = site.target
    if target is None or retention.endless(site.account, target):
        return None
    return "all groups end"


def _limit_logs(site: Site) -> str:
    return ", ".join(retention.limit(site.account, site.need_target())) or "all groups end"


def _found_verdict(site: Site) -> str | None:
    target = site.target
    found = first_image.verdict(target) if target else None
    return _verdict(found) if found else None


def _inspect(site: Site) -> str:
    return _verdict(first_image.inspect(site.need_target(), site.on_line))


def _verdict(verdict: str) -> str:
    return f"{verdict}: {first_image.KEY}, which you may delete"


STEPS = (
    Step(
        "bucket",
        "a private bucket from which stacks are deployed",
        "S3 has it, with its policy and settings",
        lambda site: bucket.found(site.account),
        lambda site: bucket.ensure(site.account),
    ),
    Step(
        "repositories",
        "ECR repositories for the container images",
        "ECR has them, with fixed tags, scans and a lifecycle",
        _found_repositories,
        lambda site: repositories.ensure(site.account, _kinds(site)),
    ),
    Step(
        "images",
        "the container images that serve and train",
        "ECR has their tags",
        _found_images,
        _build_images,
    ),
    Step(
        "stack",
        "the stack: sam build, sam deploy",
        "CloudFormation has it, with these parameters, from this template",
        stack_step.found,
        stack_step.deploy,
        billed=True,
    ),
    Step(
        "model",
        "a model behind the endpoint",
        "SageMaker has the endpoint in service, in this container, on this instance type",
        model_step.found,
        model_step.serve,
        billed=True,
    ),
    Step(
        "autoscaling",
        "instances that follow the number of images",
        "Application Auto Scaling has the endpoint, with these limits",
        model_step.found_scaling,
        model_step.scale,
    ),
    Step(
        "dashboard",
        "the page for people",
        "its bucket has the files of this version",
        _found_dashboard,
        _publish,
    ),
    Step(
        "logs",
        "an end for the containers' logs",
        "every log group of SageMaker has a retention",
        _found_logs,
        _limit_logs,
    ),
    Step(
        "verdict",
        "a sample image, inspected",
        "the inspections table has its record",
        _found_verdict,
        _inspect,
        once=True,
    ),
)
