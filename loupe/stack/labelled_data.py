"""Where `loupe import` leaves its snapshot: in the cloud that there is, else in a folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from contract.keys import LABELLED, SNAPSHOTS
from localcloud import NotRunningError, connection
from loupe.stack.target import Target

_ELSEWHERE = ("--out", "--check", "--export", "--help")


@dataclass(frozen=True)
class Import:
    """A call of the import program. environment: None for this process's own. cloud: s3:// where it goes, or None."""

    arguments: list[str]
    environment: dict[str, str] | None = None
    cloud: str | None = None


def prepare(arguments: list[str], stack: str | None, home: Path, home_is_wanted: bool) -> Import:
    """The arguments, with the cloud as the place of the snapshot unless they name another.

    A cloud is the stack on AWS, or the local cloud that runs on `home`. The newest snapshot there becomes the
    previous one, so that the test set stays.

    Raises:
        LoupeError: no such stack.
        NotRunningError: nothing runs on a home that was asked for.
    """
    if _given(arguments, *_ELSEWHERE) or "-h" in arguments:
        return Import(arguments)
    try:
        target = Target.aws(stack) if stack else Target.local(home)
    except NotRunningError:
        if home_is_wanted:
            raise
        return Import(arguments)
    place = f"s3://{target.output('ArtefactsBucketName')}/{LABELLED}"
    added = ["--out", place]
    if not _given(arguments, "--previous") and (newest := _newest(target)):
        added += ["--previous", newest]
    return Import([*arguments, *added], None if stack else _environment(home), place)


def _given(arguments: list[str], *names: str) -> bool:
    """Whether one of these options is there; the program takes shortened names too."""
    options = [each.partition("=")[0] for each in arguments if each.startswith("--") and each != "--"]
    return any(name.startswith(option) for option in options for name in names)


def _newest(target: Target) -> str | None:
    found = [each for each in target.artefacts(SNAPSHOTS) if each["Key"].endswith(".json")]
    newest = max(found, key=lambda each: (each["LastModified"], each["Key"]), default=None)
    return f"s3://{target.output('ArtefactsBucketName')}/{newest['Key']}" if newest else None


def _environment(home: Path) -> dict[str, str]:
    """This process's, with the local cloud in the place of all that it says of AWS."""
    cloud = connection(home)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return kept | {
        "AWS_ENDPOINT_URL": cloud.endpoint_url,
        "AWS_ACCESS_KEY_ID": cloud.access_key_id,
        "AWS_SECRET_ACCESS_KEY": cloud.secret_access_key,
        "AWS_REGION": cloud.region,
        "AWS_DEFAULT_REGION": cloud.region,
        # No profile of the user's has a say, and no proxy knows this machine's loopback.
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "NO_PROXY": "127.0.0.1",
    }
