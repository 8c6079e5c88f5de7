"""The folder of an export: it gets its content when all of it is written."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from training.datasets.problems import DatasetError

_INCOMPLETE = ".incomplete"


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Give the block a folder to write into, whose content moves to `folder` at the end.

    If the block fails or is stopped, nothing is left.

    Raises:
        DatasetError: `folder` is a file, or is not empty.
    """
    if folder.exists() and not folder.is_dir():
        raise DatasetError(folder, "is a file: an export needs a new folder")
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    incomplete = folder / _INCOMPLETE
    # Left by an export that was killed.
    shutil.rmtree(incomplete, ignore_errors=True)
    if any(folder.iterdir()):
        raise DatasetError(folder, "is not empty: an export needs a new folder")
    try:
        incomplete.mkdir()
        yield incomplete
        for entry in sorted(incomplete.iterdir()):
            entry.rename(folder / entry.name)
        incomplete.rmdir()
    except BaseException:
        shutil.rmtree(folder if is_new else incomplete, ignore_errors=True)
        raise
