"""Serve a model: the program of the SageMaker endpoint, also run by hand.

In a container: python -m training.serve    (reads <root>/model; listens on 0.0.0.0:8080, or on
                $LOUPE_BIND_HOST and $SAGEMAKER_BIND_TO_PORT; port 0 takes a free one)
By hand:        python -m training.serve --model model.tar.gz --port 8080    (listens on 127.0.0.1)

Settings are environment variables: LOUPE_<NAME> for each of training/serving/settings.py, and LOUPE_DEVICE (auto, cpu
or cuda). On SIGTERM it accepts no more connections, finishes the requests inside, and exits 0.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from types import FrameType

import uvicorn

from training.job.container import Container, cores, emit, run
from training.job.errors import TrainingError
from training.model.artefact import unpack
from training.serving.app import Endpoint
from training.serving.inference import Predictor, ThreadPredictor
from training.serving.session import CPU, CUDA, ServedModel, cuda_offered
from training.serving.settings import SettingError, Settings
from training.serving.workers import Workers

DRAIN_SECONDS = 25  # SageMaker kills a container 30 s after SIGTERM


class WarmUpError(TrainingError):
    """The model was loaded, but fails on a black picture."""


def serve(folder: Path, host: str, port: int) -> None:
    """Serve the model in `folder` until SIGTERM.

    Raises:
        TrainingError: It cannot start: the address, a setting or the model is not usable.
    """
    listener = _listen(host, port)
    model, settings = _load(folder, os.environ.get("LOUPE_DEVICE", "auto"))
    predictor = _predictor(model, folder, settings)
    _log_start(listener, model, predictor, settings)
    del model  # worker processes load their own

    def stop() -> None:
        server.should_exit = True

    endpoint = Endpoint(predictor, settings, on_failure=stop)
    server = uvicorn.Server(_server_settings(endpoint))
    # uvicorn drains, then sends itself the signal again. With this handler, that second signal is a plain exit.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _exit)
    server.run(sockets=[listener])
    if endpoint.failure:
        raise WarmUpError(f"the model fails on a black picture: {endpoint.failure}") from endpoint.failure


def _log_start(listener: socket.socket, model: ServedModel, predictor: Predictor, settings: Settings) -> None:
    host, port = listener.getsockname()
    emit(
        "serving",
        {
            "host": host,
            "port": port,
            "model": {"name": model.card.name, "version": model.card.version, "family": model.card.family},
            "provider": model.provider,
            "workers": settings.workers,
            "processes": isinstance(predictor, Workers),
            "batch": settings.batch,
            "tiles": asdict(model.card.tiles) if model.card.tiles else None,
        },
        to=sys.stderr,
    )


def _server_settings(endpoint: Endpoint) -> uvicorn.Config:
    return uvicorn.Config(
        endpoint.app(),
        lifespan="on",
        log_level="warning",
        access_log=False,
        proxy_headers=False,  # nothing here depends on the client's address
        timeout_graceful_shutdown=DRAIN_SECONDS,
        timeout_keep_alive=75,  # longer than pooled connections of SageMaker and boto3 stay idle
    )


def _load(folder: Path, device: str) -> tuple[ServedModel, Settings]:
    """Load the model, and read the settings for the processor that it runs on."""
    cpu, settings = Settings.read(gpu=False), Settings.read(gpu=device != "cpu" and cuda_offered())
    model = ServedModel(folder, _threads(settings), device)
    # Only a loaded model shows whether there is a GPU, and how many images the graph takes.
    if model.provider != CUDA and settings != cpu:
        model, settings = ServedModel(folder, _threads(cpu), "cpu"), cpu
    return model, settings if model.any_batch else replace(settings, batch=1)


def _predictor(model: ServedModel, folder: Path, settings: Settings) -> Predictor:
    """Threads if images share an inference or a GPU, else worker processes."""
    if settings.batch > 1 or model.provider != CPU:
        return ThreadPredictor(model, settings)
    return Workers(partial(_worker_predictor, folder, settings), model.card, settings)


def _worker_predictor(folder: Path, settings: Settings) -> ThreadPredictor:
    """Called in a worker process."""
    return ThreadPredictor(ServedModel(folder, _threads(settings), "cpu"), settings)


def _threads(settings: Settings) -> int:
    """Threads of one inference. Workers with one thread each use the cores better than one inference on all cores."""
    return max(1, cores() // settings.workers) if settings.batch == 1 else cores()


def _exit(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


def _listen(host: str, port: int) -> socket.socket:
    """Return a listening socket with TCP_NODELAY, which connections inherit: small answers are sent at once."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise SettingError(f"cannot listen on {host}:{port}: {error}") from error
    return listener


def _serve_container(container: Container) -> None:
    port = os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080")
    if not port.isdecimal():
        raise SettingError(f"SAGEMAKER_BIND_TO_PORT={port!r} must be a whole number")
    host = os.environ.get("LOUPE_BIND_HOST", "0.0.0.0")  # noqa: S104 - a container's port
    serve(container.model, host, int(port))


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve by hand with options, or as a container without any. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m training.serve", description=__doc__)
    parser.add_argument("--model", type=Path, help="model.tar.gz")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    parser.add_argument(
        "--port", type=int, default=8080, help="port to listen on; 0: a free one (default 8080)"
    )
    options = parser.parse_args(arguments)
    if options.model is None:
        return run(_serve_container)
    try:
        with tempfile.TemporaryDirectory(prefix="loupe-serve-") as folder:
            unpack(options.model, Path(folder))
            serve(Path(folder), options.host, options.port)
    except TrainingError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
