"""Functions' logs on disk and within bounds; metrics where AWS has them, so that alarms fire."""

import contextlib
import json
import logging
import logging.handlers
import threading
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from localcloud.environment import ACCOUNT, REGION

logger = logging.getLogger(__name__)

# MiniStack keeps a log stream for every invocation and every data point for two weeks, all in memory.
_STREAMS_KEPT = 200  # newest of a log group; the files hold more
_POINTS_KEPT = 1000  # newest of a metric
_ROUND_S = 1.0
_REPEAT_S = 60.0  # an unchanged queue is measured this often, as on AWS


class Observability:
    """Connects logs, metrics and alarms once `connect` is called; works from `start` to `stop`."""

    def __init__(self, logs: Path) -> None:
        """`logs` receives a file a function."""
        self._logs = logs
        self._files: dict[str, logging.Handler] = {}
        self._stopping = threading.Event()
        self._queues: dict[str, tuple[float, tuple[float, ...]]] = {}
        self._thread = threading.Thread(target=self._run, daemon=True, name="loupe-metrics")

    def connect(self) -> None:
        """Patch MiniStack: each invocation, whoever made it, is logged and measured in the same way."""
        from ministack.services import cloudwatch, lambda_svc

        emit_logs, emit_metrics = lambda_svc._emit_lambda_logs, lambda_svc._emit_lambda_metrics
        evaluate = cloudwatch._evaluate_alarm

        def emit_logs_and_metrics(
            function: dict[str, Any],
            request_id: str,
            text: str,
            error: bool,
            duration_ms: int,
            **options: Any,
        ) -> None:
            emit_logs(function, request_id, text, error, duration_ms, **options)
            config = function.get("config") or function
            name = config["FunctionName"]
            # MiniStack measures calls of Invoke, but none that a queue or a stream triggers.
            emit_metrics(name, float(duration_ms), error, False)
            self._write(name, text)
            group = (config.get("LoggingConfig") or {}).get("LogGroup") or f"/aws/lambda/{name}"
            _bound_log_group(group)
            record_embedded_metrics(text)

        def emit_throttles(name: str, duration_ms: float, error: bool, throttle: bool) -> None:
            if throttle:
                emit_metrics(name, duration_ms, error, throttle)

        def evaluate_by_dimensions(alarm: dict[str, Any]) -> None:
            # MiniStack judges an alarm by all metrics of that name, of whatever queue or endpoint.
            wanted = cloudwatch._dims_key({d["Name"]: d["Value"] for d in alarm.get("Dimensions") or []})
            own = {key: points for key, points in cloudwatch._metrics.items() if key[2] == wanted}
            types.FunctionType(evaluate.__code__, {**vars(cloudwatch), "_metrics": own})(alarm)

        lambda_svc._emit_lambda_logs = emit_logs_and_metrics
        lambda_svc._emit_lambda_metrics = emit_throttles
        cloudwatch._evaluate_alarm = evaluate_by_dimensions

    def start(self) -> None:
        """Measure queues and evaluate alarms every second."""
        self._thread.start()

    def stop(self) -> None:
        """End, and close the files."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        for handler in self._files.values():
            handler.close()

    def _write(self, function: str, text: str) -> None:
        if not text:
            return
        handler = self._files.get(function)
        if handler is None:
            file = self._logs / f"function-{function}.log"
            handler = logging.handlers.RotatingFileHandler(file, maxBytes=5_000_000, backupCount=1)
            handler = self._files.setdefault(function, handler)
        handler.handle(logging.makeLogRecord({"msg": text}))

    def _run(self) -> None:
        from ministack.core.responses import request_scope
        from ministack.services import cloudwatch

        with request_scope(ACCOUNT, REGION):
            while not self._stopping.wait(_ROUND_S):
                try:
                    self._measure_queues()
                    for points in cloudwatch._metrics.values():
                        del points[:-_POINTS_KEPT]
                    cloudwatch._evaluate_all_alarms()
                except Exception:  # something changed while it was read, say: there will be a next round
                    logger.exception("a round of measuring was skipped")

    def _measure_queues(self) -> None:
        from ministack.services import cloudwatch, sqs

        for url, queue in sqs._queues.items():
            now = time.time()
            messages = list(queue["messages"])
            visible = sum(message["visible_at"] <= now for message in messages)
            oldest = now - min((message["sent_at"] for message in messages), default=now)
            values = (visible, len(messages) - visible, round(oldest))
            measured_at, before = self._queues.get(url, (0.0, ()))
            if values == before and now - measured_at < _REPEAT_S:
                continue
            self._queues[url] = (now, values)
            dimensions = {"QueueName": url.rsplit("/", 1)[-1]}
            for name, value, unit in zip(
                (
                    "ApproximateNumberOfMessagesVisible",
                    "ApproximateNumberOfMessagesNotVisible",
                    "ApproximateAgeOfOldestMessage",
                ),
                values,
                ("Count", "Count", "Seconds"),
                strict=True,
            ):
                cloudwatch.record_metric("AWS/SQS", name, value, unit, dimensions)


def record(namespace: str, name: str, value: float, unit: str, dimensions: dict[str, str]) -> None:
    """One data point of the local account, from any thread."""
    from ministack.core.responses import request_scope
    from ministack.services import cloudwatch

    with request_scope(ACCOUNT, REGION):
        cloudwatch.record_metric(namespace, name, value, unit, dimensions)


def count_executions() -> None:
    """Patch MiniStack: executions of state machines are counted as on AWS, each at its start and its end.

    https://docs.aws.amazon.com/step-functions/latest/dg/procedure-cw-metrics.html
    """
    from ministack.services import stepfunctions

    tell = stepfunctions._emit_execution_status_event
    names = {
        "RUNNING": "ExecutionsStarted",
        "SUCCEEDED": "ExecutionsSucceeded",
        "FAILED": "ExecutionsFailed",
        "TIMED_OUT": "ExecutionsTimedOut",
        "ABORTED": "ExecutionsAborted",
    }

    def tell_and_count(execution: dict[str, Any]) -> None:
        tell(execution)
        machine = {"StateMachineArn": execution["stateMachineArn"]}
        record("AWS/States", names[execution["status"]], 1.0, "Count", machine)

    stepfunctions._emit_execution_status_event = tell_and_count


def record_embedded_metrics(text: str) -> None:
    """CloudWatch takes metrics out of log lines in embedded metric format; MiniStack leaves them there."""
    for line in text.splitlines():
        if '"_aws"' not in line:
            continue
        try:
            entries = list(embedded_metrics(json.loads(line)))
        except (ValueError, TypeError, KeyError, AttributeError):  # CloudWatch drops what it cannot read, too
            continue
        for entry in entries:
            record(*entry)


def embedded_metrics(document: dict[str, Any]) -> Iterator[tuple[str, str, float, str, dict[str, str]]]:
    """The data points in an EMF document: namespace, name, value, unit, dimensions.

    >>> list(embedded_metrics({"_aws": {"CloudWatchMetrics": [{"Namespace": "Loupe", "Dimensions": [["line"]],
    ...     "Metrics": [{"Name": "Inspected", "Unit": "Count"}]}]}, "line": "a", "Inspected": [1, 1]}))
    [('Loupe', 'Inspected', 1.0, 'Count', {'line': 'a'}), ('Loupe', 'Inspected', 1.0, 'Count', {'line': 'a'})]
    """
    for directive in document["_aws"]["CloudWatchMetrics"]:
        for names in directive["Dimensions"]:
            dimensions = {name: str(document[name]) for name in names}
            for metric in directive["Metrics"]:
                values = document[metric["Name"]]
                for value in values if isinstance(values, list) else [values]:
                    yield (
                        directive["Namespace"],
                        metric["Name"],
                        float(value),
                        metric.get("Unit", "None"),
                        dimensions,
                    )


def _bound_log_group(name: str) -> None:
    from ministack.services import cloudwatch_logs

    group = cloudwatch_logs._log_groups.get(name)
    streams = group["streams"] if group else {}
    while len(streams) > _STREAMS_KEPT:
        with contextlib.suppress(KeyError, StopIteration):  # another thread was faster
            del streams[next(iter(streams))]
