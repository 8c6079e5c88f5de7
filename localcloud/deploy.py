"""Deploys template.yaml and functions/ to the local cloud through CloudFormation, as `sam deploy` on AWS."""

import hashlib
import io
import json
import time
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError
from samtranslator.yaml_helper import yaml_parse

from localcloud.connections import Connection
from localcloud.errors import DeployError

STAGING_BUCKET = "loupe-staging"
_DIGEST_TAG = "loupe:digest"
_TIMEOUT_S = 120
# What suits a laptop: images are names here, and nobody wants to wait for a canary as long as a factory does.
_PARAMETERS = {
    "TrainingImageUri": "loupe/train:local",
    "ServingImageUri": "loupe/serve:local",
    "EndpointMinInstances": "2",
    "CanarySeconds": "5",
    "SwapPollSeconds": "1",
}
_GOOD = ("CREATE_COMPLETE", "UPDATE_COMPLETE")
# A stack that never came up cannot be updated: CloudFormation wants it deleted first.
_STILLBORN = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED")
_CREATED_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip file can name


def deploy(connection: Connection, repo: Path, parameters: dict[str, str]) -> dict[str, str]:
    """Create or update the stack; return its outputs. If nothing has changed, nothing is done.

    Raises DeployError with the reasons that the stack's events give.
    """
    stack_name = connection.stack_name
    template = read_template(repo / "template.yaml")
    declared = template.get("Parameters", {})
    parameters = {n: v for n, v in _PARAMETERS.items() if n in declared} | parameters
    sources = {
        (member, source): pack(repo / source)
        for member, (kind, pack, _) in _POINTERS.items()
        for source in _local(template, kind, member)
    }
    digest = hashlib.sha256(json.dumps([template, parameters], sort_keys=True).encode())
    for _, content in sorted(sources.items()):
        digest.update(content)
    cloudformation = connection.client("cloudformation")
    stack = _describe(cloudformation, stack_name)
    if stack and stack["StackStatus"] in _STILLBORN:
        cloudformation.delete_stack(StackName=stack_name)
        _settle(cloudformation, stack_name)
        stack = None
    tags = {tag["Key"]: tag["Value"] for tag in stack.get("Tags", [])} if stack else {}
    if stack and tags.get(_DIGEST_TAG) == digest.hexdigest() and stack["StackStatus"] in _GOOD:
        return _outputs(stack)
    s3 = connection.client("s3")
    with suppress(s3.exceptions.BucketAlreadyOwnedByYou):
        s3.create_bucket(Bucket=STAGING_BUCKET)
    for (member, source), content in sources.items():
        kind, _, suffix = _POINTERS[member]
        key = f"{stack_name}/{hashlib.sha256(content).hexdigest()}.{suffix}"
        s3.put_object(Bucket=STAGING_BUCKET, Key=key, Body=content)
        for properties in _properties(template, kind):
            if properties.get(member) == source:
                properties[member] = f"s3://{STAGING_BUCKET}/{key}"
    template_key = f"{stack_name}/{digest.hexdigest()}.json"
    s3.put_object(Bucket=STAGING_BUCKET, Key=template_key, Body=json.dumps(template).encode())
    exists = stack is not None and stack["StackStatus"] != "REVIEW_IN_PROGRESS"
    change_set = {
        "StackName": stack_name,
        "ChangeSetName": f"loupe-{digest.hexdigest()[:16]}-{time.time_ns()}",
    }
    try:
        cloudformation.create_change_set(
            **change_set,
            ChangeSetType="UPDATE" if exists else "CREATE",
            TemplateURL=f"{connection.endpoint_url}/{STAGING_BUCKET}/{template_key}",
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
            Tags=[{"Key": _DIGEST_TAG, "Value": digest.hexdigest()}],
        )
    except ClientError as error:
        raise DeployError(
            f"CloudFormation refused template.yaml: {error.response['Error']['Message']}"
        ) from error
    _wait_for_change_set(cloudformation, change_set)
    began = time.time()
    cloudformation.execute_change_set(**change_set)
    stack = _settle(cloudformation, stack_name)
    if stack is None or stack["StackStatus"] not in _GOOD:
        raise DeployError(_reasons(cloudformation, stack_name, stack, began))
    return _outputs(stack)


def read_template(file: Path) -> dict[str, Any]:
    """The template with its short forms (!Ref, !Sub, ...) written out. Raises DeployError without one."""
    try:
        template = yaml_parse(file.read_text())
    except OSError as error:
        raise DeployError(f"No template: {error}") from error
    if not isinstance(template, dict) or "Resources" not in template:
        raise DeployError(f"{file} is not a CloudFormation template.")
    return template


def package(folder: Path) -> bytes:
    """A zip of the sources under `folder` and of contract/ beside it, the same bytes for the same sources.

    Dependencies are not in it: functions run on this Python, which has them. (`sam build` makes the packages
    for AWS.)
    """
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, file in _sources(folder):
            entry = zipfile.ZipInfo(name.as_posix(), _CREATED_LONG_AGO)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, file.read_bytes())
    return content.getvalue()


def _sources(folder: Path) -> list[tuple[Path, Path]]:
    """The names in the package and the files of a function, as functions/Makefile puts them together for AWS."""
    shared = (folder.parent / "contract").rglob("*")
    found = [(file.relative_to(folder), file) for file in folder.rglob("*")]
    found += [(file.relative_to(folder.parent), file) for file in shared]
    return sorted(
        (name, file)
        for name, file in found
        if file.is_file() and file.suffix != ".pyc" and not any(part.startswith(".") for part in name.parts)
    )


def _properties(template: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """Of the template's globals and resources of a kind: Function or StateMachine."""
    own = [
        resource.get("Properties", {})
        for resource in template["Resources"].values()
        if resource["Type"] == f"AWS::Serverless::{kind}"
    ]
    return [template.get("Globals", {}).get(kind, {}), *own]


def _local(template: dict[str, Any], kind: str, member: str) -> set[str]:
    """The files and folders of this repository that `member` points to."""
    uris = [properties.get(member) for properties in _properties(template, kind)]
    return {uri for uri in uris if isinstance(uri, str) and not uri.startswith("s3://")}


# What CloudFormation takes from S3: whose member points to it, how it gets there, and its suffix.
_POINTERS: dict[str, tuple[str, Callable[[Path], bytes], str]] = {
    "CodeUri": ("Function", package, "zip"),
    "DefinitionUri": ("StateMachine", Path.read_bytes, "json"),
}


def _describe(cloudformation: Any, stack_name: str) -> dict[str, Any] | None:
    try:
        stacks: list[dict[str, Any]] = cloudformation.describe_stacks(StackName=stack_name)["Stacks"]
    except ClientError as error:
        if (
            error.response["Error"]["Code"] == "ValidationError"
        ):  # what CloudFormation says for "no such stack"
            return None
        raise
    return stacks[0] if stacks else None


def _wait_for_change_set(cloudformation: Any, change_set: dict[str, str]) -> None:
    deadline = time.monotonic() + _TIMEOUT_S
    while time.monotonic() < deadline:
        found = cloudformation.describe_change_set(**change_set)
        if found["Status"] == "FAILED":
            raise DeployError(f"CloudFormation refused template.yaml: {found.get('StatusReason')}")
        if found["Status"] == "CREATE_COMPLETE":
            return
        time.sleep(0.03)
    raise DeployError(f"The change set was not ready after {_TIMEOUT_S} seconds.")


def _settle(cloudformation: Any, stack_name: str) -> dict[str, Any] | None:
    """The stack once it is no longer in progress; None if it is gone."""
    deadline = time.monotonic() + _TIMEOUT_S
    while time.monotonic() < deadline:
        stack = _describe(cloudformation, stack_name)
        if stack is None or stack["StackStatus"] == "DELETE_COMPLETE":
            return None
        if not stack["StackStatus"].endswith("_IN_PROGRESS"):
            return stack
        time.sleep(0.03)
    raise DeployError(f"The stack was still changing after {_TIMEOUT_S} seconds.")


def _reasons(cloudformation: Any, stack_name: str, stack: dict[str, Any] | None, since: float) -> str:
    status = stack["StackStatus"] if stack else "gone"
    lines = [f"The stack did not come up ({status})."]
    for event in reversed(cloudformation.describe_stack_events(StackName=stack_name)["StackEvents"]):
        late = event["Timestamp"].timestamp() >= since - 1
        if late and event["ResourceStatus"].endswith("_FAILED") and event.get("ResourceStatusReason"):
            lines.append(f"{event['LogicalResourceId']}: {event['ResourceStatusReason']}")
    if len(lines) == 1 and stack:
        lines.append(stack.get("StackStatusReason", ""))
    return "\n".join(lines)


def _outputs(stack: dict[str, Any]) -> dict[str, str]:
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
