"""One worker process, and both ends of the socket that joins it to the server.

A request is a head and the image, a reply a head and the answer's body. Each is one write and, unless it is large, one
read: whoever waits for it wakes up once.
"""

from __future__ import annotations

import json
import multiprocessing
import multiprocessing.process
import multiprocessing.util
import os
import select
import socket
import struct
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import cast

from contract.images import UnreadableError
from training.serving.inference import Answer, ThreadPredictor, Timings
from training.serving.negotiation import Asked, Form
from training.serving.refusals import RefusedError, internal_error

# Workers are forked from a process that has only imported the program: they start at once and share its memory. The
# libraries of macOS do not support a fork.
_CONTEXT = (
    multiprocessing.get_context("forkserver")
    if sys.platform == "linux"
    else multiprocessing.get_context("spawn")
)
_PRELOADED = [
    "uvicorn",
    "training.serving.app",
    "training.serving.session",
    "training.serving.worker_process",
]
# The size of the image, two moments, the bit depth (0 if it is not known), the form of the answer, and whether it has
# a heat map.
_REQUEST = struct.Struct("!QddBB?")
# The size of the body, and what it is.
REPLY = struct.Struct("!QB")
WARM, ANSWERED, UNREADABLE, REFUSED, FAILED_TO_START = range(5)
# A usual image arrives in one read, whatever its head.
_BUFFER = 1 << 17
# The forkserver listens on a socket in the folder for temporary files, TMPDIR/pymp-XXXXXXXX/listener-XXXXXXXX. Linux
# allows 107 bytes for its path, macOS 103 (https://man7.org/linux/man-pages/man7/unix.7.html).
_LONGEST_TMPDIR = 103 - len("/pymp-XXXXXXXX/listener-XXXXXXXX")


def start(
    make_predictor: Callable[[], ThreadPredictor],
) -> tuple[multiprocessing.process.BaseProcess, socket.socket]:
    """Start a worker, and return its process and the server's end of the socket.

    Args:
        make_predictor: Called in the worker; it must be picklable.
    """
    _shorten_socket_path()
    _CONTEXT.set_forkserver_preload(_PRELOADED)
    ours, theirs = socket.socketpair()
    # multiprocessing knows how to pass on its own connections.
    passed = Connection(theirs.detach())
    process = _CONTEXT.Process(target=_run, args=(make_predictor, passed), daemon=True)
    process.start()
    passed.close()
    return process, ours


def request(data: bytes, timings: Timings, asked: Asked) -> tuple[bytes, bytes]:
    """Return the head of a request, and its image."""
    moments = timings.arrived, timings.received
    return _REQUEST.pack(len(data), *moments, asked.bit_depth or 0, asked.form, asked.heat_map), data


def answer_of(kind: int, body: bytes) -> Answer:
    """Return the answer in a reply.

    Raises:
        UnreadableError: The image cannot be decoded, or takes too long.
        RefusedError: The model failed on it.
    """
    if kind == ANSWERED:
        return Answer(body, batch_size=1)
    arguments = json.loads(body)
    raise (UnreadableError if kind == UNREADABLE else RefusedError)(**arguments)


def first_reply(server_end: socket.socket) -> str | None:
    """Wait until a worker is warm. Returns why it cannot start, or None.

    Raises:
        EOFError: It has ended.
        OSError: Likewise.
    """
    with server_end.makefile("rb") as stream:
        size, kind = REPLY.unpack(_exactly(stream.read(REPLY.size), REPLY.size))
        body = _exactly(stream.read(size), size)
    return None if kind == WARM else body.decode()


def _exactly(received: bytes | None, size: int) -> bytes:
    if received is None or len(received) < size:
        raise EOFError
    return received


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


def _run(make_predictor: Callable[[], ThreadPredictor], passed: Connection) -> None:
    """The program of a worker process. It ends when the other end of its socket is closed."""
    # Ctrl+C, or a signal to the process group, must reach the main process only: it drains, and ends its workers.
    os.setsid()
    connection = socket.socket(fileno=os.dup(passed.fileno()))
    passed.close()
    threading.Thread(target=_end_without_server, args=(connection.fileno(),), daemon=True).start()
    requests = connection.makefile("rb", buffering=_BUFFER)
    with suppress(EOFError, OSError):
        try:
            predictor = make_predictor()
            predictor.warm_up()
        except Exception as error:  # noqa: BLE001 - the program ends with it and logs it
            _send(connection, FAILED_TO_START, f"{type(error).__name__}: {error}".encode())
            return
        _send(connection, WARM, b"")
        while True:
            head = _exactly(requests.read(_REQUEST.size), _REQUEST.size)
            size, arrived, received, bit_depth, form, heat_map = _REQUEST.unpack(head)
            data = _exactly(requests.read(size), size)
            asked = Asked(Form(form), heat_map, bit_depth or None)
            _send(connection, *_reply(predictor, data, Timings(arrived, received), asked))


def _send(connection: socket.socket, kind: int, body: bytes) -> None:
    connection.sendall(REPLY.pack(len(body), kind) + body)


def _end_without_server(descriptor: int) -> None:
    """End this process as soon as the other end of its socket is closed, even in the middle of an image.

    The kernel can do that only at the end of the parent, which is the forkserver, and that may end before the program.
    """
    hang_up = select.poll()
    hang_up.register(descriptor, 0)
    hang_up.poll()
    os._exit(0)


def _reply(predictor: ThreadPredictor, data: bytes, timings: Timings, asked: Asked) -> tuple[int, bytes]:
    """Return the kind and the body of a reply: the answer's, or the arguments of an error as JSON."""
    try:
        return ANSWERED, cast(Answer, predictor.process(data, timings, asked)).body  # a worker never batches
    except UnreadableError as error:
        kind, arguments = UNREADABLE, {"code": error.code, "message": str(error)}
    except Exception as error:  # noqa: BLE001 - the client gets an answer, and the metrics count it
        refusal = error if isinstance(error, RefusedError) else internal_error(error)
        kind, arguments = REFUSED, {"code": refusal.code, "message": str(refusal)}
        return kind, json.dumps({"status": refusal.status, **arguments}).encode()
    return kind, json.dumps(arguments).encode()
