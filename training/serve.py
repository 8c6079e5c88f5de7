"""The container program `serve`: `python -m training.serve`.

Reads <root>/model/model.onnx and model.json; listens on $LOUPE_BIND_HOST (default 0.0.0.0) and
$SAGEMAKER_BIND_TO_PORT (default 8080; 0 takes a free one). Settings, all optional: LOUPE_WORKERS (images
at once, default one a core), LOUPE_WAITING (further ones that may queue, default 32), LOUPE_MAX_PIXELS.
On SIGTERM it stops accepting, finishes what it has begun, and exits 0.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from types import FrameType

import uvicorn

from training.container import Container, emit, run
from training.errors import TrainingError
from training.onnx_model import OnnxModel
from training.pixels import MAX_PIXELS
from training.serving.app import Endpoint, Limits

DRAIN_SECONDS = 30


class SettingError(TrainingError):
    """An environment variable or the port is not usable."""


def serve(container: Container) -> None:
    """Serves the container's model until SIGTERM. Raises TrainingError if it cannot start."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limits = Limits(
        workers=max(1, _number("LOUPE_WORKERS", cores)),
        waiting=_number("LOUPE_WAITING", 32),
        pixels=_number("LOUPE_MAX_PIXELS", MAX_PIXELS),
    )
    listener = _listen(os.environ.get("LOUPE_BIND_HOST", "0.0.0.0"), _number("SAGEMAKER_BIND_TO_PORT", 8080))  # noqa: S104 - a container's port
    # Each worker infers on one thread: side by side they use the cores better than one wide inference.
    model = OnnxModel(container.model, threads=max(1, cores // limits.workers))
    emit(
        "serving",
        {
            "host": listener.getsockname()[0],
            "port": listener.getsockname()[1],
            "model": {"name": model.card.name, "version": model.card.version, "family": model.card.family},
            "workers": limits.workers,
        },
        to=sys.stderr,
    )
    config = uvicorn.Config(
        Endpoint(model, limits).app(),
        lifespan="on",
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        timeout_keep_alive=75,  # longer than SageMaker's and boto3's pooled connections stay idle
    )
    # uvicorn drains, then sends itself the signal again; this makes that second one a plain exit.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _exit)
    uvicorn.Server(config).run(sockets=[listener])


def _exit(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket with TCP_NODELAY, which connections inherit: small answers leave at once."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise SettingError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    return listener


def _number(name: str, default: int) -> int:
    text = os.environ.get(name, str(default))
    if not text.isdecimal():
        raise SettingError(f"{name}={text!r} must be a whole number")
    return int(text)


if __name__ == "__main__":
    raise SystemExit(run(serve))
