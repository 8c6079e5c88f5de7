"""What AWS's API cannot tell of a local cloud: its disk, and what it has made good at its start."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from localcloud import connection
from localcloud.home.space import Space
from loupe.stack.target import Target


@dataclass(frozen=True)
class Laptop:
    """The state of a local cloud.

    Attributes:
        inspected_again: Images that it has announced again at its start, because it was killed before.
        full_disk: Why it refuses uploads; None if it does not.
    """

    inspected_again: int = 0
    full_disk: str | None = None


def read(target: Target, home: Path) -> Laptop:
    """Return the state of the local cloud with a stack; on AWS there is nothing of this.

    Args:
        target: The stack.
        home: The local cloud's private folder, if the stack is in a local cloud.
    """
    if not target.local_cloud:
        return Laptop()
    cloud = connection(home)
    if cloud.endpoint_url != target.endpoint_url:  # that of AWS_ENDPOINT_URL, whose folder is unknown
        return Laptop()
    return Laptop(cloud.inspected_again, Space(home).lack())
