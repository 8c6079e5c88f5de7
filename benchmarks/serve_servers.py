"""The servers that `loupe bench serve` measures, each a process of its own, and the clients that ask them."""

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
from localcloud.ports import free_port

ROOT = Path(__file__).resolve().parent.parent
PEERS = ("litserve", "ray", "mlserver")
_PATIENCE = 120.0  # Ray starts many processes


@contextmanager
def endpoint(model: Path, **settings: str) -> Iterator[tuple[str, psutil.Process]]:
    """`python -m training.serve`, warm: its address and its process."""
    command = [sys.executable, "-m", "training.serve", "--model", str(model), "--port", str(free_port())]
    with _server(command, int(command[-1]), settings) as running:
        yield running


@contextmanager
def peer(name: str, folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """One of PEERS with the model in `folder`, in an environment of its own.

    Its requirements are made by `uv pip compile --generate-hashes --python-version 3.11` of the peer's package,
    numpy, pillow and the onnxruntime of requirements/serve.txt.
    """
    python = _environment(name)
    port = free_port()
    settings = {"PEER_PORT": str(port), "PEER_MODEL": str(folder), "PYTHONPATH": str(ROOT)}
    settings |= {"RAY_USAGE_STATS_ENABLED": "0", "TQDM_DISABLE": "1"}
    with _server([str(python), "-m", f"benchmarks.peers.{name}_app"], port, settings) as running:
        yield running


def _environment(name: str) -> Path:
    """The Python of build/peers/<name>."""
    folder = ROOT / "build/peers" / name
    requirements = ROOT / f"benchmarks/peers/requirements-{name}.txt"
    python = folder / "bin/python"
    if not (folder / ".done").exists():
        uv = [str(Path(sys.executable).with_name("uv"))]
        install = [*uv, "pip", "install", "--quiet", "--require-hashes", "--python", str(python)]
        make = [*uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)]
        subprocess.run(make, check=True)  # noqa: S603
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
            _wait(url, process)
            yield url, psutil.Process(process.pid)
        finally:
            _end(process)


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _PATIENCE
    request = urllib.request.Request(f"{url}/invocations", steel()[0], {"Content-Type": "image/jpeg"})  # noqa: S310
    while True:
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - loopback
                answer.read()
                return
        except (urllib.error.URLError, OSError) as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{url} does not start: {error}") from error
            time.sleep(0.1)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends the server and what it has started."""
    family = _family(psutil.Process(process.pid))[1:] if process.poll() is None else []
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
    for each in family:
        if each.is_running():
            each.kill()


def load(url: str, seconds: float, connections: int, *options: str) -> dict[str, Any]:
    """What clients in a process of their own see (benchmarks/serve_load.py)."""
    command = [sys.executable, "-m", "benchmarks.serve_load", "--url", url, *options]
    command += ["--seconds", str(seconds), "--connections", str(connections)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def resident_mib(server: psutil.Process) -> float:
    """The memory of a server and its processes; what they share is counted once (Linux)."""
    return round(sum(each.memory_full_info().pss for each in _family(server)) / (1 << 20), 1)


def peak_mib(server: psutil.Process) -> float:
    """The sum of the most that each process of a server has had: no less than the server's peak (Linux)."""
    statuses = [Path(f"/proc/{each.pid}/status").read_text() for each in _family(server)]
    lines = [line for status in statuses for line in status.splitlines()]
    return round(sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024, 1)


def _family(server: psutil.Process) -> list[psutil.Process]:
    return [server, *server.children(recursive=True)]
