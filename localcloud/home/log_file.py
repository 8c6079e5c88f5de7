"""Log files in a home."""

import logging
import logging.handlers
from pathlib import Path


class LogFile(logging.handlers.RotatingFileHandler):
    """A log file of limited size. On a full disk, lines are lost; nothing is printed in their place."""

    def __init__(self, file: Path, backups: int) -> None:
        """Open the file at its first line.

        Args:
            file: The file.
            backups: How many full files are kept besides it.
        """
        super().__init__(file, maxBytes=5_000_000, backupCount=backups, delay=True)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Do nothing; the base class prints a traceback for every line."""
