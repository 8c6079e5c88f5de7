"""Worker processes: images judged side by side on a CPU, each with an interpreter and a model of its own.

Around its inference an image needs about a millisecond of Python, and threads of one interpreter take turns in
it, so that cores idle. A process can also be killed: an image that hangs or crashes a decoder costs one worker,
which starts anew, and no other image. concurrent.futures.ProcessPoolExecutor can do neither: one death breaks
the pool for all, a task that runs cannot be ended, and its three threads cost more of a request than HTTP does.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import queue
import struct
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import cast

from contract.images import UnreadableError
from training.job.container import emit
from training.job.errors import TrainingError
from training.model.artefact import ModelCard
from training.serving.errors import RefusedError, internal
from training.serving.inference import Answer, Judge, Timings
from training.serving.settings import Settings

GRACE_SECONDS = 5.0  # a worker that keeps the time itself answers within it, and need not start anew
# Workers are forked from a process that has imported the program and done nothing else: they start at once and
# share its memory. macOS' own libraries do not bear a fork.
_CONTEXT = (
    multiprocessing.get_context("forkserver")
    if sys.platform == "linux"
    else multiprocessing.get_context("spawn")
)
_PRELOADED = ["uvicorn", "training.serving.app", "training.serving.session"]
_MOMENTS = struct.Struct("dd")


class WorkerError(TrainingError):
    """A worker process cannot start; the message says what it said."""


class Workers:
    """As many processes as `settings.workers`, each of which judges one image at a time."""

    def __init__(self, make: Callable[[], Judge], card: ModelCard, settings: Settings) -> None:
        """make: gives a worker its judge, in the worker; to be found by its name there."""
        self.card = card
        self._patience = settings.image_seconds + GRACE_SECONDS
        self._all = [_Worker(make) for _ in range(settings.workers)]
        # The last to become free comes first: its caches are warm.
        self._free: queue.LifoQueue[_Worker] = queue.LifoQueue()
        self._threads = ThreadPoolExecutor(settings.workers, thread_name_prefix="worker")

    def warm_up(self) -> None:
        """Starts all, and returns when each has judged a black picture. Raises WorkerError."""
        for worker in self._all:
            worker.start()
        for worker in self._all:
            worker.wait_until_warm()
            self._free.put(worker)

    async def answer(self, data: bytes, timings: Timings) -> Answer:
        """The document that the contract wants. Raises UnreadableError, RefusedError."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._ask, data, timings)

    def _ask(self, data: bytes, timings: Timings) -> Answer:
        worker = self._free.get()
        try:
            return worker.ask(data, timings, self._patience)
        finally:
            self._free.put(worker)

    def close(self) -> None:
        """Ends the processes once they have finished what they have."""
        self._threads.shutdown(wait=True)
        for worker in self._all:
            worker.end()


class _Worker:
    """One process, and the pipe to it; for one thread at a time."""

    def __init__(self, make: Callable[[], Judge]) -> None:
        self._make = make
        self._process: multiprocessing.process.BaseProcess | None = None

    def start(self) -> None:
        _CONTEXT.set_forkserver_preload(_PRELOADED)
        self._pipe, theirs = _CONTEXT.Pipe()
        process = _CONTEXT.Process(target=_serve, args=(self._make, theirs), daemon=True)
        process.start()
        theirs.close()
        self._process = process

    def wait_until_warm(self) -> None:
        try:
            failure = self._pipe.recv_bytes().decode()
        except (EOFError, OSError):
            failure = f"a worker process ended while it started, with exit code {self.end()}"
        if failure:
            raise WorkerError(failure)

    def ask(self, data: bytes, timings: Timings, patience: float) -> Answer:
        try:
            if self._process is None or not self._sent(data, timings):
                self.end()
                self.start()
                self.wait_until_warm()
                self._send(data, timings)
            in_time = self._pipe.poll(patience)
            reply = self._pipe.recv_bytes() if in_time else b""
        except (EOFError, OSError) as error:
            emit("worker_ended", {"exit_code": self.end()}, to=sys.stderr)
            raise RefusedError(500, "worker_ended", "the process that judged this image ended") from error
        if not in_time:
            self.end()
            emit("worker_killed", {"seconds": patience}, to=sys.stderr)
            raise UnreadableError("timed_out", f"the image takes longer than {patience:g} s")
        return _read(reply)

    def _send(self, data: bytes, timings: Timings) -> None:
        self._pipe.send_bytes(_MOMENTS.pack(timings.arrived, timings.received))
        self._pipe.send_bytes(data)

    def _sent(self, data: bytes, timings: Timings) -> bool:
        """False if the process has ended since its last image, which is not this one's fault."""
        try:
            self._send(data, timings)
        except OSError:
            return False
        return True

    def end(self) -> int | None:
        """Kills the process, which keeps nothing; its exit code."""
        if self._process is None:
            return None
        process, self._process = self._process, None
        process.kill()
        process.join()
        self._pipe.close()
        return process.exitcode


def _serve(make: Callable[[], Judge], pipe: Connection) -> None:
    """The worker's own program, until the other end of its pipe is closed or lost."""
    # Ctrl+C, or a signal to the program's group, is for the program: it drains, and ends its workers.
    os.setsid()
    with suppress(EOFError, OSError):
        try:
            judge = make()
            judge.warm_up()
        except Exception as error:  # noqa: BLE001 - the program ends with it, and its log says why
            pipe.send_bytes(f"{type(error).__name__}: {error}".encode())
            return
        pipe.send_bytes(b"")
        while True:
            moments = _MOMENTS.unpack(pipe.recv_bytes())
            pipe.send_bytes(_reply(judge, pipe.recv_bytes(), Timings(*moments)))


def _reply(judge: Judge, data: bytes, timings: Timings) -> bytes:
    """A line of JSON that says what became of the image, and the answer's body."""
    try:
        answer = cast(Answer, judge.work(data, timings))  # a worker never batches
        return b"{}\n" + answer.body
    except UnreadableError as error:
        refusal: dict[str, object] = {"code": error.code, "message": str(error)}
    except Exception as error:  # noqa: BLE001 - an error of ours is an answer, and counted
        told = error if isinstance(error, RefusedError) else internal(error)
        refusal = {"status": told.status, "code": told.code, "message": str(told)}
    return json.dumps(refusal).encode() + b"\n"


def _read(reply: bytes) -> Answer:
    head, _, body = reply.partition(b"\n")
    refusal = json.loads(head)
    if "status" in refusal:
        raise RefusedError(**refusal)
    if refusal:
        raise UnreadableError(**refusal)
    return Answer(body, batch_size=1)
