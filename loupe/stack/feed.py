"""What a person at the line should see as it happens: defects, doubtful parts, alarms and notices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from botocore.exceptions import ClientError

from contract.inspections import Verdict
from loupe.stack import inspections, pictures
from loupe.stack.alert_inbox import AlarmMessage, AlertInbox, DefectAlert, Notice
from loupe.stack.inspections import Filter, Inspection
from loupe.stack.target import Target

# A picture may come after the record or the alert; after so long, the line is printed without it.
_PICTURE_SECONDS = 5.0


@dataclass(frozen=True)
class Inspected:
    """An inspection that was not a pass.

    Attributes:
        record: The inspection.
        picture: Its framed picture on this machine; None if there is none.
        alerted: Whether an alert was received for it.
    """

    record: Inspection
    picture: Path | None
    alerted: bool


Event = Inspected | AlarmMessage | Notice


class Feed:
    """Defects come from their alerts, as a subscriber gets them; doubtful and unreadable images from the table."""

    def __init__(self, target: Target, home: Path) -> None:
        """Initialize a feed of what happens from now on.

        Args:
            target: The stack.
            home: The local cloud's private folder, for the pictures.
        """
        self._target, self._home = target, home
        self._inbox = AlertInbox(target)
        self._begin = datetime.now(UTC)
        self._seen: dict[str, datetime] = {}

    def receive(self, wait_seconds: int) -> Iterator[Event]:
        """Yield what has happened since the last call.

        Args:
            wait_seconds: How long to wait for the first message.
        """
        for message in self._inbox.receive(wait_seconds):
            if isinstance(message, DefectAlert):
                yield from self._defect(message)
            else:
                yield message
        yield from self._undecided()

    def _defect(self, alert: DefectAlert) -> Iterator[Inspected]:
        document = alert.document
        seconds = _PICTURE_SECONDS if document["picture_url"] else 0
        record = pictures.await_picture(self._target, document["image"], document["version_id"], seconds)
        if record:
            yield Inspected(record, self._picture(record), alerted=True)

    def _undecided(self) -> Iterator[Inspected]:
        """Yield the new reviews and unreadable images, oldest first."""
        now = datetime.now(UTC)
        # A record may appear some seconds after the moment at which its image was received.
        wanted = Filter(self._begin, now)
        for record in reversed(inspections.query(self._target, wanted, limit=100)):
            identity, received = record["id"], datetime.fromisoformat(record["received_at"])
            if identity in self._seen or record["verdict"] == Verdict.FAIL:
                continue
            is_new = now - received < timedelta(seconds=_PICTURE_SECONDS)
            if record["verdict"] == Verdict.REVIEW and "picture" not in record and is_new:
                continue
            self._seen[identity] = received
            yield Inspected(record, self._picture(record), alerted=False)
        self._begin = max(self._begin, now - timedelta(minutes=5))
        self._seen = {identity: at for identity, at in self._seen.items() if at >= self._begin}

    def _picture(self, record: Inspection) -> Path | None:
        try:
            folder = pictures.folder(self._home, record)
            return pictures.download(self._target, record, folder) if "picture" in record else None
        except (ClientError, OSError):
            # The line is printed all the same.
            return None
