"""Worker processes for a CPU: each answers one image at a time with its own interpreter and model.

Besides its inference an image needs about a millisecond of Python. Threads of one interpreter take turns in it, and
cores would idle. A process can also be killed: an image that hangs or crashes a decoder costs one worker, which is
restarted, and no other image. concurrent.futures.ProcessPoolExecutor does neither: one process that dies breaks the
pool, a running task cannot be stopped, and its three threads cost more time per request than HTTP does.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import multiprocessing.util
import os
import queue
import select
import struct
import sys
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import cast

from contract.images import UnreadableError
from training.job.container import emit
from training.job.errors import TrainingError
from training.model.artefact import ModelCard
from training.serving.inference import Answer, ThreadPredictor, Timings
from training.serving.negotiation import Asked, Form
from training.serving.refusals import RefusedError, internal_error
from training.serving.settings import Settings

# A worker that checks its own deadline answers within this time after it, and need not be killed.
GRACE_SECONDS = 5.0
# Workers are forked from a process that has only imported the program: they start at once and share its memory. The
# libraries of macOS do not support a fork.
_CONTEXT = (
    multiprocessing.get_context("forkserver")
    if sys.platform == "linux"
    else multiprocessing.get_context("spawn")
)
_PRELOADED = ["uvicorn", "training.serving.app", "training.serving.session"]
# Two moments, the bit depth (0 if it is not known), the form of the answer, and whether it has a heat map.
_REQUEST = struct.Struct("ddBB?")
# The forkserver listens on a socket in the folder for temporary files, TMPDIR/pymp-XXXXXXXX/listener-XXXXXXXX. Linux
# allows 107 bytes for its path, macOS 103 (https://man7.org/linux/man-pages/man7/unix.7.html).
_LONGEST_TMPDIR = 103 - len("/pymp-XXXXXXXX/listener-XXXXXXXX")


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
        self._free: queue.LifoQueue[_Worker] = queue.LifoQueue()
        self._threads = ThreadPoolExecutor(settings.workers, thread_name_prefix="worker")

    def warm_up(self) -> None:
        """Start all workers, and return when each has run its model on a black picture.

        Raises:
            WorkerError: A worker ended, or its model failed.
        """
        for worker in self._workers:
            worker.start()
        for worker in self._workers:
            worker.wait_until_warm()
            self._free.put(worker)

    async def answer(self, data: bytes, timings: Timings, asked: Asked) -> Answer:
        """Answer one image.

        Raises:
            UnreadableError: The image cannot be decoded, or takes too long.
            RefusedError: The model failed on it, or its worker ended.
        """
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, self._ask, data, timings, asked
        )

    def _ask(self, data: bytes, timings: Timings, asked: Asked) -> Answer:
        worker = self._free.get()
        try:
            return worker.ask(data, timings, self._timeout, asked)
        finally:
            self._free.put(worker)

    def close(self) -> None:
        """End the processes once they have finished their images."""
        self._threads.shutdown(wait=True)
        for worker in self._workers:
            worker.end()


class _Worker:
    """One process, and the pipe to it. Only one thread at a time may use it."""

    def __init__(self, make_predictor: Callable[[], ThreadPredictor]) -> None:
        self._make_predictor = make_predictor
        self._process: multiprocessing.process.BaseProcess | None = None

    def start(self) -> None:
        _shorten_socket_path()
        _CONTEXT.set_forkserver_preload(_PRELOADED)
        self._pipe, other_end = _CONTEXT.Pipe()
        process = _CONTEXT.Process(target=_run_worker, args=(self._make_predictor, other_end), daemon=True)
        process.start()
        other_end.close()
        self._process = process

    def wait_until_warm(self) -> None:
        try:
            failure = self._pipe.recv_bytes().decode()
        except (EOFError, OSError):
            failure = f"a worker process ended while it started, with exit code {self.end()}"
        if failure:
            raise WorkerError(failure)

    def ask(self, data: bytes, timings: Timings, timeout: float, asked: Asked) -> Answer:
        try:
            if self._process is None or not self._try_to_send(data, timings, asked):
                self.end()
                self.start()
                self.wait_until_warm()
                self._send(data, timings, asked)
            in_time = self._pipe.poll(timeout)
            reply = self._pipe.recv_bytes() if in_time else b""
        except (EOFError, OSError) as error:
            emit("worker_ended", {"exit_code": self.end()}, to=sys.stderr)
            raise RefusedError(500, "worker_ended", "the process that judged this image ended") from error
        if not in_time:
            self.end()
            emit("worker_killed", {"seconds": timeout}, to=sys.stderr)
            raise UnreadableError("timed_out", f"the image takes longer than {timeout:g} s")
        return _read_reply(reply)

    def _send(self, data: bytes, timings: Timings, asked: Asked) -> None:
        self._pipe.send_bytes(
            _REQUEST.pack(timings.arrived, timings.received, asked.bit_depth or 0, asked.form, asked.heat_map)
        )
        self._pipe.send_bytes(data)

    def _try_to_send(self, data: bytes, timings: Timings, asked: Asked) -> bool:
        """False if the process has ended since its last image: this image has not caused that."""
        try:
            self._send(data, timings, asked)
        except OSError:
            return False
        return True

    def end(self) -> int | None:
        """Kill the process, which has nothing to save. Returns its exit code."""
        if self._process is None:
            return None
        process, self._process = self._process, None
        process.kill()
        process.join()
        self._pipe.close()
        return process.exitcode


def _shorten_socket_path() -> None:
    """Make multiprocessing use /tmp for its sockets if the path of TMPDIR is too long for them."""
    if len(os.fsencode(tempfile.gettempdir())) <= _LONGEST_TMPDIR:
        return
    configured, tempfile.tempdir = tempfile.tempdir, "/tmp"  # noqa: S108 - a folder of mode 0700 is made in it
    try:
        # Makes the folder once for this process, and removes it at the end.
        multiprocessing.util.get_temp_dir()
    finally:
        tempfile.tempdir = configured


def _run_worker(make_predictor: Callable[[], ThreadPredictor], pipe: Connection) -> None:
    """The program of a worker process. It ends when the other end of its pipe is closed."""
    # Ctrl+C, or a signal to the process group, must reach the main process only: it drains, and ends its workers.
    os.setsid()
    threading.Thread(target=_end_without_reader, args=(pipe.fileno(),), daemon=True).start()
    with suppress(EOFError, OSError):
        try:
            predictor = make_predictor()
            predictor.warm_up()
        except Exception as error:  # noqa: BLE001 - the program ends with it and logs it
            pipe.send_bytes(f"{type(error).__name__}: {error}".encode())
            return
        pipe.send_bytes(b"")
        while True:
            arrived, received, bit_depth, form, heat_map = _REQUEST.unpack(pipe.recv_bytes())
            asked = Asked(Form(form), heat_map, bit_depth or None)
            pipe.send_bytes(_reply(predictor, pipe.recv_bytes(), Timings(arrived, received), asked))


def _end_without_reader(pipe: int) -> None:
    """End this process as soon as the other end of its pipe is closed, even in the middle of an image.

    The kernel can do that only at the end of the parent, which is the forkserver, and that may end before the program.
    """
    hang_up = select.poll()
    hang_up.register(pipe, 0)
    hang_up.poll()
    os._exit(0)


def _reply(predictor: ThreadPredictor, data: bytes, timings: Timings, asked: Asked) -> bytes:
    """Return a line of JSON, which is {} or the arguments of an error, and after it the answer's body."""
    try:
        answer = cast(Answer, predictor.process(data, timings, asked))  # a worker never batches
        return b"{}\n" + answer.body
    except UnreadableError as error:
        arguments: dict[str, object] = {"code": error.code, "message": str(error)}
    except Exception as error:  # noqa: BLE001 - the client gets an answer, and the metrics count it
        refusal = error if isinstance(error, RefusedError) else internal_error(error)
        arguments = {"status": refusal.status, "code": refusal.code, "message": str(refusal)}
    return json.dumps(arguments).encode() + b"\n"


def _read_reply(reply: bytes) -> Answer:
    first_line, _, body = reply.partition(b"\n")
    arguments = json.loads(first_line)
    if "status" in arguments:
        raise RefusedError(**arguments)
    if arguments:
        raise UnreadableError(**arguments)
    return Answer(body, batch_size=1)
