"""What MiniStack 1.5.33 does otherwise than AWS and matters here, put right at start-up.

Each patch is small and says why. They reach into names that MiniStack does not promise, so `check` refuses
any other version, and any of ours whose names have moved.
"""

import hmac
import importlib
import importlib.metadata
import json
import os
import subprocess
import threading
from collections.abc import Callable, Mapping
from typing import Any

from localcloud.errors import IncompatibleMiniStackError
from localcloud.ministack import streams
from localcloud.ministack.observability import Observability, count_executions

VERSION = "1.5.33"

# Module -> the names that we read, replace or call.
_NAMES = {
    "app": ("app", "_request_account_scope", "_build_persistence_save_dict", "_loaded_modules", "AUTH"),
    "core.concurrency": ("esm_wake",),
    "core.iam_actions": ("identity_denial_message",),
    "core.iam_evaluator": (
        "AuthError",
        "enforce",
        "is_root_access_key",
        "pin_request_origin",
        "pin_signed_body",
        "pin_signed_request",
    ),
    "core.lambda_runtime": (
        "_PYTHON_WORKER_SCRIPT",
        "Worker",
        "execution_credentials",
        "reset",
        "subprocess",
    ),
    "core.persistence": ("save_state",),
    "core.responses": ("request_scope", "set_request_account_id", "set_request_region"),
    "core.router": ("extract_access_key_id", "extract_region"),
    "services.cloudformation.provisioners": ("_RESOURCE_HANDLERS",),
    "services.cloudwatch": (
        "_alarms",
        "_dims_key",
        "_evaluate_alarm",
        "_evaluate_all_alarms",
        "_metrics",
        "record_metric",
    ),
    "services.cloudwatch_logs": ("_log_groups",),
    "services.dynamodb": (
        "_restore_state",
        "_stream_records",
        "_stream_trimmed",
        "esm_wake",
        "get_state",
        "stream_end_position",
    ),
    "services.iam": ("_roles",),
    "services.lambda_svc": (
        "_ESM_IDLE_WAKE_GAP_SECONDS",
        "_dynamodb_stream_positions",
        "_emit_lambda_logs",
        "_emit_lambda_metrics",
        "_esms",
        "_execute_function",
        "_execute_function_warm",
        "_poll_dynamodb_streams",
        "_poll_sqs",
        "_send_ddb_stream_failure_record",
        "_sqs_esm_concurrency",
        "execution_credentials",
        "executions_in_flight",
        "load_persisted_state",
    ),
    "services.s3": ("_object_versions", "_persist_object", "_version_file_exists"),
    "services.sqs": ("_queues",),
    "services.stepfunctions": (
        "_ExecutionError",
        "_apply_state_assign",
        "_emit_execution_status_event",
        "_call_lambda",
        "_execute_task",
        "_executions",
        "_invoke_resource",
        "_invoke_resource_with_timeout",
        "_invoke_with_callback",
        "_run_execution",
        "_sdk_json_params",
        "_sdk_json_result",
        "_state_machines",
        "_task_tokens",
    ),
    "services.sts": ("_sessions", "register_session"),
}
_FAILURE = '"error": str(e), "trace": traceback.format_exc()'

# Set while the cloud stops: nothing new is taken from queues and streams.
stopping = threading.Event()


def check(version: str | None = None, names: Mapping[str, tuple[str, ...]] = _NAMES) -> None:
    """Raise IncompatibleMiniStackError unless MiniStack is what the patches were written for."""
    installed = version or importlib.metadata.version("ministack")
    if installed != VERSION:
        raise IncompatibleMiniStackError(
            f"MiniStack {installed} is installed; the local cloud needs {VERSION}. "
            "Install requirements/local.txt."
        )
    for module_name, wanted in names.items():
        module = importlib.import_module(f"ministack.{module_name}")
        missing = [name for name in wanted if not hasattr(module, name)]
        if missing:
            raise IncompatibleMiniStackError(f"ministack.{module_name} has no {', '.join(missing)}.")


def apply(observability: Observability, secret: bytes) -> None:
    """Patch MiniStack in this process, once; functions' credentials are derived from `secret`."""
    check()
    _name_exceptions()
    _keep_credentials_secret(secret)
    _isolate_workers()
    _fit_concurrency()
    _forget_bodies()
    _stop_pollers()
    streams.trigger_beside_queues(stopping)
    streams.keep_across_restarts()
    observability.connect()
    count_executions()


def _name_exceptions() -> None:
    """A function's exception arrives under its class's name, as a Retry or Catch in a state machine expects.

    MiniStack calls each one Runtime.HandlerError.
    """
    from ministack.core import lambda_runtime
    from ministack.services import lambda_svc

    if _FAILURE not in lambda_runtime._PYTHON_WORKER_SCRIPT:
        raise IncompatibleMiniStackError("MiniStack's Lambda worker reports errors in another way.")
    lambda_runtime._PYTHON_WORKER_SCRIPT = lambda_runtime._PYTHON_WORKER_SCRIPT.replace(
        _FAILURE, _FAILURE + ', "error_type": type(e).__name__'
    )
    last = threading.local()
    invoke, execute = lambda_runtime.Worker.invoke, lambda_svc._execute_function_warm

    def remembering_invoke(*arguments: Any, **options: Any) -> Any:
        answer = invoke(*arguments, **options)
        last.error_type = answer.get("error_type")
        return answer

    def naming_execute(*arguments: Any, **options: Any) -> Any:
        last.error_type = None
        result = execute(*arguments, **options)
        if result.get("error") and last.error_type:
            result["body"]["errorType"] = last.error_type
        return result

    lambda_runtime.Worker.invoke = remembering_invoke
    lambda_svc._execute_function_warm = naming_execute


class _Subprocess:
    """The subprocess module with a Popen that hides this process's surroundings from a Lambda worker."""

    _KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
    _GIVEN = ("AWS_", "_LAMBDA", "LAMBDA_TASK_ROOT")

    def __getattr__(self, name: str) -> Any:
        return getattr(subprocess, name)

    def Popen(self, command: list[str], env: dict[str, str], **options: Any) -> Any:  # noqa: N802
        environment = {
            name: value
            for name, value in env.items()
            if name in self._KEPT or name.startswith(self._GIVEN) or name not in os.environ
        }
        # The user's profiles are not the function's.
        environment |= {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
        # One thread a worker for numeric libraries: on AWS it has about one CPU, here it shares a laptop.
        environment.setdefault("OMP_NUM_THREADS", "1")
        return subprocess.Popen(command, env=environment, start_new_session=True, **options)  # noqa: S603


def _keep_credentials_secret(secret: bytes) -> None:
    """A function's credentials cannot be computed by others on the machine, and outlive a restart.

    MiniStack derives them from the names of function and role alone. They sign the links in alerts, so new
    ones at every start would break the links of before.
    """
    from ministack.core import lambda_runtime
    from ministack.services import lambda_svc, sts

    derive = lambda_runtime.execution_credentials

    def derive_with_secret(config: dict[str, Any]) -> dict[str, str]:
        key = derive(config)["AWS_ACCESS_KEY_ID"]
        names = {"SecretAccessKey": "AWS_SECRET_ACCESS_KEY", "SessionToken": "AWS_SESSION_TOKEN"}
        made = {name: hmac.digest(secret, f"{name}:{key}".encode(), "sha256").hex() for name in names}
        sts._sessions[key].update(made)
        return {"AWS_ACCESS_KEY_ID": key} | {names[name]: value for name, value in made.items()}

    lambda_runtime.execution_credentials = lambda_svc.execution_credentials = derive_with_secret


def _isolate_workers() -> None:
    """A function sees what Lambda gives it, not the variables of whoever started the cloud.

    A session of its own keeps Ctrl+C in the shell from killing it amid a batch. It ends with this process
    even on `kill -9`: it reads its invocations from a pipe, and leaves when that closes.
    """
    from ministack.core import lambda_runtime

    lambda_runtime.subprocess = _Subprocess()
    make = lambda_runtime.Worker.__init__

    def make_with_text(worker: Any, name: str, config: dict[str, Any], code: bytes) -> None:
        # A number from a template stays one in MiniStack; CloudFormation makes all variables text.
        variables = (config.get("Environment") or {}).get("Variables") or {}
        texts = {
            key: json.dumps(value) if isinstance(value, bool) else str(value)
            for key, value in variables.items()
        }
        make(worker, name, {**config, "Environment": {"Variables": texts}}, code)

    lambda_runtime.Worker.__init__ = make_with_text


def _fit_concurrency() -> None:
    """No more batches at once than a laptop has cores: each is a process of 100 MB that takes 0.5 s to start.

    At least two, the least that ScalingConfig allows on AWS. The template's own number holds if lower.
    """
    from ministack.services import lambda_svc

    wanted = lambda_svc._sqs_esm_concurrency
    cores = max(2, os.cpu_count() or 2)

    def fitting(mapping: dict[str, Any], *arguments: Any) -> int:
        scaling = mapping.get("ScalingConfig") or {}
        if "MaximumConcurrency" in scaling:
            # A number that came through a template's parameter is still a string.
            scaling["MaximumConcurrency"] = int(scaling["MaximumConcurrency"])
        return min(int(wanted(mapping, *arguments)), cores)

    lambda_svc._sqs_esm_concurrency = fitting
    # A wake-up that finds nothing delays the next one, by 50 ms: half of what an image may take in all.
    lambda_svc._ESM_IDLE_WAKE_GAP_SECONDS = 0.005


def _forget_bodies() -> None:
    """Versions of objects stay on disk, where they are, and not in memory as well.

    MiniStack drops the body of an object that it has written to disk, but keeps that of its version.
    """
    from ministack.services import s3

    persist = s3._persist_object

    def persist_and_forget(bucket: str, key: str, stored: Any) -> None:
        persist(bucket, key, stored)
        if not isinstance(stored, dict) or stored.get("body") is not None:
            return  # not written
        for version in s3._object_versions.get((bucket, key)) or []:
            current = version.get("version_id") == stored.get("version_id")
            if version.get("data") is not None and (
                current or s3._version_file_exists(bucket, key, version["version_id"])
            ):
                version["data"] = None

    s3._persist_object = persist_and_forget


def _stop_pollers() -> None:
    """`stopping` keeps the pollers from starting invocations whose calls would find no cloud any more."""
    from ministack.services import lambda_svc

    def unless_stopping(poll: Callable[[], bool]) -> Callable[[], bool]:
        return lambda: not stopping.is_set() and poll()

    lambda_svc._poll_sqs = unless_stopping(lambda_svc._poll_sqs)
    lambda_svc._poll_dynamodb_streams = unless_stopping(lambda_svc._poll_dynamodb_streams)
