"""Stream triggers of the local cloud: what was not yet saved with its effects is processed again after `kill -9`."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ministack.core.responses import AccountRegionScopedDict
from ministack.services import dynamodb, lambda_svc

from localcloud.ministack import streams

TRIGGER = ("000000000000", "us-east-1", "trigger")
STREAM = ("000000000000", "us-east-1", "table")
ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/table/stream/1"


@pytest.fixture(autouse=True)
def _patched(monkeypatch: pytest.MonkeyPatch) -> None:
    """MiniStack's streams with nothing in them, changed as in the local cloud, without a thread."""
    for module in (dynamodb, lambda_svc):
        for name, value in vars(module).copy().items():
            if callable(value) or isinstance(value, AccountRegionScopedDict):
                monkeypatch.setattr(module, name, value)
    start(monkeypatch)


def start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin anew, as a process that starts."""
    for name in ("_stream_records", "_stream_trimmed"):
        monkeypatch.setattr(dynamodb, name, AccountRegionScopedDict())
    for name in ("_dynamodb_stream_positions", "_esms"):
        monkeypatch.setattr(lambda_svc, name, AccountRegionScopedDict())
    lambda_svc._esms._data[TRIGGER] = {"UUID": "trigger", "EventSourceArn": ARN, "FunctionName": "track"}
    monkeypatch.setattr(lambda_svc, "load_persisted_state", _load)
    monkeypatch.setattr(dynamodb, "get_state", dict)
    monkeypatch.setattr(dynamodb, "_restore_state", lambda data: None)
    streams._keep_across_restarts()


def _load(data: dict[str, Any]) -> None:
    lambda_svc._dynamodb_stream_positions._data.update(data)


@pytest.mark.promise(9, 28)
def test_a_batch_that_was_processed_after_the_tables_were_saved_is_processed_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dynamodb._stream_records._data[STREAM] = [{"eventID": str(number)} for number in range(5)]
    positions = lambda_svc._dynamodb_stream_positions._data
    positions[TRIGGER] = 2
    tables = copy.deepcopy(dynamodb.get_state())
    # The function has processed the rest when Lambda's own state is saved.
    positions[TRIGGER] = 5
    own = copy.deepcopy(positions)

    start(monkeypatch)
    dynamodb._restore_state(tables)
    lambda_svc.load_persisted_state(own)
    position = lambda_svc._dynamodb_stream_positions._data[TRIGGER]
    first = dynamodb._stream_trimmed._data[STREAM]
    repeated = dynamodb._stream_records._data[STREAM][position - first :]
    assert [record["eventID"] for record in repeated] == ["2", "3", "4"]


def test_a_trigger_goes_on_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    dynamodb._stream_records._data[STREAM] = [{"eventID": str(number)} for number in range(5)]
    positions = lambda_svc._dynamodb_stream_positions._data
    positions[TRIGGER] = 5
    tables, own = copy.deepcopy(dynamodb.get_state()), copy.deepcopy(positions)

    start(monkeypatch)
    dynamodb._restore_state(tables)
    lambda_svc.load_persisted_state(own)
    assert lambda_svc._dynamodb_stream_positions._data[TRIGGER] == 5
    assert dynamodb._stream_records._data[STREAM] == []
