"""What a line of a log says, and how bad it is: lines of functions, containers, the API, and the state machine."""

from __future__ import annotations

import json
import re
from typing import Any

# What the Lambda runtime writes about each invocation.
# https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs.html
_RUNTIME_LINES = ("START RequestId", "END RequestId", "INIT_START", "XRAY TraceId")
# The same, about an invocation that ended badly.
_RUNTIME_ERRORS = re.compile(
    r"Task timed out after|Runtime exited|Status: (timeout|error)|^\[ERROR\]|^Traceback"
)
_REPORT = "REPORT RequestId"
# The members of a Powertools log line that say where it comes from, not what happened.
_ORIGIN = (
    *("level", "message", "location", "timestamp", "service", "sampling_rate", "xray_trace_id"),
    *("cold_start", "function_name", "function_memory_size", "function_arn", "function_request_id"),
)
# https://docs.aws.amazon.com/step-functions/latest/apireference/API_HistoryEvent.html
_BAD_EVENTS = ("Failed", "TimedOut", "Aborted")


def parse(text: str) -> tuple[str, str] | None:
    """Return the level and the message; None for a line about the invocation itself, or a metric.

    >>> parse('{"level": "WARNING", "message": "deferred", "location": "x:1", "key": "a.jpg"}')
    ('WARNING', 'deferred key=a.jpg')
    >>> parse('{"event": "request", "status": 500, "code": "inference_failed"}')
    ('ERROR', '{"event": "request", "status": 500, "code": "inference_failed"}')
    >>> parse("START RequestId: 7f Version: $LATEST")
    """
    text = text.rstrip()
    is_error = _RUNTIME_ERRORS.search(text) is not None
    if not text or text.startswith(_RUNTIME_LINES) or (text.startswith(_REPORT) and not is_error):
        return None
    try:
        document: Any = json.loads(text)
    except ValueError:
        return ("ERROR" if is_error else ""), text
    if not isinstance(document, dict):
        return "", text
    if "_aws" in document:
        # EMF: a metric, for CloudWatch.
        return None
    if "message" in document and "level" in document:
        return str(document["level"]), _powertools(document)
    # Any other document is what a program reports, such as an epoch.
    return _level(document), text


def _powertools(document: dict[str, Any]) -> str:
    message = document["message"]
    rest = {name: value for name, value in document.items() if name not in _ORIGIN and value is not None}
    words = [message if isinstance(message, str) else json.dumps(message, ensure_ascii=False)]
    words += [f"{name}={value}" for name, value in rest.items() if name != "exception"]
    words += [str(rest["exception"])] if "exception" in rest else []
    return " ".join(words)


def _level(document: dict[str, Any]) -> str:
    """Return how bad it is what the container, API Gateway, or Step Functions reports."""
    if str(document.get("type", "")).endswith(_BAD_EVENTS):
        return "ERROR"
    status = str(document.get("status", ""))
    if re.fullmatch(r"[1-5]\d\d", status):
        return "ERROR" if status >= "500" else "WARNING" if status >= "400" else "INFO"
    return str(document.get("level", "")).upper()
