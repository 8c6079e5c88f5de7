"""The servers that `loupe bench serve` measures, each in its own process, and their clients."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from benchmarks.serve_images import steel
from localcloud.home.ports import free_port

ROOT = Path(__file__).resolve().parent.parent
PEERS = ("litserve", "ray", "mlserver")
# Ray starts many processes.
_START_SECONDS = 120.0


@contextmanager
def endpoint(model: Path, **settings: str) -> Iterator[tuple[str, psutil.Process]]:
    """Run `python -m training.serve`, and yield its address and its process when it answers."""
    command = [sys.executable, "-m", "training.serve", "--model", str(model), "--port", str(free_port())]
    with _server(command, int(command[-1]), settings) as server:
        yield server


@contextmanager
def peer(name: str, folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """Run one of PEERS with the model in `folder`, in its own environment; yield its address and its process.

    Its requirements file was generated with `uv pip compile --generate-hashes --python-version 3.11` from the peer's
    package, numpy, pillow, and the onnxruntime of requirements/serve.txt.
    """
    python = _environment(name)
    port = free_port()
    settings = {"PEER_PORT": str(port), "PEER_MODEL": str(folder), "PYTHONPATH": str(ROOT)}
    settings |= {"RAY_USAGE_STATS_ENABLED": "0", "TQDM_DISABLE": "1"}
    with _server([str(python), "-m", f"benchmarks.peers.{name}_app"], port, settings) as running:
        yield running


def _environment(name: str) -> Path:
    """Return the Python in build/peers/<name>, which is created on first use."""
    folder = ROOT / "build/peers" / name
    requirements = ROOT / f"benchmarks/peers/requirements-{name}.txt"
    python = folder / "bin/python"
    if not (folder / ".done").exists():
        uv = [str(Path(sys.executable).with_name("uv"))]
        install = [*uv, "pip", "install", "--quiet", "--require-hashes", "--python", str(python)]
        create = [*uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)]
        subprocess.run(create, check=True)  # noqa: S603
        subprocess.run([*install, "-r", str(requirements)], check=True)  # noqa: S603
        (folder / ".done").touch()
    return python


@contextmanager
def _server(
    command: Sequence[str], port: int, settings: Mapping[str, str]
) -> Iterator[tuple[str, psutil.Process]]:
    with subprocess.Popen(  # noqa: S603
        command,
        cwd=ROOT,
        env=os.environ | settings,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL if settings.get("PEER_PORT") else None,
        start_new_session=True,
    ) as process:
        url = f"http://127.0.0.1:{port}"
        try:
            _wait_until_it_answers(url, process)
            yield url, psutil.Process(process.pid)
        finally:
            _stop(process)


def _wait_until_it_answers(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    request = urllib.request.Request(f"{url}/invocations", steel()[0], {"Content-Type": "image/jpeg"})  # noqa: S310
    while True:
        try:
            with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 - loopback
                response.read()
                return
        except (urllib.error.URLError, OSError) as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{url} does not start: {error}") from error
            time.sleep(0.1)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Stop the server and the processes that it has started."""
    children = _with_children(psutil.Process(process.pid))[1:] if process.poll() is None else []
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
    for child in children:
        if child.is_running():
            child.kill()


def load(url: str, seconds: float, connections: int, *options: str) -> dict[str, Any]:
    """Send load from another process (benchmarks/serve_load.py), and return what its clients measured."""
    command = [sys.executable, "-m", "benchmarks.serve_load", "--url", url, *options]
    command += ["--seconds", str(seconds), "--connections", str(connections)]
    clients = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603
    result: dict[str, Any] = json.loads(clients.stdout)
    return result


def resident_mib(server: psutil.Process) -> float:
    """Return the memory of a server and its child processes (Linux). What they share is counted once."""
    return round(sum(process.memory_full_info().pss for process in _with_children(server)) / (1 << 20), 1)


def peak_mib(server: psutil.Process) -> float:
    """Return the sum of the peak memory of a server's processes (Linux), which is no less than the server's peak."""
    statuses = [Path(f"/proc/{process.pid}/status").read_text() for process in _with_children(server)]
    lines = [line for status in statuses for line in status.splitlines()]
    return round(sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024, 1)


def _with_children(server: psutil.Process) -> list[psutil.Process]:
    return [server, *server.children(recursive=True)]
