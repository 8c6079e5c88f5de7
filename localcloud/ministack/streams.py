"""Changes to MiniStack's DynamoDB streams: triggers neither wait, lose nor repeat for ever, also after a restart."""

import logging
import threading
import time
from typing import Any

from ministack.services import cloudwatch, dynamodb, lambda_svc

from localcloud.stopping import stopping

logger = logging.getLogger(__name__)

# Records of a stream that are kept after every trigger has processed them, for readers of the streams API.
_RECORDS_KEPT = 1000
_RETRY_S = 0.2

_StreamKey = tuple[str, str, str]  # account, region, table or trigger


def apply() -> None:
    """Patch MiniStack; the triggers take nothing more once the cloud stops."""
    _Triggers().start()
    _keep_across_restarts()


class _Triggers:
    """Runs the stream triggers in their own thread, with AWS's handling of failures.

    MiniStack runs a stream's function in the loop that polls the queues, which wait meanwhile: an alert for every
    fourth image costs the chain a third of its speed. It also takes a batch whose function reports failed records
    as processed, and ignores MaximumRetryAttempts. Here a failed batch is repeated as a whole, which at-least-once
    delivery allows, and after its last attempt it is sent to the failure destination.
    """

    def __init__(self) -> None:
        self._new_records = threading.Event()
        self._poll, self._execute = lambda_svc._poll_dynamodb_streams, lambda_svc._execute_function
        self._thread_state = threading.local()
        # (function name, ID of the batch's first record) -> attempts so far.
        self._attempts: dict[tuple[str, str], int] = {}

    def start(self) -> None:
        """Take the streams over from MiniStack's poller."""
        dynamodb.esm_wake = self._new_records
        lambda_svc._poll_dynamodb_streams = lambda: False
        lambda_svc._execute_function = self._execute_function
        threading.Thread(target=self._run, daemon=True, name="loupe-streams").start()

    def _run(self) -> None:
        self._thread_state.polling = True
        while not stopping.is_set():
            self._new_records.clear()
            try:
                busy = self._poll()
                _trim_processed_records()
            except Exception:  # without this thread no trigger would ever run again
                logger.exception("a stream trigger failed")
                busy = False
            if not busy:
                # The timeout is for failed batches, which wait for their next attempt.
                self._new_records.wait(_RETRY_S)

    def _execute_function(self, function: dict[str, Any], event: dict[str, Any]) -> Any:
        """Run a function; a batch of a stream with AWS's handling of failures."""
        if not getattr(self._thread_state, "polling", False):
            return self._execute(function, event)
        # MiniStack may call `_execute_function` again inside, under the function's account.
        self._thread_state.polling = False
        try:
            result = _failed_if_records_failed(self._execute(function, event))
        finally:
            self._thread_state.polling = True
        _record_iterator_age(function, event["Records"])
        return self._result_of_batch(function, event["Records"], result)

    def _result_of_batch(
        self, function: dict[str, Any], records: list[dict[str, Any]], result: dict[str, Any]
    ) -> dict[str, Any]:
        """Return the result for MiniStack: after its last attempt, a failed batch is done."""
        name = function["config"]["FunctionName"]
        batch = (name, records[0]["eventID"])
        if not result.get("error"):
            self._attempts.pop(batch, None)
            return result
        self._attempts[batch] = self._attempts.get(batch, 0) + 1
        mapping = _event_source_mapping(name, records[0]["eventSourceARN"])
        retries = int(mapping.get("MaximumRetryAttempts", -1))
        if retries < 0 or self._attempts[batch] <= retries:
            return result
        del self._attempts[batch]
        lambda_svc._send_ddb_stream_failure_record(
            mapping, function, records, mapping["EventSourceArn"], result, "RetryAttemptsExhausted"
        )
        return {**result, "error": False}


def _record_iterator_age(function: dict[str, Any], records: list[dict[str, Any]]) -> None:
    age_ms = (time.time() - records[-1]["dynamodb"]["ApproximateCreationDateTime"]) * 1000
    dimensions = {"FunctionName": function["config"]["FunctionName"]}
    cloudwatch.record_metric("AWS/Lambda", "IteratorAge", age_ms, "Milliseconds", dimensions)


def _failed_if_records_failed(result: dict[str, Any]) -> dict[str, Any]:
    body = result.get("body")
    failed = body.get("batchItemFailures") if isinstance(body, dict) else None
    if result.get("error") or not failed:
        return result
    problem = {"errorType": "BatchItemFailures", "errorMessage": f"{len(failed)} records failed"}
    return {**result, "error": True, "body": problem}


def _event_source_mapping(function: str, stream: str) -> dict[str, Any]:
    for mapping in list(lambda_svc._esms._data.values()):
        if mapping["FunctionName"] == function and mapping["EventSourceArn"] == stream:
            return dict(mapping)
    return {}


def _trim_processed_records() -> None:
    """Keep the newest records that every trigger has processed; MiniStack keeps those of a day, in memory."""
    for key, first in _first_unprocessed().items():
        trimmed = dynamodb._stream_trimmed._data.get(key, 0)
        surplus = first - trimmed - _RECORDS_KEPT
        if surplus > 0:
            del dynamodb._stream_records._data[key][:surplus]
            dynamodb._stream_trimmed._data[key] = trimmed + surplus


def _keep_across_restarts() -> None:
    """Save the records that a trigger has yet to process, and start each trigger where it stopped.

    MiniStack saves a trigger's position in the stream, but not the stream: after a restart the position is beyond
    the end of an empty stream, and the trigger does nothing until as many new records have arrived.
    """
    get_state, restore_state = dynamodb.get_state, dynamodb._restore_state
    load_lambda_state = lambda_svc.load_persisted_state
    # Each trigger's position when the tables were saved. Lambda's own state is saved a little later. After kill -9, a
    # batch that was processed in between would be lost with what it had written: it is processed again.
    saved_positions: dict[_StreamKey, int] = {}

    def get_state_with_streams() -> dict[str, Any]:
        positions = [
            [*trigger, position]
            for trigger, position in list(lambda_svc._dynamodb_stream_positions._data.items())
        ]
        unprocessed = []
        for key, first in _first_unprocessed().items():
            trimmed = dynamodb._stream_trimmed._data.get(key, 0)
            unprocessed.append([*key, first, dynamodb._stream_records._data[key][first - trimmed :]])
        return {**get_state(), "loupe_streams": unprocessed, "loupe_positions": positions}

    def restore_state_with_streams(data: dict[str, Any]) -> None:
        restore_state(data)
        for account, region, table, trimmed, records in (data or {}).get("loupe_streams", []):
            dynamodb._stream_trimmed.set_scoped(account, region, table, trimmed)
            dynamodb._stream_records.set_scoped(account, region, table, records)
        for account, region, trigger, position in (data or {}).get("loupe_positions", []):
            saved_positions[account, region, trigger] = position

    def load_lambda_state_within_streams(data: dict[str, Any]) -> None:
        load_lambda_state(data)
        positions = lambda_svc._dynamodb_stream_positions._data
        for (account, region, mapping_id), position in list(positions.items()):
            mapping = lambda_svc._esms._data.get((account, region, mapping_id))
            table = _table(mapping["EventSourceArn"]) if mapping else ""
            end = dynamodb.stream_end_position(table, account_id=account, region=region)
            saved = saved_positions.get((account, region, mapping_id), position)
            positions[account, region, mapping_id] = min(position, saved, end)

    dynamodb.get_state, dynamodb._restore_state = get_state_with_streams, restore_state_with_streams
    lambda_svc.load_persisted_state = load_lambda_state_within_streams


def _first_unprocessed() -> dict[_StreamKey, int]:
    """Return, for each table with a stream, the position of the first record that a trigger has yet to process."""
    positions: dict[_StreamKey, int] = {}
    for (account, region, mapping_id), position in list(lambda_svc._dynamodb_stream_positions._data.items()):
        mapping = lambda_svc._esms._data.get((account, region, mapping_id))
        if mapping:
            key = (account, region, _table(mapping["EventSourceArn"]))
            positions[key] = min(position, positions.get(key, position))
    first = {}
    for key, records in list(dynamodb._stream_records._data.items()):
        trimmed = dynamodb._stream_trimmed._data.get(key, 0)
        first[key] = max(positions.get(key, trimmed + len(records)), trimmed)
    return first


def _table(stream: str) -> str:
    return stream.partition(":table/")[2].partition("/")[0]
