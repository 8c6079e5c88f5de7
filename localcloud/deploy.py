"""Deploys template.yaml and functions/ to the local cloud through CloudFormation, as `sam deploy` does on AWS."""

import hashlib
import io
import json
import time
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml
from botocore.exceptions import ClientError

from localcloud.errors import DeployError
from localcloud.home.connections import Connection
from localcloud.sources import PACKAGES
from localcloud.template import parse

STAGING_BUCKET = "loupe-staging"
_DIGEST_TAG = "loupe:digest"
_TIMEOUT_S = 120
_POLL_S = 0.03
# Values for a laptop: container images are only names here, and neither a canary nor a change of the rules need take as
# long as in a factory. One process writes no faster into several partitions, and each one is one more query for a page.
_LOCAL_PARAMETERS = {
    "TrainingImageUri": "loupe/train:local",
    "ServingImageUri": "loupe/serve:local",
    "EndpointMinInstances": "2",
    "CanarySeconds": "5",
    "IndexShards": "1",
    "RulesCacheSeconds": "2",
    "UniquePart": "first",
}
# What a stack keeps from its creation on: its records and its buckets are where these parameters said. The value is
# that of a stack which was created before the parameter existed, if it differs from the one for a new stack.
_LASTING_PARAMETERS: dict[str, str | None] = {"IndexShards": None, "UniquePart": "last"}
# The state machine's values that are not parameters, because on AWS there is no reason to change them.
_LOCAL_SUBSTITUTIONS = {"PollSeconds": "1", "AlarmSeconds": "5"}
_SUCCEEDED = ("CREATE_COMPLETE", "UPDATE_COMPLETE")
# A stack that was never created completely cannot be updated: CloudFormation requires its deletion first.
_NEVER_CREATED = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED")
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip file can store

# (property, path in this repository) -> the content to upload.
_Sources = dict[tuple[str, str], bytes]


def deploy(connection: Connection, repo: Path, parameters: dict[str, str]) -> dict[str, str]:
    """Create or update the stack. If nothing has changed, nothing is done.

    Args:
        connection: The local cloud to deploy to; it also gives the stack's name.
        repo: The folder that contains template.yaml and functions/.
        parameters: Template parameters; they override the values for a laptop.

    Returns:
        The stack's outputs.

    Raises:
        DeployError: If the template is refused or a resource fails; with the reasons from the stack's events.
    """
    template = read_template(repo / "template.yaml")
    set_local_substitutions(template)
    sources = _read_sources(template, repo)
    cloudformation = connection.client("cloudformation")
    stack = _delete_if_never_created(cloudformation, connection.stack_name)
    parameters = _parameters(template, stack) | parameters
    digest = _digest(template, parameters, sources)
    if stack and stack["StackStatus"] in _SUCCEEDED and _deployed_digest(stack) == digest:
        return _outputs(stack)
    template_url = _upload(connection, template, sources, digest)
    change_set = {
        "StackName": connection.stack_name,
        "ChangeSetName": f"loupe-{digest[:16]}-{time.time_ns()}",
    }
    exists = stack is not None and stack["StackStatus"] != "REVIEW_IN_PROGRESS"
    try:
        cloudformation.create_change_set(
            **change_set,
            ChangeSetType="UPDATE" if exists else "CREATE",
            TemplateURL=template_url,
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
            Tags=[{"Key": _DIGEST_TAG, "Value": digest}],
        )
    except ClientError as error:
        reason = error.response["Error"]["Message"]
        raise DeployError(f"CloudFormation refused template.yaml: {reason}") from error
    _wait_for_change_set(cloudformation, change_set)
    return _execute(cloudformation, change_set)


def is_current(connection: Connection, repo: Path) -> bool:
    """Return whether the stack is what `deploy` would make of this template and these functions, as they are now."""
    stack = _describe(connection.client("cloudformation"), connection.stack_name)
    if stack is None:
        return False
    template = read_template(repo / "template.yaml")
    set_local_substitutions(template)
    digest = _digest(template, _parameters(template, stack), _read_sources(template, repo))
    return _deployed_digest(stack) == digest


def _parameters(template: dict[str, Any], stack: dict[str, Any] | None) -> dict[str, str]:
    """Return the values for a laptop, and those that the stack keeps."""
    values = _LOCAL_PARAMETERS | lasting_parameters(stack)
    return {name: value for name, value in values.items() if name in template.get("Parameters", {})}


def read_template(file: Path) -> dict[str, Any]:
    """Return the template with its short forms (!Ref, !Sub, ...) expanded.

    Raises:
        DeployError: If the file cannot be read or is not a CloudFormation template.
    """
    try:
        template = parse(file.read_text())
    except OSError as error:
        raise DeployError(f"No template: {error}") from error
    except yaml.YAMLError as error:
        raise DeployError(f"{file} is not YAML: {error}") from error
    if not isinstance(template, dict) or "Resources" not in template:
        raise DeployError(f"{file} is not a CloudFormation template.")
    return template


def set_local_substitutions(template: dict[str, Any]) -> None:
    """Replace the state machine's substitutions that have another value on a laptop."""
    for properties in _properties(template, "StateMachine"):
        substitutions = properties.get("DefinitionSubstitutions", {})
        substitutions.update(
            {name: value for name, value in _LOCAL_SUBSTITUTIONS.items() if name in substitutions}
        )


def package(folder: Path) -> bytes:
    """Return a zip of the sources in `folder` and of contract/; the same sources give the same bytes.

    Dependencies are not included: functions run on this Python, which has them. (`sam build` makes the packages
    for AWS.)
    """
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, file in _package_files(folder):
            entry = zipfile.ZipInfo(name.as_posix(), _ZIP_EPOCH)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, file.read_bytes())
    return content.getvalue()


def _package_files(folder: Path) -> list[tuple[Path, Path]]:
    """Return each file of a function's package as (name in the package, file), as functions/Makefile collects them."""
    shared = (PACKAGES / "contract").rglob("*")
    candidates = [(file.relative_to(folder), file) for file in folder.rglob("*")]
    candidates += [(file.relative_to(PACKAGES), file) for file in shared]
    return sorted(
        (name, file)
        for name, file in candidates
        if file.is_file() and file.suffix != ".pyc" and not any(part.startswith(".") for part in name.parts)
    )


# For each property that points to a file in S3: the resource type, how to read its content, the suffix in S3.
_POINTERS: dict[str, tuple[str, Callable[[Path], bytes], str]] = {
    "CodeUri": ("Function", package, "zip"),
    "DefinitionUri": ("StateMachine", Path.read_bytes, "json"),
}


def _properties(template: dict[str, Any], resource_type: str) -> list[dict[str, Any]]:
    """Return the properties in the template's globals and resources of a type: Function or StateMachine."""
    resources = [
        resource.get("Properties", {})
        for resource in template["Resources"].values()
        if resource["Type"] == f"AWS::Serverless::{resource_type}"
    ]
    return [template.get("Globals", {}).get(resource_type, {}), *resources]


def _read_sources(template: dict[str, Any], repo: Path) -> _Sources:
    """Return the content of every file and folder of this repository that the template points to."""
    sources: _Sources = {}
    for property_name, (resource_type, read, _) in _POINTERS.items():
        for properties in _properties(template, resource_type):
            path = properties.get(property_name)
            if (
                isinstance(path, str)
                and not path.startswith("s3://")
                and (property_name, path) not in sources
            ):
                sources[property_name, path] = read(repo / path)
    return sources


def _digest(template: dict[str, Any], parameters: dict[str, str], sources: _Sources) -> str:
    digest = hashlib.sha256(json.dumps([template, parameters], sort_keys=True).encode())
    for _, content in sorted(sources.items()):
        digest.update(content)
    return digest.hexdigest()


def lasting_parameters(stack: dict[str, Any] | None) -> dict[str, str]:
    """Return the parameters that a stack keeps; none if it is still to be created."""
    if stack is None or stack["StackStatus"] == "REVIEW_IN_PROGRESS":
        return {}
    deployed = {
        parameter["ParameterKey"]: parameter["ParameterValue"] for parameter in stack.get("Parameters", [])
    }
    kept = {name: deployed.get(name, former) for name, former in _LASTING_PARAMETERS.items()}
    return {name: value for name, value in kept.items() if value is not None}


def _deployed_digest(stack: dict[str, Any]) -> str | None:
    tags = {tag["Key"]: tag["Value"] for tag in stack.get("Tags", [])}
    return tags.get(_DIGEST_TAG)


def _upload(connection: Connection, template: dict[str, Any], sources: _Sources, digest: str) -> str:
    """Upload the sources, point the template to them, upload it too, and return its URL."""
    s3 = connection.client("s3")
    with suppress(s3.exceptions.BucketAlreadyOwnedByYou):
        s3.create_bucket(Bucket=STAGING_BUCKET)
    for (property_name, path), content in sources.items():
        resource_type, _, suffix = _POINTERS[property_name]
        key = f"{connection.stack_name}/{hashlib.sha256(content).hexdigest()}.{suffix}"
        s3.put_object(Bucket=STAGING_BUCKET, Key=key, Body=content)
        for properties in _properties(template, resource_type):
            if properties.get(property_name) == path:
                properties[property_name] = f"s3://{STAGING_BUCKET}/{key}"
    key = f"{connection.stack_name}/{digest}.json"
    s3.put_object(Bucket=STAGING_BUCKET, Key=key, Body=json.dumps(template).encode())
    return f"{connection.endpoint_url}/{STAGING_BUCKET}/{key}"


def _delete_if_never_created(cloudformation: Any, stack_name: str) -> dict[str, Any] | None:
    """Return the stack, or None if there is none to update."""
    stack = _describe(cloudformation, stack_name)
    if stack is None or stack["StackStatus"] not in _NEVER_CREATED:
        return stack
    cloudformation.delete_stack(StackName=stack_name)
    _wait_for_stack(cloudformation, stack_name)
    return None


def _describe(cloudformation: Any, stack_name: str) -> dict[str, Any] | None:
    try:
        stacks: list[dict[str, Any]] = cloudformation.describe_stacks(StackName=stack_name)["Stacks"]
    except ClientError as error:
        # CloudFormation's code for "no such stack".
        if error.response["Error"]["Code"] == "ValidationError":
            return None
        raise
    return stacks[0] if stacks else None


def _wait_for_change_set(cloudformation: Any, change_set: dict[str, str]) -> None:
    deadline = time.monotonic() + _TIMEOUT_S
    while time.monotonic() < deadline:
        description = cloudformation.describe_change_set(**change_set)
        if description["Status"] == "FAILED":
            raise DeployError(f"CloudFormation refused template.yaml: {description.get('StatusReason')}")
        if description["Status"] == "CREATE_COMPLETE":
            return
        time.sleep(_POLL_S)
    raise DeployError(f"The change set was not ready after {_TIMEOUT_S} seconds.")


def _execute(cloudformation: Any, change_set: dict[str, str]) -> dict[str, str]:
    """Execute the change set and return the stack's outputs."""
    began = time.time()
    cloudformation.execute_change_set(**change_set)
    stack = _wait_for_stack(cloudformation, change_set["StackName"])
    if stack is None or stack["StackStatus"] not in _SUCCEEDED:
        raise DeployError(_failure_reasons(cloudformation, change_set["StackName"], stack, began))
    return _outputs(stack)


def _wait_for_stack(cloudformation: Any, stack_name: str) -> dict[str, Any] | None:
    """Return the stack once it is no longer in progress; None if it is deleted."""
    deadline = time.monotonic() + _TIMEOUT_S
    while time.monotonic() < deadline:
        stack = _describe(cloudformation, stack_name)
        if stack is None or stack["StackStatus"] == "DELETE_COMPLETE":
            return None
        if not stack["StackStatus"].endswith("_IN_PROGRESS"):
            return stack
        time.sleep(_POLL_S)
    raise DeployError(f"The stack was still changing after {_TIMEOUT_S} seconds.")


def _failure_reasons(cloudformation: Any, stack_name: str, stack: dict[str, Any] | None, since: float) -> str:
    status = stack["StackStatus"] if stack else "deleted"
    lines = [f"The deployment failed ({status})."]
    for event in reversed(cloudformation.describe_stack_events(StackName=stack_name)["StackEvents"]):
        is_new = event["Timestamp"].timestamp() >= since - 1
        if is_new and event["ResourceStatus"].endswith("_FAILED") and event.get("ResourceStatusReason"):
            lines.append(f"{event['LogicalResourceId']}: {event['ResourceStatusReason']}")
    if len(lines) == 1 and stack:
        lines.append(stack.get("StackStatusReason", ""))
    return "\n".join(lines)


def _outputs(stack: dict[str, Any]) -> dict[str, str]:
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
