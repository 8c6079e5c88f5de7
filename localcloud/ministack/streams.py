"""Changes to MiniStack's DynamoDB streams: triggers neither wait, lose nor repeat for ever, also after a restart."""

from typing import Any

from ministack.services import dynamodb, lambda_svc

from localcloud.ministack.stream_triggers import Triggers

# Records of a stream that are kept after every trigger has processed them, for readers of the streams API.
_RECORDS_KEPT = 200

_StreamKey = tuple[str, str, str]  # account, region, table or trigger


def apply() -> None:
    """Patch MiniStack; the triggers take nothing more once the cloud stops."""
    Triggers(after_each_round=_trim_processed_records).start()
    _keep_across_restarts()


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
