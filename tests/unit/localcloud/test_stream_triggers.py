"""Functions of DynamoDB streams in the local cloud: lanes, order, failures, and the position that is saved."""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import Any

import pytest
from ministack.core.responses import AccountRegionScopedDict, request_scope
from ministack.services import cloudwatch, dynamodb, lambda_svc

from localcloud.ministack import stream_triggers
from localcloud.ministack.stream_triggers import Triggers

SCOPE = ("000000000000", "us-east-1")
ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/table/stream/1"
PATIENCE_S = 60
Records = list[dict[str, Any]]


class Function:
    """A function that notes its batches, and answers as it is told."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.failing: set[str] = set()
        self.held: set[str] = set()
        self.release = threading.Event()
        self.changed = threading.Condition()
        self.running = 0

    def __call__(self, function: dict[str, Any], event: dict[str, Any]) -> dict[str, Any]:
        names = [record["eventID"] for record in event["Records"]]
        with self.changed:
            self.batches.append(names)
            self.running += 1
            self.changed.notify_all()
        if self.held & set(names):
            assert self.release.wait(PATIENCE_S)
        with self.changed:
            self.running -= 1
            self.changed.notify_all()
        failed = [
            {"itemIdentifier": record["dynamodb"]["SequenceNumber"]}
            for record in event["Records"]
            if record["eventID"] in self.failing
        ]
        return {"body": {"batchItemFailures": failed}}

    def wait(self, condition: Any) -> None:
        with self.changed:
            assert self.changed.wait_for(condition, PATIENCE_S), self.batches


@pytest.fixture
def mapping() -> dict[str, Any]:
    return {
        "UUID": "trigger",
        "EventSourceArn": ARN,
        "FunctionName": "alert",
        "StartingPosition": "TRIM_HORIZON",
        "BatchSize": 2,
        "ParallelizationFactor": 2,
        "MaximumRetryAttempts": 1,
    }


@pytest.fixture
def given_up() -> list[tuple[list[str], str]]:
    return []


@pytest.fixture
def function(
    monkeypatch: pytest.MonkeyPatch, mapping: dict[str, Any], given_up: list[tuple[list[str], str]]
) -> Function:
    """MiniStack with a table, a mapping and this function."""
    function = Function()
    for module, name in (
        (dynamodb, "_stream_records"),
        (dynamodb, "_stream_trimmed"),
        (dynamodb, "_tables"),
        (lambda_svc, "_dynamodb_stream_positions"),
    ):
        monkeypatch.setattr(module, name, AccountRegionScopedDict())
    dynamodb._tables.set_scoped(*SCOPE, "table", {"LatestStreamArn": ARN, "items": defaultdict(dict)})
    monkeypatch.setattr(lambda_svc, "_iter_all_esms", lambda: [(*SCOPE, mapping)])
    known = {"config": {"FunctionName": "alert"}}
    monkeypatch.setattr(lambda_svc, "_get_func_record_for_qualifier", lambda name, qualifier: (known, {}))
    monkeypatch.setattr(lambda_svc, "_execute_function", function)
    monkeypatch.setattr(cloudwatch, "record_metric", lambda *arguments: None)
    monkeypatch.setattr(stream_triggers, "_RETRY_S", 0.01)

    def give_up(mapping: Any, function: Any, records: Records, arn: str, result: Any, reason: str) -> None:
        given_up.append(([record["eventID"] for record in records], reason))

    monkeypatch.setattr(lambda_svc, "_send_ddb_stream_failure_record", give_up)
    return function


def write(*names: str) -> None:
    """Write records; the first character of a name is its item."""
    records = dynamodb._stream_records._data.setdefault((*SCOPE, "table"), [])
    for name in names:
        number = str(len(records))
        content: dict[str, Any] = {"Keys": {"image": {"S": name[0]}}, "SequenceNumber": number}
        content["ApproximateCreationDateTime"] = 4e9
        records.append({"eventID": name, "dynamodb": content})


def position() -> int:
    with request_scope(*SCOPE):
        return int(lambda_svc._dynamodb_stream_positions.get("trigger", 0))


def turn(triggers: Triggers, function: Function) -> None:
    """Let the triggers look once, and wait until nothing runs."""
    triggers._round()
    function.wait(lambda: not function.running)
    for trigger in triggers._triggers.values():
        while any(lane.busy for lane in trigger._lanes):
            triggers._wake.wait(0.01)


def until(triggers: Triggers, function: Function, done: Any) -> None:
    for _ in range(2000):
        turn(triggers, function)
        if done():
            return
        triggers._wake.wait(0.01)
    raise AssertionError(function.batches)


@pytest.mark.promise(1)
def test_every_record_is_processed_once_and_those_of_an_item_in_order(function: Function) -> None:
    names = [f"{item}{number}" for number in range(10) for item in "abcdefgh"]
    write(*names)
    triggers = Triggers(lambda: None)
    until(triggers, function, lambda: position() == len(names))
    processed = [name for batch in function.batches for name in batch]
    assert sorted(processed) == sorted(names)
    for item in "abcdefgh":
        assert [name for name in processed if name[0] == item] == [f"{item}{number}" for number in range(10)]
    assert max(map(len, function.batches)) == 2


def test_one_batch_that_takes_long_does_not_keep_others_waiting(function: Function) -> None:
    function.held = {"a0"}
    names = ["a0", *(f"{item}{number}" for number in range(3) for item in "bcdefgh")]
    write(*names)
    triggers = Triggers(lambda: None)
    triggers._round()
    function.wait(lambda: function.running == 1 and len(function.batches) >= 2)
    assert position() == 0, "what is in work is not processed yet"
    function.release.set()
    until(triggers, function, lambda: position() == len(names))


def test_a_failed_record_is_repeated_with_what_follows_it_and_then_given_up(
    function: Function, mapping: dict[str, Any], given_up: list[tuple[list[str], str]]
) -> None:
    mapping["ParallelizationFactor"], mapping["BatchSize"] = 1, 4
    function.failing = {"a1"}
    write("a0", "a1", "a2", "b0")
    triggers = Triggers(lambda: None)
    until(triggers, function, lambda: position() == 4)
    assert function.batches == [["a0", "a1", "a2", "b0"], ["a1", "a2", "b0"]]
    assert given_up == [(["a1", "a2", "b0"], "RetryAttemptsExhausted")]


def test_a_failing_record_holds_back_its_own_lane_only(
    function: Function, mapping: dict[str, Any], given_up: list[tuple[list[str], str]]
) -> None:
    mapping["MaximumRetryAttempts"] = -1
    function.failing = {"a0"}
    names = ["a0", *(f"{item}{number}" for number in range(5) for item in "bcdefgh")]
    write(*names)
    triggers = Triggers(lambda: None)
    until(triggers, function, lambda: sum(batch[0] == "a0" for batch in function.batches) > 3)
    assert position() == 0
    others = {name for batch in function.batches for name in batch if batch[0] != "a0"}
    assert others, "the other lane goes on"
    function.failing = set()
    until(triggers, function, lambda: position() == len(names))
    assert {name for batch in function.batches for name in batch} == set(names)
    assert given_up == []


def test_records_that_the_filter_leaves_out_are_passed_over(
    function: Function, mapping: dict[str, Any]
) -> None:
    mapping["FilterCriteria"] = {"Filters": [{"Pattern": '{"eventID": [{"prefix": "a"}]}'}]}
    write("b0", "a0", "b1", "b2", "a1")
    triggers = Triggers(lambda: None)
    until(triggers, function, lambda: position() == 5)
    assert function.batches == [["a0", "a1"]]


def test_a_batch_that_is_not_full_waits_for_the_batching_window(
    function: Function, mapping: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    mapping |= {"ParallelizationFactor": 1, "BatchSize": 100, "MaximumBatchingWindowInSeconds": 3600}
    triggers = Triggers(lambda: None)
    write("a0")
    turn(triggers, function)
    assert function.batches == [["a0"]], "the first one comes at once"
    write("a1", "b0")
    for _ in range(3):
        turn(triggers, function)
    assert function.batches == [["a0"]]
    assert position() == 1, "what was collected is not processed yet"
    mapping["MaximumBatchingWindowInSeconds"] = 0
    turn(triggers, function)
    assert function.batches[1:] == [["a1", "b0"]]


def test_a_change_of_the_number_of_lanes_loses_nothing(function: Function, mapping: dict[str, Any]) -> None:
    write(*(f"{item}0" for item in "abcdefgh"))
    triggers = Triggers(lambda: None)
    turn(triggers, function)
    mapping["ParallelizationFactor"] = 1
    until(triggers, function, lambda: position() == 8)
    assert {name for batch in function.batches for name in batch} == {f"{item}0" for item in "abcdefgh"}


def test_queues_wait_while_a_trigger_is_behind_but_not_for_one_that_fails(
    function: Function, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lambda_svc, "_poll_dynamodb_streams", lambda: False)
    monkeypatch.setattr(dynamodb, "esm_wake", threading.Event())
    monkeypatch.setattr(lambda_svc, "_sqs_esm_concurrency", lambda *arguments: 2)
    monkeypatch.setattr(threading.Thread, "start", lambda thread: thread.run() if thread._args else None)
    triggers = Triggers(lambda: None)
    triggers.start()
    write(*(f"{item}{number}" for number in range(5) for item in "abcdefgh"))
    triggers._round()
    assert lambda_svc._sqs_esm_concurrency({}) == 0
    while position() < 40:
        triggers._round()
    triggers._round()
    assert lambda_svc._sqs_esm_concurrency({}) == 2

    monkeypatch.setattr(stream_triggers, "_PROGRESS_S", 0.0)
    write(*(f"{item}{number}" for number in range(5, 10) for item in "abcdefgh"))
    triggers._round()
    assert lambda_svc._sqs_esm_concurrency({}) == 2, "nothing was processed for long"
