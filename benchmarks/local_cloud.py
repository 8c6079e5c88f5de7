"""A local cloud for benchmarks, in a process of its own, with a model that finds nothing and costs nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks import null_model

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class LocalCloud:
    """A running local cloud.

    Attributes:
        process: Its process.
        dashboard: The link with which an administrator enters the dashboard, once.
    """

    process: psutil.Process
    dashboard: str


@contextmanager
def local_cloud(home: Path, *options: str) -> Iterator[LocalCloud]:
    """Run `loupe up` with the null model until the block ends.

    Args:
        home: Its private folder.
        options: Further options of `loupe up`.
    """
    model = null_model.write(home.parent / "null-model.tar.gz")
    arguments = ["up", "--home", str(home), "--model", str(model), "--json", *options]
    code = "from loupe.cli import main; main()"
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None  # noqa: S101
        line = process.stdout.readline()
        if not line:
            raise SystemExit("the local cloud did not start")
        try:
            yield LocalCloud(psutil.Process(process.pid), json.loads(line)["dashboard"])
        finally:
            process.terminate()
