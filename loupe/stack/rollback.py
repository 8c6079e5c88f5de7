"""Return the endpoint to an earlier version of the model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from contract.keys import REPORTS
from loupe.errors import LoupeError
from loupe.stack import deployment, endpoint, model_rules, registry
from loupe.stack.endpoint import TIMEOUT_SECONDS, EndpointDescription, describe_or_none
from loupe.stack.model_rules import RulesOutcome
from loupe.stack.registry import Version
from loupe.stack.target import Target


@dataclass(frozen=True)
class RollbackResult:
    """What a rollback did.

    Attributes:
        model: The name of the SageMaker model that serves now.
        version: Its version; None for a model that was never registered.
        changed: False if the endpoint served this model already.
        rules: What became of the rules; None if nothing was changed.
    """

    model: str
    version: int | None
    changed: bool
    rules: RulesOutcome | None = None


def rollback(
    target: Target,
    number: int | None,
    force: bool,
    on_status: Callable[[str], None],
    timeout_s: float = TIMEOUT_SECONDS,
    keep_rules: bool = False,
) -> RollbackResult:
    """Make the endpoint serve an earlier version, and wait until it does. Container and instances stay.

    The rules that were in force with that version return with it, unless a person has changed the rules since.

    Args:
        target: The stack.
        number: The version. None for the model that served before the current one or, if that is not known,
            for the newest approved version that does not serve.
        force: Accept a version that is not approved.
        on_status: Receives a text for each step.
        timeout_s: How long to wait for the endpoint.
        keep_rules: Leave the rules as they are.

    Raises:
        LoupeError: No endpoint, no such version, a version that is not approved, or the endpoint kept its model.
    """
    current = _endpoint_in_service(target)
    versions = registry.versions(target, current)
    chosen = _previous(target, versions) if number is None else _find(versions, number)
    # A name: the previous model was deployed by hand.
    version = None if isinstance(chosen, str) else chosen
    if version:
        _check_approved(version, force)
        if version.serving:
            return RollbackResult(current.model_name, version.number, False)
    returning = chosen if isinstance(chosen, str) else chosen.metadata.get("model_name", "")
    wanted = model_rules.plan(target, _served_by(current, versions), returning, versions, keep_rules)
    on_status(f"returning to version {version.number}" if version else f"returning to {returning}")
    artefact = version.artefact if version else _artefact_of(target, returning)
    answers = model_rules.version_in_answers(target, version, artefact) if wanted.recorded else None
    with model_rules.each_by_its_own(target, wanted, answers, on_status) as finish:
        if version:
            model = _serve(target, current, version, on_status, timeout_s)
        else:
            model = returning
            endpoint.switch_model(target, current, model, on_status, timeout_s)
        outcome = finish()
    return RollbackResult(model, version.number if version else None, True, outcome)


def _served_by(current: EndpointDescription, versions: list[Version]) -> str:
    """Return the name of the model that serves; a rollback may have created it again under another name."""
    for version in versions:
        if version.serving:
            return version.metadata.get("model_name", current.model_name)
    return current.model_name


def _check_approved(chosen: Version, force: bool) -> None:
    if not chosen.serving and chosen.status != "Approved" and not force:
        raise LoupeError(
            f"version {chosen.number} is {chosen.status}",
            "Choose another version, or add --force to serve this one.",
        )


def _endpoint_in_service(target: Target) -> EndpointDescription:
    current = endpoint.describe(target)
    if current is None:
        raise LoupeError(
            "there is no endpoint yet", "Create one with `loupe retrain` or `loupe deploy MODEL`."
        )
    if current.status != "InService":
        raise LoupeError(
            f"the endpoint {target.output('EndpointName')} is {current.status}",
            "Wait until it is InService; repair a failed one with `loupe deploy MODEL`.",
        )
    return current


def _find(versions: list[Version], number: int) -> Version:
    for version in versions:
        if version.number == number:
            return version
    numbers = ", ".join(str(version.number) for version in versions) or "none"
    raise LoupeError(f"there is no version {number}", f"Registered versions: {numbers} (loupe models).")


def _previous(target: Target, versions: list[Version]) -> Version | str:
    """Return what served before; for a model without a version, the name of the SageMaker model.

    The report of the run that registered the serving version contains the model that served before it.
    """
    for version in versions:
        if not version.serving or "run" not in version.metadata:
            continue
        report = target.read_json(f"{REPORTS}{version.metadata['run']}/report.json") or {}
        name = report.get("champion_before")
        for other in versions:
            if name and other.metadata.get("model_name") == name and not other.serving:
                return other
        if name and _artefact_of(target, name) not in (None, version.artefact):
            return str(name)
    for version in versions:
        if version.status == "Approved" and not version.serving:
            return version
    raise LoupeError(
        "there is no earlier version to return to",
        "`loupe models` lists the versions; `loupe deploy MODEL` serves a model.tar.gz.",
    )


def _serve(
    target: Target,
    current: EndpointDescription,
    version: Version,
    on_status: Callable[[str], None],
    timeout_s: float,
) -> str:
    """Make the endpoint serve a version; return the name of the SageMaker model."""
    name = version.metadata.get("model_name")
    if name and _artefact_of(target, name) == version.artefact:
        endpoint.switch_model(target, current, name, on_status, timeout_s)
        return name
    # Retraining tags its models with these. It starts from a model of the same family, and asks before it replaces a
    # model of another data set.
    keys = ("family", "run", "dataset")
    tags = {f"loupe:{key}": version.metadata[key] for key in keys if key in version.metadata}
    return deployment.deploy_uri(target, current, version.artefact, tags, on_status, timeout_s)


def _artefact_of(target: Target, model_name: str) -> str | None:
    """Return the artefact of a SageMaker model; None if there is no such model."""
    model = describe_or_none(lambda: target.sagemaker.describe_model(ModelName=model_name))
    return model.get("PrimaryContainer", {}).get("ModelDataUrl") if model else None
