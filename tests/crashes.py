"""Kills a function at one of its calls of AWS, and compares what a new delivery leaves with an undisturbed run.

Lambda kills a function without a word when its time is up, and the machine under it may fail. So the function ends here
by an exception that no code of its own may catch, and whatever it still does reaches no service any more.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Any

import pytest
from botocore.client import BaseClient

from tests.promises import Tell

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)")
_RANDOM = re.compile(r"(?<=<time>#)[0-9a-f]{12}\b")  # the end of a history entry's id
_READS = ("BatchGet", "Describe", "Get", "Head", "List", "Query", "Scan")
# What tells when something was done, and how long it took.
_MOMENTS = frozenset({"expires_at", "timings_ms", "until"})


class Crash(BaseException):
    """The function is killed. No code of its own catches this."""


@contextmanager
def calls(crash_at: int | None = None, *, before: bool = True) -> Iterator[list[str]]:
    """Count the calls of AWS of all clients, and kill who makes one of them.

    Args:
        crash_at: The number of the call, from 1; None for an undisturbed run.
        before: Whether the call has no effect any more. The calls that follow have none in any case.

    Yields:
        The operations of the calls so far.
    """
    names: list[str] = []
    lock, real = Lock(), BaseClient._make_api_call  # type: ignore[attr-defined]

    def call(self: BaseClient, operation: str, arguments: Any) -> Any:
        with lock:
            names.append(operation)
            number = len(names)
        if crash_at is not None and (number > crash_at or (before and number == crash_at)):
            raise Crash
        try:
            return real(self, operation, arguments)
        finally:
            if number == crash_at:
                raise Crash

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaseClient, "_make_api_call", call)
        yield names


@dataclass(frozen=True)
class Story:
    """What a function is asked, and what it leaves.

    Attributes:
        begin: Makes the world in which it is asked. Each time it is the same one.
        ask: Asks the function once, as the service does that invokes it.
        left: Returns what is there afterwards, as JSON can say it.
        again: Asks again after the crash, in a new process; without it, as the first time.
    """

    begin: Callable[[], object]
    ask: Callable[[], object]
    left: Callable[[], Any]
    again: Callable[[], object] | None = None

    def converges(self, tried: Tell, *, everywhere: bool) -> None:
        """Check that a crash at any call is healed when the function is asked again.

        Args:
            tried: The fixture: counts the crashes.
            everywhere: Before each call, and after each that has an effect. Otherwise in the middle and after the last.
        """
        self.begin()
        with calls() as names:
            self.ask()
        wanted = undated(self.left())
        count = len(names)
        assert count, "it makes no call"
        places = [(count // 2 + 1, True), (count, False)]
        if everywhere:
            places = [(number, True) for number in range(1, count + 1)]
            places += [(number, False) for number, name in enumerate(names, 1) if not is_reading(name)]
        broken = []
        for number, before in places:
            self.begin()
            with calls(number, before=before) as names, pytest.raises(Crash):
                self.ask()
            (self.again or self.ask)()
            if difference := _difference(wanted, undated(self.left())):
                moment = "before" if before else "after"
                broken.append(f"killed {moment} call {number} of {count}, {names[number - 1]}: {difference}")
        tried(faults=len(places))
        assert not broken, "\n".join(broken)


def is_reading(operation: str) -> bool:
    """Return whether an operation of AWS changes nothing."""
    return operation.startswith(_READS)


def undated(value: Any) -> Any:
    """Return a JSON value without what differs from run to run: times, and random ends of ids."""
    text = json.dumps(_without_moments(value), sort_keys=True, default=repr)
    return json.loads(_RANDOM.sub("<random>", _TIME.sub("<time>", text)))


def _without_moments(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _without_moments(inner) for name, inner in value.items() if name not in _MOMENTS}
    if isinstance(value, (list, tuple)):
        return [_without_moments(inner) for inner in value]
    return value


def _difference(wanted: Any, found: Any, place: str = "") -> str:
    """Return the first places at which two JSON values differ, as a sentence; empty if they are equal."""
    if wanted == found:
        return ""
    if isinstance(wanted, dict) and isinstance(found, dict):
        names = sorted(wanted.keys() | found.keys())
        parts = [_difference(wanted.get(name), found.get(name), f"{place}/{name}") for name in names]
        return "; ".join(filter(None, parts))
    return f"{place or 'it'} is {json.dumps(found)}, and must be {json.dumps(wanted)}"
