"""Judges the images of replays again: as `Inspector`, with another end."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Lock

from contract.inspections import timestamp
from inspection.errors import NotReadyError
from inspection.events import ImageEvent
from inspection.inspector import Inspector, Outcome, Problem
from inspection.queue import Message
from inspection.records import Record, build_record
from replay import judgements
from replay.announcing import Asked
from replay.writing import GONE, Writer, Written
from tracking.summaries import feed_key

# What is counted stays in the feed for two days (tracking/summaries.py), and the records' stream keeps a day.
_SETTLED = timedelta(days=1)


@dataclass(frozen=True)
class Replayer(Inspector):
    """Judges images again.

    All writes of a process are made one after another: the images of a replay share few counters, and transactions
    that meet in one would be cancelled, and be paid for.

    Attributes:
        writer: Writes the new judgements.
    """

    writer: Writer
    _writing: Lock = field(default_factory=Lock, repr=False, compare=False)

    def process_image(self, event: ImageEvent, message: Message, deadline: float, outcome: Outcome) -> None:
        """Judge an image again, unless this replay has done so before.

        Raises:
            NotReadyError: The image must wait.
            BusyError: Its judgement could not be written for now.
        """
        asked = Asked.of(message.body)
        if asked is None:
            outcome.count("UnknownMessages")
            problem = Problem(
                message.id, "unknown_message", "the message names no replay", None, event.record_id
            )
            outcome.problems.append(problem)
            return
        old = self.inspections.get(event.image, event.version_id)
        if old is None:
            self.writer.runs.count(asked.run, GONE)
        elif old.get("replayed") != asked.run:
            self._check_counted(old)
            self._judge(old, asked, event, message, deadline, outcome)

    def _judge(
        self,
        old: Record,
        asked: Asked,
        event: ImageEvent,
        message: Message,
        deadline: float,
        outcome: Outcome,
    ) -> None:
        start = time.perf_counter()
        inspection = self.inspected(event, message, deadline)
        if why := judgements.obstacle(inspection):
            with self._writing:
                self.writer.keep(old, asked, why)
            return
        inspection.timings_ms["total"] = (time.perf_counter() - start) * 1000
        judged = build_record(inspection, datetime.now(UTC), self.index_shards, self.retention_days)
        prediction = inspection.prediction
        if prediction and prediction.anomaly and prediction.anomaly.heat_map:
            self.inspections.keep_heat_map(old, prediction.anomaly.heat_map)
        with self._writing:
            written = self.writer.write(old, judged, asked)
        if written is Written.GONE:
            self.writer.runs.count(asked.run, GONE)
        outcome.count("JudgedAgain")

    def _check_counted(self, old: Record) -> None:
        """Check that the counters and the review queue know the judgement that is to be replaced.

        Raises:
            NotReadyError: They do not yet; the image waits.
        """
        if "replay" in old or old["inspected_at"] < timestamp(datetime.now(UTC) - _SETTLED):
            return
        key = {name: {"S": value} for name, value in feed_key(old).items()}
        found = self.writer.runs.client.get_item(
            TableName=self.writer.statistics_table, Key=key, ConsistentRead=True, ProjectionExpression="pk"
        )
        if "Item" not in found:
            raise NotReadyError("its first judgement is not counted yet", "not_counted")
