"""The way of an image from the queue to its record."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from threading import Lock
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from contract.endpoint import reference
from contract.images import UnreadableError, read_header
from contract.inspections import Verdict
from contract.keys import place
from inspection.detector import Detector
from inspection.errors import ModelError, NotReadyError
from inspection.events import ImageEvent, parse
from inspection.objects import Objects
from inspection.queue import Message, Queue
from inspection.records import Inspection, Record, build_record
from inspection.resting import Resting
from inspection.rules import Judgement, Reason, judge
from inspection.rules_parameter import RulesParameter
from inspection.store import Inspections
from inspection.trace import trace_id

Dimensions = tuple[tuple[str, str], ...]
_METRICS = {
    Verdict.PASS: "Passed",
    Verdict.FAIL: "Failed",
    Verdict.REVIEW: "Review",
    Verdict.UNREADABLE: "Unreadable",
}
MODEL_ERROR, MODEL_TIMEOUT = "model_error", "model_timeout"  # codes of reasons
_THREADS = 10  # the event source's batch size: all images of a batch are processed at the same time
# An image that makes the model hang looks like an endpoint that hangs. After this many deferrals, about half an hour
# or more in all, the image is considered the cause.
_MAX_TIMEOUT_DEFERRALS = 10


@dataclass(frozen=True, slots=True)
class Problem:
    """A warning for the log about one message.

    Attributes:
        message_id: SQS's id of the message.
        code: Stable, for programs.
        message: For people.
        error: The exception, if it was not expected.
        inspection: The id of the image's record; None if the message names no image.
    """

    message_id: str
    code: str
    message: str
    error: BaseException | None = None
    inspection: str | None = None


@dataclass
class Outcome:
    """The outcome of a batch. All threads of the batch add to it.

    Attributes:
        failed: Ids of the messages that the queue must deliver again.
        counts: Metric → number, by dimensions. The empty dimensions hold the totals.
        timings_ms: Metric → milliseconds of each image, by dimensions.
        problems: Warnings for the log.
        records: The new records.
        current: The id of the record that each message is at.
    """

    failed: list[str] = field(default_factory=list)
    counts: dict[Dimensions, dict[str, int]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(int))
    )
    timings_ms: dict[Dimensions, dict[str, list[float]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    problems: list[Problem] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    current: dict[str, str] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def count(self, metric: str, dimensions: Dimensions = ()) -> None:
        """Add one to the total of a metric, and to its count under the dimensions if there are any."""
        with self._lock:
            for key in {(), dimensions}:
                self.counts[key][metric] += 1

    def add(self, inspection: Inspection, record: Record, latency_ms: float) -> None:
        """Count a new record. latency_ms: from the upload to the verdict."""
        image_place = place(inspection.event.key)
        dimensions = (("line", image_place.line), ("station", image_place.station))
        for metric in ("Inspected", _METRICS[inspection.judgement.verdict]):
            self.count(metric, dimensions)
        timings = {"Latency": latency_ms}
        prediction = inspection.prediction
        if prediction and (model_ms := prediction.timings_ms.get("total")) is not None:
            timings["ModelLatency"] = model_ms
        with self._lock:
            self.records.append(record)
            for metric, milliseconds in timings.items():
                self.timings_ms[()][metric].append(milliseconds)
                self.timings_ms[dimensions][metric].append(milliseconds)


@dataclass(frozen=True)
class Inspector:
    """Inspects announced images.

    Attributes:
        objects: Reads images.
        detector: Calls the endpoint.
        rules: The rules in force.
        inspections: Stores records.
        queue: The queue of the messages.
        resting: Whether the endpoint rests until the next shift.
        max_pixels: The most pixels that an image may have.
        max_receive_count: After how many receives the queue gives a message up.
        index_shards: Over how many partitions each index spreads a day.
        retention_days: After how many days a record is deleted.
    """

    objects: Objects
    detector: Detector
    rules: RulesParameter
    inspections: Inspections
    queue: Queue
    resting: Resting
    max_pixels: int
    max_receive_count: int
    index_shards: int
    retention_days: int

    def inspect(self, records: Sequence[dict[str, Any]], seconds_left: float) -> Outcome:
        """Inspect the images of a batch of SQS records in parallel. The threads mostly wait for AWS.

        Whatever happens to one message, the others finish. A message with an error is reported as failed. The
        queue delivers it again, and in the end moves it to the dead-letter queue.

        Powertools' AsyncBatchProcessor does not help: boto3 blocks, so the threads would still be needed, and its
        import takes 90 ms.

        Args:
            records: The event's `Records`.
            seconds_left: The time that remains for this invocation.
        """
        outcome = Outcome()
        deadline = time.monotonic() + seconds_left
        messages = [Message.from_record(record) for record in records]
        with ThreadPoolExecutor(_THREADS) as pool:
            futures = [pool.submit(self._process_message, message, deadline, outcome) for message in messages]
        for message, future in zip(messages, futures, strict=True):
            error = future.exception()
            if error is not None:
                outcome.failed.append(message.id)
                outcome.count("Errors")
                current = outcome.current.get(message.id)
                outcome.problems.append(Problem(message.id, type(error).__name__, str(error), error, current))
                self._hasten(message, outcome)
        return outcome

    def _hasten(self, message: Message, outcome: Outcome) -> None:
        try:
            self.queue.hasten(message)
        except (ClientError, BotoCoreError) as error:
            # The message then returns after the whole visibility timeout.
            current = outcome.current.get(message.id)
            outcome.problems.append(Problem(message.id, "not_hastened", str(error), inspection=current))

    def _process_message(self, message: Message, deadline: float, outcome: Outcome) -> None:
        unknown: list[str] = []
        events = parse(message.body, unknown.append)
        if not events:
            outcome.count("Ignored")
        if unknown:
            outcome.count("UnknownMessages")
            outcome.problems += [Problem(message.id, "unknown_message", reason) for reason in unknown]
        if events and (shift := self.resting.until()):
            # Neither a fault nor news: it is counted apart, and not logged.
            self.queue.rest(message, (shift - datetime.now(UTC)).total_seconds())
            outcome.count("Resting")
            return
        try:
            for event in events:
                outcome.current[message.id] = event.record_id
                self.process_image(event, message, deadline, outcome)
        except NotReadyError as error:
            delay = self.queue.defer(message)
            outcome.count("Deferred")
            reason, current = f"{error}; again in {delay} s", outcome.current.get(message.id)
            outcome.problems.append(Problem(message.id, error.code, reason, inspection=current))

    def process_image(self, event: ImageEvent, message: Message, deadline: float, outcome: Outcome) -> None:
        started_at, start = datetime.now(UTC), time.perf_counter()
        inspection = self.inspected(event, message, deadline)
        received_at = datetime.fromisoformat(event.received_at)
        inspection.timings_ms["queued"] = max(0.0, (started_at - received_at).total_seconds() * 1000)
        inspection.timings_ms["total"] = (time.perf_counter() - start) * 1000
        now = datetime.now(UTC)
        record = build_record(inspection, now, self.index_shards, self.retention_days)
        prediction = inspection.prediction
        if prediction and prediction.anomaly and prediction.anomaly.heat_map:
            # Before the record, so that whoever is told of the record finds it.
            self.inspections.keep_heat_map(record, prediction.anomaly.heat_map)
        if self.inspections.put(record):
            outcome.add(inspection, record, max(0.0, (now - received_at).total_seconds() * 1000))
        else:
            outcome.count("Duplicate")

    def inspected(self, event: ImageEvent, message: Message, deadline: float) -> Inspection:
        """Read an image, call the model, and apply the rules, as far as that is possible.

        Raises:
            NotReadyError: The image must wait.
            ModelError: The model failed on the image, and the queue will deliver it again.
        """
        inspection = Inspection(event, Judgement(Verdict.UNREADABLE, []), trace=trace_id())
        try:
            with _timed(inspection, "read"):
                stored = self.objects.read(event.bucket, event.key, event.version_id)
            inspection = replace(inspection, size_bytes=stored.size_bytes, captured_at=stored.captured_at)
            if stored.by_reference:
                body, content_type = reference(event.bucket, event.key, event.version_id)
            else:
                header = read_header(stored.data, self.max_pixels)
                inspection = replace(inspection, header=header)
                body, content_type = stored.data, header.content_type
            rules = self.rules.current()
            with _timed(inspection, "endpoint"):
                bit_depth = rules.picture_rule(place(event.key).line).bit_depth
                prediction = self.detector.detect(
                    body, content_type, deadline, bit_depth, event.record_id, inspection.trace
                )
            # During a swap two models answer, each with its own scores.
            rules = rules.for_model(prediction.model.version)
        except UnreadableError as error:
            return _without_rules(inspection, Verdict.UNREADABLE, error.code, error.message)
        # An image on which the model fails goes to a person: it must neither return for ever nor be lost.
        except ModelError as error:
            if error.retryable and message.receive_count < self.max_receive_count:
                raise
            return _without_rules(inspection, Verdict.REVIEW, MODEL_ERROR, str(error))
        except NotReadyError as error:
            if error.code != "endpoint_timeout" or message.deferrals < _MAX_TIMEOUT_DEFERRALS:
                raise
            return _without_rules(inspection, Verdict.REVIEW, MODEL_TIMEOUT, str(error))
        doubts = [warning.message for warning in prediction.warnings]
        line = place(event.key).line
        judgement = judge(rules, line, prediction.detections, prediction.quality, doubts, prediction.image)
        return replace(inspection, prediction=prediction, rules_version=rules.version, judgement=judgement)


def _without_rules(inspection: Inspection, verdict: Verdict, code: str, message: str) -> Inspection:
    return replace(inspection, judgement=Judgement(verdict, [Reason(code, message)]))


@contextmanager
def _timed(inspection: Inspection, step: str) -> Iterator[None]:
    start = time.perf_counter()
    try:
        yield
    finally:
        inspection.timings_ms[step] = (time.perf_counter() - start) * 1000
