"""Build images in the account itself, with AWS CodeBuild, where this machine has no engine.

The project, its role and its log group are made when they are first needed, and remove() takes them away. The project
may read the stack's source archive, write its own log, and push to the stack's repositories: nothing else.
https://docs.aws.amazon.com/codebuild/latest/userguide/sample-docker.html (privileged mode runs docker)
"""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from contract.text import plain
from loupe.account.account import Account
from loupe.account.builders.build_role import log_group_name, project_name, role, role_name, source_prefix
from loupe.account.builders.source import (
    BASE_VARIABLE,
    DOCKERFILE,
    PLATFORM,
    Target,
    build_arguments,
    files,
    root,
)
from loupe.errors import LoupeError

# Amazon Linux 2023 with docker and buildx:
# https://github.com/aws/aws-codebuild-docker-images/blob/master/al/x86_64/standard/5.0/Dockerfile
_ENVIRONMENT = "aws/codebuild/amazonlinux-x86_64-standard:5.0"
_COMPUTE = (
    "BUILD_GENERAL1_MEDIUM"  # 7 GB of memory and 128 GB of disk: torch and CUDA take 12 GB while it builds
)
_MINUTES = 60
_LOG_DAYS = 14
_POLL_SECONDS = 3.0
# A new role is not known everywhere at once.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_general.html#troubleshoot_general_eventual-consistency
_ROLE_SECONDS = 60.0
_BUILDSPEC = f"""\
version: 0.2
phases:
  build:
    commands:
      - aws ecr get-login-password | docker login --username AWS --password-stdin "$REGISTRY"
      - >-
        docker buildx build --platform {PLATFORM} --provenance=false --sbom=false
        --output type=registry,oci-mediatypes=false --file {DOCKERFILE} --target "$TARGET" --tag "$IMAGE"
        --build-arg "GIT_SHA=$GIT_SHA" ${{BASE:+--build-arg "BASE=$BASE"}} .
"""


class CodeBuild:
    """AWS CodeBuild in the account.

    Attributes:
        name: "codebuild".
    """

    name = "codebuild"

    def __init__(self, sleep: Callable[[float], None] = time.sleep) -> None:
        """Wait between two looks with `sleep`."""
        self._sleep = sleep

    def available(self) -> str | None:
        """Return None: every account has it; a missing permission is said when it is used."""
        return None

    def build_and_push(
        self, target: Target, uri: str, account: Account, on_line: Callable[[str], None]
    ) -> None:
        """Build an image in the account, and push it.

        Args:
            target: The Dockerfile's target.
            uri: Its address in ECR, with its tag.
            account: Where it is built.
            on_line: Called with each line of the build's log.

        Raises:
            LoupeError: AWS refuses, or the build failed.
        """
        with _refusals():
            source = _upload(account, target, uri)
            self._project(account)
            variables = _variables(target, uri)
            build = account.client("codebuild").start_build(
                projectName=project_name(account),
                sourceLocationOverride=source,
                environmentVariablesOverride=[
                    {"name": name, "value": value, "type": "PLAINTEXT"} for name, value in variables.items()
                ],
            )["build"]
            self._follow(account, build["id"], on_line)

    def _project(self, account: Account) -> None:
        """Have the project, its role and its log group as they are described here."""
        role_arn = role(account)
        _log_group(account)
        request = _project_request(account, role_arn)
        client = account.client("codebuild")
        found = client.batch_get_projects(names=[request["name"]])["projects"]
        waited = 0.0
        while True:
            try:
                (client.update_project if found else client.create_project)(**request)
            except client.exceptions.InvalidInputException as error:
                if "AssumeRole" not in str(error) or waited >= _ROLE_SECONDS:
                    raise
                self._sleep(_POLL_SECONDS)
                waited += _POLL_SECONDS
            else:
                return

    def _follow(self, account: Account, build_id: str, on_line: Callable[[str], None]) -> None:
        """Hand over the build's log until it ends; a build that nobody waits for is stopped."""
        client, log = account.client("codebuild"), _Log(account, on_line)
        try:
            while True:
                build = client.batch_get_builds(ids=[build_id])["builds"][0]
                log.read(build.get("logs", {}).get("streamName"))
                if build.get("buildComplete"):
                    break
                self._sleep(_POLL_SECONDS)
        except BaseException:
            client.stop_build(id=build_id)
            raise
        if build["buildStatus"] != "SUCCEEDED":
            raise LoupeError(
                f"CodeBuild ended with {build['buildStatus']}: {_reason(build)}",
                f"The log: {log_group_name(account)}. If a base image could not be pulled, set {BASE_VARIABLE}.",
            )


def remove(account: Account) -> list[str]:
    """Take away what builds in the account have made, except the images. A second time it finds nothing.

    Returns:
        What was removed, in words.

    Raises:
        LoupeError: AWS refuses.
    """
    removed = []
    codebuild, iam, logs = account.client("codebuild"), account.client("iam"), account.client("logs")
    with _refusals():
        if codebuild.batch_get_projects(names=[project_name(account)])["projects"]:
            codebuild.delete_project(name=project_name(account))
            removed.append(f"CodeBuild project {project_name(account)}")
        try:
            for policy in iam.list_role_policies(RoleName=role_name(account))["PolicyNames"]:
                iam.delete_role_policy(RoleName=role_name(account), PolicyName=policy)
            iam.delete_role(RoleName=role_name(account))
            removed.append(f"role {role_name(account)}")
        except iam.exceptions.NoSuchEntityException:
            pass
        try:
            logs.delete_log_group(logGroupName=log_group_name(account))
            removed.append(f"log group {log_group_name(account)}")
        except logs.exceptions.ResourceNotFoundException:
            pass
    return removed


def _upload(account: Account, target: Target, uri: str) -> str:
    """Upload what the image is made of, and return its place as CodeBuild writes it: bucket/key."""
    folder, content = root(), io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files(folder, target):
            archive.write(file, file.relative_to(folder).as_posix())
    bucket, key = account.name("deploy"), f"{source_prefix(account)}{target}-{uri.rpartition(':')[2]}.zip"
    account.client("s3").put_object(Bucket=bucket, Key=key, Body=content.getvalue())
    return f"{bucket}/{key}"


def _variables(target: Target, uri: str) -> dict[str, str]:
    registry, _, rest = uri.partition("/")
    variables = {"REGISTRY": registry, "TARGET": target, "IMAGE": uri}
    return variables | build_arguments(rest.rpartition(":")[2])


def _project_request(account: Account, role_arn: str) -> dict[str, Any]:
    return {
        "name": project_name(account),
        "description": f"Builds the container images of the stack {account.stack}",
        "source": {
            "type": "S3",
            "location": f"{account.name('deploy')}/{source_prefix(account)}",
            "buildspec": _BUILDSPEC,
        },
        "artifacts": {"type": "NO_ARTIFACTS"},
        "environment": {
            "type": "LINUX_CONTAINER",
            "image": _ENVIRONMENT,
            "computeType": _COMPUTE,
            # Only so does docker run inside.
            "privilegedMode": True,
        },
        "serviceRole": role_arn,
        "timeoutInMinutes": _MINUTES,
        "logsConfig": {"cloudWatchLogs": {"status": "ENABLED", "groupName": log_group_name(account)}},
        "tags": [{"key": "loupe:stack", "value": account.stack}],
    }


def _log_group(account: Account) -> None:
    logs = account.client("logs")
    try:
        logs.create_log_group(logGroupName=log_group_name(account), tags={"loupe:stack": account.stack})
    except logs.exceptions.ResourceAlreadyExistsException:
        return
    logs.put_retention_policy(logGroupName=log_group_name(account), retentionInDays=_LOG_DAYS)


class _Log:
    """Reads a build's log on, each time from where it ended."""

    def __init__(self, account: Account, on_line: Callable[[str], None]) -> None:
        self._logs, self._group, self._on_line = account.client("logs"), log_group_name(account), on_line
        self._position: dict[str, str] = {}

    def read(self, stream: str | None) -> None:
        """Hand over what is new in the stream; there is none before the build has started."""
        while stream:
            try:
                page = self._logs.get_log_events(
                    logGroupName=self._group, logStreamName=stream, startFromHead=True, **self._position
                )
            except self._logs.exceptions.ResourceNotFoundException:
                return
            for event in page["events"]:
                self._on_line(plain(event["message"].rstrip()))
            # At the end the token stays the same.
            if self._position.get("nextToken") == page["nextForwardToken"]:
                return
            self._position = {"nextToken": page["nextForwardToken"]}


def _reason(build: dict[str, Any]) -> str:
    """Return what CodeBuild says about the phase that failed."""
    messages = [
        context["message"]
        for phase in build.get("phases", [])
        if phase.get("phaseStatus") not in (None, "SUCCEEDED")
        for context in phase.get("contexts", [])
        if context.get("message")
    ]
    return plain("; ".join(messages)) or "it gives no reason"


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise LoupeError(
            f"CodeBuild cannot build the images: {error}",
            "Your AWS profile needs codebuild, iam:CreateRole and logs; or install docker, podman or buildah.",
        ) from error
