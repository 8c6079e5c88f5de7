"""Serve a model: the program of the SageMaker endpoint, also run by hand.

In a container: python -m training.serve    (reads <root>/model; listens on 0.0.0.0:8080, or on
                $LOUPE_BIND_HOST and $SAGEMAKER_BIND_TO_PORT; port 0 takes a free one)
By hand:        python -m training.serve --model model.tar.gz --port 8080    (listens on 127.0.0.1)

Settings are environment variables: LOUPE_<NAME> for each of training/serving/settings.py, and LOUPE_DEVICE (auto, cpu
or cuda). On SIGTERM, Ctrl+C or a closed terminal it accepts no more connections, finishes the requests inside, and
exits 0.
"""

from __future__ import annotations

import argparse
import errno
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from types import FrameType

import uvicorn

from contract.text import plain
from training.job import by_hand
from training.job.container import Container, cores, emit, run
from training.job.device import wanted_device
from training.job.errors import TrainingError
from training.job.stopping import check
from training.model.artefact import ModelCard, unpack
from training.model.models import Models
from training.serving.app import Endpoint
from training.serving.inference import Predictor, ThreadPredictor
from training.serving.protocol import HttpProtocol
from training.serving.session import CPU, CUDA, cuda_offered, load_served
from training.serving.settings import SettingError, Settings
from training.serving.workers import Workers

DRAIN_SECONDS = 25  # SageMaker kills a container 30 s after SIGTERM


class WarmUpError(TrainingError):
    """The model was loaded, but fails on a black picture."""


@dataclass(frozen=True, slots=True)
class Start:
    """What a server tells about itself at its start."""

    host: str
    port: int
    card: ModelCard
    provider: str
    settings: Settings
    processes: bool

    @property
    def url(self) -> str:
        """The address for a client on this machine."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - compared only
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    def document(self) -> dict[str, object]:
        """Return the start for JSON."""
        card = self.card
        return {
            "host": self.host,
            "port": self.port,
            "url": self.url,
            "model": {"name": card.name, "version": card.version, "family": card.family},
            "provider": self.provider,
            "workers": self.settings.workers,
            "processes": self.processes,
            "batch": self.settings.batch,
            "tiles": asdict(card.tiles) if card.tiles else None,
            "anomaly_model": card.anomaly_model,
        }


def serve(
    folder: Path,
    host: str,
    port: int,
    environment: Mapping[str, str] = os.environ,
    on_start: Callable[[Start], None] = lambda _: None,
    on_warm: Callable[[Start], None] = lambda _: None,
) -> None:
    """Serve the model in `folder` until SIGTERM.

    Args:
        folder: An unpacked artefact.
        host: The address to listen on.
        port: The port; 0 takes a free one.
        environment: Of the settings.
        on_start: Called once the server accepts connections.
        on_warm: Called once it answers images.

    Raises:
        TrainingError: It cannot start: the address, a setting or the model is not usable.
    """
    listener = _listen(host, port)
    models, settings = _load(folder, environment)
    predictor = _predictor(models, folder, settings)
    address = listener.getsockname()
    start = Start(
        address[0], address[1], models.card, models.provider, settings, isinstance(predictor, Workers)
    )
    on_start(start)
    del models  # worker processes load their own

    def stop(*_: object) -> None:
        server.should_exit = True

    endpoint = Endpoint(
        predictor, settings, on_failure=stop, on_warm=lambda: on_warm(start), environment=environment
    )
    server = uvicorn.Server(_server_settings(endpoint))
    # uvicorn drains at the first two, then sends itself the signal again. With this handler, that is a plain exit.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _exit)
    # A stop that a library has swallowed meanwhile: nobody sends it again.
    check()
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, stop)
    server.run(sockets=[listener])
    if endpoint.failure:
        raise WarmUpError(f"the model fails on a black picture: {endpoint.failure}") from endpoint.failure


def _server_settings(endpoint: Endpoint) -> uvicorn.Config:
    return uvicorn.Config(
        endpoint.app(),
        http=HttpProtocol,
        ws="none",
        lifespan="on",
        log_level="warning",
        access_log=False,
        proxy_headers=False,  # nothing here depends on the client's address
        timeout_graceful_shutdown=DRAIN_SECONDS,
        timeout_keep_alive=75,  # longer than pooled connections of SageMaker and boto3 stay idle
    )


def _load(folder: Path, environment: Mapping[str, str]) -> tuple[Models, Settings]:
    """Load the models, and read the settings for the processor that they run on."""
    device = wanted_device(environment)
    cpu = Settings.read(gpu=False, environment=environment)
    settings = Settings.read(gpu=device != "cpu" and cuda_offered(), environment=environment)
    models = load_served(folder, _threads(settings), device)
    # Only a loaded model shows whether there is a GPU, and how many images the graph takes.
    if models.provider != CUDA and settings != cpu:
        models, settings = load_served(folder, _threads(cpu), "cpu"), cpu
    batches = models.detector is not None and models.detector.any_batch
    return models, settings if batches else replace(settings, batch=1)


def _predictor(models: Models, folder: Path, settings: Settings) -> Predictor:
    """Threads if images share an inference or a GPU, else worker processes."""
    if settings.batch > 1 or models.provider != CPU:
        return ThreadPredictor(models, settings)
    return Workers(partial(_worker_predictor, folder, settings), models.card, settings)


def _worker_predictor(folder: Path, settings: Settings) -> ThreadPredictor:
    """Called in a worker process."""
    return ThreadPredictor(load_served(folder, _threads(settings), "cpu"), settings)


def _threads(settings: Settings) -> int:
    """Threads of one inference. Workers with one thread each use the cores better than one inference on all cores."""
    return max(1, cores() // settings.workers) if settings.batch == 1 else cores()


def _exit(number: int, _frame: FrameType | None) -> None:
    # The next one would interrupt the removal of the temporary folder.
    signal.signal(number, signal.SIG_IGN)
    raise SystemExit(0)


def _listen(host: str, port: int) -> socket.socket:
    """Return a listening socket with TCP_NODELAY, which connections inherit: small answers are sent at once."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise _unusable(host, port, error) from error
    return listener


def _unusable(host: str, port: int, error: OSError | OverflowError) -> SettingError:
    number = error.errno if isinstance(error, OSError) else None
    reason, hint = {
        errno.EADDRINUSE: ("another program uses this port", "Take another port; 0 takes a free one."),
        errno.EACCES: ("only an administrator may use this port", "Take a port from 1024 on."),
        errno.EADDRNOTAVAIL: ("this machine does not have this address", "127.0.0.1 always works."),
    }.get(number or 0, (str(error), ""))
    return SettingError(f"cannot listen on {host}:{port}: {reason}", hint=hint)


def _serve_container(container: Container) -> None:
    port = os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080")
    if not port.isdecimal():
        raise SettingError(f"SAGEMAKER_BIND_TO_PORT={port!r} must be a whole number")
    host = os.environ.get("LOUPE_BIND_HOST", "0.0.0.0")  # noqa: S104 - a container's port

    def log(start: Start) -> None:
        emit("serving", start.document(), to=sys.stderr)

    serve(container.model, host, int(port), on_start=log)


def _serve_by_hand(options: argparse.Namespace) -> int:
    # Metrics are for CloudWatch. A person who wants the lines sets the variable.
    environment = {"LOUPE_REPORT_SECONDS": "0", **os.environ}

    def show(start: Start) -> None:
        if options.json:
            emit("serving", start.document())
            return
        name = plain(f"{start.card.name} {start.card.version}")
        sys.stdout.write(
            f"Serving {name} on {start.url} (Ctrl+C stops it). Try it:\n"
            f"curl --data-binary @IMAGE.jpg -H 'Content-Type: image/jpeg' {start.url}/invocations\n"
        )
        if start.card.judges_anomalies:
            sys.stdout.write(
                "Its heat map: curl --data-binary @IMAGE.jpg -H 'Content-Type: image/jpeg' -H 'Accept: image/png' "
                f"-o heat-map.png {start.url}/invocations\n"
            )
        sys.stdout.flush()

    with tempfile.TemporaryDirectory(prefix="loupe-serve-") as folder:
        unpack(options.model, Path(folder))
        serve(Path(folder), options.host, options.port, environment, on_warm=show)
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve by hand with options, or as a container without any. Returns the exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    if not given:
        return run(_serve_container)
    parser = by_hand.Parser(
        prog="loupe serve",
        description="Serve a model on this machine, as the endpoint does (docs/serving.md).",
    )
    parser.add_argument("--model", type=by_hand.given_path, required=True, help="model.tar.gz")
    parser.add_argument(
        "--host", type=by_hand.given, default="127.0.0.1", help="address to listen on (default 127.0.0.1)"
    )
    parser.add_argument(
        "--port",
        type=by_hand.whole_number(0, 65535),
        default=8080,
        help="port to listen on; 0: a free one (default 8080)",
    )
    parser.add_argument("--json", action="store_true", help="print the address as one JSON line")
    options = parser.parse_args(given)
    return by_hand.run(lambda: _serve_by_hand(options), outcome="nothing was served", again="")


if __name__ == "__main__":
    raise SystemExit(main())
