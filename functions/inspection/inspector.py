"""An image's way from the queue to its record."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from threading import Lock
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from inspection.detector import Detector
from inspection.errors import ModelError, NotReadyError, UnreadableError
from inspection.events import ImageEvent, parse
from inspection.images import check
from inspection.keys import place
from inspection.objects import Objects
from inspection.queue import Message, Queue
from inspection.records import Facts, build
from inspection.rules import Judgement, Reason, RulesParameter, Verdict, judge
from inspection.store import Inspections

Dimensions = tuple[tuple[str, str], ...]
_METRICS = {
    Verdict.PASS: "Passed",
    Verdict.FAIL: "Failed",
    Verdict.REVIEW: "Review",
    Verdict.UNREADABLE: "Unreadable",
}
_AT_ONCE = 10  # the event source's batch size: every image of a batch is on its way at once


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that the log should say of one message."""

    message_id: str
    code: str
    message: str


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
        where = (("line", spot.line[:250]), ("station", spot.station[:250]))  # CloudWatch: 255 characters
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

        A message that meets an error of AWS's is reported as failed and comes again by itself. A bug is not
        caught: it fails the batch, and the dead-letter queue keeps what keeps failing.
        """
        outcome = Outcome()
        deadline = time.monotonic() + seconds_left
        messages = [Message.of(record) for record in records]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for message, error in zip(
                messages, pool.map(lambda m: self._message(m, deadline, outcome), messages), strict=True
            ):
                if error is not None:
                    outcome.failed.append(message.id)
                    outcome.count("Errors")
                    outcome.problems.append(Problem(message.id, type(error).__name__, str(error)))
        return outcome

    def _message(self, message: Message, deadline: float, outcome: Outcome) -> Exception | None:
        try:
            self._judge_message(message, deadline, outcome)
        except (ClientError, BotoCoreError, ModelError) as error:
            try:
                self.queue.hasten(message)
            except (ClientError, BotoCoreError) as unheard:
                outcome.problems.append(Problem(message.id, "hasten", str(unheard)))
            return error
        return None

    def _judge_message(self, message: Message, deadline: float, outcome: Outcome) -> None:
        events = parse(message.body)
        if not events:
            outcome.count("Ignored")
        try:
            for event in events:
                self._image(event, message, deadline, outcome)
        except NotReadyError as error:
            delay = self.queue.park(message)
            outcome.count("Deferred")
            outcome.problems.append(Problem(message.id, "not_ready", f"{error}; again in {delay} s"))

    def _image(self, event: ImageEvent, message: Message, deadline: float, outcome: Outcome) -> None:
        facts = self._facts(event, message.receive_count >= self.max_receive_count, deadline)
        now = datetime.now(UTC)
        if not self.inspections.put(build(facts, now, self.index_shards, self.retention_days)):
            outcome.count("Duplicate")
            return
        received = datetime.fromisoformat(event.received_at)
        outcome.inspected(facts, max(0.0, (now - received).total_seconds() * 1000))

    def _facts(self, event: ImageEvent, last_try: bool, deadline: float) -> Facts:
        """Everything about an image, as far as it can be followed.

        Raises:
            NotReadyError: it must wait.
            ModelError: the model fails on it, and it is not yet the last try.
        """
        facts = Facts(event, Judgement(Verdict.UNREADABLE, []))
        try:
            stored = self.objects.read(event.bucket, event.key, event.version_id)
            facts = replace(facts, size_bytes=len(stored.data), captured_at=stored.captured_at)
            header = check(stored.data, self.max_pixels)
            facts = replace(facts, header=header)
            rules = self.rules.current()
            if deadline - time.monotonic() < self.detector.SECONDS_NEEDED:
                raise NotReadyError("too little time is left in this invocation")
            prediction = self.detector.detect(stored.data, header.content_type)
        except UnreadableError as error:
            reason = Reason(error.code, error.message)
            return replace(facts, judgement=Judgement(Verdict.UNREADABLE, [reason]))
        except ModelError as error:
            if not last_try:
                raise
            # Better a person's look than an image that goes round and is dropped in the end.
            reason = Reason("model_error", str(error))
            return replace(facts, judgement=Judgement(Verdict.REVIEW, [reason]))
        judgement = judge(rules, place(event.key).line, prediction.detections)
        return replace(facts, prediction=prediction, rules_version=rules.version, judgement=judgement)
