"""SageMaker's container contract: where a job finds its input and leaves its output.

The root is /opt/ml. Only the environment variable LOUPE_ML_ROOT moves it.
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO

from training.job.errors import TrainingError
from training.job.stopping import Stopped, signals_handled, signals_stop, stop_received

DEFAULT_ROOT = "/opt/ml"
_SHOWN_BYTES = 1024  # of the reason of a failure
# By these the SDK's script mode names the user's script and its folder, for images that run scripts:
# https://github.com/aws/sagemaker-training-toolkit#how-a-script-is-executed-inside-the-container
_SCRIPTS = ("sagemaker_program", "sagemaker_submit_directory")


class ScriptError(TrainingError):
    """The job is to run a script of the user, and would train something else."""


def in_a_job(name: str, value: str) -> str:
    """Return how an error names a hyperparameter of a job."""
    return f"hyperparameter {name}={value!r}"


class Container:
    """The folders of one job.

    Attributes:
        root: /opt/ml, if nothing moves it.
        model: The folder that SageMaker packs into model.tar.gz.
        checkpoints: The folder that SageMaker keeps for a restart.
        output: The folder for other results, and for the reason of a failure.
        message: The file for what SageMaker shows of a processing job.
        called: Returns how an error names a hyperparameter and its value.
    """

    def __init__(
        self,
        root: Path | None = None,
        channels: Mapping[str, Path | str] | None = None,
        settings: Mapping[str, str] | None = None,
        called: Callable[[str, str], str] = in_a_job,
    ) -> None:
        """Describe a job.

        Args:
            root: The root folder; by default that of the environment.
            channels: The inputs of a program that is run by hand, instead of <root>/input/data.
            settings: Its hyperparameters, instead of <root>/input/config/hyperparameters.json.
            called: Returns how an error names a hyperparameter and its value.
        """
        self.root = root or Path(os.environ.get("LOUPE_ML_ROOT", DEFAULT_ROOT))
        self._channels, self._settings = channels, settings
        self.called = called
        self.model = self.root / "model"
        # SageMaker does not say whether the trainings of a tuning job share one place in S3 for checkpoints. Below
        # their own names they never meet; a training that is started again keeps its name.
        training = os.environ.get("TRAINING_JOB_NAME", "") if channels is None else ""
        self.checkpoints = self.root / "checkpoints" / training
        self.output = self.root / "output"
        # A processing job has its inputs and outputs under /opt/ml/processing, but its message in /opt/ml/output.
        contract = self.root.parent if self.root.name == "processing" else self.root
        self.message = contract / "output" / "message"

    def channel(self, name: str) -> Path | str | None:
        """Return the folder of an input channel; by hand also a file or an s3:// address. None: no such channel."""
        if self._channels is not None:
            return self._channels.get(name)
        folder = self.root / "input" / "data" / name
        return folder if folder.exists() else None

    @property
    def instance_type(self) -> str | None:
        """The instance type that SageMaker runs the job on; None by hand."""
        path = self.root / "input" / "config" / "resourceconfig.json"
        if not path.exists():
            return None
        name = json.loads(path.read_text()).get("current_instance_type")
        return str(name) if name else None

    @property
    def on_instance(self) -> bool:
        """Whether the job runs on its instance: the local cloud, which moves the root, only carries its name."""
        return self.instance_type is not None and self.root == Path(DEFAULT_ROOT)

    def hyperparameters(self) -> dict[str, str]:
        """Return the hyperparameters as SageMaker passes them: all values are strings.

        The SDK's estimators for frameworks, and its tuner, write strings as JSON, with quotes, and None as null
        (sagemaker/estimator.py, `EstimatorBase._json_encode_hyperparameters`).
        """
        if self._settings is not None:
            return dict(self._settings)
        path = self.root / "input" / "config" / "hyperparameters.json"
        values: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        texts = {name: str(value) for name, value in values.items()}
        return {name: _unquoted(text) for name, text in texts.items() if text != "null"}

    def check_no_script(self) -> None:
        """Check that the job has no script, which this image would not run.

        Raises:
            ScriptError: It has one.
        """
        values = self.hyperparameters()
        for name in _SCRIPTS:
            if values.get(name):
                raise ScriptError(
                    f"this image runs Loupe's own programs, and no script ({self.called(name, values[name])})",
                    hint="Leave entry_point, source_dir and source_code out. Hyperparameters such as family=ssdlite "
                    "say what is trained (docs/families.md).",
                )


def _unquoted(text: str) -> str:
    """Return the string in a JSON string; other texts as they are.

    >>> _unquoted('"adam"'), _unquoted("0.1"), _unquoted('"')
    ('adam', '0.1', '"')
    """
    if len(text) < 2 or not text.startswith('"') or not text.endswith('"'):
        return text
    try:
        return str(json.loads(text))
    except ValueError:
        return text


def emit(event: str, fields: Mapping[str, object], to: TextIO | None = None) -> None:
    """Write one JSON line for machines to standard output, or to the stream `to`."""
    stream = to or sys.stdout
    stream.write(json.dumps({"event": event} | dict(fields)) + "\n")
    stream.flush()


def run(job: Callable[[Container], None]) -> int:
    """Run a container program.

    Returns:
        The exit status: 0, or 1 with the reason in output/failure, where SageMaker reads that of a training, and in
        output/message, where it reads that of a processing job; after a signal 128 + its number, which is no failure.
    """
    with signals_handled():
        return _guarded(job, Container())


def _guarded(job: Callable[[Container], None], container: Container) -> int:
    try:
        with signals_stop():
            container.check_no_script()
            job(container)
    except Stopped as error:
        stop = error
    except Exception as error:  # noqa: BLE001 - the last resort: the reason must reach output/failure
        # A library may turn the stop into an error of its own.
        received = stop_received()
        if received is None:
            return _fail(container, _reason(error))
        stop = received
    else:
        return 0
    emit("stopped", {"signal": stop.number, "done": stop.done, "outcome": stop.outcome}, to=sys.stderr)
    return stop.exit_status


def _reason(error: Exception) -> str:
    if isinstance(error, TrainingError):
        return "\n".join(filter(None, [f"{type(error).__name__}: {error}", error.hint]))
    return "".join(traceback.format_exception(error))


def _fail(container: Container, reason: str) -> int:
    """Write the reason where SageMaker reads it, and to the log.

    It shows the first KB, as FailureReason of a training job and as ExitMessage of a processing job:
    https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-signal-success-failure.html
    https://docs.aws.amazon.com/sagemaker/latest/dg/byoc-metadata.html
    """
    # A cut character would be no UTF-8, with which a processing job fails in words of SageMaker's own.
    shown = reason.encode("utf-8", "replace")[:_SHOWN_BYTES].decode("utf-8", "ignore")
    for file in (container.output / "failure", container.message):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(shown, encoding="utf-8")
    sys.stderr.write(reason.rstrip() + "\n")
    return 1


def cores() -> int:
    """Return the number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def git_sha() -> str:
    """Return the commit of this code: from the image's environment, else from its checkout, else "unknown"."""
    if sha := os.environ.get("LOUPE_GIT_SHA"):
        return sha
    root = Path(__file__).parents[2]
    # An installed package may be in a folder of the user's own repository, whose commit says nothing of this code.
    if not (root / ".git").exists():
        return "unknown"
    command = ["git", "-C", str(root), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return done.stdout.strip() or "unknown"
