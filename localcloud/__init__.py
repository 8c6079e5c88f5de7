"""The local cloud: AWS on one laptop, in one process, without an account and without Docker.

:class:`localcloud.cloud.LocalCloud` starts it in the current process; :func:`connection` finds the one that another
process runs in the same home, a private folder; :func:`stop` stops it. The class is not a name of this package,
because its module takes long to import, and most commands only call a cloud that runs.

>>> from pathlib import Path
>>> from localcloud.cloud import LocalCloud
>>> with LocalCloud(Path("/tmp/my-cloud")) as cloud:  # doctest: +SKIP
...     outputs = cloud.deploy({"StageName": "local"})
...     cloud.connection.client("s3").list_buckets()
"""

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
    "LocalCloudError",
    "NotRunningError",
    "PortInUseError",
    "StartError",
    "StopError",
    "connection",
    "stop",
]
