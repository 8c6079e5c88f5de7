"""An image's way from the queue to its record."""

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
from inspection.records import Facts, build
from inspection.rules import Judgement, Reason, RulesParameter, judge
from inspection.store import Inspections

Dimensions = tuple[tuple[str, str], ...]
_METRICS = {
    Verdict.PASS: "Passed",
    Verdict.FAIL: "Failed",
    Verdict.REVIEW: "Review",
    Verdict.UNREADABLE: "Unreadable",
}
_AT_ONCE = 10  # the event source's batch size: every image of a batch is on its way at once
# An image that makes the model hang looks like an endpoint that hangs. After so many waits, half an hour and more
# in all, it is taken for the image's own doing.
_TIMEOUTS_PATIENCE = 10


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that the log should say of one message."""

    message_id: str
    code: str
    message: str
    error: BaseException | None = None  # one that nobody foresaw, if any


@dataclass
class Outcome:
    """What came of a batch: the ids of messages that must come again, and what to count.

    counts: metric → number, by dimensions; the empty dimensions hold the totals.
    """

    failed: list[str] = field(default_factory=list)
    counts: dict[Dimensions, dict[str, int]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(int))
    )
    timings_ms: dict[Dimensions, dict[str, list[float]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    problems: list[Problem] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock, repr=False)  # a batch's threads count at the same time

    def count(self, metric: str, where: Dimensions = ()) -> None:
        """One more, in the totals and, if it is known where, there."""
        with self._lock:
            for dimensions in {(), where}:
                self.counts[dimensions][metric] += 1

    def inspected(self, facts: Facts, latency_ms: float) -> None:
        """One more record, and how long it took: from upload to verdict, and the model's part."""
        spot = place(facts.event.key)
        where = (("line", spot.line), ("station", spot.station))
        for metric in ("Inspected", _METRICS[facts.judgement.verdict]):
            self.count(metric, where)
        timings = {"Latency": latency_ms}
        if facts.prediction and (model_ms := facts.prediction.timings_ms.get("total")) is not None:
            timings["ModelLatency"] = model_ms
        with self._lock:
            for name, taken in timings.items():
                self.timings_ms[()][name].append(taken)
                self.timings_ms[where][name].append(taken)


@dataclass(frozen=True)
class Inspector:
    """The parts that judging needs, put together."""

    objects: Objects
    detector: Detector
    rules: RulesParameter
    inspections: Inspections
    queue: Queue
    max_pixels: int
    max_receive_count: int
    index_shards: int
    retention_days: int

    def judge(self, records: Sequence[dict[str, Any]], seconds_left: float) -> Outcome:
        """Judge a batch of SQS records side by side; the threads wait for AWS nearly all of the time.

        Whatever happens to one message, the others finish. One that meets an error is reported as failed, comes
        again by itself, and in the end is kept by the dead-letter queue.

        Not Powertools' AsyncBatchProcessor: boto3 blocks, so the threads would be needed all the same, and its
        import takes 90 ms.
        """
        outcome = Outcome()
        deadline = time.monotonic() + seconds_left
        messages = [Message.of(record) for record in records]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            running = [pool.submit(self._message, message, deadline, outcome) for message in messages]
        for message, future in zip(messages, running, strict=True):
            error = future.exception()
            if error is not None:
                outcome.failed.append(message.id)
                outcome.count("Errors")
                outcome.problems.append(Problem(message.id, type(error).__name__, str(error), error))
                self._hasten(message, outcome)
        return outcome

    def _hasten(self, message: Message, outcome: Outcome) -> None:
        try:
            self.queue.hasten(message)
        except (ClientError, BotoCoreError) as error:  # then it comes after the whole visibility timeout
            outcome.problems.append(Problem(message.id, "not_hastened", str(error)))

    def _message(self, message: Message, deadline: float, outcome: Outcome) -> None:
        events = parse(message.body)
        if not events:
            outcome.count("Ignored")
        try:
            for event in events:
                self._image(event, message, deadline, outcome)
        except NotReadyError as error:
            delay = self.queue.park(message)
            outcome.count("Deferred")
            outcome.problems.append(Problem(message.id, error.code, f"{error}; again in {delay} s"))

    def _image(self, event: ImageEvent, message: Message, deadline: float, outcome: Outcome) -> None:
        started, began = datetime.now(UTC), time.perf_counter()
        facts = self._facts(event, message, deadline)
        received = datetime.fromisoformat(event.received_at)
        facts.timings_ms["queued"] = max(0.0, (started - received).total_seconds() * 1000)
        facts.timings_ms["total"] = (time.perf_counter() - began) * 1000
        now = datetime.now(UTC)
        if not self.inspections.put(build(facts, now, self.index_shards, self.retention_days)):
            outcome.count("Duplicate")
            return
        outcome.inspected(facts, max(0.0, (now - received).total_seconds() * 1000))

    def _facts(self, event: ImageEvent, message: Message, deadline: float) -> Facts:
        """Everything about an image, as far as it can be followed.

        Raises:
            NotReadyError: it must wait.
            ModelError: the model fails on it, and it is not yet the last try.
        """
        facts = Facts(event, Judgement(Verdict.UNREADABLE, []))
        try:
            with _timed(facts, "read"):
                stored = self.objects.read(event.bucket, event.key, event.version_id)
            facts = replace(facts, size_bytes=stored.size_bytes, captured_at=stored.captured_at)
            if stored.stayed_behind:
                body, content_type = reference(event.bucket, event.key, event.version_id)
            else:
                header = read_header(stored.data, self.max_pixels)
                facts = replace(facts, header=header)
                body, content_type = stored.data, header.content_type
            rules = self.rules.current()
            with _timed(facts, "endpoint"):
                prediction = self.detector.detect(body, content_type, deadline)
        except UnreadableError as error:
            return _without_rules(facts, Verdict.UNREADABLE, error.code, error.message)
        # What the model cannot judge, a person looks at: it must neither go round for ever nor be dropped.
        except ModelError as error:
            if error.again and message.receive_count < self.max_receive_count:
                raise
            return _without_rules(facts, Verdict.REVIEW, "model_error", str(error))
        except NotReadyError as error:
            if error.code != "endpoint_timeout" or message.deferrals < _TIMEOUTS_PATIENCE:
                raise
            return _without_rules(facts, Verdict.REVIEW, "model_timeout", str(error))
        judgement = judge(rules, place(event.key).line, prediction.detections, prediction.quality)
        return replace(facts, prediction=prediction, rules_version=rules.version, judgement=judgement)


def _without_rules(facts: Facts, verdict: Verdict, code: str, message: str) -> Facts:
    return replace(facts, judgement=Judgement(verdict, [Reason(code, message)]))


@contextmanager
def _timed(facts: Facts, name: str) -> Iterator[None]:
    began = time.perf_counter()
    try:
        yield
    finally:
        facts.timings_ms[name] = (time.perf_counter() - began) * 1000
