"""A log line about a request: who asked, by the ids that the caller gave, and how it ended.

The inspect function sends the inspection's id and its trace in SageMaker's custom attributes, so one id finds the lines
of an image in the function's log and here. Requests that are answered quickly have no line unless the settings say so.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

from contract.endpoint import ATTRIBUTES_HEADER, ids_of
from training.job.container import emit
from training.serving.refusals import LATER, RefusedError


class RequestLog:
    """Writes the lines, to standard error."""

    def __init__(self, slow_ms: float, every_request: bool) -> None:
        """Write about failed requests, those slower than `slow_ms` (0: none), or about every one."""
        self._slow_ms, self._every = slow_ms, every_request

    def answered(self, headers: Mapping[str, str], milliseconds: float) -> None:
        """Write about a request that was answered, if it was slow or each one is wanted."""
        slow = 0 < self._slow_ms < milliseconds
        if slow or self._every:
            self._write(headers, milliseconds, {"status": 200, "slow": slow})

    def refused(self, headers: Mapping[str, str], milliseconds: float, refusal: RefusedError) -> None:
        """Write about a request that got an error. Of a backlog the metrics tell enough: it has a line only on wish."""
        if refusal.status not in LATER or self._every:
            fields = {"status": refusal.status, "code": refusal.code, "message": str(refusal)}
            self._write(headers, milliseconds, fields)

    def _write(self, headers: Mapping[str, str], milliseconds: float, fields: Mapping[str, object]) -> None:
        ids = ids_of(headers.get(ATTRIBUTES_HEADER, ""))
        # https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader
        if "trace" not in ids and (trace := headers.get("X-Amzn-Trace-Id")):
            ids["trace"] = trace[:100]
        emit("request", {**ids, **fields, "milliseconds": round(milliseconds, 1)}, to=sys.stderr)
