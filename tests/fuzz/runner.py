"""Fuzzes targets: each in a process of its own, as many at a time as there are cores."""

from __future__ import annotations

import hashlib
import multiprocessing
import tempfile
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from pathlib import Path

from tests.fuzz.target import Target
from tests.fuzz.worker import resident_mib, work

# What a process may have before the memory after its seeds is known, and on top of its bound: it is looked at rarely.
_START_MIB = 1500.0
_START_SECONDS = 120.0
_LOOK = 0.2  # seconds between two looks at the processes
# Of a target. What follows is mostly the same.
_MOST_FINDINGS = 20


@dataclass
class Score:
    """What became of a target.

    Attributes:
        tried: Inputs.
        findings: Files of inputs that broke a promise, each with the reason.
    """

    tried: int = 0
    findings: list[tuple[Path, str]] = field(default_factory=list)


class _Run:
    """One process with one target."""

    def __init__(self, target: Target, seed: int, keep: Path, until: float, folder: str, most: int) -> None:
        self.target, self.score, self.until = target, Score(), until
        self._seed, self._keep, self._folder, self._most = seed, keep, folder, most
        self._start()

    def _start(self) -> None:
        self.input: bytes | None = None
        self.since = time.monotonic()
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process: SpawnProcess = context.Process(
            target=work, args=(self.target, self._seed + self.score.tried, self._folder, theirs), daemon=True
        )
        self.process.start()
        theirs.close()

    @property
    def is_over(self) -> bool:
        return time.monotonic() > self.until or len(self.score.findings) >= self._most

    def take(self) -> None:
        """Take what the process has sent. If it has ended, start the next one."""
        try:
            while not self.is_over and self.connection.poll():
                message = self.connection.recv_bytes()
                self._hear(message[:1], message[1:])
        except (EOFError, OSError):
            self.process.join()
            if self.input is not None or self.process.exitcode != 0:
                self._found(self.input or b"", f"its process ended with {self.process.exitcode}")
            self._again()

    def _hear(self, kind: bytes, content: bytes) -> None:
        self.since = time.monotonic()
        if kind == b"i":
            self.input = content
            return
        self.score.tried += 1
        if content:
            self._found(self.input or b"", content.decode("utf-8", "replace"))
        self.input = None

    def check(self) -> None:
        """End a process that takes too long, or too much memory."""
        seconds = self.target.seconds if self.input is not None else _START_SECONDS
        memory = resident_mib(self.process.pid or 0)
        if time.monotonic() - self.since > seconds:
            reason = f"it takes more than {seconds:g} s"
        elif memory > _START_MIB + self.target.mib:
            reason = f"it takes {memory:.0f} MiB of memory"
        else:
            return
        self._found(self.input or b"", reason)
        self._again()

    def _found(self, data: bytes, reason: str) -> None:
        folder = self._keep / self.target.name
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / hashlib.sha256(data).hexdigest()[:16]
        path.write_bytes(data)
        path.with_suffix(".txt").write_text(reason, encoding="utf-8")
        self.score.findings.append((path, reason))

    def _again(self) -> None:
        self.close()
        self.score.tried += self.input is not None
        if not self.is_over:
            self._start()

    def close(self) -> None:
        """End the process."""
        self.connection.close()
        self.process.kill()
        self.process.join()


def fuzz(
    targets: Sequence[Target],
    seconds: float,
    seed: int,
    keep: Path,
    cores: int,
    tell: Callable[[str, Score], None],
    most_findings: int = _MOST_FINDINGS,
) -> dict[str, Score]:
    """Fuzz targets for some time, which is divided among them.

    Args:
        targets: What to attack.
        seconds: For all of them together.
        seed: The number of each target's first input.
        keep: The folder for inputs that break a promise.
        cores: How many processes at a time.
        tell: Called when a target's time is over.
        most_findings: A target that has so many is not tried any further.

    Returns:
        What became of each target.
    """
    share = seconds * min(cores, len(targets)) / len(targets)
    waiting, running = deque(targets), list[_Run]()
    scores: dict[str, Score] = {}
    with tempfile.TemporaryDirectory() as folder:
        try:
            while waiting or running:
                while waiting and len(running) < cores:
                    until = time.monotonic() + share
                    running.append(_Run(waiting.popleft(), seed, keep, until, folder, most_findings))
                wait([run.connection for run in running], timeout=_LOOK)
                for run in list(running):
                    run.take()
                    run.check()
                    if run.is_over:
                        run.close()
                        running.remove(run)
                        scores[run.target.name] = run.score
                        tell(run.target.name, run.score)
        finally:
            for run in running:
                run.close()
    return scores
