"""Where `loupe import` puts its snapshot: into the cloud if there is one, else into a folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from contract.keys import LABELLED, SNAPSHOTS
from contract.s3 import join
from localcloud import NotRunningError, connection
from loupe.stack.target import Target

# With one of these options the import program does not write into the cloud.
_NOT_INTO_CLOUD = ("--out", "--check", "--export", "--help")


@dataclass(frozen=True)
class ImportCall:
    """How to call the import program.

    Attributes:
        arguments: The command line.
        environment: The environment; None for that of this process.
        destination: The S3 URI that the snapshot goes to; None if it does not go into a cloud.
    """

    arguments: list[str]
    environment: dict[str, str] | None = None
    destination: str | None = None


def prepare(arguments: list[str], stack: str | None, home: Path, home_required: bool) -> ImportCall:
    """Return the call that puts the snapshot into the cloud, unless the arguments choose another place.

    The newest snapshot in the cloud becomes the previous one, so that the test set stays the same.

    Args:
        arguments: The user's arguments for the import program.
        stack: A stack on AWS; None for the local cloud.
        home: The local cloud's private folder.
        home_required: Whether it is an error if no local cloud runs on `home`.

    Raises:
        LoupeError: There is no such stack.
        NotRunningError: No local cloud runs on `home`, and one is required.
    """
    if _has_option(arguments, *_NOT_INTO_CLOUD) or "-h" in arguments:
        return ImportCall(arguments)
    try:
        target = Target.aws(stack) if stack else Target.local(home)
    except NotRunningError:
        if home_required:
            raise
        return ImportCall(arguments)
    destination = join(target.output("ArtefactsBucketName"), LABELLED)
    options = ["--out", destination]
    if not _has_option(arguments, "--previous") and (newest := _newest_snapshot(target)):
        options += ["--previous", newest]
    return ImportCall([*arguments, *options], None if stack else _environment(home), destination)


def _has_option(arguments: list[str], *names: str) -> bool:
    """Return whether one of these options is given; argparse also accepts abbreviations."""
    options = [
        argument.partition("=")[0] for argument in arguments if argument.startswith("--") and argument != "--"
    ]
    return any(name.startswith(option) for option in options for name in names)


def _newest_snapshot(target: Target) -> str | None:
    snapshots = [entry for entry in target.list_artefacts(SNAPSHOTS) if entry["Key"].endswith(".json")]
    newest = max(snapshots, key=lambda entry: (entry["LastModified"], entry["Key"]), default=None)
    return join(target.output("ArtefactsBucketName"), newest["Key"]) if newest else None


def _environment(home: Path) -> dict[str, str]:
    """Return this process's environment with the local cloud's settings in place of all AWS settings."""
    cloud = connection(home)
    other_variables = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return other_variables | {
        "AWS_ENDPOINT_URL": cloud.endpoint_url,
        "AWS_ACCESS_KEY_ID": cloud.access_key_id,
        "AWS_SECRET_ACCESS_KEY": cloud.secret_access_key,
        "AWS_REGION": cloud.region,
        "AWS_DEFAULT_REGION": cloud.region,
        # The user's profile must not interfere, and a proxy cannot reach this machine's loopback interface.
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "NO_PROXY": "127.0.0.1",
    }
