"""The endpoint beside bare inference: `python -m benchmarks.gpu.serve --model M --out OUT --seconds 150`.

Each case is a process of its own, so that one that hangs or crashes takes nothing with it. The most important come
first; what there is no time for is written as skipped.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.gpu.lines import Lines

ROOT = Path(__file__).resolve().parents[2]
_LEAST = 3.0  # seconds; with less left no case is begun
_LONGEST = 75.0  # seconds for a case: TensorRT builds its engine meanwhile
_ENDED = 10.0  # seconds for an endpoint to end


@dataclass(frozen=True)
class Case:
    """A case of bare inference."""

    what: str
    options: tuple[str, ...]


@dataclass
class Clock:
    """How much time is left."""

    until: float

    @classmethod
    def of(cls, seconds: float) -> Clock:
        return cls(time.monotonic() + seconds)

    @property
    def left(self) -> float:
        return self.until - time.monotonic()

    @property
    def of_a_case(self) -> float:
        return max(0.0, min(self.left, _LONGEST))


def cases(device: str, batches: tuple[int, ...], cores: int) -> list[Case]:
    """Return the cases of bare inference, the most important first."""
    provider = ("--provider", device, "--device", device)
    largest = batches[-1]
    found = [
        Case(
            f"decode and run, {threads} threads, batch {batch}",
            (*provider, "--decode", str(threads), "--decoders", str(cores), "--batch", str(batch)),
        )
        for threads, batch in dict.fromkeys([(cores, 1), (2, batches[len(batches) // 2]), (4, largest)])
    ]
    found += [Case(f"run, batch {batch}", (*provider, "--batch", str(batch))) for batch in batches]
    for binding, name in (("io", "IO binding"), ("graph", "CUDA graph")):
        found += [
            Case(f"{name}, batch {batch}", (*provider, "--batch", str(batch), "--binding", binding))
            for batch in dict.fromkeys((batches[0], largest))
        ]
    tensorrt = ("--provider", "tensorrt", "--device", device, "--half")
    found.append(Case(f"TensorRT, half precision, batch {largest}", (*tensorrt, "--batch", str(largest))))
    return found


def measure_bare(case: Case, model: Path, seconds: float, clock: Clock, lines: Lines) -> float:
    """Measure a case in its own process, write its line, and return its images a second; 0 without."""
    command = [sys.executable, "-m", "benchmarks.gpu.bare", "--model", str(model), "--seconds", str(seconds)]
    try:
        done = subprocess.run(  # noqa: S603 - our own program
            [*command, *case.options], cwd=ROOT, capture_output=True, text=True, timeout=clock.of_a_case
        )
    except subprocess.TimeoutExpired:
        lines.failed(case.what, f"no figure within {clock.of_a_case or _LONGEST:.0f} s")
        return 0.0
    if done.returncode:
        why = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1][:200]
        (lines.skipped if why.startswith("VariantError: ") else lines.failed)(
            case.what, why.partition(": ")[2] or why
        )
        return 0.0
    figures = json.loads(done.stdout.splitlines()[-1])
    lines.add(case.what, **figures)
    return float(figures["images_per_s"])


def measure_endpoint(
    model: Path, device: str, batch: int, seconds: float, clock: Clock
) -> dict[str, Any] | str:
    """Return the endpoint's figures with so many images in a batch, or why there are none."""
    settings = {"LOUPE_DEVICE": device, "LOUPE_BATCH": str(batch)}
    with _endpoint(model, settings, clock) as url:
        if url is None:
            return "the endpoint did not start"
        cores = os.cpu_count() or 1
        _load(url, min(0.5, seconds), 2, clock)
        runs = [_load(url, seconds, connections, clock) for connections in (2 * cores, 8 * cores)]
        one = _load(url, seconds, 1, clock)
    figures = [run for run in (*runs, one) if run is not None]
    if one is None or len(figures) < 2:
        return "no time left"
    many = max(figures[:-1], key=lambda run: float(run["images_per_s"]))
    refused = {status: number for status, number in many["statuses"].items() if status != "200"}
    return {
        "images_per_s": many["images_per_s"],
        "p50_ms": one["p50_ms"],
        "p99_ms": one["p99_ms"],
        "not_200": refused,
    }


@contextmanager
def _endpoint(model: Path, settings: dict[str, str], clock: Clock) -> Iterator[str | None]:
    """Run the endpoint, and yield its address once it answers; None if it does not."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "training.serve", "--model", str(model), "--port", str(port)]
    process = subprocess.Popen(  # noqa: S603 - our own program
        command, cwd=ROOT, env=os.environ | settings, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + clock.of_a_case
        yield url if _answers(url, process, until) else None
    finally:
        process.terminate()
        try:
            process.wait(_ENDED)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(url: str, process: subprocess.Popen[bytes], until: float) -> bool:
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/ping", timeout=2):  # noqa: S310 - loopback
                return True
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    return False


def _load(url: str, seconds: float, connections: int, clock: Clock) -> dict[str, Any] | None:
    """Send load from another process; None if there is no time."""
    command = [sys.executable, "-m", "benchmarks.serve_load", "--url", url]
    command += ["--seconds", str(seconds), "--connections", str(connections)]
    try:
        done = subprocess.run(  # noqa: S603 - our own program
            command, cwd=ROOT, capture_output=True, text=True, timeout=max(0.1, clock.of_a_case), check=True
        )
    except (subprocess.TimeoutExpired, subprocess.CalledProcessError):
        return None
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def main(arguments: list[str] | None = None) -> int:
    """Measure as much as the time allows, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu.serve", description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--seconds", type=float, default=150, help="for all cases together")
    parser.add_argument("--each", type=float, default=3, help="seconds of a measurement")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 4, 8, 16, 32])
    options = parser.parse_args(arguments)
    clock, batches = Clock.of(options.seconds), tuple(options.batches)
    bare_lines, endpoint_lines = Lines(options.out, "bare"), Lines(options.out, "endpoint")
    every = cases(options.device, batches, os.cpu_count() or 1)
    decoding = [case for case in every if "--decode" in case.options]
    best = 0.0
    for case in decoding:
        best = max(best, _in_time(case, options, clock, bare_lines))
    for batch in dict.fromkeys((batches[len(batches) // 2], batches[0], batches[-1])):
        what = f"batch {batch} at most"
        if clock.left < _LEAST:
            endpoint_lines.skipped(what, "no time left")
            continue
        figures = measure_endpoint(options.model, options.device, batch, options.each, clock)
        if isinstance(figures, str):
            endpoint_lines.failed(what, figures)
        else:
            share = round(figures["images_per_s"] / best, 3) if best else None
            endpoint_lines.add(what, share_of_bare=share, **figures)
    for case in every:
        if case not in decoding:
            _in_time(case, options, clock, bare_lines)
    return 0


def _in_time(case: Case, options: argparse.Namespace, clock: Clock, lines: Lines) -> float:
    if clock.left < _LEAST:
        lines.skipped(case.what, "no time left")
        return 0.0
    return measure_bare(case, options.model, options.each, clock, lines)


if __name__ == "__main__":
    raise SystemExit(main())
