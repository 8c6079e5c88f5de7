"""The dashboard: its address, a link that signs in on this machine, and its upload to AWS."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from localcloud import connection
from localcloud.home import one_time
from localcloud.site import files
from localcloud.sources import REPOSITORY
from loupe.errors import LoupeError

if TYPE_CHECKING:
    from loupe.stack.target import Target


def sign_in_link(home: Path) -> str:
    """Return the address of the dashboard in the local cloud, which signs in once within ten minutes.

    Raises:
        NotRunningError: No local cloud runs in this home.
        LoupeError: It was started by an earlier version, which has no dashboard.
    """
    running = connection(home)
    if not running.site_port:
        raise LoupeError(
            "this local cloud was started by an earlier version, which has no dashboard",
            "Start it again: loupe down, then loupe up",
        )
    return f"{running.site_url}/#/enter/{one_time.create(home)}"


def address(target: Target) -> str:
    """Return the address of a stack's dashboard.

    Raises:
        LoupeError: The stack has none, so it is of an earlier version.
    """
    return target.output("DashboardUrl")


def publish(target: Target, on_file: Callable[[str], None], folder: Path | None = None) -> list[str]:
    """Upload the built page, and let the distribution forget the former one.

    The files that others name come first, and the page last: whoever loads it meanwhile gets a whole one. Former
    files stay, because pages that are open still ask for them.

    Args:
        target: The stack on AWS.
        on_file: Receives the name of each file that is uploaded.
        folder: The built page; None for that of this installation.

    Returns:
        The names of the files.

    Raises:
        LoupeError: The page is not built, or the stack is of an earlier version.
    """
    folder = folder or files.folder(REPOSITORY)
    names = _names(folder)
    bucket, distribution = target.output("DashboardBucketName"), target.output("DistributionId")
    for name in names:
        target.s3.put_object(
            Bucket=bucket,
            Key=name,
            Body=(folder / name).read_bytes(),
            ContentType=files.content_type(name),
            CacheControl=files.cache_control(name),
        )
        on_file(name)
    # One path with a wildcard costs as much as one file.
    target.cloudfront.create_invalidation(
        DistributionId=distribution,
        InvalidationBatch={"Paths": {"Quantity": 1, "Items": ["/*"]}, "CallerReference": str(time.time_ns())},
    )
    return names


def _names(folder: Path) -> list[str]:
    """Return the files of a built page, the page itself last. Raises LoupeError."""
    names = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())
    if "index.html" not in names:
        raise LoupeError(f"there is no built page in {folder}", "Build it: make dashboard")
    return sorted(names, key=lambda name: name == "index.html")
