"""Announces the images of a replay, in a queue of their own, so that new images do not wait behind them."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from contract.announcements import StoredVersion, announcement
from contract.s3 import UNVERSIONED, split
from inspection.records import Record
from inspection.search import Search
from replay.runs import Run, Runs, Selection

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

_PAGE = 500
_BATCH = 10  # SQS's own limit


class UnsentError(Exception):
    """SQS did not take an announcement."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the message of an image says about its replay.

    Attributes:
        run: The replay's id.
        alert: Whether the image raises an alert if it fails now, and did not before.
        by: Who has asked for it.
    """

    run: str
    alert: bool
    by: str

    @classmethod
    def of(cls, body: str) -> Asked | None:
        """Return what a message says; None if it is not one of a replay."""
        try:
            found = json.loads(body)["replay"]
            return cls(str(found["run"]), bool(found["alert"]), str(found["by"]))
        except (ValueError, KeyError, TypeError, RecursionError):
            return None


@dataclass(frozen=True)
class Counted:
    """A part of the images that a selection finds.

    Attributes:
        by_verdict: How many, by their verdict now.
        unversioned: How many of a bucket without versions, which cannot be judged again.
        position: Where the next part begins; None at the end.
    """

    by_verdict: dict[str, int]
    unversioned: int
    position: str | None


@dataclass(frozen=True)
class Announcer:
    """Counts and announces.

    Attributes:
        search: Finds records.
        runs: The replays.
        client: The SQS client.
        queue_url: The queue of images that are judged again.
        region: The AWS region, for the announcements.
        clock: Returns seconds.
    """

    search: Search
    runs: Runs
    client: SQSClient
    queue_url: str
    region: str
    clock: Callable[[], float] = time.monotonic

    def count(self, selection: Selection, position: str | None, seconds: float) -> Counted:
        """Count images page by page, until all are counted or the time is over."""
        deadline, verdicts, unversioned = self.clock() + seconds, Counter[str](), 0
        while True:
            page = self.search.page(selection.wanted(), _PAGE, position)
            usable = [record for record in page.records if _has_versions(record)]
            verdicts.update(str(record["verdict"]) for record in usable)
            unversioned += len(page.records) - len(usable)
            position = page.position
            if position is None or self.clock() >= deadline:
                return Counted(dict(verdicts), unversioned, position)

    def announce(self, run: Run, seconds: float) -> Run:
        """Announce images page by page, until all are announced or the time is over.

        A page that is announced twice, as after a crash, does no harm: an image is judged once in a replay.

        Raises:
            UnsentError: SQS did not take one.
        """
        deadline = self.clock() + seconds
        while not run.complete:
            page = self.search.page(run.selection.wanted(), _PAGE, run.position)
            usable = [record for record in page.records if _has_versions(record)]
            self._send(run, usable)
            run = self.runs.advance(run, page.position, len(usable))
            if self.clock() >= deadline:
                break
        return run

    def _send(self, run: Run, records: Sequence[Record]) -> None:
        asked = {"run": run.id, "alert": run.alert, "by": run.by}
        for start in range(0, len(records), _BATCH):
            entries: Any = [
                {"Id": str(number), "MessageBody": json.dumps(self._announcement(record) | {"replay": asked})}
                for number, record in enumerate(records[start : start + _BATCH])
            ]
            reply = self.client.send_message_batch(QueueUrl=self.queue_url, Entries=entries)
            if failed := reply.get("Failed"):
                raise UnsentError(f"{len(failed)} images were not taken: {failed[0].get('Message')}")

    def _announcement(self, record: Record) -> dict[str, Any]:
        bucket, key = split(record["image"])
        received_at = datetime.fromisoformat(record["received_at"])
        return announcement(StoredVersion(bucket, key, record["version_id"], received_at), self.region)


def _has_versions(record: Record) -> bool:
    """Return whether the image is still what it was. Without versions it may have been replaced since."""
    return bool(record["version_id"] != UNVERSIONED)
