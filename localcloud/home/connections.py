"""How any process reaches a running local cloud: `home/cloud.json`, readable by its owner only."""

import json
import os
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
import botocore.session
from botocore.config import Config

from localcloud.errors import HomeError, NotRunningError
from localcloud.home import files, lock

FILE_NAME = "cloud.json"


def isolated_session(**settings: Any) -> boto3.Session:
    """Return a session that ignores the user's AWS profiles, even a missing one named by AWS_PROFILE.

    Args:
        **settings: Arguments of boto3.Session.
    """
    no_profiles: Any = {
        "profile": (None, None, None, None),
        "config_file": (None, None, os.devnull, None),
        "credentials_file": (None, None, os.devnull, None),
    }
    core = botocore.session.Session(session_vars=no_profiles)
    # Buckets in paths, since host names would need DNS; no proxy, since none reaches this machine's loopback.
    core.set_default_client_config(Config(s3={"addressing_style": "path"}, proxies={}))
    return boto3.Session(botocore_session=core, **settings)


@dataclass
class Connection:
    """Address and credentials of a running local cloud, and the outputs of the stack deployed in it.

    Attributes:
        pid: The process that runs the cloud.
        pid_created: When that process was created, in seconds since 1970.
        port: The port on 127.0.0.1.
        endpoint_url: The address for AWS clients.
        region: The only region.
        account_id: The only account.
        access_key_id: The operator's access key.
        secret_access_key: The operator's secret key.
        stack_name: The name of the stack.
        outputs: The outputs of the stack; empty before its first deployment.
        site_port: The port of the dashboard on 127.0.0.1; 0 if an earlier version wrote this.
        inspected_again: Images whose announcement was lost when the cloud was killed, and which it has announced again
            at its start.
    """

    pid: int
    pid_created: float
    port: int
    endpoint_url: str
    region: str
    account_id: str
    access_key_id: str
    secret_access_key: str
    stack_name: str
    outputs: dict[str, str] = field(default_factory=dict)
    site_port: int = 0
    inspected_again: int = 0

    @property
    def site_url(self) -> str:
        """The address of the dashboard."""
        return f"http://127.0.0.1:{self.site_port}"

    @cached_property
    def session(self) -> boto3.Session:
        """A session with these credentials."""
        return isolated_session(
            aws_access_key_id=self.access_key_id,
            aws_secret_access_key=self.secret_access_key,
            region_name=self.region,
        )

    def use(self, access_key_id: str, secret_access_key: str) -> None:
        """Continue with other credentials."""
        self.access_key_id, self.secret_access_key = access_key_id, secret_access_key
        self.__dict__.pop("session", None)

    def client(self, service: str, config: Config | None = None) -> Any:
        """Return a boto3 client of `service` ("s3", "sagemaker-runtime", ...) that talks to this cloud only."""
        if service == "s3":
            # For presigned URLs too, which boto3 would sign in the older way.
            config = Config(signature_version="s3v4").merge(config or Config())
        return self.session.client(service, endpoint_url=self.endpoint_url, config=config)  # type: ignore[call-overload]

    def alive(self) -> bool:
        """Return whether the process that wrote this connection still runs; a reused pid or a zombie does not count."""
        return lock.Holder(self.pid, self.pid_created).alive()

    def write(self, home: Path) -> None:
        """Store the connection as `home/cloud.json`, mode 0600, replaced in one step."""
        files.replace(home / FILE_NAME, json.dumps(asdict(self), indent=1))


def read(home: Path) -> Connection | None:
    """Return the connection stored in `home`, even if its process has ended; None if there is none.

    Raises:
        HomeError: If the file is damaged, or of another version.
    """
    file = home / FILE_NAME
    try:
        content = file.read_text()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise HomeError(
            home, f"{file} cannot be read: {error}.", "Choose another folder: --home FOLDER"
        ) from error
    try:
        return Connection(**json.loads(content))
    except (ValueError, TypeError) as error:
        raise HomeError(
            home,
            f"{file} is damaged, or was written by another version of Loupe.",
            "Use that version, choose another folder (--home FOLDER), or start with an empty cloud: loupe reset",
        ) from error


def connection(home: Path) -> Connection:
    """Return the connection to the local cloud that another process runs in `home`.

    Raises:
        NotRunningError: If no cloud runs there, or it is not ready yet.
        HomeError: If its file is damaged, or of another version.
    """
    stored = read(home)
    if stored is None or not stored.alive():
        raise NotRunningError(home)
    return stored
