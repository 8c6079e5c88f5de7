"""Deletes the state of a local cloud that does not run."""

import shutil
from pathlib import Path

from localcloud.errors import AlreadyRunningError
from localcloud.home import administrator, connections, one_time
from localcloud.home.lock import FILE_NAME, Lock, holder

# Everything that a cloud or the command keeps in its home, and nothing else: the folder may contain other files.
_FOLDERS = ("state", "s3", "sagemaker", "logs", "tmp", "pictures", "learn", "clients", one_time.FOLDER)
_FILES = (connections.FILE_NAME, administrator.FILE_NAME, "secret", "up.log", "quotas.json")


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
    deleted = parts(home)
    lock = Lock(home)
    if not lock.acquire():
        running = holder(home)
        raise AlreadyRunningError(home, running.pid if running else None, None)
    for path in deleted:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    # Its own file is the last to be deleted, so that nothing starts here meanwhile.
    (home / FILE_NAME).unlink(missing_ok=True)
    lock.release()
    if not any(home.iterdir()):
        home.rmdir()
    return deleted
