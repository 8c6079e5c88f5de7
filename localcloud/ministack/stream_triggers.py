"""Runs the functions of DynamoDB streams as Lambda does: side by side, in lanes, with its handling of failures.

MiniStack runs a stream's function in the loop that polls the queues, one batch of one mapping at a time: in a burst,
alerts lag behind verdicts, and counters behind alerts. It also takes a batch whose function reports failed records as
processed, and ignores ParallelizationFactor, MaximumBatchingWindowInSeconds and MaximumRetryAttempts.

- A mapping has as many lanes as its ParallelizationFactor says, as far as the machine has cores. A lane has the
  records of its items, in the order of the stream, and one batch in work:
  https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-eventsourcemapping.html
- A failed batch is repeated from its first failed record on, after a second. The other lanes go on. After the last
  attempt the batch goes to the failure destination:
  https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html
- The position that is saved is that of the first record which is not processed in any lane.

On AWS a burst gets as many functions as it needs. Here all share the cores, and more of them would only inspect faster
what they then alert about later. So while a mapping is some batches behind, no new batch is taken from queues. A
mapping that fails or hangs keeps nobody waiting.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ministack.core.responses import request_scope
from ministack.services import cloudwatch, dynamodb, lambda_svc

from localcloud.stopping import stopping

logger = logging.getLogger(__name__)

_ROUND_S, _GAP_S = 0.2, 0.005
_RETRY_S = 1.0
# A mapping is behind if so many batches wait for each of its lanes, and if it has processed one within so many seconds.
_BATCHES_BEHIND, _PROGRESS_S = 3, 10.0
# A lane looks at so many records at a time; most of them may be of other lanes, or filtered out.
_LOOK_AHEAD = 500

_Record = dict[str, Any]
_Mapping = dict[str, Any]


@dataclass
class _Lane:
    """The part of a mapping that processes the records of some items, one batch after the other.

    Attributes:
        next: The position of the first record of the stream that was not looked at.
        batch: The records in work, to be repeated or collected so far, each with its position.
        attempts: How often the batch has failed; 0 while it is collected.
        begun: When the latest batch began.
        rest_until: When the failed batch may be repeated.
        busy: Whether a thread works on the batch.
    """

    next: int
    batch: list[tuple[int, _Record]] = field(default_factory=list)
    attempts: int = 0
    begun: float = -float("inf")
    rest_until: float = 0.0
    busy: bool = False

    @property
    def position(self) -> int:
        """The position of the first record that is not processed."""
        return self.batch[0][0] if self.batch else self.next


class Triggers:
    """Runs all mappings of functions to streams, until the cloud stops.

    Attributes:
        are_behind: Whether queues should wait for them.
    """

    def __init__(self, after_each_round: Callable[[], None]) -> None:
        """Initialize; nothing runs before `start`.

        Args:
            after_each_round: Is called after each look at all mappings, from one thread.
        """
        self._after_each_round = after_each_round
        self._wake = threading.Event()
        self._triggers: dict[str, _Trigger] = {}
        self.are_behind = False

    def start(self) -> None:
        """Take the streams over from MiniStack's poller."""
        # DynamoDB sets it for every new record.
        dynamodb.esm_wake = self._wake
        lambda_svc._poll_dynamodb_streams = lambda: False
        concurrency = lambda_svc._sqs_esm_concurrency
        lambda_svc._sqs_esm_concurrency = lambda *arguments: 0 if self.are_behind else concurrency(*arguments)
        threading.Thread(target=self._run, daemon=True, name="loupe-streams").start()

    def _run(self) -> None:
        while not stopping.is_set():
            self._wake.clear()
            try:
                self._round()
                self._after_each_round()
            except Exception:  # without this thread no trigger would ever run again
                logger.exception("a stream trigger failed")
            # The timeout is for what waits for a time: repeated batches, and batching windows.
            if self._wake.wait(_ROUND_S):
                # In a burst every record wakes this thread.
                stopping.wait(_GAP_S)

    def _round(self) -> None:
        triggers = {}
        for account, region, mapping in lambda_svc._iter_all_esms():
            with request_scope(account, region):
                table = _table_of(mapping)
                if table is None:
                    continue
                uuid = mapping["UUID"]
                trigger = self._triggers.get(uuid) or _Trigger(account, region, table, mapping, self._wake)
                triggers[uuid] = trigger
                trigger.dispatch(mapping)
        self._triggers = triggers
        was_behind, self.are_behind = self.are_behind, any(each.is_behind() for each in triggers.values())
        if was_behind and not self.are_behind:
            lambda_svc._esm_wake.set()


class _Trigger:
    """One mapping of a function to a stream."""

    def __init__(
        self, account: str, region: str, table: str, mapping: _Mapping, wake: threading.Event
    ) -> None:
        self._scope, self._table, self._wake = (account, region), table, wake
        self._mapping = mapping
        self._lanes = [_Lane(self._first_position()) for _ in range(_lanes(mapping))]
        self._lock = threading.Lock()
        self._processed_at = -float("inf")

    def _first_position(self) -> int:
        """Return the saved position; without one, the end of the stream or its beginning, as the mapping says."""
        horizon = dynamodb.stream_start_position(self._table)
        newest = self._mapping.get("StartingPosition", "LATEST") != "TRIM_HORIZON"
        first = dynamodb.stream_end_position(self._table) if newest else horizon
        with lambda_svc._dynamodb_stream_positions_lock:
            position = int(lambda_svc._dynamodb_stream_positions.setdefault(self._mapping["UUID"], first))
        return max(position, int(horizon))

    def dispatch(self, mapping: _Mapping) -> None:
        """Begin the next batch of each lane that has one and is free."""
        function, _ = lambda_svc._get_func_record_for_qualifier(
            mapping["FunctionName"], mapping.get("Qualifier")
        )
        if function is None or not mapping.get("Enabled", True):
            return
        self._mapping = mapping
        if len(self._lanes) != _lanes(mapping) and not self._divide_anew():
            return
        for number, lane in enumerate(self._lanes):
            if not lane.busy and self._has_batch(lane, number):
                lane.busy, lane.begun = True, time.monotonic()
                arguments = (lane, function)
                threading.Thread(
                    target=self._process, args=arguments, daemon=True, name="loupe-stream"
                ).start()
        self._save_position()

    def is_behind(self) -> bool:
        """Return whether many records wait, although they are being processed."""
        with request_scope(*self._scope):
            waiting = dynamodb.stream_end_position(self._table) - min(lane.position for lane in self._lanes)
        most = _BATCHES_BEHIND * len(self._lanes) * int(self._mapping.get("BatchSize") or 100)
        return bool(waiting > most) and time.monotonic() - self._processed_at < _PROGRESS_S

    def _divide_anew(self) -> bool:
        """Change the number of lanes, once none of them is busy; return whether that was possible."""
        if any(lane.busy for lane in self._lanes):
            return False
        position = min(lane.position for lane in self._lanes)
        self._lanes = [_Lane(position) for _ in range(_lanes(self._mapping))]
        return True

    def _has_batch(self, lane: _Lane, number: int) -> bool:
        """Return whether a lane has a batch that may begin.

        One that is not full waits until the batching window has passed since the one before, so that a record that
        comes alone is processed at once.
        """
        now = time.monotonic()
        if lane.attempts:
            return now >= lane.rest_until
        size = int(self._mapping.get("BatchSize") or 100)
        lane.next = max(lane.next, dynamodb.stream_start_position(self._table))
        while len(lane.batch) < size:
            records = dynamodb.stream_records_since(self._table, lane.next, _LOOK_AHEAD)
            if not records:
                break
            for record in records:
                # In this order: another thread may save the position in between.
                if self._is_for(record, number):
                    lane.batch.append((lane.next, record))
                lane.next += 1
                if len(lane.batch) == size:
                    break
        window = float(self._mapping.get("MaximumBatchingWindowInSeconds") or 0)
        return bool(lane.batch) and (len(lane.batch) == size or now - lane.begun >= window)

    def _is_for(self, record: _Record, lane: int) -> bool:
        keys = json.dumps(record["dynamodb"]["Keys"], sort_keys=True).encode()
        if zlib.crc32(keys) % len(self._lanes) != lane:
            return False
        return bool(lambda_svc._apply_filter_criteria([record], self._mapping))

    def _process(self, lane: _Lane, function: dict[str, Any]) -> None:
        """Process the batch of a lane, in a thread of its own."""
        with request_scope(*self._scope):
            try:
                records = [record for _, record in lane.batch]
                result = lambda_svc._execute_function(function, {"Records": records})
                _record_iterator_age(function, records)
                self._settle(lane, function, result)
            except Exception:  # the batch is repeated
                logger.exception("a batch of a stream failed")
                lane.attempts, lane.rest_until = lane.attempts + 1, time.monotonic() + _RETRY_S
            finally:
                lane.busy = False
                self._save_position()
                self._wake.set()

    def _settle(self, lane: _Lane, function: dict[str, Any], result: dict[str, Any]) -> None:
        """Decide what becomes of a batch after an attempt."""
        first = _first_failed(lane.batch, result)
        if first is None:
            lane.batch, lane.attempts = [], 0
            self._processed_at = time.monotonic()
            self._mapping["LastProcessingResult"] = "OK"
            return
        self._mapping["LastProcessingResult"] = "PROBLEM: Function call failed"
        lane.attempts = lane.attempts + 1 if first == 0 else 1
        lane.batch = lane.batch[first:]
        records = [record for _, record in lane.batch]
        if not result.get("error"):
            problem = {
                "errorType": "BatchItemFailures",
                "errorMessage": "the function reported failed records",
            }
            result = {**result, "error": True, "body": problem}
        logger.warning(
            "%s failed on %d records of a stream: %s",
            function["config"]["FunctionName"],
            len(records),
            result.get("body"),
        )
        if reason := self._given_up(lane.attempts, records):
            lambda_svc._send_ddb_stream_failure_record(
                self._mapping, function, records, self._mapping["EventSourceArn"], result, reason
            )
            lane.batch, lane.attempts = [], 0
        else:
            lane.rest_until = time.monotonic() + _RETRY_S

    def _given_up(self, attempts: int, records: list[_Record]) -> str | None:
        """Return why a failed batch is not repeated; None if it is."""
        retries = int(self._mapping.get("MaximumRetryAttempts", -1))
        if 0 <= retries < attempts:
            return "RetryAttemptsExhausted"
        oldest = min(record["dynamodb"]["ApproximateCreationDateTime"] for record in records)
        longest = int(self._mapping.get("MaximumRecordAgeInSeconds") or -1)
        return "MaxRecordAgeExceeded" if 0 < longest < time.time() - oldest else None

    def _save_position(self) -> None:
        with self._lock:
            position = min(lane.position for lane in self._lanes)
            lambda_svc._dynamodb_stream_positions.set_scoped(*self._scope, self._mapping["UUID"], position)


def _lanes(mapping: _Mapping) -> int:
    """Return how many batches of a mapping run at once: a worker of a function takes 100 MB, and a core."""
    return min(int(mapping.get("ParallelizationFactor") or 1), max(2, os.cpu_count() or 2))


def _table_of(mapping: _Mapping) -> str | None:
    """Return the table whose present stream a mapping reads; None if it reads something else."""
    stream = str(mapping.get("EventSourceArn", ""))
    table = stream.partition(":table/")[2].partition("/")[0]
    known = dynamodb._tables.get(table) if ":dynamodb:" in stream and table else None
    return table if known and known.get("LatestStreamArn") == stream else None


def _first_failed(batch: list[tuple[int, _Record]], result: dict[str, Any]) -> int | None:
    """Return the index of the first record that is to be repeated; None if all are processed."""
    if result.get("error"):
        return 0
    body = result.get("body")
    failures = body.get("batchItemFailures") if isinstance(body, dict) else None
    if not failures:
        return None
    failed = {failure.get("itemIdentifier") for failure in failures}
    for index, (_, record) in enumerate(batch):
        if record["dynamodb"]["SequenceNumber"] in failed:
            return index
    # What is none of the batch's sequence numbers fails all of it.
    return 0


def _record_iterator_age(function: dict[str, Any], records: list[_Record]) -> None:
    age_ms = (time.time() - records[-1]["dynamodb"]["ApproximateCreationDateTime"]) * 1000
    dimensions = {"FunctionName": function["config"]["FunctionName"]}
    cloudwatch.record_metric("AWS/Lambda", "IteratorAge", age_ms, "Milliseconds", dimensions)
