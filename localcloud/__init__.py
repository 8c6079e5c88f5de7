"""The local cloud: AWS on one laptop, in one process, without an account and without Docker.

:class:`LocalCloud` starts it in the current process; :func:`connection` finds the one that another
process runs in the same home, a private folder; :func:`stop` stops it.

>>> from pathlib import Path
>>> from localcloud import LocalCloud
>>> with LocalCloud(Path("/tmp/my-cloud")) as cloud:  # doctest: +SKIP
...     outputs = cloud.deploy({"StageName": "local"})
...     cloud.connection.client("s3").list_buckets()
"""

from localcloud.cloud import LocalCloud
from localcloud.errors import (
    AlreadyRunningError,
    DeployError,
    HomeError,
    IncompatibleMiniStackError,
    InvalidPortError,
    LocalCloudError,
    NotRunningError,
    PortInUseError,
    StartError,
    StopError,
)
from localcloud.home.connections import Connection, connection
from localcloud.home.lock import stop

__all__ = [
    "AlreadyRunningError",
    "Connection",
    "DeployError",
    "HomeError",
    "IncompatibleMiniStackError",
    "InvalidPortError",
    "LocalCloud",
    "LocalCloudError",
    "NotRunningError",
    "PortInUseError",
    "StartError",
    "StopError",
    "connection",
    "stop",
]
