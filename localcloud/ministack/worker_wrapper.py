"""Runs the workers of functions so that none outlives the local cloud.

    python -P worker_wrapper.py PIPE SCRIPT
    python -P worker_wrapper.py PIPE --fork SOCKET STATUSES

PIPE is the number of the file descriptor of a pipe whose other end only the local cloud has. The kernel closes it
however the cloud ends, also after `kill -9`; then this program ends, even in the middle of a batch. (Standard input
is a pipe too, but the worker reads it only between two batches.) This file imports nothing of ours.

The first form is one worker. The second imports the libraries that functions need, and forks a worker for each
request on SOCKET (forked_workers.py): a worker then starts in a hundredth of a second instead of in one, and shares the
memory of the libraries with the others. The exit of a worker is a line on STATUSES.
"""

import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

# Only libraries that run no thread and keep nothing of the environment: a fork copies neither threads nor variables.
LIBRARIES = (
    *("boto3.dynamodb.conditions", "boto3.dynamodb.types", "botocore.handlers"),
    *(
        "aws_lambda_powertools.logging",
        "aws_lambda_powertools.metrics",
        "aws_lambda_powertools.utilities.parameters",
    ),
    "aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event",
    *("pydantic.types", "PIL.ImageDraw", "PIL.ImageOps", "PIL.TiffImagePlugin"),
)
_REQUEST_BYTES = 1 << 17
_STANDARD_STREAMS = 3


def end_with(pipe: int) -> None:
    """Wait until the pipe closes, then end the whole process group."""
    while os.read(pipe, 1024):
        pass
    os.killpg(0, signal.SIGKILL)


def run(pipe: int, script: str) -> None:
    """Run a worker's script, and end with the local cloud."""
    os.set_inheritable(pipe, False)
    threading.Thread(target=end_with, args=(pipe,), daemon=True).start()
    sys.argv = [script]
    runpy.run_path(script, run_name="__main__")


def import_libraries(folder: Path) -> None:
    """Import the libraries that the code in a folder names.

    One that this Python lacks is the function's own error, when it imports it.
    """
    missing = [name for name in LIBRARIES if name not in sys.modules]
    if not missing:
        return
    code = b"".join(file.read_bytes() for file in folder.rglob("*.py"))
    for name in missing:
        if name.partition(".")[0].encode() in code:
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
    # What is there now is no garbage; to look at it would copy its memory in each worker.
    gc.freeze()


def fork_workers(requests: socket.socket, statuses: int) -> str:
    """Fork a worker for each request.

    Args:
        requests: Each message is a worker's script, folder and variables, and has its standard streams with it. The
            worker answers with its process id.
        statuses: Where a line is written for each worker that ends: its process id, and its exit status.

    Returns:
        In a worker, its script. The process that forks them never returns.
    """
    woken, wake = os.pipe()
    for end in (woken, wake):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    while True:
        ready = select.select([requests.fileno(), woken], [], [])[0]
        if woken in ready:
            os.read(woken, _REQUEST_BYTES)
            _report_ended(statuses)
        if requests.fileno() not in ready:
            continue
        message, streams, _, _ = socket.recv_fds(requests, _REQUEST_BYTES, _STANDARD_STREAMS)
        if not message:
            # The local cloud has ended, which each worker sees itself.
            os._exit(0)
        worker = json.loads(message)
        import_libraries(Path(worker["folder"]))
        if os.fork() == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for end in (woken, wake, statuses):
                os.close(end)
            return _become(worker, streams, requests)
        for stream in streams:
            os.close(stream)


def _become(worker: dict[str, Any], streams: list[int], requests: socket.socket) -> str:
    """Give this process what a new one would have had from its start, and return the worker's script."""
    os.setsid()
    requests.send(str(os.getpid()).encode())
    requests.close()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(worker["folder"])
    os.environ.clear()
    os.environ.update(worker["variables"])
    time.tzset()
    return str(worker["script"])


def _report_ended(statuses: int) -> None:
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            os.write(statuses, f"{ended[0]} {os.waitstatus_to_exitcode(ended[1])}\n".encode())


if __name__ == "__main__":
    own_pipe, what = int(sys.argv[1]), sys.argv[2]
    if what == "--fork":
        what = fork_workers(socket.socket(fileno=int(sys.argv[3])), int(sys.argv[4]))
    run(own_pipe, what)
