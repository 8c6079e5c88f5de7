"""Writes a new judgement, so that a crash anywhere is healed by the message's next delivery.

One transaction replaces the judgement in the record, keeps the old one in the history, moves the image's counts, brings
the review queue in line, and counts the image for its replay. It is written on the condition that the record and the
review are as they were read, and that this replay has not judged the image before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from inspection.records import Record
from inspection.store import Inspections
from replay import judgements, queued
from replay.announcing import Asked
from replay.runs import Runs
from review.decision import counted_as
from review.history import History, inspection_subject
from review.items import to_item
from review.lists import Item
from review.priority import priority
from review.queue import ReviewQueue, entry_of
from review.sampling import Sampling
from review.usual import UsualStore
from tracking.beginning import Beginning
from tracking.cells import Cell, cell_of
from tracking.counters import Counts, counts_of, decided_counts, updates
from tracking.transactions import ATTEMPTS, Result, Transactions

_IN_THE_STREAM = timedelta(days=1)
JUDGED_AGAIN = "judged_again"
SAME, KEPT, GONE = "same", "kept", "gone"


class Written(StrEnum):
    """What became of an image."""

    JUDGED = "judged"
    SAME = SAME
    DUPLICATE = "duplicate"
    GONE = GONE


class BusyError(Exception):
    """Others write to the same items. Nothing was written, and the message returns."""


@dataclass(frozen=True)
class Writer:
    """Writes new judgements.

    Attributes:
        inspections: The records.
        inspections_table: The records' table.
        statistics_table: The table of the counters and the replays.
        runs: The replays.
        queue: The review queue.
        sampling: Which inspections enter it.
        history: The history.
        beginning: Since when records are counted.
        transactions: How a transaction is repeated.
        now: Returns the time.
    """

    inspections: Inspections
    inspections_table: str
    statistics_table: str
    runs: Runs
    queue: ReviewQueue
    sampling: Sampling
    history: History
    beginning: Beginning
    transactions: Transactions
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))

    def write(self, old: Record, judged: Record, asked: Asked) -> Written:
        """Write the judgement of an image.

        Args:
            old: The record, as it was when the image was judged.
            judged: What an inspection of today would write.
            asked: What the message says.

        Raises:
            BusyError: It could not be written for now.
        """
        for attempt in range(ATTEMPTS):
            if old.get("replayed") == asked.run:
                return Written.DUPLICATE
            same = judgements.is_same(old, judged)
            outcome = self.transactions.write(self._actions(old, judged, asked, same))
            if outcome.result is Result.WRITTEN:
                return Written.SAME if same else Written.JUDGED
            if outcome.result is Result.REFUSED:
                break
            self.transactions.pause(attempt)
            # Somebody has decided, or the attempt has written although its answer got lost.
            found = self.inspections.get(old["image"], old["version_id"])
            if found is None:
                return Written.GONE
            old = found
        raise BusyError("too much is being written at the moment")

    def keep(self, old: Record, asked: Asked, why: str) -> Written:
        """Note that an image was looked at and keeps its judgement. why: under which name it is counted too."""
        if old.get("replayed") == asked.run:
            return Written.DUPLICATE
        actions = [
            {"Update": self._marked(old, asked, {})},
            {"Update": self.runs.added(asked.run, [KEPT, why])},
        ]
        for attempt in range(ATTEMPTS):
            if self.transactions.write(actions).result is Result.WRITTEN:
                return Written.SAME
            found = self.inspections.get(old["image"], old["version_id"])
            if found is None or found.get("replayed") == asked.run:
                return Written.DUPLICATE
            self.transactions.pause(attempt)
        raise BusyError("too much is being written at the moment")

    def _actions(self, old: Record, judged: Record, asked: Asked, same: bool) -> list[Any]:
        names = judgements.outcome(old, judged)
        if same:
            return [
                {"Update": self._marked(old, asked, {})},
                {"Update": self.runs.added(asked.run, [SAME, *names])},
            ]
        number = int((old.get("replay") or {}).get("number", 1)) + 1
        replay = {
            "run": asked.run,
            "at": judged["inspected_at"],
            "number": number,
            "alert": asked.alert or _is_owed(old),
            "first_inspected_at": _first(old),
        }
        new = {**old, **judged, "replay": replay, "replayed": asked.run}
        item = self.queue.find(old["id"])
        review, is_queued = self._review(item, new)
        told = judgements.told(new) | {"number": number}
        subject = inspection_subject(old["id"])
        return [
            {"Update": self._marked(old, asked, {**judged, "replay": replay})},
            {"Put": self.history.put(subject, asked.by, JUDGED_AGAIN, judgements.kept(old), told)},
            *self._counted(old, judged, item, is_queued),
            *([review] if review else []),
            {"Update": self.runs.added(asked.run, names)},
        ]

    def _marked(self, old: Record, asked: Asked, judged: Record) -> Any:
        """Return the update of a record: its new judgement, if there is one, and that this replay has seen it."""
        fields, gone = judgements.changes(old, judged) if judged else ({}, [])
        fields = {**fields, "replayed": asked.run}
        names = {f"#{index}": name for index, name in enumerate([*fields, *gone])}
        places = {name: place for place, name in names.items()}
        update = "SET " + ", ".join(f"{places[name]} = :{places[name][1:]}" for name in fields)
        if gone:
            update += " REMOVE " + ", ".join(places[name] for name in gone)
        conditions = ["#inspected_at = :inspected_at", _unless_seen("#replayed", ":run")]
        values: dict[str, Any] = {f":{places[name][1:]}": value for name, value in fields.items()}
        values |= {":inspected_at": old["inspected_at"], ":run": asked.run}
        if "review" in old:
            conditions.append("#review.#at = :decided")
            values[":decided"] = old["review"]["at"]
            names["#at"] = "at"
        else:
            conditions.append("attribute_not_exists(#review)")
        return {
            "TableName": self.inspections_table,
            "Key": to_item({"image": old["image"], "version_id": old["version_id"]}),
            "UpdateExpression": update,
            "ConditionExpression": " AND ".join(conditions),
            "ExpressionAttributeNames": {
                **names,
                "#inspected_at": "inspected_at",
                "#replayed": "replayed",
                "#review": "review",
            },
            "ExpressionAttributeValues": to_item(values),
        }

    def _review(self, item: Item | None, new: Record) -> tuple[Any | None, bool]:
        selection = self.sampling.select(new)
        usual = UsualStore(self.queue.client, self.queue.table_name).read(new["line"])
        wanted = entry_of(new, selection, priority(new, selection, usual)) if selection else None
        return queued.change(self.queue.table_name, item, wanted, new, self.now())

    def _counted(self, old: Record, judged: Record, item: Item | None, is_queued: bool) -> list[Any]:
        """Return the actions that move what was counted of an image, and what was decided about it."""
        if not self._is_counted(old):
            return []
        last = item["decisions"][-1] if item and item["decisions"] else None
        cells: dict[Cell, Counts] = {}
        gone = cells.setdefault(cell_of(old), Counts())
        gone.subtract(counts_of(old, queued=item is not None))
        gone.subtract(decided_counts(old, counted_as(old, last)))
        added = cells.setdefault(cell_of(judged), Counts())
        added.update(counts_of(judged, queued=is_queued))
        added.update(decided_counts(judged, counted_as(judged, last)))
        return updates(self.statistics_table, cells, int(old["expires_at"]))

    def _is_counted(self, old: Record) -> bool:
        """Return whether the counters contain an image: they do not know what is older than they are."""
        began = self.beginning.read()
        if began is None:
            return False
        # The first records that were counted had waited in the stream, which keeps them for a day.
        return datetime.fromisoformat(_first(old)) >= datetime.fromisoformat(began) - _IN_THE_STREAM


def _first(old: Record) -> str:
    """Return when an image was inspected first."""
    return str((old.get("replay") or {}).get("first_inspected_at", old["inspected_at"]))


def _unless_seen(name: str, value: str) -> str:
    return f"(attribute_not_exists({name}) OR {name} <> {value})"


def _is_owed(old: Record) -> bool:
    """Return whether an image has failed before, and nobody was alerted about it yet, as when alerts are late."""
    silent = (old.get("replay") or {}).get("alert") is False
    return old["verdict"] == "fail" and "alert" not in old and not silent
