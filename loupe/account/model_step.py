"""The model behind the endpoint: the starter at first, and later whatever serves, in the stack's container."""

from __future__ import annotations

from pathlib import Path

from loupe.account.site import Site
from loupe.errors import LoupeError
from loupe.stack import deployment, endpoint, hours, scaling, trial
from loupe.stack.deployment import Hosting
from loupe.stack.endpoint import EndpointDescription
from loupe.stack.target import Target


def found(site: Site) -> str | None:
    """Return what serves, if that is what is to serve, in the container and on the instances that the stack says."""
    target = site.target
    current = endpoint.describe(target) if target else None
    if target and current is None and (rest := hours.rest(target)):
        return f"the endpoint {rest.text}, and comes back as it was; repeat the command then"
    if target is None or current is None or current.status != "InService":
        return None
    if not _is_hosted_as(current, Hosting.of(target)):
        return None
    wanted = site.wishes.model
    if wanted and not str(current.container.get("ModelDataUrl")).endswith(_key(wanted)):
        return None
    return f"{current.model_name} serves"


def serve(site: Site) -> str:
    """Bring the model into service, and return what serves.

    Raises:
        LoupeError: The endpoint did not come into service.
    """
    target = site.need_target()
    hosting = Hosting.of(target)
    # What an earlier call, or a retraining, has begun goes on by itself.
    endpoint.wait_until_settled(target, site.on_line)
    if already := found(site):
        return already
    current = endpoint.describe(target)
    usable = current is not None and current.status == "InService"
    if site.wishes.model or not usable or current is None:
        archive = site.wishes.model or deployment.STARTER
        tried = trial.run(archive, [], force=False).text if site.wishes.model else None
        name = deployment.deploy(
            target, archive, hosting, site.on_line, trial=tried, keep_instance_count=usable
        )
    else:
        name = deployment.rehost(target, current, hosting, site.on_line)
    return f"{name} serves"


def found_scaling(site: Site) -> str | None:
    """Return the limits of autoscaling if they are registered as the stack says."""
    target = site.target
    current = endpoint.describe(target) if target else None
    if target and current is None and (rest := hours.rest(target)):
        return f"the endpoint {rest.text}"
    if target is None or current is None:
        return None
    limits = scaling.registered(target, _variant(current))
    if limits is None or limits != scaling.wanted(target):
        return None
    return _text(limits)


def scale(site: Site) -> str:
    """Register autoscaling, and return its limits. Raises LoupeError if there is no endpoint."""
    target = site.need_target()
    current = endpoint.describe(target)
    if current is None:
        raise LoupeError("there is no endpoint to scale", "Repeat the command.")
    endpoint.scale(target, _variant(current))
    limits = scaling.wanted(target)
    return _text(limits) if limits else "the stack does not say its limits"


def _text(limits: scaling.Limits) -> str:
    return f"{limits.least} to {limits.most} instances, {limits.invocations:g} images a minute each"


def _is_hosted_as(current: EndpointDescription, hosting: Hosting) -> bool:
    variant = current.config["ProductionVariants"][0]
    return (
        current.container.get("Image"),
        variant.get("InstanceType"),
        variant.get("InferenceAmiVersion"),
    ) == (hosting.image_uri, hosting.instance_type, hosting.inference_ami_version or None)


def _key(archive: Path) -> str:
    return deployment.artefact_key(archive.read_bytes())


def _variant(current: EndpointDescription) -> str:
    return str(current.config["ProductionVariants"][0]["VariantName"])


def serving(target: Target) -> str:
    """Return the endpoint's state in words."""
    current = endpoint.describe(target)
    if current:
        return f"{current.status}, serves {current.model_name}"
    rest = hours.rest(target)
    return rest.text if rest else "there is none"
