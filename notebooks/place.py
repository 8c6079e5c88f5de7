"""Where the notebook works: the local cloud of this machine, or a stack in an AWS account, as `loupe env` says."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

# A job's name has 63 characters at most, and the SDK adds 15 for the time.
_NAME = re.compile(r"[a-z][a-z0-9]{0,11}")
_NEEDED = (
    "LOUPE_ARTEFACTS_BUCKET",
    "LOUPE_TRAINING_ROLE_ARN",
    "LOUPE_SERVING_ROLE_ARN",
    "LOUPE_TRAINING_IMAGE",
    "LOUPE_SERVING_IMAGE",
)
_HINT = " " * 7
FILES = Path(__file__).parent / "files"
_FOR_A_TERMINAL = ("FORCE_COLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
_ENVIRONMENT = dict(os.environ)
_place: tuple[str, ...] = ()


class NotebookError(Exception):
    """What the reader can put right. Jupyter shows the message alone, without a traceback.

    Attributes:
        hint: What to do next.
    """

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint

    def __str__(self) -> str:
        return f"loupe: {self.args[0]}\n{_HINT}{self.hint}"

    def _render_traceback_(self) -> list[str]:
        """Return what IPython shows."""
        return str(self).splitlines()


@dataclass(frozen=True)
class Place:
    """Where the notebook works, and what it calls what it creates.

    Attributes:
        where: `--local`, or `--stack NAME`, as `loupe` takes it.
        name: With this and a hyphen begins the name of everything that the notebook creates.
        folder: For its files on this machine.
        variables: What `loupe env` says.
        session: The SageMaker SDK's session.
    """

    where: tuple[str, ...]
    name: str
    folder: Path
    variables: Mapping[str, str]
    session: Any

    @property
    def stack_options(self) -> tuple[str, ...]:
        """The options of the commands that work on the stack: none for the local cloud."""
        return () if self.where == ("--local",) else self.where

    @property
    def local(self) -> bool:
        """Whether this is the local cloud."""
        return "AWS_ENDPOINT_URL" in self.variables

    @property
    def bucket(self) -> str:
        """The stack's artefacts bucket, which `loupe env` makes the SDK's default."""
        return str(self.session.default_bucket())

    @property
    def prefix(self) -> str:
        """Where the notebook's objects are in the bucket: all of their keys begin with this."""
        return f"{self.session.default_bucket_prefix}/{self.name}-"

    @property
    def role(self) -> str:
        """The role of jobs."""
        return self.variables["LOUPE_TRAINING_ROLE_ARN"]

    @property
    def serving_role(self) -> str:
        """The role of endpoints."""
        return self.variables["LOUPE_SERVING_ROLE_ARN"]

    @property
    def region(self) -> str:
        """The region."""
        return self.variables["AWS_REGION"]

    @cached_property
    def sagemaker(self) -> Any:
        """SageMaker, as boto3 has it."""
        return self.session.sagemaker_client

    @cached_property
    def s3(self) -> Any:
        """S3, as boto3 has it."""
        return self.session.boto_session.client("s3")

    @property
    def poll_seconds(self) -> float:
        """Seconds between two looks at a job or an endpoint."""
        return 1 if self.local else 15

    def uri(self, path: str) -> str:
        """Return the address of an object or folder of the notebook, such as data/train."""
        return f"s3://{self.bucket}/{self.prefix}{path}"

    def loupe(self, *arguments: object) -> str:
        """Run the command `loupe`, and return what it prints.

        Raises:
            NotebookError: It fails. The message is its own.
        """
        return _loupe([str(argument) for argument in arguments])


def split(uri: str) -> tuple[str, str]:
    """Return the bucket and the key of an S3 address."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def connect(where: str, name: str, folder: Path | None = None) -> Place:
    """Set the variables of `loupe env`, and check that everything is there that the notebook needs.

    Args:
        where: `--local`, or `--stack NAME`.
        name: With this and a hyphen begin the names of all that the notebook creates.
        folder: For files on this machine; files/NAME beside this module if it is not given.

    Raises:
        NotebookError: A name that does not fit, no local cloud, no credentials, no such stack, no role …
    """
    if not _NAME.fullmatch(name):
        raise NotebookError(
            f"name = {name!r} does not fit into the names of SageMaker's jobs",
            "Begin with a lower-case letter, then up to 11 lower-case letters and digits.",
        )
    options = tuple(shlex.split(where)) or ("--local",)
    # Not that of an earlier call, whose variables lead to another place.
    variables = json.loads(_loupe(["env", *options, "--json"], _ENVIRONMENT))
    if missing := [variable for variable in _NEEDED if not variables.get(variable)]:
        raise NotebookError(
            f"the stack has no {', '.join(missing)}",
            "Give it containers, and the newest template: loupe cloud update (docs/deploy.md).",
        )
    _check_kernel(variables)
    os.environ.update(variables)
    # Reads the variables when it is imported.
    from sagemaker.core.helper.session_helper import Session

    place = Place(options, name, folder or FILES / name, variables, Session())
    _check_reach(place)
    return place


def _loupe(arguments: list[str], environment: Mapping[str, str] | None = None) -> str:
    """Run `loupe`, pass on what it warns of, and return what it prints.

    Raises:
        NotebookError: It fails, or is missing.
    """
    program = shutil.which("loupe")
    if program is None:
        raise NotebookError(
            "the command loupe is not in PATH",
            "Open the notebook by `make notebook`, or put the repository's .venv/bin into PATH.",
        )
    # Jupyter asks all programs for colours, which would turn a progress bar into a hundred lines.
    variables = {
        key: value for key, value in (environment or os.environ).items() if key not in _FOR_A_TERMINAL
    }
    done = subprocess.run(  # noqa: S603
        [program, *arguments], capture_output=True, text=True, check=False, env=variables
    )
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    if done.returncode == 0:
        for line in lines:
            print(line)
        return done.stdout
    last = max((number for number, line in enumerate(lines) if line.startswith("loupe: ")), default=0)
    message, *hints = lines[last:] or [f"exit status {done.returncode}"]
    hint = " ".join(hints) or f"Run it in a terminal: {shlex.join(['loupe', *arguments])}"
    raise NotebookError(message.removeprefix("loupe: "), hint)


def _check_kernel(variables: Mapping[str, str]) -> None:
    """Refuse a second place: the SDK keeps the clients of the first one until the kernel ends.

    Raises:
        NotebookError: This kernel works somewhere else already.
    """
    global _place
    found = tuple(variables.get(name, "") for name in ("AWS_ENDPOINT_URL", "AWS_REGION", "LOUPE_STACK"))
    if _place not in ((), found):
        raise NotebookError(
            "this kernel works with another cloud or stack already, and the SDK keeps its clients",
            "Restart the kernel, then run the cells from the first one on.",
        )
    _place = found


def _check_reach(place: Place) -> None:
    """Ask for the bucket and for SageMaker, so that a wrong region or missing rights are told here.

    Raises:
        NotebookError: One of them does not answer.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        place.s3.list_objects_v2(
            Bucket=place.variables["LOUPE_ARTEFACTS_BUCKET"], Prefix=place.prefix, MaxKeys=1
        )
        place.sagemaker.list_endpoints(NameContains=f"{place.name}-", MaxResults=1)
    except (BotoCoreError, ClientError) as error:
        raise NotebookError(
            f"the stack cannot be used from here: {error}",
            "Check AWS_PROFILE and AWS_REGION, and what you may do in the account.",
        ) from error
