"""Signals that end a program: each becomes an exception, so that files are closed and the user learns what is done.

A signal that was ignored when the program started (nohup, a background job of a shell) stays ignored.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Some senders signal a process and then its group: the second signal within this time is the same wish.
_SAME_WISH_SECONDS = 1.0


class Stopped(KeyboardInterrupt):
    """A signal ended the program's work.

    Attributes:
        number: The signal.
        done: How far the work got, to follow the word "stopped"; "" if nobody has said it.
        outcome: What is left of the work, or how to go on; "" if nobody has said it.
    """

    def __init__(self, number: int = signal.SIGINT) -> None:
        super().__init__()
        self.number = number
        self.done = self.outcome = ""

    @property
    def exit_status(self) -> int:
        """The status by which a shell knows that a signal ended the program."""
        return 128 + self.number


@dataclass
class _State:
    first: int | None = None
    at: float = 0.0
    raises: bool = False
    finishing: bool = False


_state = _State()


@contextmanager
def signals_handled() -> Iterator[None]:
    """Note SIGNALS instead of dying of them; the second one ends the process at once.

    The first raises Stopped inside `signals_stop` only, which the block enters where it can handle the exception. So
    a signal that comes while the handlers are set, or after the work is done, raises nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        # Only the main thread may set handlers. The program that started this thread has its own.
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    _state.first, _state.raises, _state.finishing = None, False, False
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, _stop)
    report_unraisable, sys.unraisablehook = sys.unraisablehook, _report_unraisable
    try:
        yield
    finally:
        sys.unraisablehook = report_unraisable
        for number, handler in before.items():
            signal.signal(number, handler)
        _state.first = None


@contextmanager
def signals_stop() -> Iterator[None]:
    """Raise Stopped in the main thread at the first of SIGNALS, also at one that `signals_handled` has noted already.

    After the block, `stop_received` still tells whether there was a signal.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    try:
        _state.raises = True
        check()
        yield
    finally:
        _state.raises = False


@contextmanager
def finishing() -> Iterator[None]:
    """Let the block, which writes the results, end: a signal that comes now comes too late."""
    _state.finishing = True
    try:
        yield
    finally:
        _state.finishing = False


def stop_received() -> Stopped | None:
    """Return the stop that a signal asked for; None if there was no signal."""
    return None if _state.first is None else Stopped(_state.first)


def check() -> None:
    """Raise Stopped again if Python has swallowed it, as it does in a finaliser and while it forks.

    A loop that works for minutes calls this in each round.
    """
    if stop := stop_received():
        raise stop


def _report_unraisable(unraisable: sys.UnraisableHookArgs) -> None:
    # `check` raises a swallowed stop again: there is nothing to report.
    if not isinstance(unraisable.exc_value, Stopped):
        sys.__unraisablehook__(unraisable)


def _stop(number: int, _frame: FrameType | None) -> None:
    if _state.finishing:
        return
    if _state.first is None:
        _state.first, _state.at = number, time.monotonic()
        if _state.raises:
            raise Stopped(number)
    elif time.monotonic() - _state.at > _SAME_WISH_SECONDS:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
