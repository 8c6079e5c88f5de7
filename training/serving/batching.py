"""Dynamic batching: images that are inside at the same time share one inference.

The libraries that were considered (async-batcher 0.2, batched 0.1) let a lone client wait for the whole window before
its inference starts, and one item that fails makes its whole batch fail. This batcher knows how many items are on
their way, so it waits only when waiting can help.
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
    """The result of one item.

    Attributes:
        result: As `run` returned it.
        batch_size: How many items were in its batch.
        began: When the batch began, by time.perf_counter.
        ended: When it ended.
    """

    result: R
    batch_size: int
    began: float
    ended: float


class Batcher(Generic[T, R]):
    """Collects items and runs them in batches on its own thread, in the order in which they arrive.

    It runs the items in its queue as soon as it is free. It waits for more items, at most `wait_seconds`, only while
    `coming` counts items on their way. A lone client therefore never waits.
    """

    def __init__(
        self,
        run: Callable[[Sequence[T]], Sequence[R]],
        size: int,
        wait_seconds: float,
        coming: Callable[[], int] = lambda: 0,
    ) -> None:
        """Start the thread.

        Args:
            run: Returns one result per item, in order.
            size: The most items in a batch.
            wait_seconds: The longest wait for items that are on their way.
            coming: Returns how many items are on their way.
        """
        self._run, self._size, self._wait, self._coming = run, size, wait_seconds, coming
        self._queue: queue.SimpleQueue[tuple[T, Future[Done[R]]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="batcher", daemon=True)
        self._thread.start()

    def submit(self, item: T) -> Future[Done[R]]:
        """Return the future result of `item`. If `run` raises for this item alone, the future raises the same."""
        future: Future[Done[R]] = Future()
        self._queue.put((item, future))
        return future

    def close(self) -> None:
        """Finish the items that were submitted, and end the thread."""
        self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (first := self._queue.get()) is not None:
            batch, last = [first], False
            deadline = time.monotonic() + self._wait
            while len(batch) < self._size:
                remaining = deadline - time.monotonic()
                try:
                    if remaining > 0 and self._coming() > 0:
                        item = self._queue.get(timeout=remaining)
                    else:
                        item = self._queue.get_nowait()
                except queue.Empty:
                    break
                if item is None:
                    last = True
                    break
                batch.append(item)
            self._run_batch(batch)
            if last:
                return

    def _run_batch(self, batch: Sequence[tuple[T, Future[Done[R]]]]) -> None:
        began = time.perf_counter()
        try:
            results = self._run([item for item, _ in batch])
            if len(results) != len(batch):
                raise ValueError(f"{len(batch)} items gave {len(results)} results")
        except Exception as error:  # noqa: BLE001 - the future raises it again
            if len(batch) == 1:
                batch[0][1].set_exception(error)
                return
            # One item may have made the whole batch fail, so each is tried alone.
            for entry in batch:
                self._run_batch([entry])
            return
        ended = time.perf_counter()
        for (_, future), result in zip(batch, results, strict=True):
            future.set_result(Done(result, len(batch), began, ended))
