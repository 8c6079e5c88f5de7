"""Changes to MiniStack's CloudWatch Logs: FilterLogEvents finds what was asked for, all of it, page by page.

MiniStack takes a pattern about JSON fields for "everything" and the words of a phrase for terms of their own, ignores
logStreamNamePrefix, ends without a token at the limit, and gives the events of functions no identity. Without one,
`aws logs tail --follow` ends with a KeyError.

https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html
"""

from __future__ import annotations

import heapq
import uuid
from collections.abc import Iterator
from itertools import islice
from typing import Any

from ministack.core.responses import error_response_json, json_response
from ministack.services import cloudwatch_logs

from localcloud.ministack.log_patterns import PatternError, compile_pattern

_MOST = 10_000
_Event = dict[str, Any]


def apply() -> None:
    """Patch MiniStack."""
    cloudwatch_logs._filter_log_events = _filter_log_events


def _filter_log_events(request: dict[str, Any]) -> Any:
    name = cloudwatch_logs._resolve_log_group_name(request)
    group = cloudwatch_logs._log_groups.get(name)
    if group is None:
        text = f"The specified log group does not exist: {name}"
        return error_response_json("ResourceNotFoundException", text, 400)
    if request.get("logStreamNames") and request.get("logStreamNamePrefix"):
        text = "LogStreamNames and LogStreamNamePrefix cannot both be given."
        return error_response_json("InvalidParameterException", text, 400)
    try:
        matches = compile_pattern(request.get("filterPattern") or "")
    except PatternError as error:
        return error_response_json("InvalidParameterException", f"Invalid filter pattern: {error}.", 400)
    start = cloudwatch_logs._decode_token(request.get("nextToken"))
    limit = min(request.get("limit") or _MOST, _MOST)
    found = (event for event in _events(group["streams"], request) if matches(event["message"]))
    page = list(islice(found, start, start + limit + 1))
    answer: dict[str, Any] = {"events": page[:limit], "searchedLogStreams": []}
    if len(page) > limit:
        answer["nextToken"] = cloudwatch_logs._encode_token(start + limit)
    return json_response(answer)


def _events(streams: dict[str, Any], request: dict[str, Any]) -> Iterator[_Event]:
    """Yield the events of the chosen streams in the order of their times, each with its stream and its identity."""
    chosen = request.get("logStreamNames")
    prefix = request.get("logStreamNamePrefix") or ""
    first, last = request.get("startTime", 0), request.get("endTime")
    with cloudwatch_logs._log_events_lock:
        histories = [
            [
                {**event, "eventId": event.setdefault("eventId", uuid.uuid4().hex), "logStreamName": name}
                for event in stream["events"]
                if first <= event["timestamp"] and (last is None or event["timestamp"] <= last)
            ]
            for name, stream in list(streams.items())
            if (name in chosen if chosen else name.startswith(prefix))
        ]
    yield from heapq.merge(*histories, key=lambda event: event["timestamp"])
