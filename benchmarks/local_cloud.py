"""A local cloud for benchmarks, in a process of its own, usually with a model that costs nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from benchmarks import null_model

ROOT = Path(__file__).resolve().parent.parent


@contextmanager
def local_cloud(home: Path, score: float = 0.0, model: Path | None = None) -> Iterator[psutil.Process]:
    """Run `loupe up` with a model until the block ends, and yield its process.

    Args:
        home: Its private folder.
        score: What the null model is sure of, in each image; 0 finds nothing.
        model: Another model than the null model.
    """
    model = model or null_model.write(home.parent / "null-model.tar.gz", score)
    arguments = ["up", "--home", str(home), "--model", str(model), "--json"]
    code = "from loupe.cli import main; main()"
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None  # noqa: S101
        if not process.stdout.readline():
            raise SystemExit("the local cloud did not start")
        try:
            yield psutil.Process(process.pid)
        finally:
            process.terminate()
