"""Cameras that never stop: they upload while faults happen, and the time of each verdict is noted."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Self

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from contract.s3 import join
from loupe.errors import LoupeError
from loupe.stack.api import call
from loupe.stack.target import Target
from loupe.stack.uploads import Identity
from tests.chaos.factory import Factory

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_CAMERAS = 4
# More pictures without a verdict than this, and the cameras wait: a backlog would make every test as long as its fault.
WINDOW = 48
_PATIENCE_S = 240
_PAGE_S = 1.0
_ONE_TRY = Config(connect_timeout=2, read_timeout=20, retries={"total_max_attempts": 1})


@dataclass
class Traffic:
    """Images of one line, from `with` on to `finish`.

    Attributes:
        factory: Where they go.
        line: Their line.
        window: How many pictures wait for their verdicts at most.
        sent: What was acknowledged: which picture each is.
        unanswered: The keys of uploads that got no answer; they may have arrived all the same.
        refused: How often an upload was refused with an answer.
        phases: For each phase its name, its seconds and its verdicts.
        follows_feed: Whether somebody looks at the line's feed all the time.
        feed: The place up to which the feed was read; first, that before the first image.
        shown: The id and the time of each inspection that appeared in the feed.
    """

    factory: Factory
    line: str
    window: int = WINDOW
    sent: dict[Identity, int] = field(default_factory=dict)
    unanswered: dict[str, int] = field(default_factory=dict)
    refused: int = 0
    phases: list[tuple[str, float, int]] = field(default_factory=list)
    follows_feed: bool = False
    feed: str = ""
    shown: set[tuple[str, str]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._changed = threading.Condition()
        self._number = 0
        self._client: tuple[Target, str, S3Client] | None = None
        self._order: dict[Identity, int] = {}
        self._waiting: set[Identity] = set()
        self._done: set[Identity] = set()
        self._seen: set[Identity] = set()
        self._stop, self._end = threading.Event(), threading.Event()
        self._threads = [threading.Thread(target=self._send, daemon=True) for _ in range(_CAMERAS)]
        self._follower = threading.Thread(target=self._follow, daemon=True)
        self._phase = ("before", time.monotonic(), 0)

    def __enter__(self) -> Self:
        self.feed = call(self.factory.target, "GET", "/changes", {"line": self.line})["next"]
        for thread in (*self._threads, self._follower):
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._end.set()

    def phase(self, name: str) -> None:
        """Begin another phase, for the figures."""
        with self._changed:
            former, began, done = self._phase
            self.phases.append((former, time.monotonic() - began, len(self._seen) - done))
            self._phase = (name, time.monotonic(), len(self._seen))

    def judged(self, number: int, *, sent_from_now: bool = False) -> None:
        """Wait for so many more verdicts.

        Args:
            number: How many.
            sent_from_now: Of pictures that are sent from now on, not of those that wait already.
        """
        with self._changed:
            before, first = len(self._done), len(self.sent)

            def enough() -> bool:
                if sent_from_now:
                    return sum(self._order[identity] >= first for identity in self._done) >= number
                return len(self._done) - before >= number

            assert self._changed.wait_for(enough, _PATIENCE_S), self._where()

    def acknowledged(self, number: int) -> None:
        """Wait until so many more uploads are acknowledged."""
        with self._changed:
            before = len(self.sent)
            assert self._changed.wait_for(lambda: len(self.sent) - before >= number, _PATIENCE_S), (
                self._where()
            )

    def refusals(self, number: int) -> None:
        """Wait until so many more uploads are refused."""
        with self._changed:
            before = self.refused
            assert self._changed.wait_for(lambda: self.refused - before >= number, _PATIENCE_S), self._where()

    def finish(self) -> None:
        """Send no more, and wait until every image has its record, also those that had one before a kill."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        with self._changed:
            self._waiting |= self._done
            self._done = set()
            assert self._changed.wait_for(lambda: not self._waiting, _PATIENCE_S), self._where()
        self.phase("")
        self._end.set()
        self._follower.join()

    @property
    def verdicts(self) -> int:
        """How many images have their record."""
        return len(self._seen)

    def figures(self) -> str:
        """Return the images a second of each phase."""
        rates = " · ".join(f"{name} {count / seconds:.1f}/s" for name, seconds, count in self.phases if count)
        return f"{self.line}: {len(self.sent)} images · {rates}"

    def _where(self) -> str:
        return f"{len(self.sent)} sent, {len(self._done)} judged, {self.factory.waiting()} messages"

    def _bucket(self) -> tuple[str, S3Client]:
        """Return the bucket and a client for it; a new one, which takes 10 ms, only after a start of the cloud."""
        with self._changed:
            target, known = self.factory.target, self._client
            if known is None or known[0] is not target:
                client = target.session.client("s3", endpoint_url=target.endpoint_url, config=_ONE_TRY)
                known = self._client = (target, target.output("ImagesBucketName"), client)
            return known[1:]

    def _send(self) -> None:
        while not self._stop.is_set():
            with self._changed:
                if not self._changed.wait_for(
                    lambda: len(self._waiting) < self.window or self._stop.is_set(), 1
                ):
                    continue
                number = self._number
                self._number += 1
            picture = number % len(self.factory.pictures)
            key = f"incoming/{self.line}/top +ü/{number}.jpg"
            try:
                bucket, client = self._bucket()
                reply = client.put_object(Bucket=bucket, Key=key, Body=self.factory.pictures[picture])
            except ClientError:
                with self._changed:
                    self.refused += 1
                    self._changed.notify_all()
                self._stop.wait(0.1)
            except BotoCoreError:
                with self._changed:
                    self.unanswered[key] = picture
                self._stop.wait(0.1)
            else:
                identity = (join(bucket, key), reply["VersionId"])
                with self._changed:
                    self._order[identity] = len(self.sent)
                    self.sent[identity] = picture
                    self._waiting.add(identity)
                    self._changed.notify_all()

    def read_feed(self) -> None:
        """Read what has appeared in the line's feed since the last time, as a page does."""
        more = True
        while more:
            query = {"line": self.line, "limit": 500, "after": self.feed}
            answer = call(self.factory.target, "GET", "/changes", query)
            # Within seconds one may come twice: a page knows it by these two.
            self.shown |= {(item["id"], item["inspected_at"]) for item in answer["items"]}
            self.feed, more = answer["next"], answer["more"]

    def _follow(self) -> None:
        read = time.monotonic()
        while not self._end.wait(0.1):
            if self.follows_feed and time.monotonic() - read > _PAGE_S:
                with suppress(LoupeError, BotoCoreError, ClientError):  # the cloud is down
                    self.read_feed()
                read = time.monotonic()
            with self._changed:
                waiting = sorted(self._waiting, key=self._order.__getitem__)[:100]
            if not waiting:
                continue
            target = self.factory.target
            table = target.output("InspectionsTableName")
            keys = [{"image": image, "version_id": version} for image, version in waiting]
            request = {
                table: {"Keys": keys, "ProjectionExpression": "image, version_id", "ConsistentRead": True}
            }
            try:
                reply = target.dynamodb.batch_get_item(RequestItems=request)
            except (BotoCoreError, ClientError):
                continue  # the cloud is down
            found = {(item["image"], item["version_id"]) for item in reply["Responses"].get(table, [])}
            with self._changed:
                self._waiting -= found
                self._done |= found
                self._seen |= found
                self._changed.notify_all()
