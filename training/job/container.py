"""SageMaker's container contract: where a job finds its input and leaves its output.

The root is /opt/ml; the environment variable LOUPE_ML_ROOT moves it, and nothing else does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO, TypeVar, get_type_hints

from training.job.errors import TrainingError

T = TypeVar("T")


class HyperparameterError(TrainingError):
    """A hyperparameter is unknown or not of its type."""


class Container:
    """The folders of one job.

    channels, settings: where a program is run by hand, its inputs and hyperparameters; they take the
    place of what SageMaker lays under <root>/input.
    """

    def __init__(
        self,
        root: Path | None = None,
        channels: Mapping[str, Path | str] | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.root = root or Path(os.environ.get("LOUPE_ML_ROOT", "/opt/ml"))
        self._channels, self._settings = channels, settings
        self.model = self.root / "model"
        self.checkpoints = self.root / "checkpoints"
        self.output = self.root / "output"

    def channel(self, name: str) -> Path | str | None:
        """The folder of an input channel; by hand a file or an s3:// address too; None without the channel."""
        if self._channels is not None:
            return self._channels.get(name)
        folder = self.root / "input" / "data" / name
        return folder if folder.exists() else None

    @property
    def instance_type(self) -> str | None:
        """What SageMaker runs the job on; None by hand."""
        path = self.root / "input" / "config" / "resourceconfig.json"
        if not path.exists():
            return None
        name = json.loads(path.read_text()).get("current_instance_type")
        return str(name) if name else None

    def hyperparameters(self, kind: type[T]) -> T:
        """Reads the hyperparameters, whose values are all strings, into the dataclass `kind`.

        Raises HyperparameterError, naming the one that is wrong.
        """
        given = self._given() if self._settings is None else self._settings
        types = get_type_hints(kind)
        values: dict[str, Any] = {}
        for name, text in given.items():
            # SageMaker's own toolkits add names like sagemaker_program; they are not ours to judge.
            if name.startswith(("sagemaker_", "_tuning_")):
                continue
            if name not in types:
                raise HyperparameterError(f"unknown hyperparameter {name!r}; known are {', '.join(types)}")
            values[name] = _parse(name, str(text), types[name])
        return kind(**values)

    def _given(self) -> Mapping[str, Any]:
        path = self.root / "input" / "config" / "hyperparameters.json"
        given: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        return given


def _parse(name: str, text: str, kind: type) -> object:
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise HyperparameterError(f"hyperparameter {name}={text!r} must be true or false")
        return text.lower() == "true"
    try:
        return kind(text)
    except ValueError as error:
        raise HyperparameterError(f"hyperparameter {name}={text!r} is not of type {kind.__name__}") from error


def emit(event: str, fields: Mapping[str, object], to: TextIO | None = None) -> None:
    """One JSON line for machines, on standard output unless `to` says otherwise."""
    stream = to or sys.stdout
    stream.write(json.dumps({"event": event} | dict(fields)) + "\n")
    stream.flush()


def run(job: Callable[[Container], None]) -> int:
    """Runs a container program: exit status 0, or 1 with the reason in output/failure for SageMaker."""
    container = Container()
    try:
        job(container)
    except TrainingError as error:
        return _fail(container, f"{type(error).__name__}: {error}")
    except Exception:  # noqa: BLE001 - the last resort: the reason must reach output/failure
        return _fail(container, traceback.format_exc())
    return 0


def _fail(container: Container, reason: str) -> int:
    container.output.mkdir(parents=True, exist_ok=True)
    (container.output / "failure").write_text(reason[:1024])  # SageMaker shows the first 1,024 characters
    sys.stderr.write(reason.rstrip() + "\n")
    return 1


def cores() -> int:
    """The processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def git_sha() -> str:
    """The commit of the code that runs: from the image's environment, else from git, else "unknown"."""
    if sha := os.environ.get("LOUPE_GIT_SHA"):
        return sha
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return done.stdout.strip() or "unknown"
