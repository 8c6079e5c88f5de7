"""Starts and ends the programs of the container contract as child processes."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import psutil

from localcloud.sagemaker.aws_errors import invalid
from localcloud.sagemaker.images import Images

if TYPE_CHECKING:  # its import brings MiniStack's
    from localcloud.sagemaker.roles import Roles

_WRAPPER = Path(__file__).with_name("program_wrapper.py")
# The only variables of the shell that a program sees, so that no credentials and no proxy of the user reach a model.
# LOUPE_* and OMP_* are settings of the container's programs.
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
_INHERITED_PREFIXES = ("LOUPE_", "OMP_")
_CONTAINER_ROOT = re.compile(r"(^|=)/opt/ml(?=/|$)")
_POLL_S = 0.2
_NICENESS = 5
_MAX_NICENESS = 19


@dataclass(frozen=True)
class Machine:
    """What every program shares on this machine.

    Attributes:
        logs: The folder for the programs' output.
        repo: The folder that the programs are imported from.
        roles: The account's roles; each program acts as one of them.
        images: The images that the programs are said to be in.
    """

    logs: Path
    repo: Path
    roles: "Roles"
    images: Images


def start(
    command: Sequence[str], root: Path, repo: Path, environment: Mapping[str, str], output: IO[bytes] | int
) -> "subprocess.Popen[bytes]":
    """Start `python -m command`; it never outlives this process.

    Args:
        command: The module and its arguments.
        root: The folder that takes the place of /opt/ml.
        repo: The folder that the module is imported from.
        environment: The program's own variables.
        output: Where standard output and error go.

    Returns:
        The process.
    """
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name in _INHERITED or name.startswith(_INHERITED_PREFIXES)
    }
    contract = {
        "LOUPE_ML_ROOT": to_local(environment.get("LOUPE_ML_ROOT", "/opt/ml"), root),
        "PYTHONPATH": str(repo),
        "PYTHONUNBUFFERED": "1",
        # The user's AWS profiles are not for the model.
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
        start_new_session=True,  # the cloud, not the program, handles Ctrl+C in the shell
    )


def end(process: "subprocess.Popen[bytes]", grace_s: float, kill_now: threading.Event | None = None) -> None:
    """End a program and its workers.

    Args:
        process: The program.
        grace_s: Seconds between SIGTERM and SIGKILL.
        kill_now: Ends the wait early once it is set.
    """
    if process.poll() is None:
        process.terminate()
        waited = 0.0
        while waited < grace_s and not (kill_now is not None and kill_now.is_set()):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=_POLL_S)
                break
            waited += _POLL_S
    # The whole group: workers may outlive the program.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdin is not None:
        process.stdin.close()


def put_behind(process: "subprocess.Popen[bytes]") -> None:
    """Lower a program's priority: images that are inspected meanwhile go before it."""
    with contextlib.suppress(psutil.Error):
        niceness = os.getpriority(os.PRIO_PROCESS, 0) + _NICENESS
        psutil.Process(process.pid).nice(min(_MAX_NICENESS, niceness))


def to_local(text: str, root: Path) -> str:
    """Return a path in the container, or an option such as --out=/opt/ml/model, as a path on this machine.

    Args:
        text: The path or option.
        root: The folder that takes the place of /opt/ml.

    >>> to_local("--out=/opt/ml/model", Path("/tmp/job"))
    '--out=/tmp/job/model'
    """
    return _CONTAINER_ROOT.sub(lambda match: match[1] + str(root), text)


def command(specification: Mapping[str, Any], default: str | None, repo: Path) -> list[str]:
    """Return the module that a container's entry point names, and its arguments.

    An entry point is `python -m MODULE ...`, or the name of a program in training/ such as `train`. An image
    cannot run here.

    Args:
        specification: An AlgorithmSpecification or AppSpecification.
        default: The module to run instead of the image's own program; None if there is no default.
        repo: The folder that contains training/.

    Raises:
        AwsError: ValidationException, if the entry point names no module.
    """
    arguments = [str(argument) for argument in specification.get("ContainerArguments", [])]
    entry_point = [str(part) for part in specification.get("ContainerEntrypoint", [])]
    if not entry_point and default:
        return [default, *arguments]
    program = entry_point[0] if entry_point else ""
    if len(entry_point) >= 3 and re.fullmatch(r"(.*/)?python3?(\.\d+)?", program) and entry_point[1] == "-m":
        return [*entry_point[2:], *arguments]
    if re.fullmatch(r"[a-z_]+", program) and (repo / "training" / f"{program}.py").exists():
        return [f"training.{program}", *entry_point[1:], *arguments]
    raise invalid(
        "The local cloud runs no images: ContainerEntrypoint must be [python, -m, MODULE] "
        f"or the name of a program in training/, not {entry_point}."
    )
