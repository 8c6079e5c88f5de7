"""Finds the newest snapshot in the place that a user names: the snapshot itself, its folder, or where imports go."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from contract.keys import DEFAULT_DATASET
from training.datasets.storage import s3
from training.job.errors import TrainingError

_NAME = "[0-9a-f]" * 16 + ".json"
# The folder of one data set, of all, or what `import --out` was given.
_LEVELS = 2
_BELOW = re.compile(rf"(?:[^/]+/){{0,{_LEVELS}}}{_NAME.replace('.', '[.]')}")
# Where snapshots were before data sets had names.
_FORMER_FOLDER = "snapshots"


class NoSnapshotError(TrainingError):
    """A place has no snapshot, or those of several data sets."""


def find_snapshot(place: str) -> str:
    """Return the path or URI of a snapshot.

    Args:
        place: A snapshot, the folder or prefix of a data set's snapshots, or what `import --out` was given.

    Raises:
        NoSnapshotError: There is none, or there are several data sets.
        DatasetError: S3 cannot be read.
    """
    is_remote = place.startswith("s3://")
    if place.lower().endswith(".json") and (is_remote or Path(place).is_file()):
        return place
    newest = _in_s3(place) if is_remote else _in_folder(Path(place))
    if not newest:
        raise NoSnapshotError(
            f"{place} contains no snapshot", hint=f"Import the images first: loupe import {place}"
        )
    folders = {_dataset(name): name.rpartition("/")[0] for name in newest}
    if len(folders) > 1:
        raise NoSnapshotError(
            f"{place} has snapshots of several data sets: {', '.join(sorted(folders))}",
            hint=f"Name one: {min(folders.values())}",
        )
    return newest[0]


def _in_folder(folder: Path) -> list[str]:
    """Return the snapshots below a folder, the newest first."""
    if not folder.exists():
        raise NoSnapshotError(
            f"{folder}: no such file or folder", hint="Name a snapshot, or the folder that has it."
        )
    found = [path for level in range(_LEVELS + 1) for path in folder.glob("*/" * level + _NAME)]
    return [str(path) for path in sorted(found, key=lambda path: (-path.stat().st_mtime_ns, path.name))]


def _in_s3(prefix: str) -> list[str]:
    """Return the snapshots below a prefix, the newest first."""
    root = prefix.rstrip("/") + "/"
    return [uri for uri in s3.newest_first(root) if _BELOW.fullmatch(uri.removeprefix(root))]


def _dataset(name: str) -> str:
    folder = PurePosixPath(name).parent.name
    return DEFAULT_DATASET if folder == _FORMER_FOLDER else folder
