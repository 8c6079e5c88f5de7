"""Output files that are there whole, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from training.job.errors import TrainingError


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a temporary name next to `path`, and rename the file to `path` if the block ends well.

    Raises:
        TrainingError: The file cannot be written; the message names it.
    """
    temporary = path.with_name(path.name + ".part")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise TrainingError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        # After the rename it is no longer there.
        temporary.unlink(missing_ok=True)


def write_whole(path: Path, text: str) -> None:
    """Write a text file completely or not at all.

    Raises:
        TrainingError: The file cannot be written; the message names it.
    """
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def check_writable(*targets: Path | None) -> None:
    """Check before minutes of work that files can be written.

    Raises:
        TrainingError: A folder is missing, or a target is a folder.
    """
    for target in targets:
        if target is None:
            continue
        if not target.absolute().parent.is_dir():
            raise TrainingError(f"{target} cannot be written: there is no folder {target.absolute().parent}")
        if target.is_dir():
            raise TrainingError(
                f"{target} cannot be written: it is a folder", hint="Give the name of a file."
            )
