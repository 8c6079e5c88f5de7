"""Worker processes for a CPU: each answers one image at a time with its own interpreter and model.

Besides its inference an image needs about a millisecond of Python. Threads of one interpreter take turns in it, and
cores would idle. A process can also be killed: an image that hangs or crashes a decoder costs one worker, which is
replaced, and no other image. concurrent.futures.ProcessPoolExecutor does neither: one process that dies breaks the
pool, a running task cannot be stopped, and its three threads cost more time per request than HTTP does.

The event loop itself talks to the workers. A thread for each would take turns with it, and wake it up through the
kernel for every image.
"""

from __future__ import annotations

import asyncio
import hashlib
import multiprocessing.process
import socket
import sys
from collections import Counter, deque
from collections.abc import Callable

from contract.images import UnreadableError
from training.job.container import emit
from training.job.errors import TrainingError
from training.model.artefact import ModelCard
from training.serving import worker_process
from training.serving.channel import Channel, WorkerLostError
from training.serving.inference import Answer, ThreadPredictor, Timings
from training.serving.negotiation import Asked
from training.serving.refusals import RefusedError
from training.serving.settings import Settings

# A worker that checks its own deadline answers within this time after it, and need not be killed.
GRACE_SECONDS = 5.0
# Between two attempts to start a worker: the machine may lack memory for a while.
RESTART_SECONDS = 1.0
# A worker may end or stall for reasons of its own. Of an image that has cost so many, the image is the reason.
MOST_LOST = 3
_REMEMBERED = 256


class WorkerError(TrainingError):
    """A worker process cannot start; the message is the worker's."""


class Workers:
    """As many processes as `settings.workers`, each of which answers one image at a time."""

    def __init__(
        self, make_predictor: Callable[[], ThreadPredictor], card: ModelCard, settings: Settings
    ) -> None:
        """Prepare the workers. `warm_up` starts them.

        Args:
            make_predictor: Called in each worker; it must be picklable.
            card: Of the model that the workers load.
            settings: The endpoint's.
        """
        self.card = card
        self._timeout = settings.image_seconds + GRACE_SECONDS
        self._workers = [_Worker(make_predictor) for _ in range(settings.workers)]
        # The worker that became free last is used first: its caches are warm.
        self._free: list[_Worker] = []
        self._waiting: deque[asyncio.Future[_Worker]] = deque()
        self._replacing: set[asyncio.Task[None]] = set()
        # How many workers each image has cost, by its SHA-256; the oldest are forgotten.
        self._costs: Counter[bytes] = Counter()

    def warm_up(self) -> None:
        """Start all workers, and return when each has run its model on a black picture.

        Raises:
            WorkerError: A worker ended, or its model failed.
        """
        for worker in self._workers:
            worker.start()
        for worker in self._workers:
            worker.wait_until_warm()
        self._free = list(self._workers)

    async def answer(self, data: bytes, timings: Timings, asked: Asked) -> Answer:
        """Answer one image.

        Raises:
            UnreadableError: The image cannot be decoded, or takes too long.
            RefusedError: The model failed on it, or its worker ended or stalled.
        """
        request = worker_process.request(data, timings, asked)
        while True:
            worker = await self._take()
            try:
                reply = worker.channel(self._lose_idle).ask(*request)
            except OSError:
                # It ended while it had no image: this one has not caused that.
                self._replace(worker)
            else:
                return await self._reply(worker, reply, data)

    async def _reply(self, worker: _Worker, reply: asyncio.Future[tuple[int, bytes]], data: bytes) -> Answer:
        stalled = asyncio.get_running_loop().call_later(self._timeout, _stall, reply)
        try:
            kind, body = await reply
        except WorkerLostError as error:
            self._replace(worker)
            raise self._lost(data, "worker_ended") from error
        except TimeoutError as error:
            emit("worker_killed", {"seconds": self._timeout}, to=sys.stderr)
            self._replace(worker)
            raise self._lost(data, "worker_stalled") from error
        except BaseException:
            # Nobody waits for this reply any more, and it must not be taken for that to the next image.
            self._replace(worker)
            raise
        finally:
            stalled.cancel()
        self._give(worker)
        if self._costs:
            # What has an answer was not the reason.
            del self._costs[_digest(data)]
        return worker_process.answer_of(kind, body)

    def _lost(self, data: bytes, code: str) -> Exception:
        """Return the error of an image whose worker was lost: it may try again, unless it has cost too many."""
        digest = _digest(data)
        self._costs[digest] += 1
        for forgotten in list(self._costs)[:-_REMEMBERED]:
            del self._costs[forgotten]
        if self._costs[digest] < MOST_LOST:
            what = "ended" if code == "worker_ended" else "did not answer"
            return RefusedError(503, code, f"the process that judged this image {what}; try again")
        del self._costs[digest]
        if code == "worker_ended":
            return RefusedError(500, code, f"this image has ended {MOST_LOST} worker processes")
        return UnreadableError("timed_out", f"the image takes longer than {self._timeout:g} s")

    async def _take(self) -> _Worker:
        if self._free:
            return self._free.pop()
        waiting: asyncio.Future[_Worker] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        try:
            return await waiting
        except asyncio.CancelledError:
            if waiting.done() and not waiting.cancelled() and not waiting.exception():
                self._give(waiting.result())
            raise

    def _give(self, worker: _Worker) -> None:
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_result(worker)
                return
        self._free.append(worker)

    def _lose_idle(self, worker: _Worker) -> None:
        if worker in self._free:
            self._free.remove(worker)
            self._replace(worker)

    def _replace(self, worker: _Worker) -> None:
        """Start another process for this one, while the others go on."""
        worker.disconnect()
        task = asyncio.get_running_loop().create_task(self._restart(worker))
        self._replacing.add(task)
        task.add_done_callback(self._replacing.discard)

    async def _restart(self, worker: _Worker) -> None:
        while True:
            try:
                if not await asyncio.to_thread(worker.restart):
                    return
            except (WorkerError, OSError) as error:
                emit("worker_failed", {"message": str(error)}, to=sys.stderr)
                if len(self._replacing) == len(self._workers):
                    self._refuse_waiting()
                await asyncio.sleep(RESTART_SECONDS)
            else:
                # So that the end of an idle worker is noticed, too.
                worker.channel(self._lose_idle)
                self._give(worker)
                return

    def _refuse_waiting(self) -> None:
        """Refuse the images that wait for a worker while none can be started."""
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_exception(
                    RefusedError(503, "worker_ended", "no worker process can start; try again")
                )

    def close(self) -> None:
        """End the processes. The requests inside were answered before."""
        for worker in self._workers:
            worker.close()


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _stall(reply: asyncio.Future[tuple[int, bytes]]) -> None:
    if not reply.done():
        reply.set_exception(TimeoutError())


class _Worker:
    """One place for a process, and the socket to the process that has it."""

    def __init__(self, make_predictor: Callable[[], ThreadPredictor]) -> None:
        self._make_predictor = make_predictor
        self._process: multiprocessing.process.BaseProcess | None = None
        self._socket: socket.socket | None = None
        self._channel: Channel | None = None
        self._closed = False

    def start(self) -> None:
        self._process, self._socket = worker_process.start(self._make_predictor)

    def wait_until_warm(self) -> None:
        try:
            assert self._socket is not None  # noqa: S101 - it was started
            failure = worker_process.first_reply(self._socket)
        except (EOFError, OSError):
            failure = f"a worker process ended while it started, with exit code {self.end()}"
        if failure:
            raise WorkerError(failure)

    def restart(self) -> bool:
        """Replace the process by another one, and wait until that is warm. Called in a thread of its own.

        Returns:
            Whether there is one: not if the worker was closed meanwhile.

        Raises:
            WorkerError: The process cannot start.
        """
        if self._process is not None:
            emit("worker_ended", {"exit_code": self.end()}, to=sys.stderr)
        if not self._closed:
            self.start()
        # It may be closed while it starts; then its end is no failure.
        if self._closed:
            self.end()
            return False
        try:
            self.wait_until_warm()
        except WorkerError:
            if not self._closed:
                raise
        return not self._closed

    def channel(self, on_lost: Callable[[_Worker], None]) -> Channel:
        """Return the channel to the process; the running event loop opens it when it is first asked for."""
        if self._channel is None:
            assert self._socket is not None  # noqa: S101 - it was started
            self._channel = Channel(self._socket, lambda: on_lost(self))
        return self._channel

    def disconnect(self) -> None:
        """Take nothing more from the process."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def end(self) -> int | None:
        """Kill the process, which has nothing to save. Returns its exit code."""
        process, self._process = self._process, None
        if process is None:
            return None
        process.kill()
        process.join()
        if self._socket is not None:
            self._socket.close()
        return process.exitcode

    def close(self) -> None:
        """End the process, and start no other one."""
        self._closed = True
        self.disconnect()
        self.end()
