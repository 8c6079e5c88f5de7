"""Writes the functions' logs to files, limits what is kept in memory, and measures, so that alarms fire."""

import contextlib
import logging
import threading
import time
from pathlib import Path
from typing import Any

from ministack.core.responses import request_scope
from ministack.services import cloudwatch, cloudwatch_logs, lambda_svc, sqs

from localcloud.home.log_file import LogFile
from localcloud.ministack import alarms, function_roles, metrics
from localcloud.ministack.environment import ACCOUNT, REGION

logger = logging.getLogger(__name__)

# MiniStack keeps a log stream for every invocation, and every data point for two weeks, all in memory.
_STREAMS_KEPT = 200  # the newest of a log group; the files contain more
_POINTS_KEPT = 1000  # the newest of a metric
_INTERVAL_S = 1.0
# An unchanged queue is measured this often: an alarm on it needs data in each of its periods, the shortest of a minute.
_REPEAT_S = 20.0


class Observability:
    """Connects logs, metrics and alarms in `apply`; measures from `start` to `stop`."""

    def __init__(self, logs: Path) -> None:
        """Initialize; nothing is logged before `apply`, or measured before `start`.

        Args:
            logs: The folder for the log files, one for each function.
        """
        self._logs = logs
        self._files: dict[str, logging.Handler] = {}
        self._stopping = threading.Event()
        # Queue URL -> when it was last measured, and the values.
        self._measured_queues: dict[str, tuple[float, tuple[float, ...]]] = {}
        self._thread = threading.Thread(target=self._run, daemon=True, name="loupe-metrics")

    def apply(self) -> None:
        """Patch MiniStack: log and measure every invocation, whatever triggered it, in the same way."""
        emit_logs, emit_metrics = lambda_svc._emit_lambda_logs, lambda_svc._emit_lambda_metrics

        def emit_logs_and_metrics(
            function: dict[str, Any],
            request_id: str,
            text: str,
            error: bool,
            duration_ms: int,
            **options: Any,
        ) -> None:
            config = function.get("config") or function
            name = config["FunctionName"]
            # MiniStack measures calls of Invoke, but no invocations by a queue or a stream.
            emit_metrics(name, float(duration_ms), error, False)
            self._write(name, text)
            group = (config.get("LoggingConfig") or {}).get("LogGroup") or f"/aws/lambda/{name}"
            if function_roles.may_write_logs(config, group):
                emit_logs(function, request_id, text, error, duration_ms, **options)
                _trim_log_group(group)
                # CloudWatch finds them in the log.
                metrics.record_embedded(text)

        def emit_throttles(name: str, duration_ms: float, error: bool, throttle: bool) -> None:
            if throttle:
                emit_metrics(name, duration_ms, error, throttle)

        lambda_svc._emit_lambda_logs = emit_logs_and_metrics
        lambda_svc._emit_lambda_metrics = emit_throttles
        alarms.apply()

    def start(self) -> None:
        """Measure queues and evaluate alarms every second from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Stop measuring and close the files."""
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
            handler = self._files.setdefault(function, LogFile(file, backups=1))
        handler.handle(logging.makeLogRecord({"msg": text}))

    def _run(self) -> None:
        with request_scope(ACCOUNT, REGION):
            while not self._stopping.wait(_INTERVAL_S):
                try:
                    self._measure_queues()
                    for points in cloudwatch._metrics.values():
                        del points[:-_POINTS_KEPT]
                    cloudwatch._evaluate_all_alarms()
                except Exception:  # for example, a queue changed while it was read: the next round follows
                    logger.exception("a round of measuring was skipped")

    def _measure_queues(self) -> None:
        for url, queue in sqs._queues.items():
            now = time.time()
            messages = list(queue["messages"])
            visible = sum(message["visible_at"] <= now for message in messages)
            oldest = now - min((message["sent_at"] for message in messages), default=now)
            values = (visible, len(messages) - visible, round(oldest))
            measured_at, previous = self._measured_queues.get(url, (0.0, ()))
            if values == previous and now - measured_at < _REPEAT_S:
                continue
            self._measured_queues[url] = (now, values)
            dimensions = {"QueueName": url.rsplit("/", 1)[-1]}
            for name, unit, value in (
                ("ApproximateNumberOfMessagesVisible", "Count", values[0]),
                ("ApproximateNumberOfMessagesNotVisible", "Count", values[1]),
                ("ApproximateAgeOfOldestMessage", "Seconds", values[2]),
            ):
                cloudwatch.record_metric("AWS/SQS", name, value, unit, dimensions)


def _trim_log_group(name: str) -> None:
    group = cloudwatch_logs._log_groups.get(name)
    streams = group["streams"] if group else {}
    while len(streams) > _STREAMS_KEPT:
        # Another thread may delete the same stream first.
        with contextlib.suppress(KeyError, StopIteration):
            del streams[next(iter(streams))]
