"""The signals that end the process of a local cloud: one stop, whichever of them arrives and however often."""

import signal
import threading
from types import FrameType
from typing import Any

# Ctrl+C, `kill` and `loupe down`, a closed terminal.
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopSignals:
    """Raises KeyboardInterrupt in the main thread at the first of the signals, and ignores those that follow."""

    def __init__(self) -> None:
        self._previous: dict[signal.Signals, Any] = {}
        self._ignored = self._arrived = False

    def install(self) -> None:
        """Handle the signals from now on; in any other thread than the main one, nothing is done."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in _ENDING:
            previous = signal.getsignal(number)
            # A shell ignores SIGINT for its background jobs, and nohup ignores SIGHUP.
            if previous is not signal.SIG_IGN:
                self._previous[number] = previous
                signal.signal(number, self._handle)

    def ignore(self) -> None:
        """Ignore the signals from now on, because the stop has begun."""
        self._ignored = True

    def restore(self) -> None:
        """Handle the signals as before `install`, but ignore them if one has arrived: the process is about to end."""
        for number, previous in self._previous.items():
            # Not by our function: Python removes functions before its own end.
            signal.signal(number, signal.SIG_IGN if self._arrived else previous)
        self._previous, self._ignored = {}, False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        first, self._arrived = not self._arrived, True
        if first and not self._ignored:
            raise KeyboardInterrupt
