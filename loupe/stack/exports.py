"""Which snapshot `loupe export` writes for other tools: one on this machine, in S3, or of a data set in the cloud."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from contract.keys import is_dataset_name
from contract.s3 import split
from localcloud import NotRunningError
from loupe.errors import LoupeError
from loupe.stack import labelled_data
from loupe.stack.labelled_data import ProgramCall
from loupe.stack.target import Target


@dataclass(frozen=True)
class ExportOptions:
    """The options of `loupe export`.

    Attributes:
        snapshot: A snapshot, its folder, an S3 URI, or the name of a data set in the cloud.
        out: The folder for the export.
        format: What the other tool reads.
        json: Print one JSON document.
    """

    snapshot: str
    out: Path
    format: str
    json: bool = False

    def arguments(self, snapshot: str) -> list[str]:
        """Return the options for the export program, with the path or URI of the snapshot."""
        flags = ["--json"] if self.json else []
        # After "--", a path that starts with a hyphen is a path.
        return [f"--format={self.format}", *flags, "--", snapshot, str(self.out)]


def prepare(options: ExportOptions, stack: str | None, home: Path) -> ProgramCall:
    """Return the call that exports a snapshot.

    A file or folder of this machine comes before a data set of the same name.

    Args:
        options: What the user asks for.
        stack: A stack on AWS; None for the local cloud.
        home: The local cloud's private folder.

    Raises:
        LoupeError: There is no such data set, or no cloud runs that could have it.
    """
    if options.snapshot.startswith("s3://"):
        environment = dict(os.environ) if stack else _environment_of(options.snapshot, home)
        return ProgramCall(options.arguments(options.snapshot), environment)
    if Path(options.snapshot).exists() or not is_dataset_name(options.snapshot):
        return ProgramCall(options.arguments(options.snapshot), dict(os.environ))
    try:
        target = Target.aws(stack) if stack else Target.local(home)
    except NotRunningError as error:
        raise LoupeError(
            f"{options.snapshot}: no such file or folder, and no cloud runs that has a data set of this name",
            "Name the folder of a snapshot, such as ./loupe-data; or start the cloud: loupe up",
        ) from error
    labelled_data.require_dataset(target, options.snapshot)
    newest = labelled_data.newest_snapshot(target, options.snapshot) or options.snapshot
    environment = dict(os.environ) if stack else labelled_data.local_environment(home)
    return ProgramCall(options.arguments(newest), environment)


def _environment_of(uri: str, home: Path) -> dict[str, str]:
    """Return the environment that reaches a bucket: the local cloud's if it runs and has this bucket."""
    try:
        bucket, _ = split(uri)
        if bucket == Target.local(home).output("ArtefactsBucketName"):
            return labelled_data.local_environment(home)
    except (NotRunningError, ValueError):
        # The program says what is wrong with the URI.
        pass
    return dict(os.environ)
