"""Files that are always whole: the former content stays until the new one is complete."""

import os
from pathlib import Path


def replace(file: Path, content: bytes | str, mode: int = 0o600) -> None:
    """Write a file, or leave it as it is if that fails, as on a full disk.

    Only one thread at a time may write the same file.

    Args:
        file: The file. Its folder exists.
        content: The whole new content.
        mode: Who may read it.

    Raises:
        OSError: It could not be written.
    """
    new = file.with_name(f".{file.name}.new")
    try:
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as stream:
            stream.write(content.encode() if isinstance(content, str) else content)
        new.replace(file)
    except OSError:
        # Half a file would keep the disk full.
        new.unlink(missing_ok=True)
        raise
