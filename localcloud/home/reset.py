"""Deletes the state of a local cloud that does not run."""

import shutil
from pathlib import Path

from localcloud.errors import AlreadyRunningError
from localcloud.home import connections

# Everything that a cloud or the command keeps in its home, and nothing else: the folder may contain other files.
_FOLDERS = ("state", "s3", "sagemaker", "logs", "tmp", "pictures")
_FILES = (connections.FILE_NAME, "secret", "lock", "up.log")


def parts(home: Path) -> list[Path]:
    """Return what `reset` would delete."""
    return [path for name in (*_FOLDERS, *_FILES) if (path := home / name).exists()]


def reset(home: Path) -> list[Path]:
    """Delete the state in a home: images, inspections, models, labels, rules and logs.

    Returns:
        What was deleted.

    Raises:
        AlreadyRunningError: A cloud is running there.
    """
    running = connections.read(home)
    if running is not None and running.alive():
        raise AlreadyRunningError(home, running.pid, running.port)
    deleted = parts(home)
    for path in deleted:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    if home.is_dir() and not any(home.iterdir()):
        home.rmdir()
    return deleted
