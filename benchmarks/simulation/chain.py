"""The chain from an upload to its verdict and its alert, as a simulation.

Uploads wait in a queue. A mapping gives them in batches to a function, of which so many run at once. Each image of a
batch is read, waits for one of the endpoint's workers, and gets a record; the batch ends with its last image. A stream
takes the records that did not pass to the function that alerts, in batches, of which so many run at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.simulation.engine import Gate, Process, Servers, Simulation


@dataclass(frozen=True, slots=True)
class Image:
    """What an image takes, in seconds.

    Attributes:
        arrives: When it is uploaded.
        before: In the function, before a worker of the endpoint gets it.
        model: At the worker.
        after: From the worker's answer until the record is written.
        fails: Whether it raises an alert.
    """

    arrives: float
    before: float
    model: float
    after: float
    fails: bool = False


@dataclass(frozen=True, slots=True)
class Chain:
    """How the chain is built.

    Attributes:
        batch: Images of a batch at most.
        at_once: Batches that are inspected at once.
        workers: Workers of the endpoint.
        pickup: Seconds from an upload until a mapping with a free place begins with it.
        gap: Seconds from the last record of a batch until its place is free again.
        alert_batch: Alerts of a batch at most.
        alerts_at_once: Batches of alerts at once.
        alert_seconds: Seconds for an alert.
        alert_sent: After which share of them it is sent.
        stream_delay: Seconds until a new record is seen in the stream.
    """

    batch: int
    at_once: int
    workers: int
    pickup: float = 0.0
    gap: float = 0.0
    alert_batch: int = 10
    alerts_at_once: int = 1
    alert_seconds: float = 0.0
    alert_sent: float = 1.0
    stream_delay: float = 0.0


@dataclass(frozen=True, slots=True)
class Run:
    """What happened.

    Attributes:
        records: When each image got its record, in the order of the images.
        alerts: When each failed image got its alert, in the order of those.
        batches: Images of each batch.
    """

    records: list[float]
    alerts: list[float]
    batches: list[int]


def simulate(chain: Chain, images: Sequence[Image]) -> Run:
    """Send images through a chain.

    Args:
        chain: The chain.
        images: The images, in the order in which they come.
    """
    return _Factory(chain, images).run()


class _Factory:
    """A run in progress: numbers stand for images."""

    def __init__(self, chain: Chain, images: Sequence[Image]) -> None:
        self._chain, self._images = chain, images
        self._simulation = Simulation()
        self._endpoint = Servers(chain.workers)
        self._queue: deque[int] = deque()
        self._stream: deque[int] = deque()
        self._inspecting = self._alerting = 0
        self._records = [0.0] * len(images)
        self._alerts: dict[int, float] = {}
        self._batches: list[int] = []

    def run(self) -> Run:
        for number, image in enumerate(self._images):
            self._simulation.at(image.arrives, self._arrive, number)
        self._simulation.run()
        return Run(self._records, [self._alerts[number] for number in sorted(self._alerts)], self._batches)

    def _arrive(self, number: int) -> None:
        self._queue.append(number)
        # Also without a pickup, it is after everything that comes at this moment: a batch takes what waits.
        self._simulation.at(self._simulation.now + self._chain.pickup, self._take_batches)

    def _take_batches(self) -> None:
        while self._queue and self._inspecting < self._chain.at_once:
            self._inspecting += 1
            self._simulation.start(self._batch(_first(self._queue, self._chain.batch)))

    def _batch(self, numbers: list[int]) -> Process:
        self._batches.append(len(numbers))
        done = Gate(len(numbers))
        for number in numbers:
            self._simulation.start(self._inspect(number, done))
        yield done
        yield self._chain.gap
        self._inspecting -= 1
        self._take_batches()

    def _inspect(self, number: int, done: Gate) -> Process:
        image = self._images[number]
        yield image.before
        yield self._endpoint
        yield image.model
        self._endpoint.release()
        yield image.after
        self._records[number] = self._simulation.now
        done.knock()
        if image.fails:
            self._simulation.at(self._simulation.now + self._chain.stream_delay, self._announce, number)

    def _announce(self, number: int) -> None:
        self._stream.append(number)
        self._take_alerts()

    def _take_alerts(self) -> None:
        while self._stream and self._alerting < self._chain.alerts_at_once:
            self._alerting += 1
            self._simulation.start(self._alert(_first(self._stream, self._chain.alert_batch)))

    def _alert(self, numbers: list[int]) -> Process:
        before = self._chain.alert_seconds * self._chain.alert_sent
        for number in numbers:
            yield before
            self._alerts[number] = self._simulation.now
            yield self._chain.alert_seconds - before
        self._alerting -= 1
        self._take_alerts()


def _first(waiting: deque[int], most: int) -> list[int]:
    return [waiting.popleft() for _ in range(min(most, len(waiting)))]
