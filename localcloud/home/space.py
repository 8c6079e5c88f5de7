"""Whether the disk of a home has room: while it is full, uploads are refused before they are acknowledged."""

import errno
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

_FULL = (errno.ENOSPC, errno.EDQUOT)
# With less, the first model would already not fit.
LEAST_FREE_BYTES = 100_000_000
# A new state is written beside the former one, and may be larger.
_STATES = 3
_MEASURED_S = 1.0  # for which a measurement of the state holds
_MB = 1_000_000


def is_full(error: BaseException) -> bool:
    """Return whether an error says that the disk, or the user's share of it, is full."""
    return isinstance(error, OSError) and error.errno in _FULL


class Space:
    """Watches the disk of a home; safe to call from any thread.

    What is kept free is what the next saves of the state need: what was accepted can then also be remembered.
    """

    def __init__(self, root: Path, tell: Callable[[str], None] = lambda text: None) -> None:
        """Watch a home.

        Args:
            root: The home.
            tell: Receives one sentence when the disk becomes full, and one when there is room again.
        """
        self._root, self._tell = root, tell
        self._lock = threading.Lock()
        self._is_short = self._is_failing = False
        self._state, self._measured = 0, -_MEASURED_S

    @property
    def reserve(self) -> int:
        """The bytes that are kept free."""
        if time.monotonic() - self._measured >= _MEASURED_S:
            files = (*self._root.glob("state/*.json"), *self._root.glob("sagemaker/*.json"))
            self._state, self._measured = sum(map(_size, files)), time.monotonic()
        return max(LEAST_FREE_BYTES, _STATES * self._state)

    def lack(self, size: int = 0) -> str | None:
        """Return why an upload of so many bytes is refused; None if there is room for it.

        While the reserve is free, an upload may take half of it: one that is small is refused only when all are.
        """
        free, reserve = shutil.disk_usage(self._root).free, self.reserve
        needed = max(reserve, size + reserve // 2)
        reason = (
            f"The disk of {self._root} is full, so uploads are refused until {-(-needed // _MB):,} MB are free there; "
            f"now it is {free // _MB:,} MB."
        )
        self._set(reason, short=free < reserve)
        return reason if free < needed else None

    def failed(self, error: OSError) -> str:
        """Note that a file could not be written, which also happens when the user's share of the disk is used up.

        Returns:
            Why, in one sentence.
        """
        reason = f"The disk of {self._root} cannot be written to ({error.strerror or error}), so uploads are refused."
        self._set(reason, failing=True)
        return reason

    def written(self) -> None:
        """Note that a file could be written."""
        if self._is_failing:
            self._set("", failing=False)

    def _set(self, reason: str, short: bool | None = None, failing: bool | None = None) -> None:
        """Remember the state, and tell a change of it once."""
        with self._lock:
            before = self._is_short or self._is_failing
            self._is_short = self._is_short if short is None else short
            self._is_failing = self._is_failing if failing is None else failing
            now = self._is_short or self._is_failing
        if now != before:
            self._tell(
                reason if now else f"The disk of {self._root} has room again, and uploads are accepted."
            )


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:  # replaced at this moment
        return 0
