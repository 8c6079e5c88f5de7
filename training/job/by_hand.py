"""The programs run by a person: one form of error, and words instead of a traceback when they are stopped.

An error is `loupe: <message>` and, if there is one, a line with what to do next. The exit status is 1 for errors, 2 for
wrong options, and 128 + the signal's number for a stop.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from contract.text import error_text, system_error
from training.job.errors import TrainingError
from training.job.stopping import Stopped, finishing, signals_handled, signals_stop, stop_received

_AGAIN = "The same command starts again."


class Parser(argparse.ArgumentParser):
    """Options of a program, whose errors have the form of all errors."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the options, and end the program with status 2."""
        complain(message, f"{self.prog} --help lists the options.")
        raise SystemExit(2)


def run(work: Callable[[], int], *, outcome: str = "nothing was written", again: str = _AGAIN) -> int:
    """Run a program for a person.

    Args:
        work: Returns the exit status.
        outcome: What is left of the work when a signal stops it, unless the stop says it itself.
        again: How to go on after a stop.

    Returns:
        The exit status.
    """
    try:
        with signals_handled():
            return _guarded(work, outcome, again)
    except BrokenPipeError:
        # The reader of the output, such as `head`, has ended; Python would complain again at its own end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _guarded(work: Callable[[], int], outcome: str, again: str) -> int:
    try:
        with signals_stop():
            return work()
    except KeyboardInterrupt as error:
        stop = error if isinstance(error, Stopped) else Stopped()
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 - raised again if no user can fix it
        received = stop_received()
        if received is None:
            return _failed(error)
        stop = received
    with finishing():
        done = f"stopped {stop.done}".rstrip()
        complain(f"{done}; {stop.outcome or outcome}", again)
    return stop.exit_status


def _failed(error: Exception) -> int:
    """Say what is wrong, if it is something that a user can fix; else raise it again."""
    if isinstance(error, TrainingError):
        complain(str(error), error.hint)
    elif isinstance(error, OSError) and error.strerror:
        complain(system_error(error))
    else:
        raise error
    return 1


def complain(message: str, hint: str = "") -> None:
    """Write an error to standard error; nothing in it can steer a terminal."""
    sys.stderr.write(error_text(message, hint))
    sys.stderr.flush()


def given(text: str) -> str:
    """Return an option's text; an empty one, as an unset shell variable gives it, is no value."""
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty")
    return text


def given_path(text: str) -> Path:
    """Return an option's path; see `given`."""
    return Path(given(text))


def whole_number(lowest: int, highest: int | None = None) -> Callable[[str], int]:
    """Return a reader for whole numbers of an option, within bounds."""
    bounds = f"from {lowest} to {highest}" if highest is not None else f"of {lowest} or more"

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = lowest - 1
        if value < lowest or (highest is not None and value > highest):
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number {bounds}")
        return value

    return read
