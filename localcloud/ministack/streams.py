"""DynamoDB streams: triggers that neither wait, lose, nor repeat for ever, also across a restart."""

import logging
import threading
import time
from typing import Any

logger = logging.getLogger(__name__)

_KEPT = 1000  # records of a stream that every trigger has taken, for who reads the stream by its API


def trigger_beside_queues(stopping: threading.Event) -> None:
    """Run the stream triggers in a thread of their own, with AWS's handling of failures.

    MiniStack runs the function of a stream within the loop that polls the queues, which wait meanwhile: an
    alert for every fourth image costs the chain a third of its speed. It takes a batch whose function reports
    failed records for done, and has no MaximumRetryAttempts. Here a failed batch comes again whole, which
    at-least-once delivery allows, and after its last attempt goes to the failure destination.
    """
    from ministack.services import cloudwatch, dynamodb, lambda_svc

    wake = threading.Event()
    dynamodb.esm_wake = wake
    poll, execute = lambda_svc._poll_dynamodb_streams, lambda_svc._execute_function
    lambda_svc._poll_dynamodb_streams = lambda: False
    here = threading.local()
    attempts: dict[tuple[str, str], int] = {}

    def execute_batch(function: dict[str, Any], event: dict[str, Any]) -> Any:
        if not getattr(here, "polling", False):
            return execute(function, event)
        here.polling = False  # MiniStack may call itself once more, under the function's account
        try:
            result = _as_failed_if_reported(execute(function, event))
        finally:
            here.polling = True
        records = event["Records"]
        age_ms = (time.time() - records[-1]["dynamodb"]["ApproximateCreationDateTime"]) * 1000
        function_name = {"FunctionName": function["config"]["FunctionName"]}
        cloudwatch.record_metric("AWS/Lambda", "IteratorAge", age_ms, "Milliseconds", function_name)
        key = (function["config"]["FunctionName"], records[0]["eventID"])
        if not result.get("error"):
            attempts.pop(key, None)
            return result
        attempts[key] = attempts.get(key, 0) + 1
        mapping = _mapping(key[0], records[0]["eventSourceARN"])
        retries = int(mapping.get("MaximumRetryAttempts", -1))
        if retries < 0 or attempts[key] <= retries:
            return result
        del attempts[key]
        lambda_svc._send_ddb_stream_failure_record(
            mapping, function, records, mapping["EventSourceArn"], result, "RetryAttemptsExhausted"
        )
        return {**result, "error": False}

    def run() -> None:
        here.polling = True
        while not stopping.is_set():
            wake.clear()
            try:
                busy = poll()
                _forget_taken()
            except Exception:  # a trigger that ends would be silent for good
                logger.exception("a stream trigger failed")
                busy = False
            if not busy:
                # New records set `wake`; the timeout is for batches that failed and wait for their next try.
                wake.wait(0.2)

    lambda_svc._execute_function = execute_batch
    threading.Thread(target=run, daemon=True, name="loupe-streams").start()


def _forget_taken() -> None:
    """Keep the newest records that every trigger has taken, no more: MiniStack keeps a day's, in memory."""
    from ministack.services import dynamodb

    for key, first in _first_awaited().items():
        trimmed = dynamodb._stream_trimmed._data.get(key, 0)
        surplus = first - trimmed - _KEPT
        if surplus > 0:
            del dynamodb._stream_records._data[key][:surplus]
            dynamodb._stream_trimmed._data[key] = trimmed + surplus


def _as_failed_if_reported(result: dict[str, Any]) -> dict[str, Any]:
    body = result.get("body")
    failed = body.get("batchItemFailures") if isinstance(body, dict) else None
    if result.get("error") or not failed:
        return result
    problem = {"errorType": "BatchItemFailures", "errorMessage": f"{len(failed)} records failed"}
    return {**result, "error": True, "body": problem}


def _mapping(function: str, stream: str) -> dict[str, Any]:
    from ministack.services import lambda_svc

    for mapping in list(lambda_svc._esms._data.values()):
        if mapping["FunctionName"] == function and mapping["EventSourceArn"] == stream:
            return dict(mapping)
    return {}


def keep_across_restarts() -> None:
    """Save the records that no trigger has taken yet, and start each trigger where it stopped.

    MiniStack saves a trigger's position in the stream, but not the stream: after a restart the position lies
    beyond an empty stream's end, and the trigger is silent until as many new records have come.
    """
    from ministack.services import dynamodb, lambda_svc

    get_state, restore, load_lambda = (
        dynamodb.get_state,
        dynamodb._restore_state,
        lambda_svc.load_persisted_state,
    )

    def get_state_with_streams() -> dict[str, Any]:
        waiting = []
        for key, first in _first_awaited().items():
            trimmed = dynamodb._stream_trimmed._data.get(key, 0)
            waiting.append([*key, first, dynamodb._stream_records._data[key][first - trimmed :]])
        return {**get_state(), "loupe_streams": waiting}

    def restore_with_streams(data: dict[str, Any]) -> None:
        restore(data)
        for account, region, table, trimmed, records in (data or {}).get("loupe_streams", []):
            dynamodb._stream_trimmed.set_scoped(account, region, table, trimmed)
            dynamodb._stream_records.set_scoped(account, region, table, records)

    def load_lambda_within_streams(data: dict[str, Any]) -> None:
        load_lambda(data)
        for (account, region, mapping_id), position in list(
            lambda_svc._dynamodb_stream_positions._data.items()
        ):
            mapping = lambda_svc._esms._data.get((account, region, mapping_id))
            table = _table(mapping["EventSourceArn"]) if mapping else ""
            end = dynamodb.stream_end_position(table, account_id=account, region=region)
            lambda_svc._dynamodb_stream_positions._data[account, region, mapping_id] = min(position, end)

    dynamodb.get_state, dynamodb._restore_state = get_state_with_streams, restore_with_streams
    lambda_svc.load_persisted_state = load_lambda_within_streams


def _first_awaited() -> dict[tuple[str, str, str], int]:
    """For each table with a stream: the position of the first record that some trigger has yet to take."""
    from ministack.services import dynamodb, lambda_svc

    positions: dict[tuple[str, str, str], int] = {}
    for (account, region, mapping_id), position in list(lambda_svc._dynamodb_stream_positions._data.items()):
        mapping = lambda_svc._esms._data.get((account, region, mapping_id))
        if mapping:
            key = (account, region, _table(mapping["EventSourceArn"]))
            positions[key] = min(position, positions.get(key, position))
    awaited = {}
    for key, records in list(dynamodb._stream_records._data.items()):
        trimmed = dynamodb._stream_trimmed._data.get(key, 0)
        awaited[key] = max(positions.get(key, trimmed + len(records)), trimmed)
    return awaited


def _table(stream: str) -> str:
    return stream.partition(":table/")[2].partition("/")[0]
