"""Opens the notebook in JupyterLab: `make notebook`, or `make notebook STACK=loupe` without a local cloud.

Where no local cloud runs, one is started, and stopped at the end; its state is kept. JupyterLab listens on 127.0.0.1
only, and its address has a token.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from pathlib import Path

_REPOSITORY = Path(__file__).parents[1]
_NOTEBOOK = "notebooks/fine_tune_and_compare.ipynb"


def main() -> int:
    """Open the notebook, and return JupyterLab's exit status."""
    parser = argparse.ArgumentParser(description="Open the notebook in JupyterLab.")
    parser.add_argument("--stack", help="the stack on AWS that the notebook works with: start no local cloud")
    options, more = parser.parse_known_args()
    program = _REPOSITORY / ".venv" / "bin" / "loupe"
    # The notebook calls `loupe`.
    os.environ["PATH"] = f"{program.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    started = False
    if options.stack:
        _say(f'Set the parameter in the first cell: where = "--stack {options.stack}"')
    elif _fails(program, "env"):
        _say("No local cloud runs: starting one. It stops when JupyterLab ends, and keeps its state.")
        started = not _fails(program, "up", "--detach", shown=True)
        if not started:
            return 1
    # Ctrl+C is for JupyterLab, which asks before it ends. What ignores the signal would pass that on to the kernels.
    signal.signal(signal.SIGINT, lambda number, frame: None)
    try:
        return subprocess.run(_jupyter(more), check=False).returncode  # noqa: S603
    finally:
        if started:
            _fails(program, "down", shown=True)


def _jupyter(more: list[str]) -> list[str]:
    return [
        sys.executable,
        "-m",
        "jupyterlab",
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.root_dir={_REPOSITORY}",
        f"--LabApp.default_url=/lab/tree/{_NOTEBOOK}",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        # Only whoever has the token reaches it, so root may run it, as in a container.
        *(["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []),
        *more,
    ]


def _fails(program: Path, *arguments: str, shown: bool = False) -> bool:
    """Run `loupe`, and return whether it fails; show its errors if the next step needs it."""
    stream = None if shown else subprocess.DEVNULL
    # A session of its own: an impatient Ctrl+C would reach it, too.
    done = subprocess.run(  # noqa: S603
        [program, *arguments], stdout=stream, stderr=stream, check=False, start_new_session=True
    )
    return done.returncode != 0


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    raise SystemExit(main())
