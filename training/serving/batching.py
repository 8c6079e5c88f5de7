"""Dynamic batching: images that are there at the same time share one inference.

Our own, small, because the libraries at hand (async-batcher 0.2, batched 0.1) make a lone client wait out the
whole window before its image is judged, and let one item that fails take its batch with it. This one knows
what else is on its way, so it waits only where waiting can help.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Done(Generic[R]):
    """A result, and how it came about: items in its batch, when the batch began and ended (perf_counter)."""

    result: R
    batch_size: int
    began: float
    ended: float


class Batcher(Generic[T, R]):
    """Collects items and runs them in batches on one thread of its own, in the order in which they came.

    It runs what is there as soon as it is free. It waits for more, at most `wait_seconds`, only while
    `coming` says that more items are on their way, so a lone client never waits.
    """

    def __init__(
        self,
        run: Callable[[Sequence[T]], Sequence[R]],
        size: int,
        wait_seconds: float,
        coming: Callable[[], int] = lambda: 0,
    ) -> None:
        """run: gives one result per item, in order. size: items in a batch, at most."""
        self._run, self._size, self._wait, self._coming = run, size, wait_seconds, coming
        self._queue: queue.SimpleQueue[tuple[T, Future[Done[R]]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="batcher", daemon=True)
        self._thread.start()

    def submit(self, item: T) -> Future[Done[R]]:
        """The future result of `item`; what `run` raises for it alone is raised by the future."""
        future: Future[Done[R]] = Future()
        self._queue.put((item, future))
        return future

    def waiting(self) -> int:
        """Items in the queue, about."""
        return self._queue.qsize()

    def close(self) -> None:
        """Finishes what was submitted and ends the thread."""
        self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (first := self._queue.get()) is not None:
            batch, last = [first], False
            until = time.monotonic() + self._wait
            while len(batch) < self._size:
                patience = until - time.monotonic()
                try:
                    if patience > 0 and self._coming() > 0:
                        item = self._queue.get(timeout=patience)
                    else:
                        item = self._queue.get_nowait()
                except queue.Empty:
                    break
                if item is None:
                    last = True
                    break
                batch.append(item)
            self._judge(batch)
            if last:
                return

    def _judge(self, batch: Sequence[tuple[T, Future[Done[R]]]]) -> None:
        began = time.perf_counter()
        try:
            results = self._run([item for item, _ in batch])
            if len(results) != len(batch):
                raise ValueError(f"{len(batch)} items gave {len(results)} results")
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to whoever asked
            if len(batch) == 1:
                batch[0][1].set_exception(error)
                return
            # One item may have spoiled it for all: each is tried on its own.
            for each in batch:
                self._judge([each])
            return
        ended = time.perf_counter()
        for (_, future), result in zip(batch, results, strict=True):
            future.set_result(Done(result, len(batch), began, ended))
