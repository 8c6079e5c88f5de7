"""Starts and ends the programs of the container contract as child processes."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from localcloud.sagemaker.errors import invalid

_WRAPPER = Path(__file__).with_name("container.py")
# Of the environment of whoever started the cloud a container sees these only, so that no credentials
# and no proxy of theirs reach a model. LOUPE_* and OMP_* are settings of the container's programs.
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
_INHERITED_PREFIXES = ("LOUPE_", "OMP_")
_ROOT = re.compile(r"(^|=)/opt/ml(?=/|$)")


def start(
    command: Sequence[str], root: Path, repo: Path, environment: Mapping[str, str], output: IO[bytes] | int
) -> "subprocess.Popen[bytes]":
    """Run `python -m command` with `root` in the place of /opt/ml; it never outlives this process.

    `repo` is where the module is imported from; standard output and error go to `output`.
    """
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name in _INHERITED or name.startswith(_INHERITED_PREFIXES)
    }
    contract = {
        "LOUPE_ML_ROOT": inside(environment.get("LOUPE_ML_ROOT", "/opt/ml"), root),
        "PYTHONPATH": str(repo),
        "PYTHONUNBUFFERED": "1",
        # The user's profiles are not the model's.
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    return subprocess.Popen(  # noqa: S603 - our own programs, no shell
        [sys.executable, "-P", str(_WRAPPER), *command],
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=subprocess.STDOUT,
        cwd=root,
        env=inherited | dict(environment) | contract,
        start_new_session=True,  # Ctrl+C in the shell is the cloud's to handle
    )


def end(process: "subprocess.Popen[bytes]", grace_s: float, hurry: threading.Event | None = None) -> None:
    """SIGTERM, and SIGKILL to its whole group after `grace_s` seconds or once `hurry` is set."""
    if process.poll() is None:
        process.terminate()
        waited = 0.0
        while waited < grace_s and not (hurry is not None and hurry.is_set()):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=0.2)
                break
            waited += 0.2
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)  # its workers too, which may outlive it
    process.wait()
    if process.stdin is not None:
        process.stdin.close()


def inside(text: str, root: Path) -> str:
    """A path of the container, or an option such as --out=/opt/ml/model, as it is on this machine.

    >>> inside("--out=/opt/ml/model", Path("/tmp/job"))
    '--out=/tmp/job/model'
    """
    return _ROOT.sub(lambda match: match[1] + str(root), text)


def command(specification: Mapping[str, Any], default: str | None, repo: Path) -> list[str]:
    """The module that a container's entry point names, then its arguments.

    An entry point is `python -m MODULE ...`, or the name of a program of ours such as `train`; an image
    cannot run here, so `default` stands for the image's own. Raises AwsError (ValidationException).
    """
    arguments = [str(argument) for argument in specification.get("ContainerArguments", [])]
    entry = [str(part) for part in specification.get("ContainerEntrypoint", [])]
    if not entry and default:
        return [default, *arguments]
    if len(entry) >= 3 and re.fullmatch(r"(.*/)?python3?(\.\d+)?", entry[0]) and entry[1] == "-m":
        return [*entry[2:], *arguments]
    if entry and re.fullmatch(r"[a-z_]+", entry[0]) and (repo / "training" / f"{entry[0]}.py").exists():
        return [f"training.{entry[0]}", *entry[1:], *arguments]
    raise invalid(
        "The local cloud runs no images: ContainerEntrypoint must be [python, -m, MODULE] "
        f"or the name of a program in training/, not {entry}."
    )
