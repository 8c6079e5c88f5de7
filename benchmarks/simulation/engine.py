"""A small discrete-event simulation: processes that wait for time, for a server, or for each other.

A process is a generator. It yields how many seconds to wait, a `Server` to wait for one of its servers, or a `Gate` to
wait until it opens:

>>> simulation, desk, ends = Simulation(), Servers(1), []
>>> def customer(service):
...     yield desk
...     yield service
...     desk.release()
...     ends.append(simulation.now)
>>> for at, service in ((0.0, 2.0), (1.0, 2.0)):
...     simulation.at(at, simulation.start, customer(service))
>>> simulation.run()
>>> ends
[2.0, 4.0]
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Generator
from typing import Any, Union

Process = Generator[Union[float, "Servers", "Gate"], None, None]


class Servers:
    """Equal servers with one queue: who came first is served first."""

    def __init__(self, number: int) -> None:
        self.free = number
        self._waiting: deque[Callable[[], None]] = deque()

    def acquire(self, then: Callable[[], None]) -> None:
        """Call `then` once a server is taken: now, or when one is released."""
        if self.free:
            self.free -= 1
            then()
        else:
            self._waiting.append(then)

    def release(self) -> None:
        """Give a server back; who waits longest takes it."""
        if self._waiting:
            self._waiting.popleft()()
        else:
            self.free += 1


class Gate:
    """Opens when it was knocked at so often; who waits for it goes on then."""

    def __init__(self, knocks: int) -> None:
        self._missing = knocks
        self._waiting: list[Callable[[], None]] = []

    def knock(self) -> None:
        """Count one."""
        self._missing -= 1
        if self._missing == 0:
            for then in self._waiting:
                then()

    def wait(self, then: Callable[[], None]) -> None:
        """Call `then` when the gate is open."""
        if self._missing <= 0:
            then()
        else:
            self._waiting.append(then)


class Simulation:
    """The clock, and what happens when.

    Attributes:
        now: Seconds.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self._order = itertools.count()  # what was planned first happens first
        self._events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []

    def at(self, time: float, action: Callable[..., None], *arguments: Any) -> None:
        """Plan an action.

        Args:
            time: When, not before now.
            action: What to call.
            arguments: With what.
        """
        heapq.heappush(self._events, (time, next(self._order), action, arguments))

    def start(self, process: Process) -> None:
        """Let a process run until it waits."""
        for wanted in process:
            go_on = self._resume(process)
            if isinstance(wanted, Servers):
                wanted.acquire(go_on)
            elif isinstance(wanted, Gate):
                wanted.wait(go_on)
            else:
                self.at(self.now + wanted, go_on)
            return

    def run(self) -> None:
        """Let everything happen that is planned, and what it plans."""
        while self._events:
            self.now, _, action, arguments = heapq.heappop(self._events)
            action(*arguments)

    def _resume(self, process: Process) -> Callable[[], None]:
        return lambda: self.start(process)


def departures(arrivals: list[float], services: list[float], servers: int) -> list[float]:
    """Return when each customer of a queue leaves.

    Args:
        arrivals: When each comes, in order.
        services: For how long each is served.
        servers: How many servers serve.
    """
    simulation, desk = Simulation(), Servers(servers)
    left = [0.0] * len(arrivals)

    def customer(number: int) -> Process:
        yield desk
        yield services[number]
        desk.release()
        left[number] = simulation.now

    for number, at in enumerate(arrivals):
        simulation.at(at, simulation.start, customer(number))
    simulation.run()
    return left
