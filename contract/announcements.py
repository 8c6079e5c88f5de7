"""The announcement of an object version that has no record, in the form of S3's own event notification.

S3 announces each version once it is stored. If that message is lost, somebody else has to announce the version again:
the function `reconcile` on AWS, and the local cloud at its start after it was killed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote_plus

from contract.inspections import timestamp
from contract.keys import INCOMING
from contract.s3 import UNVERSIONED, decode, join

# Of announcements that S3 did not send itself; the messages of the queue show it.
CONFIGURATION = "loupe-reconcile"
# A record is deleted some time after its expiry. Before it, nothing may count as lost.
_MARGIN = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """A version of an object in S3.

    Attributes:
        bucket: The bucket's name.
        key: The object's key, decoded.
        version_id: The version; `null` in a bucket without versioning.
        stored_at: When it was uploaded, with a time zone.
        size: In bytes.
        etag: S3's tag of its content, without quotes.
    """

    bucket: str
    key: str
    version_id: str
    stored_at: datetime
    size: int = 0
    etag: str = ""

    @property
    def identity(self) -> tuple[str, str]:
        """The key of its record: the object's URI and the version."""
        return join(self.bucket, self.key), self.version_id

    def has_a_record_to_come(self, since: datetime, before: datetime) -> bool:
        """Return whether it is an image that was uploaded between two times, and so must have a record by now.

        What is no image counts too: it gets the verdict unreadable. The placeholder object of a folder does not.
        """
        is_announced = self.key.startswith(INCOMING) and not self.key.endswith("/")
        return is_announced and since <= self.stored_at < before


def oldest_expected(now: datetime, retention_days: int) -> datetime:
    """Return the time before which an image may have had a record that has expired since.

    A record is written after the upload, and kept for `retention_days` from then on. So a younger image that has none
    never had one; an older one must not be inspected again.
    """
    return now - timedelta(days=retention_days) + _MARGIN


def announcement(version: StoredVersion, region: str) -> dict[str, Any]:
    """Return the event that announces a version.

    It has no sequencer: in a bucket without versioning, an event of S3 itself wins against it.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
    """
    return {
        "Records": [
            {
                "eventVersion": "2.1",
                "eventSource": "aws:s3",
                "awsRegion": region,
                "eventTime": timestamp(version.stored_at),
                "eventName": "ObjectCreated:Put",
                "s3": {
                    "s3SchemaVersion": "1.0",
                    "configurationId": CONFIGURATION,
                    "bucket": {"name": version.bucket, "arn": f"arn:aws:s3:::{version.bucket}"},
                    "object": {
                        "key": quote_plus(version.key, safe="/"),
                        "size": version.size,
                        "eTag": version.etag,
                        "versionId": version.version_id,
                    },
                },
            }
        ]
    }


def announced(body: str) -> set[tuple[str, str]]:
    """Return the identities of the versions that a message in S3's own form announces; nothing for another message.

    >>> from datetime import UTC
    >>> version = StoredVersion("images", "incoming/a b+c.jpg", "v1", datetime(2026, 1, 31, tzinfo=UTC))
    >>> announced(json.dumps(announcement(version, "eu-central-1"))) == {version.identity}
    True
    >>> announced("hello")
    set()
    """
    try:
        records = json.loads(body)["Records"]
        return {_identity(record["s3"]) for record in records}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return set()


def _identity(named: Any) -> tuple[str, str]:
    stored = named["object"]
    return join(named["bucket"]["name"], decode(stored["key"])), str(stored.get("versionId") or UNVERSIONED)
