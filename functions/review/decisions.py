"""Writes decisions, so that a crash anywhere is healed by repeating the decision.

1. The picture is copied to where it stays. Alone, the copy does no harm.
2. One transaction writes the decision into the queue's item, the record, the counters and the history, on the condition
   that the person still holds the claim and nobody has decided meanwhile. It also keeps the claim for as long as the
   third step can take, so that a slow writer never overwrites the label of the next decision.
3. The label is written, or an earlier one is deleted.
4. The claim ends.

So there is no label without a decision. After a crash between 2 and 4, the same decision is recognised, and its label
is written.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from contract.inspections import timestamp
from inspection.records import Record
from inspection.store import Inspections
from review.decision import Choice, Decision, counted_as, disagree, tags_of, with_entry
from review.errors import (
    BusyError,
    ClaimExpiredError,
    NotClaimedError,
    ReviewError,
    StaleVersionError,
)
from review.history import History, inspection_subject
from review.items import to_item
from review.labels import KeptPicture, Labels, NoLabelError
from review.lists import DISAGREEMENT, Item, month_of
from review.queue import DECIDED, ReviewQueue, live_claim
from review.usual import UsualStore
from tracking.counters import decision_updates
from tracking.transactions import ATTEMPTS, Result, Transactions

_logger = logging.getLogger(__name__)
# Longer than the function may run that writes the label.
FINISH_TIME = timedelta(minutes=1)
UNUSABLE_REASON = "The picture is unusable, so nothing is learned from it."
NO_RECORD_REASON = "The record of this inspection was deleted."


@dataclass(frozen=True, slots=True)
class Written:
    """A decision that was written.

    Attributes:
        item: The queue's item, with the decision.
        label: The URI of the label; None if there is none.
        reason: Why there is no label, as a sentence.
    """

    item: Item
    label: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Decisions:
    """Writes decisions.

    Attributes:
        queue: The review queue.
        inspections: The records.
        inspections_table: The records' table.
        statistics_table: The table of the counters.
        history: The history.
        labels: The labels.
        transactions: How a transaction is repeated.
    """

    queue: ReviewQueue
    inspections: Inspections
    inspections_table: str
    statistics_table: str
    history: History
    labels: Labels
    transactions: Transactions

    def decide(self, inspection_id: str, by: str, decision: Decision, version: int) -> Written:
        """Write a decision of a person who has claimed the item. To repeat the last decision changes nothing.

        Args:
            inspection_id: The inspection.
            by: Who decides.
            decision: What.
            version: The version of the item that the person has seen.

        Raises:
            NotQueuedError: There is no such item.
            NotClaimedError: The person has not claimed it.
            ClaimExpiredError: The claim has expired.
            StaleVersionError: Somebody has decided meanwhile.
            InvalidDecisionError: The decision is not valid.
            BusyError: Others write to the same counters; nothing was written.
        """
        item = self.queue.get(inspection_id)
        record = self.inspections.get(item["image"], item["version_id"])
        width, height = ((record or {}).get(name) for name in ("image_width", "image_height"))
        decision = decision.fitted(width and int(width), height and int(height))
        repeated = _is_repeated(item, decision, by, version)
        if repeated:
            # Nobody else may write the label at the same time.
            item = self.queue.claim(inspection_id, by)
            repeated = _is_repeated(item, decision, by, version)
        if not repeated:
            self._check(item, by, version)
        picture, reason = self._keep(record, decision)
        if not repeated:
            item = self._write(item, record, by, decision, version)
        return self._finish(item, record, picture, reason, by)

    def _check(self, item: Item, by: str, version: int) -> None:
        """Check what the transaction demands, so that nothing is copied in vain.

        Raises:
            ReviewError: The person may not decide now.
        """
        if error := self._refusal(item, by, version):
            raise error

    def _refusal(self, item: Item, by: str, version: int) -> ReviewError | None:
        now = self.queue.clock()
        claim, live = item.get("claim"), live_claim(item, now)
        if item["version"] != version:
            last = item["decisions"][-1]["by"] if item["decisions"] else "somebody"
            return StaleVersionError(f"Meanwhile {last} has decided about this image; look at it again.")
        if live and live["by"] != by:
            return NotClaimedError(f"{live['by']} is working on this image until {live['until']}.")
        if claim and claim["by"] == by and not live:
            return ClaimExpiredError("Your claim has expired; claim the image again.")
        return None if live else NotClaimedError("Claim the image before you decide about it.")

    def _keep(self, record: Record | None, decision: Decision) -> tuple[KeptPicture | None, str | None]:
        """Return the copy of the picture; or None, and why the decision leaves no label."""
        if decision.verdict is Choice.UNUSABLE:
            return None, UNUSABLE_REASON
        if record is None:
            return None, NO_RECORD_REASON
        try:
            return self.labels.keep(record), None
        except NoLabelError as error:
            return None, str(error)

    def _write(self, item: Item, record: Record | None, by: str, decision: Decision, version: int) -> Item:
        """Write a decision, and return the item as it is then.

        Raises:
            ReviewError: The person may not decide any more.
        """
        for attempt in range(ATTEMPTS):
            now = self.queue.clock()
            entry = decision.entry(by, timestamp(now), version)
            outcome = self.transactions.write(self._actions(item, record, entry, now))
            if outcome.result is Result.WRITTEN:
                return self.queue.get(item["id"])
            # An attempt may have written although its answer got lost.
            item = self.queue.get(item["id"])
            if _is_repeated(item, decision, by, version):
                return item
            self._check(item, by, version)
            # It may have been deleted, because it was old, or judged again.
            record = record and self.inspections.get(record["image"], record["version_id"])
            if outcome.result is Result.REFUSED:
                break
            self.transactions.pause(attempt)
        raise BusyError("Too much is being written at the moment; decide again.")

    def _actions(self, item: Item, record: Record | None, entry: Item, now: datetime) -> list[Any]:
        entries = with_entry(item["decisions"], entry)
        before = item["decisions"][-1] if item["decisions"] else None
        review: dict[str, Any] = {
            name: entry[name] for name in ("by", "at", "verdict", "comment") if name in entry
        }
        review["disagreement"] = disagree(entries)
        subject, shown = (
            inspection_subject(item["id"]),
            {name: entry[name] for name in ("verdict", "objects")},
        )
        # The objects of the decision before are in its own entry.
        earlier = before and {"verdict": before["verdict"]}
        usual = UsualStore(self.queue.client, self.queue.table_name)
        actions: list[Any] = [
            {"Update": self._item_update(item, entry, entries, now)},
            *usual.count_labelled(item["line"], _labels(before), _labels(entry)),
            {"Put": self.history.put(subject, entry["by"], "decided", earlier, shown, entry.get("comment"))},
        ]
        if record:
            actions.append({"Update": self._record_update(record, review)})
            counted = counted_as(record, before), counted_as(record, entry)
            actions += decision_updates(self.statistics_table, record, *counted)
        return actions

    def _item_update(self, item: Item, entry: Item, entries: list[Item], now: datetime) -> Any:
        disagreement = disagree(entries)
        values: dict[str, Any] = {
            ":decided": DECIDED,
            ":entries": entries,
            ":one": 1,
            ":disagreement": disagreement,
            ":at": entry["at"],
            ":month": month_of(entry["at"]),
            ":claim": {"by": entry["by"], "until": timestamp(now + FINISH_TIME)},
            ":by": entry["by"],
            ":now": timestamp(now),
            ":version": entry["version"],
        }
        update = (
            "SET #state = :decided, decisions = :entries, #version = #version + :one, "
            "disagreement = :disagreement, decided_at = :at, decided_month = :month, #claim = :claim"
        )
        if disagreement:
            update += ", queue = :queue, #rank = :rank"
            values |= {":queue": DISAGREEMENT, ":rank": f"{entry['at']}#{item['id']}"}
        else:
            update += " REMOVE queue, #rank"
        names = ("state", "version", "claim", "rank", "by", "until")
        return {
            "TableName": self.queue.table_name,
            "Key": to_item({"id": item["id"]}),
            "UpdateExpression": update,
            "ConditionExpression": "#claim.#by = :by AND #claim.#until > :now AND #version = :version",
            "ExpressionAttributeNames": {f"#{name}": name for name in names},
            "ExpressionAttributeValues": to_item(values),
        }

    def _record_update(self, record: Record, review: dict[str, Any]) -> Any:
        """Return the update of a record. The verdict that the image was given first stays as it is."""
        return {
            "TableName": self.inspections_table,
            "Key": to_item({"image": record["image"], "version_id": record["version_id"]}),
            "UpdateExpression": "SET #review = :review",
            # The counters that change belong to this judgement (functions/replay/).
            "ConditionExpression": "inspected_at = :inspected_at",
            "ExpressionAttributeNames": {"#review": "review"},
            "ExpressionAttributeValues": to_item(
                {":review": review, ":inspected_at": record["inspected_at"]}
            ),
        }

    def _finish(
        self, item: Item, record: Record | None, picture: KeptPicture | None, reason: str | None, by: str
    ) -> Written:
        """Bring the label in line with the decision, and end the claim."""
        entry = item["decisions"][-1]
        label = None
        if picture and record:
            label = self.labels.write(record, picture, entry["objects"], by, entry["at"], tags_of(entry))
        else:
            self.labels.withdraw(item["id"])
        try:
            self.queue.release(item["id"], by)
        except (BotoCoreError, ClientError):
            # All is written; the claim then ends by itself.
            _logger.warning("a claim could not be released", exc_info=True)
        return Written({**item, "claim": None}, label, reason)


def _is_repeated(item: Item, decision: Decision, by: str, version: int) -> bool:
    return bool(item["decisions"]) and decision.repeats(item["decisions"][-1], by, version)


def _labels(entry: Item | None) -> set[str]:
    return {item["label"] for item in entry["objects"]} if entry else set()
