"""Changes to MiniStack's Lambda: named errors, secret credentials, isolated workers, an orderly end."""

import contextlib
import hmac
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from ministack.core import lambda_runtime
from ministack.services import lambda_svc, sts

from localcloud.errors import IncompatibleMiniStackError
from localcloud.ministack import forked_workers
from localcloud.stopping import stopping

# Where MiniStack's worker script builds its answer to a failed invocation.
_FAILURE = '"error": str(e), "trace": traceback.format_exc()'
# The delay after a wake-up that finds nothing. MiniStack's 50 ms are half of the time that an image may take in all.
_IDLE_WAKE_GAP_S = 0.005


def apply(secret: bytes) -> None:
    """Patch MiniStack.

    Args:
        secret: What the functions' credentials are derived from.

    Raises:
        IncompatibleMiniStackError: If MiniStack's worker reports errors in an unknown way.
    """
    _name_exceptions()
    _keep_credentials_secret(secret)
    _isolate_workers()
    _pass_variables_as_text()
    _let_invocations_end()
    _limit_concurrency()
    _make_pollers_stoppable()


def drain(seconds: float) -> None:
    """Wait, for at most so long, for the running functions; once the cloud stops, no poller starts another."""
    deadline = time.monotonic() + seconds
    while lambda_svc.executions_in_flight()[0] and time.monotonic() < deadline:
        time.sleep(0.02)


def end_workers() -> None:
    """End the workers' processes at once; none starts any more."""
    _workers.end()
    lambda_runtime.reset()


def _name_exceptions() -> None:
    """Report a function's exception under its class's name, as a Retry or Catch in a state machine expects.

    MiniStack reports each one as Runtime.HandlerError.
    """
    if _FAILURE not in lambda_runtime._PYTHON_WORKER_SCRIPT:
        raise IncompatibleMiniStackError("MiniStack's Lambda worker reports errors in another way.")
    lambda_runtime._PYTHON_WORKER_SCRIPT = lambda_runtime._PYTHON_WORKER_SCRIPT.replace(
        _FAILURE, _FAILURE + ', "error_type": type(e).__name__'
    )
    last = threading.local()
    invoke, execute = lambda_runtime.Worker.invoke, lambda_svc._execute_function_warm

    def invoke_and_remember(*arguments: Any, **options: Any) -> Any:
        answer = invoke(*arguments, **options)
        last.error_type = answer.get("error_type")
        return answer

    def execute_and_name(*arguments: Any, **options: Any) -> Any:
        last.error_type = None
        result = execute(*arguments, **options)
        if result.get("error") and last.error_type:
            result["body"]["errorType"] = last.error_type
        return result

    lambda_runtime.Worker.invoke = invoke_and_remember
    lambda_svc._execute_function_warm = execute_and_name


def _keep_credentials_secret(secret: bytes) -> None:
    """Derive a function's credentials from a secret, so that nobody else on the machine can compute them.

    MiniStack derives them from the names of the function and its role alone. They must survive a restart: they
    sign the links in alerts, and new ones at every start would break the older links.
    """
    derive = lambda_runtime.execution_credentials

    def derive_with_secret(config: dict[str, Any]) -> dict[str, str]:
        key = derive(config)["AWS_ACCESS_KEY_ID"]
        variables = {"SecretAccessKey": "AWS_SECRET_ACCESS_KEY", "SessionToken": "AWS_SESSION_TOKEN"}
        values = {name: hmac.digest(secret, f"{name}:{key}".encode(), "sha256").hex() for name in variables}
        sts._sessions[key].update(values)
        return {"AWS_ACCESS_KEY_ID": key} | {variables[name]: value for name, value in values.items()}

    lambda_runtime.execution_credentials = lambda_svc.execution_credentials = derive_with_secret


class _Workers:
    """The subprocess module with a Popen that starts a Lambda worker: isolated, and never outliving this process."""

    _SET_BY_MINISTACK = ("AWS_", "_LAMBDA", "LAMBDA_TASK_ROOT")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: list[subprocess.Popen[Any] | forked_workers.ForkedWorker] = []
        self._source = forked_workers.Source()
        self._ended = False
        # Nobody writes. All workers read, and the kernel closes the other end however this process ends.
        self._pipe: tuple[int, int] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(subprocess, name)

    def Popen(self, command: list[str], env: dict[str, str], **options: Any) -> Any:  # noqa: N802
        environment = {
            name: value
            for name, value in env.items()
            if name in forked_workers.KEPT
            or name.startswith(self._SET_BY_MINISTACK)
            or name not in os.environ
        }
        environment |= forked_workers.NO_PROFILES
        # One thread for numeric libraries: on AWS a function has about one CPU, here it shares a laptop.
        environment.setdefault("OMP_NUM_THREADS", "1")
        with self._lock:
            if self._ended:
                raise OSError("the local cloud is stopping")
            if self._pipe is None:
                self._pipe = os.pipe()
            worker = self._start(self._pipe[0], command, environment, options)
            self._running = [other for other in self._running if other.poll() is None] + [worker]
        return worker

    def _start(
        self, pipe: int, command: list[str], environment: dict[str, str], options: dict[str, Any]
    ) -> "subprocess.Popen[Any] | forked_workers.ForkedWorker":
        if command[0] == sys.executable and forked_workers.AVAILABLE and not _begins_otherwise(environment):
            return self._source.fork(command[1], options["cwd"], environment, pipe)
        if command[0] == sys.executable:
            command = [command[0], "-P", str(forked_workers.WRAPPER), str(pipe), *command[1:]]
            options["pass_fds"] = (pipe,)
        return subprocess.Popen(command, env=environment, start_new_session=True, **options)  # noqa: S603

    def end(self) -> None:
        with self._lock:
            self._ended = True
            running, self._running = self._running, []
        for worker in running:
            if worker.poll() is None:
                # The whole group: a function may have started programs.
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(worker.pid, signal.SIGKILL)
        for worker in running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.wait(timeout=1)
        self._source.end()


def _begins_otherwise(environment: dict[str, str]) -> bool:
    """Return whether a worker has variables that a process reads only when it begins, such as PYTHONPATH."""
    begin = ("PYTHON", "LD_", "DYLD_")
    return any(name.startswith(begin) and name not in forked_workers.KEPT for name in environment)


_workers = _Workers()


def _isolate_workers() -> None:
    """Give a function the variables that Lambda gives it, and none of the shell that started the cloud.

    Each worker starts a new session, so that Ctrl+C in the shell does not kill it in the middle of a batch.
    """
    lambda_runtime.subprocess = _workers


def _pass_variables_as_text() -> None:
    """Pass a function's variables as text, as CloudFormation does; MiniStack keeps a template's numbers."""
    initialize = lambda_runtime.Worker.__init__

    def initialize_with_text(worker: Any, name: str, config: dict[str, Any], code: bytes) -> None:
        variables = (config.get("Environment") or {}).get("Variables") or {}
        texts = {
            key: json.dumps(value) if isinstance(value, bool) else str(value)
            for key, value in variables.items()
        }
        initialize(worker, name, {**config, "Environment": {"Variables": texts}}, code)

    lambda_runtime.Worker.__init__ = initialize_with_text


def _let_invocations_end() -> None:
    """Let an invocation end on the version that it began with, when its function is changed or deleted, as on AWS.

    MiniStack kills all workers of the function, also those at work: their invocations fail, and alarms go on.
    """
    changing = threading.local()
    kill, invalidate = lambda_runtime.kill_workers, lambda_runtime.invalidate_worker
    invoke, release = lambda_runtime.Worker.invoke, lambda_runtime.release_worker

    def kill_or_retire(workers: list[Any]) -> None:
        busy = []
        if getattr(changing, "now", False):
            with lambda_runtime._lock:
                busy = [worker for worker in workers if worker.in_use]
                for worker in busy:
                    worker.retired = True
        kill([worker for worker in workers if worker not in busy])

    def invalidate_and_spare(*arguments: Any, **options: Any) -> None:
        changing.now = True
        try:
            invalidate(*arguments, **options)
        finally:
            changing.now = False

    def invoke_or_kill(worker: Any, *arguments: Any, **options: Any) -> Any:
        try:
            return invoke(worker, *arguments, **options)
        except Exception:
            # Nobody releases a worker whose invocation raised.
            kill([worker])
            raise

    def release_and_end(worker: Any) -> None:
        release(worker)
        if getattr(worker, "retired", False):
            kill([worker])

    lambda_runtime.kill_workers = kill_or_retire
    lambda_runtime.Worker.invoke = invoke_or_kill
    lambda_runtime.invalidate_worker = lambda_svc.invalidate_worker = invalidate_and_spare
    lambda_runtime.release_worker = lambda_svc.release_worker = release_and_end


def _limit_concurrency() -> None:
    """Process at most as many batches of a queue at once as the machine has cores.

    Each batch is a process of 100 MB that takes 0.5 s to start. At least two run at once, the minimum that
    ScalingConfig allows on AWS. The template's own limit applies if it is lower.
    """
    configured = lambda_svc._sqs_esm_concurrency
    cores = max(2, os.cpu_count() or 2)

    def limited(mapping: dict[str, Any], *arguments: Any) -> int:
        scaling = mapping.get("ScalingConfig") or {}
        if "MaximumConcurrency" in scaling:
            # A number that came through a template's parameter is still a string.
            scaling["MaximumConcurrency"] = int(scaling["MaximumConcurrency"])
        return min(int(configured(mapping, *arguments)), cores)

    lambda_svc._sqs_esm_concurrency = limited
    lambda_svc._ESM_IDLE_WAKE_GAP_SECONDS = _IDLE_WAKE_GAP_S


def _make_pollers_stoppable() -> None:
    """Start no invocation once `stopping` is set: its AWS calls would find no cloud."""

    def unless_stopping(poll: Callable[[], bool]) -> Callable[[], bool]:
        return lambda: not stopping.is_set() and poll()

    lambda_svc._poll_sqs = unless_stopping(lambda_svc._poll_sqs)
    lambda_svc._poll_dynamodb_streams = unless_stopping(lambda_svc._poll_dynamodb_streams)
